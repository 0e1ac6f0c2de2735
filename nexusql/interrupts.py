"""Blocking calls that another thread may interrupt: for a task that was cancelled, or a limit of time that has passed.

A driver's call cannot be interrupted from outside, but the statement that it waits for can be cancelled at the server,
and where the server says nothing any more, the socket can be shut under it.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from time import monotonic
from typing import Protocol, TypeVar

from nexusql.backends.errors import driver_error
from nexusql.errors import CommitUncertain, ConfigError, Error, OperationalError, QueryTimeout

T = TypeVar("T")

GRACE = 2.0  # seconds that a cancelled statement may take to end, and a commit to finish, before it is cut off
AGAIN = 0.2  # seconds after which a statement that goes on is cancelled again
SLICE = 0.05  # seconds after which one who waits for a lock looks whether his call was interrupted
LONGEST_SLEEP = 1.0  # seconds that the watchdog sleeps while there is something to watch


class Session(Protocol):
    """What a call uses while it blocks."""

    def cancel(self) -> None:
        """Have the statement stopped that another thread waits for; bounded in time, and raises nothing."""
        ...

    def cut(self) -> None:
        """Break the session off, at once."""
        ...

    def outlive_cancel(self) -> None:
        """See that a cancel that came too late hits nothing that follows; in the thread that uses the session."""
        ...


class _Stop(threading.Thread):
    """Stops what a call does on a session: by a cancel, unless it is to be done `gently`, and by a cut where that does
    not help in time."""

    def __init__(self, session: Session, gently: bool) -> None:
        super().__init__(name="nexusql-cancel", daemon=True)
        self.session = session
        self.gently = gently
        self._over = threading.Event()
        self._turn = threading.Lock()

    def run(self) -> None:
        until = monotonic() + GRACE
        while True:  # a cancel that comes before the statement has begun is lost
            if not self.gently:
                self.session.cancel()
            left = until - monotonic()
            if self._over.wait(max(left if self.gently else min(left, AGAIN), 0)):
                return
            if monotonic() >= until:
                break
        with self._turn:
            if not self._over.is_set():
                self.session.cut()

    def end(self) -> None:
        """The session is used no longer; when this returns, nothing hits it any more."""
        with self._turn:
            self._over.set()
        if not self.gently:
            self.join()
            self.session.outlive_cancel()


class Call:
    """One blocking call, in the thread that makes it; others call `interrupt`.

    What is `firm` is not cancelled at the server: a commit or a rollback is let finish, and cut off only where it does
    not. A call inside another, `outer`, is interrupted with it.
    """

    __slots__ = ("_finished", "_firm", "_lock", "_outer", "_stops", "_uses", "_wake", "reason")

    def __init__(self, *, firm: bool = False, outer: "Call | None" = None) -> None:
        self._lock = threading.Lock()
        self._firm = firm
        self._outer = outer
        self._uses: list[tuple[Session, bool]] = []  # the sessions in use, the last one now, and whether firmly
        self._stops: list[_Stop] = []
        self._wake: Callable[[], None] | None = None
        self._finished = False
        self.reason: Error | None = None

    def check(self) -> None:
        """Raise the reason for which this call was interrupted, unless it is firm."""
        if self._outer is not None:
            self._outer.check()
        if self.reason is not None and not self._firm:
            raise self.reason

    def enter(self, session: Session, *, firm: bool = False) -> None:
        """Use a session from here on, until `leave`, which must follow even where this raises the reason for which the
        call has been interrupted."""
        firm = firm or self._firm
        self._use(session, firm)
        if not firm:
            self.check()

    def _use(self, session: Session, firm: bool) -> None:
        if self._outer is not None:
            self._outer._use(session, firm)
        with self._lock:
            self._uses.append((session, firm))
            if self.reason is not None and firm:
                self._stop()

    def leave(self) -> None:
        """Use it no longer; waits for a cancel that is on its way, so that it hits nobody else."""
        with self._lock:
            session, _ = self._uses.pop()
            ended = []
            if all(other is not session for other, _ in self._uses):
                ended = [stop for stop in self._stops if stop.session is session]
                self._stops = [stop for stop in self._stops if stop.session is not session]
        for stop in ended:
            stop.end()
        if self._outer is not None:
            self._outer.leave()

    @contextmanager
    def woken(self, wake: Callable[[], None]) -> Iterator[None]:
        """Have `wake` called when the call is interrupted meanwhile."""
        if self._outer is not None:
            with self._outer.woken(wake):
                yield from self._woken(wake)
        else:
            yield from self._woken(wake)

    def _woken(self, wake: Callable[[], None]) -> Iterator[None]:
        self._wake = wake
        try:
            yield
        finally:
            self._wake = None

    def finish(self) -> bool:
        """The call is over; whether it was interrupted before that."""
        with self._lock:
            self._finished = True
            return self.reason is not None

    def interrupt(self, reason: Error) -> bool:
        """Interrupt the call, without waiting for it; False where it is over."""
        with self._lock:
            if self._finished or self.reason is not None:
                return not self._finished
            self.reason = reason
            if self._uses:
                self._stop()
        wake = self._wake
        if wake is not None:
            wake()
        return True

    def _stop(self) -> None:
        session, firm = self._uses[-1]
        stop = _Stop(session, firm)
        try:
            stop.start()
        except RuntimeError:  # there can be no more threads, and who interrupts must not wait for the server himself
            if not firm:
                session.cut()
        else:
            self._stops.append(stop)


current_call: ContextVar[Call | None] = ContextVar("nexusql_current_call", default=None)


def check_interrupted() -> None:
    """Raise the reason for which the current call was interrupted."""
    call = current_call.get()
    if call is not None:
        call.check()


def using(session: Session, *, firm: bool = False) -> AbstractContextManager[None]:
    """Use a session in the current call, where there is one."""
    call = current_call.get()
    return _NO_CALL if call is None else _used(call, session, firm)


_NO_CALL = nullcontext()


@contextmanager
def _used(call: Call, session: Session, firm: bool) -> Iterator[None]:
    try:
        call.enter(session, firm=firm)
        yield
    finally:
        call.leave()


def acquire(lock: threading.Lock, seconds: float) -> bool:
    """Take a lock within a time; an interrupted call waits no longer. Raises the reason for that."""
    call = current_call.get()
    if call is None:
        return lock.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))
    deadline = monotonic() + seconds
    while not lock.acquire(timeout=max(min(SLICE, deadline - monotonic()), 0)):
        call.check()
        if monotonic() >= deadline:
            return False
    return True


def checked_limit(seconds: float) -> float:
    """A limit of time as it was given. Raises ConfigError for what is none."""
    if type(seconds) not in (int, float) or not 0 < seconds < float("inf"):
        raise ConfigError(f"a time limit is a positive number of seconds, not {seconds!r}")
    return seconds


def limited(limit: "float | TimeLimit", work: Callable[[], T]) -> T:
    """What `work()` gives, interrupted at a limit of time. Raises QueryTimeout for what was stopped by that."""
    if not isinstance(limit, TimeLimit):
        limit = TimeLimit(limit)
    seconds = limit.left()
    if seconds is None:
        return work()
    call = Call(outer=current_call.get())
    reason = QueryTimeout(f"stopped at its time limit of {limit.seconds:g} s")
    token = current_call.set(call)
    try:
        with _watchdog.watching(call, monotonic() + seconds, reason):
            return work()
    except OperationalError as error:
        if call.reason is None or error is reason or isinstance(error, CommitUncertain):
            raise
        cause = error.__cause__
        if not isinstance(cause, Exception):  # it is no driver's
            raise reason from error
        timed_out = driver_error(QueryTimeout, cause, sqlstate=error.sqlstate, code=error.code, sql=error.sql)
        *before, text = cause.args or ("",)  # of MySQL's errors the text is the second
        timed_out.args = (*before, f"{reason}: {str(text).strip()}")
        raise timed_out from cause
    finally:
        call.finish()
        current_call.reset(token)


class TimeLimit:
    """What is left of a time limit, where there is one: waiting for a thread counts, too. Raises ConfigError."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._deadline = None if seconds is None else monotonic() + checked_limit(seconds)

    def left(self) -> float | None:
        """The seconds from now, None for no limit. Raises QueryTimeout where it has passed."""
        if self._deadline is None:
            return None
        remaining = self._deadline - monotonic()
        if remaining <= 0:
            raise self.passed()
        return remaining

    def passed(self) -> QueryTimeout:
        """The error for a call that was still waiting for a thread."""
        return QueryTimeout(f"stopped at its time limit of {self.seconds:g} s, before a connection was free")


