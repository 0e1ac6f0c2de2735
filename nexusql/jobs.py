"""Blocking calls awaited: each runs in a worker thread, in the caller's context, and ends if its task is cancelled."""

import asyncio
import logging
import sys
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import thread as futures_thread
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from nexusql.current import open_in, open_transactions, roll_back_open, set_open
from nexusql.engine import Engine
from nexusql.errors import Error, NotConnectedError, OperationalError, PoolTimeout, TransactionWarning
from nexusql.interrupts import Call, TimeLimit, current_call
from nexusql.workers import Gate, Queued, Slot, answer, become_job, blocks_own_thread, responsible

if TYPE_CHECKING:
    from nexusql.transaction import Transaction

logger = logging.getLogger("nexusql")

T = TypeVar("T")

PATIENCE = 8.0  # seconds that a cancelled task waits for its thread, which by then has been cut off from its server


class _Desk:
    """Where the jobs of one event loop are told of. The event loop is woken once for all that end before it looks, and
    has one timer for all that wait for a slot."""

    __slots__ = ("__weakref__", "_ended", "_loop", "_timer", "_waiting", "_woken")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ended: deque[_Job[Any]] = deque()
        self._woken = False
        self._waiting: dict[_Job[Any], _Wait] = {}
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> "_Desk":
        """That of an event loop; in its thread."""
        return _desks.get(id(loop)) or _desks.setdefault(id(loop), cls(loop))

    def report(self, job: "_Job[Any]") -> None:
        """A job has ended; from any thread. Raises RuntimeError where the event loop is closed."""
        self._ended.append(job)
        if not self._woken or self._loop.is_closed():  # a closed one has perhaps been woken, and never looked
            self._woken = True
            self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        self._woken = False  # before it looks, so that what comes while it does wakes it again
        while self._ended:
            self._ended.popleft().tell()

    def wait(self, job: "_Job[Any]", wait: "_Wait") -> None:
        """A job is in line for a slot."""
        self._waiting[job] = wait
        wait.until = self._loop.time() + wait.seconds
        if self._timer is None or wait.until < self._timer.when():
            self._set_timer(wait.until)

    def forget(self, job: "_Job[Any]") -> None:
        """A job has been told, or withdrawn."""
        self._waiting.pop(job, None)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._look_at_clock)

    def _look_at_clock(self) -> None:
        self._timer = None
        now = self._loop.time()
        for job, wait in list(self._waiting.items()):
            if job.granted:
                self.forget(job)
            elif wait.until <= now:
                job.time_out(wait.passed)
        if self._waiting:
            self._set_timer(min(wait.until for wait in self._waiting.values()))


# By the identity of the event loop, which lives as long as they do, and they as long as one of its jobs.
_desks: "weakref.WeakValueDictionary[int, _Desk]" = weakref.WeakValueDictionary()


