"""LIMIT, locks, ILIKE, NULL-safe comparison, GREATEST, STRING_AGG: the same answer on every database."""

import re
import uuid

import pytest

from nexusql.errors import TranslationError
from nexusql.sql.lexical import SessionModes
from translating import MARIADB, MYSQL, SQLITE, Databases, said


@pytest.fixture(scope="module")
def people(everywhere: Databases) -> Databases:
    """A small table on every database."""
    everywhere.do("CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR(40), a INTEGER, b INTEGER, ok BOOLEAN)")
    names = ["'Anna'", "'ANNABEL'", "'Bob'", "'100%'", "'a_b'", "'a\\\\b'", "'O''Neill'", "NULL"]
    for session in everywhere.sessions.values():
        for number, name in enumerate(names):
            text = None if name == "NULL" else name[1:-1].replace("''", "'").replace("\\\\", "\\")
            session.run(
                "INSERT INTO people (id, name, a, b, ok) VALUES (:id, :name, :a, :b, :ok)",
                {
                    "id": number,
                    "name": text,
                    "a": None if number % 3 == 0 else number,
                    "b": None if number % 2 == 0 else number % 5,
                    "ok": (True, False, None)[number % 3],
                },
            )
    return everywhere


@pytest.mark.parametrize(
    "clause",
    [
        "LIMIT 3",
        "LIMIT 3 OFFSET 2",
        "LIMIT :l OFFSET :o",
        "OFFSET :o LIMIT :l",
        "OFFSET 2 LIMIT 3",
        "OFFSET 5",
        "OFFSET :o",
        "OFFSET :o ROWS",
        "LIMIT ALL",
        "LIMIT ALL OFFSET 6",
        "LIMIT NULL OFFSET 6",
        "LIMIT 0",
        "FETCH FIRST 2 ROWS ONLY",
        "FETCH NEXT :l ROWS ONLY",
        "FETCH FIRST ROW ONLY",
        "OFFSET 1 ROW FETCH NEXT 2 ROWS ONLY",
        "OFFSET :o ROWS FETCH FIRST :l ROWS ONLY",
        "LIMIT :l::int OFFSET CAST(:o AS INTEGER)",
        "limit /* how many */ :l -- a line\n offset :o",
        "DESC LIMIT 2",
    ],
)
def test_limit_and_offset(people: Databases, clause: str) -> None:
    people.assert_agree(f"SELECT id FROM people ORDER BY id {clause}", {"l": 3, "o": 2})


def test_limits_in_subselects(people: Databases) -> None:
    people.assert_agree(
        "SELECT id FROM people WHERE id >= (SELECT id FROM people ORDER BY id OFFSET :o LIMIT 1)"
        " ORDER BY id OFFSET 1 ROWS FETCH FIRST 2 ROWS ONLY",
        {"o": 2},
    )


@pytest.mark.parametrize(
    "clause",
    [
        "FETCH FIRST 3 ROWS WITH TIES",
        "LIMIT 1 LIMIT 2",
        "LIMIT 5, 10",
        "LIMIT 10 OFFSET 5",
        "LIMIT 10",
        "LIMIT ?",
        "LIMIT n",
    ],
)
def test_native_limits_pass_untouched(clause: str) -> None:
    for sql in (f"SELECT offset, fetch.x FROM t offset WHERE offset > 5 ORDER BY offset {clause}",):
        assert said(sql, "mysql", MARIADB).sql == sql
        assert said(sql, "sqlite", SQLITE).sql == sql


