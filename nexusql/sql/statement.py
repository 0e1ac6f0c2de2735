"""A compiled statement: driver text, and all that the connection must know to bind and run it."""

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import NamedTuple

from nexusql.sql.lexical import SessionModes
from nexusql.sql.syntax import Note


class Style(IntEnum):
    """How a statement is bound: without parameters, from a dict, or from a sequence."""

    NONE = 0
    NAMED = 1
    SEQUENCE = 2


class Effect(IntFlag):
    """What a statement may do, as far as its words tell."""

    READS = 1  # provably changes nothing: SELECT without FOR UPDATE, VALUES, SHOW, plain EXPLAIN
    DDL = 2  # CREATE, ALTER, DROP, TRUNCATE, ..: commits implicitly on MySQL
    SESSION = 4  # may change the session: SET, set_config, CALL, DO, EXECUTE, LISTEN, temporary tables, GET_LOCK, ..


class Control(NamedTuple):
    """A transaction statement. `action` is begin, commit, rollback, savepoint, rollback_to or release.

    `name` is the savepoint's as written; `isolation` and `read_only` what BEGIN asked for; `mode` SQLite's
    DEFERRED, IMMEDIATE or EXCLUSIVE.
    """

    action: str
    name: str = ""
    isolation: str | None = None
    read_only: bool = False
    mode: str = ""


class NearMiss(NamedTuple):
    """A `:name` that stands inside a literal or a comment, and so is not bound."""

    name: str
    line: int
    column: int
    where: str  # "a comment", "a string literal", "a quoted identifier"


class Assigned(NamedTuple):
    """A placeholder that is a whole value assigned to a column: an item of VALUES, or `SET column = :name`."""

    position: int  # index into Statement.names
    table: str  # as written, quotes and schema included
    column: str  # as written


class Insert(NamedTuple):
    """An `INSERT INTO table (columns) VALUES (:a, :b, ..)` with a placeholder for each column, and nothing else."""

    table: str  # as written
    columns: tuple[str, ...]  # as written, in the order of Statement.names


@dataclass(frozen=True, slots=True)
class Statement:
    """A plan: what the driver is given, and what is known about it. Immutable, and shared between threads.

    `names` has one entry a placeholder, in driver order: a parameter's name, or `name[0]`, `name[1]`, .. for the items
    of a list that was expanded. `order` is None, or for each placeholder the index into a sequence of parameters.
    `offsets` is where each placeholder stands in `source`. `lists` names the parameters that stand alone in
    `IN (:name)`; given a list, the statement is compiled again for its length. `whole_lists` are those bound as one
    value, because they are longer than the driver's limit.
    """

    source: str
    text: str
    names: tuple[str, ...] = ()
    order: tuple[int, ...] | None = None
    notes: tuple[Note, ...] = ()
    near_misses: tuple[NearMiss, ...] = ()
    offsets: tuple[int, ...] = ()
    verb: str = ""
    control: Control | None = None
    effects: Effect = Effect(0)
    lists: tuple[str, ...] = ()
    whole_lists: frozenset[str] = frozenset()
    assigned: tuple[Assigned, ...] = ()
    insert: Insert | None = None
    compared: frozenset[int] = frozenset()  # placeholders beside a comparison operator, in IN (..) or BETWEEN
    tolerate: frozenset[int | str] = frozenset()
    query: bool = False  # rows can be read from it bit by bit: a SELECT, VALUES or TABLE that only gives rows
    modes: SessionModes = SessionModes()  # those it was read by; it may run only in a session that has them
    reads: bool = field(init=False)  # Effect.READS, at hand for the hot path
    plain: bool = field(init=False)  # nothing to be done for it but to bind, run and fetch

    def __post_init__(self) -> None:
        special = self.control or self.notes or self.near_misses or self.tolerate
        object.__setattr__(self, "reads", Effect.READS in self.effects)
        object.__setattr__(self, "plain", not special and not self.effects & (Effect.DDL | Effect.SESSION))
