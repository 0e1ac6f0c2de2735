"""A server of MySQL's protocol that lies: a typed error each time, no crash, no hang, and memory within bounds."""

import time
import tracemalloc
from collections.abc import Iterator, Sequence
from itertools import chain, repeat

import pytest

pytest.importorskip("pymysql")

from pymysql.constants import FIELD_TYPE

import packets
from hostile import QUERY, HostileServer
from nexusql import DatabaseManager
from nexusql.backends.mysql import hooks
from nexusql.errors import ConnectionLost, DataError, QueryTimeout

COLUMNS = packets.head([packets.column("a", FIELD_TYPE.LONGLONG), packets.column("b", FIELD_TYPE.VAR_STRING, 45)])
ROW = packets.row(b"1", b"x")
ENDED = [*COLUMNS, ROW, packets.END]
SEQUENCE = len(COLUMNS) + 1


def begun(*payloads: bytes) -> bytes:
    """A result that has begun with one good row, and these."""
    return packets.framed([*COLUMNS, ROW, *payloads])


# What comes behind the first row, and then the connection is closed.
LIES = {
    "nothing": begun(),
    "half a header": begun() + b"\x05\0",
    "half a row": begun(ROW)[:-2],
    "a packet of no length": begun(b"", packets.END),
    "a packet longer than there is": begun() + b"\xff\xff\x00" + begun(ROW)[-len(ROW) - 1 :],
    "a long packet that is not continued": begun(b"\x05" * packets.LONGEST)[:-1000],
    "a sequence that goes back": begun() + packets.framed([ROW], SEQUENCE),
    "a sequence that goes on too far": begun() + packets.framed([ROW], SEQUENCE + 2),
    "the end in a word": begun(b"\xfe"),
    "an error without a number": begun(b"\xff"),
}
# What is in the second row. PyMySQL itself takes some of it, and of some it makes another error.
LIES_INSIDE = {
    "a field longer than its packet": begun(b"\x011\x09x", packets.END),
    "a field of 65535 bytes": begun(b"\x011\xfc\xff\xffx", packets.END),
    "a field of 16777215 bytes": begun(b"\x011\xfd\xff\xff\xffx", packets.END),
    "a field of 2**63 bytes": begun(b"\x011\xfe" + (1 << 63).to_bytes(8, "little") + b"x", packets.END),
    "a field of 2**64 - 1 bytes": begun(b"\x011\xfe" + b"\xff" * 8 + b"x", packets.END),
    "a length cut off": begun(b"\x011\xfe\x01", packets.END),
    "a field without a length": begun(b"\x011\xff", packets.END),
    "too few fields": begun(packets.row(b"1"), packets.END),
    "too many fields": begun(packets.row(b"1", b"x", b"y"), packets.END),
}


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer() as hostile:
        yield hostile


@pytest.fixture
def db(server: HostileServer) -> Iterator[DatabaseManager]:
    with DatabaseManager(server.url, pool_min=0) as manager:
        yield manager


def stream(db: DatabaseManager, chunk_size: int = 1000) -> list[object]:
    with db.stream(QUERY, chunk_size=chunk_size) as rows:
        return list(rows)


def check_lost(db: DatabaseManager, server: HostileServer, reply: Sequence[bytes]) -> None:
    """Whatever reads the reply loses the connection, and the next one has a new one."""
    for read in (lambda: db.fetch_all(QUERY), lambda: db.fetch_one(QUERY), lambda: stream(db), lambda: stream(db, 1)):
        server.reply, sessions = reply, server.sessions
        with pytest.raises(ConnectionLost):
            read()
        server.reply = [packets.framed(ENDED)]
        assert stream(db) == [{"a": 1, "b": "x"}]
        assert server.sessions > sessions


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_costs_the_connection_and_nothing_else(db: DatabaseManager, server: HostileServer, lie: str) -> None:
    check_lost(db, server, [LIES[lie]])


@pytest.mark.parametrize("lie", LIES_INSIDE)
def test_a_row_that_has_not_its_columns_costs_the_connection(
    db: DatabaseManager, server: HostileServer, lie: str
) -> None:
    if hooks.WHY_NOT:
        pytest.skip(hooks.WHY_NOT)
    check_lost(db, server, [LIES_INSIDE[lie]])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_a_reply_in_pieces_is_the_same_reply(db: DatabaseManager, server: HostileServer, size: int) -> None:
    server.closes = False
    data = packets.framed([*COLUMNS, *[ROW, packets.row(None, b"y" * 20)] * 20, packets.END])
    server.reply = [data[at : at + size] for at in range(0, len(data), size)]
    expected = [{"a": 1, "b": "x"}, {"a": None, "b": "y" * 20}] * 20
    assert db.fetch_all(QUERY) == expected
    assert stream(db, 7) == expected
    assert server.sessions == 1


def test_an_error_in_the_middle_leaves_the_session(db: DatabaseManager, server: HostileServer) -> None:
    server.closes = False
    server.reply = [begun(packets.error(1969, "Query execution was interrupted (max_statement_time exceeded)"))]
    for read in (lambda: db.fetch_all(QUERY), lambda: stream(db)):
        with pytest.raises(QueryTimeout):
            read()
    server.reply = [packets.framed(ENDED)]
    assert db.fetch_all(QUERY) == [{"a": 1, "b": "x"}]
    assert server.sessions == 1


@pytest.mark.parametrize(
    ("bad", "error"), [(packets.row(b"x", b"x"), ConnectionLost), (packets.row(b"1", b"\xff"), DataError)]
)
def test_a_value_that_cannot_be_read_is_told_so(
    db: DatabaseManager, server: HostileServer, bad: bytes, error: type[Exception]
) -> None:
    server.closes = False
    server.reply = [begun(bad, ROW, packets.END)]
    with pytest.raises(error):
        db.fetch_all(QUERY)
    with pytest.raises(DataError):
        stream(db, 2)
    server.reply = [packets.framed(ENDED)]
    assert db.fetch_all(QUERY) == [{"a": 1, "b": "x"}]


def test_a_server_that_falls_silent_is_left_in_time(server: HostileServer) -> None:
    server.closes = False
    server.reply = [begun() + b"\x05\0"]
    with DatabaseManager(f"{server.url}&read_timeout=0.3", pool_min=0) as db:
        for read in (lambda: db.fetch_all(QUERY), lambda: stream(db)):
            started = time.monotonic()
            with pytest.raises(ConnectionLost):
                read()
            assert time.monotonic() - started < 5


def test_rows_without_end_take_no_memory(db: DatabaseManager, server: HostileServer) -> None:
    rows = packets.framed([packets.row(b"1", b"x" * 200)] * 256, SEQUENCE)
    server.reply = chain([packets.framed(COLUMNS)], repeat(rows))
    tracemalloc.start()
    try:
        with db.stream(QUERY) as found:
            for number, record in enumerate(found):
                assert record == {"a": 1, "b": "x" * 200}
                if number == 5000:
                    before = tracemalloc.get_traced_memory()[0]
                    tracemalloc.reset_peak()
                if number == 100_000:
                    break
        assert tracemalloc.get_traced_memory()[1] - before < 2_000_000
    finally:
        tracemalloc.stop()
