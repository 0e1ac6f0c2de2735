"""Blocking calls awaited: each runs in a worker thread, in the caller's context, and ends if its task is cancelled."""

import asyncio
import logging
import sys
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import Future
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
from nexusql.interrupts import Call, current_call
from nexusql.workers import Slot, blocks_own_thread, mark_job, responsible

if TYPE_CHECKING:
    from nexusql.transaction import Transaction

logger = logging.getLogger("nexusql")

T = TypeVar("T")

PATIENCE = 8.0  # seconds that a cancelled task waits for its thread, which by then has been cut off from its server


class _Job(Generic[T]):
    """One blocking call. `release` is called when its thread needs the slot no longer, with the job; `undo` takes back
    what the call has done where its task was cancelled."""

    def __init__(self, engine: Engine, work: Callable[[], T], firm: bool, undo: Callable[[], object] | None) -> None:
        self._engine = engine
        self._work = work
        self._undo = undo or self._roll_back_begun
        self._outer = open_in(engine)
        self.call = Call(firm=firm)
        self.release: Callable[[], object] = lambda: None
        self.context = copy_context()
        self.context.run(current_call.set, self.call)
        mark_job(self.context)

    def run(self) -> T:
        """Make the call, in the worker thread."""
        try:
            return self.context.run(self._work)
        finally:
            if self.call.finish():
                self.context.run(self.undo)
            self.release()

    def undo(self) -> None:
        """Take back what was done."""
        try:
            self._undo()
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

    def keep_or_give_back(self, slot: Slot) -> None:
        """A transaction that was begun keeps the slot to its end."""
        begun = self.begun
        if begun is not None and begun.slot is None:
            begun.slot = slot
        else:
            slot.give_back()


async def run_job(
    engine: Engine,
    work: Callable[..., T],
    *args: Any,
    within: "Transaction | None" = None,
    slot: Slot | None = None,
    firm: bool = False,
    undo: Callable[[], object] | None = None,
) -> T:
    """Make a blocking call in a worker thread, in this context; what it opens or ends there is open or ended here.

    It runs in the transaction `within`, else in that of this context, or by a `slot` of the caller's, else by one of
    its own, for which it waits like any caller for a connection. When the task is cancelled the statement under way is
    cancelled at the server, unless the call is `firm`, and the thread is waited for; what a call has done all the same
    is taken back by `undo`, by default a transaction that it has begun.

    Raises what the call raises, and PoolTimeout.
    """
    job = _Job(engine, partial(work, *args) if args else work, firm, undo)
    transaction = within or open_in(engine)
    guest = False
    if transaction is not None:
        slot = transaction.slot if transaction.is_open else None
        guest = slot is None
    if slot is not None:
        await slot.turn.enter()
        job.release = slot.turn.leave
    elif not guest:
        own = await own_slot(engine)
        job.release = partial(job.keep_or_give_back, own)
    return await _finished(engine, job, guest)


async def _finished(engine: Engine, job: _Job[T], guest: bool) -> T:
    try:
        future = engine.workers.submit(job.run, guest=guest)
    except BaseException:
        job.release()
        raise
    waited = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(waited)
    except asyncio.CancelledError:
        await _give_up(engine, job, future, waited)
        raise
    finally:
        if future.done():
            left = job.context.get(open_transactions)
            if left is not open_transactions.get():
                open_transactions.set(left)
                _belongs_to_task(job.begun)


async def _give_up(engine: Engine, job: _Job[T], future: "Future[T]", waited: "asyncio.Future[T]") -> None:
    """The task was cancelled: end the job and wait for its thread."""
    if future.cancel():  # it was still in line
        job.release()
        return
    if job.call.interrupt(OperationalError("the task that awaited this call was cancelled")):
        await end_of(waited)
    else:  # it had just finished
        await end_of(asyncio.wrap_future(engine.workers.submit(partial(job.context.run, job.undo), guest=True)))


async def end_of(future: "asyncio.Future[Any]") -> None:
    """Wait for the end of a future, some time; further cancellations do not end the wait."""
    deadline = monotonic() + PATIENCE
    while not future.done() and monotonic() < deadline:
        with suppress(asyncio.CancelledError):
            await asyncio.wait({future}, timeout=deadline - monotonic())
    future.add_done_callback(_take_error)


def _take_error(future: "asyncio.Future[Any]") -> None:
    """What a cancelled call raises is nobody's."""
    if not future.cancelled():
        future.exception()


async def own_slot(engine: Engine) -> Slot:
    """A slot, waited for like a connection of the pool. Raises PoolTimeout and NotConnectedError."""
    options, workers = engine.options, engine.workers
    if options.max_waiting is not None and workers.gate.waiting >= options.max_waiting:
        raise PoolTimeout(f"{options.max_waiting} tasks wait for a connection already; no more may")
    since = monotonic()
    try:
        slot = await workers.slot(options.pool_timeout)
    except TimeoutError:
        raise engine.pool.timed_out(since) from None
    if workers.closed:
        slot.give_back()
        raise NotConnectedError("the connection pool is closed")
    return slot


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
    """In the executor's thread, whose next job must not find the transaction open."""
    transaction = known()
    if transaction is not None and transaction.is_open:
        roll_back_open(transaction.engine)
        _warn_left_open("job of an executor")


def _executors_work_item() -> object | None:
    """What concurrent.futures runs in this thread; it lives exactly as long as the job does."""
    kind = getattr(futures_thread, "_WorkItem", ())
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        found: object = frame.f_locals.get("self") if frame.f_code.co_name == "run" else None
        if found is not None and isinstance(found, kind):
            return found
        frame = frame.f_back
    return None
