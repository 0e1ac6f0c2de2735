"""A stand-in for pyodbc's connections that answers as it is told: what SQL Server says of errors, locks and doomed
transactions can be had without one. The errors are pyodbc's own."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import pyodbc

VERSION = ("16.0.4105.2", 2, None, 1)  # what the backend asks for when it connects
DRIVER = "ODBC Driver 18 for SQL Server"

Answer = Any  # rows, a number of rows, an error, or a function of the arguments that gives one of these


def error(kind: str, sqlstate: str, number: int, text: str = "it failed") -> pyodbc.Error:
    """An error as the driver raises it for one of the server's."""
    told = f"[{sqlstate}] [Microsoft][{DRIVER}][SQL Server]{text} ({number}) (SQLExecDirectW)"
    made: pyodbc.Error = getattr(pyodbc, kind)(sqlstate, told)
    return made


class Cursor:
    """A cursor whose statements the server at hand answers."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self.description: Any = None
        self.rowcount = -1
        self._rows: list[Any] = []
        self._later: list[Answer] = []
        self.sizes: Any = None

    def setinputsizes(self, sizes: Sequence[Any]) -> None:
        self.sizes = list(sizes)

    def execute(self, text: str, args: Sequence[Any] = ()) -> "Cursor":
        self._connection.server.sent.append((text, tuple(None if v is pyodbc.BinaryNull else v for v in args)))
        self._connection.server.sizes.append(self.sizes)
        if self._connection.closed:
            raise pyodbc.ProgrammingError("HY000", "Attempt to use a closed connection.")
        answers = self._connection.server.answer(text, args)
        first, *self._later = answers
        self._take(first)
        return self

    def _take(self, answer: Answer) -> None:
        self.description, self.rowcount, self._rows = None, -1, []
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            self.rowcount = answer
        else:
            self._rows = list(answer)
            width = len(self._rows[0]) if self._rows else 1
            names = self._connection.server.names or [f"c{n}" for n in range(width)]
            self.description = [(name, str, None, 0, 0, 0, True) for name in names]

    def nextset(self) -> bool:
        if not self._later:
            return False
        self._take(self._later.pop(0))
        return True

    def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    def fetchmany(self, size: int) -> list[Any]:
        rows, self._rows = self._rows[:size], self._rows[size:]
        return rows

    def close(self) -> None:
        self._connection.server.closed_cursors += 1

    def cancel(self) -> None:
        self._connection.server.cancelled += 1
        self._connection.server.when_cancelled()


class Connection:
    """A connection to the server at hand."""

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.closed = False
        self.timeout = 0
        self.converters: dict[int, Callable[[bytes], Any]] = {}

    def cursor(self) -> Cursor:
        return Cursor(self)

    def add_output_converter(self, kind: int, convert: Callable[[bytes], Any]) -> None:
        self.converters[kind] = convert

    def close(self) -> None:
        self.closed = True


class Several(list[Answer]):
    """The answers to the parts of one batch."""


class Server:
    """What answers: the last rule whose pattern a statement has, the state of the transaction, or one affected row.

    `state` is what XACT_STATE() gives inside a transaction.
    """

    def __init__(self) -> None:
        self.sent: list[tuple[str, tuple[Any, ...]]] = []
        self.sizes: list[Any] = []
        self.state = 1
        self.connections: list[Connection] = []
        self.strings: list[str] = []
        self.closed_cursors = 0
        self.cancelled = 0
        self.when_cancelled: Callable[[], None] = lambda: None
        self.names: list[str] = []  # of the columns of every result; c0, c1, .. without
        self._rules: list[tuple[re.Pattern[str], Answer]] = []
        self.on("SERVERPROPERTY", [VERSION])
        self.on("XACT_STATE", lambda args: [(self.state,)])

    def on(self, pattern: str, answer: Answer) -> None:
        """Answer statements in which a pattern is found."""
        self._rules.append((re.compile(pattern, re.DOTALL), answer))

    def answer(self, text: str, args: Sequence[Any]) -> list[Answer]:
        for pattern, answer in reversed(self._rules):
            if pattern.search(text):
                found = answer(args) if callable(answer) else answer
                return list(found) if isinstance(found, Several) else [found]
        return [1]

    def connect(self, text: str, **options: Any) -> Connection:
        """What pyodbc.connect does."""
        self.strings.append(text)
        connection = Connection(self)
        self.connections.append(connection)
        return connection

    @property
    def texts(self) -> list[str]:
        """The statements that were sent, without those of connecting."""
        return [text for text, _ in self.sent if not text.startswith("SET XACT_ABORT") and "SERVERPROPERTY" not in text]
