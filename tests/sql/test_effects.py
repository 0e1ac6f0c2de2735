"""What is told of a statement from its words: its verb, what it may do, and the transaction statement that it is."""

import pytest

from nexusql.errors import NotSupportedError, SQLSyntaxError
from nexusql.sql.statement import Control, Effect
from readings import ALL_MSSQL, MARIA, MSSQL, MYSQL_8, PG, READINGS, SQLITE, Reading

NOTHING = Effect(0)
READS, DDL, SESSION = Effect.READS, Effect.DDL, Effect.SESSION


@pytest.mark.parametrize(
    ("sql", "verb"),
    [
        ("select 1", "SELECT"),
        (" /* a */ -- b\n ((SELECT 1) UNION (SELECT 2))", "SELECT"),
        (
            "WITH a AS (SELECT 1), b (c) AS NOT MATERIALIZED (DELETE FROM t RETURNING 1) INSERT INTO t SELECT 1",
            "INSERT",
        ),
        ("WITH RECURSIVE a(n) AS (SELECT 1) SELECT n FROM a", "SELECT"),
        ("WITH a AS (SELECT 1) (SELECT * FROM a)", "SELECT"),
        ("WITH a AS (SELECT 1) MERGE INTO t USING a ON 1=1 WHEN MATCHED THEN DELETE", "MERGE"),
        ("EXPLAIN SELECT 1", "SELECT"),
        ("EXPLAIN (ANALYZE, COSTS OFF) UPDATE t SET a = 1", "UPDATE"),
        ("EXPLAIN QUERY PLAN WITH a AS (SELECT 1) SELECT 1", "SELECT"),
        ("explain format=json delete from t", "DELETE"),
        ("EXPLAIN t", "EXPLAIN"),
        ("ANALYZE FORMAT=JSON SELECT 1", "SELECT"),
        ("ANALYZE TABLE t", "ANALYZE"),
        ("VALUES (1)", "VALUES"),
        ("PRAGMA user_version", "PRAGMA"),
        ("WITH", ""),
        ("'a'", ""),
    ],
)
def test_the_verb_is_that_of_the_main_statement(sql: str, verb: str) -> None:
    assert PG.compile(sql).verb == verb


