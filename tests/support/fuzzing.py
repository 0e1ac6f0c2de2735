"""Inputs for the core made from bytes, and what its two builds make of them, compared.

Any bytes give an input: `Source` makes a choice of each. So the same code serves a coverage-guided fuzzer, which
changes bytes, and a property test, which draws them. Records, converters and iterators are hostile: they raise, change
the record at work, drop the last reference to it or call the encoder again.
"""

import struct
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from types import ModuleType
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from nexusql._speedups import (
    AS_BOOL,
    AS_BYTEA,
    AS_DATE,
    AS_FLOAT8,
    AS_INT2,
    AS_INT4,
    AS_INT8,
    AS_JSONB,
    AS_TEXT,
    AS_TIMESTAMP,
    AS_TIMESTAMPTZ,
    AS_UUID,
)
from readings import FRAGMENTS

T = TypeVar("T")
Core = Mapping[str, ModuleType]  # the modules of one build, by their plain names

PIECES = ("", "a", "\0", "\t", "\n", "\r", "\\", "'", "\\N", "\\.", "é", "名", "\U0001f600", "\ud800", "\x1a", "x" * 40)
NUMBERS = (0, 1, -1, 9, 10, 255, 2**31, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 10**30)
REALS = (0.0, -0.0, 1.5, 1e22, 1e-7, 5e-324, 1.7976931348623157e308, float("nan"), float("inf"), float("-inf"))
LIMITS = (10**9, 10**9, 10**9, 10**9, 0, 1, 2, 4, 30, 100)


class Difference(AssertionError):
    """The two builds do not agree."""


class Source:
    """Choices made from bytes; when they are used up, the first of each."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        part = self.data[self.at : self.at + size]
        self.at += size
        return part.ljust(size, b"\0")

    def below(self, limit: int) -> int:
        return self.take(1)[0] % limit

    def flag(self) -> bool:
        return self.below(2) == 1

    def pick(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def text(self) -> str:
        pieces = []
        for _ in range(self.below(5)):
            point = struct.unpack("<I", self.take(4))[0] % 0x110000 if self.below(4) == 3 else None
            pieces.append(self.pick(PIECES) if point is None else chr(point))
        return "".join(pieces)

    def number(self) -> int:
        return self.pick(NUMBERS) if self.flag() else int.from_bytes(self.take(self.below(10)), "little", signed=True)

    def real(self) -> float:
        return self.pick(REALS) if self.flag() else float(struct.unpack("<d", self.take(8))[0])

    def moment(self) -> datetime:
        seconds, micros = struct.unpack("<QI", self.take(12))
        span = datetime.max - datetime.min
        return datetime.min + timedelta(
            seconds=seconds % int(span.total_seconds()), microseconds=micros % 10**6 * (micros % 2)
        )


class Text(str):
    pass


class Number(int):
    pass


class Real(float):
    pass


class Blob(bytes):
    pass


class Moment(datetime):
    pass


class Day(date):
    pass


class Record(dict[Any, Any]):
    pass


class Line(list[Any]):
    pass


class Pair(NamedTuple):
    a: Any
    b: Any


class Zone(tzinfo):
    """A zone whose code does what it is told, to whatever is at work."""

    def __init__(self, offset: Callable[[], Any]) -> None:
        self.offset = offset

    def utcoffset(self, moment: datetime | None) -> Any:
        return self.offset()

    def dst(self, moment: datetime | None) -> None:
        return None

    def tzname(self, moment: datetime | None) -> None:
        return None

    def __repr__(self) -> str:
        return "Zone()"


def no_offset() -> Any:
    raise ValueError("no offset")


class Mute:
    """A value that no converter can show."""

    def __str__(self) -> str:
        raise LookupError("mute")

    def __repr__(self) -> str:
        return "Mute()"


def make_value(source: Source) -> Any:
    """A new object each time, as far as Python makes one."""
    makers: tuple[Callable[[], Any], ...] = (
        lambda: None,
        source.text,
        source.flag,
        source.number,
        source.real,
        lambda: source.take(source.below(40)),
        source.moment,
        lambda: source.moment().date(),
        lambda: source.moment().replace(tzinfo=timezone.utc),
        lambda: source.moment().replace(tzinfo=timezone(timedelta(seconds=source.number() % 86_400))),
        lambda: source.moment().replace(tzinfo=Zone(source.pick((no_offset, lambda: None, lambda: 5)))),
        lambda: UUID(bytes=source.take(16)),
        lambda: str(UUID(bytes=source.take(16))).replace(*source.pick((("", ""), ("a", "A"), ("b", "g"), ("-", "0")))),
        lambda: Text(source.text()),
        lambda: Number(source.number()),
        lambda: Real(source.real()),
        lambda: Blob(source.take(3)),
        lambda: Moment(2026, 1, 2),
        lambda: Day(2026, 1, 2),
        lambda: Decimal(source.number()),
        lambda: [source.number()],
        lambda: (source.number(),),
        Mute,
    )
    return source.pick(makers)()


def make_fitting(source: Source, form: int) -> Any:
    """A value that a column of COPY's binary format mostly holds, where a form tells it."""
    moments: tuple[Callable[[], Any], ...] = (
        source.moment,
        lambda: source.moment().replace(tzinfo=timezone.utc),
        lambda: source.moment().replace(tzinfo=timezone(timedelta(seconds=source.number() % 86_400))),
    )
    makers: dict[int, tuple[Callable[[], Any], ...]] = {
        **dict.fromkeys((AS_TEXT, AS_JSONB), (source.text,)),
        **dict.fromkeys((AS_INT2, AS_INT4, AS_INT8), (source.number, source.flag)),
        AS_FLOAT8: (source.real, source.number),
        AS_BOOL: (source.flag,),
        AS_BYTEA: (lambda: source.take(source.below(40)),),
        AS_TIMESTAMP: moments,
        AS_TIMESTAMPTZ: moments[1:],
        AS_DATE: (lambda: source.moment().date(),),
        AS_UUID: (lambda: UUID(bytes=source.take(16)), lambda: str(UUID(bytes=source.take(16)))),
    }
    return source.pick(makers.get(form, (lambda: None,)))()


