"""TLS by the one option `tls`: what it demands is held, never given up silently, and who reads along learns nothing.

All connections go through a proxy that writes down what it sees.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pymysql import _auth

import servers
from certificates import Certificates, TlsServer, made_certificates
from driving import Driven, driven
from eavesdropper import SSL_REQUEST, Eavesdropper, greeting_salt
from nexusql import DatabaseManager
from nexusql.errors import OperationalError
from pooling import eventually, gives

KINDS = ["postgresql", "mysql"]
AUTHORITY = {"postgresql": "sslrootcert", "mysql": "ssl_ca"}
SECRET = TlsServer.SECRET.encode()
UNTRUSTED = r"(?i)certificate verify failed"
MISNAMED = r"(?i)does not match host|hostname mismatch|not valid for"
NO_TLS = r"(?i)does not support SSL|doesn't support it"


@pytest.fixture(scope="module")
def certificates() -> Iterator[Certificates]:
    """The authorities, and what a server may show."""
    with made_certificates() as made:
        yield made


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[TlsServer]:
    """A server that offers TLS and does not insist on it."""
    with TlsServer(request.param, certificates) as running:
        yield running


@pytest.fixture
def wire(server: TlsServer) -> Iterator[Eavesdropper]:
    """The way to it, on which someone reads along."""
    with Eavesdropper(("127.0.0.1", server.server.port)) as proxy:
        yield proxy


def url(wire: Eavesdropper, server: TlsServer, level: str | None, ca: Path | None = None) -> str:
    """Where `guarded` connects, by way of the eavesdropper."""
    options = [f"tls={level}"] if level else []
    options += [f"{AUTHORITY[server.server.kind]}={ca}"] if ca else []
    guarded = f"guarded:{TlsServer.SECRET.replace(' ', '%20')}@"
    return f"{wire.url(server.server.url).replace('root@', guarded)}?{'&'.join(options)}"


def is_encrypted(session: Driven) -> bool:
    if session.backend.syntax.dialect == "postgresql":
        encrypted: bool = session.value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        return encrypted
    ((_, cipher),) = session.run("SHOW STATUS LIKE 'Ssl_cipher'")
    return bool(cipher)


def learns_who(wire: Eavesdropper, server: TlsServer) -> bool:
    """Whether the user's name, the password, or what proves that one knows it went over the wire."""
    if b"guarded" in wire.said or SECRET in wire.said:
        return True
    if server.server.kind == "postgresql":
        return False
    return bytes(_auth.scramble_native_password(SECRET, greeting_salt(wire.answered))) in wire.said


def by_certificate(cases: list[tuple[str | None, ...]]) -> list[tuple[str | None, ...]]:
    """Sorted by what the server shows, so that it need not be told so often."""
    return sorted(cases, key=lambda case: str(case[2]))


RIGHT: list[tuple[str | None, ...]] = [
    ("verify-full", "ca", "right"),
    ("verify-full", "own", "own"),
    *(("require", "ca", certificate) for certificate in ("right", "misnamed")),
    *(("require", None, certificate) for certificate in ("right", "misnamed", "expired", "early", "own")),
    *(("prefer", None, certificate) for certificate in ("right", "own")),
]
WRONG: list[tuple[str | None, ...]] = [
    ("verify-full", "other", "right", UNTRUSTED),
    ("verify-full", "ca", "misnamed", MISNAMED),
    *(("verify-full", "ca", certificate, UNTRUSTED) for certificate in ("expired", "early", "own")),
    *(("verify-full", None, certificate, rf"{UNTRUSTED}|root certificate") for certificate in ("right", "own")),
    ("require", "other", "right", UNTRUSTED),
    *(("require", "ca", certificate, UNTRUSTED) for certificate in ("expired", "early", "own")),
]


@pytest.mark.parametrize(("level", "authority", "certificate"), by_certificate(RIGHT))
def test_a_certificate_that_does_for_the_level_is_taken(
    server: TlsServer, wire: Eavesdropper, certificates: Certificates, level: str, authority: str, certificate: str
) -> None:
    server.wear(certificate)
    with driven(url(wire, server, level, certificates / f"{authority}.pem" if authority else None)) as session:
        assert is_encrypted(session)
        assert session.value("SELECT {}", "a'b") == "a'b"
        assert not session.backend.looks_dead(session.raw)
    assert not learns_who(wire, server)
    assert b"a'b" not in wire.said


@pytest.mark.parametrize(("level", "authority", "certificate", "reason"), by_certificate(WRONG))
def test_a_certificate_that_does_not_is_refused_before_anything_is_said(
    server: TlsServer,
    wire: Eavesdropper,
    certificates: Certificates,
    level: str,
    authority: str,
    certificate: str,
    reason: str,
) -> None:
    server.wear(certificate)
    with pytest.raises(OperationalError, match=reason) as caught:
        driven(url(wire, server, level, certificates / f"{authority}.pem" if authority else None)).__enter__()
    assert wire.said
    assert not learns_who(wire, server)
    assert TlsServer.SECRET not in str(caught.value)


