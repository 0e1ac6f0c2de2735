"""Rows as instances of a class, against the code that people write for it."""

import dataclasses
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from cases.entry import Entry, Sizes, in_turn
from harness import Case, at_most
from peers.base import to_dicts
from peers.ours import Nexusql
from peers.sqlite import Sqlite3
from place import INTERPRETED, NAMES, open_place
from workload import ALL_ROWS, BENCH, bench

FIELDS = dict(zip(BENCH.columns, (int, str, bool, str, str, int, float, str), strict=True))

# A class, and what makes its instances of a cursor.
Model = tuple[Any, Callable[[Any], object]]


def into_dataclass() -> Model:
    """A dataclass."""
    part = dataclasses.make_dataclass("Part", FIELDS.items())
    return part, lambda cursor: [part(*row) for row in cursor]


def into_namedtuple() -> Model:
    """A NamedTuple."""
    part = NamedTuple("part", FIELDS.items())  # type: ignore[misc]
    return part, lambda cursor: [part(*row) for row in cursor]


def into_struct() -> Model:
    """A Struct of msgspec."""
    msgspec = importlib.import_module("msgspec")
    part = msgspec.defstruct("Part", FIELDS.items())
    return part, lambda cursor: msgspec.convert(to_dicts(cursor), list[part], strict=False)  # type: ignore[valid-type]


def into_model() -> Model:
    """A model of pydantic."""
    pydantic = importlib.import_module("pydantic")
    part = pydantic.create_model("Part", **{name: (kind, ...) for name, kind in FIELDS.items()})
    convert = pydantic.TypeAdapter(list[part]).validate_python  # type: ignore[valid-type]
    return part, lambda cursor: convert(to_dicts(cursor))


MODELS = {
    "a dataclass": into_dataclass,
    "a NamedTuple": into_namedtuple,
    "a msgspec Struct": into_struct,
    "a pydantic model": into_model,
}


@contextmanager
def instances(count: int, make: Callable[[], Model]) -> Iterator[Case]:
    """Read all rows."""
    into, by_hand = make()
    with open_place("sqlite", BENCH, libraries=False) as place:
        place.fill(BENCH, bench(count))
        connection = next(peer.connection for peer in place.peers if isinstance(peer, Sqlite3))
        db = next(peer.db for peer in place.peers if isinstance(peer, Nexusql))
        text, args = ALL_ROWS.placed("?"), ALL_ROWS.args
        contenders = {
            "sqlite3, by hand": lambda: by_hand(connection.execute(text, args)),
            "nexusql": lambda: db.fetch_all(ALL_ROWS.sql, ALL_ROWS.params, into=into),
        }
        yield Case(contenders, [at_most(1.5 if INTERPRETED else 1.3, "sqlite3, by hand")], rows=count)


def entries(sizes: Sizes) -> Iterator[Entry]:
    """Each kind of class, on SQLite: what the rows come from does not matter."""
    for name, make in MODELS.items():
        run = in_turn(partial(instances, sizes.read, make))
        yield Entry("into", "sqlite", f"{sizes.read:,} rows into {name}, {NAMES['sqlite']}", run, share=0.4)