@pytest.mark.parametrize(
    "condition",
    [
        "name ILIKE 'anna%'",
        "name ILIKE :q",
        "name NOT ILIKE 'ANNA%'",
        "NOT name ILIKE 'anna%'",
        r"name ILIKE '100\%'",
        "name ILIKE '100!%' ESCAPE '!'",
        "name ILIKE 'A!_B' ESCAPE '!'",
        "name ILIKE 'a_b'",
        "name || 'x' ILIKE 'BOBX'",
        "'Bob' ILIKE name",
        "name ILIKE 'a' || '%' AND id > 0",
        "COALESCE(name, 'none') ILIKE 'NONE'",
        "name ILIKE '%''n%'",
        "(CASE WHEN name ILIKE 'b%' THEN 1 ELSE 0 END) = 1",
        "name LIKE 'Bo%'",
        "name LIKE :bob",
        "a IS DISTINCT FROM b",
        "a IS NOT DISTINCT FROM b",
        "a IS DISTINCT FROM NULL",
        "a IS NOT DISTINCT FROM :n",
        "a + 1 IS DISTINCT FROM b * 2 AND id > 1",
        "NOT a IS DISTINCT FROM b",
        "(a IS DISTINCT FROM b) = TRUE",
        "ok IS TRUE",
        "ok IS NOT TRUE",
        "ok IS FALSE",
        "a > 3 IS TRUE",
        "a > 3 IS NOT TRUE",
        "a + 1 = b IS UNKNOWN",
        "a < b IS NOT NULL",
        "name LIKE 'B%' IS FALSE",
        "name NOT LIKE 'B%' IS NOT FALSE",
        "a IN (1, 4) IS NOT TRUE",
        "ok IS UNKNOWN",
        "ok IS NOT UNKNOWN",
        "ok",
        "NOT ok",
        "ok = TRUE",
        "ok = :flag",
        "ok IN (TRUE, FALSE)",
        "id % 3 = 1",
        "10 % 3 = 1 AND name LIKE 'B%'",
        "GREATEST(a, b) = 4",
        "LEAST(a, b, 3) = 3",
        "GREATEST(a, b) IS NULL",
        "name IS NULL OR name < 'C' AND id BETWEEN 1 AND 2",
    ],
)
def test_a_condition_selects_the_same_rows(people: Databases, condition: str) -> None:
    params = {"q": "Anna%", "bob": "%ob", "n": None, "flag": True}
    people.assert_agree(f"SELECT id FROM people WHERE {condition} ORDER BY id", params)


@pytest.mark.parametrize(
    "expression",
    [
        "GREATEST(a, b)",
        "LEAST(a, b)",
        "GREATEST(a, 0, b)",
        "LEAST(NULL, b, 7)",
        "LEAST(a, 9, 8, 7, b, 6, 5, 4, 3, 2)",
        "GREATEST(a)",
        "GREATEST(NULL, NULL)",
        "GREATEST(a, LEAST(b, 1), :n)",
        "greatest (a /* one */, b -- two\n)",
        "name || '-' || id",
        "name || NULL",
        "TRUE AND ok",
        "NOT FALSE",
        "a IS DISTINCT FROM b",
        "name ILIKE 'a%'",
        "'it''s TRUE NOW() ::text' || name",
        "LENGTH('TRUE NOW() ::text SERIAL -- ;')",
    ],
)
def test_an_expression_gives_the_same_value(people: Databases, expression: str) -> None:
    people.assert_agree(f"SELECT id, {expression} AS x FROM people ORDER BY id", {"n": 2})


def test_string_agg(people: Databases) -> None:
    people.assert_agree(
        "SELECT STRING_AGG(name, '; ') FROM (SELECT name FROM people WHERE id IN (2, 6) ORDER BY id) AS p"
    )
    people.assert_agree("SELECT STRING_AGG(name, :sep) FROM people WHERE id = 1", {"sep": "', '"})
    people.assert_agree("SELECT STRING_AGG(name, ',') FROM people WHERE id > 100")
    people.without("mssql").assert_agree("SELECT STRING_AGG(DISTINCT 'x', ',') FROM people")
    people.assert_agree("SELECT STRING_AGG(UPPER(name) || '!', ' ''and'' ') FROM people WHERE id = 1 OR name IS NULL")
    ordered = "SELECT STRING_AGG(name, ', ' ORDER BY name DESC, id) FROM people WHERE id IN (1, 2, 6)"
    assert people.sessions["mysql"].run(ordered) == people.sessions["postgresql"].run(ordered)
    with pytest.raises(TranslationError, match=r"needs SQLite 3.44.*line 1, column 8"):
        said(ordered, "sqlite", SQLITE)
    assert "group_concat(name, ', ' ORDER BY" in said(ordered, "sqlite", SessionModes(version=(3, 44, 0))).sql
    with pytest.raises(TranslationError, match="separator"):
        said("SELECT STRING_AGG(DISTINCT name, ';') FROM people", "sqlite", SQLITE)
    with pytest.raises(TranslationError, match="separator"):
        said("SELECT STRING_AGG(name, sep) FROM people", "mysql", MARIADB)
    assert said("SELECT STRING_AGG(name, ';') FROM t", "mysql", MYSQL).notes
    assert not said("SELECT STRING_AGG(name, ';') FROM t", "mysql", MARIADB).notes


