"""Worker threads: blocking calls run off the event loop's thread, no more of them at a time than connections."""

import asyncio
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, ContextVar
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")

GUESTS = 64

# In a job: the event loop's thread and the task that await it. A job may wait for what they hold; they may not.
_awaited_by: ContextVar[tuple[int, object] | None] = ContextVar("nexusql_awaited_by", default=None)


def responsible() -> tuple[int, object]:
    """The thread and the task (None without an event loop) whose code asked: of a job, those that await it."""
    return _awaited_by.get() or _here()


def _here() -> tuple[int, object]:
    loop = asyncio._get_running_loop()  # gives None without one, where the public one raises, which takes longer
    return threading.get_ident(), None if loop is None else asyncio.current_task(loop)


def blocks_own_thread() -> bool:
    """True where waiting here keeps the asking code itself from going on: it is not a job of ours."""
    return _awaited_by.get() is None


def become_job() -> None:
    """Have what runs in this context count as a job that is awaited here."""
    _awaited_by.set(_here())


class Queued(ABC):
    """One who waits at a gate. `loop` is the event loop of the task that is behind it."""

    __slots__ = ("granted", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.granted = False

    @abstractmethod
    def let_in(self, gate: "Gate") -> bool:
        """Take note of it, while the gate is locked; False where nobody waits any more."""

    @abstractmethod
    def begin(self) -> None:
        """Begin what was waited for: in any thread, right after it was let in."""


class _Waiter(Queued):
    __slots__ = ("future",)

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop())
        self.future: asyncio.Future[bool] = self.loop.create_future()

    def let_in(self, gate: "Gate") -> bool:
        if self.loop is asyncio._get_running_loop():
            answer(self.future, True)
            return True
        try:
            self.loop.call_soon_threadsafe(answer, self.future, True)
        except RuntimeError:  # it is closed
            return False
        return True

    def begin(self) -> None:
        """The task itself goes on."""


class Gate:
    """Lets in `size` at a time, first come, first served: tasks of any event loop; left from any thread."""

    def __init__(self, size: int) -> None:
        self._lock = threading.Lock()
        self._free = size
        self._waiting: deque[Queued] = deque()
        # Left by finalisers of which no event loop can be told: by who waited, or (None) by who had been let in.
        self._dropped: deque[Queued | None] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether who comes now has to wait."""
        return not self._free and not self._dropped

    async def enter_firmly(self) -> bool:
        """Wait to be let in, for what must be done also where the task is cancelled meanwhile; whether it was."""
        cancelled = False
        while True:
            try:
                await self.enter()
                return cancelled
            except asyncio.CancelledError:
                cancelled = True

    async def enter(self, seconds: float | None = None) -> None:
        """Wait to be let in. Raises TimeoutError after so many seconds."""
        self._count_dropped()
        with self._lock:
            if self._free:
                self._free -= 1
                return
            waiter = _Waiter()
            self._waiting.append(waiter)
        timer = None if seconds is None else waiter.loop.call_later(seconds, answer, waiter.future, False)
        try:
            if await waiter.future:
                return
        except GeneratorExit:  # maybe of a finaliser, in a thread that is in the middle of these methods
            self._dropped.append(waiter)
            raise
        except BaseException:
            if not self.withdraw(waiter):  # let in at the last moment, which another is given
                self.leave()
            raise
        finally:
            if timer is not None:
                timer.cancel()
        if self.withdraw(waiter):
            raise TimeoutError(f"not let in within {seconds:g} s")

    def queue(self, waiter: Queued) -> None:
        """Let one in who need not be waited for, at once or in his turn."""
        self._count_dropped()
        with self._lock:
            if not self._free:
                self._waiting.append(waiter)
                return
            self._free -= 1
            waiter.granted = True
            waiter.let_in(self)
        waiter.begin()

    def withdraw(self, waiter: Queued) -> bool:
        """Wait no longer; False where he has been let in already."""
        with self._lock:
            if not waiter.granted:
                with suppress(ValueError):  # he was passed over
                    self._waiting.remove(waiter)
        return not waiter.granted

    def leave(self) -> None:
        """Let the next one in."""
        with self._lock:
            while self._waiting:
                waiter = self._waiting.popleft()
                waiter.granted = waiter.let_in(self)
                if waiter.granted:
                    break
            else:
                self._free += 1
                return
        waiter.begin()

    def open(self) -> None:
        """Let all in who wait."""
        for _ in range(len(self._waiting)):
            self.leave()

    def drop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Leave, for finalisers: one may run in a thread that is in the middle of the methods above."""
        try:
            loop.call_soon_threadsafe(self.leave)
        except RuntimeError:
            self._dropped.append(None)

    def _count_dropped(self) -> None:
        while self._dropped:
            with suppress(IndexError):
                waiter = self._dropped.pop()
                if waiter is None or not self.withdraw(waiter):
                    self.leave()


