"""Pools for tests: over a scripted server, for what depends on timing, and over real ones."""

import os
import pickle
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterable
from typing import Any

import kinds
import servers
from nexusql.backends import backend_for
from nexusql.config import ConnectionConfig
from nexusql.connection import Connection
from nexusql.errors import OperationalError
from nexusql.pool import Pool
from nexusql.results import Rows
from nexusql.sql.statement import Effect, Statement

PATIENCE = 20.0  # seconds that a test waits for what must come


class ScriptedConnection:
    """A connection that does as its attributes say, and writes down what is asked of it."""

    def __init__(self, server: "ScriptedServer", number: int) -> None:
        self.number = number
        self.broken = False
        self.misplaced = False
        self.needs_reset = False
        self.dead = False  # evidently
        self.silent = False  # a ping gets no answer in its time
        self.in_transaction = False
        self.resettable = True
        self.closed = False
        self.pings: list[float] = []
        self.resets = 0
        self.closing: Callable[[], None] = lambda: None
        self._server = server
        self._asked = False

    def __repr__(self) -> str:
        return f"<connection {self.number}>"

    def looks_dead(self) -> bool:
        """As told; like a real one it may not be asked by two threads at once."""
        assert not self._asked, f"{self!r} is asked by two threads"
        self._asked = True
        dead = self.dead
        self._asked = False
        return dead

    def is_idle(self) -> bool:
        """As told."""
        return not self.in_transaction

    def ping(self, timeout: float) -> bool:
        """As told."""
        self.pings.append(timeout)
        if self.silent:
            time.sleep(timeout)
        return not (self.silent or self.dead)

    def reset(self) -> bool:
        """As told."""
        self.resets += 1
        self.needs_reset = not self.resettable
        return self.resettable

    def close(self) -> None:
        """As told."""
        assert not self.closed, f"{self!r} is closed twice"
        self.closed = True
        self.closing()


class ScriptedServer:
    """What `Pool(open)` opens connections on: `trouble` is raised instead, `delay` seconds pass before either.

    `attempts` has the times at which connecting was tried, `timeouts` what was allowed for it.
    """

    def __init__(self) -> None:
        self.attempts: list[float] = []
        self.timeouts: list[float] = []
        self.connections: list[ScriptedConnection] = []
        self.trouble: Exception | None = None
        self.limit = 10_000
        self.delay = 0.0
        self._lock = threading.Lock()

    def open(self, timeout: float) -> ScriptedConnection:
        """A connection, or the trouble."""
        with self._lock:
            self.attempts.append(time.monotonic())
            self.timeouts.append(timeout)
        time.sleep(min(self.delay, timeout))
        if self.delay > timeout:
            raise OperationalError("timeout expired")
        if self.trouble is not None:
            raise self.trouble
        with self._lock:
            if len(self.living) >= self.limit:
                error = OperationalError("too many connections")
                error.sqlstate = "53300"
                raise error
            connection = ScriptedConnection(self, len(self.connections))
            self.connections.append(connection)
            return connection

    @property
    def living(self) -> list[ScriptedConnection]:
        """The connections that have not been closed."""
        return [connection for connection in self.connections if not connection.closed]


def real_pool(url: str, **options: Any) -> Pool[Connection]:
    """A pool of real connections to `url`; the options of Pool have modest defaults."""
    config = ConnectionConfig.from_url(url)
    backend = backend_for(config)
    settings = {"min_size": 1, "max_size": 4, "timeout": 5.0, "max_lifetime": 1800.0, "idle_timeout": 600.0, **options}
    return Pool(lambda timeout: Connection.open(backend, config, timeout), **settings)


def eventually(condition: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Whether a condition comes true within some seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def gives(value: Any, ask: Callable[[], object]) -> Callable[[], bool]:
    """A condition: that `ask` gives a value. It does not while the pool's next attempt is further off than its
    time-out."""

    def condition() -> bool:
        try:
            return bool(ask() == value)
        except OperationalError:
            return False

    return condition


class Threads:
    """Starts functions in threads and keeps what they give or raise. A context manager that waits for all of them."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self.results: list[Any] = []
        self.errors: list[BaseException] = []
        self.started: list[threading.Thread] = []

    def __enter__(self) -> "Threads":
        return self

    def __exit__(self, *_: object) -> None:
        self.join()

    def start(self, work: Callable[..., Any], *args: Any) -> threading.Thread:
        """Run `work(*args)` in a thread."""

        def run() -> None:
            try:
                self.results.append(work(*args))
            except BaseException as error:
                self.errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        self.started.append(thread)
        thread.start()
        return thread

    def join(self) -> None:
        """Wait for all of them."""
        for thread in self.started:
            thread.join(self._patience)
            assert not thread.is_alive(), "a thread of the test hangs"


# Real sessions.


def run(connection: Connection, sql: str, *, changes_session: bool = False) -> Rows:
    """The rows of one statement, as the manager runs it."""
    statement = Statement(sql, sql, effects=Effect.SESSION if changes_session else Effect(0))
    return connection.run_special(statement, connection._backend.no_args)


def session_id(kind: str, connection: Connection) -> int:
    """The server's number of a session."""
    number: int = run(connection, kinds.SESSION_ID[kind])[0]["id"]
    return number


def borrow(pool: Pool[Connection], count: int) -> list[Connection]:
    """So many connections at once."""
    return [pool.acquire() for _ in range(count)]


def kill_sessions(kind: str, numbers: Collection[int]) -> None:
    """End sessions at the server, and wait until they have gone."""
    with servers.admin_cursor(kind) as cursor:
        for number in kinds.living(kind, numbers, cursor):
            kinds.kill(kind, number, cursor)
        assert eventually(lambda: not kinds.living(kind, numbers, cursor))


def open_files() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def in_child(work: Callable[[], Any]) -> Any:
    """What `work()` gives in a forked child, which ends without any clean-up. Fails where it raises or hangs."""
    reader, writer = os.pipe()
    # A measurement of coverage has a lock that it does not free in the child when another thread holds it.
    tracing = sys.gettrace()
    sys.settrace(None)
    child = os.fork()
    if child:
        sys.settrace(tracing)
    else:
        try:
            try:
                answer = ("result", work())
            except BaseException:
                answer = ("error", traceback.format_exc())
            with open(writer, "wb") as pipe:
                pickle.dump(answer, pipe)
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        if not select.select([pipe], [], [], PATIENCE)[0]:
            os.kill(child, signal.SIGKILL)
        answered = pipe.read()
    os.waitpid(child, 0)
    assert answered, "the child hangs, or died"
    kind, value = pickle.loads(answered)
    assert kind == "result", value
    return value


def use_pool_of_ones_own(url: str, tags: list[str], answers: Any) -> None:
    """For a process of multiprocessing: open a pool, select the tags and put what comes back into a queue."""
    pool = real_pool(url, timeout=PATIENCE)
    answers.put(select_tags(pool, tags))
    pool.close()


def select_tags(pool: Pool[Connection], tags: Iterable[str]) -> list[str]:
    """What the database gives back for each of the tags, each asked on a connection of its own."""
    found = []
    for tag in tags:
        connection = pool.acquire()
        try:
            found.append(run(connection, f"SELECT '{tag}' AS tag")[0]["tag"])
        finally:
            pool.release(connection)
    return found
