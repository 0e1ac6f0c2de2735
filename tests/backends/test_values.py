"""What may be bound, and as what: the closed list of value types, before any driver sees them."""

import enum
import pathlib
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from nexusql.backends import Array, Json, backend_for
from nexusql.backends.base import Backend
from nexusql.backends.postgresql.values import array_literal
from nexusql.config import ConnectionConfig
from nexusql.errors import ParameterError

BACKENDS = {
    kind: backend_for(ConnectionConfig.from_url(url))
    for kind, url in {
        "sqlite": "sqlite://:memory:",
        "postgresql": "postgresql://h/d",
        "mysql": "mysql://h/d",
        "mssql": "mssql://h/d",
    }.items()
}
TWO_HOURS = timezone(timedelta(hours=2))
AN_ID = UUID("12345678-1234-5678-1234-567812345678")


def adapted(backend: Backend, value: Any) -> Any:
    adapter = backend.adapters.get(type(value), backend.adapt_other)
    return value if adapter is None else adapter(value)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    return BACKENDS[request.param]


class Text(str):
    def __str__(self) -> str:
        return "evil"

    def replace(self, *args: Any) -> str:
        return "evil"

    def encode(self, *args: Any) -> bytes:
        return b"evil"

    def translate(self, *args: Any) -> str:
        return "evil"


class Whole(int):
    def __int__(self) -> int:
        return 666

    __index__ = __int__

    def __str__(self) -> str:
        return "1; DROP TABLE t"

    __repr__ = __str__


class Real(float):
    def __float__(self) -> float:
        return 666.0

    def __repr__(self) -> str:
        return "1; DROP TABLE t"


class Bytes(bytes):
    def hex(self, *args: Any) -> str:
        return "' OR 1=1"

    def __bytes__(self) -> bytes:
        return b"evil"

    def __getitem__(self, key: Any) -> Any:
        return b"evil"


class Number(Decimal):
    def __str__(self, *args: Any) -> str:
        return "1; DROP TABLE t"

    def __format__(self, *args: Any) -> str:
        return "1; DROP TABLE t"


class Moment(datetime):
    def isoformat(self, *args: Any) -> str:
        return "'; DROP TABLE t"

    def __format__(self, spec: str) -> str:
        return "'; DROP TABLE t"


class Day(date):
    def isoformat(self) -> str:
        return "'; DROP TABLE t"


class Clock(time):
    def isoformat(self, *args: Any) -> str:
        return "'; DROP TABLE t"


class Span(timedelta):
    def __str__(self) -> str:
        return "'; DROP TABLE t"


class Id(UUID):
    def __str__(self) -> str:
        return "'; DROP TABLE t"


class Colour(enum.Enum):
    RED = "r'ed"


class Level(enum.IntEnum):
    HIGH = 3


class Name(str, enum.Enum):
    BOB = "bob"

    def __str__(self) -> str:
        return "evil"


class Pair(NamedTuple):
    a: int
    b: int


class Outer(enum.Enum):
    INNER = Name.BOB


SUBCLASSES = [
    (Text("good"), "good"),
    (Whole(5), 5),
    (Real(1.5), 1.5),
    (Bytes(b"good"), b"good"),
    (Number("1.50"), Decimal("1.50")),
    (Moment(2020, 1, 2, 3, 4, 5, 6), datetime(2020, 1, 2, 3, 4, 5, 6)),
    (Moment(2020, 1, 2, 3, tzinfo=TWO_HOURS), datetime(2020, 1, 2, 3, tzinfo=TWO_HOURS)),
    (Day(2020, 1, 2), date(2020, 1, 2)),
    (Clock(1, 2, 3, 4), time(1, 2, 3, 4)),
    (Span(days=-1, microseconds=5), timedelta(days=-1, microseconds=5)),
    (Id(int=AN_ID.int), AN_ID),
    (Colour.RED, "r'ed"),
    (Level.HIGH, 3),
    (Name.BOB, "bob"),
    (Outer.INNER, "bob"),
    (OrderedDict(a=1), {"a": 1}),
    (Pair(1, 2), [1, 2]),
    (bytearray(b"x"), b"x"),
    (memoryview(b"xyz")[::2], b"xz"),
]


@pytest.mark.parametrize(("value", "plain"), SUBCLASSES, ids=lambda value: type(value).__name__)
def test_a_subclass_is_bound_exactly_as_its_base_whatever_it_overrides(
    backend: Backend, value: Any, plain: Any
) -> None:
    bound, expected = adapted(backend, value), adapted(backend, plain)
    assert bound == expected
    assert type(bound) is type(expected)


