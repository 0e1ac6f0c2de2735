"""The questions of compare.py, each a context manager that opens what it needs and gives a Case."""

import dataclasses
import importlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import servers
from harness import Case, at_least, at_most, at_most_over
from nexusql import DatabaseManager
from nexusql.sql.lexical import SessionModes
from nexusql.sql.syntax import syntax_for

COLUMNS = "id, agent_name, success, mode, declared_mode, retries, score, noted"
TABLE = (
    "CREATE TABLE bench (id INTEGER PRIMARY KEY, agent_name VARCHAR(255), success INTEGER, mode VARCHAR(50),"
    " declared_mode VARCHAR(50), retries INTEGER, score DOUBLE PRECISION, noted VARCHAR(50))"
)
MANY = 50_000
ONE_ROW = f"SELECT {COLUMNS} FROM bench WHERE id = :id AND agent_name = :agent AND success = :success"
ONE_ROW_PARAMS = {"id": 777, "agent": "agent-2", "success": 1}
ONE_ROW_ARGS = tuple(ONE_ROW_PARAMS.values())
ALL_ROWS = f"SELECT {COLUMNS} FROM bench"
FIELDS = dict(zip(COLUMNS.split(", "), (int, str, bool, str, str, int, float, str), strict=True))

STATEMENTS = (
    ONE_ROW,
    "INSERT INTO reliability_steps (agent_name, success, required_compensation, required_human, mode, declared_mode,"
    " mode_violation, timestamp) VALUES (:agent_name, :success, :required_compensation, :required_human, :mode,"
    " :declared_mode, :mode_violation, :timestamp)",
    "SELECT e.execution_id, e.status, COUNT(s.step_id) AS steps -- finished ones only\n"
    "FROM pipeline_executions e LEFT JOIN step_executions s ON s.execution_id = e.execution_id\n"
    "WHERE e.pipeline_id = :pipeline AND e.status IN ('completed', 'failed') AND e.started_at >= :since\n"
    "GROUP BY e.execution_id, e.status ORDER BY e.started_at DESC LIMIT :limit OFFSET :offset",
    "UPDATE pipelines SET name = :name, description = :description, is_active = :is_active, updated_at = NOW()"
    " WHERE id = :id AND version = '1.0' /* the first */",
)


def one_row_text(placeholder: str) -> str:
    """The one-row SELECT as a driver takes it."""
    text = ONE_ROW
    for name in ONE_ROW_PARAMS:
        text = text.replace(f":{name}", placeholder)
    return text


def rows() -> Iterator[tuple[object, ...]]:
    """The rows of the table `bench`."""
    for number in range(MANY):
        yield number, f"agent-{number % 25}", 1, "execute", "explore", number % 3, number / 7, f"note {number}"


def to_dicts(cursor: Any) -> list[dict[str, Any]]:
    """Rows as the hand-written code makes dicts of them."""
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor.fetchall()]  # noqa: B905 - strict= would slow the baseline


def fill(kind: str, connection: Any) -> None:
    """Create and fill the table `bench` over a bare connection."""
    cursor = connection.cursor()
    cursor.execute(TABLE)
    if kind == "postgresql":
        extras = importlib.import_module("psycopg2.extras")
        extras.execute_values(cursor, f"INSERT INTO bench ({COLUMNS}) VALUES %s", rows(), page_size=1000)
        cursor.execute("ANALYZE bench")
    else:
        marks = ", ".join(["?" if kind == "sqlite" else "%s"] * 8)
        cursor.execute("BEGIN")
        cursor.executemany(f"INSERT INTO bench ({COLUMNS}) VALUES ({marks})", rows())
        cursor.execute("COMMIT")


