"""INSERT .. ON CONFLICT and RETURNING leave the same rows on every database, or say clearly that they cannot."""

from collections.abc import Iterator

import pytest

from nexusql.errors import TranslationError
from nexusql.sql.lexical import SessionModes
from translating import MARIADB, MYSQL, SQLITE, Databases, said

ROW = {"id": 1, "name": "it's ü", "n": 10, "at": "2024-06-01 00:00:00.000000"}


@pytest.fixture
def counters(everywhere: Databases) -> Iterator[Databases]:
    """A table with two rows on every database."""
    everywhere.do(
        "CREATE TABLE counters (id INTEGER PRIMARY KEY, name VARCHAR(40), n INTEGER DEFAULT 0, at TIMESTAMP)",
        "INSERT INTO counters (id, name, n, at) VALUES (1, 'one', 5, '2024-05-01 00:00:00.000000')",
        "INSERT INTO counters (id, name, n, at) VALUES (2, NULL, NULL, NULL)",
    )
    yield everywhere
    everywhere.do("DROP TABLE counters")


@pytest.mark.parametrize(
    "action",
    [
        "ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name",
        "ON CONFLICT (id) DO UPDATE SET name = excluded.name, n = Excluded.n, at = EXCLUDED.at",
        "ON CONFLICT (id) DO UPDATE SET n = counters.n + EXCLUDED.n",
        "ON CONFLICT (id) DO UPDATE SET n = counters.n + 1, name = 'again: ' || counters.name",
        "ON CONFLICT (id) DO UPDATE SET n = COALESCE(counters.n, 0) + EXCLUDED.n, at = EXCLUDED.at",
        "ON CONFLICT (id) DO UPDATE SET (name, n) = (EXCLUDED.name, counters.n + 1)",
        "ON CONFLICT (id) DO UPDATE SET (name, n) = ROW (EXCLUDED.name, 7)",
        "ON CONFLICT (id) DO UPDATE SET name = :new, n = :n",
        "ON CONFLICT (id) DO UPDATE SET n = GREATEST(counters.n, EXCLUDED.n)",
        "ON CONFLICT (id) DO UPDATE SET n = (SELECT MAX(x) FROM (SELECT 3 AS x UNION ALL SELECT 4) AS y)",
        "ON CONFLICT (id) DO UPDATE SET n = CASE WHEN EXCLUDED.n > counters.n THEN EXCLUDED.n ELSE counters.n END",
        "ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name::text, n = (EXCLUDED.n::text || '1')::int",
        "ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name WHERE counters.n < EXCLUDED.n",
        "ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name WHERE counters.n > EXCLUDED.n",
        "ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name WHERE counters.at IS NULL",
        "ON CONFLICT (id) DO UPDATE SET at = EXCLUDED.at, name = EXCLUDED.name, n = 3 WHERE counters.at < EXCLUDED.at",
        "ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, n = :n WHERE counters.name = :old AND EXCLUDED.n > :n",
        "ON CONFLICT (id) DO UPDATE SET n = DEFAULT, name = 'WHERE ON CONFLICT' WHERE counters.at IS NOT NULL",
        "ON CONFLICT (id) DO UPDATE SET name = 'a, b = EXCLUDED.n' /* keep, (this) */, n = 1 -- and this\n",
        "ON CONFLICT (id) DO NOTHING",
        "ON CONFLICT DO NOTHING",
        "on conflict (id) do nothing",
        "ON CONFLICT ON CONSTRAINT counters_pkey DO NOTHING",
        "ON CONFLICT ON CONSTRAINT counters_pkey DO UPDATE SET n = 99",
    ],
)
@pytest.mark.parametrize("row", [ROW, {**ROW, "id": 2}, {**ROW, "id": 3}, {**ROW, "n": None}], ids=str)
def test_an_upsert_leaves_the_same_rows(counters: Databases, action: str, row: dict[str, object]) -> None:
    params = {**row, "new": "new 'name' :x", "old": "one"}
    # SQLite has neither DEFAULT in UPDATE nor the word ROW.
    able = counters.without("sqlite") if "DEFAULT" in action or "ROW" in action else counters
    able = able.without("mssql") if "CONSTRAINT" in action else able
    able.answers(f"INSERT INTO counters (id, name, n, at) VALUES (:id, :name, :n, :at) {action}", params)
    able.assert_agree("SELECT id, name, n, at FROM counters ORDER BY id")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO counters AS c (id, n) VALUES (1, 2), (3, 4) ON CONFLICT (id) DO UPDATE SET n = c.n + EXCLUDED.n",
        "INSERT INTO counters AS c (id, n) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET n = 1 WHERE c.n > EXCLUDED.n",
        "INSERT INTO counters VALUES (1, 'x', 1, NULL), (4, 'y', 2, NULL) ON CONFLICT (id) DO NOTHING",
        "INSERT INTO counters (id, n) SELECT x, x FROM (SELECT 1 AS x UNION ALL SELECT 5) AS s ON CONFLICT DO NOTHING",
        "INSERT INTO counters (id, n) SELECT 1, 8 ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n",
        "INSERT INTO counters (id, n) SELECT x, 8 FROM (SELECT 1 AS x) AS s WHERE x > 0"
        " ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n + counters.n",
        "INSERT INTO counters (id, n) SELECT s.x, 8 FROM (SELECT 1 AS x) AS s CROSS JOIN (SELECT 2 AS y) AS z"
        " ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n",
        "INSERT INTO counters (id, n) SELECT x, 1 FROM (SELECT 6 AS x UNION SELECT 1) AS s GROUP BY x ORDER BY x"
        " ON CONFLICT (id) DO UPDATE SET n = 77;",
    ],
)
def test_upserts_of_other_shapes(counters: Databases, sql: str) -> None:
    # SQL Server is told the columns, and of several rows the key.
    nameless = "counters VALUES" in sql or "ON CONFLICT DO NOTHING" in sql
    able = counters.without("mssql") if nameless else counters
    able.do(sql)
    able.assert_agree("SELECT id, name, n, at FROM counters ORDER BY id")


