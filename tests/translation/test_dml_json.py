"""JSON operators give the same answer on every database."""

import json

import pytest

from nexusql.errors import ProgrammingError, TranslationError
from nexusql.sql import compile_statement
from nexusql.sql.lexical import SessionModes
from translating import MARIADB, MYSQL, OLD_SQLITE, SQLITE, Databases, said

DOCUMENT = {
    "s": "text",
    "i": 42,
    "f": 1.5,
    "t": True,
    "n": None,
    "o": {"k": "v", "list": [1, [2, 3], {"x": "y"}], "empty": {}},
    "a": [10, "eleven", None, False],
    "quo'te": "it's",
    'dou"ble': 'say "hi"',
    "back\\slash": "C:\\temp\n",
    "dot.ted": "not a path",
    "ünï😀": "ß",
    "with space": {"more space": 1},
    "$": "dollar",
    "0": "zero key",
    "": "empty key",
    "key": "a column's name",
    "value": "another",
    "big": 9007199254740993,
    "is": "|",
}


@pytest.fixture(scope="module")
def documents(everywhere: Databases) -> Databases:
    """A table of JSON on every database."""
    everywhere.do("CREATE TABLE documents (id INTEGER PRIMARY KEY, data JSONB, type VARCHAR(20), value VARCHAR(20))")
    for session in everywhere.sessions.values():
        insert = "INSERT INTO documents (id, data, type, value) VALUES (:id, :data, :type, :value)"
        session.run(insert, {"id": 1, "data": DOCUMENT, "type": "s", "value": "i"})
        session.run(insert, {"id": 2, "data": {}, "type": "s", "value": "x"})
        session.run(insert, {"id": 3, "data": None, "type": None, "value": None})
        session.run(insert, {"id": 4, "data": json.dumps([1, {"s": "in a list"}]), "type": "s", "value": "0"})
    return everywhere


@pytest.mark.parametrize("key", DOCUMENT)
def test_a_key_as_text_by_literal_and_by_parameter(documents: Databases, key: str) -> None:
    literal = key.replace("'", "''")
    by_parameter = documents.assert_agree("SELECT id, data ->> :key FROM documents ORDER BY id", {"key": key})
    if key.startswith("$"):
        return
    for kind, session in documents.sessions.items():
        assert session.run(f"SELECT id, data->>'{literal}' FROM documents ORDER BY id") == by_parameter, kind


@pytest.mark.parametrize("key", [key for key in DOCUMENT if key != "$"])
def test_a_key_as_json(documents: Databases, key: str) -> None:
    literal = key.replace("'", "''")
    for sql, params in (
        ("SELECT id, (data -> :key)::text FROM documents WHERE id <> 3 ORDER BY id", {"key": key}),
        (f"SELECT id, (data -> '{literal}')::text FROM documents WHERE id <> 3 ORDER BY id", None),
    ):
        if params is None and "\\" in key:
            continue
        answers = documents.answers(sql, params)
        parsed = {
            kind: [(number, text if text is None else json.loads(text)) for number, text in rows]
            for kind, rows in answers.items()
        }
        for kind, found in parsed.items():
            assert found == parsed["postgresql"], kind


@pytest.mark.parametrize(
    "expression",
    [
        "data->'o'->>'k'",
        "data -> 'o' -> 'list' ->> 0",
        "data->'o'->'list'->1->>1",
        "data->'o'->'list'->2->>'x'",
        "data->'a'->>1",
        "data->'a'->>2",
        "data->'a'->>3",
        "data->'a'->>9",
        "data->'a'->>-1",
        "data->'o'->'list'->-1->>'x'",
        "data->'a'->>'1'",
        "data->1->>'s'",
        "data->'missing'->>'k'",
        "data->'s'->>'k'",
        "data->'n'->>'k'",
        "(data->'o')->>'k'",
        "documents.data->'with space'->>'more space'",
        "data->>'i' = '42'",
        "(data->>'i')::int + 1",
        "(data->>'f')::float8 * 2",
        "(data->>'t')::boolean",
        "(data->>'s') || '!'",
        "data->>'s' || '!'",
        "COALESCE(data->>'none', 'default')",
        "CASE WHEN data->>'t' = 'true' THEN data->>'s' ELSE 'no' END",
        "UPPER(data->'o'->>'k')",
        "data->>lower('S')",
        "data->>type",
        "data->>value",
        "data->>('o' || '') IS NULL",
        "data /* one */ -> /* two */ 'o' /* three */ ->> 'k'",
        "data->>'s' IS NULL",
        "data->'n' IS NULL",
        "data->>'n' IS NULL",
        "'{\"a\": [1, {\"b\": \"c\"}]}'::jsonb -> 'a' -> 1 ->> 'b'",
        "(data->>'big')::bigint",
    ],
)
def test_a_chain_of_arrows(documents: Databases, expression: str) -> None:
    # Which SQL Server does not read from its end.
    able = documents.without("mssql") if "-1" in expression else documents
    able.assert_agree(f"SELECT id, {expression} FROM documents WHERE id <> 4 ORDER BY id")


@pytest.mark.parametrize("index", [0, 1, 9])
def test_an_index_by_parameter(documents: Databases, index: int) -> None:
    documents.assert_agree("SELECT id, data->'a'->>:i FROM documents ORDER BY id", {"i": index})


def test_parameters_in_a_chain(documents: Databases) -> None:
    rows = documents.assert_agree(
        "SELECT data->:a->:b->>:i, data->:a->'list'->1->>:i, data->:a->>'k' FROM documents WHERE id = 1",
        {"a": "o", "b": "list", "i": 0},
    )
    assert rows == [("1", "2", "v")]


