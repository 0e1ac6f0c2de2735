"""Sessions are opened by real ODBC drivers: what they are told, what keeps them out, and TLS."""

import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tds_drivers
import tds_messages
from certificates import Certificates, made_certificates
from nexusql.backends.mssql.connecting import SET_UP
from nexusql.errors import ConfigError, OperationalError
from nexusql.manager import DatabaseManager
from tds_drivers import FREETDS, MICROSOFT
from tds_server import PASSWORD, Fault, Server


def opened(url: str) -> bool:
    """Whether a session can be opened and used."""
    with DatabaseManager(url, pool_min=0, connect_timeout=5) as db:
        return bool(db.fetch_value("SELECT 1"))


def test_a_session_is_opened_by_a_url(tds: Server, driver: str) -> None:
    assert opened(tds_drivers.url(tds, driver))
    (login,) = tds.logins
    assert (login.user, login.password, login.database) == ("sa", PASSWORD, "sales")
    assert SET_UP in [request.text for request in tds.requests]


@pytest.mark.parametrize("server", ["127.0.0.1", "tcp:127.0.0.1"])
def test_a_session_is_opened_by_a_raw_connection_string(tds: Server, driver: str, server: str) -> None:
    plain = "Encrypt=no;" if driver == MICROSOFT else ""
    where = f"SERVER={server},{tds.port};DATABASE=sales;{plain}"
    assert opened(f"DRIVER={{{tds_drivers.named(driver)}}};{where}UID=sa;PWD={{{PASSWORD}}}")
    assert tds.logins[0].database == "sales"


HARD = ["a;b", "a}b", "}", "a}}b", "a{b", "{a", " a", "a;APP=evil", "é😀'\"=%", "a}b=c 'd\"", "{a}", "a};APP=evil;x=y"]
# FreeTDS knows no doubled brace, so what has one and must stand in braces cannot be told to it.
NOT_FOR_FREETDS = {"{a}", "a};APP=evil;x=y"}


