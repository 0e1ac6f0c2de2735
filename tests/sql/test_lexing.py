"""Where a `:name` is a parameter, and where it is text: each construct, in each dialect and mode."""

from typing import NamedTuple

import pytest

from nexusql.errors import SQLSyntaxError
from nexusql.sql.tokens import tokenize
from readings import (
    ALL_MSSQL,
    ALL_MYSQL,
    ALL_PG,
    MARIA,
    MARIA_ANSI,
    MARIA_ANSI_NO_BACKSLASH,
    MARIA_NO_BACKSLASH,
    MSSQL,
    MSSQL_QUOTED,
    MYSQL,
    MYSQL_8,
    PG,
    PG_BACKSLASH,
    READINGS,
    SQLITE,
    Reading,
)

QMARK = (SQLITE, *ALL_MSSQL)
FORMAT = (*ALL_PG, *ALL_MYSQL)
BACKSLASH = (MYSQL, MYSQL_8, MARIA, MARIA_ANSI)
STRICT_QUOTES = (SQLITE, PG, MARIA_NO_BACKSLASH, MARIA_ANSI_NO_BACKSLASH, *ALL_MSSQL)


class Case(NamedTuple):
    """`text` has `?` for each placeholder, whatever the driver's mark, and % is not doubled in it."""

    readings: tuple[Reading, ...]
    sql: str
    text: str
    names: tuple[str, ...] = ("v",)


def same(readings: tuple[Reading, ...], sql: str) -> Case:
    """A case in which no parameter is found."""
    return Case(readings, sql, sql, ())