def test_a_null_label_gives_null(documents: Databases) -> None:
    assert documents.assert_agree("SELECT data->>:k FROM documents WHERE id = 1", {"k": None}) == [(None,)]


def test_a_key_by_parameter_is_never_read_as_a_path(documents: Databases) -> None:
    for key in ('o"."k', "o.k", "$.o.k", "a[0]", "*", "**", "o'", 'o\\"', "?"):
        assert documents.assert_agree("SELECT data->>:k FROM documents WHERE id = 1", {"k": key}) == [(None,)]


@pytest.mark.parametrize(
    "where",
    [
        "data->>'s' = :v",
        "data->'o'->>'k' = 'v'",
        "data->>:k = :v",
        "data->>'s' LIKE 'te%'",
        "data->>'s' ILIKE 'TE%'",
        "data->>'s' IN ('text', 'x')",
        "(data->>'i')::int > 40 AND data->>'n' IS NULL",
        "data->>'s' IS DISTINCT FROM 'other'",
    ],
)
def test_json_in_a_condition(documents: Databases, where: str) -> None:
    documents.assert_agree(f"SELECT id FROM documents WHERE {where} ORDER BY id", {"v": "text", "k": "s"})


@pytest.mark.parametrize(
    "path",
    ["{o,k}", "{o, list, 1, 0}", "{a,-1}", '{o,"list",2,"x"}', "{missing,x}", "{}", '{"with space","more space"}'],
)
def test_paths_on_sqlite(documents: Databases, path: str) -> None:
    for sql in (f"SELECT id, data #>> '{path}' FROM documents WHERE id <> 4 ORDER BY id",):
        assert documents.sessions["sqlite"].run(sql) == documents.sessions["postgresql"].run(sql)
    element = f"SELECT id, data #> '{path}' FROM documents WHERE id = 1"
    (expected,), (found,) = (documents.sessions[kind].run(element) for kind in ("postgresql", "sqlite"))
    assert found == expected or json.loads(found[1]) == expected[1]


def test_old_sqlite_needs_no_arrow(documents: Databases) -> None:
    session = documents.sessions["sqlite"]
    for label in ("'s'", "'i'", "'f'", "'t'", "'n'", "'o'", "'a'", "'missing'", "'ünï😀'", "0", "-1"):
        sql = f"SELECT data->>{label}, data->{label}, data->'a'->{label} FROM documents WHERE id IN (1, 4) ORDER BY id"
        assert "->" not in said(sql, "sqlite", OLD_SQLITE).sql
        assert session.run(sql, modes=OLD_SQLITE) == session.run(sql)


def test_containment_on_mysql(documents: Databases) -> None:
    for where in ("data @> '{\"i\": 42}'::jsonb", "'{\"i\": 42}'::jsonb <@ data", "data @> :p::jsonb"):
        sql = f"SELECT id FROM documents WHERE {where} ORDER BY id"
        answers = [documents.sessions[kind].run(sql, {"p": {"o": {"k": "v"}}}) for kind in ("postgresql", "mysql")]
        assert answers == [[(1,)], [(1,)]], where
    with pytest.raises(TranslationError, match="containment"):
        said("SELECT 1 FROM t WHERE data @> '{}'", "sqlite", SQLITE)


@pytest.mark.parametrize(("dialect", "modes"), [("sqlite", SQLITE), ("mysql", MARIADB)])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 FROM t WHERE data ? 'key'",
        "SELECT 1 FROM t WHERE data ?| ARRAY('a')",
        "UPDATE t SET data = data || :patch::jsonb",
        "UPDATE t SET data = :patch::jsonb || data",
        "UPDATE t SET data = data || CAST(:patch AS jsonb)",
        "SELECT data #>> :path FROM t",
    ],
)
def test_what_json_cannot_say_is_refused(sql: str, dialect: str, modes: SessionModes) -> None:
    with pytest.raises(TranslationError, match="line 1"):
        said(sql, dialect, modes)


def test_a_path_operator_is_never_taken_for_a_comment_on_mysql() -> None:
    with pytest.raises(TranslationError, match="#> starts a comment"):
        said("DELETE FROM t WHERE data #>> '{a}' = 'x'", "mysql", MYSQL)
    for comment in ("# '{a}'", "#>> see below", "-- #> '{a}'"):
        sql = f"SELECT a {comment}\nFROM t"
        assert said(sql, "mysql", MYSQL).sql == sql
    with pytest.raises(TranslationError, match="#> starts a comment"):
        compile_statement("DELETE FROM t WHERE data #>> '{a}' = 'x'", "mysql", modes=MYSQL)


def test_an_index_from_the_end_is_refused_before_mariadb_10_9() -> None:
    assert "[last-1]" in said("SELECT data->-2 FROM t", "mysql", MARIADB).sql
    with pytest.raises(TranslationError, match=r"10\.9 .line 1, column 12"):
        said("SELECT data->-2 FROM t", "mysql", MARIADB._replace(version=(10, 6, 1)))


def test_an_aggregate_before_a_dynamic_label_is_refused_on_sqlite() -> None:
    with pytest.raises(TranslationError, match="aggregate"):
        said("SELECT MAX(data)->>:k FROM t", "sqlite", SQLITE)


@pytest.mark.parametrize("sql", ["SELECT data->'$.a', data->>'$.a[0]' FROM t", "SELECT data -> '$' FROM t"])
def test_native_arrows_pass_untouched(sql: str) -> None:
    assert said(sql, "sqlite", SQLITE).sql == sql
    assert said(sql, "mysql", MYSQL).sql == sql


def test_an_unread_path_is_a_clear_error() -> None:
    with pytest.raises(ProgrammingError, match="literal path"):
        said("SELECT data #> '{a,{b}}' FROM t", "sqlite", SQLITE)
