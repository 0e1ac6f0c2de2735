"""The backend on a SQL Server, where NEXUSQL_TEST_MSSQL_URL names one: what no stand-in can tell."""

import threading
import uuid
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

import servers
from nexusql import errors
from nexusql.manager import DatabaseManager
from translating import Databases, databases

pytestmark = pytest.mark.skipif("mssql" not in servers.KINDS, reason="NEXUSQL_TEST_MSSQL_URL names no SQL Server")
itself = pytest.mark.mssql_itself


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A database for the module."""
    servers.require("mssql")
    with servers.fresh_database("mssql") as made:
        yield made


@pytest.fixture
def db(url: str) -> Iterator[DatabaseManager]:
    """A manager on a database in which the test's tables are dropped before it."""
    with DatabaseManager(url) as manager:
        for name in manager.list_tables():
            manager.execute(f"DROP TABLE {name}")
        yield manager


ROW: dict[str, Any] = {
    "n": 2**31 - 1,
    "big": -(2**63),
    "ok": True,
    "text": "it's ü 😀 [x] ? :x % \\ --",
    "short": "ü" * 20,
    "blob": bytes(range(256)),
    "amount": Decimal("-12345678.90"),
    "ratio": 0.1,
    "day": date(9999, 12, 31),
    "clock": time(23, 59, 59, 999999),
    "at": datetime(2024, 2, 29, 1, 2, 3, 456789),
    "uid": str(uuid.UUID(int=2**127 + 5)),
    "doc": '{"a": [1, "ü"]}',
}
TABLE = (
    "CREATE TABLE kinds (id SERIAL PRIMARY KEY, n INTEGER, big BIGINT, ok BOOLEAN, text TEXT, short VARCHAR(20),"
    " blob BYTEA, amount NUMERIC(10, 2), ratio DOUBLE PRECISION, day DATE, clock TIME, at TIMESTAMP, uid UUID,"
    " doc JSONB)"
)


@pytest.mark.parametrize("way", ["insert", "execute", "bulk_insert"])
@pytest.mark.parametrize("row", [ROW, dict.fromkeys(ROW), {**ROW, "text": "", "blob": b"", "short": " "}])
def test_values_come_back(db: DatabaseManager, way: str, row: dict[str, Any]) -> None:
    db.execute(TABLE)
    if way == "insert":
        assert db.insert("kinds", row) == 1
    elif way == "execute":
        names = ", ".join(row)
        db.execute(f"INSERT INTO kinds ({names}) VALUES ({', '.join(f':{name}' for name in row)})", row)
    else:
        assert db.bulk_insert("kinds", [row]).rowcount == 1
    (found,) = db.execute(f"SELECT {', '.join(row)} FROM kinds")
    assert found == row


