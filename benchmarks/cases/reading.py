"""Reading: one row by its parameters, many rows at once, many rows as a stream."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from cases.entry import Entry, Sizes, in_turn
from harness import Case, Goal, at_most, faster
from peers.base import Peer, Ways
from place import INTERPRETED, NAMES, open_place
from workload import ALL_ROWS, BENCH, ONE_ROW, bench

DRIVER = {"sqlite": "sqlite3", "postgresql": "psycopg2", "mysql": "PyMySQL"}
ONE = {"sqlite": 1.25, "postgresql": 1.15, "mysql": 1.15}
MANY = {"sqlite": 1.45, "postgresql": 1.5}
INTERPRETED_FACTOR = 1.5


def one_goals(kind: str) -> list[Goal]:
    """One row, against the driver and dict(zip())."""
    return [at_most(INTERPRETED_FACTOR if INTERPRETED else ONE[kind], f"{DRIVER[kind]} + dict(zip())")]


def many_goals(kind: str) -> list[Goal]:
    """Many rows, against the driver's bare tuples, and on MySQL against dicts of both drivers; the interpreted core
    against dict(zip())."""
    if INTERPRETED:
        return [at_most(INTERPRETED_FACTOR, f"{DRIVER[kind]} + dict(zip())")]
    if kind == "mysql":
        return [faster(4, "PyMySQL, DictCursor"), at_most(0.75, "mysqlclient, DictCursor")]
    return [at_most(MANY[kind], f"{DRIVER[kind]}, tuples")] if kind in MANY else []


def stream_goals(kind: str) -> list[Goal]:
    """A stream, against the driver's own and dict(zip())."""
    return [at_most(INTERPRETED_FACTOR if INTERPRETED else 1.1, f"{DRIVER[kind]} + dict(zip())")]


@contextmanager
def read(kind: str, count: int, found: int, goals: Sequence[Goal], ways: Callable[[Peer], Ways]) -> Iterator[Case]:
    """Read `found` of a table's `count` rows."""

    def check(given: object) -> None:
        number = len(given) if isinstance(given, list | tuple) else given
        if number != found:
            raise AssertionError(f"{number} rows read of {found}")

    with open_place(kind, BENCH) as place:
        place.fill(BENCH, bench(count))
        yield Case(place.ways(ways), goals, rows=found, check=check)


def entries(sizes: Sizes) -> Iterator[Entry]:
    """One row, many rows, a stream, on each database."""
    many = f"{sizes.read:,} rows"
    for kind, name in NAMES.items():
        one = partial(read, kind, sizes.read, 1, one_goals(kind), lambda peer: peer.one(ONE_ROW))
        yield Entry("bind", kind, f"One row, 3 parameters, {name}", in_turn(one))
    for kind, name in NAMES.items():
        everything = partial(
            read, kind, sizes.read, sizes.read, many_goals(kind), lambda peer: peer.everything(ALL_ROWS)
        )
        yield Entry("read", kind, f"{many} at once, {name}", in_turn(everything), share=0.4)
    for kind, name in NAMES.items():
        stream = partial(read, kind, sizes.read, sizes.read, stream_goals(kind), lambda peer: peer.stream(ALL_ROWS))
        yield Entry("stream", kind, f"{many} streamed, {name}", in_turn(stream), share=0.4)