def test_a_row_of_defaults(everywhere: Databases) -> None:
    everywhere.do(
        "CREATE TABLE defaults (id SERIAL PRIMARY KEY, a INTEGER DEFAULT 5)", "INSERT INTO defaults DEFAULT VALUES"
    )
    assert everywhere.assert_agree("SELECT id, a FROM defaults") == [(1, 5)]


def test_a_conflict_with_any_unique_key_has_a_receipt_on_mysql() -> None:
    sql = "INSERT INTO t (a, b)\nVALUES (1, 2)\n ON CONFLICT (a) DO UPDATE SET b = EXCLUDED.b"
    translation = said(sql, "mysql", MYSQL)
    assert translation.sql == "INSERT INTO t (a, b)\nVALUES (1, 2)\n ON DUPLICATE KEY UPDATE b = VALUES(b)"
    ((message, line, column),) = translation.notes
    assert "any unique key" in message
    assert (line, column) == (3, 14)
    assert not said("INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING", "mysql", MYSQL).notes


def test_insert_ignore_is_never_used() -> None:
    for sql in (
        "INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING",
        "INSERT INTO t VALUES (1) ON CONFLICT (a) DO NOTHING",
        "INSERT INTO t (SELECT 1) ON CONFLICT (a) DO NOTHING",
    ):
        assert said(sql, "mysql", MYSQL).sql.endswith("ON DUPLICATE KEY UPDATE a = t.a")


def test_names_in_double_quotes_are_names_in_an_upsert_on_mysql() -> None:
    sql = 'INSERT INTO t (a, b) VALUES (1, 2) ON CONFLICT ("a") DO UPDATE SET "b" = EXCLUDED."b" + t."b"'
    assert said(sql, "mysql", MYSQL).sql.endswith("ON DUPLICATE KEY UPDATE `b` = VALUES(`b`) + t.`b`")


def test_a_table_of_a_schema_keeps_it_in_an_upsert_on_mysql() -> None:
    sql = "INSERT INTO s.t AS x (a, b) VALUES (1, 2) ON CONFLICT (a) DO UPDATE SET b = x.b + t.b WHERE s.t.a > 0"
    assert said(sql, "mysql", MYSQL).sql == (
        "INSERT INTO s.t (a, b) VALUES (1, 2) ON DUPLICATE KEY UPDATE b = IF(s.t.a > 0, s.t.b + s.t.b, s.t.b)"
    )


def test_what_is_no_upsert_yet_passes() -> None:
    for action in ("DELETE DO", "DO UPDATE SET = b + 1"):
        sql = f"INSERT INTO t (a) VALUES (1) ON CONFLICT (a) {action}"
        assert said(sql, "mysql", MYSQL).sql == sql


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "INSERT INTO t (a, b) VALUES (1, 2) ON CONFLICT (a) DO UPDATE SET a = EXCLUDED.a, b = t.a + 1",
            "reads a after",
        ),
        ("INSERT INTO t (a, b) VALUES (1, 2) ON CONFLICT (a) DO UPDATE SET b = 1, a = b", "reads b after"),
        ('INSERT INTO t (a, b) VALUES (1, 2) ON CONFLICT (a) DO UPDATE SET `A` = 1, b = f(x.a) + "t".a', "reads a"),
        (
            "INSERT INTO t (a, b) VALUES (1, 2) ON CONFLICT (a) DO UPDATE SET a = 1, b = 2 WHERE a > t.b",
            "more than one",
        ),
        ("INSERT INTO t VALUES (1, 2) ON CONFLICT DO NOTHING", "list of columns"),
        (
            "INSERT INTO t (a, b) VALUES (1, 2) ON CONFLICT (a) DO UPDATE SET (a, b) = (SELECT 1, 2)",
            "one value for each",
        ),
    ],
)
def test_what_the_order_of_assignments_would_change_is_refused_on_mysql(sql: str, message: str) -> None:
    with pytest.raises(TranslationError, match=rf"{message}.*line 1, column \d+") as caught:
        said(sql, "mysql", MYSQL)
    assert caught.value.sql == sql


