"""What a plan says of its parameters: names, order, places, and the errors when they do not fit."""

from dataclasses import replace

import pytest

from nexusql.errors import ParameterError, SQLSyntaxError, TranslationError
from nexusql.sql import compile_statement
from nexusql.sql.compile import compile_plan, missing_error, value_error
from nexusql.sql.statement import Assigned, NearMiss, Style
from nexusql.sql.syntax import Rewrite
from nexusql.sql.tokens import Token
from readings import (
    ALL_MSSQL,
    ALL_MYSQL,
    ALL_PG,
    MARIA,
    MSSQL,
    PG,
    READINGS,
    SQLITE,
    Reading,
)

QMARK = (SQLITE, *ALL_MSSQL)


def test_the_public_call_gives_text_and_names_for_a_dialect() -> None:
    statement = compile_statement("SELECT * FROM t WHERE a = :a AND b = :b AND c = :a", "sqlite")
    assert statement.text == "SELECT * FROM t WHERE a = ? AND b = ? AND c = ?"
    assert statement.names == ("a", "b", "a")
    assert compile_statement("SELECT '5%', :a", "postgresql").text == "SELECT '5%%', %s"


def test_an_unknown_dialect_is_a_value_error_that_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'oracle'.*mssql, mysql, postgresql, sqlite"):
        compile_statement("SELECT 1", "oracle")


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
@pytest.mark.parametrize("sql", ["", " \n", ";", " ; ;", "-- only :a comment", "/* a */ ; -- b"])
def test_a_statement_of_nothing_has_no_verb(reading: Reading, sql: str) -> None:
    statement = reading.compile(sql)
    assert (statement.verb, statement.names) == ("", ())


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
def test_one_semicolon_and_comments_around_the_statement_are_kept(reading: Reading) -> None:
    statement = reading.compile("/* a */ SELECT 1 ; -- b\n; /* c% */")
    assert statement.text == "/* a */ SELECT 1 ; -- b\n /* c% */"
    assert reading.compile(" ;; SELECT 1").text == " SELECT 1"


# Positional.


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
@pytest.mark.parametrize("mark", ["?", "%s"])
def test_a_sequence_binds_question_marks_and_percent_s_everywhere(reading: Reading, mark: str) -> None:
    sql = f"SELECT '{mark}' FROM t WHERE a = {mark} AND b IN ({mark}, {mark}) -- {mark}"
    statement = reading.compile(sql, Style.SEQUENCE, (3,))
    own = reading.syntax.placeholder
    text = mark.replace("%", "%%") if own == "%s" else mark
    assert statement.text == f"SELECT '{text}' FROM t WHERE a = {own} AND b IN ({own}, {own}) -- {text}"
    assert (statement.names, statement.order) == (("1", "2", "3"), None)


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
def test_a_sequence_binds_names_in_order_of_appearance(reading: Reading) -> None:
    each = reading.compile("SELECT :a, :b, :a", Style.SEQUENCE, (3,))
    assert (each.names, each.order) == (("a", "b", "a"), None)
    by_name = reading.compile("SELECT :a, :b, :a", Style.SEQUENCE, (2,))
    assert (by_name.names, by_name.order) == (("a", "b", "a"), (0, 1, 0))