@pytest.mark.parametrize("password", HARD)
def test_a_password_arrives_as_it_is_or_is_refused(
    tds: Server, driver: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tds_server.PASSWORD", password)
    url = tds_drivers.url(tds, driver, password=password)
    if driver == FREETDS and password in NOT_FOR_FREETDS:
        with pytest.raises(ConfigError, match="PWD") as caught:
            DatabaseManager(url).connect(raise_errors=True)
        assert password not in str(caught.value)
        assert not tds.logins
    else:
        assert opened(url)
        assert [login.password for login in tds.logins] == [password]
        assert tds.logins[0].application != "evil"


def test_a_wrong_password_is_told_without_it(tds: Server, driver: str) -> None:
    with pytest.raises(OperationalError, match="Login failed for user 'sa'") as caught:
        DatabaseManager(tds_drivers.url(tds, driver, password="hunter2")).connect(raise_errors=True)
    assert caught.value.code == 18456
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("number", [4060, 18486])
def test_a_refusal_has_the_servers_number(tds: Server, driver: str, number: int) -> None:
    tds.refuses = Fault(number, "Not you.", 14)
    with pytest.raises(OperationalError, match="Not you") as caught:
        DatabaseManager(tds_drivers.url(tds, driver)).connect(raise_errors=True)
    assert caught.value.code == number


def test_a_server_that_is_away_or_silent_is_waited_for_no_longer_than_told(tds: Server, driver: str) -> None:
    url = tds_drivers.url(tds, driver)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_url = url.replace(f":{tds.port}/", f":{silent.getsockname()[1]}/")
        with pytest.raises(OperationalError):
            DatabaseManager(silent_url, connect_timeout=1).connect(raise_errors=True)
    with pytest.raises(OperationalError):
        DatabaseManager(silent_url, connect_timeout=1).connect(raise_errors=True)


PROBE = """
import json, sys
from nexusql.errors import InterfaceError
from nexusql.manager import DatabaseManager
try:
    with DatabaseManager(sys.argv[1], pool_min=0) as db:
        print(json.dumps(db.fetch_value("SELECT 1")))
except InterfaceError as error:
    print(json.dumps(str(error)))
"""


@pytest.fixture
def probe(tmp_path: Path) -> Callable[[str, str], object]:
    """What connecting to a URL gives where only these drivers are registered."""

    def run(url: str, registered: str) -> object:
        (tmp_path / "odbcinst.ini").write_text(registered)
        environment = {**os.environ, "ODBCSYSINI": str(tmp_path), "ODBCINSTINI": "odbcinst.ini"}
        command = [sys.executable, "-c", PROBE, url]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def test_microsofts_newest_driver_is_preferred(tds: Server, probe: Callable[[str, str], object]) -> None:
    file = tds_drivers.named(MICROSOFT)
    url = f"mssql://sa:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{tds.port}/sales?tls=off"
    other = "[FreeTDS]\nDriver=/nowhere.so\n"
    assert probe(url, f"{other}[ODBC Driver 17 for SQL Server]\nDriver={file}\n") == 1
    assert probe(url, f"[ODBC Driver 17 for SQL Server]\nDriver=/nowhere.so\n{other}") != 1
    newest = f"[ODBC Driver 18 for SQL Server]\nDriver={file}\n"
    assert probe(url, f"{other}[ODBC Driver 17 for SQL Server]\nDriver=/nowhere.so\n{newest}") == 1


def test_without_a_driver_the_error_says_so(tds: Server, probe: Callable[[str, str], object]) -> None:
    told = probe(f"mssql://sa:x@127.0.0.1:{tds.port}/sales", "[Other]\nDriver=/nowhere.so\n")
    assert "no ODBC driver for SQL Server was found (installed are Other)" in str(told)
    assert not tds.logins


@pytest.fixture(scope="module")
def certificates() -> Iterator[Certificates]:
    with made_certificates() as made:
        yield made


@pytest.fixture
def secure(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, int], Server]]:
    """A server that shows a certificate, whose authority Microsoft's driver trusts, and offers encryption so."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))
    started: list[Server] = []

    def start(certificate: str, encryption: int) -> Server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / f"{certificate}.pem", certificates / "key.pem")
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # as the protocol has it inside its packets
        started.append(Server(encryption=encryption, tls=context).__enter__())
        return started[-1]

    yield start
    for server in started:
        server.__exit__()


@pytest.mark.parametrize("tls", ["require", "prefer", None])
@pytest.mark.parametrize("encryption", [tds_messages.ON, tds_messages.REQUIRED, tds_messages.OFF])
def test_with_tls_nobody_reads_the_login(
    secure: Callable[[str, int], Server], driver: str, tls: str | None, encryption: int
) -> None:
    server = secure("own", encryption)
    assert opened(tds_drivers.url(server, driver, tls=tls))
    assert [login.encrypted for login in server.logins] == [True]
    demanded = tls == "require" or (tls is None and driver == MICROSOFT)
    if encryption == tds_messages.OFF:  # then only the login is encrypted, unless the client asks for more
        assert server.sessions[0].channel.encrypted is demanded


@pytest.mark.parametrize("tls", ["verify-full", "require"])
def test_a_server_without_tls_is_refused_where_it_was_asked_for(tds: Server, driver: str, tls: str) -> None:
    expected = ConfigError if (driver, tls) == (FREETDS, "verify-full") else OperationalError
    with pytest.raises(expected):
        DatabaseManager(tds_drivers.url(tds, driver, tls=tls)).connect(raise_errors=True)
    assert not tds.logins


@pytest.mark.parametrize(
    ("certificate", "host", "good"),
    [
        ("misnamed", "db.example", True),  # it is the name that is asked for
        ("misnamed", "other.example", False),
        ("misnamed", None, False),
        ("expired", None, False),
        ("own", None, False),
    ],
)
def test_verify_full_believes_no_other_server(
    secure: Callable[[str, int], Server], certificate: str, host: str | None, good: bool
) -> None:
    server = secure(certificate, tds_messages.ON)
    more = f"&HostNameInCertificate={host}" if host else ""
    url = tds_drivers.url(server, MICROSOFT, tls="verify-full", more=more)
    if good:
        assert opened(url)
    else:
        with pytest.raises(OperationalError, match="certificate"):
            DatabaseManager(url).connect(raise_errors=True)
    assert len(server.logins) == good


def test_strict_encryption_has_tls_around_everything(secure: Callable[[str, int], Server]) -> None:
    server = secure("misnamed", tds_messages.ON)
    assert server.tls is not None
    server.tls.maximum_version = ssl.TLSVersion.TLSv1_3
    server.tls.set_alpn_protocols(["tds/8.0"])
    more = "&Encrypt=strict&HostNameInCertificate="
    assert opened(tds_drivers.url(server, MICROSOFT, tls=None, more=f"{more}db.example"))
    assert [login.encrypted for login in server.logins] == [True]
    with pytest.raises(OperationalError, match="certificate"):
        DatabaseManager(tds_drivers.url(server, MICROSOFT, tls=None, more=f"{more}other.example")).connect(
            raise_errors=True
        )


def test_closing_the_manager_closes_its_sessions(tds: Server, driver: str) -> None:
    with DatabaseManager(tds_drivers.url(tds, driver), pool_min=3, pool_max=3) as db:
        assert db.fetch_value("SELECT 1") == 1
    assert tds.sessions
    for session in tds.sessions:
        session.join(10)
        assert not session.open


FORKING = """
import os, sys
from nexusql.manager import DatabaseManager
with DatabaseManager(sys.argv[1], pool_min=0) as db:
    db.execute("SELECT 1")
    with db.transaction() as tx:
        tx.execute("SELECT 1")
        child = os.fork()
        if not child:
            sys.exit(0)
        os.waitpid(child, 0)
        print(tx.fetch_value("SELECT 1"), end=" ")
    print(db.fetch_value("SELECT 1"))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("encryption", [tds_messages.NOT_SUPPORTED, tds_messages.ON])
def test_a_forked_child_that_ends_leaves_the_parents_sessions_alone(
    secure: Callable[[str, int], Server], driver: str, encryption: int
) -> None:
    server = secure("own", encryption)
    url = tds_drivers.url(server, driver, tls="require" if encryption == tds_messages.ON else "off")
    done = subprocess.run([sys.executable, "-c", FORKING, url], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "1 1\n", done.stderr
    assert len(server.sessions) == 1
    assert server.texts.count("COMMIT TRANSACTION") == 1
