"""What observers cost where a call is cheapest, on SQLite in memory: none, one that does nothing, the ready-made."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from cases.entry import Entry, Sizes, in_turn
from harness import Case, at_most
from nexusql import DatabaseManager, OpenTelemetry, SlowQueryLog, Statistics
from nexusql.events import Event, Observer
from place import NAMES
from workload import BENCH, METRICS, ONE_ROW, Table, bench, metrics

URL = "sqlite://:memory:"


def nothing(event: Event) -> None:
    """An observer that does nothing with what it is told."""


def tracing() -> OpenTelemetry:
    """Spans by OpenTelemetry's SDK, all of them recorded, that go nowhere."""
    provider = TracerProvider()
    provider.add_span_processor(SpanProcessor())
    return OpenTelemetry(provider)


OBSERVERS: dict[str, Callable[[], list[Observer]]] = {
    "nexusql": list,
    "nexusql, an observer that does nothing": lambda: [nothing],
    "nexusql, SlowQueryLog": lambda: [SlowQueryLog(60)],
    "nexusql, Statistics": lambda: [Statistics()],
    "nexusql, OpenTelemetry": lambda: [tracing()],
}


def unhooked(db: DatabaseManager) -> None:
    """Take away from a bulk write what is there for observers; a statement has nothing of it where there are none."""

    def observed(operation: str, table: str = "", sql: str = "") -> AbstractContextManager[Any]:
        return nullcontext(event)

    event = Event("", "", db.config)
    db._running().observed = observed  # type: ignore[method-assign]


@contextmanager
def one_row() -> Iterator[Case]:
    """Read one row."""
    with ExitStack() as stack:
        opened = {name: stack.enter_context(_filled(make(), BENCH, bench(100))) for name, make in OBSERVERS.items()}
        contenders = {name: partial(db.execute, ONE_ROW.sql, ONE_ROW.params) for name, db in opened.items()}
        goals = [at_most(2, "nexusql", "nexusql, an observer that does nothing")]
        yield Case(contenders, goals, check=_gives_one)


@contextmanager
def one_bulk_write() -> Iterator[Case]:
    """A bulk write of two rows, the fewest that go this way: it has the most to do for each of them."""
    names = {"nexusql, hooks taken out": list, **OBSERVERS}
    rows = metrics(2)
    with ExitStack() as stack:
        opened = {name: stack.enter_context(_filled(make(), METRICS, rows)) for name, make in names.items()}
        unhooked(opened["nexusql, hooks taken out"])
        contenders = {name: partial(db.bulk_insert, METRICS.name, rows) for name, db in opened.items()}

        def empty() -> None:
            for db in opened.values():
                db.execute(f"DELETE FROM {METRICS.name}")

        yield Case(contenders, [at_most(1.2, "nexusql, hooks taken out")], before=empty)


@contextmanager
def _filled(observers: list[Observer], table: Table, rows: list[dict[str, Any]]) -> Iterator[DatabaseManager]:
    with DatabaseManager(URL, observers=observers) as db:
        db.execute(f"CREATE TABLE {table.name} ({table.body})")
        db.bulk_insert(table.name, rows)
        yield db


def _gives_one(given: object) -> None:
    if not isinstance(given, list) or len(given) != 1:
        raise AssertionError(f"{given!r} is not one row")


def entries(sizes: Sizes) -> Iterator[Entry]:
    """A statement and a bulk write."""
    name = NAMES["sqlite"]
    statement, bulk = in_turn(one_row), in_turn(one_bulk_write)
    yield Entry("observing", "sqlite", f"One row, observed, {name} in memory", statement, interpreted=False)
    yield Entry("observing", "sqlite", f"A bulk write of 2 rows, observed, {name} in memory", bulk, interpreted=False)
