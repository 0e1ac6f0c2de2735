"""A proxy that answers in the server's place, once, as no server should."""

from collections.abc import Callable

from eavesdropper import Eavesdropper


class Forger(Eavesdropper):
    """See `forge`; `forged` counts the answers it has given."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._pattern = b""
        self._answer = b""
        self._ends = False
        self._armed = False
        self.forged = 0
        super().__init__(target)

    def forge(self, pattern: bytes, answer: bytes, *, ends: bool = True) -> None:
        """Once, have the request in which `pattern` is sent answered by this, and `ends` the connection after it."""
        self._pattern, self._answer, self._ends = pattern, answer, ends

    def on_request(self, data: bytes, answer: Callable[[bytes], None]) -> bytes:
        """Look for the pattern."""
        if self._pattern and self._pattern in data:
            self._pattern = b""
            self._armed = True
        return super().on_request(data, answer)

    def on_reply(self, data: bytes) -> bytes:
        """Put the answer in the place of the server's."""
        data = super().on_reply(data)
        if not self._armed:
            return data
        self._armed = False
        self.forged += 1
        if not self._ends:
            return self._answer
        self.cut_after(len(self._answer), replies=True)
        return self._answer + b"."  # the byte too many, by which the connection is cut


def mysql_packet(payload: bytes, number: int = 1, length: int | None = None) -> bytes:
    """A packet of MySQL's protocol; `length` lies about its size."""
    return (len(payload) if length is None else length).to_bytes(3, "little") + bytes([number]) + payload


def postgresql_message(kind: bytes, payload: bytes, length: int | None = None) -> bytes:
    """A message of PostgreSQL's protocol; `length` lies about its size."""
    return kind + (len(payload) + 4 if length is None else length).to_bytes(4, "big") + payload
