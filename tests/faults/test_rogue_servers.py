"""A server that lies, or someone on the way to it: an error of ours or rows, no file read, no memory taken, no password
told.

The sessions are real ones; single answers in them are forged.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import servers
from driving import driven
from forger import Forger, mysql_packet, postgresql_message
from nexusql import DatabaseManager
from nexusql.errors import ConnectionLost, Error, OperationalError
from pooling import eventually

POISONED = "SELECT 'poison' AS taste"
MEGABYTES = 100

# A column `taste` of type text, as PostgreSQL describes it.
COLUMN = b"taste\0" + struct.pack(">ihihih", 0, 0, 25, -1, -1, 0)


def rows(count: int, *columns: bytes) -> bytes:
    """PostgreSQL's description of columns; `count` may lie about their number."""
    return postgresql_message(b"T", struct.pack(">h", count) + b"".join(columns))


def row(length: int, value: bytes, count: int = 1) -> bytes:
    """A row of PostgreSQL; `length` and `count` may lie."""
    return postgresql_message(b"D", struct.pack(">hi", count, length) + value)


def typed(oid: int) -> bytes:
    return b"taste\0" + struct.pack(">ihihih", 0, 0, oid, -1, -1, 0)


DONE = postgresql_message(b"C", b"SELECT 1\0") + postgresql_message(b"Z", b"I")
POSTGRESQL = {
    "more columns than there are": rows(30_000, COLUMN),
    "fewer than none": rows(-1, COLUMN),
    "a description that is too long": postgresql_message(b"T", b"", 0x7FFFFFFF),
    "a row that is too long": rows(1, COLUMN) + postgresql_message(b"D", b"", 0x7FFFFFFF),
    "a value longer than its row": rows(1, COLUMN) + row(0x7FFFFFFF, b"x"),
    "a value of a length below none": rows(1, COLUMN) + row(-5, b"x"),
    "a row of more columns": rows(1, COLUMN) + row(1, b"x", 7),
    "a row that nobody has described": row(1, b"x") + DONE,
    "a message that there is not": postgresql_message(b"\x01", b"x"),
    "a message shorter than its length": postgresql_message(b"T", b"", 0),
    "a number that is none": rows(1, typed(23)) + row(3, b"one") + DONE,
    "a date that is none": rows(1, typed(1082)) + row(3, b"one") + DONE,
    "a moment that is none": rows(1, typed(1184)) + row(3, b"one") + DONE,
    "JSON that is none": rows(1, typed(114)) + row(3, b"one") + DONE,
    "bytes that are none": rows(1, typed(17)) + row(3, b"\\xz") + DONE,
    "text that is not UTF-8": rows(1, COLUMN) + row(2, b"\xff\xfe") + DONE,
    "a request for a file": postgresql_message(b"G", b"\0\0\0"),
    "nothing": b"",
}


def column(kind: int, charset: int = 45) -> bytes:
    """MySQL's description of a column `taste`."""
    names = b"\3def" + b"\0" * 3 + b"\5taste" + b"\0"
    return names + b"\x0c" + struct.pack("<HIBHB", charset, 100, kind, 0, 0) + b"\0\0"


def result(kind: int, *packets: bytes) -> bytes:
    """An answer of MySQL with one column of a type, and what comes in the place of its rows."""
    parts = [b"\1", column(kind), b"\xfe\0\0\2\0", *packets]
    return b"".join(mysql_packet(part, number) for number, part in enumerate(parts, 1))


END = b"\xfe\0\0\2\0"
STRING, LONG, DATETIME, JSON, UNKNOWN = 253, 3, 12, 245, 0x77
MYSQL = {
    "columns without number": mysql_packet(b"\xfe" + b"\xff" * 8),
    "a description of nothing": mysql_packet(b"\1") + mysql_packet(b"", 2),
    "a name longer than its packet": mysql_packet(b"\1") + mysql_packet(b"\3def\xfe" + b"\xff" * 8, 2),
    "a packet longer than what comes": mysql_packet(b"\1", length=0xFFFFFF),
    "a value longer than its packet": result(STRING, b"\xfe" + b"\xff" * 7 + b"\0x", END),
    "a row of fewer columns": result(STRING, b"", END),
    "a number that is none": result(LONG, b"\3one", END),
    "a moment that is none": result(DATETIME, b"\3one", END),
    "JSON that is none": result(JSON, b"\3one", END),
    "a type that there is not": result(UNKNOWN, b"\3one", END),
    "text that is not UTF-8": result(STRING, b"\2\xff\xfe", END),
    "an error without a number": mysql_packet(b"\xff"),
    "an error of half a number": mysql_packet(b"\xff\x10"),
    "a success cut short": mysql_packet(b"\0"),
    "a success of absurd numbers": mysql_packet(b"\0" + b"\xfe" + b"\xff" * 8 + b"\xfe" + b"\xff" * 8),
    "a packet out of turn": mysql_packet(b"\1", 7),
    "an empty packet": mysql_packet(b""),
    "nothing": b"",
}


class Rogue(NamedTuple):
    """The way to a server, and who goes it."""

    forger: Forger
    db: DatabaseManager