EFFECTS = [
    # what is provably a read
    (PG, "SELECT a, count(*), max(b) FROM t WHERE c IN (1) AND EXISTS (SELECT 1)", READS),
    (PG, "SELECT coalesce(a, lower(b)), CAST(c AS varchar(10)) FROM (VALUES (1)) AS v (x)", READS),
    (PG, "WITH q (a) AS (SELECT 1) SELECT a, row_number() OVER (PARTITION BY a) FROM q", READS),
    (PG, "WITH q (a) AS NOT MATERIALIZED (WITH r AS (TABLE t) SELECT 1), s (b) AS (VALUES (1)) SELECT a FROM q", READS),
    (PG, "VALUES (1)", READS),
    (PG, "SHOW search_path", READS),
    (PG, "TABLE t", READS),
    (PG, "EXPLAIN DELETE FROM t", READS),
    (PG, "EXPLAIN (COSTS OFF) SELECT f()", READS),
    (PG, "SELECT substring(a FROM 1 FOR 2) FROM t FETCH NEXT 1 ROWS ONLY", READS),
    (PG, "SELECT 'FOR UPDATE', \"into\" -- INSERT", READS),
    (MARIA, "SHOW TABLES", READS),
    (MARIA, "DESCRIBE t", READS),
    (MARIA, "DESC t", READS),
    (MARIA, "SELECT REPLACE(a, 'b', 'c'), IF(a, 1, 2) FROM t", READS),
    (SQLITE, "SELECT anything(a), json_extract(b, '$.c') FROM t", READS),
    (SQLITE, "PRAGMA table_info(t)", READS),
    (SQLITE, "PRAGMA main.user_version", READS),
    # what is not
    (PG, "SELECT f(1)", NOTHING),
    (PG, "SELECT nextval('s')", NOTHING),
    (PG, "SELECT nextval('s') AS n, f() AS x FROM t", NOTHING),
    (PG, "SELECT a FROM f() AS (a int)", NOTHING),
    (PG, "SELECT s.count(1)", NOTHING),
    (PG, 'SELECT "count"(1)', NOTHING),
    (PG, "SELECT a FROM t FOR UPDATE", NOTHING),
    (PG, "SELECT a FROM t FOR NO KEY UPDATE SKIP LOCKED", NOTHING),
    (PG, "SELECT a FROM t FOR SHARE", NOTHING),
    (PG, "SELECT a INTO b FROM t", NOTHING),
    (PG, "WITH q AS (DELETE FROM t RETURNING a) SELECT a FROM q", NOTHING),
    (PG, "EXPLAIN ANALYZE DELETE FROM t", NOTHING),
    (PG, "EXPLAIN (VERBOSE, ANALYZE) SELECT f()", NOTHING),
    (PG, "EXPLAIN ANALYZE SELECT a FROM t", READS),
    (MARIA, "SELECT a FROM t LOCK IN SHARE MODE", NOTHING),
    (MARIA, "SELECT NEXT VALUE FOR s", NOTHING),
    (MARIA, "SELECT a INTO OUTFILE 'x' FROM t", NOTHING),
    (MARIA, "ANALYZE FORMAT=JSON DELETE FROM t", NOTHING),
    (PG, "INSERT INTO t (a) VALUES (1) RETURNING a", NOTHING),
    (PG, "UPDATE t SET a = 1", NOTHING),
    (PG, "DELETE FROM t", NOTHING),
    (SQLITE, "PRAGMA wal_checkpoint", NOTHING),
    (SQLITE, "PRAGMA optimize", NOTHING),
    # what commits on MySQL
    *[(MARIA, sql, DDL) for sql in ("CREATE TABLE t (a int)", "alter table t add b int", "DROP TABLE t", "TRUNCATE t")],
    (MARIA, "RENAME TABLE a TO b", DDL),
    *[(MARIA, sql, DDL) for sql in ("GRANT ALL ON t TO u", "ANALYZE TABLE t", "CREATE VIEW v AS TABLE t")],
    (MARIA, "LOCK TABLES t READ", DDL | SESSION),
    (MARIA, "UNLOCK TABLES", DDL | SESSION),
    (MARIA, "FLUSH TABLES WITH READ LOCK", DDL | SESSION),
    (MARIA, "SET PASSWORD = 'x'", DDL | SESSION),
    (MARIA, "LOAD INDEX INTO CACHE t", DDL | SESSION),
    # what may leave something in the session
    *[(PG, sql, SESSION) for sql in ("SET a = 1", "set local a = 1", "RESET ALL", "SET SESSION AUTHORIZATION x")],
    *[(PG, sql, SESSION) for sql in ("CALL p()", "DO $$x$$", "EXECUTE p", "PREPARE p AS SELECT 1", "DEALLOCATE p")],
    *[(PG, sql, SESSION) for sql in ("LISTEN a", "UNLISTEN a", "LOAD 'x'", "DISCARD ALL")],
    (PG, "DECLARE c CURSOR WITH HOLD FOR SELECT 1", SESSION),
    (PG, "SET CONSTRAINTS ALL DEFERRED", NOTHING),
    (PG, "SELECT set_config('a', 'b', false)", SESSION),
    (PG, "SELECT pg_catalog.set_config('a', 'b', false)", SESSION),
    (PG, 'SELECT "set_config"(\'a\', \'b\', false)', SESSION),
    (PG, "UPDATE t SET a = set_config('a', 'b', false)", SESSION),
    (PG, "SELECT pg_advisory_lock(1)", SESSION),
    (PG, "SELECT pg_try_advisory_lock_shared(1)", SESSION),
    (PG, "SELECT pg_advisory_xact_lock(1)", NOTHING),
    (PG, "CREATE TEMP TABLE t (a int)", DDL | SESSION),
    (PG, "CREATE LOCAL TEMPORARY TABLE t AS SELECT 1", DDL | SESSION),
    (PG, "CREATE TABLE pg_temp.t (a int)", DDL | SESSION),
    (PG, "CREATE TABLE t (temp int)", DDL),
    (PG, "SELECT 1 INTO TEMP t", SESSION),
    (PG, "EXPLAIN ANALYZE EXECUTE p", SESSION),
    (MARIA, "CREATE TEMPORARY TABLE t (a int)", DDL | SESSION),
    (MARIA, "DROP TEMPORARY TABLE t", DDL | SESSION),
    (MARIA, "SELECT GET_LOCK('a', 1)", SESSION),
    (MARIA, "SELECT @a := 1", SESSION),
    (MARIA, "SELECT 1 INTO @a", SESSION),
    (MARIA, "EXECUTE IMMEDIATE 'SELECT 1'", SESSION),
    (MARIA, "USE x", SESSION),
    (MARIA, "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", SESSION),
    (MARIA, "SET STATEMENT max_statement_time=1 FOR DELETE FROM t", SESSION),
    (MARIA, "XA START 'x'", SESSION),
    (MARIA, "/*!50000 SET a = 1 */", SESSION),
    (MYSQL_8, "/*!80000 SET a = 1 */", SESSION),
    (MYSQL_8, "SELECT 1 /*!80000 INTO @a */", SESSION),
    (MYSQL_8, "SELECT 1 /* ! */", READS),
    (PG, "SELECT 1 /*! INTO a */", READS),
    (MARIA, "HANDLER t OPEN", SESSION),
    (MARIA, "BEGIN NOT ATOMIC SELECT 1; SET @a = 1; END", SESSION),
    (MARIA, "IF 1 THEN SELECT 1; END IF", SESSION),
    (SQLITE, "PRAGMA foreign_keys = ON", SESSION),
    (SQLITE, "PRAGMA main.cache_size(5)", SESSION),
    (SQLITE, "ATTACH 'x' AS y", SESSION),
    (SQLITE, "DETACH y", SESSION),
    (SQLITE, "SELECT load_extension('x')", SESSION),
    (SQLITE, "CREATE TABLE temp.t (a)", DDL | SESSION),
    (MSSQL, "CREATE TABLE #t (a int)", DDL | SESSION),
    (MSSQL, "SELECT 1 AS a INTO #t", SESSION),
    (MSSQL, "EXEC p", SESSION),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reading", "sql", "query"),
    [
        (PG, "SELECT f(1)", True),
        (PG, "select a from t for update", True),
        (PG, "/* a */ (SELECT 1) UNION (SELECT 2)", True),
        (PG, "VALUES (1)", True),
        (PG, "TABLE t", True),
        (PG, "WITH a AS (SELECT 1), b AS MATERIALIZED (SELECT 2) SELECT 1", True),
        (PG, "WITH a AS (SELECT 'INTO', \"into\", into_ FROM t) (SELECT 1)", True),
        (PG, "WITH a AS (SELECT x FROM t WHERE delete = 1 AND update (x)) SELECT 1", True),
        (PG, "SELECT set_config('a', 'b', false)", True),
        (MARIA, "SELECT a FROM t LOCK IN SHARE MODE", True),
        (SQLITE, "SELECT a FROM t", True),
        (PG, "WITH a AS (DELETE FROM t RETURNING 1) SELECT 1", False),
        (PG, "WITH a AS (SELECT 1), b (c) AS NOT MATERIALIZED ( UPDATE t SET a = 1 RETURNING 1) SELECT 1", False),
        (PG, "WITH a AS (WITH b AS (SELECT 1) INSERT INTO t SELECT 1 RETURNING 1) SELECT 1", False),
        (PG, "WITH a AS (MERGE INTO t USING b ON 1=1 WHEN MATCHED THEN DELETE RETURNING 1) TABLE a", False),
        (PG, "WITH a AS (SELECT 1) INSERT INTO t SELECT 1 RETURNING 1", False),
        (PG, "SELECT a INTO b FROM t", False),
        (MARIA, "SELECT a INTO @b FROM t", False),
        (PG, "EXPLAIN SELECT 1", False),
        (MARIA, "ANALYZE FORMAT=JSON SELECT 1", False),
        (PG, "INSERT INTO t VALUES (1) RETURNING a", False),
        (PG, "SHOW search_path", False),
        (PG, "EXECUTE p", False),
        (PG, "FETCH 1 FROM c", False),
        (MARIA, "SHOW TABLES", False),
        (MARIA, "CALL p()", False),
        (SQLITE, "PRAGMA user_version", False),
        (SQLITE, "", False),
        (PG, "COMMIT", False),
        (PG, "WITH", False),
    ],
)
def test_a_query_is_what_a_cursor_can_be_declared_for(reading: Reading, sql: str, query: bool) -> None:
    assert reading.compile(sql).query is query