@pytest.mark.parametrize(
    "value", [pathlib.PurePosixPath("x' OR 1=1"), object(), {1}, frozenset("a"), (i for i in [1]), 1j, range(3), int]
)
def test_a_type_outside_the_list_is_refused_by_its_name_and_never_by_its_value(backend: Backend, value: Any) -> None:
    with pytest.raises(ParameterError, match="accepted are None, bool, int") as caught:
        adapted(backend, value)
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    assert f"of type {name} " in str(caught.value)
    assert "OR 1=1" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


class NoOffset(tzinfo):
    def utcoffset(self, moment: datetime | None) -> None:
        return None

    def dst(self, moment: datetime | None) -> None:
        return None

    def tzname(self, moment: datetime | None) -> str:
        return "nowhere"


def test_sqlite_stores_moments_as_utc_text_that_sorts() -> None:
    sqlite = BACKENDS["sqlite"]
    assert adapted(sqlite, datetime(2020, 1, 2)) == "2020-01-02 00:00:00.000000"
    assert adapted(sqlite, datetime(2020, 1, 2, 1, tzinfo=TWO_HOURS)) == "2020-01-01 23:00:00.000000"
    assert adapted(sqlite, datetime(2020, 1, 2, 1, tzinfo=NoOffset())) == "2020-01-02 01:00:00.000000"
    assert adapted(sqlite, datetime(1, 1, 1)) == "0001-01-01 00:00:00.000000"
    assert adapted(sqlite, date(999, 1, 2)) == "0999-01-02"
    assert adapted(sqlite, time(1, 2, 3)) == "01:02:03"
    assert adapted(sqlite, True) == 1


@pytest.mark.parametrize("kind", ["sqlite", "mysql", "mssql"])
@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(0), "00:00:00"),
        (timedelta(days=4, hours=5, microseconds=7), "101:00:00.000007"),
        (timedelta(seconds=-1), "-00:00:01"),
        (-timedelta(hours=30, minutes=1, microseconds=1), "-30:01:00.000001"),
    ],
)
def test_a_duration_is_a_clock_that_may_count_beyond_a_day(kind: str, span: timedelta, text: str) -> None:
    assert adapted(BACKENDS[kind], span) == text


@pytest.mark.parametrize("kind", ["mysql", "mssql"])
def test_some_get_aware_datetimes_as_utc_and_naive_ones_as_they_are(kind: str) -> None:
    naive = datetime(2020, 1, 2, 3)
    assert adapted(BACKENDS[kind], naive) is naive
    assert adapted(BACKENDS[kind], datetime(2020, 1, 2, 1, tzinfo=TWO_HOURS)) == datetime(2020, 1, 1, 23)


def test_postgresql_gets_aware_datetimes_with_their_offset() -> None:
    value = datetime(2020, 1, 2, 1, tzinfo=TWO_HOURS)
    assert adapted(BACKENDS["postgresql"], value) is value
    assert adapted(BACKENDS["postgresql"], value.replace(tzinfo=NoOffset())) == datetime(2020, 1, 2, 1)


@pytest.mark.parametrize("kind", ["sqlite", "mysql", "mssql"])
def test_a_moment_outside_the_calendar_in_utc_is_refused(kind: str) -> None:
    with pytest.raises(ParameterError, match="years 1 to 9999"):
        adapted(BACKENDS[kind], datetime(1, 1, 1, tzinfo=TWO_HOURS))


@pytest.mark.parametrize("kind", ["sqlite", "mysql", "mssql"])
def test_a_time_with_a_zone_is_refused_where_no_type_holds_it(kind: str) -> None:
    with pytest.raises(ParameterError, match="time with a zone"):
        adapted(BACKENDS[kind], time(1, tzinfo=TWO_HOURS))