@pytest.mark.parametrize(
    ("sql", "count", "message"),
    [
        ("SELECT ?, ?", 1, "has 2 placeholders, but 1 value was given"),
        ("SELECT %s", 3, "has 1 placeholder, but 3 values were given"),
        ("SELECT :a, :b, :a", 1, "has 3 placeholders of 2 names, but 1 value was given"),
        ("SELECT :a", 2, "has 1 placeholder, but 2 values were given"),
        ("SELECT 1", 1, "has no placeholder, but 1 value was given"),
        ("SELECT ?, %s", 2, "? and %s are mixed; use one kind (line 1, column 11)"),
        ("SELECT ?, :a", 2, "? and :a are mixed; use one kind (line 1, column 11)"),
        ("SELECT :a, %s", 2, "%s and :a are mixed; use one kind (line 1, column 8)"),
    ],
)
@pytest.mark.parametrize("reading", [SQLITE, MARIA, MSSQL], ids=lambda reading: reading.name)
def test_a_sequence_that_does_not_fit_is_refused_with_the_counts(
    reading: Reading, sql: str, count: int, message: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        reading.compile(sql, Style.SEQUENCE, (count,))
    assert message in str(caught.value)
    assert caught.value.sql == sql


@pytest.mark.parametrize("reading", ALL_PG, ids=lambda reading: reading.name)
def test_postgresql_takes_a_question_mark_for_a_placeholder_only_where_the_number_fits(reading: Reading) -> None:
    assert reading.compile("SELECT ? + ?", Style.SEQUENCE, (2,)).text == "SELECT %s + %s"
    operator = reading.compile("SELECT j ? 'k', %s", Style.SEQUENCE, (1,))
    assert operator.text == "SELECT j ? 'k', %s"
    assert reading.compile("SELECT j ? :k", Style.SEQUENCE, (1,)).text == "SELECT j ? %s"
    assert reading.compile("SELECT j ? 'k', '%s'").text == "SELECT j ? 'k', '%s'"
    for sql, count, told in (("SELECT ?, ?", 1, "2 placeholders, but 1 value was"), ("SELECT 1", 1, "no placeholder")):
        with pytest.raises(ParameterError, match=f"has {told}"):
            reading.compile(sql, Style.SEQUENCE, (count,))


@pytest.mark.parametrize("reading", QMARK, ids=lambda reading: reading.name)
@pytest.mark.parametrize("style", [Style.NAMED, Style.NONE])
def test_a_question_mark_without_a_sequence_is_refused_where_the_driver_would_bind_it(
    reading: Reading, style: Style
) -> None:
    for sql in ("SELECT 1,\n ? ", "SELECT 1,\n %s"):
        with pytest.raises(ParameterError, match=r"\(line 2, column 2\)"):
            reading.compile(sql, style)
    assert reading.compile("SELECT '?', \"?\" -- ?", style).names == ()
    assert reading.compile("SELECT 10 %s", style).text == "SELECT 10 %s"


@pytest.mark.parametrize("reading", [*ALL_PG, *ALL_MYSQL], ids=lambda reading: reading.name)
def test_a_question_mark_without_a_sequence_is_left_to_the_other_servers_where_it_may_be_an_operator(
    reading: Reading,
) -> None:
    assert reading.compile("SELECT a ? b", Style.NONE).text == "SELECT a ? b"
    assert reading.compile("SELECT a ? :b").names == ("b",)
    for sql in ("SELECT a @? '$.b'", "SELECT ?- l", "SELECT a ?| b", "SELECT a %s"):
        assert reading.compile(sql, Style.NONE).text == sql
    if reading in ALL_PG:
        for sql in ("SELECT a OPERATOR(pg_catalog.?) b", "CREATE OPERATOR ? (LEFTARG = a, COMMUTATOR = ?)"):
            assert reading.compile(sql, Style.NONE).text == sql
    for mark in ("?", "%s"):
        for sql in (f"SELECT a WHERE\n a = {mark}", f"SELECT\n IN ({mark})", f"SELECT 1\n LIMIT {mark}"):
            for style, told in ((Style.NAMED, "by position"), (Style.NONE, "has no value")):
                with pytest.raises(ParameterError, match=rf"{told}.*\(line 2, column \d+\)"):
                    reading.compile(sql, style)


@pytest.mark.parametrize("reading", [*ALL_PG, *ALL_MYSQL], ids=lambda reading: reading.name)
def test_a_word_behind_a_dot_is_a_name(reading: Reading) -> None:
    for word in ("values", "all", "by", "like", "offset"):
        assert reading.compile(f"SELECT d.{word} ? 'a' FROM d WHERE id = :id").names == ("id",)
        assert reading.compile(f"SELECT d . {word} ? 'a'", Style.NONE).text == f"SELECT d . {word} ? 'a'"


@pytest.mark.parametrize("reading", ALL_PG, ids=lambda reading: reading.name)
@pytest.mark.parametrize("mark", ["?", "%s"])
def test_a_name_like_operator_is_no_operator(reading: Reading, mark: str) -> None:
    for condition in (f"operator_id = {mark}", f"operator = {mark}", f"'OPERATOR(' = a AND b = {mark}"):
        for style in (Style.NAMED, Style.NONE):
            with pytest.raises(ParameterError, match=r"by position|has no value"):
                reading.compile(f"SELECT a FROM t WHERE {condition}", style)
    with pytest.raises(ParameterError, match="by position"):
        reading.compile(f"SELECT a OPERATOR(pg_catalog.=) b WHERE c = {mark}")


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
def test_a_list_stands_in_brackets(reading: Reading) -> None:
    for sql, style, shown in (
        ("SELECT a FROM t WHERE (b)\nNOT IN :ids", Style.NAMED, ":ids"),
        ("SELECT a FROM t WHERE b AND\nc IN ? AND d", Style.SEQUENCE, ":name"),
    ):
        with pytest.raises(SQLSyntaxError, match=rf"brackets: IN \({shown}\) \(line 2, column \d+\)"):
            reading.compile(sql, style, (1,) if style is Style.SEQUENCE else None)
    assert reading.compile("SELECT POSITION(LOWER(:a) IN :b)").names == ("a", "b")


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
def test_the_drivers_way_of_naming_a_parameter_is_refused(reading: Reading) -> None:
    with pytest.raises(ParameterError, match=r"%\(b\)s is a driver's way; write :b \(line 1, column 20\)"):
        reading.compile("SELECT a WHERE a = %(b)s")
    for sql in ("SELECT 5 %(b)s", "SELECT '%(b)s'", "SELECT 1 -- %(b)s"):
        assert reading.compile(sql, Style.NONE).text == sql


@pytest.mark.parametrize("style", list(Style))
@pytest.mark.parametrize("mark", ["?1", "@x", "$x", "$x::y", "#x", ":1", ":$", "a:x"])
def test_the_ways_in_which_sqlite_itself_binds_are_refused(mark: str, style: Style) -> None:
    with pytest.raises(ParameterError, match=r"\(line 1, column \d+\)"):
        SQLITE.compile(f"SELECT {mark}", style, (1,))


def reordered(rewrite: Rewrite) -> None:
    """A rule that says the same the other way round, and one parameter twice."""
    first, second = [i for i, token in enumerate(rewrite.tokens) if token.kind == ":"]
    tokens = rewrite.tokens
    tokens[first], tokens[second] = tokens[second], tokens[first]
    tokens += [Token("o", "+"), Token(":", tokens[first].text, tokens[first].start)]


@pytest.mark.parametrize("mark", [":a - :b", "? - ?", "%s - %s"])
def test_values_of_a_sequence_follow_their_parameter_wherever_a_rule_puts_it(mark: str) -> None:
    syntax = replace(MARIA.syntax, rules=(reordered,))
    statement = compile_plan(f"SELECT {mark}", syntax, MARIA.modes, Style.SEQUENCE, (2,), True)
    assert (statement.text, statement.order) == ("SELECT %s - %s+%s", (1, 0, 1))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/* ", " */"),
        ("-- ", ""),
        ("'", "'"),
        ('"', '"'),
        ("'x' ", ""),
        ("", "'x'"),
        ("t.", ""),
        ("(", "'"),
        (":other ", ""),
    ],
)
def test_a_rule_that_puts_a_parameter_where_it_is_no_value_is_caught(before: str, after: str) -> None:
    def rule(rewrite: Rewrite) -> None:
        at = next(i for i, token in enumerate(rewrite.tokens) if token.kind == ":")
        rewrite.tokens.insert(at + 1, Token("o", after))
        rewrite.tokens.insert(at, Token("o", before))

    with pytest.raises(TranslationError, match="would put a parameter where") as caught:
        compile_plan("SELECT :a", replace(PG.syntax, rules=(rule,)), PG.modes, Style.NAMED, None, True)
    assert caught.value.sql == "SELECT :a"


