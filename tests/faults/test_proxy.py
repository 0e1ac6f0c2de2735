"""The fault proxy does what the tests behind it believe."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from pooling import eventually
from proxy import FaultProxy


class Echo:
    """A server that sends back what it is sent, and counts."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.ends = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._answer, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _answer(self, client: socket.socket) -> None:
        with client:
            try:
                while data := client.recv(65536):
                    self.heard.append(data)
                    client.sendall(data)
            except ConnectionError:
                self.heard.append(b"<reset>")
        self.ends += 1

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.stop()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[FaultProxy]:
    with FaultProxy(echo.address) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as client:
        yield client


def ask(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    answer = b""
    while len(answer) < len(data):
        piece = client.recv(65536)
        if not piece:
            break
        answer += piece
    return answer


def test_it_forwards_both_ways_and_counts(proxy: FaultProxy, client: socket.socket) -> None:
    data = bytes(range(256)) * 4096
    assert ask(client, data) == data
    assert proxy.sent == len(data)
    assert proxy.accepted == proxy.live == 1


def test_the_end_of_one_side_is_the_end_of_the_other(proxy: FaultProxy, echo: Echo, client: socket.socket) -> None:
    assert ask(client, b"x") == b"x"
    client.close()
    deadline = time.monotonic() + 5
    while not echo.ends and time.monotonic() < deadline:
        time.sleep(0.01)
    assert echo.ends == 1
    assert b"<reset>" not in echo.heard


def test_refusing(proxy: FaultProxy, client: socket.socket) -> None:
    assert ask(client, b"here") == b"here"  # the proxy has taken the connection; one it has not is closed with the port
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
    assert ask(client, b"still there") == b"still there"
    proxy.heal()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as other:
        assert ask(other, b"again") == b"again"


def test_deaf(proxy: FaultProxy) -> None:
    proxy.deaf()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=0.2) as other:
        other.sendall(b"hello?")
        with pytest.raises(TimeoutError):
            other.recv(1)
    assert proxy.accepted == 0


@pytest.mark.parametrize("direction", ["requests", "replies"])
def test_what_is_held_comes_later_and_whole(
    proxy: FaultProxy, echo: Echo, client: socket.socket, direction: str
) -> None:
    proxy.hold(requests=direction == "requests", replies=direction == "replies")
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        ask(client, b"held")
    assert echo.heard == ([] if direction == "requests" else [b"held"])
    proxy.heal()
    assert client.recv(4) == b"held"


def test_a_cut_by_reset_is_one(proxy: FaultProxy, client: socket.socket) -> None:
    assert ask(client, b"x") == b"x"
    assert proxy.cut() == 1
    with pytest.raises(ConnectionResetError):
        client.recv(1)


def test_a_cut_without_reset_is_an_end(proxy: FaultProxy, client: socket.socket) -> None:
    assert ask(client, b"x") == b"x"
    assert proxy.cut(reset=False) == 1
    assert client.recv(1) == b""


def test_a_dropped_request_never_arrives(proxy: FaultProxy, echo: Echo, client: socket.socket) -> None:
    sprung = proxy.drop_request(b"COMMIT")
    assert ask(client, b"INSERT") == b"INSERT"
    assert ask(client, b"COMMIT") == b""
    assert sprung.wait(5)
    assert echo.heard == [b"INSERT"]


def test_a_dropped_reply_leaves_the_request_done(proxy: FaultProxy, echo: Echo, client: socket.socket) -> None:
    sprung = proxy.drop_reply(b"COMMIT", reset=True)
    assert ask(client, b"INSERT") == b"INSERT"
    client.sendall(b"COM")
    assert client.recv(3) == b"COM"
    with pytest.raises(ConnectionResetError):
        ask(client, b"MIT")
    assert sprung.wait(5)
    assert b"".join(echo.heard).startswith(b"INSERTCOMMIT")


def test_a_trap_springs_once_and_not_for_the_past(proxy: FaultProxy, client: socket.socket) -> None:
    assert ask(client, b"COMMIT") == b"COMMIT"
    sprung = proxy.drop_request(b"COMMIT")
    assert ask(client, b"SELECT") == b"SELECT"
    assert not sprung.is_set()
    assert ask(client, b"COMMIT") == b""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as other:
        assert ask(other, b"COMMIT") == b"COMMIT"


@pytest.mark.parametrize("replies", [False, True])
def test_a_cut_after_some_bytes_comes_in_their_middle_and_once(
    proxy: FaultProxy, echo: Echo, client: socket.socket, replies: bool
) -> None:
    sprung = proxy.cut_after(7, replies=replies)
    client.sendall(b"1234")
    assert client.recv(100) == b"1234"
    client.sendall(b"5678")
    rest = b""
    while data := client.recv(100):
        rest += data
    assert sprung.wait(5)
    assert rest == (b"567" if replies else rest)
    forwarded = b"12345678" if replies else b"1234567"
    # Its end may be a reset, of what the echo had said in reply.
    assert eventually(lambda: b"".join(echo.heard).removesuffix(b"<reset>") == forwarded)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as again:
        again.sendall(b"123456789")
        assert again.recv(100) == b"123456789"


def test_delays_and_pieces(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.slow(latency=0.01, most_bytes=1)
    started = time.monotonic()
    assert ask(client, b"0123456789") == b"0123456789"
    assert time.monotonic() - started > 0.09


def test_the_url_by_way_of_it(proxy: FaultProxy) -> None:
    port = proxy.port
    assert proxy.url("mysql://a%40b:c@db.example:3306/x?y=1") == f"mysql://a%40b:c@127.0.0.1:{port}/x?y=1"
    assert proxy.url("postgresql:///x") == f"postgresql://127.0.0.1:{port}/x"


def test_nothing_is_left_when_it_stops(echo: Echo) -> None:
    with FaultProxy(echo.address) as proxy:
        clients = [socket.create_connection(("127.0.0.1", proxy.port)) for _ in range(3)]
        for client in clients:
            assert ask(client, b"x") == b"x"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fault-proxy")]
    assert proxy.live == 0
    for client in clients:
        client.close()
