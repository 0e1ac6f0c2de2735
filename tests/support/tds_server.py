"""A stand-in for SQL Server that speaks its protocol, so that real ODBC drivers can be tested: it answers what it is
told to, and records what arrived, with the types of parameters."""

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import tds_messages as tds
from tds_channel import Attention, Channel
from tds_messages import Login, Parameter, Request
from tds_types import Reader, Type, declared

VERSION = "16.0.4105.2"
PASSWORD = "S3cret of the wire"
BEGUN, COMMITTED, ROLLED_BACK = 8, 9, 10
TERMINATED = frozenset((2627, 2601, 547, 515, 8152, 2628, 8134))  # the server says so behind these
_ROWS_BETWEEN_LISTENING = 100


@dataclass(frozen=True)
class Rows:
    """A set of rows, whose columns have these types."""

    columns: Mapping[str, str]
    rows: Iterable[Any]  # of values; a Fault, Drop or Wait among them happens there


@dataclass(frozen=True)
class Fault:
    """An error of the server; `state` is what XACT_STATE() says afterwards: 1 nothing has changed, -1 the transaction
    can only be rolled back, 0 it has been."""

    number: int
    text: str = "It failed."
    severity: int = 16
    state: int = 1


@dataclass(frozen=True)
class Info:
    """What the server says beside its answer."""

    number: int
    text: str


@dataclass(frozen=True)
class Turn:
    """A transaction begins or ends."""

    what: int


@dataclass(frozen=True)
class Wait:
    """The server works, until this time is over or the client gives up, which one that is deaf does not hear."""

    seconds: float = 20.0
    deaf: bool = False


@dataclass(frozen=True)
class Drop:
    """The connection breaks here; what was answered before has been sent."""

    reset: bool = False


# What an answer consists of; a number is one of affected rows, None of those of SET.
Part = Rows | Fault | Info | Turn | Wait | Drop | int | None
Answer = Part | list[Part] | Callable[[Request], "Part | list[Part]"]


@dataclass
class Server:
    """What listens on a port of its own; a context manager.

    `encryption` is what it says in PRELOGIN. The last rule whose pattern a statement has answers it, and
    one affected row where none has. A login with another password than PASSWORD is refused.
    """

    encryption: int = tds.NOT_SUPPORTED
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    logins: list[Login] = field(default_factory=list)
    attentions: int = 0
    refuses: Fault | None = None
    sessions: "list[Session]" = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rules: list[tuple[re.Pattern[str], Answer]] = []
        self.numbers = count(51)
        self.ended = threading.Event()
        self.on("^SET ", None)
        self.on("SERVERPROPERTY", Rows(dict.fromkeys("vebq", "nvarchar(128)"), [(VERSION, "2", None, "1")]))
        self.on("^BEGIN TRAN", Turn(BEGUN))
        self.on("^COMMIT", Turn(COMMITTED))
        self.on("^(IF @@TRANCOUNT > 0 )?ROLLBACK TRANSACTION$", Turn(ROLLED_BACK))
        self.on(r"^(SAVE|ROLLBACK) TRANSACTION \[", None)
        self.on(r"XACT_STATE\(\)", lambda request: Rows({"": "smallint"}, [(self.session(request).state,)]))
        self.on("^SELECT 1$", Rows({"": "int"}, [(1,)]))
        self.on("sp_datatype_info", _type_info)
        self.on("sp_describe_undeclared_parameters", Fault(11501, "It cannot be told."))

    def on(self, pattern: str, answer: Answer) -> None:
        """Answer statements in which a pattern is found."""
        self._rules.append((re.compile(pattern, re.DOTALL), answer))

    def answer(self, request: Request) -> list[Part]:
        """The parts of the answer to a request."""
        found: Answer = next((a for pattern, a in reversed(self._rules) if pattern.search(request.text)), 1)
        parts = found(request) if callable(found) else found
        return parts if isinstance(parts, list) else [parts]

    def session(self, request: Request) -> "Session":
        """Where a request has come from."""
        return next(session for session in self.sessions if session.number == request.session)

    @property
    def texts(self) -> list[str]:
        """The statements that arrived, without those of connecting."""
        return [r.text for r in self.requests if not r.text.startswith("SET ") and "SERVERPROPERTY" not in r.text]

    def last(self, pattern: str) -> Request:
        """The last request whose statement has a pattern."""
        return next(request for request in reversed(self.requests) if re.search(pattern, request.text))

    def __enter__(self) -> "Server":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def _accept(self) -> None:
        with suppress(OSError):  # it has been closed
            while True:
                connection, _ = self._listener.accept()
                session = Session(self, connection)
                self.sessions.append(session)
                session.start()

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for session in self.sessions:
            session.channel.close()
            session.join(10)
        assert not self.errors, self.errors