class _Job(Queued, Generic[T]):
    """One blocking call. `release` is called when its thread needs the slot no longer; `undo` takes back what the call
    has done where its task was cancelled."""

    __slots__ = (
        *("_begins", "_desk", "_engine", "_open", "_outer", "_undo", "_waiter", "_work"),
        *("call", "context", "ended", "error", "firm", "guest", "queued", "release", "result"),
    )

    result: T

    def __init__(self, engine: Engine, work: Callable[[], T], firm: bool, undo: Callable[[], object] | None) -> None:
        super().__init__(asyncio.get_running_loop())
        self._engine = engine
        self._work = work
        self._undo = undo
        self.firm = firm
        self.guest = self.queued = False
        self._open = open_transactions.get()
        self._outer = open_in(engine)
        self._desk = _Desk.of(self.loop)
        self._waiter: asyncio.Future[None] = self.loop.create_future()
        self._begins = threading.Lock()  # taken by the thread that begins the call, or by who withdraws it
        self.ended = False  # and its task can know
        self.error: BaseException | None = None
        self.call = Call(firm=firm)
        self.release: Callable[[], object] = _nothing
        self.context = copy_context()
        self.context.run(self._enter)

    def _enter(self) -> None:
        current_call.set(self.call)
        become_job()

    def let_in(self, gate: Gate) -> bool:
        """A slot is its own from here on; False where its event loop is closed, so that nobody awaits it."""
        if self.loop.is_closed():
            return False
        self.release = partial(self._keep_or_give_back, gate)
        return True

    def begin(self) -> None:
        """Have a thread make the call."""
        try:
            if self.queued and self._engine.workers.closed:
                raise NotConnectedError("the connection pool is closed")
            self._engine.workers.submit(self.run, guest=self.guest)
        except BaseException as error:  # for who awaits it: no thread could be started
            if self._begins.acquire(blocking=False):
                self.error = error
                self._report()

    def run(self) -> None:
        """Make the call, in the worker thread."""
        if not self._begins.acquire(blocking=False):
            return
        try:
            self.result = self.context.run(self._work)
        except BaseException as error:  # for who awaits it
            self.error = error
        if self.call.finish():
            self.undo()
        if self.queued:
            self.let_go()  # the next one begins without waiting for the event loop
        self._report()

    def _report(self) -> None:
        try:
            self._desk.report(self)
        except RuntimeError:  # the event loop is closed
            self.let_go()

    def let_go(self) -> None:
        """The slot is needed no longer. It is also forgotten, for what gives it back may refer to this very job."""
        release, self.release = self.release, _nothing
        release()

    def tell(self) -> None:
        """Tell who awaits it that the call has ended, or that it will not begin."""
        self.let_go()
        self._desk.forget(self)
        self.ended = True
        answer(self._waiter, None)

    def wait(self, wait: "_Wait") -> None:
        """Be in line for a slot, for so long."""
        self._desk.wait(self, wait)

    def time_out(self, error: Callable[[], Error]) -> None:
        """Wait no longer for a slot, unless there is one just now."""
        if self._engine.workers.gate.withdraw(self):
            self.queued = False
            self.error = error()
            self.tell()

    async def end(self) -> T:
        """Wait for the end of the call. Raises what it has raised; CancelledError where the task is cancelled."""
        await self._waiter
        if self.error is not None:
            try:
                raise self.error
            finally:
                self.error = None  # whose traceback holds this frame
        return self.result

    async def give_up(self) -> bool:
        """The task was cancelled: end the call and wait for its thread, some time. Whether the call had just finished,
        so that what it did is still to be taken back."""
        if self.queued and self._engine.workers.gate.withdraw(self):
            self._desk.forget(self)
            return False
        if not self.firm and self._begins.acquire(blocking=False):
            self.let_go()
            return False
        interrupted = self.call.interrupt(OperationalError("the task that awaited this call was cancelled"))
        deadline = monotonic() + PATIENCE
        while not self.ended and monotonic() < deadline:
            self._waiter = self.loop.create_future()
            timer = self.loop.call_later(max(deadline - monotonic(), 0), answer, self._waiter, None)
            with suppress(asyncio.CancelledError):  # further cancellations do not end the wait
                await self._waiter
            timer.cancel()
        return self.ended and not interrupted and self.error is None

    def undo(self) -> None:
        """Take back what was done."""
        try:
            self.context.run(self._undo or self._roll_back_begun)
        except Error as error:  # the connection is lost, or the transaction, and with it what was done
            logger.debug("a cancelled call could not be undone: %s", type(error).__name__)

    @property
    def begun(self) -> "Transaction | None":
        """The transaction that the call has begun and left open."""
        opened = self.context.run(open_in, self._engine)
        return opened if opened is not None and opened is not self._outer and opened.is_open else None

    def _roll_back_begun(self) -> None:
        opened = open_in(self._engine)
        if opened is not None and opened is not self._outer:
            roll_back_open(self._engine)
            set_open(self._engine, self._outer)

    def _keep_or_give_back(self, gate: Gate) -> None:
        """A transaction that was begun keeps the slot to its end."""
        begun = None if self.context.get(open_transactions) is self._open else self.begun
        if begun is not None and begun.slot is None:
            begun.hand_over(Slot(gate, self.loop), self.context.run(responsible)[0])
        else:
            gate.leave()


def _nothing() -> None:
    return


async def run_job(
    engine: Engine,
    work: Callable[..., T],
    *args: Any,
    within: "Transaction | None" = None,
    slot: Slot | None = None,
    firm: bool = False,
    undo: Callable[[], object] | None = None,
    limit: TimeLimit | None = None,
) -> T:
    """Make a blocking call in a worker thread, in this context; what it opens or ends there is open or ended here.

    It runs by a `slot` of the caller's, else in the transaction `within` or that of this context, else by a slot of its
    own, for which it waits like any caller for a connection. When the task is cancelled the statement under way is
    cancelled at the server, and the thread is waited for; what a call has done all the same is taken back by `undo`, by
    default a transaction that it has begun. What is `firm` ends something: it waits for no slot, and is done also where
    the task is cancelled before it has begun.

    Raises what the call raises, PoolTimeout, and QueryTimeout where the `limit` passes before a thread is free.
    """
    job = _Job(engine, partial(work, *args) if args else work, firm, undo)
    transaction = within or open_in(engine)
    cancelled = False
    if slot is None and transaction is not None and transaction.is_open:
        slot = transaction.slot
    if slot is not None:
        cancelled = await _take_turn(slot.turn, firm, limit)
        job.release = slot.turn.leave
        job.begin()
    elif transaction is not None or firm:
        job.guest = True
        job.begin()
    else:
        _queue(engine, job, limit)
    try:
        result = await job.end()
    except asyncio.CancelledError:
        if await job.give_up() and (undo is not None or job.begun is not None):
            await run_job(engine, job.undo, within=within or job.begun, slot=slot, firm=True)
        raise
    finally:
        if job.ended:
            left = job.context.get(open_transactions)
            if left is not open_transactions.get():
                open_transactions.set(left)
                _belongs_to_task(job.begun)
    if cancelled:
        raise asyncio.CancelledError
    return result


