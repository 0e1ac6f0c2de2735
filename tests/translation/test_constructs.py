"""The table of docs/DIALECTS.md, construct by construct: each gives the same answer on every reachable database, to
NULL, to texts that are hostile, and at the ends of ranges, or is refused where the table says so."""

import re
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nexusql.errors import TranslationError
from nexusql.sql.lexical import SessionModes
from translating import MARIADB, SQLITE, Databases, said

DOCUMENT = (Path(__file__).parents[2] / "docs" / "DIALECTS.md").read_text("utf-8")
MODES = {"sqlite": SQLITE, "mysql": MARIADB, "mssql": SessionModes(version=(14, 0, 1000))}
HOSTILE = 'O\'Neill "TRUE" NOW() ::text -- ; /* % _ \\ [a] :p ? 名 😀'
THINGS: list[tuple[Any, ...]] = [
    # id, name, n, big, f, ok, day, at, doc
    (1, "Anna", 1, 1, 0.5, True, date(2024, 2, 29), datetime(2024, 2, 29, 23, 59, 59, 999999), {"k": "v", "a": [1, 2]}),
    (2, HOSTILE, -(2**31), -(2**63), -1e308, False, date(1000, 1, 1), datetime(1970, 1, 1), {"k": HOSTILE, "a": []}),
    (3, "", 2**31 - 1, 2**63 - 1, 1e308, None, date(9999, 12, 31), datetime(9999, 12, 31, 23, 59, 59), {"k": None}),
    (4, None, None, None, None, None, None, None, None),
    (5, "Größe", 0, 0, 0.0, True, date(2023, 12, 31), datetime(2023, 12, 31, 12, 0, 0, 1), {}),
    (6, "Anna", 1, 7, 2.25, False, date(2024, 2, 29), datetime(2024, 3, 1), {"k": "null", "n": 3}),
]
LINKS = [(1, 1, "one"), (2, 3, HOSTILE), (3, 3, None), (4, 4, "vier"), (5, None, "none"), (6, 99, "nobody")]


class Case(NamedTuple):
    """A canonical statement with its values; what shows its effect afterwards; and the databases that refuse it."""

    sql: str
    params: dict[str, Any] | None = None
    shown: str = ""
    refused: tuple[str, ...] = ()


def query(expression: str, *refused: str, **params: Any) -> Case:
    """An expression of each row of the table."""
    return Case(f"SELECT id, {expression} AS x FROM things ORDER BY id", params or None, refused=refused)


def rows(condition: str, *refused: str, **params: Any) -> Case:
    """The rows for which a condition holds."""
    return Case(f"SELECT id FROM things WHERE {condition} ORDER BY id", params or None, refused=refused)


def write(sql: str, *refused: str, **params: Any) -> Case:
    """A statement that modifies, and the tables afterwards."""
    shown = "SELECT id, name, n, ok FROM things ORDER BY id"
    return Case(sql, params or None, shown, refused)