CASES = [
    # casts and assignment
    Case(READINGS, "SELECT :v", "SELECT ?"),
    Case(READINGS, "SELECT :v::text", "SELECT ?::text"),
    Case(READINGS, "SELECT :v ::text, a::b", "SELECT ? ::text, a::b"),
    same(ALL_PG, "SELECT a::v"),
    same(ALL_PG, "SELECT f(a := b, c:=d)"),
    same(ALL_MYSQL, "SELECT @a := b, @c:=d"),
    Case(ALL_PG, "SELECT f(a := :v)", "SELECT f(a := ?)"),
    Case(ALL_PG, "SELECT f(a => :v)", "SELECT f(a => ?)"),
    Case(ALL_PG, "SELECT f(a :=:v)", "SELECT f(a :=?)"),
    # plain literals
    same(READINGS, "SELECT ':v'"),
    same(READINGS, "SELECT 'it''s :v'"),
    Case(READINGS, "SELECT 'it''s', :v, ''''", "SELECT 'it''s', ?, ''''"),
    Case(READINGS, "SELECT '', :v, ''", "SELECT '', ?, ''"),
    # backslashes in them
    Case(STRICT_QUOTES, r"SELECT '\', :v, '\'", r"SELECT '\', ?, '\'"),
    same((*BACKSLASH, PG_BACKSLASH), r"SELECT '\', :v, \''"),
    Case((*BACKSLASH, PG_BACKSLASH), r"SELECT '\\', :v, '\''", r"SELECT '\\', ?, '\''"),
    Case((*BACKSLASH, PG_BACKSLASH), r"SELECT '\'', :v, '\\\''", r"SELECT '\'', ?, '\\\''"),
    Case((*BACKSLASH, PG_BACKSLASH), r"SELECT '''\'''', :v, ''", r"SELECT '''\'''', ?, ''"),
    # prefixed literals
    same(ALL_PG, r"SELECT E'\', :v, \''"),
    Case(ALL_PG, r"SELECT e'\'', :v, E''", r"SELECT e'\'', ?, E''"),
    Case(ALL_PG, r"SELECT E'\\', :v, 'x'", r"SELECT E'\\', ?, 'x'"),
    Case((MARIA_NO_BACKSLASH, SQLITE, MSSQL), r"SELECT E'\', :v, '\'", r"SELECT E'\', ?, '\'"),
    Case((PG, *ALL_MSSQL), r"SELECT N'\', :v, n'\'", r"SELECT N'\', ?, n'\'"),
    same((*BACKSLASH, PG_BACKSLASH), r"SELECT N'\', :v, \''"),
    Case(READINGS, "SELECT N'', :v, N'''x'", "SELECT N'', ?, N'''x'"),
    Case((*ALL_PG, *ALL_MYSQL, SQLITE), "SELECT X'', :v, x'41', B'', b'01'", "SELECT X'', ?, x'41', B'', b'01'"),
    # In a bit string a doubled quote ends it and begins another literal, which has its own rules.
    same((PG_BACKSLASH, *BACKSLASH), r"SELECT X'41''\', :v, \''"),
    same((PG_BACKSLASH, *BACKSLASH), r"SELECT B'1''\', :v, \''"),
    Case((PG, MARIA_NO_BACKSLASH), r"SELECT X'41''\', :v, '\'", r"SELECT X'41''\', ?, '\'"),
    Case(ALL_PG, "SELECT U&'d\\0061t', :v, U&\"x\"", "SELECT U&'d\\0061t', ?, U&\"x\""),
    Case((PG,), r"SELECT U&'d!0061\', :v, '' UESCAPE '!'", r"SELECT U&'d!0061\', ?, '' UESCAPE '!'"),
    Case(BACKSLASH, r"SELECT _utf8mb4'\'', :v", r"SELECT _utf8mb4'\'', ?"),
    Case((MARIA_NO_BACKSLASH,), r"SELECT _utf8mb4'\', :v, '\'", r"SELECT _utf8mb4'\', ?, '\'"),
    same(BACKSLASH, r"SELECT _latin1'\', :v, \''"),
    # a literal that goes on behind a line end takes its escapes along
    same(ALL_PG, "SELECT E'a'\n'\\', :v, \\''"),
    same(ALL_PG, "SELECT E'a' -- c\n -- d\n  '\\', :v, \\''"),
    same(ALL_PG, "SELECT E'a'\n--"),
    same(ALL_PG, "SELECT E'a'\r\n\t\f'\\', :v, \\''"),
    Case((PG,), "SELECT E'a' '\\', :v, '\\'", "SELECT E'a' '\\', ?, '\\'"),
    Case((PG,), "SELECT E'a'\n/* c */'\\', :v, '\\'", "SELECT E'a'\n/* c */'\\', ?, '\\'"),
    Case((PG_BACKSLASH,), "SELECT X'1'\n'2\\', :v, X'1'\n'\\'", "SELECT X'1'\n'2\\', ?, X'1'\n'\\'"),
    # quoted identifiers
    same((SQLITE, *ALL_PG, MARIA_ANSI, MARIA_ANSI_NO_BACKSLASH, MSSQL), 'SELECT 1 AS ":v""x :v"'),
    Case((SQLITE, *ALL_PG, MARIA_ANSI, MSSQL), 'SELECT "a\\", :v, "b\\"', 'SELECT "a\\", ?, "b\\"'),
    same((MYSQL, MYSQL_8, MARIA), 'SELECT "a\\", :v, \\""'),
    Case((MARIA_NO_BACKSLASH, MSSQL_QUOTED), 'SELECT "a\\", :v, "b\\"', 'SELECT "a\\", ?, "b\\"'),
    Case((MYSQL, MARIA), 'SELECT "it\'s", :v, "it""s"', 'SELECT "it\'s", ?, "it""s"'),
    same((*ALL_MYSQL, SQLITE), "SELECT 1 AS `:v`"),
    Case((*ALL_MYSQL, SQLITE), "SELECT 1 AS `a``'`, :v, `\\`", "SELECT 1 AS `a``'`, ?, `\\`"),
    same((*ALL_MSSQL, SQLITE), "SELECT 1 AS [:v]"),
    Case((*ALL_MSSQL, SQLITE), "SELECT 1 AS ['\"], :v", "SELECT 1 AS ['\"], ?"),
    Case(ALL_MSSQL, "SELECT 1 AS [a]]'], :v, [b]", "SELECT 1 AS [a]]'], ?, [b]"),
    # SQLite ends the identifier at the first bracket
    Case((SQLITE,), "SELECT 1 AS [a], [b], :v", "SELECT 1 AS [a], [b], ?"),
    # subscripts and slices
    same(ALL_PG, "SELECT a[1:2], a[:2], a[1:], a[:]"),
    same(ALL_PG, "SELECT a[x:y], a[x :y], a[x : y], a[(x):y], a['1':y], a[\"x\":y], a[b[1]:y], a[$1:y]"),
    same(ALL_PG, "SELECT a[END:v], a[CASE WHEN x THEN y END:v], a[NULL:v]"),
    Case(ALL_PG, "SELECT a[:v]", "SELECT a[?]"),
    Case(ALL_PG, "SELECT a[:v::int]", "SELECT a[?::int]"),
    Case(ALL_PG, "SELECT a[ :v : :w ]", "SELECT a[ ? : ? ]", ("v", "w")),
    Case(ALL_PG, "SELECT a[:v:w], a[1:2]", "SELECT a[?:w], a[1:2]"),
    Case(ALL_PG, "SELECT a[1::int:x][:v]", "SELECT a[1::int:x][?]"),
    Case(ALL_PG, "SELECT a[x + :v], a[f(:w)]", "SELECT a[x + ?], a[f(?)]", ("v", "w")),
    Case(ALL_PG, "SELECT ARRAY[:v, :w, x], :v", "SELECT ARRAY[?, ?, x], ?", ("v", "w", "v")),
    Case(ALL_PG, "SELECT ARRAY[x AND :v], a[b[1] + CASE WHEN x THEN:w END]",
         "SELECT ARRAY[x AND ?], a[b[1] + CASE WHEN x THEN ? END]", ("v", "w")),
    Case(ALL_PG, "SELECT a[1:2], :v", "SELECT a[1:2], ?"),
    Case(ALL_MYSQL, "SELECT a[], b[3], [c], :v", "SELECT a[], b[3], [c], ?"),
    # comments to the end of the line
    same(READINGS, "SELECT 1 -- :v"),
    Case(READINGS, "SELECT 1 -- it's :w\n, :v", "SELECT 1 -- it's :w\n, ?"),
    Case((*ALL_PG, *ALL_MSSQL), "SELECT 1 -- '\r, :v", "SELECT 1 -- '\r, ?"),
    same((SQLITE, *ALL_MYSQL), "SELECT 1 -- '\r, :v"),
    Case(READINGS, "SELECT 1 -- '\r\n, :v", "SELECT 1 -- '\r\n, ?"),
    same((SQLITE, *ALL_PG, *ALL_MSSQL), "SELECT 1 --:v"),
    Case(ALL_MYSQL, "SELECT 1--:v", "SELECT 1--?"),
    Case(ALL_MYSQL, "SELECT 1--'a' + :v", "SELECT 1--'a' + ?"),
    same(ALL_MYSQL, "SELECT 1 --\t:v"),
    same(ALL_MYSQL, "SELECT 1 --\x01:v"),
    same(ALL_MYSQL, "SELECT 1 --\x7f:v"),
    same(ALL_MYSQL, "SELECT 1 --"),
    same(ALL_MYSQL, "SELECT 1 #:v'"),
    Case(ALL_MYSQL, "SELECT 1 # it's\n, :v", "SELECT 1 # it's\n, ?"),
    Case(ALL_PG, "SELECT 5 # :v, j #> :w, j #>>:v", "SELECT 5 # ?, j #> ?, j #>>?", ("v", "w", "v")),
    # block comments
    same(READINGS, "SELECT 1 /* :v */"),
    Case(READINGS, "SELECT /* it's */ :v /* :w */", "SELECT /* it's */ ? /* :w */"),
    Case(READINGS, "SELECT /**/ :v /***/ , 1 /*/ ' */", "SELECT /**/ ? /***/ , 1 /*/ ' */"),
    Case((*ALL_PG, *ALL_MSSQL), "SELECT /* a /* :w */ :w */ :v", "SELECT /* a /* :w */ :w */ ?"),
    Case((*ALL_PG, *ALL_MSSQL), "SELECT /*/*/*/**/*/*/*/ :v", "SELECT /*/*/*/**/*/*/*/ ?"),
    Case((SQLITE, *ALL_MYSQL), "SELECT /* a /* :w */ :v", "SELECT /* a /* :w */ ?"),
    Case(ALL_PG, "SELECT 1 */* ' */ :v", "SELECT 1 */* ' */ ?"),
    # executed comments
    Case(ALL_MYSQL, "SELECT /*! :v */", "SELECT /*! ? */"),
    Case(ALL_MYSQL, "SELECT /*!50000 :v */", "SELECT /*!50000 ? */"),
    Case(ALL_MYSQL, "SELECT /*!50699 :v*/, 1", "SELECT /*!50699 ?*/, 1"),
    same(ALL_MYSQL, "SELECT 1 /*!50700 , :v */"),
    same(ALL_MYSQL, "SELECT 1 /*!99999 , :v */"),
    same((MYSQL, MYSQL_8), "SELECT 1 /*!100000 , :v */"),
    Case((MARIA,), "SELECT 1 /*!100000 , :v */", "SELECT 1 /*!100000 , ? */"),
    Case((MARIA,), "SELECT 1 /*!101119 , :v */", "SELECT 1 /*!101119 , ? */"),
    same((MARIA,), "SELECT 1 /*!101120 , :v */"),
    Case((MARIA,), "SELECT 1 /*M! , :v */", "SELECT 1 /*M! , ? */"),
    Case((MARIA,), "SELECT 1 /*M!100100 , :v */", "SELECT 1 /*M!100100 , ? */"),
    same((MYSQL, MYSQL_8), "SELECT 1 /*M! , :v */"),
    Case((MARIA,), "SELECT 1 /*!*/, :v", "SELECT 1 /*!*/, ?"),
    Case((MARIA,), "SELECT 1 /*! , 'a' */, :v", "SELECT 1 /*! , 'a' */, ?"),
    same((SQLITE, *ALL_PG, *ALL_MSSQL), "SELECT 1 /*! :v */"),
    same(ALL_MYSQL, "SELECT /*+ BKA(t) :v */ 1"),
    Case(ALL_MYSQL, "SELECT /*+ BKA(`a`) */ :v", "SELECT /*+ BKA(`a`) */ ?"),
    # dollar quotes
    same(ALL_PG, "SELECT $$ it's :v $$"),
    same(ALL_PG, "SELECT $t$ :v $$ $u$ :v $t$"),
    Case(ALL_PG, "SELECT $$'$$, :v, $é_1$'$é_1$", "SELECT $$'$$, ?, $é_1$'$é_1$"),
    Case(ALL_PG, "SELECT a$b$, :v, c$b$", "SELECT a$b$, ?, c$b$"),
    Case(ALL_PG, "SELECT é$$, :v, é$$", "SELECT é$$, ?, é$$"),
    same(ALL_PG, "SELECT $1$$ :v $$"),
    Case((SQLITE, *ALL_MSSQL, *ALL_MYSQL), "SELECT a$$, :v, b$$", "SELECT a$$, ?, b$$"),
    Case(ALL_MYSQL, "SELECT $$, :v, $$", "SELECT $$, ?, $$"),
    # operators of PostgreSQL
    Case(ALL_PG, "SELECT j ? 'k', j ?| :v, j ?& a, j @? p, j @@ p", "SELECT j ? 'k', j ?| ?, j ?& a, j @? p, j @@ p"),
    Case(ALL_PG, "SELECT j ? :v AND j @> :w", "SELECT j ? ? AND j @> ?", ("v", "w")),
    # variables
    same(ALL_MYSQL, "SELECT @v, @@v, @@global.v, @`:v`, @'a b'"),
    Case(ALL_MYSQL, "SELECT @a, @@b, :v", "SELECT @a, @@b, ?"),
    same(ALL_MSSQL, "SELECT @v, @@ROWCOUNT, @a#b"),
    Case(ALL_MSSQL, "SELECT #t.a, ##g.b, a#b, :v", "SELECT #t.a, ##g.b, a#b, ?"),
    # names
    Case(READINGS, "SELECT :_a1, :Ä, :名前2", "SELECT ?, ?, ?", ("_a1", "Ä", "名前2")),
    Case(READINGS, "SELECT :a, :aa, :a_a, :a", "SELECT ?, ?, ?, ?", ("a", "aa", "a_a", "a")),
    Case(READINGS, "SELECT :text, :type, :limit, :in, :by, :at, :null", "SELECT ?, ?, ?, ?, ?, ?, ?",
         ("text", "type", "limit", "in", "by", "at", "null")),
    Case(READINGS, "SELECT 4-:v, 4 -:v, 4- :v, (:v)", "SELECT 4-?, 4 -?, 4- ?, (?)", ("v",) * 4),
    Case(READINGS, "SELECT CASE WHEN 1=1 THEN:v ELSE:w END", "SELECT CASE WHEN 1=1 THEN ? ELSE ? END", ("v", "w")),
    Case(READINGS, "SELECT 1 WHERE a=:v AND(:w)=b OR:v<c", "SELECT 1 WHERE a=? AND(?)=b OR ?<c", ("v", "w", "v")),
    Case(ALL_PG, "SELECT U&:v, 1 &:w", "SELECT U& ?, 1 & ?", ("v", "w")),
    same((*ALL_PG, *ALL_MYSQL), "SELECT x:v, 1:v, E:v"),
    same((*ALL_PG, *ALL_MYSQL), "SELECT '1 :v', 12:30"),
    same((*ALL_PG, MARIA_ANSI), 'SELECT "x":v'),
    same((*ALL_PG, *ALL_MYSQL), "SELECT :1, : v, :"),
    same((*ALL_PG, *ALL_MYSQL, *ALL_MSSQL), r"SELECT \:v, a\:v"),
    # percent signs
    Case(READINGS, "SELECT 10 % 3, '5%', :v -- 100%", "SELECT 10 % 3, '5%', ? -- 100%"),
    same(READINGS, "SELECT 10 % 3, '5%', '%s' -- 100% %s"),
    Case(FORMAT, "SELECT 10 %s, 10%s, :v", "SELECT 10 %s, 10%s, ?"),
]  # fmt: skip


