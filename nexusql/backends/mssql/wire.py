"""The socket of a session, which ODBC drivers keep to themselves: the one connection that this process has more once
they have connected. Where that is not certain, or descriptors cannot be listed, as on Windows, it stays unknown."""

import os
import socket
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from nexusql.backends.deadline import cut

T = TypeVar("T")

FOLDER = "/dev/fd"
PATIENCE = 1.0  # seconds for which sessions are opened one after the other, so that each knows its own socket

_opening = threading.Lock()


@dataclass(frozen=True, slots=True)
class Wire:
    """A descriptor, and the number of what it stood for, by which it is told from a later one."""

    descriptor: int
    number: int

    def is_open(self) -> bool:
        """Whether the driver still has it."""
        with suppress(OSError):
            return os.fstat(self.descriptor).st_ino == self.number
        return False

    def has_ended(self) -> bool:
        """Whether the peer has gone, or the driver has closed it; known at once."""
        if not self.is_open():
            return True
        try:
            with socket.fromfd(self.descriptor, socket.AF_INET, socket.SOCK_STREAM) as own:
                return not own.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def cut(self) -> None:
        """Shut it down, so that whoever waits on it fails."""
        if self.is_open():
            cut(self.descriptor)

    def let_go(self) -> None:
        """Put nothing in its place."""
        if self.is_open():
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, self.descriptor, inheritable=False)
            os.close(nothing)


def opened(connect: Callable[[], T]) -> tuple[T, Wire | None]:
    """What `connect()` gives, and its socket."""
    alone = _opening.acquire(timeout=PATIENCE)
    try:
        before = _sockets()
        made = connect()
        connections = {ends: wire for wire in _sockets() - before if (ends := _ends(wire))}
    finally:
        if alone:
            _opening.release()
    return made, connections.popitem()[1] if len(connections) == 1 else None


def _sockets() -> set[Wire]:
    found = set()
    with suppress(OSError):  # there is no such folder here
        for name in os.listdir(FOLDER):
            with suppress(OSError):  # the one by which the folder was read, or closed meanwhile
                status = os.fstat(int(name))
                if stat.S_ISSOCK(status.st_mode):
                    found.add(Wire(int(name), status.st_ino))
    return found


def _ends(wire: Wire) -> frozenset[object]:
    """The addresses of a TCP connection's ends, which may both be in this process; none for another socket."""
    with suppress(OSError), socket.socket(fileno=os.dup(wire.descriptor)) as own:
        if own.family in (socket.AF_INET, socket.AF_INET6):
            return frozenset((own.getsockname(), own.getpeername()))
    return frozenset()
