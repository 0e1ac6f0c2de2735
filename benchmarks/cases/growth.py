"""How the time of a row grows with the number of rows and of columns, written and read.

Against nexusql stands the fastest that its own driver has to offer, and the fastest other driver.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from cases.entry import Entry, Sizes, in_turn
from harness import Case
from place import NAMES, open_place
from workload import METRICS, Query, Record, Repeated, Table, metrics, wide, wide_rows

WRITERS = {
    "sqlite": ("nexusql", "sqlite3, executemany"),
    "postgresql": (
        "nexusql",
        "psycopg2, COPY by hand",
        "asyncpg, copy_records_to_table (tuples)",
    ),
    "mysql": ("nexusql", "PyMySQL, executemany", "mysqlclient, executemany"),
}
READERS = {
    "sqlite": ("nexusql", "sqlite3 + dict(zip())"),
    "postgresql": ("nexusql", "psycopg2 + dict(zip())", "asyncpg + dict()"),
    "mysql": ("nexusql", "PyMySQL + dict(zip())", "mysqlclient + dict(zip())"),
}
DIFFERENT_ROWS = 10_000
MANY = 1_000_000  # takes so long that a round less must do

Make = Callable[[], Sequence[Record]]


@contextmanager
def written(kind: str, table: Table, make: Make) -> Iterator[Case]:
    """Store rows in an empty table."""
    rows = make()
    with open_place(kind, table, libraries=False) as place:
        ways = place.ways(lambda peer: peer.insert(table, rows))
        contenders = {name: ways[name] for name in WRITERS[kind] if name in ways}
        check = place.holds(table, len(rows))
        yield Case(contenders, rows=len(rows), before=lambda: place.empty(table), check=check)


@contextmanager
def read(kind: str, table: Table, make: Make, streamed: bool) -> Iterator[Case]:
    """Read all rows as dicts, at once or as a stream."""
    rows = make()
    query = Query(f"SELECT {table.column_list} FROM {table.name}", {})
    with open_place(kind, table, libraries=False) as place:
        place.fill(table, rows)
        ways = place.ways(lambda peer: peer.stream(query) if streamed else peer.everything(query))
        yield Case({name: ways[name] for name in READERS[kind] if name in ways}, rows=len(rows))


def many_metrics(count: int) -> Sequence[Record]:
    """So many rows of METRICS, of which the first are different."""
    return Repeated(metrics(min(DIFFERENT_ROWS, count)), count)


def entries(sizes: Sizes) -> Iterator[Entry]:
    """Rows written and streamed, columns written and read, on each database."""
    for what, of in (("written", written), ("streamed", partial(read, streamed=True))):
        for kind, name in NAMES.items():
            for count in sizes.growth:
                run = in_turn(partial(of, kind, METRICS, partial(many_metrics, count)))
                series = f"Rows {what}, {name}"
                yield Entry(
                    "growth", kind, f"{series}: {count:,}", run, 0.12 if count < MANY else 0.08, series, count, False
                )
    for what, of in (("written", written), ("read", partial(read, streamed=False))):
        for kind, name in NAMES.items():
            for columns in sizes.columns:
                run = in_turn(partial(of, kind, wide(columns), partial(wide_rows, columns, sizes.wide)))
                series = f"Columns {what}, {name}"
                yield Entry("growth", kind, f"{series}: {columns}", run, 0.2, series, columns, False)
