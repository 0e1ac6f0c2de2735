"""Worker threads: blocking calls run off the event loop's thread, in the caller's context."""

import asyncio
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

T = TypeVar("T")

# In a job: the event loop's thread and the task that await it. A job may wait for what they hold; they may not.
_awaited_by: ContextVar[tuple[int, object] | None] = ContextVar("nexusql_awaited_by", default=None)


def responsible() -> tuple[int, object]:
    """The thread and the task (None without an event loop) whose code asked: of a job, those that await it."""
    return _awaited_by.get() or _here()


def _here() -> tuple[int, object]:
    try:
        return threading.get_ident(), asyncio.current_task()
    except RuntimeError:  # no event loop runs in this thread
        return threading.get_ident(), None


def blocks_own_thread() -> bool:
    """True where waiting here keeps the asking code itself from going on: it is not a job of ours."""
    return _awaited_by.get() is None


_all: "weakref.WeakSet[Workers]" = weakref.WeakSet()


class Workers:
    """Two sets of threads, so that those who wait for a connection never keep one that has it from finishing."""

    def __init__(self, leased: int) -> None:
        self._leased = leased
        self.begin()
        _all.add(self)

    def begin(self) -> None:
        """Start without threads; in a forked child those of the parent do not exist."""
        self._lock = threading.Lock()
        self._executors: dict[bool, ThreadPoolExecutor] = {}

    async def run(self, has_connection: bool, carry: ContextVar[Any], call: Callable[..., T], *args: Any) -> T:
        """Run a call in a thread with this context; what it leaves in `carry` is set here too."""
        context = copy_context()
        context.run(_awaited_by.set, _here())
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor(has_connection), _run, context, call, args)
        finally:
            left = context.get(carry)
            if left is not carry.get():
                carry.set(left)

    def close(self) -> None:
        """Let the threads end; jobs under way finish."""
        with self._lock:
            for executor in self._executors.values():
                executor.shutdown(wait=False)
            self._executors.clear()

    def _executor(self, has_connection: bool) -> ThreadPoolExecutor:
        with self._lock:
            executor = self._executors.get(has_connection)
            if executor is None:
                size = self._leased if has_connection else 64
                executor = ThreadPoolExecutor(size, thread_name_prefix="nexusql")
                self._executors[has_connection] = executor
            return executor


def _after_fork_in_child() -> None:
    for workers in list(_all):
        workers.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _run(context: Context, call: Callable[..., T], args: tuple[Any, ...]) -> T:
    return context.run(call, *args)