NOBODY = ("sqlite", "mysql", "mssql")
# By the first cell of each row of the table.
CONSTRUCTS: dict[str, list[Case]] = {
    "`x::type`, `CAST(x AS type)`": [
        query("n::text"),
        query("big::text || '!'"),
        query("CAST(name AS text)"),
        query("name::varchar(3)"),
        query("(n::text)::int"),
        Case("SELECT id, f::numeric(4, 1) AS x FROM things WHERE f BETWEEN 0 AND 3 ORDER BY id"),
        query("day::text"),
        query("at::date"),
        query(":t::int", t="2147483647"),
        query(":t::bigint", t="-9223372036854775807"),
        query("'yes'::boolean"),
        query("'\\x00ff27'::bytea"),
    ],
    "`SELECT x::type` without an alias": [Case("SELECT id, n::text, name::varchar(3) FROM things ORDER BY id")],
    "a type that is unknown there (`'on'::mood`)": [query("name::mood"), Case("SELECT 'o''n'::mood AS x")],
    "arrays": [query("'{1,2}'::int[]", *NOBODY), Case("SELECT CAST('{a}' AS text[]) AS x", refused=NOBODY)],
    "`DATE '..'`, `TIMESTAMP '..'`": [
        rows("day = DATE '2024-02-29'"),
        rows("at > TIMESTAMP '2024-02-29 23:59:59.999998'"),
        rows("day BETWEEN DATE '1000-01-01' AND DATE '9999-12-31'"),
    ],
    "`NOW()`, `CURRENT_TIMESTAMP`, `clock_timestamp()`, ..": [
        rows("at < NOW()"),
        rows("at > CURRENT_TIMESTAMP OR day > CURRENT_DATE"),
        query("NOW() - INTERVAL '1 hour' < clock_timestamp()"),
    ],
    "`x + INTERVAL '1 month 2 days'`, `:n * INTERVAL '1 hour'`, `(:n \\|\\| ' days')::interval`": [
        Case("SELECT id, at + INTERVAL '1 month 2 days' AS x FROM things WHERE id IN (1, 4, 5, 6) ORDER BY id"),
        Case("SELECT id, at - :n * INTERVAL '36 hours' AS x FROM things WHERE id <> 2 ORDER BY id", {"n": 3}),
        Case("SELECT id, at + (:n || ' days')::interval AS x FROM things WHERE id <> 3 ORDER BY id", {"n": "28"}),
        rows("at >= :at::timestamp - INTERVAL '1 second'", at="2024-03-01 00:00:00.500000"),
    ],
    "`CURRENT_DATE - 7`": [rows("day < CURRENT_DATE - 7"), rows("day > CURRENT_DATE + 1")],
    "`NOW() - created_at`": [
        Case("SELECT NOW() - at > NOW() - NOW() FROM things WHERE id = 1", refused=NOBODY),
        query("EXTRACT(EPOCH FROM at - '2024-02-29'::timestamp)"),
    ],
    "`EXTRACT(field FROM x)`, `date_part`, `date_trunc`": [
        query("EXTRACT(YEAR FROM at)"),
        query("EXTRACT(QUARTER FROM at)"),
        query("EXTRACT(WEEK FROM at)"),
        query("EXTRACT(DOW FROM at)"),
        query("EXTRACT(ISODOW FROM at)"),
        query("EXTRACT(DOY FROM at)"),
        query("EXTRACT(SECOND FROM at)"),
        query("EXTRACT(EPOCH FROM at)"),
        query("date_part('month', at)"),
        query("date_trunc('week', at)"),
        query("date_trunc('quarter', at)"),
        query("date_trunc('hour', at)"),
    ],
    "`gen_random_uuid()`": [query("LENGTH(gen_random_uuid()::text)")],
    "`LIMIT`, `OFFSET`, either first; `LIMIT ALL`; `FETCH FIRST n ROWS ONLY`": [
        Case("SELECT id FROM things ORDER BY id LIMIT 2"),
        Case("SELECT id FROM things ORDER BY id LIMIT 0"),
        Case("SELECT id FROM things ORDER BY id OFFSET :o LIMIT :l", {"o": 1, "l": 2}),
        Case("SELECT id FROM things ORDER BY id LIMIT 9223372036854775807"),
        Case("SELECT id FROM things ORDER BY id LIMIT ALL OFFSET 4"),
        Case("SELECT DISTINCT name, n FROM things WHERE n > 0 ORDER BY name, n OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY"),
        Case("SELECT id FROM things UNION SELECT id + 3 FROM things ORDER BY id LIMIT 3 OFFSET 5"),
        Case("SELECT id, (SELECT MAX(note) FROM links WHERE thing = things.id) AS x FROM things ORDER BY id LIMIT 3"),
        rows("id = (SELECT thing FROM links WHERE thing < 9 ORDER BY id DESC OFFSET 1 LIMIT 1)"),
    ],
    "`TRUE`, `FALSE`, `IS TRUE`; `IS UNKNOWN`": [
        rows("ok"),
        rows("NOT ok"),
        rows("ok = TRUE"),
        rows("ok IS TRUE"),
        rows("NOT (ok IS TRUE)"),
        rows("ok IS NOT TRUE"),
        rows("NOT (ok IS NOT FALSE)"),
        rows("(n > 0) IS NOT TRUE"),
        rows("ok IS UNKNOWN"),
        rows("NOT ok IS UNKNOWN AND TRUE"),
        rows("ok = :flag OR :flag", flag=False),
        rows("ok IN (TRUE, FALSE)"),
        rows("CASE WHEN ok THEN FALSE ELSE TRUE END"),
        query("ok IS TRUE"),
        query("ok IS NOT FALSE"),
    ],
    "a condition where a value stands": [
        query("n > 0"),
        query("n = 1"),
        query("name IS NULL OR n BETWEEN 0 AND 5"),
        query("NOT ok"),
        query("COALESCE(n > 0, FALSE)"),
        query("CASE WHEN ok THEN n > 0 ELSE name LIKE 'A%' END"),
        query("EXISTS (SELECT 1 FROM links WHERE thing = things.id AND note IS NOT NULL)"),
        query("n IN (0, 1)"),
        query("(n > 0)::int"),
        rows("(n > 0) = ok"),
        rows("ok = (name = 'Anna') OR (n IS NULL) = TRUE"),
        Case("SELECT id FROM things WHERE n IS NOT NULL ORDER BY n > 0 DESC, id"),
        Case("SELECT n > 0 AS x, COUNT(*) AS y FROM things WHERE n IS NOT NULL GROUP BY n > 0 ORDER BY COUNT(*)"),
        write("UPDATE things SET ok = n > 0, n = n - 1 WHERE id > 2"),
        write("UPDATE things SET ok = NOT ok"),
        write("UPDATE things SET ok = (name IS NULL)"),
        write("INSERT INTO things (id, ok) VALUES (10, 1 > 2), (11, NOT :flag)", flag=False),
    ],
    "`ORDER BY n NULLS FIRST`, `NULLS LAST`": [
        Case("SELECT id FROM things ORDER BY n NULLS FIRST, id"),
        Case("SELECT id FROM things ORDER BY n NULLS LAST, id"),
        Case("SELECT id FROM things ORDER BY n DESC NULLS FIRST, id DESC"),
        Case("SELECT id FROM things ORDER BY n DESC NULLS LAST, id DESC"),
        Case("SELECT id, n + big * 0 AS total FROM things ORDER BY total ASC NULLS LAST, id DESC NULLS LAST LIMIT 4"),
        Case("SELECT id, RANK() OVER (PARTITION BY ok ORDER BY n DESC NULLS LAST, id) AS x FROM things ORDER BY id"),
        Case("SELECT ok, COUNT(*) AS c FROM things GROUP BY ok ORDER BY ok NULLS LAST"),
        Case("SELECT id FROM things ORDER BY 1 NULLS LAST", refused=("mysql", "mssql")),
    ],
    "`a \\|\\| b`": [
        query("name || '-' || n"),
        query("name || NULL"),
        query("'(' || name || ')' || name"),
        query("n || name || :t", t=HOSTILE),
        rows("name || 'x' = 'Annax'"),
    ],
    "`ILIKE`": [
        rows("name ILIKE 'anna'"),
        rows("name ILIKE :q", q="%TRUE%"),
        rows("name NOT ILIKE '%\\%%'"),
        rows("name ILIKE :q", q="%\\% \\_%"),
        rows("name ILIKE '%!% !_%' ESCAPE '!'"),
    ],
    "`IS [NOT] DISTINCT FROM`": [
        rows("n IS DISTINCT FROM 1"),
        rows("n IS NOT DISTINCT FROM NULL"),
        rows("name IS NOT DISTINCT FROM :t", t=HOSTILE),
        rows("NOT n IS DISTINCT FROM big + 0"),
        query("ok IS DISTINCT FROM TRUE"),
        write("UPDATE things SET ok = name IS DISTINCT FROM 'Anna' WHERE n IS NOT DISTINCT FROM 1"),
    ],
    "`GREATEST`, `LEAST` (NULL ignored)": [
        query("GREATEST(n, big, 5)"),
        query("LEAST(n, NULL, big)"),
        query("GREATEST(at, '2024-01-01 00:00:00.000000'::timestamp)"),
        query("LEAST(NULL, n)"),
        query("GREATEST(n, LEAST(big, :m))", m=3),
        Case("SELECT GREATEST(MAX(n), 5) AS x FROM things"),
        Case("SELECT MIN(LEAST(n, big)) AS y FROM things", refused=("mssql",)),
    ],
    "`STRING_AGG(x, sep)`": [
        Case("SELECT STRING_AGG(name, '; ') AS x FROM things WHERE id IN (3, 4)"),
        Case("SELECT STRING_AGG(name, :sep) AS x FROM things WHERE id IN (2, 4)", {"sep": "', '"}),
        Case("SELECT STRING_AGG(n::text, ',') AS x FROM things WHERE id > 100"),
        Case("SELECT ok, STRING_AGG('x', '''-''') AS x FROM things WHERE ok IS NOT NULL GROUP BY ok ORDER BY ok"),
        Case("SELECT STRING_AGG(DISTINCT name, ',') AS x FROM things WHERE name = 'Anna'", refused=("mssql",)),
    ],
    "`aggregate(x) FILTER (WHERE ..)`": [
        Case("SELECT COUNT(*) FILTER (WHERE ok) AS a, COUNT(name) FILTER (WHERE n > 0) AS b FROM things"),
        Case("SELECT SUM(n) FILTER (WHERE id > 100) AS a, MAX(name) FILTER (WHERE name LIKE 'A%') AS b FROM things"),
        Case("SELECT COUNT(DISTINCT name) FILTER (WHERE n = :n) AS a FROM things", {"n": 1}),
        Case("SELECT STRING_AGG(name, ';') FILTER (WHERE NOT ok AND n > 0) AS a FROM things"),
        Case("SELECT id, COUNT(*) FILTER (WHERE ok) OVER (ORDER BY id) AS x FROM things ORDER BY id"),
    ],
    "`BOOL_AND`, `BOOL_OR`, `EVERY`": [
        Case("SELECT BOOL_OR(ok) AS a, BOOL_AND(ok) AS b, EVERY(n > -5) AS c FROM things WHERE id <> 2"),
        Case("SELECT BOOL_OR(ok) AS a, BOOL_AND(n > 0) AS b FROM things WHERE id IN (3, 4)"),
        Case("SELECT BOOL_OR(ok) AS a FROM things WHERE id > 100"),
        Case("SELECT name, BOOL_OR(ok) AS a FROM things GROUP BY name HAVING BOOL_OR(ok) ORDER BY COUNT(*)"),
    ],
    "`WITH RECURSIVE`": [
        Case("WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c WHERE n < 1500) SELECT COUNT(*) FROM c"),
        Case(
            "WITH RECURSIVE c AS (SELECT id, thing FROM links WHERE id = 1 UNION ALL SELECT l.id, l.thing"
            " FROM links AS l JOIN c ON l.thing = c.id + 2 WHERE c.id < 9) SELECT id FROM c ORDER BY id LIMIT 5"
        ),
    ],
    "`WITH ..` before INSERT, or before its SELECT": [
        write("WITH q AS (SELECT 91 AS id, 'with' AS name) INSERT INTO things (id, name) SELECT id, name FROM q"),
        write("INSERT INTO things (id, name) WITH q AS (SELECT 92 AS id) SELECT id, :name FROM q", name=HOSTILE),
        write("WITH q (a) AS (SELECT CAST(:a AS int)) INSERT INTO things (id, n) SELECT a, a + :b FROM q", a=93, b=1),
        write(
            "INSERT INTO things (id, n) WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200)"
            " SELECT 100 + n, n FROM c"
        ),
        write(
            "WITH q AS (SELECT 94 AS id) INSERT INTO things (id, n) WITH r AS (SELECT 1 AS n) SELECT id, n FROM q, r",
            "mysql",
            "mssql",
        ),
    ],
    "`->`, `->>` by key or index, literal or parameter": [
        query("doc->>'k'"),
        query("doc->'a'"),
        query("doc->'a'->>1"),
        query("doc->>:key", key="k"),
        rows("doc->>'k' = :t", t=HOSTILE),
        rows("(doc->>'n')::int = 3"),
        rows("doc->>'k' IS NULL"),
    ],
    "`#>`, `#>>` with a literal path": [query("doc #>> '{a,1}'", "mysql", "mssql")],
    "`@>`, `<@`": [rows("doc @> '{\"n\": 3}'::jsonb", "sqlite", "mssql")],
    "`data ? 'key'`, `jsonb \\|\\| jsonb`": [query("doc || '{\"x\": 1}'::jsonb", *NOBODY)],
    "`FOR UPDATE`, `FOR SHARE`, `NOWAIT`, `SKIP LOCKED`": [
        Case("SELECT id FROM things WHERE ok ORDER BY id FOR UPDATE"),
        Case("SELECT id FROM things AS t WHERE n = 1 ORDER BY id LIMIT 1 FOR UPDATE OF t SKIP LOCKED"),
        Case("SELECT id FROM things WHERE id = 1 FOR SHARE NOWAIT"),
    ],
    "`DISTINCT ON`": [Case("SELECT DISTINCT ON (name) name, id FROM things ORDER BY name, id", refused=NOBODY)],
    "`INSERT .. ON CONFLICT .. DO NOTHING / DO UPDATE SET .. WHERE ..`": [
        write(
            "INSERT INTO things (id, name) VALUES (1, :t) ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name",
            t=HOSTILE,
        ),
        write("INSERT INTO things (id, name) VALUES (9, NULL) ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name"),
        write("INSERT INTO things (id, n) VALUES (4, 5) ON CONFLICT (id) DO NOTHING"),
        write("INSERT INTO things (id, n) VALUES (4, 5) ON CONFLICT DO NOTHING"),
        write(
            "INSERT INTO things (id, n) VALUES (1, 5), (5, 5), (8, 5) ON CONFLICT (id) DO UPDATE"
            " SET n = things.n + EXCLUDED.n, ok = NOT things.ok WHERE things.n > 0"
        ),
        write("INSERT INTO things (id, n) SELECT id + 4, n FROM things WHERE id < 4 ON CONFLICT (id) DO NOTHING"),
    ],
    "the same, where `SET` reads a column assigned before it": [
        write(
            "INSERT INTO things (id, n) VALUES (1, 7) ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n, big = things.n",
            "mysql",
        )
    ],
    "`INSERT INTO t DEFAULT VALUES`": [Case("INSERT INTO counted DEFAULT VALUES", None, "SELECT id, n FROM counted")],
    "`UPDATE t AS x ..`, `DELETE FROM t AS x ..`": [
        write("UPDATE things AS x SET n = x.id, name = COALESCE(x.name, :t) WHERE x.id > 1", t=HOSTILE),
        write("UPDATE things x SET ok = NULL"),
        write("DELETE FROM things AS x WHERE x.n = 1 AND x.name = 'Anna'"),
        write("DELETE FROM things x WHERE NOT EXISTS (SELECT 1 FROM links WHERE thing = x.id)"),
    ],
    "`UPDATE .. SET (a, b) = (x, y)`": [
        write("UPDATE things SET (name, n) = (:t, id), ok = TRUE WHERE id < 3", t=HOSTILE)
    ],
    "`UPDATE .. FROM ..`": [
        write("UPDATE things SET name = l.note FROM links AS l WHERE l.thing = things.id AND l.id IN (1, 3, 4)"),
        write("UPDATE things AS x SET n = y.id, ok = y.ok FROM things AS y WHERE y.id = x.id + 1"),
        write(
            "UPDATE things SET n = s.c FROM (SELECT thing, COUNT(*) AS c FROM links GROUP BY thing) AS s"
            " WHERE s.thing = id"
        ),
        write(
            "UPDATE things AS x SET name = a.note FROM links AS a JOIN links AS b ON b.thing = a.thing AND b.id > a.id"
            " WHERE a.thing = x.id"
        ),
    ],
    "`DELETE .. USING ..`": [
        write("DELETE FROM things USING links WHERE links.thing = things.id AND links.note IS NOT NULL"),
        write(
            "DELETE FROM things AS x USING links AS l, things AS y WHERE l.thing = x.id AND y.id = l.id AND y.n = :n",
            n=1,
        ),
        write("DELETE FROM things USING things AS o WHERE o.name = things.name AND o.id < things.id"),
    ],
    "`RETURNING`": [
        Case("INSERT INTO things (id, name) VALUES (20, 'u''x') RETURNING id, UPPER(name) || '!' AS x, COALESCE(n, 7)"),
        Case("DELETE FROM things WHERE name = :t RETURNING id, name", {"t": HOSTILE}),
        Case("UPDATE things SET n = id WHERE id = 4 RETURNING things.id, n", refused=("mysql",)),
        Case("DELETE FROM things AS x WHERE x.id = 4 RETURNING x.id", refused=("mysql",)),
    ],
    '`"name"`, a backslash in a literal': [
        Case("SELECT 'the \"name\"' AS x"),
        query("'a\\%b'"),
    ],
    "`LIKE 'a%'`, `10 % 3`": [
        rows("name LIKE 'A%'"),
        rows("name LIKE :q", q="%名%"),
        rows("id % 2 = 1"),
        query("n % 7"),
        query("-7 % 3"),
    ],
}