def test_words_that_a_rule_puts_beside_a_parameter_do_not_run_into_its_value() -> None:
    def rule(rewrite: Rewrite) -> None:
        rewrite.tokens[:] = [
            Token("w", "CAST"),
            Token("(", "("),
            *rewrite.tokens[2:],
            Token("w", "AS"),
            Token("w", " INT"),
        ]
        rewrite.tokens.append(Token(")", ")"))

    statement = compile_plan("SELECT :a", replace(PG.syntax, rules=(rule,)), PG.modes, Style.NAMED, None, True)
    assert statement.text == "CAST(%s AS INT)"


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
def test_without_parameters_names_stay_to_be_reported_and_percents_are_untouched(reading: Reading) -> None:
    assert reading.compile("SELECT :a, :b", Style.NONE).names == ("a", "b")
    assert reading.compile("SELECT '5%' -- %s", Style.NONE).text == "SELECT '5%' -- %s"


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT :new, ':x', ? ; UPDATE b SET c = :old; END",
        "create or replace function f() returns int as begin return :new; end",
        "CREATE PROCEDURE p() BEGIN SELECT :a; END;",
        "CREATE DEFINER = 'a'@'b' EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT :a",
        "CREATE DEFINER=a@b PROCEDURE p() SELECT :a",
        "CREATE DEFINER = CURRENT_USER() TRIGGER p BEFORE INSERT ON a FOR EACH ROW SET NEW.a = :a",
        "ALTER FUNCTION f() RETURNS INT AS SELECT :a",
        "CREATE PACKAGE p AS PROCEDURE a(x INT); FUNCTION b RETURN INT; END",
    ],
)
def test_bodies_of_triggers_and_routines_carry_no_parameters(reading: Reading, sql: str) -> None:
    for style in (Style.NAMED, Style.NONE):
        statement = reading.compile(sql, style)
        assert (statement.text, statement.names) == (sql, ())
    assert {miss.where for miss in statement.near_misses} >= ({"the body of a routine"} if ":" in sql[20:] else set())


