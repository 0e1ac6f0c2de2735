"""The decoder of row packets. Its reference is PyMySQL's own reading, in tests/support/packets.py."""

import gc
import random
import sys
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fuzzing
import packets
from nexusql._speedups.codes import BYTES, CALLED, DATE, DATETIME, FLOAT, INT, STR, TIMEDELTA
from nexusql.backends.mysql.rows import KINDS
from readings import implementation

RULES = {kind: rule for rule, kind in KINDS.items()}
ALL = (STR, BYTES, INT, FLOAT, DATETIME, DATE, TIMEDELTA, CALLED)
RULES[CALLED] = ("ascii", Decimal)
VALUES = (b"\xc3\xa9", b"\xff", b"-12", b"0.5", b"2026-01-02 03:04:05.6", b"2026-01-02", b"-26:00:01", b"0.10")
ROW = (
    *("é", b"\xff", -12, 0.5, datetime(2026, 1, 2, 3, 4, 5, 600_000), date(2026, 1, 2)),
    *(-timedelta(hours=26, seconds=1), Decimal("0.10")),
)
NAMES = tuple("abcdefgh")
MANY = 1_000_000


@pytest.fixture
def decoder() -> ModuleType:
    return implementation("packets", True)


def rules(*kinds: int) -> tuple[bytes, Any]:
    return bytes(kinds), tuple(RULES[kind] for kind in kinds)


def decoded(decoder: ModuleType, kind: int, data: bytes) -> Any:
    (value,) = decoder.decode_row(packets.row(data), *rules(kind), None)
    return value


def test_a_row_of_every_kind(decoder: ModuleType) -> None:
    payload = packets.row(*VALUES)
    assert decoder.decode_row(payload, *rules(*ALL), None) == ROW
    assert decoder.decode_row(payload, *rules(*ALL), NAMES) == dict(zip(NAMES, ROW, strict=True))
    assert decoder.decode_row(packets.row(*[None] * 8), *rules(*ALL), None) == (None,) * 8
    assert list(decoder.decode_row(payload, *rules(*ALL), NAMES)) == list(NAMES)


@pytest.mark.parametrize("kind", ALL)
@given(data=st.sampled_from(fuzzing.FIELDS) | st.text("0123456789-:. T+e", max_size=27).map(str.encode) | st.binary())
def test_any_field_is_what_pymysql_makes_of_it(kind: int, data: bytes) -> None:
    decoder = implementation("packets", True)
    payload = packets.row(data)
    expected = fuzzing.attempted(packets.decode_row, payload, *rules(kind), None)
    assert fuzzing.attempted(decoder.decode_row, payload, *rules(kind), None) == expected


@given(number=st.integers(), real=st.floats(), at=st.datetimes(), span=st.timedeltas(timedelta(-41), timedelta(41)))
def test_what_a_server_writes_is_read_back(number: int, real: float, at: datetime, span: timedelta) -> None:
    decoder = implementation("packets", True)
    assert decoded(decoder, INT, b"%d" % number) == number
    assert repr(decoded(decoder, FLOAT, repr(real).encode())) == repr(real)
    assert decoded(decoder, DATETIME, at.isoformat(" ").encode()) == at
    assert decoded(decoder, DATE, at.date().isoformat().encode()) == at.date()
    seconds, micros = divmod(abs(span) // timedelta(microseconds=1), 10**6)
    text = f"{'-' * (span < timedelta(0))}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{micros:06}"
    assert decoded(decoder, TIMEDELTA, text.encode()) == span


@pytest.mark.parametrize("size", [0, 1, 250, 251, 255, 256, 65_535, 65_536, 1 << 20])
def test_a_length_has_one_three_four_or_nine_bytes(decoder: ModuleType, size: int) -> None:
    assert decoded(decoder, BYTES, b"\xfb" * size) == b"\xfb" * size
    assert decoder.decode_row(b"\xfe" + size.to_bytes(8, "little") + b"x" * size, *rules(STR), None) == ("x" * size,)


def rows_of(decoder: ModuleType, block: bytes, *, sequence: int = 1, most: int = 99) -> tuple[int, list[Any]]:
    out: list[Any] = []
    return decoder.decode_rows(block, sequence, *rules(INT, STR), ("a", "b"), out, most), out


def test_rows_are_taken_as_far_as_they_go(decoder: ModuleType) -> None:
    good = packets.row(b"1", b"x")
    expected = {"a": 1, "b": "x"}
    for bad in (packets.END, b"", packets.error(1, "x"), packets.row(b"1"), packets.row(b"x", b"x"), good + b"\0"):
        block = packets.framed([good, good, bad, good])
        assert rows_of(decoder, block) == (2 * (4 + len(good)), [expected] * 2)
    block = packets.framed([good] * 5)
    size = 4 + len(good)
    for length in range(len(block) + 1):
        assert rows_of(decoder, block[:length]) == (length // size * size, [expected] * (length // size))
    assert rows_of(decoder, block, most=3) == (3 * size, [expected] * 3)
    assert rows_of(decoder, block, most=0) == rows_of(decoder, block, sequence=2) == (0, [])
    assert rows_of(decoder, packets.framed([good] * 300, 250), sequence=250, most=300)[1] == [expected] * 300


def test_the_last_of_two_equal_names_wins(decoder: ModuleType) -> None:
    for width in (2, 8):
        payload = packets.row(*[b"%d" % number for number in range(width)])
        names = ("a",) * (width - 1) + ("b",)
        out: list[Any] = []
        decoder.decode_rows(packets.framed([payload] * 2), 1, *rules(*[INT] * width), names, out, 9)
        assert out == [{"a": width - 2, "b": width - 1}] * 2
        assert out[0] is not out[1]


def test_columns_that_do_not_fit_each_other_are_refused(decoder: ModuleType) -> None:
    for kinds, columns, names in ((b"\1\1", (RULES[STR],), None), (b"\1", (RULES[STR],), ("a", "b"))):
        with pytest.raises(ValueError):
            decoder.decode_row(b"\0", kinds, columns, names)


def test_a_million_rows_leave_nothing_behind(decoder: ModuleType) -> None:
    """Errors in the middle of them included, of all kinds that a row can end with."""
    good = packets.row(*VALUES)
    odd = packets.row(b"", None, b"9" * 30, b"1e", b"0000-00-00 00:00:00", b"2026-02-30", b"x", b"1")
    bad = [
        *(packets.row(b"\xff", *VALUES[1:]), packets.row(*VALUES[:7], b"x"), packets.row(*VALUES[:7]), good + b"\0"),
        *(good[:-1], packets.END, b"\xff", b"\x01" * 8, packets.row(*VALUES[:2], b"x", *VALUES[3:])),
    ]
    blocks = [packets.framed([good] * 900 + [one] + [good] * 99) for one in bad]
    blocks.append(packets.framed([good] * 200))
    columns = rules(*ALL)
    held = [*RULES.values(), *NAMES, columns, *blocks]
    chance = random.Random(1)

    def run(count: int) -> None:
        done = 0
        while done < count:
            for names in (NAMES, None):
                out: list[Any] = []
                decoder.decode_rows(chance.choice(blocks), 1, *columns, names, out, 5000)
                done += len(out)
                for payload in (odd, *bad):
                    fuzzing.attempted(decoder.decode_row, payload, *columns, names)

    run(10_000)
    gc.collect()
    blocks_before, counts_before = sys.getallocatedblocks(), [sys.getrefcount(one) for one in held]
    run(MANY)
    gc.collect()
    assert [sys.getrefcount(one) for one in held] == counts_before
    assert sys.getallocatedblocks() - blocks_before < 500