def test_a_megabyte_comes_back(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE large (a TEXT, b BYTEA)")
    row = {"a": "ü😀x" * 300_000, "b": bytes(1_000_000)}
    db.insert("large", row)
    db.bulk_insert("large", [row])
    assert db.execute("SELECT a, b FROM large") == [row, row]


def test_moments_with_a_zone(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE moments (a TIMESTAMPTZ, b TIMESTAMP)")
    moment = datetime(2024, 1, 1, 12, 30, 1, 5, tzinfo=timezone(timedelta(hours=2)))
    db.insert("moments", {"a": moment, "b": moment})
    (found,) = db.execute("SELECT a, b FROM moments")
    assert found["a"] == moment
    assert found["b"] == datetime(2024, 1, 1, 10, 30, 1, 5)


def test_text_in_a_varchar_column_is_found_by_its_index(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE narrow (id INT PRIMARY KEY, v VARCHAR(20) COLLATE SQL_Latin1_General_CP1_CI_AS)")
    db.execute("ALTER TABLE narrow ALTER COLUMN v VARCHAR(20)")
    db.execute("INSERT INTO narrow (id, v) VALUES (1, 'abc')")
    for value in ("abc", "ü", "abc"):
        assert len(db.execute("SELECT id FROM narrow WHERE v = :v", {"v": value})) == (value == "abc")


def test_defaults_and_keys(db: DatabaseManager) -> None:
    db.execute(
        "CREATE TABLE IF NOT EXISTS d (id INTEGER PRIMARY KEY, u UUID DEFAULT gen_random_uuid(),"
        " ok BOOLEAN DEFAULT TRUE, at TIMESTAMP DEFAULT NOW(), j JSONB DEFAULT '{}'::jsonb, slug VARCHAR(20) UNIQUE)"
    )
    db.execute("CREATE TABLE IF NOT EXISTS d (id INTEGER PRIMARY KEY)")
    assert db.insert("d", {"slug": None}) == 1
    assert db.insert("d", {"slug": None}) == 2
    assert db.insert("d", {"id": 77, "slug": "x"}) == 77
    with pytest.raises(errors.UniqueViolation):
        db.insert("d", {"slug": "x"})
    (row,) = db.execute("SELECT u, ok, at, j FROM d WHERE id = 1")
    assert uuid.UUID(row["u"]).version == 4
    assert (row["ok"], row["j"]) == (True, "{}")
    db.execute("DROP TABLE d")
    db.execute("CREATE TABLE d (id INTEGER PRIMARY KEY, a INTEGER)")
    assert db.insert("d", {"a": 1}) == 1


def test_a_value_for_a_numbered_column_is_taken_by_every_call(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE numbered (id SERIAL PRIMARY KEY, a VARCHAR(20))")
    db.execute("INSERT INTO numbered (id, a) VALUES (:id, :a)", {"id": 10, "a": "ü"})
    assert db.insert("numbered", {"id": 20, "a": "b"}) == 20
    assert db.bulk_insert("numbered", [{"id": 30, "a": "c"}, {"id": 31, "a": "d"}]).rowcount == 2
    assert db.fetch_value("INSERT INTO numbered (id, a) VALUES (40, 'e') RETURNING id") == 40
    db.execute("INSERT INTO numbered (id, a) VALUES (40, 'f') ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a")
    with pytest.raises(errors.UniqueViolation):
        db.execute("INSERT INTO numbered (id, a) VALUES (40, 'g')")
    assert db.insert("numbered", {"a": "h"}) == 41
    with db.transaction() as tx:
        tx.execute("INSERT INTO numbered (id, a) VALUES (50, 'i')")
        assert tx.insert("numbered", {"a": "j"}) == 51
    assert db.fetch_value("SELECT a FROM numbered WHERE id = 40") == "f"


def test_a_unique_key_with_null_is_dropped_as_a_constraint(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE keyed (a INTEGER, b INTEGER NOT NULL, CONSTRAINT ua UNIQUE (a), CONSTRAINT ub UNIQUE (b))")
    for name in ("ua", "ub"):
        with pytest.raises(errors.UniqueViolation):
            db.bulk_insert("keyed", [{"a": 1, "b": 1}, {"a": 1, "b": 1}])
        db.execute(f"ALTER TABLE keyed DROP CONSTRAINT {name}")
        db.execute(f"ALTER TABLE keyed DROP CONSTRAINT IF EXISTS {name}")
    assert db.bulk_insert("keyed", [{"a": 1, "b": 1}, {"a": 1, "b": 1}]).rowcount == 2


def test_definitions_can_be_run_again(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE a (id SERIAL PRIMARY KEY, n INTEGER DEFAULT 5)")
    db.execute("INSERT INTO a DEFAULT VALUES")
    for _ in range(2):
        db.execute("CREATE TABLE IF NOT EXISTS a (id SERIAL PRIMARY KEY)")
        db.execute("CREATE INDEX IF NOT EXISTS a_n ON a (n)")
        db.execute("ALTER TABLE a ADD COLUMN IF NOT EXISTS m INTEGER DEFAULT 7")
    assert db.execute("SELECT n, m FROM a") == [{"n": 5, "m": 7}]
    db.execute("ALTER TABLE a ALTER COLUMN m SET DEFAULT 8")
    db.execute("ALTER TABLE a RENAME COLUMN m TO k")
    assert db.execute("INSERT INTO a DEFAULT VALUES RETURNING k") == [{"k": 8}]
    for _ in range(2):
        db.execute("DROP INDEX IF EXISTS a_n")
        db.execute("ALTER TABLE a DROP COLUMN IF EXISTS k")
    db.execute("ALTER TABLE a RENAME TO b")
    assert db.list_tables() == ["b"]
    with pytest.raises(errors.UndefinedTable):
        db.execute("DROP INDEX a_n")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("INSERT INTO child (parent) VALUES (9)", errors.ForeignKeyViolation),
        ("DELETE FROM parent", errors.ForeignKeyViolation),
        ("INSERT INTO parent (id, n) VALUES (1, 5)", errors.UniqueViolation),
        ("INSERT INTO parent (id, n) VALUES (2, NULL)", errors.NotNullViolation),
        ("INSERT INTO parent (id, n) VALUES (2, -1)", errors.CheckViolation),
        ("INSERT INTO parent (id, n, s) VALUES (2, 1, 'too long')", errors.DataError),
        ("SELECT CAST('x' AS INT)", errors.DataError),
        ("SELECT 1 / 0", errors.DataError),
        ("SELECT nothing FROM parent", errors.UndefinedColumn),
        ("SELECT 1 FROM nowhere", errors.UndefinedTable),
        ("SELEC 1", errors.ProgrammingError),
        ("SELECT FROM WHERE", errors.SQLSyntaxError),
        ("CREATE TABLE parent (id INT)", errors.ProgrammingError),
    ],
)
def test_errors(db: DatabaseManager, sql: str, expected: type[errors.Error]) -> None:
    db.execute("CREATE TABLE parent (id INT PRIMARY KEY, n INT NOT NULL CHECK (n > 0), s VARCHAR(3))")
    db.execute("CREATE TABLE child (parent INT REFERENCES parent (id))")
    db.execute("INSERT INTO parent (id, n) VALUES (1, 1)")
    db.execute("INSERT INTO child (parent) VALUES (1)")
    with pytest.raises(expected):
        db.execute(sql)
    with pytest.raises(expected):
        with db.transaction() as tx:
            tx.execute(sql)
    assert db.fetch_value("SELECT COUNT(*) FROM parent") == 1


def test_a_transaction_after_an_error_goes_on_or_is_doomed_as_the_server_says(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE t (a INT PRIMARY KEY)")
    with db.transaction() as tx:
        tx.execute("INSERT INTO t (a) VALUES (1)")
        with pytest.raises(errors.UniqueViolation):
            with tx.transaction():
                tx.execute("INSERT INTO t (a) VALUES (1)")
        tx.execute("INSERT INTO t (a) VALUES (2)")
    assert db.fetch_value("SELECT COUNT(*) FROM t") == 2
    with pytest.raises(errors.TransactionAborted):
        with db.transaction() as tx:
            tx.execute("INSERT INTO t (a) VALUES (3)")
            with pytest.raises(errors.DataError):
                tx.execute("INSERT INTO t (a) SELECT CAST('x' AS INT)")  # ends the batch, and the transaction
            tx.execute("INSERT INTO t (a) VALUES (4)")
    assert db.fetch_value("SELECT COUNT(*) FROM t") == 2


@itself
def test_a_deadlock_is_run_again(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT)")
    db.execute("INSERT INTO t (id, n) VALUES (1, 0), (2, 0)")
    both = threading.Barrier(2, timeout=20)
    failures: list[BaseException] = []

    def work(first: int, second: int) -> None:
        tries = iter(range(10))

        def move(tx: Any) -> None:
            tx.execute("UPDATE t SET n = n + 1 WHERE id = :id", {"id": first})
            if next(tries) == 0:
                both.wait()
            tx.execute("UPDATE t SET n = n + 1 WHERE id = :id", {"id": second})

        try:
            db.run_in_transaction(move)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert db.execute("SELECT n FROM t ORDER BY id") == [{"n": 2}, {"n": 2}]


@itself
def test_upserts(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE u (id INT PRIMARY KEY, name VARCHAR(20) UNIQUE, n INT DEFAULT 0)")
    sql = (
        "INSERT INTO u (id, name) VALUES (:id, :name) ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, n = u.n + 1"
        " RETURNING n"
    )
    assert db.execute(sql, {"id": 1, "name": "a"}) == [{"n": 0}]
    assert db.execute(sql, {"id": 1, "name": "ü"}) == [{"n": 1}]
    assert db.execute("INSERT INTO u (id, name) VALUES (1, 'z') ON CONFLICT (id) DO NOTHING") == []
    assert db.execute("INSERT INTO u (id, name) VALUES (9, 'ü') ON CONFLICT DO NOTHING") == []
    assert db.execute("SELECT id, name, n FROM u") == [{"id": 1, "name": "ü", "n": 1}]


def test_returning_with_and_without_a_trigger(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE r (id SERIAL PRIMARY KEY, a INT)")
    for triggered in (False, True):
        if triggered:
            db.execute("CREATE TRIGGER r_t ON r AFTER INSERT, UPDATE, DELETE AS BEGIN SET NOCOUNT ON; END")
        (row,) = db.execute("INSERT INTO r (a) VALUES (:a) RETURNING id, a + 1 AS b", {"a": 1})
        assert row["b"] == 2
        assert db.execute("UPDATE r SET a = 7 WHERE id = :id RETURNING a", {"id": row["id"]}) == [{"a": 7}]
        assert db.execute("DELETE FROM r WHERE id = :id RETURNING id", {"id": row["id"]}) == [{"id": row["id"]}]
        assert db.insert("r", {"a": 3}) == row["id"] + 1
        assert len(db.bulk_insert("r", [{"a": 1}, {"a": 2}], returning="id").ids) == 2
        db.execute("DELETE FROM r")


def test_bulk_writes(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE b (id SERIAL PRIMARY KEY, name VARCHAR(50), n NUMERIC(10, 2), at TIMESTAMP, blob BYTEA)")
    rows = [
        {"name": f"ü{n}" if n % 7 else None, "n": Decimal(n) / 4, "at": datetime(2024, 1, 1), "blob": b"x" * (n % 3)}
        for n in range(5000)
    ]
    assert db.bulk_insert("b", rows).rowcount == 5000
    assert db.execute("SELECT name, n, at, blob FROM b ORDER BY id") == rows
    assert db.bulk_insert("b", [{"id": 9000, "name": "given"}]).rowcount == 1
    result = db.bulk_insert("b", [{"name": "x" * size} for size in (1, 60, 50)], on_error="report")
    assert (result.rowcount, [bad.index for bad in result.errors]) == (2, [1])


@itself
def test_what_an_upsert_leaves_to_the_database(db: DatabaseManager) -> None:
    db.execute(
        "CREATE TABLE g (id SERIAL PRIMARY KEY, tenant INT NOT NULL DEFAULT 1, a VARCHAR(20) NOT NULL, n INT DEFAULT 5,"
        " UNIQUE (tenant, a))"
    )
    options: dict[str, Any] = {"on_conflict": "update", "conflict_columns": ["tenant", "a"], "returning": "id"}
    first = db.bulk_insert("g", [{"a": "x", "n": 1}, {"a": "y", "n": 2}], **options)
    again = db.bulk_insert("g", [{"a": "x"}, {"a": "z"}], update_columns=["n"], **options)
    assert again.ids[0] == first.ids[0]
    assert db.execute("SELECT a, tenant, n FROM g ORDER BY a") == [
        {"a": "x", "tenant": 1, "n": 5},
        {"a": "y", "tenant": 1, "n": 2},
        {"a": "z", "tenant": 1, "n": 5},
    ]
    assert len(set(db.bulk_insert("g", [{"a": "v"}, {"a": "w"}], on_conflict="update", returning="id").ids)) == 2


def test_what_a_trigger_throws_ends_the_transaction_and_in_a_report_is_the_rows(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE h (id INT PRIMARY KEY, name VARCHAR(20))")
    db.execute(
        "CREATE TRIGGER h_name ON h AFTER INSERT AS SET NOCOUNT ON;"
        " IF EXISTS (SELECT 1 FROM inserted WHERE name = 'forbidden') THROW 51234, 'not this name', 1"
    )
    rows = [{"id": n, "name": "forbidden" if n == 7 else "x"} for n in range(20)]
    result = db.bulk_insert("h", rows, on_error="report")
    assert (result.rowcount, [(bad.index, bad.error.code) for bad in result.errors]) == (19, [(7, 51234)])  # type: ignore[attr-defined]
    with pytest.raises(errors.TransactionAborted), db.transaction() as tx:
        tx.execute("DELETE FROM h")
        with pytest.raises(errors.DatabaseError, match="not this name"):
            tx.execute("INSERT INTO h (id, name) VALUES (50, 'forbidden')")
    assert db.fetch_value("SELECT COUNT(*) FROM h") == 19


@itself
def test_without_row_versions_a_reader_waits_for_a_writer(db: DatabaseManager, url: str) -> None:
    """As on a database with the server's own defaults, which those of the other tests are not."""
    name = db.fetch_value("SELECT DB_NAME()")
    db.execute("CREATE TABLE w (id INT PRIMARY KEY)")
    db.close()
    with servers.admin_cursor("mssql") as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET READ_COMMITTED_SNAPSHOT OFF WITH ROLLBACK IMMEDIATE")
    try:
        with DatabaseManager(url) as other, other.transaction() as tx:
            tx.execute("INSERT INTO w (id) VALUES (1)")
            with other.detached(), pytest.raises(errors.LockTimeout), other.transaction() as reading:
                reading.execute("SET LOCK_TIMEOUT 200")
                reading.execute("SELECT id FROM w")
    finally:
        with servers.admin_cursor("mssql") as cursor:
            cursor.execute(f"ALTER DATABASE {name} SET READ_COMMITTED_SNAPSHOT ON WITH ROLLBACK IMMEDIATE")


@itself
def test_bulk_upserts(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE k (id SERIAL PRIMARY KEY, a VARCHAR(20) UNIQUE, n INT)")
    first = db.bulk_insert("k", [{"a": "x", "n": 1}, {"a": "y", "n": 2}], returning="id")
    rows = [{"a": "X", "n": 3}, {"a": "z", "n": 4}, {"a": "x", "n": 5}, {"a": None, "n": 6}, {"a": None, "n": 7}]
    result = db.bulk_insert("k", rows, on_conflict="update", conflict_columns=["a"], returning="id")
    assert result.rowcount == 4
    assert result.ids[0] == result.ids[2] == first.ids[0]
    assert db.fetch_value("SELECT n FROM k WHERE id = :id", {"id": first.ids[0]}) == 5
    ignored = db.bulk_insert("k", [{"a": "y", "n": 9}, {"a": "w", "n": 9}], on_conflict="ignore", returning="id")
    assert ignored.ids[0] is None
    assert ignored.rowcount == 1


def test_streams(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE s (n INT PRIMARY KEY)")
    db.bulk_insert("s", [{"n": n} for n in range(5000)])
    with db.stream("SELECT n FROM s ORDER BY n", chunk_size=300) as rows:
        assert [row["n"] for row in rows] == list(range(5000))
    with db.transaction() as tx:
        with tx.stream("SELECT n FROM s ORDER BY n", chunk_size=10) as rows:
            assert next(iter(rows)) == {"n": 0}
        assert tx.fetch_value("SELECT COUNT(*) FROM s") == 5000
    with db.stream("SELECT n FROM s ORDER BY n", chunk_size=10) as rows:
        assert next(iter(rows)) == {"n": 0}
    assert db.fetch_value("SELECT COUNT(*) FROM s") == 5000


@itself
def test_locks(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE q (id INT PRIMARY KEY, a INT)")
    db.execute("INSERT INTO q (id, a) VALUES (1, 1), (2, 2)")
    taken: list[Any] = []

    def other() -> None:
        with db.transaction() as tx:
            taken.extend(tx.execute("SELECT id FROM q ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"))

    with db.transaction() as tx:
        assert tx.execute("SELECT id FROM q WHERE id = 1 FOR UPDATE") == [{"id": 1}]
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(20)
    assert taken == [{"id": 2}]


def test_the_packaged_schema(db: DatabaseManager) -> None:
    db.migrate()
    db.migrate()
    assert {"pipelines", "hitl_assignments", "ia_migrations"} <= set(db.list_tables())
    assert db.insert("pipelines", {"id": "p", "slug": None, "name": "n"}) == "p"
    assert db.fetch_value("SELECT is_active FROM pipelines") is True
    for name in ("hitl_assignments", "hitl_interactions", "pipeline_step_modules", "step_executions", "execution_logs"):
        db.execute(f"DROP TABLE {name}")


@pytest.fixture(scope="module")
def both() -> Iterator[Databases]:
    """PostgreSQL, which judges, and SQL Server."""
    servers.require("mssql")
    servers.require("postgresql")
    with databases("postgresql", "mssql") as found:
        found.do(
            "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(40), ok BOOLEAN, n INT, at TIMESTAMP, doc JSONB)",
            "INSERT INTO t (id, name, ok, n, at, doc) VALUES (1, 'ünï', TRUE, 5, '2024-02-29 01:02:03.456',"
            ' \'{"a": {"b": [1, "x"]}, "k 1": null, "n": 2}\'), (2, NULL, FALSE, NULL, NULL, NULL),'
            " (3, 'z', NULL, -1, '1999-12-31', '[]')",
        )
        yield found


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT id FROM t WHERE ok ORDER BY id",
        "SELECT id FROM t WHERE NOT ok OR n IS NULL ORDER BY id",
        "SELECT id FROM t WHERE ok IS NOT TRUE ORDER BY id",
        "SELECT id, n > 0 AS p, name IS NULL AS q FROM t ORDER BY id",
        "SELECT id FROM t ORDER BY id LIMIT 2",
        "SELECT id FROM t ORDER BY id LIMIT 1 OFFSET 1",
        "SELECT id FROM t UNION SELECT 9 ORDER BY id DESC LIMIT 2",
        "SELECT COUNT(*) FROM (SELECT id FROM t ORDER BY name LIMIT 2) AS s",
        "SELECT name || '-' || id FROM t WHERE id = 1",
        "SELECT COALESCE(name || 'x', 'none') FROM t ORDER BY id",
        "SELECT id FROM t WHERE name ILIKE 'ÜN%'",
        "SELECT id FROM t WHERE n IS DISTINCT FROM 5 ORDER BY id",
        "SELECT GREATEST(n, 0), LEAST(n, 2, id) FROM t ORDER BY id",
        "SELECT STRING_AGG(name, ', ' ORDER BY id DESC) FROM t",
        "SELECT doc->>'n', doc->'a'->>'b', doc->'a'->'b'->>1, doc->>'k 1', doc->>'none' FROM t ORDER BY id",
        "SELECT doc->'a'->'b'->0, doc->'a'->'b'->1, doc->'n' FROM t WHERE id = 1",
        "SELECT SUM((doc->>'n')::int) FROM t",
        "SELECT EXTRACT(YEAR FROM at), EXTRACT(DOW FROM at), EXTRACT(ISODOW FROM at), EXTRACT(WEEK FROM at) FROM t",
        "SELECT EXTRACT(EPOCH FROM at), EXTRACT(SECOND FROM at), EXTRACT(DOY FROM at) FROM t WHERE id = 1",
        "SELECT date_trunc('week', at), date_trunc('month', at), date_trunc('hour', at) FROM t ORDER BY id",
        "SELECT date_trunc('quarter', at), date_trunc('minute', at), date_trunc('second', at) FROM t ORDER BY id",
        "SELECT at + INTERVAL '1 month 2 days 3 hours', at - INTERVAL '90 minutes' FROM t ORDER BY id",
        "SELECT at + id * INTERVAL '1 day' FROM t ORDER BY id",
        "SELECT 2.7::int, '12'::int, TRUE::int, 1::text, '2024-01-31'::date, 'yes'::boolean, 2.25::numeric(4, 1)",
        "SELECT LENGTH(name), UPPER(name), SUBSTR(name, 2, 1) FROM t ORDER BY id",
        "WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c WHERE n < 4) SELECT SUM(n) FROM c",
        "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM t AS s WHERE s.id = t.id AND s.ok)",
        "SELECT CASE WHEN ok THEN 'yes' ELSE 'no' END FROM t ORDER BY id",
    ],
)
def test_a_statement_answers_as_on_postgresql(both: Databases, sql: str) -> None:
    assert both.assert_agree(sql)


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("SELECT id FROM t ORDER BY id LIMIT :n OFFSET :skip", {"n": 1, "skip": 2}),
        ("SELECT id FROM t WHERE name = :name", {"name": "ünï"}),
        ("SELECT doc->>:key FROM t WHERE id = 1", {"key": "n"}),
        ("SELECT id FROM t WHERE ok = :ok", {"ok": True}),
        ("SELECT name || :x FROM t WHERE id = 1", {"x": "'; DROP TABLE t --"}),
        ("SELECT at + :n * INTERVAL '1 hour' FROM t WHERE id = 1", {"n": 5}),
    ],
)
def test_a_statement_with_values_answers_as_on_postgresql(both: Databases, sql: str, params: dict[str, Any]) -> None:
    assert both.assert_agree(sql, params)