def test_tables_of_such_names_are_no_routines() -> None:
    assert PG.compile("CREATE TABLE event (a int DEFAULT :a)").names == ("a",)
    assert PG.compile("CREATE VIEW trigger AS SELECT :a").names == ("a",)


# What is said of each placeholder.


def test_offsets_tell_where_each_parameter_stands_in_the_source() -> None:
    sql = "SELECT '5%', :a,\n :ä, :a"
    statement = MARIA.compile(sql)
    assert [sql[at : at + 2] for at in statement.offsets] == [":a", ":ä", ":a"]


ASSIGNED = [
    ("INSERT INTO t (a, b) VALUES (:x, :y)", [(0, "t", "a"), (1, "t", "b")]),
    ("INSERT INTO t (a, b) VALUES (:x, 1), (NOW(), :y),(:z,1)", [(0, "t", "a"), (1, "t", "b"), (2, "t", "a")]),
    ('INSERT INTO s."T" AS q ("A", b) VALUES ( /* c */ :x , :y::int)', [(0, 's."T"', '"A"')]),
    ("INSERT INTO t (a, b) OVERRIDING SYSTEM VALUE VALUES (f(:x), :y)", [(1, "t", "b")]),
    ("INSERT INTO t VALUES (:x)", []),
    ("UPDATE t. SET a = :x", []),
    ("UPDATE t SET (a, b) = (:x, :y), c = :z", []),
    ("UPDATE t SET a =", []),
    ("INSERT INTO t (a) SELECT :x", []),
    ("REPLACE INTO t (a) VALUES (:x)", [(0, "t", "a")]),
    ("INSERT OR IGNORE INTO t (a) VALUES (:x)", [(0, "t", "a")]),
    ("INSERT IGNORE t (a) VALUE (:x)", [(0, "t", "a")]),
    ("UPDATE t SET a = :x, b = b + :y, c = (SELECT :z), d = :w WHERE e = :v", [(0, "t", "a"), (3, "t", "d")]),
    ("UPDATE ONLY s.t AS q SET q.a = :x RETURNING :y", [(0, "s.t", "q.a")]),
    ("UPDATE t SET a = CASE WHEN :x THEN 1 END, b=:y", [(1, "t", "b")]),
    ("UPDATE t SET a = :x || 'y', b = - :y, c = :z::int", []),
    ("UPDATE a JOIN b ON a.i = b.i SET a.c = :x", []),
    (
        "INSERT INTO t (a) VALUES (:x) ON CONFLICT (a) DO UPDATE SET b = :y, c = excluded.c WHERE t.d = :z RETURNING *",
        [(0, "t", "a"), (1, "t", "b")],
    ),
    ("INSERT INTO t (a) VALUES (:x) ON DUPLICATE KEY UPDATE b = :y", [(0, "t", "a"), (1, "t", "b")]),
    ("WITH w AS (INSERT INTO t (a) VALUES (:x) RETURNING a) UPDATE u SET b = :y", [(0, "t", "a"), (1, "u", "b")]),
    ("SELECT REPLACE(:a, :b, :c), (SELECT a FROM t FOR UPDATE)", []),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), ASSIGNED, ids=[sql for sql, _ in ASSIGNED])
