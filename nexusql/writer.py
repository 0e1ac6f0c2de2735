"""The queue of writers of one SQLite file in this process.

SQLite has one writer at a time and makes the others poll; under contention some poll until their busy time-out. Within
a process a lock serves them at once, and readers are not held up.
"""

import os
import threading
import weakref

from nexusql.errors import LockTimeout
from nexusql.interrupts import acquire
from nexusql.workers import blocks_own_thread


class WriterLock:
    """The writer's turn on one database file; who wants it waits at most `timeout` seconds."""

    def __init__(self, timeout: float, shared: "_Shared") -> None:
        self._timeout = timeout
        self._shared = shared

    def acquire(self, *, lasting: bool = True) -> None:
        """Take the turn, for a transaction or (`lasting=False`) for one statement, which ends by itself.

        Raises LockTimeout in time, or at once where this very thread would have to go on for the turn to come.
        """
        shared = self._shared
        if not shared.lock.acquire(blocking=False):
            if blocks_own_thread() and shared.owner == threading.get_ident():
                raise LockTimeout(
                    "this thread already holds an open write transaction on the same SQLite file; waiting for it here "
                    "would never end: write through that transaction, or end it first; where it is another task's, "
                    "await execute_async, or `async with` for a transaction"
                )
            if not acquire(shared.lock, self._timeout):
                raise LockTimeout(
                    f"another transaction of this process kept the SQLite file's writer lock for {self._timeout:g} s"
                )
        shared.owner = threading.get_ident() if lasting else 0

    def belongs_to(self, thread: int) -> None:
        """Which thread must go on for the turn to be given up."""
        self._shared.owner = thread

    def release(self) -> None:
        """Give the turn to the next writer."""
        self._shared.owner = 0
        self._shared.lock.release()


class _Shared:
    __slots__ = ("__weakref__", "lock", "owner")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.owner = 0


_registry: "weakref.WeakValueDictionary[str, _Shared]" = weakref.WeakValueDictionary()
_guard = threading.Lock()


def writer_lock(path: str, timeout: float) -> WriterLock:
    """The lock of the file at `path`, one for all managers of this process."""
    key = os.path.realpath(path)
    with _guard:
        shared = _registry.get(key)
        if shared is None:
            shared = _registry[key] = _Shared()
    return WriterLock(timeout, shared)


def _renew_after_fork() -> None:
    """A lock that another thread held at the fork would never be released in the child."""
    global _guard
    _guard = threading.Lock()
    for shared in list(_registry.values()):
        shared.lock = threading.Lock()
        shared.owner = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)
