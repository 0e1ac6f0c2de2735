"""Pools for tests: over a scripted server, for what depends on timing, and over real ones."""

import threading
import time
from collections.abc import Callable
from typing import Any

from nexusql.backends import backend_for
from nexusql.config import ConnectionConfig
from nexusql.connection import Connection
from nexusql.errors import OperationalError
from nexusql.pool import Pool

PATIENCE = 20.0  # seconds that a test waits for what must come


class ScriptedConnection:
    """A connection that does as its attributes say, and writes down what is asked of it."""

    def __init__(self, server: "ScriptedServer", number: int) -> None:
        self.number = number
        self.broken = False
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

    def __repr__(self) -> str:
        return f"<connection {self.number}>"

    def looks_dead(self) -> bool:
        """As told."""
        return self.dead

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


class Threads:
    """Starts functions in threads and keeps what they give or raise. A context manager that waits for all of them."""

    def __init__(self) -> None:
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
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a thread of the test hangs"
