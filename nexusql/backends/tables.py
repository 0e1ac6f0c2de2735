"""What a database's catalogue says of a table, as far as writing rows to it needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from nexusql.errors import ParameterError, UndefinedColumn


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `type` is its type as the catalogue names it, without length.

    `default` is the expression that fills it where a row has none, "" where there is none; `numbered` says that the
    database numbers its rows by this column, `generated` that it is computed and cannot be written, `guarded` that an
    INSERT has to say that it means to write it. `type_number` is what the database itself knows the type by, 0 where
    that is not asked for, and `declared` the type as it was declared, with length, "" where that is not.
    """

    name: str
    type: str
    default: str = ""
    numbered: bool = False
    generated: bool = False
    guarded: bool = False
    type_number: int = 0
    declared: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One table. `sql` is its name as a statement has it, quoted; `keys` are its unique keys, each in a fixed order.

    `primary` is the primary key, () where there is none; `keys_with_null` are the keys by which NULL equals NULL.
    `obstacle` says why the fastest way of writing is closed, `no_staging` why rows cannot be laid aside in a temporary
    table, `unsteady` why a row may be stored otherwise than it was given, and `no_undo` why what was written stays when
    a transaction is rolled back; each is "" where that is not so.
    """

    name: str
    sql: str
    columns: Mapping[str, Column]
    primary: tuple[str, ...] = ()
    keys: tuple[tuple[str, ...], ...] = ()
    keys_with_null: frozenset[tuple[str, ...]] = frozenset()
    obstacle: str = ""
    no_staging: str = ""
    unsteady: str = ""
    no_undo: str = ""

    def column(self, name: str) -> Column:
        """The column of a name: exactly that, else the only one that differs in case alone. Raises UndefinedColumn."""
        found = self.columns.get(name)
        if found is None:
            alike = [column for column in self.columns.values() if column.name.casefold() == name.casefold()]
            if len(alike) != 1:
                nearest = get_close_matches(name, self.columns, 1)
                hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
                raise UndefinedColumn(f"table {self.name} has no column {name!r}{hint}")
            found = alike[0]
        return found

    def writable(self, name: str) -> Column:
        """The same, unless it is computed. Raises ParameterError then."""
        column = self.column(name)
        if column.generated:
            raise ParameterError(f"the column {name!r} of {self.name} is computed by the database; leave it out")
        return column

    def key_of(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """The unique key that these columns are together, in its own order. Raises ParameterError for none."""
        found = next((key for key in self.keys if set(key) == set(columns)), None)
        if found is None:
            shown = "; ".join(", ".join(key) for key in self.keys) or "none"
            wanted = ", ".join(columns)
            raise ParameterError(
                f"{wanted} is no unique key of {self.name}, by which rows could conflict; it has: {shown}"
            )
        return found

    @property
    def own_key(self) -> str | None:
        """The column whose value tells a new row from the others: the single primary key, else the numbered column."""
        if len(self.primary) == 1:
            return self.primary[0]
        return next((column.name for column in self.columns.values() if column.numbered), None)
