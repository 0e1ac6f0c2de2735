"""The books of a pool: who has which connection, who stands in line, and whether another may be opened. No I/O."""

import random
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Generic

from nexusql.errors import NotConnectedError, PoolTimeout
from nexusql.leases import C, Lease, describe_leases
from nexusql.workers import blocks_own_thread

FIRST_PAUSE = 0.1  # seconds between failing attempts to connect: doubled up to the longest, shortened at random
LONGEST_PAUSE = 2.0
NEVER = float("inf")
OUTCAST = -NEVER  # when a connection has expired that is not to be used again, however young
LOOK_AGAIN = 1.0  # seconds after which one who waits looks for himself: a finaliser cannot always wake him

jitter = random.Random()


@dataclass(frozen=True, slots=True)
class PoolStats:
    """How many connections a pool has and how many callers wait; `total` counts those being opened too."""

    total: int
    active: int
    idle: int
    waiting: int
    max_size: int

    def __str__(self) -> str:
        return f"(total={self.total}, active={self.active}, idle={self.idle}, waiting={self.waiting})"


class Waiter(Generic[C]):
    """A caller who is not served at once. Served, it has a connection, or with `lease` None a place to open one in."""

    __slots__ = ("_gate", "deadline", "lease", "served", "since", "tried")

    def __init__(self, since: float, deadline: float) -> None:
        self.since = since
        self.deadline = deadline
        self.tried = False  # it has tried to open a connection, in vain; it keeps its turn
        self.served = False
        self.lease: Lease[C] | None = None
        self._gate = threading.Lock()
        self._gate.acquire()

    def nudge(self) -> None:
        """Have it look at the books again."""
        with suppress(RuntimeError):  # nudged already
            self._gate.release()

    def wait(self, seconds: float) -> None:
        """Wait for a nudge, `seconds` at most."""
        self._gate.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))