INFINITE = [float("inf"), float("-inf"), Decimal("Infinity"), Decimal("-Infinity")]
NOT_A_NUMBER = [float("nan"), Decimal("NaN"), Decimal("sNaN")]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("sqlite", [*NOT_A_NUMBER, Decimal("Infinity")]),
        ("mysql", [*INFINITE, *NOT_A_NUMBER, Real("nan")]),
        ("mssql", [*INFINITE, *NOT_A_NUMBER, Real("nan")]),
        ("postgresql", [Decimal("Infinity"), Decimal("-Infinity"), Decimal("sNaN")]),
    ],
)
def test_a_number_that_the_database_would_lose_is_refused(kind: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(ParameterError):
            adapted(BACKENDS[kind], value)


def test_more_digits_than_mysql_has_are_refused() -> None:
    values: list[Any] = [10**65, -(10**65), 10**5000, Decimal("1e65"), Decimal("1e-66"), Decimal("1." + "1" * 65)]
    for value in values:
        with pytest.raises(ParameterError, match="65 digits"):
            adapted(BACKENDS["mysql"], value)


@pytest.mark.parametrize("value", [10**65 - 1, -(10**65) + 1, Decimal("0e-65"), Decimal("1e64"), Decimal("-0.5")])
def test_as_many_digits_as_mysql_has_pass(value: Any) -> None:
    assert adapted(BACKENDS["mysql"], value) is value


def test_json_is_text_in_which_nothing_is_lost(backend: Backend) -> None:
    value: dict[str, Any] = {"key": ["é😀", None, True, 1.5, {"nested": []}], "quote": "'\\\""}
    text = adapted(backend, value)
    assert text == '{"key": ["é😀", null, true, 1.5, {"nested": []}], "quote": "\'\\\\\\""}'
    assert adapted(backend, Json(value)) == text
    assert adapted(backend, Json("x")) == '"x"'
    assert adapted(backend, Json(None)) == "null"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": float("nan")}, "JSON"),
        ({"a": {1}}, "set is not JSON serializable"),
        ({(1, 2): 3}, "keys must be"),
        (Json(object()), "object is not JSON serializable"),
    ],
)
def test_what_is_not_json_is_refused(backend: Backend, value: Any, reason: str) -> None:
    with pytest.raises(ParameterError, match=reason):
        adapted(backend, value)


def test_json_that_contains_itself_is_refused(backend: Backend) -> None:
    endless: dict[str, Any] = {}
    endless["self"] = endless
    with pytest.raises(ParameterError, match="Circular"):
        adapted(backend, endless)


@pytest.mark.parametrize("kind", ["sqlite", "mysql", "mssql"])
def test_a_list_is_a_json_array_where_there_are_no_arrays(kind: str) -> None:
    backend = BACKENDS[kind]
    assert adapted(backend, [1, "a", None]) == '[1, "a", null]'
    assert adapted(backend, ()) == "[]"
    assert adapted(backend, Array({"a": 1})) == '["a"]'


def test_a_list_is_an_array_on_postgresql_with_its_items_adapted() -> None:
    backend = BACKENDS["postgresql"]
    assert adapted(backend, [Text("good"), Level.HIGH, b"x", None]) == ["good", 3, b"x", None]
    assert adapted(backend, ([1, 2], (3, 4))) == [[1, 2], [3, 4]]
    assert adapted(backend, Array(i for i in [1, 2])) == [1, 2]
    assert adapted(backend, [{"a": 1}]) == ['{"a": 1}']
    empty: list[Any] = [[], (), [[]], [(), []]]
    assert [adapted(backend, items) for items in empty] == ["{}", "{}", "{{}}", "{{},{}}"]
    assert adapted(backend, [[AN_ID], [None]]) == f'{{{{"{AN_ID}"}},{{NULL}}}}'


def test_an_item_of_an_array_is_checked_like_any_value() -> None:
    for items in ([object()], [[1], [{2}]], (Decimal("Infinity"),)):
        with pytest.raises(ParameterError):
            adapted(BACKENDS["postgresql"], items)


def test_array_literals_quote_what_the_syntax_of_arrays_would_read() -> None:
    items = [None, "NULL", 'a"b', "a\\b", "a,b{}", "", True, False, 1, -1.5, float("inf"), float("nan"), b"\x00\xff"]
    assert array_literal(items) == ('{NULL,"NULL","a\\"b","a\\\\b","a,b{}","",t,f,1,-1.5,Infinity,NaN,"\\\\x00ff"}')
    moment = datetime(2020, 1, 2, 1, tzinfo=TWO_HOURS)
    spans = [timedelta(days=-1, seconds=2), date(2020, 1, 2), time(1), moment, moment.replace(tzinfo=None)]
    assert array_literal(spans) == (
        '{"-1 days 2.000000 seconds","2020-01-02","01:00:00","2020-01-01 23:00:00.000000+00:00","2020-01-02 01:00:00"}'
    )


def test_long_lists_are_one_value_in_each_databases_form() -> None:
    items = [AN_ID, "a'b", 5, True]
    assert BACKENDS["postgresql"].adapt_list(items) == f'{{"{AN_ID}","a\'b",5,t}}'
    assert BACKENDS["sqlite"].adapt_list(items) == f'["{AN_ID}", "a\'b", 5, true]'  # json_each makes 1 of it
    assert BACKENDS["mysql"].adapt_list(items) == f'["{AN_ID}", "a\'b", 5, true]'
    with pytest.raises(ParameterError, match="JSON"):
        BACKENDS["sqlite"].adapt_list([b"x"])


