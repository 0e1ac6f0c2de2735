"""The pool: lends connections that are alive, lets nobody wait longer than asked, and loses none.

The books are kept by ledger.py, under one short lock that the usual check-out and return do not even take. Connecting,
pinging, resetting and closing happen outside it, in the thread that asked, with the place in the books reserved first.
Callers who wait stand in line and are handed a connection, or the place to open one, directly; who gives up leaves the
line under the same lock, so nothing is ever handed to nobody.
"""

import contextvars
import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from time import monotonic
from typing import Any, Generic

from nexusql.errors import InterfaceError, NotConnectedError, OperationalError, PoolTimeout
from nexusql.interrupts import current_call
from nexusql.leases import TRUST, C, Holder, Lease, Poolable, borrowing_stack, describe_leases
from nexusql.ledger import NEVER, OUTCAST, Ledger, PoolStats, Waiter, jitter

__all__ = ["Pool", "PoolStats", "Poolable"]

logger = logging.getLogger("nexusql.pool")

PING_AT_MOST = 2.0  # seconds; a silent server must leave time to open another connection
PING_AT_LEAST = 0.05
LIFETIME_JITTER = 0.1  # lives end earlier by up to this part, so that connections opened together do not end together
REFILL_PATIENCE = 1.0  # seconds for which the end of the pool waits for the thread that refills it
HOPELESS_SQLSTATES = ("28", "3D", "42")  # refused, or no such database: connecting again is no use

_pools: "weakref.WeakSet[Pool[Any]]" = weakref.WeakSet()
_inherited: list[Ledger[Any]] = []  # in a forked child: the parent's connections, kept so that nothing closes them