def written(case: Case, reading: Reading) -> str:
    """The expected text with the driver's own mark."""
    if not case.names or reading.syntax.placeholder == "?":
        return case.text
    # The marks are those of the parameters in code; a ? that is an operator of PostgreSQL is no mark.
    pieces = case.text.replace("%", "%%")
    if reading in ALL_PG:
        for operator in ("j ? 'k'", "?|", "?&", "@?", "j ? ?"):
            pieces = pieces.replace(operator, operator.replace("?", "\0", 1))
    return pieces.replace("?", "%s").replace("\0", "?")


def expanded() -> list[tuple[Reading, Case]]:
    return [(reading, case) for case in CASES for reading in case.readings]


@pytest.mark.parametrize(
    ("reading", "case"), expanded(), ids=[f"{reading.name}-{case.sql}" for reading, case in expanded()]
)
def test_names_in_code_are_parameters_and_all_else_is_text(reading: Reading, case: Case) -> None:
    statement = reading.compile(case.sql)
    assert (statement.text, statement.names) == (written(case, reading), case.names)
    assert [case.sql[at : at + 1] for at in statement.offsets] == [":"] * len(case.names)


REFUSED = [
    (READINGS, "SELECT 'a", "unterminated string literal", (1, 8)),
    (READINGS, "SELECT 1,\n  'a''", "unterminated string literal", (2, 3)),
    (BACKSLASH, "SELECT 'a\\'", "unterminated string literal", (1, 8)),
    (ALL_PG, "SELECT E'a\\'", "unterminated string literal", (1, 8)),
    (ALL_PG, "SELECT X'1", "unterminated string literal", (1, 8)),
    (ALL_PG, "SELECT X'1'\n'2", "unterminated string literal", (1, 8)),
    (ALL_PG, "SELECT E'1'\n'2", "unterminated string literal", (1, 8)),
    (READINGS, 'SELECT "a', "unterminated double quote", (1, 8)),
    ((SQLITE, *ALL_MYSQL), "SELECT `a``", "unterminated backtick", (1, 8)),
    ((SQLITE, *ALL_MSSQL), "SELECT [a", "unterminated [identifier]", (1, 8)),
    (ALL_MSSQL, "SELECT [a]]", "unterminated [identifier]", (1, 8)),
    (READINGS, "SELECT /* a", "unterminated comment", (1, 8)),
    (READINGS, "SELECT /*/", "unterminated comment", (1, 8)),
    ((*ALL_PG, *ALL_MSSQL), "SELECT /* /* */", "unterminated comment", (1, 8)),
    (ALL_PG, "SELECT $$ a", "unterminated dollar quote", (1, 8)),
    (ALL_PG, "SELECT $t$ a $T$ $t", "unterminated dollar quote", (1, 8)),
    (ALL_MYSQL, "SELECT /*!50000", "unterminated comment", (1, 8)),
    (ALL_MYSQL, "SELECT 1 /*!99999 /* */ :v */", "ends at different places", (1, 10)),
    (ALL_MYSQL, "SELECT 1 /*! , '*/' */", "ends at different places", (1, 10)),
    (ALL_MYSQL, "SELECT 1 /*! -- */", "ends at different places", (1, 10)),
    (ALL_MYSQL, "SELECT 1 /*! /*! */ */", "inside another", (1, 14)),
    (ALL_MYSQL, "SELECT /*+ BKA(`a'`) */ 1", "optimizer hint", (1, 8)),
    (ALL_MYSQL, "SELECT /*+ BKA(`a*/ 1 /*`) */", "optimizer hint", (1, 8)),
    (ALL_MYSQL, "SELECT [a'] , :v", "bracket", (1, 8)),
    (ALL_MYSQL, "SELECT [:v]", "bracket", (1, 8)),
    (ALL_MYSQL, "SELECT []], :v, ' -- ]'", "bracket", (1, 8)),
    (ALL_MYSQL, "SELECT [", "bracket", (1, 8)),
    (ALL_MYSQL, "SELECT [a", "bracket", (1, 8)),
    (ALL_PG, "SELECT 1E'a\\' , :v -- '", "runs into a quote", (1, 10)),
    (ALL_PG, "SELECT 1$$ :v $$", "runs into a quote", (1, 9)),
    (READINGS, "SELECT \0", "NUL", (1, 8)),
    (READINGS, "SELECT :v\xa0", "runs into what follows", (1, 8)),
    (READINGS, "SELECT :v$", "runs into what follows", (1, 8)),
    # beside what would continue it
    (READINGS, "SELECT :v 'a'", "beside a string literal", (1, 8)),
    (READINGS, "SELECT :v/* c */'a'", "beside a string literal", (1, 8)),
    (READINGS, "SELECT 'a' -- c\n :v", "beside a string literal", (2, 2)),
    (READINGS, "SELECT 'a':v", "beside a string literal", (1, 11)),
    (ALL_PG, "SELECT E'a'\n:v", "beside a string literal", (2, 1)),
    (ALL_PG, "SELECT $$a$$ :v", "beside a string literal", (1, 14)),
    (ALL_PG, "SELECT B'1' :v", "beside a string literal", (1, 13)),
    ((MYSQL, MARIA, MARIA_NO_BACKSLASH, MSSQL_QUOTED), 'SELECT "a" :v', "beside a string literal", (1, 12)),
    (ALL_MYSQL, "SELECT 'a' /*! :v */", "beside a string literal", (1, 16)),
    (ALL_MYSQL, "SELECT 'a' /*!99999 , */ :v", "beside a string literal", (1, 26)),
    (READINGS, "SELECT :v :w", "beside another parameter", (1, 11)),
    (READINGS, "SELECT :v/**/:v", "beside another parameter", (1, 14)),
    (READINGS, "SELECT :v:w", "beside another parameter", (1, 10)),
    (READINGS, "SELECT t.:v", "part of a name", (1, 10)),
    (READINGS, "SELECT :v . a", "part of a name", (1, 8)),
    (ALL_MYSQL, "SELECT @:v", "name a variable", (1, 9)),
    (ALL_MYSQL, "SET @:v = 1", "name a variable", (1, 6)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("reading", "sql", "message", "place"),
    [(reading, sql, message, place) for readings, sql, message, place in REFUSED for reading in readings],
)
def test_what_has_no_single_reading_is_refused_with_line_and_column(
    reading: Reading, sql: str, message: str, place: tuple[int, int]
) -> None:
    with pytest.raises(SQLSyntaxError) as caught:
        reading.compile(sql)
    assert message in str(caught.value)
    assert str(caught.value).endswith(f"(line {place[0]}, column {place[1]})")
    assert caught.value.sql == sql


def test_an_account_name_takes_parameters_on_both_sides_of_its_at_sign() -> None:
    statement = MARIA.compile("CREATE USER :u@:h IDENTIFIED BY :p")
    assert (statement.text, statement.names) == ("CREATE USER %s@%s IDENTIFIED BY %s", ("u", "h", "p"))


@pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n"])
def test_lines_end_as_editors_count_them(line_end: str) -> None:
    with pytest.raises(SQLSyntaxError, match=r"\(line 3, column 4\)"):
        PG.compile(f"SELECT 1,{line_end}\f \u2028 2,{line_end}   'x")


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
def test_tokens_tile_the_text(reading: Reading) -> None:
    for case in CASES:
        if reading in case.readings:
            assert tokenize(case.sql, reading.rules, reading.modes.version_number).text() == case.sql
