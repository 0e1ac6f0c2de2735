"""TLS by the one option `tls`: what it demands is held, and never given up silently."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import servers
from driving import Driven, driven
from nexusql import DatabaseManager
from nexusql.errors import OperationalError
from throwaway import MariaDB, Postgres, Server


@pytest.fixture(scope="module")
def certificates() -> Iterator[Path]:
    """ca.pem, a certificate for 127.0.0.1 by it (server.pem, server.key), and other.pem, an authority of its own."""
    folder = Path(tempfile.mkdtemp(prefix="nexusql-tls-"))
    folder.chmod(0o755)

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for name in ("ca", "other"):
        new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
        openssl(*new, "-keyout", f"{name}.key", "-out", f"{name}.pem")
    openssl(
        "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr"
    )
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    signed = ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2"]
    openssl(*signed, "-set_serial", "7", "-extfile", "names", "-out", "server.pem")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module", params=["postgresql", "mysql"])
def server(request: pytest.FixtureRequest, certificates: Path) -> Iterator[Server]:
    """A server that offers TLS and does not insist on it."""
    key = certificates / f"{request.param}.key"
    shutil.copy(certificates / "server.key", key)
    key.chmod(0o600)
    certificate = certificates / "server.pem"
    made: Server
    if request.param == "postgresql":
        made = Postgres(ssl="on", ssl_cert_file=str(certificate), ssl_key_file=str(key))
    else:
        made = MariaDB(ssl_cert=str(certificate), ssl_key=str(key), max_allowed_packet=64 << 20)
    if os.geteuid() == 0:
        owner = pwd.getpwnam(made.user)
        os.chown(key, owner.pw_uid, owner.pw_gid)
    with made as running:
        yield running


def with_tls(server: Server, level: str | None, ca: Path | None = None, host: str = "127.0.0.1") -> str:
    authority = "sslrootcert" if server.kind == "postgresql" else "ssl_ca"
    options = [f"tls={level}"] if level else []
    options += [f"{authority}={ca}"] if ca else []
    return server.url.replace("127.0.0.1", host) + "?" + "&".join(options)


def is_encrypted(session: Driven) -> bool:
    if session.backend.syntax.dialect == "postgresql":
        encrypted: bool = session.value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        return encrypted
    ((_, cipher),) = session.run("SHOW STATUS LIKE 'Ssl_cipher'")
    return bool(cipher)


@pytest.mark.parametrize(
    ("level", "encrypted"), [("verify-full", True), ("require", True), ("prefer", True), ("off", False)]
)
def test_each_level_gives_what_it_says(server: Server, certificates: Path, level: str, encrypted: bool) -> None:
    ca = certificates / "ca.pem" if level == "verify-full" else None
    with driven(with_tls(server, level, ca)) as session:
        assert is_encrypted(session) is encrypted
        assert session.value("SELECT {}", "a'b") == "a'b"
        assert not session.backend.looks_dead(session.raw)


def test_an_authority_that_is_named_is_asked(server: Server, certificates: Path) -> None:
    with pytest.raises(OperationalError, match=r"(?i)certificate verify failed"):
        driven(with_tls(server, "verify-full", certificates / "other.pem")).__enter__()


def test_another_hosts_certificate_is_refused(server: Server, certificates: Path) -> None:
    with pytest.raises(OperationalError, match=r"(?i)does not match host|hostname mismatch|not valid for"):
        driven(with_tls(server, "verify-full", certificates / "ca.pem", host="localhost")).__enter__()


def test_naming_an_authority_is_enough_to_have_it_asked(certificates: Path, server: Server) -> None:
    if server.kind == "mysql":
        with pytest.raises(OperationalError, match=r"(?i)certificate verify failed"):
            driven(with_tls(server, None, certificates / "other.pem")).__enter__()
    with driven(with_tls(server, None, certificates / "ca.pem")) as session:
        assert is_encrypted(session)


@pytest.mark.parametrize("level", ["require", "verify-full"])
@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_server_without_tls_is_refused_where_tls_is_required(kind: str, level: str, certificates: Path) -> None:
    servers.require(kind)
    authority = "sslrootcert" if kind == "postgresql" else "ssl_ca"
    url = f"{servers.server_url(kind)}?tls={level}&{authority}={certificates / 'ca.pem'}"
    with driven(servers.server_url(kind)) as session:
        if is_encrypted(session):
            pytest.skip("the server offers TLS")
    with pytest.raises(OperationalError, match=r"(?i)ssl"):
        driven(url).__enter__()


def test_rows_come_by_tls(server: Server) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)"
    sql = f"{numbers} SELECT i, REPEAT('é', i) AS t FROM n"
    expected = [{"i": number, "t": "é" * number} for number in range(1, 901)]
    with DatabaseManager(with_tls(server, "require")) as db:
        assert db.fetch_all(sql) == expected
        with db.stream(sql, chunk_size=7) as rows:
            assert list(rows) == expected


# Of a blob, beside two numbers: a packet that is just not full, just full, so that an empty one follows, continued, and
# continued twice.
@pytest.mark.parametrize("size", [2**24 - 10, 2**24 - 9, 2**24 + 1, 2**25 + 1])
def test_a_row_is_longer_than_a_packet(server: Server, size: int) -> None:
    if server.kind != "mysql":
        pytest.skip("it has no such packets")
    sql = "SELECT 1 AS a, CAST(REPEAT('x', :size) AS BINARY) AS t, 2 AS b UNION ALL SELECT 3, X'00', NULL"
    expected = [{"a": 1, "t": b"x" * size, "b": 2}, {"a": 3, "t": b"\0", "b": None}]
    with DatabaseManager(with_tls(server, "require")) as db:
        assert db.fetch_all(sql, {"size": size}) == expected
        with db.stream(sql, {"size": size}) as rows:
            assert list(rows) == expected
