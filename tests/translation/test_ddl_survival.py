"""Whatever a user wrote as text survives the translation of DDL, and no text makes a rule fail by accident."""

from collections import Counter

from hypothesis import example, given
from hypothesis import strategies as st

from ddl import MARIADB, MYSQL, SYNTAX, rewrite
from nexusql.errors import SQLSyntaxError, TranslationError
from nexusql.sql.lexical import SessionModes
from nexusql.sql.tokens import Tokens, tokenize

# Both readings agree where a backslash is a character and ".." a name.
STANDARD = {
    "sqlite": (SessionModes(),),
    "postgresql": (SessionModes(),),
    "mysql": tuple(modes._replace(no_backslash_escapes=True, ansi_quotes=True) for modes in (MARIADB, MYSQL)),
}

HOSTILE = [
    "TRUE NOW() ::text SERIAL -- ;",
    "/* */ '",
    ") ENGINE=InnoDB",
    "AUTOINCREMENT",
    "REFERENCES p (id)",
    "\\",
    "%s :name ?",
]
TEXTS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=12),
)
# At a BOOLEAN these are truth values, and what starts with \x is bytes at a BYTEA: not text.
TRUTHS = frozenset("true t yes y on 1 false f no n off 0".split())
LITERALS = TEXTS.filter(lambda text: text.lower() not in TRUTHS and text[:2] != "\\x").map(
    lambda text: "'" + text.replace("'", "''") + "'"
)
NAMES = TEXTS.filter(lambda text: "`" not in text and text.strip()).map(
    lambda text: '"' + text.replace('"', '""') + '"'
)
COMMENTS = st.one_of(
    TEXTS.map(lambda text: "/* " + text.replace("*/", "").replace("/*", "") + " */"),
    TEXTS.map(lambda text: "-- " + text + "\n"),
)
BLANKS = st.one_of(st.just(" "), st.just("\n  "), st.just("\t"), COMMENTS.map(lambda comment: f" {comment} "))
TYPES = st.sampled_from(
    "TEXT|VARCHAR(50)|CHARACTER VARYING(9)|BOOLEAN|JSONB|UUID|TIMESTAMP(3) WITHOUT TIME ZONE|TIMESTAMPTZ|NUMERIC(10,2)|"
    "DOUBLE PRECISION|BYTEA|SERIAL|INTEGER|BIGINT|DATE".split("|")
)
CLAUSES = st.one_of(
    st.sampled_from(
        "NOT NULL|NULL|UNIQUE|PRIMARY KEY|DEFAULT NOW()|DEFAULT TRUE|DEFAULT gen_random_uuid()|COLLATE C|CHECK (a > 0)|"
        "REFERENCES p (id) ON DELETE CASCADE|CONSTRAINT x REFERENCES p (id) MATCH FULL|CONSTRAINT u UNIQUE|"
        "GENERATED ALWAYS AS IDENTITY (START WITH 5)|DEFERRABLE INITIALLY DEFERRED|DEFAULT -1::int|DEFAULT 1 + 2|"
        "GENERATED ALWAYS AS (a + 1) STORED".split("|")
    ),
    LITERALS.map(lambda literal: f"DEFAULT {literal}"),
    LITERALS.map(lambda literal: f"DEFAULT {literal}::varchar(20)"),
    LITERALS.map(lambda literal: f"DEFAULT ({literal} || {literal})"),
    LITERALS.map(lambda literal: f"CHECK (a <> {literal})"),
)


@st.composite
def tables(draw: st.DrawFn) -> str:
    """A CREATE TABLE with names, literals and comments that look like code."""

    def gap() -> str:
        return draw(BLANKS)

    items = []
    for _ in range(draw(st.integers(1, 4))):
        words = [draw(NAMES), draw(TYPES), *draw(st.lists(CLAUSES, max_size=3))]
        item = words[0]
        for word in words[1:]:
            item += gap() + word
        items.append(item)
    if draw(st.booleans()):
        items.append(f"CHECK{gap()}({draw(NAMES)} <> {draw(LITERALS)})")
    body = f"{gap()},{gap()}".join(items)
    return f"CREATE{gap()}TABLE{gap()}IF NOT EXISTS{gap()}{draw(NAMES)}{gap()}({gap()}{body}{gap()}){gap()}"


