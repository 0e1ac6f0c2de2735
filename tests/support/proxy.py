"""A TCP proxy in the test's process that does what networks do: refuse, fall silent, lose, delay, reset.

    with FaultProxy.before(url) as proxy:
        db = DatabaseManager(proxy.url(url))
        proxy.drop_reply(b"COMMIT")

Bytes that a fault holds back are delivered when it ends, as TCP would; those that it loses take the connection with
them, so that neither side ever reads a stream with a hole in it.
"""

import random
import select
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

CHUNK = 65536
TICK = 0.01
LONGEST_PATTERN = 100
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 seconds, so that closing sends RST

P = TypeVar("P", bound="FaultProxy")


@dataclass
class Trap:
    """Cuts the connection on which `pattern` is sent: before it reaches the server, or after the server has replied."""

    pattern: bytes
    lose_reply: bool
    reset: bool
    sprung: threading.Event


@dataclass
class Limit:
    """Cuts the connection by which the bytes of one direction, on all connections, would become more than `left`."""

    left: int
    reset: bool
    sprung: threading.Event


class FaultProxy:
    """Forwards connections to `target`, a (host, port), until a fault is set. A context manager; `stop()` ends it.

    `accepted` counts connections ever accepted, `live` those there are, `sent` and `received` the bytes forwarded to
    the server and back.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.accepted = 0
        self.sent = 0
        self.received = 0
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self._accepting = False
        self._stopped = False
        self._address = ("127.0.0.1", 0)
        self._held = {"requests": False, "replies": False}
        self._latency = 0.0
        self._jitter = 0.0
        self._most_bytes = CHUNK
        self._traps: list[Trap] = []
        self._limits: dict[str, Limit] = {}
        self._listen(accepting=True)

    @classmethod
    def before(cls: type[P], url: str) -> P:
        """A proxy before the server that a URL names."""
        parts = urlsplit(url)
        default = 3306 if parts.scheme.startswith("mysql") else 5432
        return cls((parts.hostname or "127.0.0.1", parts.port or default))

    def url(self, url: str) -> str:
        """The same URL by way of this proxy."""
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}{self._address[0]}:{self.port}"))

    @property
    def port(self) -> int:
        """Where it listens; the same through all faults."""
        return self._address[1]

    @property
    def live(self) -> int:
        """Connections there are now."""
        with self._lock:
            return len(self._links)

    # Faults. Those of the listener concern new connections, all others those there are too.

    def heal(self) -> None:
        """Forward everything again, at once and as it comes; traps stay set."""
        self.hold(requests=False, replies=False)
        self.slow()
        if not self._accepting:
            self._listen(accepting=True)

    def refuse(self) -> None:
        """Close the port; connections there are go on."""
        self._stop_listening()

    def deaf(self) -> None:
        """Let the kernel take connections that nobody ever answers; connections there are go on."""
        self._listen(accepting=False)

    def hold(self, *, requests: bool = True, replies: bool = True) -> None:
        """Let nothing through in these directions: a black hole, of which neither side is told."""
        self._held = {"requests": requests, "replies": replies}

    def slow(self, latency: float = 0.0, jitter: float = 0.0, most_bytes: int = CHUNK) -> None:
        """Delay each packet of a reply by `latency` seconds and up to `jitter` more; `most_bytes` of it at a time."""
        self._latency, self._jitter, self._most_bytes = latency, jitter, most_bytes

    def cut(self, *, reset: bool = True) -> int:
        """End every connection, by RST or by FIN; how many there were."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.end(reset=reset)
        return len(links)

    def drop_request(self, pattern: bytes, *, reset: bool = False) -> threading.Event:
        """Once, lose the request in which `pattern` is sent, and the connection; the event tells that it happened."""
        return self._set_trap(Trap(pattern, False, reset, threading.Event()))

    def drop_reply(self, pattern: bytes, *, reset: bool = False) -> threading.Event:
        """Once, forward the request in which `pattern` is sent, and lose the server's reply and the connection."""
        return self._set_trap(Trap(pattern, True, reset, threading.Event()))

    def cut_after(self, count: int, *, replies: bool = False, reset: bool = False) -> threading.Event:
        """Once, forward `count` more bytes of requests, or of replies, and then cut the connection in the middle of
        what it says; the event tells that it happened."""
        limit = Limit(count, reset, threading.Event())
        with self._lock:
            self._limits["replies" if replies else "requests"] = limit
        return limit.sprung

    def _within_limit(self, direction: str, data: bytes) -> tuple[bytes, Limit | None]:
        """What of the data may be forwarded, and the limit that has been reached."""
        with self._lock:
            limit = self._limits.get(direction)
            if limit is None:
                return data, None
            if len(data) > limit.left:
                return data[: limit.left], self._limits.pop(direction)
            limit.left -= len(data)
            return data, None

    def _set_trap(self, trap: Trap) -> threading.Event:
        with self._lock:
            self._traps.append(trap)
        return trap.sprung

    # For who does more than networks do.

    def on_request(self, data: bytes, answer: Callable[[bytes], None]) -> bytes:
        """What is forwarded of a request's bytes; `answer` speaks to the client in the server's place."""
        return data

    def on_reply(self, data: bytes) -> bytes:
        """What is forwarded of a reply's bytes."""
        return data

    def stop(self) -> None:
        """Close the port and every connection, and wait for the threads."""
        self._stop_listening()
        self._stopped = True
        self.cut()
        for thread in self._threads:
            thread.join(5.0)

    def __enter__(self: P) -> P:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # Listening.

    def _listen(self, *, accepting: bool) -> None:
        self._stop_listening()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(self._address)
        listener.listen(128)
        self._address = listener.getsockname()
        self._listener = listener
        self._accepting = accepting
        if accepting:
            self._start(lambda: self._accept(listener))

    def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        self._accepting = False
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)  # closing alone would leave a thread in accept() and the port open
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed
                return
            if self._listener is not listener:
                client.close()
                return
            self.accepted += 1
            self._start(lambda client=client: self._connect(client))  # type: ignore[misc]

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self.target, timeout=10)
        except OSError:
            client.close()
            return
        for one in (client, server):
            one.settimeout(None)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(self, client, server)
        with self._lock:
            self._links.add(link)
        if self._stopped:
            link.end(reset=True)
        link.run()
        with self._lock:
            self._links.discard(link)

    def _start(self, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, name="fault-proxy", daemon=True)
        self._threads = [old for old in self._threads if old.is_alive()] + [thread]
        thread.start()
        return thread

    def _is_held(self, direction: str) -> bool:
        return self._held[direction]

    def _take_trap(self, before: bytes, data: bytes) -> Trap | None:
        """The trap whose pattern ends in `data`, no longer set; it may begin in what was sent `before`."""
        with self._lock:
            for trap in self._traps:
                if (before + data).find(trap.pattern, max(len(before) - len(trap.pattern) + 1, 0)) >= 0:
                    self._traps.remove(trap)
                    return trap
        return None