def test_whole_values_of_columns_are_known_with_table_and_column(
    sql: str, expected: list[tuple[int, str, str]]
) -> None:
    statement = PG.compile(sql)
    assert statement.assigned == tuple(Assigned(*found) for found in expected)
    assert not statement.compared & {found.position for found in statement.assigned}


COMPARED = [
    ("SELECT 1 WHERE a = :x AND :y <> b OR c>=:z", {0, 1, 2}),
    ("SELECT 1 WHERE a < :x AND :y > b AND c != :z AND d <= :w", {0, 1, 2, 3}),
    ("SELECT 1 WHERE a BETWEEN :x AND :y AND :z", {0, 1}),
    ("SELECT 1 WHERE a BETWEEN (SELECT 1 AND :x) AND :y AND :z", {1}),
    ("SELECT 1 WHERE :x BETWEEN a AND b AND :y NOT BETWEEN c AND d", {0, 1}),
    ("SELECT 1 WHERE a IN (:x, 1, :y) AND b NOT IN (:z) AND :w IN (1)", {0, 1, 2, 3}),
    ("SELECT 1 WHERE a IN (SELECT b WHERE :x) AND c IN (f(:y), :z + 1)", set()),
    ("SELECT :x, f(:y), :z + 1", set()),
    ("SELECT 1 WHERE a > :x - INTERVAL '1 day' AND b = :y::date AND c = - :z", set()),
    ("SELECT 1 WHERE a ->> :x = :y AND f(a => :z)", {1}),
]


@pytest.mark.parametrize(("sql", "expected"), COMPARED, ids=[sql for sql, _ in COMPARED])
def test_operands_of_comparisons_are_known(sql: str, expected: set[int]) -> None:
    assert PG.compile(sql).compared == expected


# Lists.


