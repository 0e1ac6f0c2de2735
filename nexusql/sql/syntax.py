"""The data a backend hands to this package: how its text is read, and what canonical SQL becomes there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import NamedTuple

from nexusql.errors import TranslationError
from nexusql.sql.lexical import Lexical, SessionModes
from nexusql.sql.tokens import Tokens, locate


class Note(NamedTuple):
    """A receipt: what was changed with a loss, where, and what it means. `line` and `column` count from 1."""

    message: str
    line: int
    column: int


@dataclass(slots=True)
class Rewrite:
    """A statement under translation: rules edit `tokens`, and leave receipts and tolerated errors behind."""

    source: str
    tokens: Tokens
    syntax: "Syntax"
    modes: SessionModes
    notes: list[tuple[str, int]] = field(default_factory=list)  # message, offset in the source
    tolerate: set[int | str] = field(default_factory=set)
    definition: str = ""  # the verb of the DDL that the text is, where its first word does not tell
    words: frozenset[str] = field(init=False)  # in upper case, with casts and operator characters: what rules look for

    def __post_init__(self) -> None:
        self.words = frozenset([token.text.upper() for token in self.tokens if token.kind in "wto"])

    def note(self, message: str, position: int) -> None:
        """Leave a receipt for what stands at a position of `tokens`."""
        self.notes.append((message, self.offset(position)))

    def refuse(self, message: str, position: int) -> TranslationError:
        """The error for what stands at a position of `tokens` and cannot be said in this dialect."""
        line, column = locate(self.source, self.offset(position))
        error = TranslationError(f"{message} (line {line}, column {column})")
        error.sql = self.source
        return error

    def offset(self, position: int) -> int:
        """Where in the source a position of `tokens` comes from; for what was inserted, the nearest token before it."""
        while position > 0 and (position >= len(self.tokens) or self.tokens[position].start < 0):
            position -= 1
        return max(self.tokens[position].start, 0) if self.tokens else 0


Rule = Callable[[Rewrite], None]


class ListTexts(NamedTuple):
    """What stands for `IN (..)` and `NOT IN (..)` where the list is empty, and where it is bound as one value at `{}`.

    An empty list is never, or always, true, for NULL too.
    """

    empty: str = "IN (SELECT NULL WHERE 1 = 0)"
    empty_negated: str = "NOT IN (SELECT NULL WHERE 1 = 0)"
    whole: str = ""
    whole_negated: str = ""


@dataclass(frozen=True, slots=True)
class Syntax:
    """One dialect as data. `rules` run in order; each looks for its own construct and leaves all else alone.

    `types` maps a canonical type name in upper case (`TIMESTAMP`, `DOUBLE PRECISION`) to the native one, for columns:
    `NAME()` is a type with arguments, which stay behind the native name, and ARRAY any array; `casts` does so for CAST.
    `max_parameters` is the driver's limit for one statement, None where it has none.
    `functions_read` says that no function a query can call writes. `batches` tells T-SQL's ways: GO ends a batch, and a
    routine fills one. `delimiters` tells that scripts may hold the mysql client's command DELIMITER.
    """

    dialect: str
    placeholder: str
    lexical: Callable[[SessionModes], Lexical]
    quote: str = '"'
    max_identifier: int = 63  # in characters, unless:
    max_identifier_in_bytes: bool = False
    max_parameters: int | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    casts: Mapping[str, str] = field(default_factory=dict)
    native_markers: frozenset[str] = frozenset()
    rules: tuple[Rule, ...] = ()
    lists: ListTexts = ListTexts()
    functions_read: bool = False
    batches: bool = False
    delimiters: bool = False


_loaders: dict[str, Callable[[], Syntax]] = {}
# Registers the dialects when it is loaded, which is when one is first asked for: this package imports no backend.
_PROVIDER = "nexusql.backends"


def register(dialect: str, loader: Callable[[], Syntax]) -> None:
    """Make a dialect known by name; `loader` gives its Syntax on first use. Called by nexusql.backends."""
    _loaders[dialect] = loader


def syntax_for(dialect: str) -> Syntax:
    """The Syntax of a dialect ("sqlite", "postgresql", "mysql", "mssql"). Raises ValueError for any other."""
    if dialect not in _loaders:
        import_module(_PROVIDER)
    try:
        loader = _loaders[dialect]
    except KeyError:
        known = ", ".join(sorted(_loaders))
        raise ValueError(f"unknown SQL dialect {dialect!r}; known are {known}") from None
    return loader()