def _type_info(request: Request) -> Rows:
    """The longest of one of ODBC's types, which pyodbc asks for once: its number is a parameter or in the text."""
    named = request.values[0] if request.values else int(request.text.split()[1].partition(",")[0])
    types = {12: ("varchar", 8000), -9: ("nvarchar", 4000), -3: ("varbinary", 8000), 93: ("datetime2", 27)}
    name, longest = types[named]
    return Rows({"TYPE_NAME": "nvarchar(128)", "DATA_TYPE": "smallint", "PRECISION": "int"}, [(name, named, longest)])


class Session(threading.Thread):
    """One connection: `transaction` is its open one's number, `state` what XACT_STATE() gives."""

    def __init__(self, server: Server, connection: socket.socket) -> None:
        super().__init__(daemon=True)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server = server
        self.channel = Channel(connection)
        self.number = next(server.numbers)
        self.transaction = 0
        self.state = 0
        self.open = True
        self._statements: dict[int, str] = {}

    def run(self) -> None:
        try:
            if self._login():
                while True:
                    self._answer_to(*self.channel.read())
        except (EOFError, OSError):  # the client has gone, or does not trust the certificate
            self.open = False
        except BaseException as error:
            self.server.errors.append(error)
            raise
        finally:
            self.open = False
            self.channel.close()

    def _login(self) -> bool:
        """Agree on encryption, and let the client in or not."""
        channel, server = self.channel, self.server
        strict = channel.begins_with_tls()
        if strict:
            assert server.tls is not None
            channel.start_tls(server.tls, within=False)
        kind, data = channel.read()
        assert kind == tds.PRELOGIN, kind
        wanted, offered = tds.read_prelogin(data), server.encryption
        if strict:
            offered = tds.NOT_SUPPORTED
        elif offered == tds.OFF and wanted in (tds.ON, tds.REQUIRED):
            offered = tds.ON
        channel.write(tds.ANSWER, tds.prelogin(offered))
        channel.end(tds.ANSWER)
        if offered != tds.NOT_SUPPORTED:
            assert server.tls is not None
            channel.start_tls(server.tls, within=True)
        kind, data = channel.read()
        assert kind == tds.LOGIN, kind
        login = tds.read_login(data, channel.encrypted)
        server.logins.append(login)
        if offered == tds.OFF:
            channel.stop_tls()
        refusal = server.refuses
        if login.password != PASSWORD:
            refusal = Fault(18456, f"Login failed for user '{login.user}'.", 14)
        if refusal:
            self._say(tds.message(0xAA, refusal.number, refusal.severity, refusal.text))
            self._say(tds.done(0xFD, tds.ERROR))
        else:
            self._say(tds.login_answer(login.database or "master"))
        channel.end(tds.ANSWER)
        return refusal is None

    def _say(self, data: bytes) -> None:
        self.channel.write(tds.ANSWER, data)

    def _answer_to(self, kind: int, data: bytes) -> None:
        reader = Reader(data)
        try:
            if kind == tds.ATTENTION:
                raise Attention
            transaction = tds.read_headers(reader)
            assert transaction in (0, self.transaction), "the client believes in another transaction"
            if kind == tds.BATCH:
                text = reader.take(len(data) - reader.at).decode("utf-16-le")
                self._answer(Request("batch", text, (), transaction, self.number))
            elif kind == tds.RPC:
                calls = tds.read_calls(reader)
                for place, (name, parameters) in enumerate(calls, 1):
                    self._call(name, parameters, transaction, tds.MORE if place < len(calls) else 0)
            else:
                raise NotImplementedError(f"a message of kind {kind}")
        except Attention:
            self.server.attentions += 1
            self._say(tds.done(0xFD, tds.ATTENDED))
        self.channel.end(tds.ANSWER)

    def _call(self, name: str, parameters: list[Parameter], transaction: int, more: int) -> None:
        """A procedure: what it runs, and in it what every procedure ends with."""
        handle, text, status, given = None, name, 0, parameters
        if name == "sp_executesql":
            text, given = parameters[0].value, parameters[2:]
        elif name == "sp_execute":
            text, given = self._statements[parameters[0].value], parameters[1:]
        elif name in ("sp_prepare", "sp_prepexec"):
            handle, text, given = len(self._statements) + 1, parameters[2].value, parameters[3:]
            self._statements[handle] = text
        if name not in ("sp_unprepare", "sp_prepare"):
            request = Request(name, text, tuple(given), transaction, self.number)
            status = self._answer(request, 0xFF)
        self._say(tds.returned(0))
        if handle is not None:
            self._say(tds.returned_value(parameters[0].name, Type("int", 4), handle))
        self._say(tds.done(0xFE, more | status))

    def _answer(self, request: Request, token: int = 0xFD) -> int:
        """Write the parts of an answer; gives ERROR where there is one."""
        self.server.requests.append(request)
        parts = self.server.answer(request)
        status = 0
        for place, part in enumerate(parts, 1):
            more = tds.MORE if place < len(parts) or token == 0xFF else 0
            status |= self._part(part, token, more)
        return status

    def _part(self, part: Part, token: int, more: int) -> int:
        match part:
            case Rows(columns, rows):
                self._say(tds.columns([(name, declared(kind)) for name, kind in columns.items()]))
                self._rows([(name, declared(kind)) for name, kind in columns.items()], rows, token, more)
            case Fault(number, text, severity, state):
                self._say(tds.message(0xAA, number, severity, text))
                if number in TERMINATED:
                    self._say(tds.message(0xAB, 3621, 0, "The statement has been terminated."))
                self._fail(state)
                self._say(tds.done(token, more | tds.ERROR))
                return tds.ERROR
            case Info(number, text):
                self._say(tds.message(0xAB, number, 0, text))
                self._say(tds.done(token, more))
            case Turn(what):
                self._turn(what)
                self._say(tds.done(token, more))
            case Wait(seconds, deaf):
                self.channel.flush(tds.ANSWER)
                if deaf:
                    self.server.ended.wait(seconds)
                else:
                    self.channel.listen(seconds)
                self._say(tds.done(token, more))
            case Drop(reset):
                self.channel.flush(tds.ANSWER)
                if reset:
                    self.channel.reset()
                raise EOFError
            case _:
                self._say(tds.done(token, more, part))
        return 0

    def _rows(self, described: list[tuple[str, Type]], rows: Iterable[Any], token: int, more: int) -> None:
        number = 0
        for number, values in enumerate(rows, 1):
            if isinstance(values, (Drop, Fault, Wait)):
                self._part(values, token, tds.MORE)
                continue
            self._say(tds.row(described, list(values)))
            if not number % _ROWS_BETWEEN_LISTENING:
                self.channel.listen(0)
        self._say(tds.done(token, more, number))

    def _fail(self, state: int) -> None:
        if self.transaction and state == 0:
            self._turn(ROLLED_BACK)
        elif self.transaction:
            self.state = state

    def _turn(self, what: int) -> None:
        ended, self.transaction = self.transaction, 0
        if what == BEGUN:
            self.transaction = 2**40 + len(self.server.requests)
        self.state = 1 if self.transaction else 0
        self._say(tds.transaction_changed(what, self.transaction, ended))