@pytest.mark.parametrize(
    ("reading", "length", "text"),
    [
        (PG, 0, "SELECT 1 WHERE a = ANY('{}') AND b <> ALL('{}') AND c = %s"),
        (SQLITE, 0, "SELECT 1 WHERE a IN (SELECT NULL WHERE 1 = 0) AND b NOT IN (SELECT NULL WHERE 1 = 0) AND c = ?"),
        (MSSQL, 0, "SELECT 1 WHERE a IN (SELECT NULL WHERE 1 = 0) AND b NOT IN (SELECT NULL WHERE 1 = 0) AND c = ?"),
        (
            MARIA,
            0,
            "SELECT 1 WHERE a IN (SELECT NULL FROM DUAL WHERE FALSE) AND b NOT IN (SELECT NULL FROM DUAL WHERE FALSE)"
            " AND c = %s",
        ),
        (PG, 2, "SELECT 1 WHERE a IN (%s, %s) AND b NOT IN (%s, %s) AND c = %s"),
        (SQLITE, 1, "SELECT 1 WHERE a IN (?) AND b NOT IN (?) AND c = ?"),
        (MARIA, -1, "SELECT 1 WHERE a IN (%s) AND b NOT IN (%s) AND c = %s"),
        (PG, 16_384, "SELECT 1 WHERE a = ANY(%s) AND b <> ALL(%s) AND c = %s"),
        (
            SQLITE,
            16_384,
            "SELECT 1 WHERE a IN (SELECT value FROM json_each(?)) AND b NOT IN (SELECT value FROM json_each(?))"
            " AND c = ?",
        ),
        (
            MSSQL,
            1_050,
            "SELECT 1 WHERE a IN (SELECT value FROM OPENJSON(?)) AND b NOT IN (SELECT value FROM OPENJSON(?))"
            " AND c = ?",
        ),
    ],
)
def test_a_list_becomes_as_many_placeholders_or_one_value_or_none(reading: Reading, length: int, text: str) -> None:
    sql = "SELECT 1 WHERE a IN (:ids) AND b NOT IN (:ids) AND c = :c"
    assert reading.compile(sql).lists == ("ids",)
    statement = reading.compile(sql, lengths=(length,))
    assert statement.text == text
    whole = length > 1_000
    items = ["ids"] if whole or length < 0 else [f"ids[{n}]" for n in range(length)]
    assert statement.names == (*items, *items, "c")
    assert statement.whole_lists == ({"ids"} if whole else set())


@pytest.mark.parametrize(("length", "whole"), [(16_383, False), (16_384, True)])
def test_a_list_is_bound_as_one_value_only_beyond_the_limit_of_all_placeholders(length: int, whole: bool) -> None:
    sql = "SELECT 1 WHERE a IN (:ids) OR b IN (:ids) OR c = :c"
    statement = PG.compile(sql, lengths=(length,))
    assert (statement.whole_lists == {"ids"}) is whole
    assert len(statement.names) == (3 if whole else 2 * length + 1)


def test_mysql_has_no_limit() -> None:
    assert len(MARIA.compile("SELECT 1 WHERE a IN (:ids)", lengths=(70_000,)).names) == 70_000


def test_the_longest_list_gives_way_first() -> None:
    sql = "SELECT 1 WHERE a IN (:s) AND b IN (:l) AND c IN (:m)"
    statement = PG.compile(sql, lengths=(10_000, 30_000, 20_000))
    assert statement.whole_lists == {"l"}
    assert PG.compile(sql, lengths=(30_000, 30_001, 30_002)).whole_lists == {"l", "m"}


def test_only_a_parameter_alone_in_the_parentheses_of_in_is_a_list() -> None:
    sql = "SELECT 1 WHERE a IN (:a, :b) AND b IN ( /* x */ :c ) AND c = ANY(:d) AND d IN (:e::int) AND f(:g) IN (:h)"
    statement = PG.compile(sql)
    assert statement.lists == ("c", "h")
    assert PG.compile(sql, lengths=(2, 0)).text == (
        "SELECT 1 WHERE a IN (%s, %s) AND b IN ( /* x */ %s, %s ) AND c = ANY(%s) AND d IN (%s::int)"
        " AND f(%s) = ANY('{}')"
    )


