"""A proxy that writes down what goes through it, and that can say, in the server's place, that there is no TLS."""

import struct
from collections.abc import Callable

from proxy import FaultProxy

SSL_REQUEST = struct.pack(">ii", 8, 80877103)  # PostgreSQL's, before anything else is said
CLIENT_SSL = 0x0800  # in the lower half of the capabilities that MySQL's server greets with


class Eavesdropper(FaultProxy):
    """`said` and `answered` are the bytes of both sides. With `denies_tls` the client is led to believe that there is
    no TLS: PostgreSQL's is told so, and in MySQL's greeting the bit that offers it is missing."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.said = b""
        self.answered = b""
        self.denies_tls = False
        super().__init__(target)

    def on_request(self, data: bytes, answer: Callable[[bytes], None]) -> bytes:
        """Write down, and deny."""
        self.said += data
        if self.denies_tls and data == SSL_REQUEST:
            answer(b"N")
            return b""
        return data

    def on_reply(self, data: bytes) -> bytes:
        """Write down, and deny."""
        self.answered += data
        return without_tls(data) if self.denies_tls else data

    def forget(self, *, denies_tls: bool = False) -> None:
        """Begin anew."""
        self.said = self.answered = b""
        self.denies_tls = denies_tls


def without_tls(packet: bytes) -> bytes:
    """MySQL's greeting without the offer of TLS; anything else as it is.

    https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
    """
    if len(packet) < 40 or packet[3:5] != b"\x00\x0a":  # the first packet, protocol 10
        return packet
    at = packet.index(b"\0", 5) + 1 + 4 + 8 + 1  # version, thread, first part of the salt, filler
    (capabilities,) = struct.unpack_from("<H", packet, at)
    return packet[:at] + struct.pack("<H", capabilities & ~CLIENT_SSL) + packet[at + 2 :]


def greeting_salt(packet: bytes) -> bytes:
    """The 20 bytes with which MySQL's greeting has the password scrambled."""
    at = packet.index(b"\0", 5) + 1 + 4
    return packet[at : at + 8] + packet[at + 27 : at + 39]
