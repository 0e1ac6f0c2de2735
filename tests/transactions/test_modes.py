"""Sessions whose servers come to read text otherwise: a bound value stays a value, whoever changed the mode and how.

Both drivers paste values into the SQL, by what they believe the session's modes are (see docs/SECURITY_MODEL.md).
"""

from collections.abc import Iterator
from contextlib import suppress

import pytest

import servers
from nexusql import DatabaseManager
from nexusql.errors import ConfigError, ConnectionLost, DataError, Error, TransactionAborted
from nexusql.transaction import Transaction

pytestmark = pytest.mark.filterwarnings("ignore::nexusql.errors.TranslationWarning")

HOSTILE = (
    "\\' OR 1=1 -- ",
    "\\'); DROP TABLE canary; -- ",
    "'); DROP TABLE canary; -- ",
    '" OR 1=1 #',
    '\\" OR 1=1 #',
    "\N{CJK UNIFIED IDEOGRAPH-7E17}\\' OR 1=1 -- ",
    "\xbf\\' OR 1=1 -- ",
    "ends in \\",
    b"\\' OR 1=1 -- \x00\xbf'",
)
CHANGES = (
    "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'",
    "SET SESSION sql_mode = 'ANSI_QUOTES'",
    "SET SESSION sql_mode = ''",
    "SET NAMES gbk",
)


def assert_values_stay_values(db: DatabaseManager | Transaction) -> None:
    """What is bound comes back as it was; a session that can no longer be served says so instead."""
    for value in HOSTILE:
        try:
            rows = db.execute("SELECT :v AS v, 'a\\b' AS w", {"v": value})
        except (ConfigError, ConnectionLost, TransactionAborted, DataError):
            continue
        assert [list(row) for row in rows] == [["v", "w"]]
        found = rows[0]["v"]
        assert (bytes(found) if isinstance(value, bytes) else found) == value


def ways(body: str) -> list[str]:
    """Statements by which MySQL or MariaDB may run a SET, on their way or failing after it."""
    quoted = body.replace("'", "''")
    fail = "SIGNAL SQLSTATE '45000'"
    return [
        body,
        f"/*!50000 {body} */",
        f"EXECUTE IMMEDIATE '{quoted}'",
        f"BEGIN NOT ATOMIC {body}; END",
        f"BEGIN NOT ATOMIC {body}; {fail}; END",
        f"BEGIN NOT ATOMIC EXECUTE IMMEDIATE '{quoted}'; {fail}; END",
        f"IF 1 THEN {body}; END IF",
        f"CASE 1 WHEN 1 THEN {body}; END CASE",
        f"FOR i IN 1..1 DO {body}; END FOR",
        f"SET STATEMENT max_statement_time = 9 FOR {body}",
    ]


@pytest.fixture
def mariadb() -> Iterator[str]:
    servers.require("mysql")
    with servers.fresh_database("mysql") as url:
        with DatabaseManager(url) as db:
            if "MariaDB" not in db.fetch_value("SELECT VERSION()"):
                pytest.skip("MySQL has none of these statements")
            db.execute("CREATE TABLE canary (v INTEGER)")
        yield url


@pytest.mark.parametrize("body", CHANGES)
@pytest.mark.parametrize("start", ["", "NO_BACKSLASH_ESCAPES"])
def test_whatever_sets_a_mode_on_mariadb_no_value_becomes_sql(mariadb: str, body: str, start: str) -> None:
    url = f"{mariadb}{'&' if '?' in mariadb else '?'}sql_mode={start}" if start else mariadb
    with DatabaseManager(url) as admin:
        admin.execute(f"CREATE PROCEDURE sets() BEGIN {body}; END")
        admin.execute(f"CREATE PROCEDURE fails() BEGIN {body}; SIGNAL SQLSTATE '45000'; END")
        admin.execute(f"CREATE FUNCTION f() RETURNS INTEGER BEGIN {body}; RETURN 1; END")
        admin.execute(f"CREATE TRIGGER t BEFORE INSERT ON canary FOR EACH ROW BEGIN {body}; END")
    statements = [*ways(body), "CALL sets()", "CALL fails()", "SELECT f()", "INSERT INTO canary (v) VALUES (1)"]
    for statement in statements:
        with DatabaseManager(url, pool_max=1) as db:
            for target in (db, None):
                try:
                    if target is not None:
                        target.execute(statement)
                        assert_values_stay_values(target)
                    else:
                        with db.transaction() as tx:
                            try:
                                tx.execute(statement)
                            finally:
                                assert_values_stay_values(tx)
                except Error:
                    assert_values_stay_values(db)
            assert_values_stay_values(db)
            assert db.table_exists("canary")


