"""A table whose rows can be bad in many ways, the rows, and what is to be said of each of them."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import servers
from nexusql import DatabaseManager
from nexusql.errors import (
    CheckViolation,
    DatabaseError,
    DataError,
    Error,
    ForeignKeyViolation,
    NotNullViolation,
    ParameterError,
    UndefinedColumn,
    UniqueViolation,
)

TAKEN = -1  # an id that is in the table
FORBIDDEN = "forbidden"  # a name that a trigger refuses
COLUMNS = ("id", "name", "amount", "owner")

_TRIGGERS = {
    "sqlite": [
        "CREATE TRIGGER item_name BEFORE INSERT ON item WHEN NEW.name = 'forbidden'"
        " BEGIN SELECT RAISE(ABORT, 'not this name'); END"
    ],
    "postgresql": [
        "CREATE FUNCTION refuse_name() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.name = 'forbidden' THEN RAISE EXCEPTION 'not this name'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER item_name BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION refuse_name()",
        "CREATE SEQUENCE item_statements",
        "CREATE FUNCTION count_statement() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM nextval('item_statements'); RETURN NULL; END $$",
        "CREATE TRIGGER item_statement BEFORE INSERT ON item FOR EACH STATEMENT EXECUTE FUNCTION count_statement()",
    ],
    "mysql": [
        "CREATE TRIGGER item_name BEFORE INSERT ON item FOR EACH ROW"
        " IF NEW.name = 'forbidden' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this name'; END IF"
    ],
    # THROW, or a ROLLBACK, in a trigger would end an open transaction.
    "mssql": [
        "CREATE TRIGGER item_name ON item AFTER INSERT AS SET NOCOUNT ON;"
        " IF EXISTS (SELECT 1 FROM inserted WHERE name = 'forbidden') RAISERROR('not this name', 16, 1)"
    ],
}


class Poison(NamedTuple):
    """A way for a row to be bad: what it changes, and the class of the error, by database where that differs."""

    spoil: Callable[[dict[str, Any]], Any]
    error: type[Error]
    driver: dict[str, str]  # the driver's class, by the kind of database; none where nothing was sent


def _with(**values: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda row: {**row, **values}


def _drivers(postgresql: str, mysql: str = "IntegrityError", mssql: str = "IntegrityError") -> dict[str, str]:
    return {"sqlite": "IntegrityError", "postgresql": postgresql, "mysql": mysql, "mssql": mssql}


POISONS = {
    "unique": Poison(_with(id=TAKEN), UniqueViolation, _drivers("UniqueViolation")),
    "null": Poison(_with(name=None), NotNullViolation, _drivers("NotNullViolation")),
    "data": Poison(_with(id="eleven"), DataError, _drivers("InvalidTextRepresentation", "DataError", "DataError")),
    "check": Poison(_with(amount=-5), CheckViolation, _drivers("CheckViolation", "OperationalError")),
    "reference": Poison(_with(owner=99), ForeignKeyViolation, _drivers("ForeignKeyViolation")),
    "trigger": Poison(
        _with(name=FORBIDDEN), DatabaseError, _drivers("RaiseException", "OperationalError", "ProgrammingError")
    ),
    "type": Poison(_with(name=object()), ParameterError, {}),
    "surrogate": Poison(_with(name="\ud800"), ParameterError, {}),
    "key": Poison(_with(nickname="x"), UndefinedColumn, {}),
    "none": Poison(lambda row: None, ParameterError, {}),
    "number": Poison(lambda row: row["id"], ParameterError, {}),
}
SENT = tuple(name for name, poison in POISONS.items() if poison.driver)


def with_options(kind: str, url: str) -> str:
    """The URL of a database on which foreign keys count."""
    return f"{url}?foreign_keys=on" if kind == "sqlite" else url


@contextmanager
def item_table(kind: str) -> Iterator[DatabaseManager]:
    """A manager with a single connection on a database with the table `item`, in which there is the id TAKEN."""
    with servers.fresh_database(kind) as url, DatabaseManager(with_options(kind, url), pool_max=1) as db:
        make_items(kind, db)
        yield db


def make_items(kind: str, db: DatabaseManager) -> None:
    """Create the table `item` and what belongs to it."""
    db.execute("CREATE TABLE owner (id INTEGER PRIMARY KEY)")
    db.execute("INSERT INTO owner (id) VALUES (1)")
    db.execute(
        "CREATE TABLE item (id INTEGER PRIMARY KEY, name VARCHAR(100) NOT NULL, amount INTEGER CHECK (amount >= 0),"
        " owner INTEGER, FOREIGN KEY (owner) REFERENCES owner (id))"
    )
    for statement in _TRIGGERS[kind]:
        db.execute(statement)
    empty(db)


def empty(db: DatabaseManager) -> None:
    """Leave only the row that takes an id."""
    db.execute("DELETE FROM item")
    db.execute("INSERT INTO item (id, name) VALUES (:id, 'taken')", {"id": TAKEN})


def good(number: int) -> dict[str, Any]:
    """The row of a number, which is its id."""
    return {"id": number, "name": f"item {number}", "amount": number % 7, "owner": 1}


def rows(count: int, bad: dict[int, str]) -> list[Any]:
    """So many rows, those at the places in `bad` spoilt."""
    return [POISONS[bad[number]].spoil(good(number)) if number in bad else good(number) for number in range(count)]


def stored(db: DatabaseManager) -> list[int]:
    """The ids in the table, in their order; those of `good` rows only, which are as they were given."""
    found = db.execute("SELECT id, name, amount, owner FROM item WHERE id <> :id ORDER BY id", {"id": TAKEN})
    assert found == [good(row["id"]) for row in found]
    return [row["id"] for row in found]


def is_of_driver(kind: str, error: BaseException, name: str) -> bool:
    """Whether an error is also of the driver's class of a name."""
    return any(
        base.__name__ == name and base.__module__.partition(".")[0] in ("sqlite3", "psycopg2", "pymysql", "pyodbc")
        for base in type(error).__mro__
    )


class Attempts:
    """Counts how often rows were written to `item`: statements, which PostgreSQL and MySQL count, or transactions, on
    SQLite and on SQL Server, where rows of several types take a statement each. `since()` gives the number since it was
    last asked."""

    def __init__(self, kind: str, db: DatabaseManager) -> None:
        self._kind = kind
        self._db = db
        self._seen = 0
        self._begun = 0
        if kind in ("sqlite", "mssql"):
            assert db._connection is not None
            pool = db._connection.pool
            connection = pool.acquire()
            if kind == "sqlite":
                connection._raw.set_trace_callback(self._trace)
            else:
                self._trace_session(connection._raw)
            pool.release(connection)
        self.since()

    def _trace_session(self, raw: Any) -> None:
        run = raw.run

        def traced(text: str, *args: Any) -> Any:
            self._trace(text)
            return run(text, *args)

        raw.run = traced

    def _trace(self, sql: str) -> None:
        self._begun += sql.startswith("BEGIN")

    def since(self) -> int:
        """Attempts since the last time."""
        if self._kind in ("sqlite", "mssql"):
            now = self._begun
        elif self._kind == "postgresql":
            now = self._db.fetch_value("SELECT last_value FROM item_statements")
        else:
            now = int(self._db.execute("SHOW SESSION STATUS LIKE 'Com_insert'")[0]["Value"])
        before, self._seen = self._seen, now
        return now - before

    @staticmethod
    def most(rows: int, bad: int, chunk: int) -> int:
        """What issue and design allow for."""
        return math.ceil(rows / chunk) + 2 * bad * math.ceil(math.log2(max(chunk, 2))) + 2
