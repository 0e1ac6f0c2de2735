"""Opening sessions: how they are set up, what is refused, and that no wait is longer than asked for."""

import io
import os
import pickle
import re
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg2
import pymysql
import pytest

import servers
from driving import Driven, driven
from nexusql import backends
from nexusql.backends import backend_for
from nexusql.backends.mssql import driver as mssql_driver
from nexusql.backends.mysql import driver as mysql_driver
from nexusql.backends.postgresql import driver as postgresql_driver
from nexusql.backends.sqlite import driver as sqlite_driver
from nexusql.config import ConnectionConfig, DatabaseType
from nexusql.errors import ConfigError, Error, InterfaceError, NotSupportedError, OperationalError
from proxy import FaultProxy

SERVERS = ("postgresql", "mysql")
DRIVER_ERRORS = {"postgresql": psycopg2.OperationalError, "mysql": pymysql.err.OperationalError}


def with_option(url: str, option: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{option}"


def connect(url: str, timeout: float = 10.0) -> Any:
    """The driver's connection, or the error as the connection layer raises it."""
    config = ConnectionConfig.from_url(url)
    session = Driven(backend_for(config), config, timeout)
    return session.__enter__().raw


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """The URL of each server in turn."""
    servers.require(request.param)
    return servers.server_url(request.param)


@pytest.fixture
def proxy(server: str) -> Iterator[FaultProxy]:
    """A proxy before it."""
    with FaultProxy.before(server) as running:
        yield running


# Time


@pytest.mark.parametrize("timeout", [0.3, 1.4])
def test_a_listener_that_never_answers_is_given_up_in_time(server: str, proxy: FaultProxy, timeout: float) -> None:
    proxy.deaf()
    started = time.monotonic()
    with pytest.raises(OperationalError, match=rf"no connection to 127\.0\.0\.1:{proxy.port} within {timeout} s"):
        connect(proxy.url(server), timeout)
    assert timeout - 0.05 < time.monotonic() - started < timeout + 0.2


def test_a_server_that_falls_silent_during_the_handshake_is_given_up_in_time(server: str, proxy: FaultProxy) -> None:
    proxy.hold(requests=False, replies=True)
    started = time.monotonic()
    with pytest.raises(OperationalError, match=r"within 0\.5 s"):
        connect(proxy.url(server), 0.5)
    assert 0.45 < time.monotonic() - started < 0.7


def test_a_handshake_a_byte_at_a_time_succeeds(server: str, proxy: FaultProxy) -> None:
    proxy.slow(most_bytes=1)
    with driven(proxy.url(server)) as session:
        assert session.value("SELECT {}", "a'b") == "a'b"


def test_a_closed_port_fails_at_once_with_the_drivers_own_class(server: str, proxy: FaultProxy) -> None:
    proxy.refuse()
    started = time.monotonic()
    kind = server.partition(":")[0]
    with pytest.raises(OperationalError, match="refused") as caught:
        connect(proxy.url(server))
    assert time.monotonic() - started < 1
    assert isinstance(caught.value, DRIVER_ERRORS[kind])


def test_a_connection_that_comes_too_late_is_closed(server: str, proxy: FaultProxy) -> None:
    proxy.slow(latency=0.3)
    with pytest.raises(OperationalError, match="within"):
        connect(proxy.url(server), 0.5)
    proxy.heal()
    deadline = time.monotonic() + 5
    while proxy.live and time.monotonic() < deadline:
        time.sleep(0.02)
    assert proxy.accepted > 0
    assert proxy.live == 0


def test_a_name_that_does_not_resolve_is_an_operational_error() -> None:
    for kind in SERVERS:
        with pytest.raises(OperationalError):
            connect(f"{kind}://root@no-such-host.invalid/test", 5)


def test_the_next_host_is_tried_where_the_first_refuses_or_is_deaf() -> None:
    servers.require("postgresql")
    server = servers.server_url("postgresql")
    config = ConnectionConfig.from_url(server)
    with FaultProxy.before(server) as proxy:
        hosts = f"127.0.0.1:{proxy.port},{config.host}:{config.port or 5432}"
        url = f"postgresql://{config.username}@{hosts}/{config.database_name}"
        proxy.refuse()
        with driven(url, 5) as session:
            assert session.value("SELECT 1") == 1
        proxy.deaf()
        started = time.monotonic()
        with driven(url, 3) as session:
            assert session.value("SELECT 1") == 1
        assert 0.5 < time.monotonic() - started < 2.5
        with driven(f"{url.replace('@', f'@127.0.0.1:{proxy.port},')}", 4) as session:
            assert session.value("SELECT 1") == 1


# Options


@pytest.mark.parametrize("kind", ["sqlite", *SERVERS, "mssql"])
def test_an_option_nobody_knows_is_refused_by_name_before_anything_is_opened(kind: str, tmp_path: Path) -> None:
    location = f"/{tmp_path}/sub/x.db" if kind == "sqlite" else "127.0.0.1:1/d"
    url = f"{kind}://{location}?frobnicate=hidden&ajar=hidden"
    with pytest.raises(ConfigError, match="has no option ajar, frobnicate") as caught:
        connect(url, 0.5)
    assert "hidden" not in str(caught.value)
    assert not (tmp_path / "sub").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://127.0.0.1:1/d?charset=gbk", "charset must be utf8mb4"),
        ("mysql://127.0.0.1:1/d?init_command=SET NAMES gbk", "no option init_command"),
        ("mysql://127.0.0.1:1/d?local_infile=1", "no option local_infile"),
        ("mysql://127.0.0.1:1/d?sql_mode=ANSI'; DROP TABLE t; --", "sql_mode must be names"),
        ("mysql://127.0.0.1:1/d?collation=gbk_bin", "collation must be one of utf8mb4"),
        ("mysql://127.0.0.1:1/d?read_timeout=never", "read_timeout must be a number of seconds"),
        ("mysql://127.0.0.1:1/d?connect_timeout=-1", "connect_timeout must be a number of seconds"),
        ("postgresql://127.0.0.1:1/d?client_encoding=latin1", "client_encoding must be UTF8"),
        ("postgresql://127.0.0.1:1/d?tls=require&sslmode=disable", "say the same"),
        ("mssql://127.0.0.1:1/d?query_timeout=never", "query_timeout must be a number of seconds"),
        ("mssql://127.0.0.1:1/d?tls=require&Encrypt=no", "are both given; use one of them"),
        ("sqlite://:memory:?journal_mode=fast", "journal_mode must be one of WAL"),
        ("sqlite://:memory:?synchronous=maybe", "synchronous must be one of"),
        ("sqlite://:memory:?busy_timeout=5s", "busy_timeout must be a whole number"),
    ],
)
def test_an_option_that_would_weaken_or_break_a_session_is_refused(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        connect(url, 0.5)


def test_an_option_that_only_a_newer_libpq_has_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    known = postgresql_driver.LIBPQ_OPTIONS | {"from_the_future"}
    monkeypatch.setattr(postgresql_driver, "LIBPQ_OPTIONS", known)
    with pytest.raises(ConfigError, match='invalid connection option "from_the_future"'):
        connect("postgresql://127.0.0.1:1/d?from_the_future=1", 0.5)


def test_databases_without_a_backend_say_so() -> None:
    for kind in (DatabaseType.DUCKDB, DatabaseType.CLOUDFLARE_D1):
        with pytest.raises(NotSupportedError, match=f"no backend for {kind.value}"):
            backend_for(ConnectionConfig(kind, ""))


@pytest.mark.parametrize(("kind", "module"), [("postgresql", "psycopg2"), ("mysql", "pymysql"), ("mssql", "pyodbc")])
def test_a_missing_driver_is_one_error_that_names_the_extra(kind: str, module: str) -> None:
    code = (
        f"import sys; sys.modules['{module}'] = None\n"
        "from nexusql.backends import backend_for\n"
        "from nexusql.config import ConnectionConfig\n"
        "from nexusql.errors import InterfaceError\n"
        f"try: backend_for(ConnectionConfig.from_url('{kind}://h/d'))\n"
        "except InterfaceError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert f"pip install nexusql[{kind}]" in done.stdout
    assert module in done.stdout


def test_a_pyodbc_without_unixodbc_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(name: str) -> ModuleType:
        assert name == "pyodbc"
        raise ImportError("libodbc.so.2: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(backends, "import_module", import_module)
    with pytest.raises(InterfaceError, match=r"pyodbc.*libodbc\.so\.2: cannot.*apt-get install unixodbc"):
        backend_for(ConnectionConfig.from_url("mssql://h/d"))


@pytest.mark.parametrize(
    ("kind", "module", "name", "value", "message"),
    [
        ("sqlite", sqlite_driver, "AT_LEAST", (99, 0), "SQLite 3.35 or later"),
        ("postgresql", postgresql_driver, "AT_LEAST", 990_000, "PostgreSQL 13 or later; the server is 1"),
        ("mysql", mysql_driver, "MARIADB_AT_LEAST", (99, 0), "or later; the server is 1"),
        *([("mssql", mssql_driver, "AT_LEAST", 99, "or later; the server is 1")] if "mssql" in servers.KINDS else []),
    ],
)
def test_a_server_that_is_too_old_is_refused(
    monkeypatch: pytest.MonkeyPatch, kind: str, module: Any, name: str, value: Any, message: str
) -> None:
    servers.require(kind)
    monkeypatch.setattr(module, name, value)
    if kind == "mysql":
        monkeypatch.setattr(module, "MYSQL_AT_LEAST", value)
    with servers.fresh_database(kind) as url, driven(url) as session:
        with pytest.raises(NotSupportedError, match=message):
            session.backend.inspect(session.raw)


# Sessions


def test_a_session_starts_in_autocommit_and_says_what_it_is(driven: Driven, kind: str) -> None:
    session = driven.backend.inspect(driven.raw)
    words = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MariaDB|MySQL", "mssql": r"SQL Server( \d{4})?"}
    version = re.escape(".".join(map(str, session.modes.version)))
    # SQL Server is known by a year; its version has a fourth number.
    assert re.fullmatch(rf"({words[kind]}) ({version}( .*)?|\({version}\.\d+\))", session.server)
    driven.run("CREATE TABLE t (a INTEGER)")
    driven.run("INSERT INTO t VALUES (1)")
    with driven_again(driven) as other:
        assert other.run("SELECT a FROM t") == [(1,)]


def driven_again(session: Driven) -> Driven:
    return Driven(session.backend, session.config)


def test_postgresql_sessions_have_a_name_and_take_libpqs_options() -> None:
    servers.require("postgresql")
    server = servers.server_url("postgresql")
    with driven(server) as session:
        assert session.value("SHOW application_name") == "nexusql"
    options = "application_name=mine&options=-cstatement_timeout%3D1234&connect_timeout=3&keepalives_idle=7"
    with driven(with_option(server, options)) as session:
        assert session.value("SHOW application_name") == "mine"
        assert session.value("SHOW statement_timeout") == "1234ms"
        assert session.value("SHOW client_encoding") == "UTF8"


def test_mysql_sessions_append_to_the_servers_modes() -> None:
    servers.require("mysql")
    server = servers.server_url("mysql")
    with servers.admin_cursor("mysql") as cursor:
        cursor.execute("SELECT @@GLOBAL.sql_mode")
        (before,) = cursor.fetchone()
    with driven(with_option(server, "sql_mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES")) as session:
        modes = set(session.value("SELECT @@sql_mode").split(","))
        asked = {*mysql_driver.SQL_MODES, "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES"}
        assert modes == {*filter(None, before.split(",")), *asked}
        found = session.backend.inspect(session.raw).modes
        assert (found.ansi_quotes, found.no_backslash_escapes) == (True, True)
        assert session.value("SELECT @@character_set_client") == "utf8mb4"
        assert session.raw._local_infile is False
    with driven(with_option(server, "charset=utf8&collation=utf8mb4_bin&read_timeout=7.5")) as session:
        assert session.value("SELECT @@character_set_client") == "utf8mb4"
        assert session.value("SELECT @@collation_connection") == "utf8mb4_bin"
        assert (session.raw._read_timeout, session.raw._write_timeout) == (7.5, None)


def test_a_password_outside_latin_1_is_sent_as_utf_8() -> None:
    servers.require("mysql")
    password = "pä€😀'"
    user = f"nx_password_{os.getpid()}"
    with servers.admin_cursor("mysql") as cursor:
        cursor.execute(f"CREATE USER {user}@'127.0.0.1' IDENTIFIED BY %s", (password,))
        cursor.execute(f"GRANT ALL ON *.* TO {user}@'127.0.0.1'")
        try:
            config = ConnectionConfig(DatabaseType.MYSQL, servers.server_url("mysql"), username=user, password=password)
            with Driven(backend_for(config), config) as session:
                assert session.value("SELECT 1") == 1
                assert password not in repr(vars(session.raw))
                assert session.raw.password == b""
        finally:
            cursor.execute(f"DROP USER {user}@'127.0.0.1'")


CANARY = "S3CR%T;{}'\"@/#"


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize("fault", ["wrong password", "refused", "deaf", "option", "no such host"])
def test_no_failure_to_connect_shows_the_password(kind: str, fault: str) -> None:
    servers.require(kind)
    url = servers.server_url(kind)
    user = "nx_nobody"
    with FaultProxy.before(url) as proxy:
        if fault == "refused":
            proxy.refuse()
        elif fault == "deaf":
            proxy.deaf()
        url = with_option(proxy.url(url), "nonsense=1") if fault == "option" else proxy.url(url)
        host = "no-such-host.invalid" if fault == "no such host" else None
        config = ConnectionConfig(DatabaseType(kind), url, username=user, password=CANARY, host=host)
        with pytest.raises(Error) as caught:
            Driven(backend_for(config), config, 0.5).__enter__()
    error = caught.value
    told = io.StringIO()
    chain: BaseException | None = error
    while chain is not None:
        told.write(repr(chain) + repr(vars(chain)) + repr(chain.args))
        chain = chain.__cause__ or chain.__context__
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    told.write("".join(report.format()))
    told.write(repr(pickle.dumps(error)))
    assert error.__traceback__ is not None
    for form in (CANARY, CANARY.replace("%", "%25"), repr(CANARY)[1:-1], "S3CR"):
        assert form not in told.getvalue()


def test_a_refused_session_tells_the_sqlstate_where_the_server_says_why() -> None:
    servers.require("postgresql")
    base = servers.server_url("postgresql")
    for user, database, sqlstate in (("nx_nobody", None, "28000"), (None, "nx_nowhere", "3D000")):
        config = ConnectionConfig(DatabaseType.POSTGRESQL, base, username=user, database_name=database)
        with pytest.raises(OperationalError) as caught:
            Driven(backend_for(config), config).__enter__()
        assert caught.value.sqlstate == sqlstate


def test_mysql_tells_its_number_where_a_session_is_refused() -> None:
    servers.require("mysql")
    config = ConnectionConfig(DatabaseType.MYSQL, servers.server_url("mysql"), database_name="nx_nowhere")
    with pytest.raises(OperationalError) as caught:
        Driven(backend_for(config), config).__enter__()
    assert (caught.value.code, caught.value.args[0]) == (1049, 1049)


# SQLite


def test_sqlite_makes_folders_and_sets_a_file_to_wal(tmp_path: Path) -> None:
    with driven(f"sqlite:///{tmp_path}/a/b/c.db") as session:
        assert session.value("PRAGMA journal_mode") == "wal"
        assert session.value("PRAGMA foreign_keys") == 0
        assert session.value("PRAGMA busy_timeout") == 30_000
        assert session.raw.isolation_level is None
        assert session.value("PRAGMA synchronous") == 2
    options = "journal_mode=delete&foreign_keys=on&busy_timeout=250&synchronous=normal&cached_statements=3"
    with driven(f"sqlite:///{tmp_path}/other.db?{options}") as session:
        assert session.value("PRAGMA journal_mode") == "delete"
        assert session.value("PRAGMA foreign_keys") == 1
        assert session.value("PRAGMA busy_timeout") == 250
        assert session.value("PRAGMA synchronous") == 1


def test_sqlite_says_what_its_databases_can() -> None:
    memory = ConnectionConfig.from_url("sqlite://:memory:")
    file = ConnectionConfig.from_url("sqlite:///x.db")
    backend = backend_for(memory)
    in_memory, in_file = backend.capabilities_for(memory), backend.capabilities_for(file)
    assert (in_memory.shared_connection, in_memory.single_writer) == (True, False)
    assert (in_file.shared_connection, in_file.single_writer) == (False, True)
    assert not in_file.session_modes


def test_a_folder_that_cannot_be_made_or_a_file_that_is_none_is_an_operational_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OperationalError):
        connect(f"sqlite:///{tmp_path}/file/x.db")
    with pytest.raises(OperationalError):
        connect(f"sqlite:///{tmp_path}")
    (tmp_path / "no.db").write_text("this is no database, but long enough to be looked at as one" * 20)
    with pytest.raises(Error, match="not a database"):
        connect(f"sqlite:///{tmp_path}/no.db")


def test_a_read_only_file_is_opened_as_it_is(tmp_path: Path) -> None:
    path = f"{tmp_path}/x.db"
    with driven(f"sqlite:///{path}?journal_mode=delete") as session:
        session.run("CREATE TABLE t (a)")
    with driven(f"sqlite:///file:{path}?mode=ro") as session:
        assert session.run("SELECT * FROM t") == []
        with pytest.raises(OperationalError, match="readonly"):
            session.run("INSERT INTO t VALUES (1)")


def test_many_open_a_new_file_at_once_while_one_writes(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from nexusql.backends import backend_for\n"
        "from nexusql.config import ConnectionConfig\n"
        "config = ConnectionConfig.from_url(sys.argv[1])\n"
        "backend = backend_for(config)\n"
        "for i in range(20):\n"
        "    raw = backend.connect(config, 20)\n"
        "    raw.execute('CREATE TABLE IF NOT EXISTS t (a)')\n"
        "    raw.execute('INSERT INTO t VALUES (1)')\n"
        "    backend.close(raw)\n"
    )
    url = f"sqlite:///{tmp_path}/new.db"
    running = [subprocess.Popen([sys.executable, "-c", code, url], stderr=subprocess.PIPE) for _ in range(6)]
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in running] == [(b"", 0)] * 6
    with driven(url) as session:
        assert session.value("SELECT COUNT(*) FROM t") == 120


def test_a_connect_does_not_wait_for_a_lock_longer_than_asked(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    with driven(f"{url}?journal_mode=delete") as holder:
        holder.run("CREATE TABLE t (a)")
        holder.run("BEGIN EXCLUSIVE")
        started = time.monotonic()
        with pytest.raises(OperationalError, match="locked"):
            connect(url, 0.3)
        assert 0.25 < time.monotonic() - started < 0.6
