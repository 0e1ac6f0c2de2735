"""The socket of a session, which ODBC drivers keep to themselves: the one connection to the server's port that this
process has more once they have connected. Where that is not certain, as where the server sends its clients on to
another port, or descriptors cannot be listed, as on Windows, it stays unknown."""

import os
import select
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from nexusql.backends.deadline import duplicate, shut

T = TypeVar("T")

FOLDER = "/dev/fd"
PATIENCE = 0.1  # seconds for which sessions are opened one after the other, so that each knows its own socket

_opening = threading.Lock()


@dataclass(frozen=True, slots=True)
class Wire:
    """A descriptor, and the number of what it stood for, by which it is told from a later one."""

    descriptor: int
    number: int

    @contextmanager
    def own(self) -> Iterator[socket.socket | None]:
        """The socket on a descriptor of one's own, which nobody else can close and get anew; None where the driver has
        closed it."""
        try:
            own = duplicate(self.descriptor, -1)
        except OSError:
            yield None
            return
        with own:
            yield own if os.fstat(own.fileno()).st_ino == self.number else None

    def has_ended(self) -> bool:
        """Whether the peer has gone, or the driver has closed it; known at once."""
        with self.own() as own:
            try:
                return own is None or not own.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) or _has_hung_up(own)
            except BlockingIOError:
                return False
            except OSError:
                return True

    def cut(self) -> None:
        """Shut it down, so that whoever waits on it fails."""
        with self.own() as own:
            if own is not None:
                shut(own)

    def let_go(self) -> None:
        """Put nothing in its place."""
        with self.own() as own:
            if own is not None:
                nothing = os.open(os.devnull, os.O_RDWR)
                os.dup2(nothing, self.descriptor, inheritable=False)
                os.close(nothing)


def _has_hung_up(own: socket.socket) -> bool:
    """Whether the peer has gone behind what is still to be read, as a server that says why; only Linux tells."""
    hung_up = getattr(select, "POLLRDHUP", 0)
    if not hung_up:
        return False
    poller = select.poll()
    poller.register(own, hung_up)
    return bool(poller.poll(0))


def opened(connect: Callable[[], T], port: int | None) -> tuple[T, Wire | None]:
    """What `connect()` gives, and its socket; `port` is the server's, None where it is not known."""
    turn = _opening
    alone = turn.acquire(timeout=PATIENCE)
    try:
        before = {wire.number for wire in _sockets()}
        made = connect()
        new = (wire for wire in _sockets() if wire.number not in before)
        connections = {ends: wire for wire in new if (ends := _ends(wire, port))}
    finally:
        if alone:
            turn.release()
    return made, connections.popitem()[1] if len(connections) == 1 else None


def _sockets() -> set[Wire]:
    found = set()
    with suppress(OSError):  # there is no such folder here
        for name in os.listdir(FOLDER):
            with suppress(OSError):  # the one by which the folder was read, or closed meanwhile
                status = os.fstat(int(name))
                if stat.S_ISSOCK(status.st_mode) and status.st_ino:  # a BSD may give sockets no number
                    found.add(Wire(int(name), status.st_ino))
    return found


def _ends(wire: Wire, port: int | None) -> frozenset[object]:
    """The addresses of the ends of a TCP connection to a port, of which this process may have both; none for another
    socket."""
    with wire.own() as own, suppress(OSError):  # it is not connected
        if own is not None and own.family in (socket.AF_INET, socket.AF_INET6):
            peer = own.getpeername()
            if port in (None, peer[1]):
                return frozenset((own.getsockname(), peer))
    return frozenset()


def _renew_after_fork() -> None:
    """A turn that another thread had at the fork would never end in the child."""
    global _opening
    _opening = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)
