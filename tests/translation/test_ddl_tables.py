"""Tables, constraints, indexes, ALTER and DROP on live databases: the same statements, the same behaviour."""

import sqlite3
from collections.abc import Iterator

import psycopg2
import pymysql
import pyodbc
import pytest

import servers
from ddl import Database, ForeignKey, opened
from nexusql.errors import TranslationError

REFUSED = (sqlite3.Error, psycopg2.Error, pymysql.err.Error, pyodbc.Error)
HOSTILE = "TRUE NOW() ::text SERIAL -- ;"


@pytest.fixture(scope="module", params=servers.KINDS)
def session(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A session on a fresh database of each kind."""
    servers.require(request.param)
    with servers.fresh_database(request.param) as url, opened(request.param, url) as session:
        yield session


@pytest.fixture
def database(session: Database) -> Iterator[Database]:
    """The session, its database empty."""
    yield session
    session.clear()


def refuses(database: Database, sql: str) -> bool:
    """Whether the database refuses a native statement."""
    try:
        database.native(sql)
    except REFUSED:
        return True
    return False


# Foreign keys


@pytest.mark.parametrize(
    "child",
    [
        "parent INTEGER REFERENCES parent (id) ON DELETE CASCADE",
        "parent INTEGER NOT NULL REFERENCES parent(id) ON DELETE CASCADE ON UPDATE NO ACTION",
        "parent INTEGER CONSTRAINT to_parent REFERENCES parent (id) MATCH SIMPLE ON DELETE CASCADE",
        "parent INTEGER REFERENCES parent (id) ON DELETE CASCADE NOT NULL DEFAULT 1 -- why\n",
        "parent INTEGER /* REFERENCES */ REFERENCES /* which */ parent (id) ON DELETE /* how */ CASCADE",
        "parent INTEGER, FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE",
        "parent INTEGER, CONSTRAINT to_parent FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE",
    ],
)
def test_a_foreign_key_holds_wherever_it_is_written(database: Database, child: str) -> None:
    database.run("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    database.run(f"CREATE TABLE child (id SERIAL PRIMARY KEY, {child})")
    assert database.foreign_keys("child") == {ForeignKey(("parent",), "parent", ("id",), "CASCADE")}
    database.native("INSERT INTO parent (id) VALUES (1)")
    database.native("INSERT INTO child (parent) VALUES (1)")
    assert refuses(database, "INSERT INTO child (parent) VALUES (2)")
    database.native("DELETE FROM parent")
    assert database.native("SELECT * FROM child") == []


def test_several_foreign_keys_of_one_table_all_hold(database: Database) -> None:
    for name in ("a", "b"):
        database.run(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY)")
    database.run(
        "CREATE TABLE c (a INTEGER REFERENCES a (id), b INTEGER REFERENCES b (id) ON DELETE SET NULL, "
        "c INTEGER, CHECK (c > 0))"
    )
    expected = {ForeignKey(("a",), "a", ("id",), ""), ForeignKey(("b",), "b", ("id",), "SET NULL")}
    assert database.foreign_keys("c") == expected
    assert refuses(database, "INSERT INTO c (c) VALUES (0)")


def test_a_table_may_refer_to_itself(database: Database) -> None:
    database.run("CREATE TABLE node (id SERIAL PRIMARY KEY, up INTEGER REFERENCES node (id) ON DELETE SET NULL)")
    database.native("INSERT INTO node (up) VALUES (NULL)")
    database.native("INSERT INTO node (up) VALUES (1)")
    assert refuses(database, "INSERT INTO node (up) VALUES (9)")
    if database.kind == "mssql":  # where the action is NO ACTION
        assert refuses(database, "DELETE FROM node WHERE id = 1")
        return
    database.native("DELETE FROM node WHERE id = 1")
    assert database.native("SELECT up FROM node") == [(None,)]


def test_a_reference_without_a_column_works_or_names_what_to_write(database: Database) -> None:
    database.run("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    child = "CREATE TABLE child (parent INTEGER REFERENCES parent)"
    if database.kind == "mysql":
        with pytest.raises(TranslationError, match=r"parent \(id\) \(line 1, column 47\)"):
            database.run(child)
    else:
        database.run(child)
        assert refuses(database, "INSERT INTO child VALUES (7)")


def test_a_deferred_foreign_key_is_checked_at_commit_or_at_once(database: Database) -> None:
    database.run("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    database.run("CREATE TABLE child (p INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)")
    database.native("BEGIN TRANSACTION" if database.kind == "mssql" else "BEGIN")
    assert refuses(database, "INSERT INTO child VALUES (1)") == (database.kind in ("mysql", "mssql"))
    database.native("ROLLBACK")
    assert refuses(database, "INSERT INTO child VALUES (1)")


def test_text_and_uuid_columns_can_be_keys_and_be_referred_to(database: Database) -> None:
    database.run(
        "CREATE TABLE parent (name TEXT PRIMARY KEY, other UUID NOT NULL UNIQUE, third VARCHAR NOT NULL UNIQUE)"
    )
    database.run(
        "CREATE TABLE child (name TEXT REFERENCES parent (name), other UUID REFERENCES parent (other), "
        "third VARCHAR REFERENCES parent (third))"
    )
    other = "3f0c1a52-9c5e-4d7b-8a11-1234567890ab"
    database.native(f"INSERT INTO parent VALUES ('a', '{other}', 'b')")
    database.native(f"INSERT INTO child VALUES ('a', '{other}', 'b')")
    assert refuses(database, "INSERT INTO child (name) VALUES ('x')")
    assert refuses(database, f"INSERT INTO parent VALUES ('z', '{other}', 'z')")
    assert refuses(database, "INSERT INTO parent (name) VALUES ('a')")


def test_a_key_of_several_columns_holds(database: Database) -> None:
    database.run(
        "CREATE TABLE t (a TEXT, b TEXT, c VARCHAR(255), d INTEGER, e BYTEA, PRIMARY KEY (a, b, c), UNIQUE (b, d), "
        "UNIQUE (e))"
    )
    database.native("INSERT INTO t VALUES ('a', 'b', 'c', 1, ?)", b"\x00")
    database.native("INSERT INTO t VALUES ('a', 'b', 'd', 2, ?)", b"\x01")
    assert refuses(database, "INSERT INTO t (a, b, c) VALUES ('a', 'b', 'c')")
    assert refuses(database, "INSERT INTO t (a, b, c, d) VALUES ('x', 'b', 'c', 1)")
    assert database.primary_key("t") == ("a", "b", "c")


# Other constraints


@pytest.mark.parametrize(
    "columns",
    [
        "a INTEGER CHECK (a > 0), b INTEGER",
        "a INTEGER CONSTRAINT positive CHECK (a > 0), b INTEGER",
        "a INTEGER NOT NULL DEFAULT 1 CONSTRAINT positive CHECK (a > 0) CONSTRAINT small CHECK (a < 9), b INTEGER",
        "a INTEGER, b INTEGER CHECK (a > 0)",
        "a INTEGER, b INTEGER, CONSTRAINT positive CHECK (a > 0)",
        "CHECK (a > 0), a INTEGER, b INTEGER",
    ],
)
def test_a_check_holds_wherever_it_is_written(database: Database, columns: str) -> None:
    database.run(f"CREATE TABLE t ({columns})")
    database.native("INSERT INTO t (a, b) VALUES (1, 1)")
    assert refuses(database, "INSERT INTO t (a, b) VALUES (0, 1)")


def test_a_check_keeps_its_literals(database: Database) -> None:
    database.run(f"CREATE TABLE t (a VARCHAR(99) CHECK (a IN ('{HOSTILE}', 'it''s')))")
    database.native(f"INSERT INTO t VALUES ('{HOSTILE}'), ('it''s')")
    assert refuses(database, "INSERT INTO t VALUES ('1 CURRENT_TIMESTAMP')")


@pytest.mark.parametrize(
    "columns",
    [
        "a INTEGER UNIQUE, b INTEGER",
        "a INTEGER CONSTRAINT only_once UNIQUE, b INTEGER",
        "a INTEGER, b INTEGER, UNIQUE (a)",
        "UNIQUE (a), a INTEGER, b INTEGER",
        "a INTEGER, b INTEGER, CONSTRAINT only_once UNIQUE (a)",
        "a INTEGER UNIQUE NOT DEFERRABLE, b INTEGER",
        "a INTEGER UNIQUE DEFERRABLE INITIALLY IMMEDIATE, b INTEGER",
    ],
)
def test_a_unique_column_takes_a_value_once_and_null_often(database: Database, columns: str) -> None:
    database.run(f"CREATE TABLE t ({columns})")
    database.native("INSERT INTO t (a, b) VALUES (1, 1), (NULL, 2), (NULL, 3)")
    assert refuses(database, "INSERT INTO t (a, b) VALUES (1, 4)")


def test_names_of_constraints_are_kept_where_they_can_be(database: Database) -> None:
    database.run(
        "CREATE TABLE t (a INTEGER CONSTRAINT the_key PRIMARY KEY, b INTEGER CONSTRAINT only_once UNIQUE, "
        "c INTEGER CONSTRAINT positive CHECK (c > 0))"
    )
    with pytest.raises(REFUSED, match=r"positive|c > 0"):
        database.native("INSERT INTO t (a, c) VALUES (1, 0)")
    if database.kind != "sqlite":  # which never tells the name of a unique key
        assert "only_once" in database.indexes("t")


def test_collation_c_orders_by_code_point(database: Database) -> None:
    database.run(
        'CREATE TABLE t (a VARCHAR(9) COLLATE "C" NOT NULL)'
        if database.kind != "mysql"
        else "CREATE TABLE t (a VARCHAR(9) COLLATE POSIX NOT NULL)"
    )
    database.native("INSERT INTO t VALUES ('b'), ('B'), ('a')")
    assert database.native("SELECT a FROM t ORDER BY a") == [("B",), ("a",), ("b",)]
    assert database.native("SELECT a FROM t WHERE a = 'b'") == [("b",)]


# Kinds of tables


def test_if_not_exists_leaves_what_is_there(database: Database) -> None:
    for columns in ("a INTEGER", "b TEXT"):
        database.run(f"CREATE TABLE IF NOT EXISTS t ({columns})")
    assert list(database.columns("t")) == ["a"]


@pytest.mark.parametrize("words", ["TEMP", "TEMPORARY", "temp", "LOCAL TEMPORARY", "GLOBAL TEMP"])
def test_a_temporary_table_is_not_there_for_others(database: Database, words: str) -> None:
    create = f"CREATE {words} TABLE t (id SERIAL PRIMARY KEY, flag BOOLEAN DEFAULT TRUE)"
    if database.kind == "mssql":
        with pytest.raises(TranslationError, match="#t"):
            database.run(create)
        return
    database.run(create)
    database.native(
        "INSERT INTO t (flag) VALUES (DEFAULT)" if database.kind != "sqlite" else "INSERT INTO t DEFAULT VALUES"
    )
    assert database.native("SELECT id, flag FROM t") == [(1, 1)]
    with opened(database.kind, database.url) as other:
        assert refuses(other, "SELECT * FROM t")


def test_a_table_from_a_query_has_its_rows(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER, name VARCHAR(99))")
    if database.kind == "mssql":
        with pytest.raises(TranslationError, match=r"SELECT \.\. INTO"):
            database.run("CREATE TABLE u AS SELECT id, name FROM t WHERE id < 2 WITH DATA")
        return
    database.native(f"INSERT INTO t VALUES (1, '{HOSTILE}'), (2, 'b')")
    database.run("CREATE TABLE u AS SELECT id, name FROM t WHERE id < 2 WITH DATA")
    database.run("CREATE TABLE IF NOT EXISTS u AS SELECT 1 AS other")
    assert database.native("SELECT id, name FROM u") == [(1, HOSTILE)]


@pytest.mark.parametrize("like", ["LIKE t", "LIKE t INCLUDING ALL"])
def test_a_table_like_another_has_its_columns_and_no_rows(database: Database, like: str) -> None:
    database.run("CREATE TABLE t (id INTEGER, name TEXT)")
    if database.kind == "mssql":
        with pytest.raises(TranslationError, match="TOP"):
            database.run(f"CREATE TABLE u ({like})")
        return
    database.native("INSERT INTO t VALUES (1, 'a')")
    database.run(f"CREATE TABLE u ({like})")
    assert list(database.columns("u")) == ["id", "name"]
    assert database.native("SELECT * FROM u") == []


def test_columns_may_be_named_like_the_words_around_them(database: Database) -> None:
    names = (
        "engine strict comment temp timestamp date time text uuid json boolean serial data type at role status".split()
    )
    columns = ", ".join(f"{name} VARCHAR(9) DEFAULT '{name}'" for name in names)
    database.run(f"CREATE TABLE t (id SERIAL PRIMARY KEY, {columns}, flag BOOLEAN DEFAULT FALSE)")
    database.native("INSERT INTO t (flag) VALUES (NULL)")
    assert database.native(f"SELECT id, {', '.join(names)} FROM t") == [(1, *names)]


# ALTER TABLE


def test_a_column_is_added_once_and_filled(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    database.native("INSERT INTO t (id) VALUES (1)")
    for _ in range(2):
        database.run("ALTER TABLE t ADD COLUMN IF NOT EXISTS flag BOOLEAN NOT NULL DEFAULT TRUE")
        database.run("ALTER TABLE IF EXISTS t ADD COLUMN IF NOT EXISTS doc JSONB DEFAULT '{}'")
        database.run("ALTER TABLE t ADD IF NOT EXISTS name VARCHAR(20) DEFAULT 'x'::varchar")
    assert list(database.columns("t")) == ["id", "flag", "doc", "name"]
    ((flag, doc, name),) = database.native("SELECT flag, doc, name FROM t")
    assert (flag, str(doc), name) == (1, "{}", "x")


def test_adding_a_column_that_is_there_is_an_error_without_the_words(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    with pytest.raises(REFUSED):
        database.run("ALTER TABLE t ADD COLUMN id INTEGER")
    with pytest.raises(REFUSED):
        database.run("ALTER TABLE t DROP COLUMN missing")
    with pytest.raises(REFUSED):
        database.run("ALTER TABLE missing ADD COLUMN a INTEGER")
    with pytest.raises(REFUSED):
        database.run("ALTER TABLE missing ADD COLUMN IF NOT EXISTS a INTEGER")


def test_an_added_column_may_refer_to_another_table_and_is_added_once(database: Database) -> None:
    database.run("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    database.run("CREATE TABLE child (id INTEGER PRIMARY KEY, least INTEGER)")
    for _ in range(3):
        database.run(
            "ALTER TABLE child ADD COLUMN IF NOT EXISTS parent INTEGER REFERENCES parent (id) ON DELETE CASCADE"
        )
        database.run("ALTER TABLE child ADD COLUMN IF NOT EXISTS age INTEGER CHECK (age > least)")
    assert database.foreign_keys("child") == {ForeignKey(("parent",), "parent", ("id",), "CASCADE")}
    assert refuses(database, "INSERT INTO child (id, parent) VALUES (1, 5)")
    assert refuses(database, "INSERT INTO child (id, least, age) VALUES (1, 5, 5)")


def test_a_column_is_dropped_once(database: Database) -> None:
    database.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT)")
    if database.kind != "mysql":  # where a session without ANSI_QUOTES reads ".." as a string
        database.run('ALTER TABLE t DROP COLUMN IF EXISTS "no such"')
        database.run('ALTER TABLE t ADD COLUMN "a b" TEXT')
        database.run('ALTER TABLE t ADD COLUMN IF NOT EXISTS "a b" TEXT')
        database.run('ALTER TABLE t DROP COLUMN IF EXISTS "a b"')
    for _ in range(2):
        database.run("ALTER TABLE t DROP COLUMN IF EXISTS a")
        database.run("ALTER TABLE t DROP COLUMN IF EXISTS b CASCADE")
        database.run("ALTER TABLE IF EXISTS missing DROP COLUMN IF EXISTS b")
    assert list(database.columns("t")) == ["id"]


def test_columns_and_tables_are_renamed(database: Database) -> None:
    database.run("CREATE TABLE t (a INTEGER, b INTEGER)")
    database.run("ALTER TABLE t RENAME COLUMN a TO c")
    database.run("ALTER TABLE t RENAME b TO d")
    database.run("ALTER TABLE t RENAME TO u")
    database.run("ALTER TABLE IF EXISTS t RENAME TO v")
    assert list(database.columns("u")) == ["c", "d"]
    assert database.tables() == {"u"}


def test_a_column_is_changed_or_the_way_out_is_named(database: Database) -> None:
    database.run("CREATE TABLE t (a INTEGER, b VARCHAR(10), c JSONB)")
    database.native("INSERT INTO t (a, b) VALUES (5, 'x')")
    changes = [
        "ALTER TABLE t ALTER COLUMN a TYPE BIGINT",
        "ALTER TABLE t ALTER a SET DATA TYPE BIGINT USING a::bigint",
        "ALTER TABLE t ALTER COLUMN a SET DEFAULT 9",
        "ALTER TABLE t ALTER COLUMN b SET DEFAULT 'TRUE NOW()'::varchar",
        "ALTER TABLE t ALTER COLUMN c SET DEFAULT '{\"a\": 1}'::jsonb",
    ]
    for change in changes:
        if database.kind == "sqlite":
            with pytest.raises(TranslationError, match="create a new table, copy the rows, and rename it"):
                database.run(change)
        else:
            database.run(change)
    if database.kind != "sqlite":
        database.native("INSERT INTO t (a) VALUES (9007199254740993)")
        database.native("INSERT INTO t (b) VALUES ('y')")
        assert database.native("SELECT a, b FROM t ORDER BY a") == [
            (5, "x"),
            (9, "y"),
            (9007199254740993, "TRUE NOW()"),
        ]
        database.run("ALTER TABLE t ALTER COLUMN b DROP DEFAULT")
        if database.kind == "mssql":  # which takes one action
            database.run("ALTER TABLE t ALTER COLUMN a SET DEFAULT 1")
            database.run("ALTER TABLE t ALTER COLUMN b SET DEFAULT 'z'")
        else:
            database.run("ALTER TABLE t ALTER COLUMN a SET DEFAULT 1, ALTER COLUMN b SET DEFAULT 'z'")
        database.native("DELETE FROM t")
        database.native("INSERT INTO t (c) VALUES (DEFAULT)")
        ((a, b, c),) = database.native("SELECT a, b, c FROM t")
        assert (a, b, str(c).replace("'", '"')) == (1, "z", '{"a": 1}')


def test_constraints_are_added_and_dropped_or_the_way_out_is_named(database: Database) -> None:
    database.run("CREATE TABLE t (a INTEGER, b INTEGER)")
    add = "ALTER TABLE t ADD CONSTRAINT only_once UNIQUE (a)"
    drop = "ALTER TABLE t DROP CONSTRAINT IF EXISTS positive"
    if database.kind == "sqlite":
        with pytest.raises(TranslationError, match="unique index"):
            database.run(add)
        with pytest.raises(TranslationError, match="cannot be dropped"):
            database.run(drop)
        return
    database.run(add)
    database.run("ALTER TABLE t ADD CONSTRAINT positive CHECK (b > 0)")
    assert refuses(database, "INSERT INTO t VALUES (1, 0)")
    for _ in range(2):
        database.run(drop)
    database.native("INSERT INTO t VALUES (1, 0)")
    assert refuses(database, "INSERT INTO t VALUES (1, 0)")


def test_a_numbered_column_is_added_or_refused(database: Database) -> None:
    database.run("CREATE TABLE t (a INTEGER)")
    database.native("INSERT INTO t VALUES (7)")
    add = "ALTER TABLE t ADD COLUMN IF NOT EXISTS number SERIAL"
    if database.kind == "sqlite":
        with pytest.raises(TranslationError, match="cannot be added"):
            database.run(add)
        return
    for _ in range(2):
        database.run(add)
    database.native("INSERT INTO t (a) VALUES (8)")
    assert database.native("SELECT number FROM t ORDER BY a") == [(1,), (2,)]
    assert len(database.indexes("t")) <= 1


# Indexes


@pytest.mark.parametrize(
    ("create", "columns"),
    [
        ("CREATE INDEX IF NOT EXISTS i ON t (a)", ("a",)),
        ("CREATE INDEX IF NOT EXISTS i ON t (a DESC, b ASC)", ("a", "b")),
        ("CREATE INDEX IF NOT EXISTS i ON t (a DESC NULLS LAST, b NULLS FIRST)", ("a", "b")),
        ("CREATE INDEX IF NOT EXISTS i ON t USING btree (a, b)", ("a", "b")),
        ("CREATE INDEX IF NOT EXISTS i ON ONLY t USING hash (a)", ("a",)),
        ("CREATE INDEX IF NOT EXISTS i ON t (b text_pattern_ops)", ("b",)),
        ("CREATE INDEX IF NOT EXISTS i ON t (a) WITH (fillfactor = 70) WHERE b = 'WHERE ;'", ("a",)),
        ("CREATE INDEX /* why */ IF NOT EXISTS i -- what\n ON t (a /* how */ DESC);", ("a",)),
    ],
)
def test_an_index_is_created_once(database: Database, create: str, columns: tuple[str, ...]) -> None:
    database.run("CREATE TABLE t (a INTEGER, b VARCHAR(20))")
    database.run(create)
    database.run(create)
    assert database.indexes("t") == {"i": (False, columns)}


def test_an_index_includes_columns_or_does_without(database: Database) -> None:
    database.run("CREATE TABLE t (a INTEGER, b INTEGER)")
    database.run("CREATE UNIQUE INDEX IF NOT EXISTS i ON t (a) INCLUDE (b)")
    database.native("INSERT INTO t VALUES (1, 1)")
    assert refuses(database, "INSERT INTO t VALUES (1, 2)")


def test_creating_an_index_that_is_there_is_an_error_without_the_words(database: Database) -> None:
    database.run("CREATE TABLE t (a INTEGER)")
    database.run("CREATE INDEX i ON t (a)")
    with pytest.raises(REFUSED):
        database.run("CREATE INDEX i ON t (a)")
    with pytest.raises(REFUSED):
        database.run("CREATE INDEX IF NOT EXISTS j ON t (missing)")


def test_a_unique_index_on_some_rows_holds_for_these_or_is_refused(database: Database) -> None:
    database.run("CREATE TABLE t (email VARCHAR(50), deleted BOOLEAN NOT NULL DEFAULT FALSE)")
    create = "CREATE UNIQUE INDEX i ON t (email) WHERE NOT deleted"
    if database.modes.flavour == "mariadb":
        with pytest.raises(TranslationError, match="unique index on some rows"):
            database.run(create)
        return
    database.run(create)
    true = "1" if database.kind in ("sqlite", "mssql") else "TRUE"
    database.native(f"INSERT INTO t VALUES ('a', {true}), ('a', {true})")
    database.native("INSERT INTO t (email) VALUES ('a')")
    assert refuses(database, "INSERT INTO t (email) VALUES ('a')")


def test_an_index_on_an_expression_holds_or_is_refused(database: Database) -> None:
    database.run("CREATE TABLE t (email VARCHAR(50), other VARCHAR(50))")
    create = "CREATE UNIQUE INDEX i ON t (lower(email), (other || '!'))"
    if database.modes.flavour == "mariadb" or database.kind == "mssql":
        with pytest.raises(TranslationError, match="generated column"):
            database.run(create)
        return
    database.run(create)
    database.native("INSERT INTO t VALUES ('a', 'b')")
    assert refuses(database, "INSERT INTO t VALUES ('A', 'b')")


def test_an_index_is_dropped_by_its_name_alone(database: Database) -> None:
    database.run("CREATE TABLE t (a INTEGER)")
    database.run(
        "CREATE TABLE `odd ``name` (a INTEGER)" if database.kind == "mysql" else 'CREATE TABLE "odd name" (a INTEGER)'
    )
    drops = ["DROP INDEX i", "DROP INDEX IF EXISTS i", "DROP INDEX IF EXISTS i;"]
    if database.modes.flavour == "mysql":
        with pytest.raises(TranslationError, match="DROP INDEX i ON <table>"):
            database.run(drops[0])
        return
    for table in ("t", "`odd ``name`" if database.kind == "mysql" else '"odd name"'):
        for drop in drops:
            database.run(f"CREATE INDEX i ON {table} (a)")
            database.run(drop)
    assert database.indexes("t") == {}
    for drop in drops[1:]:
        database.run(drop)
    with pytest.raises(REFUSED):
        database.run(drops[0])


def test_an_index_that_two_tables_have_is_not_dropped_by_its_name() -> None:
    servers.require("mysql")
    with servers.fresh_database("mysql") as url, opened("mysql", url) as database:
        for table in ("t", "u"):
            database.run(f"CREATE TABLE {table} (a INTEGER)")
            database.run(f"CREATE INDEX i ON {table} (a)")
        with pytest.raises((*REFUSED, TranslationError)):
            database.run("DROP INDEX i")
        assert set(database.indexes("t")) == set(database.indexes("u")) == {"i"}


def test_mysql_s_own_drop_of_an_index_passes() -> None:
    servers.require("mysql")
    with servers.fresh_database("mysql") as url, opened("mysql", url) as database:
        database.run("CREATE TABLE t (a INTEGER)")
        database.run("CREATE INDEX i ON t (a)")
        for _ in range(2):
            database.run("DROP INDEX IF EXISTS i ON t")
        assert database.indexes("t") == {}
        with pytest.raises(REFUSED):
            database.run("DROP INDEX i ON t")


# DROP


@pytest.mark.parametrize("words", ["", " CASCADE", " RESTRICT", " /* why */ CASCADE -- end"])
def test_a_table_is_dropped_once(database: Database, words: str) -> None:
    database.run("CREATE TABLE t (a INTEGER)")
    for _ in range(2):
        database.run(f"DROP TABLE IF EXISTS t{words}")
    assert database.tables() == set()
    with pytest.raises(REFUSED):
        database.run(f"DROP TABLE t{words}")


def test_several_tables_are_dropped_or_refused(database: Database) -> None:
    for name in ("a", "b"):
        database.run(f"CREATE TABLE {name} (a INTEGER)")
    if database.kind == "sqlite":
        with pytest.raises(TranslationError, match="one name"):
            database.run("DROP TABLE IF EXISTS a, b, c")
    else:
        database.run("DROP TABLE IF EXISTS a, b, c")
        assert database.tables() == set()


def test_a_view_is_dropped_once(database: Database) -> None:
    database.run("CREATE TABLE t (a INTEGER)")
    database.run("CREATE VIEW v AS SELECT a FROM t")
    for _ in range(2):
        database.run("DROP VIEW IF EXISTS v CASCADE")
    assert refuses(database, "SELECT * FROM v")


# The database's own SQL


NATIVE = {
    "sqlite": [
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, made TIMESTAMP DEFAULT CURRENT_TIMESTAMP, doc JSON)",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT) STRICT",
        "CREATE TABLE t (name UUID PRIMARY KEY, doc JSONB) WITHOUT ROWID",
        "CREATE TABLE `t` (`id` INTEGER PRIMARY KEY, doc JSONB)",
        "CREATE TABLE [t] ([id] INTEGER PRIMARY KEY, doc JSONB)",
        "CREATE TABLE t (name UUID PRIMARY KEY ON CONFLICT REPLACE)",
        "CREATE TABLE t (a, b UNIQUE, c COLLATE NOCASE)",
        "CREATE TABLE t (a TEXT COLLATE NOCASE DEFAULT x)",
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, flag BOOLEAN DEFAULT TRUE, other BOOLEAN DEFAULT 'no')",
    ],
    "postgresql": [
        "CREATE TABLE t (id SERIAL PRIMARY KEY, a TEXT[] DEFAULT '{}', b JSONB DEFAULT '{}'::jsonb, c UUID DEFAULT "
        "gen_random_uuid(), d TIMESTAMPTZ DEFAULT NOW(), e BOOLEAN DEFAULT TRUE)",
        "CREATE UNLOGGED TABLE t (id INT GENERATED ALWAYS AS IDENTITY PRIMARY KEY) WITH (fillfactor = 70)",
        "CREATE TABLE t (a INT, EXCLUDE USING btree (a WITH =), UNIQUE NULLS NOT DISTINCT (a))",
        "CREATE TABLE t (a INT) PARTITION BY RANGE (a)",
    ],
    "mysql": [
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, made TIMESTAMP DEFAULT NOW() ON UPDATE NOW(), doc JSON)",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, flag BOOLEAN DEFAULT TRUE, body TEXT) ENGINE=InnoDB",
        "CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY, body TEXT) ENGINE = InnoDB DEFAULT CHARSET=utf8mb4",
        "CREATE TABLE t (id SERIAL, body TEXT, KEY body_start (body(20)))",
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(20), INDEX idx (name), UNIQUE KEY uq (name))",
        "CREATE TABLE `t` (`id` INTEGER PRIMARY KEY, `made` TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP)",
        "CREATE TABLE t (name VARCHAR(9) CHARACTER SET latin1, made TIMESTAMP NULL)",
        "CREATE TABLE t (made DATETIME DEFAULT CURRENT_TIMESTAMP, seen DATETIME DEFAULT NOW())",
        "CREATE TABLE t (a VARCHAR(9) COLLATE utf8mb4_unicode_ci)",
    ],
}


@pytest.mark.parametrize(("kind", "sql"), [(kind, sql) for kind in NATIVE for sql in NATIVE[kind]])
def test_native_definitions_pass_byte_for_byte_and_run(kind: str, sql: str) -> None:
    servers.require(kind)
    with servers.fresh_database(kind) as url, opened(kind, url) as database:
        assert database.text_of(sql) == sql
        database.run(sql)
        assert database.tables() == {"t"}