@pytest.mark.parametrize(("reading", "sql", "effects"), EFFECTS, ids=[f"{case[0].name}-{case[1]}" for case in EFFECTS])
def test_what_a_statement_may_do_is_told_from_its_words(reading: Reading, sql: str, effects: Effect) -> None:
    assert reading.compile(sql).effects == effects


BEGIN, COMMIT, ROLLBACK = Control("begin"), Control("commit"), Control("rollback")

CONTROLS = [
    *[(sql, BEGIN) for sql in ("BEGIN", "begin;", "BEGIN WORK", "Begin Transaction ;", "START TRANSACTION")],
    ("BEGIN -- a\n;", BEGIN),
    *[(sql, COMMIT) for sql in ("COMMIT", "commit;", "COMMIT WORK", "COMMIT TRANSACTION", "END", "END TRANSACTION;")],
    *[(sql, ROLLBACK) for sql in ("ROLLBACK", "rollback ;", "ROLLBACK WORK", "ROLLBACK TRANSACTION", "ABORT")],
    ("ABORT WORK", ROLLBACK),
    *[(sql, ROLLBACK) for sql in ("ROLLBACK AND NO CHAIN", "ROLLBACK TRANSACTION AND NO CHAIN", "/* a */ ROLLBACK")],
    ("START TRANSACTION READ ONLY", Control("begin", read_only=True)),
    ("BEGIN READ WRITE", BEGIN),
    ("BEGIN TRANSACTION ISOLATION LEVEL serializable", Control("begin", isolation="SERIALIZABLE")),
    ("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", Control("begin", isolation="REPEATABLE READ", read_only=True)),
    ("START TRANSACTION READ ONLY ISOLATION LEVEL READ COMMITTED NOT DEFERRABLE",
     Control("begin", isolation="READ COMMITTED", read_only=True)),
    ("START TRANSACTION ISOLATION LEVEL READ UNCOMMITTED, READ WRITE", Control("begin", isolation="READ UNCOMMITTED")),
    *[(f"BEGIN {mode}", Control("begin", mode=mode)) for mode in ("DEFERRED", "IMMEDIATE", "EXCLUSIVE")],
    ("begin immediate transaction;", Control("begin", mode="IMMEDIATE")),
    ("SAVEPOINT Sp_1", Control("savepoint", "Sp_1")),
    ('savepoint "a b";', Control("savepoint", '"a b"')),
    ("ROLLBACK TO a", Control("rollback_to", "a")),
    ("rollback to savepoint a;", Control("rollback_to", "a")),
    ("ROLLBACK WORK TO SAVEPOINT a", Control("rollback_to", "a")),
    ("ROLLBACK TRANSACTION TO a", Control("rollback_to", "a")),
    ("RELEASE a", Control("release", "a")),
    ("RELEASE SAVEPOINT `a`" , Control("release", "`a`")),
]  # fmt: skip
T_SQL = [
    ("BEGIN TRAN", BEGIN),
    ("BEGIN TRANSACTION t1", BEGIN),
    ("COMMIT TRAN t1", COMMIT),
    ("SAVE TRANSACTION a", Control("savepoint", "a")),
    ("save tran a;", Control("savepoint", "a")),
    ("ROLLBACK TRANSACTION a", Control("rollback_to", "a")),
    ("ROLLBACK TRAN", ROLLBACK),
]


