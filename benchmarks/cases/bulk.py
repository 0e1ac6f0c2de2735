"""Writing many rows at once: metrics, checkpoints with JSON, upserts, and the small batches of a flush."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from cases.entry import Entry, Sizes, in_turn
from harness import Case, Goal, at_most, faster
from place import INTERPRETED, NAMES, open_place
from workload import CHECKPOINTS, METRICS, WORKFLOWS, Record, Table, checkpoints, metrics, workflows

EXECUTEMANY = {
    "sqlite": "sqlite3, executemany",
    "postgresql": "psycopg2, executemany",
    "mysql": "PyMySQL, executemany",
}
METRICS_GOALS = {
    "sqlite": [at_most(0.75, "sqlite3, executemany")],
    "postgresql": [
        at_most(1.10, "asyncpg, copy_records_to_table (tuples)"),
        faster(40, "psycopg2, executemany"),
    ],
    # From tuples, which both take faster than dicts.
    "mysql": [faster(2.2, "PyMySQL, executemany (tuples)"), at_most(0.65, "mysqlclient, executemany (tuples)")],
}
# For small batches: what people use for them.
FLUSHERS = ("nexusql", "executemany", "execute_values", "copy_records_to_table", "SQLAlchemy")

Make = Callable[[], list[Record]]


def interpreted_goals(kind: str) -> list[Goal]:
    """The promise of the interpreted core: near what the driver itself offers."""
    return [at_most(1.5, EXECUTEMANY[kind])] if INTERPRETED else []


@contextmanager
def new_rows(kind: str, table: Table, make: Make, goals: list[Goal]) -> Iterator[Case]:
    """Store rows in an empty table."""
    rows = make()
    with open_place(kind, table) as place:
        contenders = place.ways(lambda peer: {**peer.insert(table, rows), **peer.floor(table, rows)})
        yield Case(
            contenders,
            goals,
            rows=len(rows),
            before=lambda: place.empty(table),
            check=place.holds(table, len(rows)),
            batch_seconds=0,
        )


@contextmanager
def upserted(kind: str, make: Make) -> Iterator[Case]:
    """Store rows, every second of which replaces one that is there."""
    rows = make()
    before = Table("workflows_before", WORKFLOWS.body, WORKFLOWS.columns)
    with open_place(kind, WORKFLOWS, before) as place:
        place.fill(before, rows[::2])

        def reset() -> None:
            place.empty(WORKFLOWS)
            place.db.execute(f"INSERT INTO {WORKFLOWS.name} SELECT * FROM {before.name}")

        contenders = place.ways(lambda peer: peer.upsert(WORKFLOWS, rows))
        check = place.holds(WORKFLOWS, len(rows))
        yield Case(contenders, interpreted_goals(kind), len(rows), before=reset, check=check, batch_seconds=0)


@contextmanager
def flushed(kind: str, make: Make) -> Iterator[Case]:
    """Store a few rows a call, again and again."""
    rows = make()
    with open_place(kind, METRICS) as place:
        ways = place.ways(lambda peer: peer.insert(METRICS, rows))
        contenders = {name: way for name, way in ways.items() if any(flusher in name for flusher in FLUSHERS)}
        check = place.holds(METRICS, len(rows))
        yield Case(contenders, interpreted_goals(kind), len(rows), before=lambda: place.empty(METRICS), check=check)


def entries(sizes: Sizes) -> Iterator[Entry]:
    """Metrics, checkpoints, upserts and small batches, on each database."""
    for kind, name in NAMES.items():
        goals = interpreted_goals(kind) if INTERPRETED else METRICS_GOALS[kind]
        new = partial(new_rows, kind, METRICS, partial(metrics, sizes.metrics), goals)
        yield Entry("bulk", kind, f"{sizes.metrics:,} metrics, {name}", in_turn(new), share=0.4)
    for kind, name in NAMES.items():
        new = partial(new_rows, kind, CHECKPOINTS, partial(checkpoints, sizes.checkpoints), interpreted_goals(kind))
        title = f"{sizes.checkpoints:,} checkpoints with JSON, {name}"
        yield Entry("bulk", kind, title, in_turn(new), share=0.3)
    for kind, name in NAMES.items():
        upsert = partial(upserted, kind, partial(workflows, sizes.workflows))
        title = f"{sizes.workflows:,} rows upserted, half of them new, {name}"
        yield Entry("bulk", kind, title, in_turn(upsert), share=0.3)
    for kind, name in NAMES.items():
        for count in sizes.calls:
            flush = partial(flushed, kind, partial(metrics, count))
            title = f"{count:,} metrics a call, {name}"
            series = f"Metrics a call, {name}"
            yield Entry("batches", kind, title, in_turn(flush), share=0.4, series=series, at=count)
