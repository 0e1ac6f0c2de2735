"""Which columns the values of a row go to: by the keys of its dict, or by an INSERT that was written out."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from nexusql.backends.bulk import Conflict, Record, Target
from nexusql.backends.names import name_parts
from nexusql.backends.tables import Table
from nexusql.errors import ConfigError, ParameterError
from nexusql.sql.statement import Insert

CHUNK = 20_000  # rows

Shape = frozenset[str] | None  # the keys of a dict, None for a tuple or list


class Shapes(Protocol):
    """How rows of different shapes are told apart, and where each goes."""

    def check(self, table: Table) -> None:
        """Whether the options fit the table. Raises UndefinedColumn and ParameterError."""
        ...

    def shape(self, row: Record) -> Shape:
        """What rows must have in common to be written together."""
        ...

    def target(self, table: Table, row: Record, columns: tuple[str, ...] | None) -> Target:
        """Where rows of the shape of this one go; `columns` names the values of tuples and lists. Raises
        UndefinedColumn and ParameterError."""
        ...

    def misfit(self, row: Record, target: Target) -> Exception:
        """The error for a row that does not fit the target of its shape."""
        ...


@dataclass(frozen=True, slots=True)
class BulkOptions:
    """How rows are written; see DatabaseManager.bulk_insert."""

    columns: Sequence[str] | None = None
    on_conflict: Literal["ignore", "update"] | None = None
    conflict_columns: Sequence[str] | None = None
    update_columns: Sequence[str] | None = None
    returning: str | None = None
    chunk_size: int = CHUNK
    on_error: Literal["raise", "report"] = "raise"

    @property
    def plain(self) -> bool:
        """Whether rows are inserted and no more: a conflict is an error, and no value is wanted back."""
        return self.on_conflict is None and self.returning is None and self.on_error == "raise"

    def __post_init__(self) -> None:
        for name, accepted in (("on_conflict", (None, "ignore", "update")), ("on_error", ("raise", "report"))):
            if getattr(self, name) not in accepted:
                choices = " or ".join(repr(choice) for choice in accepted if choice)
                raise ConfigError(f"{name} is {choices}, not {getattr(self, name)!r}")
        if self.chunk_size < 1:
            raise ConfigError(f"chunk_size is at least 1, not {self.chunk_size}")
        for name in ("columns", "conflict_columns", "update_columns"):
            if isinstance(getattr(self, name), str):
                raise ConfigError(f"{name} is a sequence of names, not one str")
        if self.on_conflict is None and (self.conflict_columns or self.update_columns):
            raise ConfigError("conflict_columns and update_columns go with on_conflict")
        if self.on_conflict == "ignore" and self.update_columns:
            raise ConfigError("update_columns goes with on_conflict='update'")
        if self.update_columns is not None and not self.update_columns:
            raise ConfigError("update_columns names at least one column; on_conflict='ignore' leaves rows as they are")


class TableShapes:
    """The rows of bulk_insert: a key that a dict lacks is a column left to its default."""

    def __init__(self, options: BulkOptions) -> None:
        self._options = options

    def check(self, table: Table) -> None:
        """See Shapes."""
        for name in self._options.columns or ():
            table.writable(name)
        self._returning(table)
        self._key(table)
        self._update(table)

    def shape(self, row: Record) -> Shape:
        """The keys of a dict, those in `columns` where that was given."""
        if not isinstance(row, dict):
            return None
        chosen = self._options.columns
        return frozenset(row if chosen is None else (name for name in chosen if name in row))

    def target(self, table: Table, row: Record, columns: tuple[str, ...] | None) -> Target:
        """See Shapes."""
        options = self._options
        names: tuple[str, ...] | None = None
        if isinstance(row, dict):
            names = columns = tuple(row if options.columns is None else (n for n in options.columns if n in row))
            wrong = [name for name in names if type(name) is not str]
            if wrong:
                raise ParameterError(f"a key of a row is the name of a column, a str, not {type(wrong[0]).__name__}")
        if columns is None:
            raise ParameterError(f"a {type(row).__name__} needs columns=, the names of its values in order")
        found = tuple(table.writable(name).name for name in columns)
        twice = next((name for name in found if found.count(name) > 1), None)
        if twice is not None:
            raise ParameterError(f"the column {twice!r} of {table.name} is given twice")
        conflict: Conflict | None = None
        if options.on_conflict is not None:
            key, update = self._key(table), self._update(table)
            if update is None:
                update = tuple(name for name in found if name not in key) or key[:1]
            conflict = Conflict(options.on_conflict, key, update)
        return Target(table, found, names, options.columns is not None, conflict, self._returning(table))

    def misfit(self, row: Record, target: Target) -> Exception:
        """See Shapes."""
        return ParameterError(f"a row of {len(row)} values for {len(target.columns)} columns")

    def _returning(self, table: Table) -> str | None:
        wanted = self._options.returning
        return None if wanted is None else table.column(wanted).name

    def _key(self, table: Table) -> tuple[str, ...]:
        """The key by which rows conflict, () for any."""
        options = self._options
        key = tuple(table.column(name).name for name in options.conflict_columns or ())
        if options.on_conflict == "update" and not key:
            key = table.primary
            if not key:
                raise ParameterError(f"table {table.name} has no primary key; name the unique key in conflict_columns")
        return table.key_of(key) if key and not table.obstacle else key

    def _update(self, table: Table) -> tuple[str, ...] | None:
        """The columns that an update replaces, None for all that a row has beside the key."""
        chosen = self._options.update_columns
        return None if chosen is None else tuple(table.writable(name).name for name in chosen)


class Unsuitable(ParameterError):
    """What an INSERT that was written out does with a table only the database can tell."""


class StatementShapes:
    """The rows of execute_many: each gives a value for each placeholder of a plain INSERT."""

    def __init__(self, insert: Insert, names: tuple[str, ...]) -> None:
        self._insert = insert
        self._names = names
        self._found: tuple[Table | None, tuple[str, ...]] = (None, ())

    def check(self, table: Table) -> None:
        """Raises Unsuitable for a name that is not one column's, and a column that an INSERT has no right to write."""
        for name in self._columns(table):
            if table.columns[name].generated or table.columns[name].guarded:
                raise Unsuitable(f"the column {name!r} of {table.name} is the database's to fill")

    def shape(self, row: Record) -> Shape:
        """Dicts are one shape, whatever keys they have beside those that are needed."""
        return frozenset() if isinstance(row, dict) else None

    def target(self, table: Table, row: Record, columns: tuple[str, ...] | None) -> Target:
        """See Shapes."""
        return Target(table, self._columns(table), self._names if isinstance(row, dict) else None, surplus=True)

    def misfit(self, row: Record, target: Target) -> Exception:
        """See Shapes."""
        if target.names is None:
            return ParameterError(f"a row of {len(row)} values for {len(target.columns)} placeholders")
        missing = [f":{name}" for name in target.names if name not in row]
        return ParameterError(f"missing parameter{'s' if len(missing) > 1 else ''}: {', '.join(missing)}")

    def _columns(self, table: Table) -> tuple[str, ...]:
        known, columns = self._found
        if known is not table:
            columns = self._find(table)
            self._found = table, columns
        return columns

    def _find(self, table: Table) -> tuple[str, ...]:
        by_name: dict[str, list[str]] = defaultdict(list)
        for column in table.columns:
            by_name[column.casefold()].append(column)
        columns: list[str] = []
        for written in self._insert.columns:
            name = "".join(part for part, _ in name_parts(written)[-1:])
            alike = by_name[name.casefold()]
            if len(alike) != 1:
                raise Unsuitable(f"{written} is not the name of one column of {table.name}")
            columns += alike
        return tuple(columns)