@pytest.mark.parametrize(("sql", "control"), CONTROLS, ids=[sql for sql, _ in CONTROLS])
@pytest.mark.parametrize("reading", [SQLITE, PG, MARIA, MSSQL], ids=lambda reading: reading.name)
def test_transaction_statements_are_understood_in_any_form(reading: Reading, sql: str, control: Control) -> None:
    if "`" in sql and reading in (PG, MSSQL):
        pytest.skip("a backtick quotes nothing there")
    if '"' in sql and reading is MARIA:
        pytest.skip("a double quote makes a literal there")
    statement = reading.compile(sql)
    assert (statement.control, statement.effects) == (control, NOTHING)


@pytest.mark.parametrize(("sql", "control"), T_SQL, ids=[sql for sql, _ in T_SQL])
@pytest.mark.parametrize("reading", ALL_MSSQL, ids=lambda reading: reading.name)
def test_transaction_statements_of_t_sql_are_understood(reading: Reading, sql: str, control: Control) -> None:
    assert reading.compile(sql).control == control


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN DEFERRABLE",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT",
        "BEGIN ISOLATION LEVEL CHAOS",
        "COMMIT AND CHAIN",
        "ROLLBACK AND CHAIN",
        "ROLLBACK RELEASE",
        "ROLLBACK TO",
        "SAVEPOINT",
        "SAVEPOINT a b",
        "RELEASE",
        "PREPARE TRANSACTION 'x'",
        "ABORT TO a",
        "COMMIT TRANSACTION a",
        "SELECT 1 WHERE 1 = 1; BEGIN",
    ],
)
def test_a_form_that_would_leave_an_unknown_state_is_refused(sql: str) -> None:
    with pytest.raises((NotSupportedError, SQLSyntaxError)) as caught:
        PG.compile(sql)
    assert caught.value.sql == sql