class Pool(Generic[C]):
    """At most `max_size` connections made by `open(timeout)`; times in seconds. Safe for any number of threads.

    `timeout` bounds a check-out as a whole: waiting in line, testing and connecting. `min_size` connections are kept.
    A connection lives for `max_lifetime`, less a random part; one that idles for longer than `idle_timeout` is closed
    while there are more than `min_size`. With `max_waiting` callers in line the next one fails at once. Connections
    that have no server (`can_die=False`) are not looked at before each use.
    """

    def __init__(
        self,
        open: Callable[[float], C],
        *,
        min_size: int,
        max_size: int,
        timeout: float,
        max_lifetime: float,
        idle_timeout: float,
        max_waiting: int | None = None,
        name: str = "",
        can_die: bool = True,
    ) -> None:
        self.name = name
        self._can_die = can_die
        self._connect = open
        self._min_size = min_size
        self._max_size = max_size
        self._timeout = timeout
        self._max_lifetime = max_lifetime
        self._idle_timeout = idle_timeout
        self._max_waiting = max_waiting
        self._tidy_every = min(max_lifetime, idle_timeout) / 10
        self._begin()
        _pools.add(self)

    def _begin(self) -> None:
        self._ledger: Ledger[C] = Ledger(self._max_size, self._max_waiting)
        self._ledger.tidy_at = monotonic() + self._tidy_every
        self._refilling = threading.Lock()

    def acquire(self, timeout: float | None = None, *, remember: bool = False, holder: Holder | None = None) -> C:
        """A live connection within `timeout` seconds (the pool's where None), until release() or discard().

        `remember` keeps the caller's stack for the leak report; so does naming a `holder`. Raises PoolTimeout, also
        where this thread holds all there is; NotConnectedError once the pool is closed; and what connecting raises
        where no connection is there and another attempt is no use.
        """
        ledger = self._ledger
        now = monotonic()
        lease: Lease[C] | None
        try:
            lease = ledger.idle.pop()
            ledger.leased[lease.connection] = lease
        except IndexError:
            lease = None
        if lease is None or now - lease.since > lease.trusted_for or (self._can_die and lease.connection.looks_dead()):
            lease = self._obtain(lease, Waiter(now, now + (self._timeout if timeout is None else timeout)))
            now = monotonic()
        lease.since = now
        if remember or holder is not None:
            lease.stack = borrowing_stack()
            lease.holder = holder
        return lease.connection

    def release(self, connection: C, idle: bool = False) -> None:
        """Take a connection back. It is kept, or handed on, where it is provably clean, and closed otherwise.

        `idle=True` is the borrower's word that it is outside a transaction, which then need not be asked.
        """
        ledger = self._ledger
        try:
            clean = not connection.broken and (idle or connection.is_idle())
            if clean and connection.needs_reset:
                clean = connection in ledger.leased and connection.reset()
        except BaseException:
            self.discard(connection)
            raise
        if not clean:
            self.discard(connection)
            return
        lease = ledger.leased.pop(connection, None)
        now = monotonic()
        if lease is None:
            self._refuse_unknown(connection)
        elif now < lease.expires and now < ledger.tidy_at and not ledger.waiters:
            lease.since = now
            lease.stack = lease.holder = None
            ledger.idle.append(lease)
            if ledger.waiters or ledger.closed:  # just now
                for late in ledger.look_again():
                    self._retire(late)
        else:
            self._take_back(lease, now)

    def discard(self, connection: C) -> None:
        """Take a connection back and close it; after a disconnect the others are suspects too, and none is used again
        where its server is no longer the one that is wanted."""
        broken, misplaced = connection.broken, connection.misplaced
        lease = self._ledger.leased.pop(connection, None)
        if lease is None:
            self._refuse_unknown(connection)
            return
        if misplaced and lease.expires != OUTCAST:  # of many that come back in a row, only the first
            self.renew()
        self._retire(lease)
        if broken:
            self.suspect_all()

    def abandon(self, connection: C) -> None:
        """Discard, for finalisers: one may run in a thread that holds the pool's lock, so it never waits for that."""
        ledger = self._ledger
        ledger.abandoned.append(connection)
        if ledger.lock.acquire(blocking=False):
            ledger.lock.release()
            self._discard_abandoned()
        else:
            ledger.tidy_at = -NEVER

    def fill(self) -> None:
        """Open connections until there are `min_size`, and one at least: it shows that the server is there.

        Each has the pool's time. Raises the first error.
        """
        with self._filling():
            self._fill(max(self._min_size, 1))

    def check(self) -> None:
        """Ping the idle connections, replace those that do not answer, and fill(). Raises where that fails."""
        with self._filling():
            for _ in range(len(self._ledger.idle)):
                lease = self._ledger.take_oldest()
                if lease is None:
                    break
                lease.suspect()
                deadline = monotonic() + self._timeout
                if not self._proved(lease, deadline):
                    self._vacate(lease)
                    lease = self._open(deadline)
                self.release(lease.connection)
            self._fill(max(self._min_size, 1))

    def suspect_all(self) -> None:
        """After a disconnect: close the idle connections that look dead, and have the others pinged before use."""
        for lease in self._ledger.take_suspects():
            self._retire(lease)

    def renew(self) -> None:
        """Use none of the connections again: close the idle ones now, and the borrowed ones as they come back."""
        for lease in self._ledger.cast_out():
            self._retire(lease)

    def close(self, timeout: float = 0.0) -> None:
        """Close idle connections now and borrowed ones as they come back, for which it waits `timeout` seconds at most.

        Who waits in line gets NotConnectedError. What is still out is logged, with the stacks that were remembered.
        """
        ledger = self._ledger
        again = ledger.closed
        idle = ledger.close()
        for lease in idle:
            self._retire(lease)
        self._discard_abandoned()
        if self._refilling.acquire(timeout=max(timeout, REFILL_PATIENCE)):
            self._refilling.release()
        if not ledger.emptied.wait(timeout) and not again:
            leased = list(ledger.leased.values())
            if leased:
                held = describe_leases(leased, monotonic())
                logger.warning("pool %s is closed; %d connections were not returned: %s", self.name, len(leased), held)

    def timed_out(self, since: float) -> PoolTimeout:
        """The error for a caller who has waited elsewhere for a connection, since then."""
        return self._ledger.timed_out(since)

    def leased(self) -> list[C]:
        """The connections that are borrowed at this moment."""
        return list(self._ledger.leased)

    def stats(self) -> PoolStats:
        """How many connections there are, and how many callers wait."""
        return self._ledger.stats()

    def _obtain(self, lease: Lease[C] | None, waiter: Waiter[C]) -> Lease[C]:
        """The slow way to a connection: wait in line, prove that it lives, or open one in its place."""
        while True:
            if lease is None:
                lease = self._wait(waiter)
            if lease is not None:
                if self._proved(lease, waiter.deadline):
                    return lease
                self._vacate(lease)
                lease = None
            try:
                lease = self._open(waiter.deadline)
            except Exception as error:
                if self._is_final(error):
                    raise
                self._ledger.keep_error(error, late=monotonic() >= waiter.deadline)
                waiter.tried = True
            else:
                self._refill()
                return lease

    def _wait(self, waiter: Waiter[C]) -> Lease[C] | None:
        """Stand in line; a connection, or None for a place to open one in."""
        ledger = self._ledger
        self._discard_abandoned()
        ledger.join(waiter)
        call = current_call.get()
        try:
            with nullcontext() if call is None else call.woken(waiter.nudge):
                while not waiter.served:
                    if call is not None:
                        call.check()
                    waiter.wait(ledger.look(waiter))
                    self._discard_abandoned()
        except BaseException:
            if not ledger.leave(waiter):
                self._hand_back(waiter.lease)
            raise
        return waiter.lease

    def _hand_back(self, lease: Lease[C] | None) -> None:
        if lease is None:
            self._ledger.free_place(opening=True)
        else:
            self.release(lease.connection)

    def _proved(self, lease: Lease[C], deadline: float) -> bool:
        """Whether a leased connection may be used: young enough, not evidently dead, and used or pinged just now."""
        connection = lease.connection
        try:
            now = monotonic()
            if now >= lease.expires:
                return False
            if not connection.looks_dead():
                if now - lease.since <= lease.trusted_for:
                    return True
                if connection.ping(max(PING_AT_LEAST, min(PING_AT_MOST, (deadline - now) / 2))):
                    lease.trusted_for = TRUST
                    return True
        except BaseException:
            self.discard(connection)
            raise
        self.suspect_all()
        return False

    def _vacate(self, lease: Lease[C]) -> None:
        self._ledger.vacate(lease)
        self._shut(lease)

    def _open(self, deadline: float) -> Lease[C]:
        """Open a connection in a place that was reserved, and lease it. Raises what connecting raises."""
        ledger = self._ledger
        remaining = deadline - monotonic()
        if remaining <= 0:  # not left to the driver: there, 0 means for ever
            ledger.free_place(opening=True)
            raise PoolTimeout("no time was left to open a connection")
        try:
            connection = self._connect(remaining)
        except BaseException as error:
            ledger.open_failed(pause=isinstance(error, Exception))
            raise
        now = monotonic()
        lease = Lease(connection, now, now + self._max_lifetime * (1 - LIFETIME_JITTER * jitter.random()))
        ledger.opened(lease)
        if ledger.closed:
            self.discard(connection)
            raise NotConnectedError("the connection pool is closed")
        return lease

    def _is_final(self, error: Exception) -> bool:
        """Whether neither another attempt to connect nor a connection that comes back can help."""
        if isinstance(error, NotConnectedError):
            return True
        if self._ledger.has_some():
            return False
        state = getattr(error, "sqlstate", None) or ""
        return not isinstance(error, (OperationalError, OSError)) or state.startswith(HOPELESS_SQLSTATES)

    def _take_back(self, lease: Lease[C], now: float) -> None:
        """The slow way back: for who waits, or to be closed; and now and then what has outlived its use is closed."""
        ledger = self._ledger
        if not ledger.put(lease, now):
            self._retire(lease)
        if now >= ledger.tidy_at:
            for outlived in ledger.take_outlived(now, self._idle_timeout, self._min_size, self._tidy_every):
                self._retire(outlived)
            self._discard_abandoned()

    def _retire(self, lease: Lease[C]) -> None:
        """Close a connection that was taken out. Closing a broken one may hang, so nobody waits for its place."""
        if lease.connection.broken:
            self._ledger.free_place()
            self._shut(lease)
        else:
            self._shut(lease)
            self._ledger.free_place()
        self._refill()

    def _shut(self, lease: Lease[C]) -> None:
        try:
            lease.connection.close()
        except Exception as error:
            logger.debug("pool %s: closing a connection failed: %s", self.name, type(error).__name__)

    def _refuse_unknown(self, connection: C) -> None:
        """A connection that was not lent is an error; one of the parent's process is let alone."""
        if not any(connection in ledger.leased for ledger in _inherited):
            raise InterfaceError("this connection was not borrowed from this pool, or was returned before")

    def _discard_abandoned(self) -> None:
        while self._ledger.abandoned:
            try:
                connection = self._ledger.abandoned.popleft()
            except IndexError:  # another thread was faster
                return
            lease = self._ledger.leased.pop(connection, None)
            if lease is not None:
                self._retire(lease)

    def _refill(self) -> None:
        """See to `min_size` where connecting works, by a thread that ends when done, so that no caller waits for it."""
        if not self._ledger.is_short(self._min_size) or _lacks_memory() or not self._refilling.acquire(blocking=False):
            return
        # An empty context: it must not see the transaction that the calling thread may be in.
        run = contextvars.Context().run
        thread = threading.Thread(target=run, args=(self._open_missing,), name=f"nexusql-pool-{self.name}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # too many threads, or the interpreter is ending
            self._refilling.release()

    def _open_missing(self) -> None:
        try:
            self._fill(self._min_size)
        except Exception as error:  # the next caller tries again
            self._ledger.keep_error(error)
            logger.debug("pool %s: opening a connection failed: %s", self.name, type(error).__name__)
        finally:
            self._refilling.release()

    def _fill(self, size: int) -> None:
        for _ in range(size):
            if self._ledger.reserve(size):
                self.release(self._open(monotonic() + self._timeout).connection)

    @contextmanager
    def _filling(self) -> Iterator[None]:
        """Keep the pool from refilling by itself, so that its errors are the caller's."""
        alone = self._refilling.acquire(timeout=min(self._timeout, threading.TIMEOUT_MAX))
        try:
            yield
        finally:
            if alone:
                self._refilling.release()

    def _leave_parent(self) -> None:
        """In a forked child: set the parent's connections aside and begin anew, with locks that nobody holds."""
        parents = self._ledger
        _inherited.append(parents)
        self._begin()
        if parents.closed:
            self._ledger.close()


def _lacks_memory() -> bool:
    """Whether that is why a connection comes back: Python waits for ever for a thread that has too little to begin."""
    error = sys.exc_info()[1]
    return isinstance(error, MemoryError) or isinstance(error and error.__cause__, MemoryError)


def _after_fork_in_child() -> None:
    jitter.seed()
    for pool in list(_pools):
        pool._leave_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