def written(tokens: Tokens, dialect: str) -> Counter[str]:
    """The literals, comments and quoted names of a statement, which nothing may edit."""
    return Counter(token.text for token in tokens if token.kind in "'\"-")


def check_survival(sql: str, dialect: str, modes: SessionModes, *, receipts: bool = False) -> None:
    """Fail where a literal, comment or name is not in the translation; with `receipts`, where no note tells of it."""
    lexical = SYNTAX[dialect].lexical(modes)
    before = written(tokenize(sql, lexical, modes.version_number), dialect)
    try:
        result = rewrite(sql, dialect, modes)
    except (SQLSyntaxError, TranslationError):
        return
    text = result.tokens.text()
    after = written(tokenize(text, lexical, modes.version_number), dialect)
    lost = before - after
    assert not lost or (receipts and result.notes), f"{dialect} lost {lost!r}\n{sql}\n{text}"


@given(tables())
@example("CREATE TABLE t (a TEXT DEFAULT 'TRUE NOW() ::text SERIAL -- ;' /* SERIAL */ NOT NULL -- REFERENCES\n)")
@example("CREATE TABLE t (a INTEGER /* 1 */ REFERENCES /* 2 */ p -- 3\n (id) /* 4 */ ON DELETE CASCADE -- 5\n, b TEXT)")
@example("CREATE TABLE t (id SERIAL, /* 1 */ CONSTRAINT /* 2 */ k /* 3 */ PRIMARY /* 4 */ KEY (id /* 5 */) /* 6 */)")
@example(
    "CREATE TABLE t (a TIMESTAMP /* 1 */ (3) -- 2\n WITH /* 3 */ TIME ZONE DEFAULT /* 4 */ NOW /* 5 */ ( /* 6 */ ))"
)
@example("CREATE TABLE t (id BIGINT GENERATED -- 1\n ALWAYS /* 2 */ AS IDENTITY /* 3 */ PRIMARY KEY)")
@example("CREATE TABLE t (/* 1 */ PRIMARY KEY (a) /* 2 */, -- 3\n a TEXT)")
def test_literals_names_and_comments_survive(sql: str) -> None:
    for dialect, sessions in STANDARD.items():
        for modes in sessions:
            check_survival(sql, dialect, modes)


STATEMENTS = [
    "ALTER TABLE {0} {5} ADD COLUMN IF NOT EXISTS {1} TEXT {5} DEFAULT {2} {5}",
    "ALTER TABLE {0} ADD COLUMN {1} TEXT {5} CHECK ({1} <> {2}) {5} DEFAULT {3}::text {5}",
    "ALTER TABLE {0} ADD COLUMN {1} INTEGER {5} REFERENCES {5} p (id) {5} DEFAULT {2}",
    "ALTER TABLE {0} {5} ALTER COLUMN {1} {5} SET DEFAULT {2} {5}",
    "ALTER TABLE {0} {5} ALTER COLUMN {1} {5} TYPE {5} TIMESTAMP {5} WITH {5} TIME ZONE {5}",
    "ALTER TABLE {0} {5} DROP COLUMN {5} IF {5} EXISTS {5} {1} {5} CASCADE {5}",
    "ALTER TABLE {5} IF {5} EXISTS {0} RENAME {5} {1} {5} TO {5} b",
    "CREATE UNIQUE INDEX {5} CONCURRENTLY {5} IF {5} NOT EXISTS i {5} ON {0} {5} USING {5} btree {5} ({1} {5} DESC)",
    "CREATE INDEX i ON {0} ({1} {5} COLLATE {5} C {5} text_ops {5} NULLS {5} LAST {5}, b) {5} WITH {5} (fillfactor=1)",
    "CREATE INDEX i {5} ON {0} (lower({1} || {2}) {5}) {5}",
    "DROP TABLE {5} IF EXISTS {0} {5} CASCADE {5}",
    "DROP INDEX {5} IF EXISTS {5} i {5} CASCADE {5}",
    "CREATE {5} TEMP {5} TABLE {0} {5} (a TEXT DEFAULT {2}) {5} ON {5} COMMIT {5} PRESERVE ROWS {5}",
    "CREATE UNLOGGED {5} TABLE {0} {5} (a TEXT) {5} WITH (fillfactor=70) {5} TABLESPACE {5} x {5}",
    "CREATE TABLE {0} {5} (LIKE {5} other {5} INCLUDING {5} ALL {5}) {5}",
    "CREATE TABLE {0} {5} AS {5} SELECT {2} AS a {5} WITH {5} DATA {5}",
]