@contextmanager
def rogue_before(kind: str) -> Iterator[Rogue]:
    """A forger before the server of a kind."""
    servers.require(kind)
    with Forger.before(servers.server_url(kind)) as forger:
        with DatabaseManager(forger.url(servers.server_url(kind)), pool_max=1, pool_timeout=5) as db:
            yield Rogue(forger, db)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Rogue]:
    """Before PostgreSQL."""
    with rogue_before("postgresql") as rogue:
        yield rogue


@pytest.fixture(scope="module")
def mysql() -> Iterator[Rogue]:
    """Before MySQL or MariaDB."""
    with rogue_before("mysql") as rogue:
        yield rogue


def used_megabytes() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def ask(rogue: Rogue, answer: bytes) -> object:
    """What a manager makes of a forged answer: rows or an error. Afterwards it goes on as if nothing had been."""
    before = used_megabytes()
    forged = rogue.forger.forged
    rogue.forger.forge(b"poison", answer)
    outcome: object
    try:
        outcome = rogue.db.fetch_all(POISONED)
    except Error as error:
        outcome = error
    assert rogue.forger.forged == forged + 1
    assert used_megabytes() - before < MEGABYTES
    assert eventually(lambda: is_well(rogue.db))
    return outcome


def is_well(db: DatabaseManager) -> bool:
    """Whether a statement is answered, and by its own answer."""
    try:
        assert db.fetch_all("SELECT 'well' AS taste") == [{"taste": "well"}]
    except ConnectionLost:  # the end of the connection has come only now
        return False
    return True


@pytest.mark.parametrize("answer", POSTGRESQL.values(), ids=POSTGRESQL)
def test_a_forged_answer_of_postgresql_spoils_nothing(postgresql: Rogue, answer: bytes) -> None:
    assert isinstance(ask(postgresql, answer), (Error, list) if answer.endswith(DONE) else Error)


@pytest.mark.parametrize("answer", MYSQL.values(), ids=MYSQL)
def test_a_forged_answer_of_mysql_spoils_nothing(mysql: Rogue, answer: bytes) -> None:
    assert isinstance(ask(mysql, answer), (Error, list))


NOISE = settings(max_examples=1000 if servers.flag("NEXUSQL_LONG") else 25, deadline=None)


@NOISE
@given(
    kind=st.sampled_from([b"T", b"D", b"C", b"E", b"N", b"S", b"A", b"G"]),
    noise=st.binary(max_size=60),
    described=st.booleans(),
)
def test_nor_does_noise_of_postgresql(postgresql: Rogue, kind: bytes, noise: bytes, described: bool) -> None:
    answer = (rows(1, COLUMN) if described else b"") + postgresql_message(kind, noise)
    assert isinstance(ask(postgresql, answer), (Error, list))


@NOISE
@given(noise=st.binary(max_size=60), rest=st.binary(max_size=20), described=st.booleans())
def test_nor_does_noise_of_mysql(mysql: Rogue, noise: bytes, rest: bytes, described: bool) -> None:
    answer = result(STRING, noise) if described else mysql_packet(noise)
    assert isinstance(ask(mysql, answer + rest), (Error, list))


def test_a_file_that_the_server_asks_for_is_not_read(mysql: Rogue, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("what is in the file")
    mysql.forger.forge(b"poison", mysql_packet(b"\xfb" + str(file).encode()), ends=False)
    mysql.forger.forget()
    with pytest.raises(Error, match="LOAD_LOCAL"):
        mysql.db.fetch_all(POISONED)
    assert is_well(mysql.db)
    assert b"what is in the file" not in mysql.forger.said


PASSWORD = "p4ss of the wire"


def with_password(forger: Forger, kind: str) -> str:
    url = forger.url(servers.server_url(kind))
    front, _, rest = url.partition("//")
    return f"{front}//forgotten:{PASSWORD.replace(' ', '%20')}@{rest.rpartition('@')[2]}"


@pytest.mark.parametrize("way", [b"mysql_clear_password\0", b"dialog\0\4Password: ", b"mysql_old_password\x0012345678"])
def test_a_password_that_could_be_read_on_the_way_is_not_sent(mysql: Rogue, way: bytes) -> None:
    forger = mysql.forger
    forger.forge(b"forgotten", mysql_packet(b"\xfe" + way, 2), ends=False)
    forger.forget()
    with pytest.raises(OperationalError, match=r"could be read on the way.* set tls=verify-full") as caught:
        driven(with_password(forger, "mysql"), 3).__enter__()
    assert PASSWORD.encode() not in forger.said
    assert PASSWORD not in str(caught.value)
    assert b"forgotten" in forger.said


def test_nor_by_postgresql_where_the_url_says_how_it_is_proved(postgresql: Rogue) -> None:
    forger = postgresql.forger
    forger.forge(b"forgotten", postgresql_message(b"R", struct.pack(">i", 3)), ends=False)
    forger.forget()
    with pytest.raises(OperationalError, match="server requested a cleartext password"):
        driven(f"{with_password(forger, 'postgresql')}?tls=off&require_auth=scram-sha-256", 3).__enter__()
    assert PASSWORD.encode() not in forger.said