class Watchdog:
    """Interrupts calls at their deadlines, from one thread, which ends when there is nothing to watch."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: dict[Call, tuple[float, Error]] = {}
        self._awake_at = 0.0
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self, call: Call, deadline: float, reason: Error) -> Iterator[None]:
        """Interrupt the call at a moment of the monotonic clock, unless it is over by then."""
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._watch, name="nexusql-watchdog", daemon=True)
                thread.start()
                self._thread = thread
            elif deadline < self._awake_at:
                self._changed.notify()
            self._watched[call] = (deadline, reason)
        try:
            yield
        finally:
            with self._changed:
                self._watched.pop(call, None)

    def _watch(self) -> None:
        while True:
            with self._changed:
                now = monotonic()
                if not self._watched:
                    self._thread = None
                    return
                self._awake_at = min(now + LONGEST_SLEEP, *(deadline for deadline, _ in self._watched.values()))
                if self._awake_at > now:
                    self._changed.wait(self._awake_at - now)
                    continue
                due = [(call, reason) for call, (deadline, reason) in self._watched.items() if deadline <= now]
                for call, _ in due:
                    del self._watched[call]
            for call, reason in due:
                call.interrupt(reason)


_watchdog = Watchdog()


def _after_fork_in_child() -> None:
    """The thread stays behind in the parent, and so do the calls of other threads."""
    global _watchdog
    _watchdog = Watchdog()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