def test_naming_an_authority_is_enough_to_have_it_asked(
    server: TlsServer, wire: Eavesdropper, certificates: Certificates
) -> None:
    server.wear("right")
    if server.server.kind == "mysql":
        with pytest.raises(OperationalError, match=UNTRUSTED):
            driven(url(wire, server, None, certificates / "other.pem")).__enter__()
        assert not learns_who(wire, server)
    with driven(url(wire, server, None, certificates / "ca.pem")) as session:
        assert is_encrypted(session)


def test_off_is_off_and_the_eavesdropper_can_read(server: TlsServer, wire: Eavesdropper) -> None:
    with driven(url(wire, server, "off")) as session:
        assert not is_encrypted(session)
    assert learns_who(wire, server)


@pytest.mark.parametrize("level", ["verify-full", "require"])
def test_where_tls_is_required_a_way_that_denies_it_is_not_gone(
    server: TlsServer, wire: Eavesdropper, certificates: Certificates, level: str
) -> None:
    server.wear("right")
    wire.denies_tls = True
    with pytest.raises(OperationalError, match=NO_TLS):
        driven(url(wire, server, level, certificates / "ca.pem")).__enter__()
    assert wire.said == (SSL_REQUEST if server.server.kind == "postgresql" else b"")


def test_where_it_is_preferred_it_is_done_without(server: TlsServer, wire: Eavesdropper) -> None:
    wire.denies_tls = True
    with driven(url(wire, server, "prefer")) as session:
        assert not is_encrypted(session)
    assert learns_who(wire, server)


def test_a_manager_does_not_come_down_when_it_connects_again(
    server: TlsServer, wire: Eavesdropper, certificates: Certificates
) -> None:
    server.wear("right")
    location = url(wire, server, "verify-full", certificates / "ca.pem")
    with DatabaseManager(location, pool_max=2, pool_timeout=1.0) as db:
        assert db.fetch_value("SELECT 1") == 1
        wire.forget(denies_tls=True)
        wire.cut()
        assert eventually(lambda: not wire.live)
        with pytest.raises(OperationalError, match=NO_TLS):
            db.fetch_value("SELECT 1")
        assert wire.said.replace(SSL_REQUEST, b"") == b""
        wire.forget()
        assert eventually(gives(1, lambda: db.fetch_value("SELECT 1")))
        assert not learns_who(wire, server)


def test_a_certificate_of_ones_own(server: TlsServer, wire: Eavesdropper, certificates: Certificates) -> None:
    server.wear("right")
    without = url(wire, server, "verify-full", certificates / "ca.pem")
    without = without.replace(without[without.index("//") : without.index("@")], "//certified")
    prefix = "ssl" if server.server.kind == "postgresql" else "ssl_"
    shown = f"&{prefix}cert={certificates / 'client.pem'}&{prefix}key={certificates / 'key.pem'}"
    with driven(without + shown) as session:
        assert is_encrypted(session)
        assert session.value("SELECT {}", 1) == 1
    assert b"certified" not in wire.said
    with pytest.raises(OperationalError, match=r"(?i)certificate|access denied"):
        driven(without).__enter__()


@pytest.mark.parametrize("level", ["require", "verify-full"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_server_without_tls_is_refused_where_tls_is_required(
    kind: str, level: str, certificates: Certificates
) -> None:
    servers.require(kind)
    with driven(servers.server_url(kind)) as session:
        if is_encrypted(session):
            pytest.skip("the server offers TLS")
    with Eavesdropper.before(servers.server_url(kind)) as wire:
        location = f"{wire.url(servers.server_url(kind))}?tls={level}&{AUTHORITY[kind]}={certificates / 'ca.pem'}"
        with pytest.raises(OperationalError, match=NO_TLS):
            driven(location).__enter__()
        assert wire.said == (SSL_REQUEST if kind == "postgresql" else b"")


def test_rows_come_by_tls(server: TlsServer) -> None:
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)"
    sql = f"{numbers} SELECT i, REPEAT('é', i) AS t FROM n"
    expected = [{"i": number, "t": "é" * number} for number in range(1, 901)]
    with DatabaseManager(f"{server.server.url}?tls=require") as db:
        assert db.fetch_all(sql) == expected
        with db.stream(sql, chunk_size=7) as rows:
            assert list(rows) == expected


# Of a blob, beside two numbers: a packet that is just not full, just full, so that an empty one follows, continued, and
# continued twice.
@pytest.mark.parametrize("size", [2**24 - 10, 2**24 - 9, 2**24 + 1, 2**25 + 1])
def test_a_row_is_longer_than_a_packet(server: TlsServer, size: int) -> None:
    if server.server.kind != "mysql":
        pytest.skip("it has no such packets")
    sql = "SELECT 1 AS a, CAST(REPEAT('x', :size) AS BINARY) AS t, 2 AS b UNION ALL SELECT 3, X'00', NULL"
    expected = [{"a": 1, "t": b"x" * size, "b": 2}, {"a": 3, "t": b"\0", "b": None}]
    with DatabaseManager(f"{server.server.url}?tls=require") as db:
        assert db.fetch_all(sql, {"size": size}) == expected
        with db.stream(sql, {"size": size}) as rows:
            assert list(rows) == expected