@pytest.mark.parametrize(
    "assignments",
    [
        "a = EXCLUDED.a, b = EXCLUDED.a",
        "a = t.a + 1, b = 2",
        "a = 1, b = x.a",
        "a = 1, b = LENGTH('a') + a(2)",
        "a = 1, b = CAST(c AS a)",
        "a = 1, b = c::a",
        "a = 1, b = ' a '",
    ],
)
def test_what_only_looks_like_reading_an_assigned_column_is_said(assignments: str) -> None:
    sql = f"INSERT INTO t (a, b) VALUES (1, 2) ON CONFLICT (a) DO UPDATE SET {assignments}"
    assert "ON DUPLICATE KEY UPDATE" in said(sql, "mysql", MYSQL).sql


def test_returning_gives_rows_where_the_server_has_it(counters: Databases) -> None:
    sql = "INSERT INTO counters (id, name) VALUES (:id, :name) RETURNING id, UPPER(name) AS name"
    counters.assert_agree(sql, {"id": 8, "name": "eight"})
    counters.assert_agree("DELETE FROM counters WHERE id = 8 RETURNING id, name")
    counters.assert_agree(
        "INSERT INTO counters (id, n) VALUES (1, 4) ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n RETURNING id, n"
    )
    update = "UPDATE counters SET n = 1 WHERE id = 1 RETURNING n"
    assert counters.sessions["sqlite"].run(update) == counters.sessions["postgresql"].run(update) == [(1,)]
    with pytest.raises(TranslationError, match=r"UPDATE .. RETURNING.*line 1, column 40"):
        said(update, "mysql", MARIADB)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t (a) VALUES (1) RETURNING id",
        "DELETE FROM t WHERE a = 1 RETURNING *",
        "UPDATE t SET a = 1 RETURNING id",
        "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO NOTHING RETURNING id",
    ],
)
@pytest.mark.parametrize("modes", [MYSQL, SessionModes()])
def test_returning_on_mysql_is_an_error_that_names_the_way_out(sql: str, modes: SessionModes) -> None:
    with pytest.raises(TranslationError, match=r"db\.insert"):
        said(sql, "mysql", modes)


def test_rows_that_mariadb_returns_too_have_a_receipt(counters: Databases) -> None:
    for action in ("DO NOTHING", "DO UPDATE SET n = 1 WHERE counters.n > 100"):
        sql = f"INSERT INTO counters (id) VALUES (1) ON CONFLICT (id) {action} RETURNING id"
        assert len(said(sql, "mysql", MARIADB).notes) == 2
        assert counters.answers(sql) == {kind: [(1,)] if kind == "mysql" else [] for kind in counters.sessions}


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a)",
        "INSERT IGNORE INTO t (a) VALUES (1)",
        "REPLACE INTO t (a) VALUES (1)",
        "INSERT INTO t () VALUES ()",
        "INSERT INTO t SET a = 1",
        "SELECT returning, conflict, excluded.a FROM returning AS excluded",
    ],
)
def test_native_writes_pass_untouched_on_mysql(sql: str) -> None:
    assert said(sql, "mysql", MYSQL) == said(sql, "mysql", MYSQL, strict=True)
    assert said(sql, "mysql", MYSQL).sql == sql


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT OR IGNORE INTO t (a) VALUES (1)",
        "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) WHERE b DO UPDATE SET b = excluded.b WHERE t.b > 1 RETURNING *",
        "INSERT INTO t (a) SELECT a FROM s WHERE true ON CONFLICT DO NOTHING",
        "CREATE TABLE t (a INTEGER PRIMARY KEY ON CONFLICT REPLACE)",
        "INSERT INTO t DEFAULT VALUES",
    ],
)
def test_native_writes_pass_untouched_on_sqlite(sql: str) -> None:
    assert said(sql, "sqlite", SQLITE).sql == sql


def test_a_named_constraint_has_a_receipt_on_sqlite() -> None:
    translation = said("INSERT INTO t (a) VALUES (1) ON CONFLICT ON CONSTRAINT t_a DO NOTHING", "sqlite", SQLITE)
    assert translation.sql == "INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING"
    assert [(note.line, note.column) for note in translation.notes] == [(1, 42)]