@pytest.mark.parametrize("start", ["on", "off"])
def test_whatever_sets_a_mode_on_postgresql_no_value_becomes_sql(start: str) -> None:
    servers.require("postgresql")
    with servers.fresh_database("postgresql") as url:
        assert "options=" in url
        url = url.replace("options=", f"options=-cstandard_conforming_strings%3D{start}%20")
        for name, value in (
            ("standard_conforming_strings", "off"),
            ("standard_conforming_strings", "on"),
            ("client_encoding", "gbk"),
        ):
            with DatabaseManager(url) as admin:
                admin.execute("DROP TABLE IF EXISTS canary")
                admin.execute("CREATE TABLE canary (v INTEGER)")
                admin.execute(
                    "CREATE OR REPLACE FUNCTION f() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN "
                    f"PERFORM set_config('{name}', '{value}', false); RETURN 1; END $$"
                )
                admin.execute(
                    "CREATE OR REPLACE PROCEDURE fails() LANGUAGE plpgsql AS $$ BEGIN "
                    f"SET {name} = '{value}'; COMMIT; RAISE 'x'; END $$"
                )
            for statement in (
                f"SET {name} = '{value}'",
                f"SET LOCAL {name} = '{value}'",
                f"SELECT set_config('{name}', '{value}', false)",
                f"DO $$ BEGIN SET {name} = '{value}'; END $$",
                f"UPDATE pg_settings SET setting = '{value}' WHERE name = '{name}'",
                "SELECT f()",
                "CALL fails()",
            ):
                with DatabaseManager(url, pool_max=1) as db:
                    with suppress(Error):
                        db.execute(statement)
                    assert_values_stay_values(db)
                    try:
                        with db.transaction() as tx:
                            tx.execute(statement)
                            assert_values_stay_values(tx)
                    except Error:
                        assert_values_stay_values(db)
                    assert_values_stay_values(db)
                    assert db.table_exists("canary")


def test_a_plan_made_for_other_modes_is_made_again(mariadb: str) -> None:
    with DatabaseManager(mariadb) as db:
        plain = "SELECT 'a\\\\' AS a, :v AS v"
        assert db.execute(plain, {"v": "'"}) == [{"a": "a\\", "v": "'"}]
        with db.transaction() as tx:
            tx.execute("SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'")
            assert tx.execute(plain, {"v": "\\'"}) == [{"a": "a\\\\", "v": "\\'"}]
            assert db.execute(plain, {"v": "\\"}) == [{"a": "a\\\\", "v": "\\"}]
        assert db.execute(plain, {"v": "'"}) == [{"a": "a\\", "v": "'"}]


def test_the_next_user_finds_the_session_as_it_was(db: DatabaseManager, kind: str) -> None:
    if kind == "sqlite":
        pytest.skip("see test_session_settings")
    settings = {
        "postgresql": ("SET statement_timeout = 12345", "SHOW statement_timeout"),
        "mysql": ("SET SESSION wait_timeout = 12345", "SELECT @@SESSION.wait_timeout AS v"),
        "mssql": ("SET LOCK_TIMEOUT 12345", "SELECT @@LOCK_TIMEOUT AS v"),
    }
    change, ask = settings[kind]
    before = db.fetch_value(ask)
    db.execute(change)
    assert db.fetch_value(ask) == before
    with db.transaction():
        db.execute(change)
        assert db.fetch_value(ask) != before
    assert db.fetch_value(ask) == before
    failing = {
        "postgresql": "DO $$ BEGIN SET statement_timeout = 12345; COMMIT; RAISE 'x'; END $$",
        "mysql": "BEGIN NOT ATOMIC SET SESSION wait_timeout = 12345; SIGNAL SQLSTATE '45000'; END",
        "mssql": "IF 1 = 1 BEGIN SET LOCK_TIMEOUT 12345; THROW 50000, 'no', 1; END",
    }[kind]
    with pytest.raises(Error):
        db.execute(failing)
    assert [db.fetch_value(ask) for _ in range(3)] == [before] * 3


def test_who_changes_the_encoding_in_a_function_is_told_and_not_the_next_user(db: DatabaseManager, kind: str) -> None:
    if kind != "postgresql":
        pytest.skip("elsewhere a function's caller has its own character set again")
    db.execute(
        "CREATE FUNCTION f() RETURNS integer LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM set_config('client_encoding', 'gbk', false); RETURN 1; END $$"
    )
    db.execute("SELECT f()")
    for _ in range(3):
        assert_values_stay_values(db)
        assert db.fetch_value("SHOW client_encoding") == "UTF8"
    with pytest.raises(Error), db.transaction():
        db.execute("SELECT f()")
        with pytest.raises(ConfigError, match="client_encoding is GBK"):
            db.execute("SELECT 1")
    assert db.fetch_value("SHOW client_encoding") == "UTF8"