@pytest.mark.parametrize(
    ("reading", "sql"),
    [
        (PG, "PREPARE p AS SELECT 1"),
        (PG, "COMMIT PREPARED 'x'"),
        (PG, "ROLLBACK PREPARED 'x'"),
        (MARIA, "START SLAVE"),
        (MARIA, "BEGIN NOT ATOMIC SELECT 1; END"),
        (MSSQL, "BEGIN SELECT 1; SELECT 2; END"),
        (MSSQL, "BEGIN TRY SELECT 1; END TRY BEGIN CATCH SELECT 2; END CATCH"),
        (MSSQL, "END CONVERSATION @h"),
        (PG, "SAVE TRANSACTION a"),
        (PG, "SELECT begin FROM t"),
        (PG, "EXPLAIN SELECT 1"),
        (PG, ""),
    ],
)
def test_what_only_looks_like_one_is_no_transaction_statement(reading: Reading, sql: str) -> None:
    assert reading.compile(sql).control is None


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
@pytest.mark.parametrize("sql", ["SELECT 1; SELECT 2", "SELECT 1;\n-- a\n DROP TABLE t;", "BEGIN; SELECT 1"])
def test_a_second_statement_is_refused_with_its_place_and_the_call_that_takes_scripts(
    reading: Reading, sql: str
) -> None:
    with pytest.raises(SQLSyntaxError, match=r"run_script takes more than one \(line \d, column \d+\)") as caught:
        reading.compile(sql)
    assert caught.value.sql == sql


def test_the_place_of_the_second_statement_is_that_of_its_first_word() -> None:
    with pytest.raises(SQLSyntaxError, match=r"\(line 3, column 2\)"):
        PG.compile("SELECT 1;\n-- a\n DROP TABLE t")