@pytest.mark.parametrize("call", ["gen_random_uuid()", "uuid_generate_v4()"])
def test_a_generated_uuid_is_version_4_and_never_the_same(everywhere: Databases, call: str) -> None:
    for kind, session in everywhere.sessions.items():
        if kind == "postgresql" and call.startswith("uuid"):
            continue
        rows = [row[0] for row in session.run(f"SELECT {call} UNION ALL SELECT {call} UNION ALL SELECT {call}")]
        assert len(set(rows)) == 3, kind
        assert all(uuid.UUID(text).version == 4 and uuid.UUID(text).variant == uuid.RFC_4122 for text in rows), kind
        assert all(text == text.lower() and len(text) == 36 for text in rows), kind


def test_a_uuid_before_random_bytes_on_mariadb(everywhere: Databases) -> None:
    old = SessionModes(flavour="mariadb", version=(10, 6, 0))
    rows = everywhere.sessions["mysql"].run("SELECT gen_random_uuid(), gen_random_uuid()", modes=old)
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", t) for t in rows[0])
    assert rows[0][0] != rows[0][1]


@pytest.mark.parametrize(
    ("lock", "mariadb", "mysql"),
    [
        ("FOR UPDATE", "FOR UPDATE", "FOR UPDATE"),
        ("FOR UPDATE SKIP LOCKED", "FOR UPDATE SKIP LOCKED", "FOR UPDATE SKIP LOCKED"),
        ("FOR UPDATE NOWAIT", "FOR UPDATE NOWAIT", "FOR UPDATE NOWAIT"),
        ("FOR SHARE", "LOCK IN SHARE MODE", "FOR SHARE"),
        ("FOR SHARE SKIP LOCKED", "LOCK IN SHARE MODE SKIP LOCKED", "FOR SHARE SKIP LOCKED"),
        ("FOR NO KEY UPDATE", "FOR UPDATE", "FOR UPDATE"),
        ("FOR KEY SHARE NOWAIT", "LOCK IN SHARE MODE NOWAIT", "FOR SHARE NOWAIT"),
        ("FOR UPDATE OF people", "FOR UPDATE", "FOR UPDATE OF people"),
        ("FOR NO KEY UPDATE OF people NOWAIT", "FOR UPDATE NOWAIT", "FOR UPDATE OF people NOWAIT"),
    ],
)
def test_row_locks(people: Databases, lock: str, mariadb: str, mysql: str) -> None:
    sql = f"SELECT id FROM people WHERE id < 3 ORDER BY id {lock}"
    people.assert_agree(sql)
    assert said(sql, "mysql", MARIADB).sql.endswith(f"ORDER BY id {mariadb}")
    assert said(sql, "mysql", MYSQL).sql.endswith(f"ORDER BY id {mysql}")
    assert bool(said(sql, "mysql", MYSQL).notes) == ("KEY" in lock)
    assert bool(said(sql, "mysql", MARIADB).notes) == ("KEY" in lock or "OF" in lock)
    dropped = said(f"{sql} ;", "sqlite", SQLITE)
    assert dropped.sql == "SELECT id FROM people WHERE id < 3 ORDER BY id ;"
    assert [(note.line, note.column) for note in dropped.notes] == [(1, 48)]
    with pytest.raises(TranslationError, match="locks are dropped"):
        said(sql, "sqlite", SQLITE, strict=True)


def test_a_lock_in_the_middle_and_in_a_subselect(people: Databases) -> None:
    sql = "UPDATE people SET a = a WHERE id IN (SELECT id FROM people ORDER BY id DESC LIMIT 2 FOR UPDATE SKIP LOCKED)"
    assert said(sql, "sqlite", SQLITE).sql.endswith("LIMIT 2)")
    assert said("SELECT SUBSTRING(a FOR 3) FROM t", "sqlite", SQLITE).sql == "SELECT SUBSTRING(a FOR 3) FROM t"


@pytest.mark.parametrize(("dialect", "modes"), [("sqlite", SQLITE), ("mysql", MARIADB)])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b",
        "SELECT * FROM (SELECT DISTINCT ON (a) * FROM t) AS x",
        "SELECT E'a\\tb'",
        "SELECT GREATEST(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)",
    ],
)
def test_what_cannot_be_said_is_refused(sql: str, dialect: str, modes: SessionModes) -> None:
    with pytest.raises(TranslationError, match=r"line 1, column \d+"):
        said(sql, dialect, modes)
