"""Types of columns: from the canonical names to the target's, by the backend's map."""

from collections.abc import Mapping
from typing import NamedTuple

from nexusql.sql.rules.ddl_reader import Column, ColumnType, Table
from nexusql.sql.rules.ddl_text import Edits
from nexusql.sql.syntax import Rewrite
from nexusql.sql.tokens import Tokens


class Keyed(NamedTuple):
    """What a type becomes in a key, where it cannot be in one as it is: `VARCHAR`, of so many bytes a character."""

    name: str
    width: int


def native_type(types: Mapping[str, str], kind: ColumnType) -> str | None:
    """The native name of a type, or None where it stays as it is written.

    The map has `NAME` for a type without arguments and `NAME()` for one with them, which then stay behind the new name;
    a name that the target does not know may be there as it is written.
    """
    if kind.array:
        return types.get("ARRAY")
    if kind.arguments >= 0:
        return types.get(f"{kind.name}()")
    return types.get(kind.name) or types.get(kind.written)


def write_type(tokens: Tokens, edits: Edits, kind: ColumnType, native: str) -> None:
    """Put a native type in the place of a canonical one; its arguments stay, those of an array's items do not."""
    if kind.arguments < 0 or kind.array:
        _write(tokens, edits, kind.start, kind.end, native)
        return
    _write(tokens, edits, kind.start, tokens.prev(kind.arguments) + 1, native)
    close = tokens.close(kind.arguments)
    if close + 1 < kind.end:
        edits.drop(tokens.next(close), kind.end)


def _write(tokens: Tokens, edits: Edits, start: int, end: int, native: str) -> None:
    if tokens.text(start, end).upper() != native:
        edits.swap(start, end, native)


class TypeMap:
    """The pass that maps types. `lossy` tells for a canonical name what its native type loses.

    `keyed` says what types become that cannot be in a key, whose columns may have `key_bytes` together; `longest` is
    how many characters `VARCHAR(n)` can have before it becomes what a VARCHAR without n does; 0 for no such limits.
    """

    def __init__(
        self,
        *,
        lossy: Mapping[str, str] | None = None,
        keyed: Mapping[str, Keyed] | None = None,
        key_bytes: int = 0,
        longest: int = 0,
    ) -> None:
        self._lossy = lossy or {}
        self._keyed = keyed or {}
        self._key_bytes = key_bytes
        self._longest = longest

    def __call__(self, rewrite: Rewrite, table: Table, edits: Edits) -> None:
        """Map the types of the columns that a statement defines."""
        if table.native:
            return
        for column in table.columns:
            kind = column.type
            native = self._in_key(rewrite, table, column) or native_type(rewrite.syntax.types, kind)
            if self._longest and kind.name == "VARCHAR" and self._length(rewrite, column) > self._longest:
                rewrite.note(
                    f"VARCHAR is longer than {self._longest} characters here; its length is not checked", kind.start
                )
                edits.swap(kind.start, kind.end, rewrite.syntax.types["VARCHAR"])
            elif native is not None:
                if kind.name in self._lossy:
                    rewrite.note(self._lossy[kind.name], kind.start)
                write_type(rewrite.tokens, edits, kind, native)

    def _in_key(self, rewrite: Rewrite, table: Table, column: Column) -> str | None:
        """The type of a column that a key holds, where its own cannot be in one."""
        keyed = self._keyed.get(column.type.name)
        if keyed is None or column.type.arguments >= 0 or column.type.array:
            return None
        lengths = [self._room(rewrite, table, key) for key in table.key_columns() if column.name in key]
        if not lengths:
            return None
        native = f"{keyed.name}({max(min(lengths) // keyed.width, 1)})"
        rewrite.note(f"{column.type.name} cannot be in a key here; it is {native}", column.type.start)
        return native

    def _room(self, rewrite: Rewrite, table: Table, key: tuple[str, ...]) -> int:
        """Bytes that each column of a key may have whose type has no length of its own."""
        columns = [column for column in table.columns if column.name in key]
        open_ended = sum(c.type.name in self._keyed and c.type.arguments < 0 for c in columns)
        width = self._keyed["VARCHAR"].width
        taken = sum(max(self._length(rewrite, c) * width, 16) for c in columns) - 16 * open_ended
        return (self._key_bytes - taken) // max(open_ended, 1)

    def _length(self, rewrite: Rewrite, column: Column) -> int:
        """Characters that a column of text can have; 0 for one without a length, and for other types."""
        tokens, kind = rewrite.tokens, column.type
        if kind.name == "UUID":
            return 36
        if kind.name not in ("VARCHAR", "CHAR") or kind.arguments < 0:
            return 0
        number = tokens.next(kind.arguments)
        text = tokens.text(number, number + 1)
        return int(text) if text.isdecimal() else 0
