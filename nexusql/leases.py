"""What the pool knows of one connection: what it can be asked, how old it is, who borrowed it."""

import os
import sys
import threading
from collections.abc import Iterable
from types import CodeType, FrameType
from typing import Generic, Protocol, TypeVar

PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
MOST_FRAMES = 8
MOST_SHOWN = 3

# Seconds after its last use for which a connection is believed to be alive; later it is pinged before use.
TRUST = 0.5

Stack = tuple[tuple[CodeType, int], ...]


class Poolable(Protocol):
    """What the pool asks of a connection."""

    @property
    def broken(self) -> bool:
        """A disconnect was seen."""
        ...

    @property
    def needs_reset(self) -> bool:
        """A statement may have left something behind in the session."""
        ...

    @property
    def misplaced(self) -> bool:
        """Its server is no longer the one that is wanted."""
        ...

    def looks_dead(self) -> bool:
        """True where the session is evidently gone; free, no round trip, and raises nothing."""
        ...

    def is_idle(self) -> bool:
        """True where the session is provably outside a transaction; free, no round trip."""
        ...

    def ping(self, timeout: float) -> bool:
        """Ask the server for a sign of life, `timeout` seconds at most."""
        ...

    def reset(self) -> bool:
        """Bring the session back to its defaults; False where that cannot be proved."""
        ...

    def close(self) -> None:
        """Close."""
        ...


class Holder:
    """Who has a connection for longer than a statement: what it is, in words, and the thread that must go on for it to
    come back."""

    __slots__ = ("name", "thread")

    def __init__(self, name: str) -> None:
        self.name = name
        self.thread = threading.get_ident()


C = TypeVar("C", bound=Poolable)


class Lease(Generic[C]):
    """One connection of a pool, borrowed or idle. Times are of the monotonic clock."""

    __slots__ = ("connection", "expires", "holder", "since", "stack", "trusted_for")

    def __init__(self, connection: C, since: float, expires: float) -> None:
        self.connection = connection
        self.expires = expires  # when it is too old to be kept
        self.since = since  # when it was borrowed or returned
        self.trusted_for = TRUST
        self.stack: Stack | None = None
        self.holder: Holder | None = None

    def suspect(self) -> None:
        """Have it pinged before it is used again, however soon that is."""
        self.trusted_for = -1.0


def borrowing_stack() -> Stack:
    """The innermost frames outside this package, as code and place in it: the line is looked up when it is shown.

    No frame is kept alive, and with it nothing of the caller's values.
    """
    frame: FrameType | None = sys._getframe(1)
    found: list[tuple[CodeType, int]] = []
    while frame is not None and len(found) < MOST_FRAMES:
        code = frame.f_code
        if not code.co_filename.startswith(PACKAGE) and code.co_filename != threading.__file__:
            found.append((code, frame.f_lasti))
        frame = frame.f_back
    return tuple(found)


def callers_level() -> int:
    """The `stacklevel` by which a warning of who called this points to the code that called the package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    return level


def describe_leases(leases: Iterable[Lease[C]], now: float) -> str:
    """The longest held leases, in words: how long, and who borrowed them."""
    longest = sorted(leases, key=lambda lease: lease.since)
    shown = [_describe(lease, now) for lease in longest[:MOST_SHOWN]]
    if len(longest) > MOST_SHOWN:
        shown.append(f"and {len(longest) - MOST_SHOWN} more")
    return "; ".join(shown)


def _describe(lease: Lease[C], now: float) -> str:
    held = f"{now - lease.since:.1f} s by"
    if lease.holder is not None:
        held += f" {lease.holder.name}" + (" at" if lease.stack else "")
    elif not lease.stack:
        return f"{held} a single statement"
    places = (f"{code.co_filename}:{_line(code, at)} {code.co_name}" for code, at in lease.stack or ())
    return f"{held} {' < '.join(places)}".rstrip()


def _line(code: CodeType, at: int) -> int | None:
    return next((line for start, end, line in code.co_lines() if start <= at < end), code.co_firstlineno)
