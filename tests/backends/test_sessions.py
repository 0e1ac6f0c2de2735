"""What a session tells of itself, its transactions, its end, and how it is made new."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pymysql.constants import FIELD_TYPE

import kinds
import servers
from driving import Driven, driven
from kinds import itself, on_read_only
from nexusql.backends import backend_for
from nexusql.backends.base import Status
from nexusql.config import ConnectionConfig
from nexusql.errors import ConfigError, ConnectionLost, Error, LockTimeout, OperationalError, TransactionAborted
from nexusql.sql.lexical import SessionModes
from nexusql.sql.statement import Statement
from proxy import FaultProxy
from throwaway import SERVERS


@pytest.fixture(params=["postgresql", "mysql"])
def remote(request: pytest.FixtureRequest) -> Iterator[tuple[Driven, FaultProxy]]:
    """A session that goes through a proxy, on each server."""
    servers.require(request.param)
    url = servers.server_url(request.param)
    with FaultProxy.before(url) as proxy, driven(proxy.url(url)) as session:
        yield session, proxy


# Transactions


def test_status_follows_the_transaction(driven: Driven, raw: Any) -> None:
    backend = driven.backend
    driven.run("CREATE TABLE t (a INTEGER)")
    assert backend.status(raw) is Status.IDLE
    backend.begin(raw, None, False, "")
    assert backend.status(raw) is Status.ACTIVE
    driven.run("INSERT INTO t VALUES (1)")
    backend.commit(raw)
    assert backend.status(raw) is Status.IDLE
    backend.begin(raw, None, False, "")
    driven.run("INSERT INTO t VALUES (2)")
    backend.rollback(raw)
    assert backend.status(raw) is Status.IDLE
    assert driven.run("SELECT a FROM t") == [(1,)]
    backend.close(raw)
    assert backend.status(raw) is Status.UNKNOWN


def test_a_failed_statement_leaves_what_the_database_leaves(driven: Driven, raw: Any, kind: str) -> None:
    backend = driven.backend
    backend.begin(raw, None, False, "")
    with pytest.raises(Error):
        driven.run("SELECT * FROM nowhere")
    assert backend.status(raw) is (Status.FAILED if kind == "postgresql" else Status.ACTIVE)
    backend.rollback(raw)
    assert backend.status(raw) is Status.IDLE


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_committing_a_failed_transaction_is_an_error(driven: Driven, raw: Any, kind: str) -> None:
    driven.run("CREATE TABLE t (a INTEGER)")
    driven.backend.begin(raw, None, False, "")
    driven.run("INSERT INTO t VALUES (1)")
    with pytest.raises(Error):
        driven.run("SELECT nonsense")
    with pytest.raises(TransactionAborted, match="rolled the transaction back"):
        driven.backend.commit(raw)
    assert driven.backend.status(raw) is Status.IDLE
    assert driven.run("SELECT * FROM t") == []


def test_savepoints(driven: Driven, raw: Any) -> None:
    backend = driven.backend
    driven.run("CREATE TABLE t (a INTEGER)")
    backend.begin(raw, None, False, "")
    driven.run("INSERT INTO t VALUES (1)")
    backend.savepoint(raw, "one")
    driven.run("INSERT INTO t VALUES (2)")
    with pytest.raises(Error):
        driven.run("SELECT * FROM nowhere")
    backend.rollback_to(raw, "one")
    driven.run("INSERT INTO t VALUES (3)")
    backend.release(raw, "one")
    backend.commit(raw)
    assert driven.run("SELECT a FROM t ORDER BY a") == [(1,), (3,)]


LEVELS = {
    "postgresql": "SELECT current_setting('transaction_isolation')",
    "mysql": (
        "SELECT trx_isolation_level FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = CONNECTION_ID()"
    ),
    "mssql": (
        "SELECT CHOOSE(transaction_isolation_level, 'READ UNCOMMITTED', 'READ COMMITTED', 'REPEATABLE READ',"
        " 'SERIALIZABLE', 'SNAPSHOT') FROM sys.dm_exec_sessions WHERE session_id = @@SPID"
    ),
}
DEFAULT_LEVEL = {
    "sqlite": None,
    "postgresql": "READ COMMITTED",
    "mysql": "REPEATABLE READ",
    "mssql": "READ COMMITTED",
}


@itself
@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_a_transaction_has_the_isolation_asked_for_and_the_next_one_its_default(
    driven: Driven, raw: Any, kind: str, level: str
) -> None:
    driven.run("CREATE TABLE t (a INTEGER)")
    for asked, expected in ((level, level), (None, DEFAULT_LEVEL[kind])):
        driven.backend.begin(raw, asked, False, "")
        driven.run("INSERT INTO t VALUES (1)")
        if kind == "mysql":
            time.sleep(0.15)  # the server renews this view every 0.1 s
        if kind != "sqlite":
            assert driven.value(LEVELS[kind]).upper().replace("-", " ") == expected
        driven.backend.commit(raw)
    assert driven.value("SELECT COUNT(*) FROM t") == 2


@on_read_only
@pytest.mark.parametrize("end", ["commit", "rollback"])
@pytest.mark.parametrize("level", [None, "SERIALIZABLE"])
def test_a_read_only_transaction_refuses_writes_and_leaves_no_trace(
    driven: Driven, raw: Any, end: str, level: str | None
) -> None:
    driven.run("CREATE TABLE t (a INTEGER)")
    driven.backend.begin(raw, level, True, "")
    assert driven.run("SELECT * FROM t") == []
    with pytest.raises(OperationalError):
        driven.run("INSERT INTO t VALUES (1)")
    if end == "commit" and driven.backend.status(raw) is Status.ACTIVE:
        driven.backend.commit(raw)
    else:
        driven.backend.rollback(raw)
    driven.run("INSERT INTO t VALUES (2)")
    assert driven.run("SELECT a FROM t") == [(2,)]


def test_sqlite_lets_others_write_beside_a_read_only_transaction_and_nobody_beside_another(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/x.db?busy_timeout=50"
    with driven(url) as one, driven(url) as two:
        one.run("CREATE TABLE t (a)")
        one.backend.begin(one.raw, None, True, "")
        one.run("SELECT * FROM t")
        two.backend.begin(two.raw, None, False, "")
        two.run("INSERT INTO t VALUES (1)")
        with pytest.raises(LockTimeout), one.mapping():
            one.backend.rollback(one.raw)
            one.backend.begin(one.raw, None, False, "")
        assert one.backend.status(one.raw) is Status.IDLE
        two.backend.commit(two.raw)
        one.backend.begin(one.raw, None, False, "EXCLUSIVE")
        one.backend.commit(one.raw)


def test_sqlite_may_write_again_after_a_read_only_transaction_that_it_ended_itself() -> None:
    with driven("sqlite://:memory:") as session:
        session.run("CREATE TABLE t (a)")
        session.backend.begin(session.raw, None, True, "")
        session.raw.execute("ROLLBACK")  # as an error that rolls back does, behind the backend
        assert session.backend.status(session.raw) is Status.IDLE
        session.run("INSERT INTO t VALUES (1)")
        assert session.run("SELECT * FROM t") == [(1,)]


# Modes


def test_a_change_of_modes_is_seen_without_asking(driven: Driven, raw: Any, kind: str) -> None:
    backend = driven.backend
    modes = backend.inspect(raw).modes
    assert not backend.modes_changed(raw, modes)
    change = {
        "sqlite": "SELECT 1",
        "postgresql": "SET standard_conforming_strings = off",
        "mysql": "SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')",
        "mssql": "SET QUOTED_IDENTIFIER OFF",
    }[kind]
    driven.run(change)
    changed = kind != "sqlite"
    # SQL Server's driver keeps it to itself: after each SET the session is asked.
    assert backend.modes_changed(raw, modes) is (changed and kind != "mssql")
    found = backend.inspect(raw).modes
    assert (found != modes) is changed
    assert not backend.modes_changed(raw, found)
    backend.close(raw)
    assert backend.modes_changed(raw, found) is False


def test_modes_are_read_as_the_server_has_them() -> None:
    for kind in ("postgresql", "mysql"):
        servers.require(kind)
    with driven(servers.server_url("postgresql")) as session:
        modes = session.backend.inspect(session.raw).modes
        assert (modes.standard_conforming_strings, modes.flavour) == (True, "")
        session.run("SET standard_conforming_strings = off")
        assert session.backend.inspect(session.raw).modes == modes._replace(standard_conforming_strings=False)
    with driven(servers.server_url("mysql")) as session:
        modes = session.backend.inspect(session.raw).modes
        assert modes[:3] == SessionModes()[:3]
        assert modes.flavour in ("mariadb", "mysql")
        session.run("SET SESSION sql_mode = 'ANSI_QUOTES'")
        assert session.backend.inspect(session.raw).modes == modes._replace(ansi_quotes=True)
        session.run("SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'")
        assert session.backend.inspect(session.raw).modes == modes._replace(no_backslash_escapes=True)


@pytest.mark.parametrize(
    ("kind", "change", "name"),
    [
        ("postgresql", "SET client_encoding = 'GBK'", "client_encoding is GBK"),
        ("postgresql", "SELECT set_config('client_encoding', 'latin1', false)", "client_encoding is LATIN1"),
        ("mysql", "SET NAMES gbk", "character_set_client is gbk"),
        ("mysql", "SET character_set_connection = latin1", "character_set_connection is latin1"),
        ("mysql", "SET character_set_results = NULL", "character_set_results is None"),
    ],
)
def test_a_session_that_leaves_utf_8_is_refused(kind: str, change: str, name: str) -> None:
    servers.require(kind)
    with driven(servers.server_url(kind)) as session:
        modes = session.backend.inspect(session.raw).modes
        session.run(change)
        if kind == "postgresql":
            assert session.backend.modes_changed(session.raw, modes)
        with pytest.raises(ConfigError, match=name):
            session.backend.inspect(session.raw)


# Reset


def test_reset_brings_a_postgresql_session_back_to_how_it_started() -> None:
    servers.require("postgresql")
    url = f"{servers.server_url('postgresql')}?options=-cstatement_timeout%3D9000"
    with driven(url) as session, driven(url) as other:
        session.run("SET search_path = nowhere")
        session.run("SET statement_timeout = 5")
        session.run("SET standard_conforming_strings = off")
        session.run("SET DateStyle = 'German'")
        session.run("SET client_encoding = 'LATIN1'")
        session.run("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY")
        session.run("LISTEN nx_channel")
        session.run("SELECT pg_advisory_lock(pg_backend_pid())")
        session.run("PREPARE p AS SELECT 1")
        session.run("BEGIN READ WRITE")
        session.run("CREATE TEMPORARY TABLE leftover (a int)")
        other.run("NOTIFY nx_channel")
        assert session.backend.reset(session.raw)
        assert session.backend.status(session.raw) is Status.IDLE
        assert session.value("SHOW statement_timeout") == "9s"
        assert session.value("SHOW standard_conforming_strings") == "on"
        assert session.value("SHOW client_encoding") == "UTF8"
        assert session.value("SHOW DateStyle").startswith("ISO")
        assert session.value("SHOW transaction_isolation") == "read committed"
        assert session.value("SHOW transaction_read_only") == "off"
        assert "nowhere" not in session.value("SHOW search_path")
        assert session.value("SELECT to_regclass('leftover')") is None
        mine = "locktype = 'advisory' AND pid = pg_backend_pid()"
        assert session.value(f"SELECT COUNT(*) FROM pg_locks WHERE {mine}") == 0
        assert session.value("SELECT COUNT(*) FROM pg_prepared_statements") == 0
        assert session.value("SELECT COUNT(*) FROM pg_listening_channels()") == 0
        assert session.raw.notifies == []
        assert session.raw.autocommit
        assert session.backend.inspect(session.raw).modes == other.backend.inspect(other.raw).modes


def test_reset_of_a_failed_transaction_rolls_it_back() -> None:
    servers.require("postgresql")
    with driven(servers.server_url("postgresql")) as session:
        session.run("BEGIN")
        with pytest.raises(Error):
            session.run("SELECT nonsense")
        assert session.backend.reset(session.raw)
        assert session.value("SELECT 1") == 1


def test_dates_are_still_read_where_the_server_has_another_date_style() -> None:
    servers.require("postgresql")
    with servers.fresh_database("postgresql", whole=True) as url:
        name = url.rpartition("/")[2]
        with servers.admin_cursor("postgresql") as cursor:
            cursor.execute(f"ALTER DATABASE {name} SET DateStyle = 'German'")
        with driven(url) as session:
            before = session.value("SELECT DATE '2020-02-01'")
            assert before.isoformat() == "2020-02-01"
            assert session.backend.reset(session.raw)
            assert session.value("SELECT DATE '2020-02-01'") == before


def test_sessions_that_cannot_be_proved_clean_are_not_kept(tmp_path: Any) -> None:
    servers.require("mysql")
    with driven(servers.server_url("mysql")) as session:
        assert session.backend.reset(session.raw) is False
    with driven(f"sqlite:///{tmp_path}/x.db") as session:
        assert session.backend.reset(session.raw) is False


def test_an_in_memory_database_survives_its_reset() -> None:
    for url in ("sqlite://:memory:", "sqlite:///file:shared?mode=memory&cache=shared"):
        with driven(url) as session:
            session.run("CREATE TABLE t (a)")
            session.backend.begin(session.raw, None, True, "")
            assert session.backend.reset(session.raw) is True
            session.run("INSERT INTO t VALUES (1)")
            assert session.run("SELECT * FROM t") == [(1,)]


# Life and death


@pytest.mark.parametrize("kind", ["postgresql", "mysql"], indirect=True)
def test_an_idle_session_is_alive_and_a_killed_one_looks_dead(driven: Driven, raw: Any, kind: str) -> None:
    backend = driven.backend
    assert not backend.looks_dead(raw)
    assert backend.ping(raw, 1.0)
    assert not backend.looks_dead(raw)
    kill(driven, kind)
    deadline = time.monotonic() + 5
    while not backend.looks_dead(raw) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert backend.looks_dead(raw)
    assert not backend.ping(raw, 1.0)
    with pytest.raises(ConnectionLost):
        driven.run("SELECT 1")
    assert backend.status(raw) is Status.UNKNOWN
    backend.close(raw)
    assert backend.looks_dead(raw)


def test_a_closed_sqlite_connection_answers_no_ping() -> None:
    with driven("sqlite://:memory:") as session:
        assert session.backend.ping(session.raw, 1.0)
        assert not session.backend.looks_dead(session.raw)
        session.backend.close(session.raw)
        assert not session.backend.ping(session.raw, 1.0)


def kill(session: Driven, kind: str) -> None:
    """End a session from outside, and wait until the server says it is gone."""
    with servers.admin_cursor(kind) as cursor:
        if kind == "postgresql":
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (session.raw.get_backend_pid(),))
        else:
            cursor.execute(f"KILL {session.raw.thread_id()}")


def test_looking_for_life_costs_no_round_trip(remote: tuple[Driven, FaultProxy]) -> None:
    session, proxy = remote
    sent = proxy.sent
    started = time.perf_counter()
    for _ in range(1000):
        assert not session.backend.looks_dead(session.raw)
    assert time.perf_counter() - started < 0.1
    assert proxy.sent == sent


@pytest.mark.parametrize("seconds", [0.05, 0.5])
def test_a_ping_of_a_silent_server_ends_in_time(remote: tuple[Driven, FaultProxy], seconds: float) -> None:
    session, proxy = remote
    proxy.hold()
    started = time.monotonic()
    assert not session.backend.ping(session.raw, seconds)
    assert seconds * 0.9 < time.monotonic() - started < seconds + 0.2
    assert session.backend.looks_dead(session.raw)
    proxy.heal()
    assert not session.backend.ping(session.raw, 0.5)


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_ping_of_a_frozen_server_ends_in_time(kind: str) -> None:
    with SERVERS[kind]() as server, driven(server.url) as session, driven(server.url) as other:
        assert session.backend.ping(session.raw, 1.0)
        server.freeze()
        time.sleep(0.2)  # until all its threads have stopped
        try:
            started = time.monotonic()
            assert not session.backend.ping(session.raw, 0.3)
            assert time.monotonic() - started < 0.6
            started = time.monotonic()
            other.backend.close(other.raw)
            assert time.monotonic() - started < 1.5
        finally:
            server.thaw()
        assert not session.backend.ping(session.raw, 1.0)


def test_closing_a_session_that_another_thread_waits_on_does_not_wait(remote: tuple[Driven, FaultProxy]) -> None:
    session, proxy = remote
    proxy.hold(requests=False, replies=True)
    failures: list[BaseException] = []

    def wait() -> None:
        try:
            session.run("SELECT 1")
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.2)
    started = time.monotonic()
    session.backend.close(session.raw)
    assert time.monotonic() - started < 1.5
    thread.join(5)
    assert not thread.is_alive()
    assert [isinstance(failure, ConnectionLost) for failure in failures] == [True]


def test_closing_a_sqlite_connection_interrupts_what_runs_on_it() -> None:
    with driven("sqlite://:memory:") as session:
        failures: list[BaseException] = []

        def wait() -> None:
            try:
                session.run("WITH RECURSIVE t(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM t) SELECT max(a) FROM t")
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.2)
        session.backend.close(session.raw)
        thread.join(5)
        assert not thread.is_alive()
        assert isinstance(failures[0], (OperationalError, ConnectionLost))


def test_closing_twice_or_after_the_peer_is_gone_is_no_error(remote: tuple[Driven, FaultProxy]) -> None:
    session, proxy = remote
    proxy.cut(reset=True)
    session.backend.close(session.raw)
    session.backend.close(session.raw)
    assert session.backend.looks_dead(session.raw)


@pytest.mark.parametrize("reset", [True, False])
def test_a_connection_cut_under_a_statement_is_lost(remote: tuple[Driven, FaultProxy], reset: bool) -> None:
    session, proxy = remote
    sprung = proxy.drop_reply(b"SELECT 'cut here'", reset=reset)
    with pytest.raises(ConnectionLost):
        session.run("SELECT 'cut here'")
    assert sprung.is_set()
    with pytest.raises(ConnectionLost):
        session.run("SELECT 1")


def test_replies_a_byte_at_a_time_are_read_right(remote: tuple[Driven, FaultProxy]) -> None:
    session, proxy = remote
    proxy.slow(most_bytes=1)
    assert session.run("SELECT {}, {}", "a" * 300, b"\x00\xff")[0][0] == "a" * 300


@pytest.mark.parametrize("kind", ["postgresql", "mysql"], indirect=True)
def test_no_descriptor_is_left_open(driven: Driven, kind: str) -> None:

    def descriptors() -> int:
        probe, other = socket.socketpair()
        with probe, other:
            return max(probe.fileno(), other.fileno())

    before = descriptors()
    for _ in range(20):
        assert driven.backend.ping(driven.raw, 1.0)
        raw = driven.backend.connect(driven.config, 5.0)
        driven.backend.close(raw)
    assert descriptors() <= before + 2


# The catalogue


def test_tables_of_the_current_schema_are_listed_by_name(driven: Driven, kind: str) -> None:
    text = driven.backend.list_tables_sql()
    assert driven.run(text) == []
    quote = kinds.QUOTE[kind]
    for name in ("zebra", "Apple", "sqlites", "odd 'name"):
        driven.run(f"CREATE TABLE {quote}{name}{quote} (a INTEGER)")
    driven.run("CREATE VIEW looks AS SELECT * FROM zebra")
    driven.run(f"{kinds.TEMPORARY[kind].format('passing')} (a INTEGER)")
    cursor = driven.backend.execute(driven.raw, text, None)
    assert [column[0] for column in cursor.description] == ["name"]
    names = [name for (name,) in cursor.fetchall()]
    assert sorted(names) == ["Apple", "odd 'name", "sqlites", "zebra"]
    assert names == sorted(names) or names == sorted(names, key=str.lower)


def test_column_types_are_the_catalogues(driven: Driven, kind: str) -> None:
    truth = "BIT" if kind == "mssql" else "BOOLEAN"
    driven.run(f"CREATE TABLE Things (Id INTEGER, name VARCHAR(20), flag {truth})")
    expected = {
        "sqlite": {"Id": "INTEGER", "name": "VARCHAR(20)", "flag": "BOOLEAN"},
        "postgresql": {"id": "integer", "name": "character varying", "flag": "boolean"},
        "mysql": {"Id": "int", "name": "varchar", "flag": "tinyint"},
        "mssql": {"Id": "int", "name": "varchar", "flag": "bit"},
    }[kind]
    types = driven.backend.column_types
    assert types(driven.raw, "Things") == expected
    assert types(driven.raw, "nothing") == {}
    for unreadable in ("a..b", "", 'U&"x"', "a.b.c.d"):
        assert types(driven.raw, unreadable) == {}
    schema = driven.value(kinds.SCHEMA[kind])
    assert types(driven.raw, f"{schema}.Things") == expected
    assert types(driven.raw, f"nowhere_{schema}.Things") == {}
    if kind == "postgresql":
        assert types(driven.raw, '"Things"') == {}
        driven.run('CREATE TABLE "a.""b" ("X y" bigint[], z numeric(10, 2))')
        assert types(driven.raw, '"a.""b"') == {"X y": "bigint[]", "z": "numeric"}
        assert types(driven.raw, f'test.{schema}."a.""b"') == {"X y": "bigint[]", "z": "numeric"}
        driven.run("CREATE DOMAIN flag AS integer")
        driven.run("CREATE TABLE d (a flag, gone int, kept int)")
        driven.run("ALTER TABLE d DROP COLUMN gone")
        assert types(driven.raw, "d") == {"a": "integer", "kept": "integer"}
        driven.run("CREATE TEMPORARY TABLE Things (other text)")
        assert types(driven.raw, "things") == {"other": "text"}
        assert driven.backend.status(driven.raw) is Status.IDLE


# What spreads to other sessions


@pytest.mark.parametrize(
    ("text", "setting"),
    [
        ("PRAGMA foreign_keys = ON", "PRAGMA foreign_keys = ON"),
        ("pragma foreign_keys=off;", "PRAGMA foreign_keys = off"),
        ("/* on */ PRAGMA main.foreign_keys(1)", "PRAGMA foreign_keys = 1"),
        ("PRAGMA foreign_keys = 'yes'", "PRAGMA foreign_keys = yes"),
        ("PRAGMA foreign_keys", None),
        ("PRAGMA table_info(t)", None),
        ("PRAGMA foreign_key_check(t)", None),
    ],
)
def test_foreign_keys_are_a_setting_for_all_sessions_on_sqlite(text: str, setting: str | None) -> None:
    with driven("sqlite://:memory:") as session:
        statement = Statement(text, text, verb="PRAGMA")
        assert session.backend.session_setting(statement) == setting
        if setting:
            session.run(setting)


def test_no_statement_is_a_setting_for_all_sessions_on_a_server(driven: Driven) -> None:
    statement = Statement("SET x = 1", "SET x = 1", verb="SET")
    assert driven.backend.session_setting(statement) is None


def test_a_reply_that_cannot_be_read_ends_the_session_on_mysql() -> None:
    servers.require("mysql")
    with driven(servers.server_url("mysql")) as session:

        def refuse(data: str) -> None:
            raise ValueError("not what was expected")

        session.raw.decoders[FIELD_TYPE.LONGLONG] = refuse
        with pytest.raises(Error, match="not what was expected"):
            session.run("SELECT CAST(a AS SIGNED) FROM (SELECT 1 AS a UNION ALL SELECT 2) AS t")
        assert session.backend.status(session.raw) is Status.UNKNOWN
        with pytest.raises(ConnectionLost):
            session.run("SELECT 'rest'")


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_json_loads_reads_json_columns(config: ConnectionConfig) -> None:
    backend = backend_for(config, json_loads=lambda text: ("read", text))
    with Driven(backend, config) as session:
        assert session.run("SELECT '[1]'::json, '[2]'::jsonb") == [(("read", "[1]"), ("read", "[2]"))]
        assert session.value("SELECT ARRAY['3'::jsonb]") == [("read", "3")]
    with driven(config.database_url) as session:
        assert session.value("SELECT '[1]'::jsonb") == [1]


@pytest.mark.parametrize("kind", ["mysql"], indirect=True)
@pytest.mark.parametrize("inner", [True, False])
def test_a_routine_that_sets_another_mode_changes_nothing_about_quoting(driven: Driven, inner: bool) -> None:
    """The server gives its caller's mode back when a routine ends, but not the flag that PyMySQL escapes by."""
    append = "SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')"
    remove = "SET SESSION sql_mode = REPLACE(@@sql_mode, 'NO_BACKSLASH_ESCAPES', '')"
    driven.run(remove if inner else append)
    driven.run(f"CREATE PROCEDURE p() {append if inner else remove}")
    driven.run(f"CREATE FUNCTION f() RETURNS INT BEGIN {append if inner else remove}; RETURN 1; END")
    modes = driven.backend.inspect(driven.raw).modes
    assert modes.no_backslash_escapes is not inner
    for call in ("CALL p()", "DO f()", "SELECT f()", "SET @a = f()"):
        driven.run(call)
        for value in ("\\", "'", "\\' , 'x' -- ", "a\\b\x00"):
            assert driven.run("SELECT {}", value) == [(value,)]
        assert driven.backend.inspect(driven.raw).modes == modes