def answer(future: "asyncio.Future[T]", result: T) -> None:
    """Give a future its result, unless it has one or was cancelled; in the thread of its event loop."""
    if not future.done():
        future.set_result(result)


class Slot:
    """The right to one worker thread: for one job, or for as long as a transaction or a stream has its connection."""

    def __init__(self, gate: Gate, loop: asyncio.AbstractEventLoop) -> None:
        self._gate = gate
        self._loop = loop
        self._held = True
        self._turn: Gate | None = None

    @property
    def turn(self) -> Gate:
        """Jobs of one slot take turns, which keeps those that wait from using up the threads."""
        if self._turn is None:
            self._turn = Gate(1)
        return self._turn

    def give_back(self) -> None:
        """Give the right to the next one; again, it does nothing."""
        held, self._held = self._held, False
        if held:
            self._gate.leave()

    def drop(self) -> None:
        """The same in a finaliser."""
        held, self._held = self._held, False
        if held:
            self._gate.drop(self._loop)


class _Load:
    """How many calls have been submitted and are not done."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls = 0

    def lessen(self) -> None:
        with self.lock:
            self.calls -= 1


class Threads:
    """At most `size` threads, started when they are needed; they end at `close`, or when this is dropped.

    Leaner than concurrent.futures: who awaits a call is told by the call itself, and nobody else waits for one.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._number = 0
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._load = _Load()
        weakref.finalize(self, self._calls.put, None).atexit = False

    def submit(self, call: Callable[[], object]) -> None:
        """Run a call, which raises nothing, in one of the threads; each has one of its own, as long as there are."""
        with self._load.lock:
            if self._load.calls >= self._number < self._size:
                # An empty context: a thread must not begin in the transaction of who starts it.
                run, args = Context().run, (_work, self._calls, self._load)
                threading.Thread(target=run, args=args, name="nexusql", daemon=True).start()
                self._number += 1
            self._load.calls += 1
        self._calls.put(call)

    def close(self) -> None:
        """Have the threads end when all that was submitted is done."""
        self._calls.put(None)


def _work(calls: "SimpleQueue[Callable[[], object] | None]", load: _Load) -> None:
    while True:
        call = calls.get()
        if call is None:
            calls.put(None)  # for the next thread
            return
        try:
            call()
        finally:
            load.lessen()
        del call  # and with it what it holds, not only when the next one comes


_all: "weakref.WeakSet[Workers]" = weakref.WeakSet()


class Workers:
    """`size` threads for who holds a slot, so that none waits for another; and some for guests.

    A guest is a call in a transaction that was begun without a slot, by synchronous code: it has a connection, and must
    not wait for a thread behind calls that wait for one.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.closed = False
        self.begin()
        _all.add(self)

    def begin(self) -> None:
        """Start without threads; in a forked child those of the parent do not exist."""
        self.gate = Gate(self._size)
        self._own = Threads(self._size)
        self._guests = Threads(GUESTS)

    async def slot(self, seconds: float) -> Slot:
        """A slot, within so many seconds. Raises TimeoutError."""
        await self.gate.enter(seconds)
        return Slot(self.gate, asyncio.get_running_loop())

    def submit(self, call: Callable[[], object], *, guest: bool) -> None:
        """Run a call, which raises nothing. After `close` what still has to end has a thread of its own."""
        threads = self._guests if guest else self._own
        if self.closed:
            threads = Threads(1)
        threads.submit(call)

    def close(self) -> None:
        """Let the threads end; jobs under way finish."""
        self.closed = True
        self._own.close()
        self._guests.close()
        self.gate.open()


def _after_fork_in_child() -> None:
    for workers in list(_all):
        workers.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