class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents


class Euro(Money):
    pass


def with_adapters(kind: str, adapters: dict[type, Callable[[Any], Any]], **options: Any) -> Backend:
    config = ConnectionConfig.from_url({"sqlite": "sqlite://:memory:"}.get(kind, f"{kind}://h/d"))
    return backend_for(config, adapters=adapters, **options)


@pytest.mark.parametrize("kind", BACKENDS)
def test_adapters_widen_the_list_for_a_type_and_its_subclasses(kind: str) -> None:
    backend = with_adapters(kind, {Money: lambda money: Level(money.cents), pathlib.PurePath: str})
    assert adapted(backend, Money(3)) == 3
    assert type(adapted(backend, Euro(3))) is int
    assert adapted(backend, pathlib.PurePosixPath("/a")) == "/a"
    assert adapted(backend, "a") == "a"
    assert Money not in BACKENDS[kind].adapters


@pytest.mark.parametrize("kind", BACKENDS)
def test_what_an_adapter_gives_is_checked_too(kind: str) -> None:
    backend = with_adapters(kind, {Money: lambda money: money})
    with pytest.raises(ParameterError, match=r"test_values\.Money"):
        adapted(backend, Money(1))


@pytest.mark.parametrize("kind", BACKENDS)
def test_an_adapter_may_take_the_place_of_a_built_in_one(kind: str) -> None:
    backend = with_adapters(kind, {str: str.upper, bool: lambda flag: "yes" if flag else "no"})
    assert adapted(backend, "a") == "A"
    assert adapted(backend, Text("a")) == "A"
    assert adapted(backend, True) == "yes"


@pytest.mark.parametrize("kind", BACKENDS)
def test_json_dumps_replaces_the_encoder_and_its_errors_tell_no_value(kind: str) -> None:
    backend = with_adapters(kind, {}, json_dumps=lambda value: b'"bytes"')
    assert adapted(backend, {"a": 1}) == '"bytes"'
    assert adapted(backend, Json(1)) == '"bytes"'

    def refuse(value: Any) -> str:
        raise ValueError(f"cannot encode {value}")

    with pytest.raises(ParameterError) as caught:
        adapted(with_adapters(kind, {}, json_dumps=refuse), {"secret": 1})
    assert "secret" not in str(caught.value)
    with pytest.raises(ParameterError, match="gave int"):
        adapted(with_adapters(kind, {}, json_dumps=lambda value: 5), {})


def test_a_subclass_that_breaks_its_base_is_refused() -> None:
    class NotATime(datetime):
        """What pandas.NaT is: an instance of datetime without a year."""

        @property
        def year(self) -> Any:
            return float("nan")

    for backend in BACKENDS.values():
        with pytest.raises(ParameterError, match="NotATime"):
            adapted(backend, NotATime(2020, 1, 1))


def test_numpy_is_never_imported() -> None:
    code = (
        "import sys; from nexusql.backends.values import Values\n"
        "try: Values().adapt(object())\n"
        "except ValueError: print('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"


def test_numpy_scalars_are_bound_as_what_they_stand_for(backend: Backend) -> None:
    numpy = pytest.importorskip("numpy")
    pairs = [
        (numpy.int64(-5), -5),
        (numpy.uint8(5), 5),
        (numpy.float64(1.5), 1.5),
        (numpy.float32(1.5), 1.5),
        (numpy.bool_(True), True),
        (numpy.str_("a"), "a"),
        (numpy.bytes_(b"a"), b"a"),
        (numpy.datetime64("2020-01-02"), date(2020, 1, 2)),
        (numpy.datetime64("2020-01-02T03:04:05.000006"), datetime(2020, 1, 2, 3, 4, 5, 6)),
        (numpy.datetime64("2020-01-02T03:04:05.000006789"), datetime(2020, 1, 2, 3, 4, 5, 6)),
        (numpy.datetime64("NaT", "s"), None),
        (numpy.timedelta64(5, "s"), timedelta(seconds=5)),
        (numpy.timedelta64(5_000, "ns"), timedelta(microseconds=5)),
    ]
    for value, plain in pairs:
        bound, expected = adapted(backend, value), adapted(backend, plain)
        assert (bound, type(bound)) == (expected, type(expected)), value
    for value in (numpy.complex64(1j), numpy.array([1]), numpy.longdouble(1), numpy.datetime64("20000-01-01", "s")):
        with pytest.raises(ParameterError, match=r"of type numpy\."):
            adapted(backend, value)