def test_a_list_used_elsewhere_too_stays_one_value_there() -> None:
    statement = PG.compile("SELECT 1 WHERE a IN (:ids) AND b = ANY(:ids)", lengths=(2,))
    assert statement.names == ("ids[0]", "ids[1]", "ids")


def test_items_of_a_list_share_its_place_and_are_compared() -> None:
    statement = PG.compile("SELECT 1 WHERE a IN (:ids)", lengths=(3,))
    assert statement.offsets == (21, 21, 21)
    assert statement.compared == {0, 1, 2}


# Near misses.


def test_names_inside_text_are_near_misses_with_line_column_and_kind() -> None:
    statement = PG.compile("SELECT ':a', \":b\", $$:c$$ -- :d é\r\n  /* :e\n :f */ , :a, ':g'\n; -- :h")
    assert statement.near_misses == (
        NearMiss("a", 1, 9, "a string literal"),
        NearMiss("b", 1, 15, "a quoted identifier"),
        NearMiss("c", 1, 22, "a string literal"),
        NearMiss("d", 1, 30, "a comment"),
        NearMiss("e", 2, 6, "a comment"),
        NearMiss("f", 3, 2, "a comment"),
        NearMiss("g", 3, 15, "a string literal"),
        NearMiss("h", 4, 6, "a comment"),
    )
    assert statement.names == ("a",)


def test_times_urls_casts_and_escapes_are_no_near_misses() -> None:
    assert (
        PG.compile(r"SELECT '12:30', 'http://a', 'urn:isbn', 'a::text', '\:x', '{" + '"a":1}' + "' -- a:b").near_misses
        == ()
    )


def test_a_name_in_a_comment_that_this_server_skips_is_a_near_miss() -> None:
    assert [miss.name for miss in MARIA.compile("SELECT 1 /*!99999 , :v */").near_misses] == ["v"]


def test_near_misses_of_a_long_text_are_found_in_linear_time() -> None:
    statement = PG.compile("SELECT 1 -- :a\n" * 1 + "-- :a\n" * 20_000)
    assert len(statement.near_misses) == 20_001
    assert statement.near_misses[-1].line == 20_001


# Errors.


def test_every_missing_parameter_is_named_with_its_place_and_the_nearest_given() -> None:
    statement = PG.compile("SELECT :email,\n  :id, :email -- :id")
    error = missing_error(statement, ("email", "id"), ("e_mail", "zzz", 5))
    assert str(error) == (
        "missing parameters: :email at line 1, column 8 (did you mean :e_mail?), "
        ":id at line 2, column 3 (:id at line 2, column 18 is inside a comment and is not bound)"
    ).replace("line 2, column 18 is", "line 2 is")
    assert isinstance(error, ValueError)
    assert error.sql == statement.source


def test_one_missing_parameter_is_spoken_of_in_the_singular() -> None:
    assert str(missing_error(PG.compile("SELECT :a"), ("a",), ())) == "missing parameter: :a at line 1, column 8"


def test_an_error_about_a_value_tells_the_parameter_and_its_place() -> None:
    named = PG.compile("SELECT 1,\n :a")
    assert (
        str(value_error(named, 0, "a set cannot be bound")) == "parameter :a (line 2, column 2): a set cannot be bound"
    )
    item = PG.compile("SELECT 1 WHERE a IN (:ids)", lengths=(2,))
    assert str(value_error(item, 1, "no")) == "parameter :ids[1] (line 1, column 22): no"
    marked = PG.compile("SELECT ?, ?", Style.SEQUENCE, (2,))
    assert str(value_error(marked, 1, "no")) == "parameter 2 (line 1, column 11): no"