@given(
    st.sampled_from(STATEMENTS),
    st.lists(NAMES, min_size=2, max_size=2),
    st.lists(LITERALS, min_size=3, max_size=3),
    COMMENTS,
)
def test_they_survive_in_other_statements(template: str, names: list[str], literals: list[str], comment: str) -> None:
    sql = template.format(*names, *literals, comment)
    for dialect, sessions in STANDARD.items():
        for modes in sessions:
            check_survival(sql, dialect, modes)


STARTS = [
    "CREATE TABLE t (",
    "CREATE TABLE t (a INTEGER",
    "CREATE TABLE",
    "ALTER TABLE t",
    "ALTER TABLE t ADD COLUMN a TEXT",
    "CREATE INDEX i ON t",
    "CREATE INDEX",
    "DROP",
    "ALTER",
    "CREATE",
]
WORDS = """
    CREATE ALTER DROP TABLE INDEX UNIQUE IF NOT EXISTS ON ONLY USING ADD COLUMN CONSTRAINT PRIMARY KEY FOREIGN
    REFERENCES CHECK DEFAULT NULL SERIAL INTEGER TEXT TIMESTAMP WITH TIME ZONE VARCHAR BOOLEAN TRUE NOW GENERATED ALWAYS
    BY AS IDENTITY COLLATE DEFERRABLE INITIALLY DEFERRED MATCH FULL DELETE SET CASCADE LIKE INCLUDING ALL TEMP UNLOGGED
    COMMIT WHERE INCLUDE NULLS LAST DESC TYPE RENAME TO AUTOINCREMENT CURRENT_TIMESTAMP AT CONCURRENTLY ARRAY
    INTERVAL t a b ( ( ) ) , , :: ; + - 1 'x' "q" -- /**/ . =
""".split()


@given(st.sampled_from(STARTS), st.lists(st.sampled_from(WORDS), max_size=25))
def test_no_text_makes_a_rule_fail_by_accident(start: str, words: list[str]) -> None:
    sql = " ".join([start, *words]).replace("--", "--\n")
    for dialect, sessions in STANDARD.items():
        for modes in sessions:
            check_survival(sql, dialect, modes, receipts=True)


def test_what_is_no_ddl_is_left_alone_by_these_rules() -> None:
    for sql in (
        "",
        "-- only a comment",
        ";",
        "INSERT INTO t (a) VALUES ('CREATE TABLE t (id SERIAL)')",
        "CREATE FUNCTION f() RETURNS trigger AS $$ CREATE TABLE t (id SERIAL) $$ LANGUAGE plpgsql",
        "CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END",
        "CREATE VIEW v AS SELECT 1",
        "DROP TRIGGER tr",
        "COMMENT ON TABLE t IS 'SERIAL'",
    ):
        for dialect, sessions in STANDARD.items():
            if "$$" not in sql or dialect == "postgresql":
                assert rewrite(sql, dialect, sessions[0]).tokens.text() == sql