@pytest.fixture(scope="module")
def filled(everywhere: Databases) -> Databases:
    """Two tables on every database, whose rows hold what is hard to keep, and one that numbers itself."""
    everywhere.sessions["postgresql"].run("CREATE DOMAIN mood AS text")
    everywhere.do(
        "CREATE TABLE things (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(80), n INTEGER, big BIGINT,"
        " f DOUBLE PRECISION, ok BOOLEAN, day DATE, at TIMESTAMP, doc JSONB)",
        "CREATE TABLE links (id BIGINT NOT NULL PRIMARY KEY, thing BIGINT, note VARCHAR(80))",
        "CREATE TABLE counted (id SERIAL PRIMARY KEY, n INTEGER DEFAULT 5)",
    )
    thing = (
        "INSERT INTO things (id, name, n, big, f, ok, day, at, doc)"
        " VALUES (:id, :name, :n, :big, :f, :ok, :day, :at, :doc)"
    )
    names = ("id", "name", "n", "big", "f", "ok", "day", "at", "doc")
    for row in THINGS:
        everywhere.answers(thing, dict(zip(names, row, strict=True)))
    for row in LINKS:
        values = dict(zip(("id", "thing", "note"), row, strict=True))
        everywhere.answers("INSERT INTO links (id, thing, note) VALUES (:id, :thing, :note)", values)
    return everywhere


@pytest.fixture
def things(filled: Databases) -> Iterator[Databases]:
    """The same, in a transaction of which nothing stays."""
    for session in filled.sessions.values():
        session.backend.begin(session.raw, None, False, "")
    yield filled
    for session in filled.sessions.values():
        session.backend.rollback(session.raw)


@pytest.mark.parametrize(
    ("construct", "case"), [(construct, case) for construct, cases in CONSTRUCTS.items() for case in cases], ids=str
)
def test_a_construct_gives_the_same_answer_everywhere(things: Databases, construct: str, case: Case) -> None:
    for kind in case.refused:
        with pytest.raises(TranslationError, match=r"line 1, column \d+"):
            said(case.sql, kind, MODES[kind])
    able = Databases({kind: session for kind, session in things.sessions.items() if kind not in case.refused})
    able.assert_agree(case.sql, case.params)
    if case.shown:
        able.assert_agree(case.shown)


def test_the_document_has_a_row_for_each_construct_and_no_other() -> None:
    section = DOCUMENT.split("## What is translated in expressions and statements")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (.*?) \| ", section, re.MULTILINE)
    assert [cell for cell in cells if cell not in ("canonical", "---")] == list(CONSTRUCTS)
