"""Packets of TDS on a socket, with TLS inside of them or around them ([MS-TDS] 2.2.3 and 3.2.5)."""

import select
import socket
import ssl
import struct

from tds_messages import ATTENTION, PACKET_SIZE, PRELOGIN

_HANDSHAKE = b"\x16"  # the first byte of a client that begins with TLS


class Attention(Exception):
    """The client wants no more of the answer."""


class Channel:
    """One side of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._out = bytearray()
        self._number = 0

    @property
    def encrypted(self) -> bool:
        """Whether what is read and written now is encrypted."""
        return self._tls is not None

    def begins_with_tls(self) -> bool:
        """Whether the client speaks TLS before anything else, as TDS 8 has it."""
        return self._socket.recv(1, socket.MSG_PEEK) == _HANDSHAKE

    def start_tls(self, context: ssl.SSLContext, *, within: bool) -> None:
        """Shake hands, by messages of PRELOGIN where TLS lies within TDS. Raises ssl.SSLError."""
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._say(within)
                self._incoming.write(self.read()[1] if within else self._received())
        self._say(within)
        self._tls = tls

    def stop_tls(self) -> None:
        """Go on in the clear: only the login was to be encrypted."""
        self._tls = None

    def _say(self, within: bool) -> None:
        said = self._outgoing.read()
        if said and within:
            self._packet(PRELOGIN, said, last=True)
        elif said:
            self._socket.sendall(said)

    def _received(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise EOFError
        return data

    def _take(self, count: int) -> bytes:
        """Bytes of the client, in the clear. Raises EOFError."""
        taken = b""
        while len(taken) < count:
            if self._tls is None:
                piece = self._socket.recv(count - len(taken))
            else:
                try:
                    piece = self._tls.read(count - len(taken))
                except ssl.SSLWantReadError:
                    self._incoming.write(self._received())
                    continue
            if not piece:
                raise EOFError
            taken += piece
        return taken

    def read(self) -> tuple[int, bytes]:
        """The next message: its kind and what it holds. Raises EOFError."""
        content = b""
        while True:
            kind, status, length = struct.unpack(">BBH4x", self._take(8))
            content += self._take(length - 8)
            if status & 1:
                return kind, content

    def readable(self, seconds: float) -> bool:
        """Whether the client says something, or goes, within this time."""
        if self._tls is not None and (self._tls.pending() or self._incoming.pending):
            return True
        return bool(select.select([self._socket], [], [], seconds)[0])

    def listen(self, seconds: float) -> None:
        """Raise Attention where the client asks for it in this time."""
        if self.readable(seconds):
            kind, _ = self.read()
            assert kind == ATTENTION, kind
            raise Attention

    def write(self, kind: int, data: bytes) -> None:
        """A part of a message."""
        self._out += data
        most = PACKET_SIZE - 8
        while len(self._out) > most:
            piece, self._out = bytes(self._out[:most]), self._out[most:]
            self._packet(kind, piece, last=False)

    def flush(self, kind: int) -> None:
        """Send what there is of a message."""
        piece, self._out = bytes(self._out), bytearray()
        if piece:
            self._packet(kind, piece, last=False)

    def end(self, kind: int) -> None:
        """The end of a message."""
        piece, self._out = bytes(self._out), bytearray()
        self._packet(kind, piece, last=True)

    def _packet(self, kind: int, data: bytes, *, last: bool) -> None:
        self._number += 1
        packet = struct.pack(">BBHHBB", kind, last, len(data) + 8, 0, self._number % 256, 0) + data
        if self._tls is None:
            self._socket.sendall(packet)
        else:
            self._tls.write(packet)
            self._socket.sendall(self._outgoing.read())

    def reset(self) -> None:
        """Break the connection off, so that the client is told of a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # the client has gone first
            return
        finally:
            self._socket.close()