class _Link:
    """One forwarded connection: a thread a direction, both woken by closing one end of a socket pair.

    Nobody blocks in recv() or send(): a socket closed under such a call sends neither FIN nor RST until it returns.
    """

    def __init__(self, proxy: FaultProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._alarm, self._end = socket.socketpair()
        self._ending = threading.Lock()
        self._reset = False
        self._trap: Trap | None = None

    def run(self) -> None:
        """Forward until one side ends, or the proxy does."""
        replies = threading.Thread(target=self._replies, name="fault-proxy-replies", daemon=True)
        replies.start()
        self._requests()
        replies.join()
        for one in (self._client, self._server):
            if self._reset:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            one.close()
        self._alarm.close()

    def end(self, *, reset: bool) -> None:
        """Have both sides closed."""
        with self._ending:
            if self._end.fileno() >= 0:
                self._reset = reset
                self._end.close()

    def _requests(self) -> None:
        before = b""
        while (data := self._read(self._client, "requests")) is not None:
            trap = self._proxy._take_trap(before, data)
            if trap is not None and not trap.lose_reply:
                self._spring(trap)
                break
            if trap is not None:
                self._trap = trap
            data = self._proxy.on_request(data, self._answer)
            data, limit = self._proxy._within_limit("requests", data)
            self._proxy.sent += len(data)  # before who has got it can look
            if not self._write(self._server, data):
                break
            if limit is not None:
                self._spring(limit)
                break
            before = (before + data)[-LONGEST_PATTERN:]
        self.end(reset=False)

    def _replies(self) -> None:
        while (data := self._read(self._server, "replies")) is not None:
            if self._trap is not None:
                self._spring(self._trap)
                break
            data = self._proxy.on_reply(data)
            data, limit = self._proxy._within_limit("replies", data)
            self._proxy.received += len(data)
            if not self._deliver(data):
                break
            if limit is not None:
                self._spring(limit)
                break
        self.end(reset=False)

    def _spring(self, trap: Trap | Limit) -> None:
        self.end(reset=trap.reset)
        trap.sprung.set()

    def _answer(self, data: bytes) -> None:
        self._write(self._client, data)

    def _deliver(self, data: bytes) -> bool:
        """Send a reply to the client, as late and in as small pieces as the proxy is set to."""
        proxy = self._proxy
        while data:
            piece, data = data[: proxy._most_bytes], data[proxy._most_bytes :]
            delay = proxy._latency + random.uniform(0, proxy._jitter)
            if (delay and self._ended(delay)) or not self._write(self._client, piece):
                return False
        return True

    def _read(self, source: socket.socket, direction: str) -> bytes | None:
        """The next bytes, held back as long as the proxy says; None when the connection has ended."""
        while True:
            if self._proxy._is_held(direction):
                if self._ended(TICK):
                    return None
                continue
            readable, _, _ = select.select([source, self._alarm], [], [], TICK)
            if self._alarm in readable:
                return None
            if source in readable and not self._proxy._is_held(direction):
                try:
                    return source.recv(CHUNK) or None
                except OSError:  # reset by the other side
                    return None

    def _write(self, target: socket.socket, data: bytes) -> bool:
        while data:
            readable, writable, _ = select.select([self._alarm], [target], [])
            if readable:
                return False
            if writable:
                try:
                    data = data[target.send(data, socket.MSG_DONTWAIT) :]
                except BlockingIOError:
                    continue
                except OSError:  # reset by the other side
                    return False
        return True

    def _ended(self, seconds: float) -> bool:
        return bool(select.select([self._alarm], [], [], seconds)[0])