@contextmanager
def filled_database(kind: str) -> Iterator[tuple[str, Any]]:
    """(URL, bare connection) of a fresh database with the table `bench`."""
    with ExitStack() as stack:
        url = stack.enter_context(servers.fresh_database(kind))
        if kind == "sqlite":
            connection: Any = sqlite3.connect(urlsplit(url).path[1:], isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
        else:
            connection = servers.CONNECT[kind](url)
        stack.enter_context(closing(connection))
        fill(kind, connection)
        yield url, connection


def sqlite_peers(path: str, stack: ExitStack) -> dict[str, Callable[[], object]]:
    """The one-row SELECT by other libraries, where they are installed."""
    peers: dict[str, Callable[[], object]] = {}
    text = one_row_text("?")
    if peewee := load("peewee"):
        database = peewee.SqliteDatabase(path)
        stack.callback(database.close)
        peers["peewee"] = lambda: to_dicts(database.execute_sql(text, ONE_ROW_ARGS))
    if sqlspec := load("sqlspec"):
        spec = sqlspec.SQLSpec()
        adapter = importlib.import_module("sqlspec.adapters.sqlite")
        config = spec.add_config(adapter.SqliteConfig(connection_config={"database": path}))
        session = stack.enter_context(spec.provide_session(config))
        peers["sqlspec"] = lambda: session.execute(ONE_ROW, ONE_ROW_PARAMS).get_data()
    if sqlalchemy := load("sqlalchemy"):
        engine = sqlalchemy.create_engine(f"sqlite:///{path}")
        stack.callback(engine.dispose)
        statement = sqlalchemy.text(ONE_ROW)

        def by_sqlalchemy() -> object:
            with engine.connect() as connection:
                return [dict(row) for row in connection.execute(statement, ONE_ROW_PARAMS).mappings()]

        peers["SQLAlchemy"] = by_sqlalchemy
    return peers


def load(name: str) -> Any:
    """A module of a library that need not be installed, or None."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


@contextmanager
def one_row_sqlite() -> Iterator[Case]:
    """One row of a SQLite file by its key."""
    with ExitStack() as stack:
        url, connection = stack.enter_context(filled_database("sqlite"))
        db = stack.enter_context(DatabaseManager(url))
        text = one_row_text("?")
        contenders: dict[str, Callable[[], object]] = {
            "sqlite3 + dict(zip())": lambda: to_dicts(connection.execute(text, ONE_ROW_ARGS)),
            "nexusql": lambda: db.execute(ONE_ROW, ONE_ROW_PARAMS),
            **sqlite_peers(urlsplit(url).path[1:], stack),
        }
        yield Case("One row of 8 columns, 3 parameters, SQLite file", contenders, at_most(1.25))


@contextmanager
def one_row_server(kind: str, driver: str, factor: float) -> Iterator[Case]:
    """One row of a server's table by its key."""
    with filled_database(kind) as (url, connection), DatabaseManager(url) as db:
        text = one_row_text("%s")

        def bare() -> object:
            with connection.cursor() as cursor:
                cursor.execute(text, ONE_ROW_ARGS)
                return to_dicts(cursor)

        contenders = {f"{driver} + dict(zip())": bare, "nexusql": lambda: db.execute(ONE_ROW, ONE_ROW_PARAMS)}
        yield Case(f"One row of 8 columns, 3 parameters, {NAMES[kind]}", contenders, at_most(factor))


@contextmanager
def many_rows(kind: str, driver: str, factor: float | None) -> Iterator[Case]:
    """50,000 rows of 8 columns as dicts, against the driver's bare tuples."""
    with ExitStack() as stack:
        url, connection = stack.enter_context(filled_database(kind))
        db = stack.enter_context(DatabaseManager(url))

        def bare() -> object:
            cursor = connection.cursor()
            cursor.execute(ALL_ROWS)
            return cursor.fetchall()

        contenders: dict[str, Callable[[], object]] = {
            f"{driver}, tuples": bare,
            "nexusql": lambda: db.fetch_all(ALL_ROWS),
            f"{driver} + dict(zip())": lambda: dicts_by_hand(connection),
        }
        cursor_class = {
            "postgresql": ("psycopg2.extras", "RealDictCursor"),
            "mysql": ("pymysql.cursors", "DictCursor"),
        }.get(kind)
        if cursor_class:
            dict_cursor = getattr(importlib.import_module(cursor_class[0]), cursor_class[1])
            option = "cursor_factory" if kind == "postgresql" else "cursor"

            def by_dict_cursor() -> object:
                cursor = connection.cursor(**{option: dict_cursor})
                cursor.execute(ALL_ROWS)
                return cursor.fetchall()

            contenders[f"{driver}, {cursor_class[1]}"] = by_dict_cursor
        goal = at_most(factor) if factor else None
        yield Case(f"{MANY:,} rows of 8 columns as dicts, {NAMES[kind]}", contenders, goal)


def into_dataclass() -> tuple[Any, Callable[[Any], object]]:
    """A dataclass, and the code that people write to fill it from a cursor."""
    part = dataclasses.make_dataclass("Part", FIELDS.items())
    return part, lambda cursor: [part(*row) for row in cursor]


def into_namedtuple() -> tuple[Any, Callable[[Any], object]]:
    """A NamedTuple, and the same."""
    part = NamedTuple("part", FIELDS.items())  # type: ignore[misc]
    return part, lambda cursor: [part(*row) for row in cursor]


def into_struct() -> tuple[Any, Callable[[Any], object]]:
    """A Struct of msgspec, and the same."""
    msgspec = importlib.import_module("msgspec")
    part = msgspec.defstruct("Part", FIELDS.items())
    return part, lambda cursor: msgspec.convert(to_dicts(cursor), list[part], strict=False)  # type: ignore[valid-type]


def into_model() -> tuple[Any, Callable[[Any], object]]:
    """A model of pydantic, and the same."""
    pydantic = importlib.import_module("pydantic")
    part = pydantic.create_model("Part", **{name: (kind, ...) for name, kind in FIELDS.items()})
    convert = pydantic.TypeAdapter(list[part]).validate_python  # type: ignore[valid-type]
    return part, lambda cursor: convert(to_dicts(cursor))


@contextmanager
def many_instances(name: str, kind: Callable[[], tuple[Any, Callable[[Any], object]]]) -> Iterator[Case]:
    """50,000 rows of 8 columns as instances of a class, against the code that people write for it."""
    with filled_database("sqlite") as (url, connection), DatabaseManager(url) as db:
        into, by_hand = kind()
        contenders = {
            "sqlite3, by hand": lambda: by_hand(connection.execute(ALL_ROWS)),
            "nexusql": lambda: db.fetch_all(ALL_ROWS, into=into),
        }
        yield Case(f"{MANY:,} rows of 8 columns into {name}, {NAMES['sqlite']}", contenders, at_most(1.3))


def dicts_by_hand(connection: Any) -> object:
    """All rows as dicts, by the code that people write."""
    cursor = connection.cursor()
    cursor.execute(ALL_ROWS)
    return to_dicts(cursor)


@contextmanager
def scanning() -> Iterator[Case]:
    """Statements that are met for the first time: the compiled scanner and the same source interpreted."""
    rules = int(syntax_for("postgresql").lexical(SessionModes()))
    compiled = importlib.import_module("nexusql._speedups._scanner_c").scan
    interpreted = importlib.import_module("nexusql._speedups.scanner").scan
    contenders = {
        "compiled": lambda: [compiled(text, rules, 0) for text in STATEMENTS],
        "interpreted": lambda: [interpreted(text, rules, 0) for text in STATEMENTS],
    }
    yield Case(f"Scanning {len(STATEMENTS)} statements", contenders, at_least(6, "interpreted"))


@contextmanager
def importing() -> Iterator[Case]:
    """Starting an interpreter, and starting one that imports nexusql."""

    def start(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    contenders = {"bare interpreter": start("pass"), "nexusql": start("import nexusql")}
    yield Case("import nexusql", contenders, at_most_over(0.040))


NAMES = {"sqlite": "SQLite file", "postgresql": "PostgreSQL", "mysql": "MySQL/MariaDB"}

# What each case needs beside Python, and the case.
CASES: tuple[tuple[str, Callable[[], Any]], ...] = (
    ("sqlite", one_row_sqlite),
    ("postgresql", lambda: one_row_server("postgresql", "psycopg2", 1.15)),
    ("mysql", lambda: one_row_server("mysql", "PyMySQL", 1.15)),
    ("sqlite", lambda: many_rows("sqlite", "sqlite3", 1.45)),
    ("postgresql", lambda: many_rows("postgresql", "psycopg2", 1.5)),
    ("mysql", lambda: many_rows("mysql", "PyMySQL", None)),
    ("sqlite", partial(many_instances, "a dataclass", into_dataclass)),
    ("sqlite", partial(many_instances, "a NamedTuple", into_namedtuple)),
    ("sqlite", partial(many_instances, "a msgspec Struct", into_struct)),
    ("sqlite", partial(many_instances, "a pydantic model", into_model)),
    ("sqlite", scanning),
    ("sqlite", importing),
)