def described(value: Any, records: Sequence[Any] = ()) -> Any:
    """A value made comparable: types count, and so do the order of keys and which record it is."""
    for position, record in enumerate(records):
        if value is record:
            return ("record", position)
    if isinstance(value, dict):
        return (type(value), [(described(key), described(item)) for key, item in value.items()])
    if isinstance(value, (list, tuple)):
        return (type(value), [described(item, records) for item in value])
    if isinstance(value, BaseException):
        return (type(value), described(value.args))
    return (type(value), repr(value))


class Batch:
    """Records for one call, made one by one, and the converters that see their values."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.width = source.below(7)
        self.names = tuple("abcdefg"[: self.width]) if source.below(4) else None
        self.surplus = source.flag()
        self.size = source.below(7)
        self.fails_at = source.below(32)
        self.kept: list[Any] | None = [] if source.flag() else None
        self.current: Any = None
        # Only a record that nobody else holds shows a reference that is used after its end.
        self.shown: list[Any] | None = [] if source.flag() else None
        self.made = 0
        self.log: list[Any] = []
        self.forms: tuple[int, ...] | None = None

    def make_cell(self, column: int) -> Any:
        choice = self.source.below(16)
        if choice == 15:
            return datetime(2026, 1, 2, tzinfo=Zone(lambda: self.change() or timedelta(hours=1)))
        if self.forms is None or choice < 2:
            return make_value(self.source)
        return make_fitting(self.source, self.forms[column])

    def make_record(self) -> Any:
        source = self.source
        self.made += 1
        values = [self.make_cell(column) for column in range(self.width)]
        makers: tuple[Callable[[], Any], ...]
        if self.names is None:
            makers = (
                lambda: tuple(values),
                lambda: list(values),
                lambda: Line(values),
                lambda: Pair(*[*values, None, None][:2]),
                lambda: [*values, 1],
                lambda: tuple(values[1:]),
                lambda: None,
                lambda: "ab",
            )
        else:
            pairs = list(zip(self.names, values, strict=True))
            makers = (
                lambda: dict(pairs),
                lambda: dict(reversed(pairs)),
                lambda: {"".join([*name, ""]): value for name, value in pairs},
                lambda: {**dict(pairs), "z": 1},
                lambda: {"z": 1, **dict(pairs)},
                lambda: dict(pairs[1:]),
                lambda: {**dict(pairs[1:]), 1: 2},
                lambda: OrderedDict(pairs),
                lambda: defaultdict(int, pairs[1:]),
                lambda: Record(pairs),
                lambda: tuple(values),
                lambda: None,
            )
        # Most records are ordinary ones, or no batch would be long.
        self.current = makers[0]() if source.below(4) else source.pick(makers)()
        if self.shown is not None:
            self.shown.append(self.current)
        return self.current

    def records(self) -> Iterator[Any]:
        for number in range(self.size):
            if number == self.fails_at:
                raise OSError("the rows have failed")
            # No variable of this frame holds the record.
            yield self.make_record()

    def change(self) -> bool:
        """Empty what the encoder is at work on, and let go of it."""
        for container in (self.current, self.kept):
            if isinstance(container, (dict, list)):
                container.clear()
        self.current = None
        return False

    def extend(self) -> bool:
        """Let the record at work grow."""
        if isinstance(self.current, dict):
            self.current.update((f"new {n}", n) for n in range(20))
        elif isinstance(self.current, list):
            self.current.extend(range(20))
        return False

    def converter(self, column: int, again: Callable[[], Any]) -> Callable[[Any], Any]:
        """A function that notes what it is called with, and then does what the source picks once for all its calls."""

        def refuse(value: Any) -> Any:
            raise ValueError("refused")

        def stop(value: Any) -> Any:
            raise KeyboardInterrupt("stopped")

        actions: tuple[Callable[[Any], Any], ...] = (
            str,
            repr,
            lambda value: None,
            lambda value: ascii(value).encode(),
            lambda value: Text("'\\\t"),
            lambda value: Blob(b"blob"),
            lambda value: self.change() or repr(value),
            lambda value: self.extend() or "x" * 300,
            lambda value: again() and "again",
            lambda value: PIECES[len(PIECES)],
            lambda value: value,
            lambda value: bytearray(b"x"),
            refuse,
            stop,
        )
        action = self.source.pick(actions)

        def convert(value: Any) -> Any:
            self.log.append((column, described(value)))
            return action(value)

        return convert

    def drive(self, call: Callable[[Any, Iterator[Any], int, int], tuple[Any, int, int, Any]]) -> list[Any]:
        """What calls of (first, rows, max_rows, max_bytes) give, one after another, and all else that they do."""
        source = self.source
        seen: list[Any] = []
        max_rows, max_bytes = source.pick(LIMITS), source.pick(LIMITS)
        first = self.make_record() if source.flag() else None
        rows = self.records()
        for _ in range(4):
            try:
                data, count, status, detail = call(first, rows, max_rows, max_bytes)
            except (Exception, KeyboardInterrupt) as error:
                seen.append(described(error))
                break
            shown = self.shown or ()
            seen.append((described(data), count, status, described(detail, shown), described(self.kept, shown)))
            if status:
                break
            first = detail
        return [seen, self.log, described(self.shown), self.made]


def encode(source: Source, core: Core) -> Any:
    """copy_rows, literal_rows or binary_rows."""
    batch = Batch(source)
    encoder = core["encoder"]
    masks = tuple(source.take(batch.width))
    again = lambda: encoder.copy_rows(None, iter([("a",)]), None, False, (1,), (str,), 9, 99, None)  # noqa: E731
    converters = tuple(batch.converter(column, again) for column in range(batch.width))
    fixed = (batch.names, batch.surplus, masks, converters)
    form = source.below(4)
    if form == 3:
        batch.forms = tuple(source.below(AS_UUID + 2) for _ in range(batch.width))

    def call(first: Any, rows: Iterator[Any], max_rows: int, max_bytes: int) -> Any:
        if batch.forms is not None:
            wide = tuple(mask | 255 * (mask % 4 > 0) for mask in masks)
            shape = (batch.names, batch.surplus, batch.forms, wide, converters)
            return encoder.binary_rows(first, rows, *shape, max_rows, max_bytes, batch.kept)
        if form == 0:
            return encoder.copy_rows(first, rows, *fixed, max_rows, max_bytes, batch.kept)
        return encoder.literal_rows(first, rows, *fixed, form == 1, max_rows, max_bytes, batch.kept)

    return batch.drive(call)


def flatten(source: Source, core: Core) -> Any:
    """flat_rows."""
    batch = Batch(source)
    flat_rows = core["binder"].flat_rows
    adapters = {kind: source.pick((None, batch.converter(0, lambda: None))) for kind in (str, int, float, bytes, list)}
    otherwise = batch.converter(1, lambda: None)
    fixed = (batch.names, batch.width, batch.surplus, adapters, otherwise)

    def call(first: Any, rows: Iterator[Any], max_rows: int, max_bytes: int) -> Any:
        return flat_rows(first, rows, *fixed, max_rows, batch.kept)

    return batch.drive(call)


def attempted(call: Callable[..., Any], *args: Any) -> Any:
    """What a call gives or raises."""
    try:
        return described(call(*args))
    except (Exception, KeyboardInterrupt) as error:
        return described(error)


def bind(source: Source, core: Core) -> Any:
    """bind and bind_sequence."""
    batch = Batch(source)
    values = [make_value(source) for _ in range(source.below(6))]
    adapters = {kind: source.pick((None, batch.converter(0, lambda: None))) for kind in (str, int, float, list)}
    otherwise = batch.converter(1, lambda: None)
    names = tuple(source.pick("abcdefz") for _ in range(source.below(8)))
    lists = tuple(source.pick("abc") for _ in range(source.below(3)))
    order = tuple(source.below(7) - 1 for _ in range(source.below(6))) if source.flag() else None
    binder = core["binder"]
    named = attempted(binder.bind, names, dict(zip("abcdef", values, strict=False)), adapters, otherwise, lists)
    return named, attempted(binder.bind_sequence, order, values, adapters, otherwise), batch.log


def scan(source: Source, core: Core) -> Any:
    """The scanner, under any rules."""
    rules, version = int.from_bytes(source.take(3), "little") & 0x1FFFF, source.pick((0, 101119, 80039))
    pieces = (source.text() if source.below(8) == 7 else source.pick(FRAGMENTS) for _ in range(source.below(40)))
    return attempted(core["scanner"].scan, "".join(pieces), rules, version)


def build(source: Source, core: Core) -> Any:
    """The row builder."""
    names = tuple(source.pick("abcdefgh") for _ in range(source.below(9)))
    out: list[Any] = []
    rows = [
        source.pick((tuple, list, Line))(make_value(source) for _ in range(len(names) + (source.below(20) == 19)))
        for _ in range(source.below(6))
    ]
    return attempted(core["records"].extend_dicts, out, iter(rows), names), described(out)


TARGETS: tuple[Callable[[Source, Core], Any], ...] = (encode, encode, encode, encode, flatten, bind, scan, build)


def check(data: bytes, interpreted: Core, compiled: Core) -> None:
    """Raises Difference where the two builds do not make the same of an input."""
    target = TARGETS[Source(data).below(len(TARGETS))]
    expected, found = (target(Source(data[1:]), core) for core in (interpreted, compiled))
    if expected != found:
        raise Difference(f"{target.__name__}, {data!r}:\n  interpreted {expected}\n  compiled    {found}")
