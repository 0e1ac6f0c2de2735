"""The socket of a session is told from those of strangers, and nobody else's is touched."""

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from nexusql.backends.deadline import cut, cut_after
from nexusql.backends.mssql import wire
from nexusql.backends.mssql.wire import Wire, opened
from nexusql.manager import DatabaseManager
from pooling import eventually

pytestmark = pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="descriptors cannot be listed here")


class Peer:
    """What listens on a port of its own."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port: int = self._listener.getsockname()[1]

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """Both ends of a connection, the client's first."""
        near = self._stack.enter_context(socket.create_connection(("127.0.0.1", self.port)))
        return near, self._stack.enter_context(self._listener.accept()[0])


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def peer(stack: ExitStack) -> Peer:
    return Peer(stack)


@pytest.fixture
def other(stack: ExitStack) -> Peer:
    return Peer(stack)


def wire_of(sock: socket.socket) -> Wire:
    return Wire(sock.fileno(), os.fstat(sock.fileno()).st_ino)


def is_up(near: socket.socket, far: socket.socket) -> bool:
    far.sendall(b"x")
    near.settimeout(5)
    return near.recv(1) == b"x"


def test_a_descriptor_that_gets_to_a_stranger_meanwhile_is_left_alone(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = peer.connect()
    stranger, his = peer.connect()
    kept = near.dup()
    own, fstat = wire_of(near), os.fstat

    def overtaken(descriptor: int) -> os.stat_result:
        status = fstat(descriptor)
        os.dup2(stranger.fileno(), near.fileno(), inheritable=False)
        return status

    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", overtaken)
        own.cut()
    assert is_up(stranger, his)
    with kept:
        assert far.recv(1) == b""  # it was the right one that was shut
    assert own.has_ended()
    own.cut()
    own.let_go()
    assert is_up(stranger, his)
    assert is_up(near, his)


def test_the_driver_is_not_taken_for_gone_and_then_is(peer: Peer) -> None:
    near, far = peer.connect()
    own = wire_of(near)
    assert not own.has_ended()
    far.sendall(b"x")
    assert not own.has_ended()
    assert near.recv(1) == b"x"
    own.let_go()
    assert own.has_ended()
    assert os.fstat(own.descriptor).st_rdev == os.stat(os.devnull).st_rdev


@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="only Linux tells")
def test_a_peer_that_says_why_it_goes_has_gone(peer: Peer) -> None:
    near, far = peer.connect()
    own = wire_of(near)
    far.sendall(b"x")
    far.close()
    assert eventually(own.has_ended)
    assert near.recv(9) == b"x"  # which is left to be read


def test_only_a_connection_to_the_servers_port_is_a_sessions(peer: Peer, other: Peer) -> None:
    made, own = opened(lambda: (peer.connect(), other.connect()), peer.port)
    assert own == wire_of(made[0][0])
    assert opened(lambda: (peer.connect(), other.connect()), None)[1] is None
    (near, _), own = opened(peer.connect, None)
    assert own is not None
    assert own.number in {os.fstat(end.fileno()).st_ino for end in (near, _)}


def test_no_stranger_stands_in_for_a_connection_that_is_gone(peer: Peer, other: Peer) -> None:
    assert opened(other.connect, peer.port)[1] is None
    earlier, _ = peer.connect()
    again, own = opened(earlier.dup, peer.port)
    with again:
        assert own is None


def test_sockets_that_the_system_does_not_number_stay_unknown(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    fstat = os.fstat

    def unnumbered(descriptor: int) -> os.stat_result:
        mode, _, *rest = fstat(descriptor)
        return os.stat_result((mode, 0, *rest))

    monkeypatch.setattr(os, "fstat", unnumbered)
    assert opened(peer.connect, peer.port)[1] is None


def test_looking_at_a_socket_and_shutting_it_leave_its_mode_alone(peer: Peer) -> None:
    def connect() -> socket.socket:
        near, _ = peer.connect()
        near.setblocking(True)
        return near

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(5.0)
    try:
        near, own = opened(connect, peer.port)
        assert own is not None
        assert not own.has_ended()
        assert os.get_blocking(near.fileno())
        with cut_after(60.0, near.fileno()):
            assert os.get_blocking(near.fileno())
        own.cut()
        cut(near.fileno())
        assert os.get_blocking(near.fileno())
    finally:
        socket.setdefaulttimeout(before)


def test_a_server_that_is_slow_to_answer_holds_up_no_other_session(peer: Peer) -> None:
    with wire._opening:
        before = time.monotonic()
        (near, _), found = opened(peer.connect, peer.port)
        assert time.monotonic() - before < 0.7
    assert found == wire_of(near)


FORKING = """
import os
from nexusql.backends.mssql import wire
with wire._opening:
    child = os.fork()
    if not child:
        os._exit(not wire._opening.acquire(blocking=False))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_opens_sessions_in_turns_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "0\n", done.stderr


def test_a_session_that_is_closed_has_no_socket(wired: DatabaseManager) -> None:
    backend = wired._connected().backend
    raw: Any = backend.connect(wired.config, 5.0)
    assert raw.wire is not None
    backend.close(raw)
    assert raw.wire is None
    assert backend.looks_dead(raw)
    backend.cut(raw)