class Ledger(Generic[C]):
    """Every connection is idle, leased, or a place kept for one that is being opened or closed; `total` counts all.

    `idle` and `leased` may be used without the lock, one atomic operation at a time, as the pool's fast ways do: who
    puts a connection into `idle` looks at `waiters` and `closed` afterwards, and who joins the line, or closes, looks
    at `idle` afterwards, so one of the two sees the other. All else is under the lock: methods take it, and those that
    begin with an underscore are called with it held.
    """

    __slots__ = (
        *("abandoned", "closed", "connect_error", "emptied", "idle", "leased", "lock", "tidy_at", "waiters"),
        *("_failures", "_grow_at", "_max_size", "_max_waiting", "_opening", "_total"),
    )

    def __init__(self, max_size: int, max_waiting: int | None) -> None:
        self.lock = threading.Lock()
        self.idle: deque[Lease[C]] = deque()  # the last one used is the next one used
        self.leased: dict[C, Lease[C]] = {}
        self.waiters: deque[Waiter[C]] = deque()
        self.abandoned: deque[C] = deque()  # leased, and to be discarded
        self.tidy_at = NEVER  # from when on a connection that comes back takes the slow way
        self.closed = False
        self.emptied = threading.Event()  # set when closed and the last connection has gone
        self.connect_error: Exception | None = None  # since the last success
        self._max_size = max_size
        self._max_waiting = max_waiting
        self._total = 0
        self._opening = 0
        self._failures = 0  # rounds of attempts to connect that failed, since the last success
        self._grow_at = 0.0  # when there are failures: when to try again

    def stats(self) -> PoolStats:
        """How many connections there are, and how many callers wait."""
        with self.lock:
            return self._stats()

    def close(self) -> list[Lease[C]]:
        """Serve nobody any more; the idle connections, taken out but still counted."""
        with self.lock:
            self.closed = True
            self.tidy_at = -NEVER
            for waiter in self.waiters:
                waiter.nudge()
            if not self._total:
                self.emptied.set()
            return self._take_out(self.idle.copy())

    def look_again(self) -> list[Lease[C]]:
        """After a connection was put into `idle`: serve who has joined the line, or take it out of a closed pool."""
        with self.lock:
            if self.closed:
                return self._take_out(self.idle.copy())
            self._serve_idle()
            return []

    # Connections: out, back, in and away.

    def take_oldest(self) -> Lease[C] | None:
        """Lease the connection that has idled for longest, where there is one."""
        try:
            lease = self.idle.popleft()
        except IndexError:
            return None
        self.leased[lease.connection] = lease
        return lease

    def put(self, lease: Lease[C], now: float) -> bool:
        """Keep a connection that was taken out, or serve the first in line; False where it must be closed instead."""
        with self.lock:
            if self.closed or now >= lease.expires:
                return False
            lease.since = now
            lease.stack = lease.holder = None
            if self.waiters:
                self.leased[lease.connection] = lease
                self._serve(lease)
            else:
                self.idle.append(lease)
            return True

    def vacate(self, lease: Lease[C]) -> None:
        """Take a leased connection out and keep its place to open another."""
        with self.lock:
            del self.leased[lease.connection]
            self._opening += 1

    def free_place(self, opening: bool = False) -> None:
        """Give up the place of a connection that was taken out, or of one that was to be opened."""
        with self.lock:
            self._total -= 1
            self._opening -= opening
            self._settle(monotonic())

    def take_suspects(self) -> list[Lease[C]]:
        """Suspect every connection, and take out the idle ones that look dead."""
        with self.lock:
            for lease in list(self.leased.values()):
                lease.suspect()
            dead = []
            for lease in self._take_out(self.idle.copy()):  # out of reach: a borrower looks at it too
                lease.suspect()
                if lease.connection.looks_dead():
                    dead.append(lease)
                else:
                    self.idle.append(lease)
            return dead

    def cast_out(self) -> list[Lease[C]]:
        """Have every connection expire, and take out the idle ones."""
        with self.lock:
            for lease in list(self.leased.values()):
                lease.expires = OUTCAST
            return self._take_out(self.idle.copy())

    def take_outlived(self, now: float, idle_timeout: float, min_size: int, every: float) -> list[Lease[C]]:
        """Take out the idle connections that are too old, and above `min_size` those nobody has needed for long."""
        with self.lock:
            if self.closed:
                return []
            self.tidy_at = now + every
            idle = self.idle.copy()
            expired = [lease for lease in idle if now >= lease.expires]
            spare = max(self._total - min_size - len(expired), 0)
            unused = [lease for lease in idle if now < lease.expires and now - lease.since > idle_timeout]
            return self._take_out(expired + unused[:spare])

    def _take_out(self, leases: Iterable[Lease[C]]) -> list[Lease[C]]:
        """Take these out, but for those that have been borrowed meanwhile."""
        taken = []
        for lease in leases:
            try:
                self.idle.remove(lease)
            except ValueError:
                continue
            taken.append(lease)
        return taken

    # Growing: a place first, then the connection.

    def is_short(self, min_size: int) -> bool:
        """Whether there are fewer than `min_size` connections, and connecting works."""
        return self._total < min_size and not self._failures and not self.closed

    def reserve(self, size: int) -> bool:
        """Reserve the place for another connection where there are fewer than `size`."""
        with self.lock:
            self._refuse_closed()
            if self._total >= size:
                return False
            self._total += 1
            self._opening += 1
            return True

    def opened(self, lease: Lease[C]) -> None:
        """Lease the connection that was opened in a reserved place."""
        with self.lock:
            self._opening -= 1
            self._failures = 0
            self.connect_error = None
            self.leased[lease.connection] = lease
            self._settle(lease.since)

    def open_failed(self, pause: bool) -> None:
        """Free a reserved place, and `pause` growth: for longer and longer, until an attempt succeeds."""
        with self.lock:
            self._opening -= 1
            self._total -= 1
            now = monotonic()
            if pause and now >= self._grow_at:  # attempts that were under way together count once
                seconds = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 10))
                self._failures += 1
                self._grow_at = now + seconds * jitter.uniform(0.5, 1.0)
            self._settle(now)

    def keep_error(self, error: Exception, late: bool = False) -> None:
        """Keep why connecting failed, for the callers who will wait in vain.

        An attempt that came too `late` for its caller says the least, so it takes no other error's place.
        """
        with self.lock:
            if self._failures and not (late and self.connect_error):
                self.connect_error = _without_frames(error)

    def has_some(self) -> bool:
        """Whether there is a connection that may yet be returned."""
        with self.lock:
            return self._total > self._opening

    def _may_grow(self, now: float) -> bool:
        """Whether there is room and, after a failure, it is time for an attempt: one after the other."""
        if self._total >= self._max_size:
            return False
        return not self._failures or (not self._opening and now >= self._grow_at)

    # The line.

    def join(self, waiter: Waiter[C]) -> None:
        """Serve a caller at once, or put him in line. Raises PoolTimeout where the line is as long as it may be."""
        with self.lock:
            self._refuse_closed()
            waiter.served = False
            if waiter.tried:
                self.waiters.appendleft(waiter)
            else:
                self._refuse_crowd()
                self._refuse_deadlock()
                self.waiters.append(waiter)
            now = monotonic()
            self._serve_idle()
            if now < waiter.deadline:
                self._settle(now)

    def look(self, waiter: Waiter[C]) -> float:
        """The seconds to wait until the next look. Raises PoolTimeout or NotConnectedError where waiting is over."""
        with self.lock:
            self._serve_idle()
            if waiter.served:
                return 0.0
            self._refuse_closed()
            now = monotonic()
            if now >= waiter.deadline:
                raise self._timed_out(waiter.since, now)
            until = min(waiter.deadline, now + LOOK_AGAIN)
            if waiter is self.waiters[0] and self._total < self._max_size and not self._opening:
                if self._may_grow(now):
                    self._settle(now)
                    return 0.0
                until = min(until, self._grow_at)
            return until - now

    def leave(self, waiter: Waiter[C]) -> bool:
        """Leave the line; False where the caller has been served in the last moment."""
        with self.lock:
            if waiter.served:
                return False
            self.waiters.remove(waiter)
            self._settle(monotonic())
            return True

    def _serve_idle(self) -> None:
        while self.waiters:
            try:
                lease = self.idle.pop()
            except IndexError:
                return
            self.leased[lease.connection] = lease
            self._serve(lease)

    def _serve(self, lease: Lease[C] | None) -> None:
        waiter = self.waiters.popleft()
        waiter.lease = lease
        waiter.served = True
        waiter.nudge()

    def _settle(self, now: float) -> None:
        """Give the places that may be used to those in line; the first of those left looks when he may try again."""
        while self.waiters and self._may_grow(now):
            self._total += 1
            self._opening += 1
            self._serve(None)
        if self.waiters and self._total < self._max_size:
            self.waiters[0].nudge()
        if self.closed and not self._total:
            self.emptied.set()

    def _refuse_closed(self) -> None:
        if self.closed:
            raise NotConnectedError("the connection pool is closed")

    def _refuse_crowd(self) -> None:
        crowd = self._max_waiting is not None and len(self.waiters) >= self._max_waiting
        if crowd and not self.idle and not self._may_grow(monotonic()):
            raise PoolTimeout(f"{self._max_waiting} callers wait for a connection already {self._stats()}; no more may")

    def _refuse_deadlock(self) -> None:
        """A thread that holds all there is waits for itself."""
        if len(self.leased) < self._max_size or not blocks_own_thread():
            return
        leases = list(self.leased.values())
        here = threading.get_ident()
        if all(lease.holder is not None and lease.holder.thread == here for lease in leases):
            raise PoolTimeout(
                f"this thread waits for a connection and holds all {self._max_size} itself, which would never end; "
                "end what holds them, or raise pool_max; where other tasks of its event loop do, await this call too: "
                f"{describe_leases(leases, monotonic())}"
            )

    def _stats(self) -> PoolStats:
        idle = len(self.idle)
        return PoolStats(self._total, self._total - idle, idle, len(self.waiters), self._max_size)

    def timed_out(self, since: float) -> PoolTimeout:
        """The error for a caller who has waited since then."""
        with self.lock:
            return self._timed_out(since, monotonic())

    def _timed_out(self, since: float, now: float) -> PoolTimeout:
        text = f"no connection became free in {now - since:.1f} s {self._stats()}"
        if self.connect_error is not None:
            text += f"; the last attempt to connect failed: {' '.join(str(self.connect_error).split())}"
        if self.leased:
            text += f"; held for longest: {describe_leases(self.leased.values(), now)}"
        error = PoolTimeout(text)
        error.__cause__ = self.connect_error
        return error


def _without_frames(error: Exception) -> Exception:
    """The error, kept for later, without the frames it came through: they hold whatever the callers held."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error
