"""A server that speaks MySQL's protocol as far as a session needs it, and says whatever a test likes to one query.

with HostileServer() as server:
    server.reply = [b"..."]
    DatabaseManager(server.url).fetch_all(QUERY)
"""

import socket
import struct
import threading
from collections.abc import Iterable
from types import TracebackType

from pymysql.constants import CLIENT, FIELD_TYPE

import packets

QUERY = "SELECT 'hostile'"
SALT = b"12345678", b"123456789012"
SETTINGS = (b"16777216", b"STRICT_TRANS_TABLES", b"10.11.19-MariaDB", b"utf8mb4", b"utf8mb4", b"utf8mb4")
CAPABILITIES = (
    CLIENT.LONG_PASSWORD
    | CLIENT.CONNECT_WITH_DB
    | CLIENT.PROTOCOL_41
    | CLIENT.TRANSACTIONS
    | CLIENT.SECURE_CONNECTION
    | CLIENT.MULTI_RESULTS
    | CLIENT.PLUGIN_AUTH
)


def greeting() -> bytes:
    """https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html"""
    return b"".join(
        (
            b"\x0a5.5.5-10.11.19-MariaDB\0",
            struct.pack("<I8sx", 1, SALT[0]),
            struct.pack("<HBHHB10x", CAPABILITIES & 0xFFFF, 45, 2, CAPABILITIES >> 16, 21),
            SALT[1] + b"\0mysql_native_password\0",
        )
    )


class HostileServer:
    """Answers QUERY with `reply`, piece by piece as far as the client reads, and closes the connection then where
    `closes`; everything else with what is expected. `sessions` counts the connections."""

    def __init__(self) -> None:
        self.reply: Iterable[bytes] = ()
        self.closes = True
        self.sessions = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"mysql://root@127.0.0.1:{self._listener.getsockname()[1]}/test?tls=off"

    def __enter__(self) -> "HostileServer":
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for client in self._open:
            client.close()
        for thread in self._threads:
            thread.join(5)

    def _start(self, work: threading.Thread | object, *args: object) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sessions += 1
            self._open.append(client)
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, client.makefile("rb") as requests:
                client.sendall(packets.framed([greeting()], 0))
                self._request(requests)
                client.sendall(packets.framed([packets.OK], 2))
                while (request := self._request(requests))[:1] == b"\x03":
                    if QUERY.encode() not in request:
                        client.sendall(self._answer(request))
                        continue
                    for piece in self.reply:
                        client.sendall(piece)
                    if self.closes:
                        return
        except OSError:  # the client has gone
            return

    @staticmethod
    def _request(requests: socket.SocketIO | object) -> bytes:
        read = requests.read  # type: ignore[union-attr]
        length = int.from_bytes(read(4)[:3], "little")
        data: bytes = read(length)
        return data

    @staticmethod
    def _answer(request: bytes) -> bytes:
        if b"@@max_allowed_packet" not in request:
            return packets.framed([packets.OK])
        kinds = (FIELD_TYPE.LONGLONG, *(FIELD_TYPE.VAR_STRING,) * 5)
        columns = [packets.column("a", kind, 45) for kind in kinds]
        return packets.framed([*packets.head(columns), packets.row(*SETTINGS), packets.END])