async def _take_turn(turn: Gate, firm: bool, limit: TimeLimit | None) -> bool:
    """Wait for the turn in a transaction or a stream; whether the task was cancelled, of which `firm` takes no heed."""
    if firm:
        return await turn.enter_firmly()
    try:
        await turn.enter(None if limit is None else limit.left())
    except TimeoutError:
        assert limit is not None
        raise limit.passed() from None
    return False


def _queue(engine: Engine, job: "_Job[Any]", limit: TimeLimit | None) -> None:
    """Have a job begin as soon as there is a slot for it, for which it waits like any caller for a connection."""
    wait = _Wait(engine, limit)
    job.queued = True
    engine.workers.gate.queue(job)
    if not job.granted:
        job.wait(wait)


async def own_slot(engine: Engine) -> Slot:
    """A slot, waited for like a connection of the pool. Raises PoolTimeout and NotConnectedError."""
    wait = _Wait(engine, None)
    try:
        slot = await engine.workers.slot(wait.seconds)
    except TimeoutError:
        raise wait.passed() from None
    if engine.workers.closed:
        slot.give_back()
        raise NotConnectedError("the connection pool is closed")
    return slot


class _Wait:
    """How long one waits for a slot. Raises PoolTimeout where no more may wait, QueryTimeout where the time is over."""

    __slots__ = ("_limit", "_pool", "_since", "seconds", "until")

    until: float  # of the event loop's clock

    def __init__(self, engine: Engine, limit: TimeLimit | None) -> None:
        options, gate = engine.options, engine.workers.gate
        if options.max_waiting is not None and gate.full and gate.waiting >= options.max_waiting:
            raise PoolTimeout(f"{options.max_waiting} tasks wait for a connection already; no more may")
        left = None if limit is None else limit.left()
        self._pool = engine.pool
        self._since = monotonic()
        self._limit = None if left is None or left >= options.pool_timeout else limit
        self.seconds = options.pool_timeout if left is None else min(left, options.pool_timeout)

    def passed(self) -> Error:
        """The error for one who has waited so long."""
        return self._pool.timed_out(self._since) if self._limit is None else self._limit.passed()


def _belongs_to_task(begun: "Transaction | None") -> None:
    """What BEGIN has opened in a task ends with it at the latest; it is rolled back outside the event loop's thread."""
    task = asyncio.current_task()
    if begun is not None and begun.by_string and task is not None:
        task.add_done_callback(lambda ended: _roll_back_left_open(begun))


def _roll_back_left_open(transaction: "Transaction") -> None:
    if transaction.is_open:
        transaction.engine.workers.submit(transaction.rollback, guest=True)
        _warn_left_open("task")


def _warn_left_open(owner: str) -> None:
    text = f"a {owner} has ended and left open the transaction of its BEGIN, which is rolled back"
    warnings.warn(text, TransactionWarning, stacklevel=3)


def belongs_to_caller(transaction: "Transaction") -> None:
    """See that what BEGIN has opened ends with the task, or the executor's job, that is running here."""
    if not blocks_own_thread():
        return  # in a job, whose task sees to it
    if responsible()[1] is not None:
        _belongs_to_task(transaction)
        return
    work_item = _executors_work_item()
    if work_item is not None:
        weakref.finalize(work_item, _end_with_work, weakref.ref(transaction)).atexit = False


def _end_with_work(known: "weakref.ref[Transaction]") -> None:
    """Mostly in the executor's thread; or in the one that has submitted the job, where that knew it for longer."""
    transaction = known()
    if transaction is not None and transaction.is_open:
        transaction.orphaned = True  # in the thread's context, where the next job must not find it
        transaction.rollback()
        _warn_left_open("job of an executor")


def _executors_work_item() -> Any:
    """What concurrent.futures runs in this thread; it lives exactly as long as the job does."""
    kind = getattr(futures_thread, "_WorkItem", ())
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "run":
            names = frame.f_locals
            found = names.get("self")
            if sys.version_info < (3, 13):  # a copy, which lives with the frame, and that with an error's traceback
                names.pop("self", None)
            if isinstance(found, kind):
                return found
        frame = frame.f_back
    return None
