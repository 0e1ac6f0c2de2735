"""The actions of ALTER TABLE, and IF EXISTS around them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nexusql.sql.lexical import SessionModes
from nexusql.sql.names import folded, identifier, is_name, name_end
from nexusql.sql.rules.ddl_defaults import Defaults
from nexusql.sql.rules.ddl_reader import Column, ColumnType, Table, read_type
from nexusql.sql.rules.ddl_text import Edits
from nexusql.sql.rules.ddl_types import native_type, write_type
from nexusql.sql.syntax import Rewrite

# Clauses that stay with the column; all else may become actions of their own, which would be repeated.
_PLAIN = frozenset(("DEFAULT", "NOT NULL", "NULL", "COLLATE"))


def _adds_more(column: Column) -> bool:
    return "SERIAL" in column.type.name or any(clause.kind not in _PLAIN for clause in column.clauses)


@dataclass(frozen=True, slots=True)
class Actions:
    """The pass for ALTER TABLE.

    `tolerated` has for "TABLE", "ADD COLUMN", "DROP COLUMN" and "DROP CONSTRAINT" what error says that IF [NOT] EXISTS
    applies: the driver's code, or a part of its text with `{name}` and, as it is written, `{written}`. `has_if` tells
    for a session that its server knows the words itself. Without `changes`, the target cannot change a column or add a
    constraint, and takes one action a statement. `defaults` rewrites SET DEFAULT.
    """

    tolerated: Mapping[str, int | str]
    defaults: Defaults
    has_if: Callable[[SessionModes], bool]
    changes: bool = True

    def __call__(self, rewrite: Rewrite, table: Table, edits: Edits) -> None:
        """Rewrite each action, and IF EXISTS."""
        if not table.altered or table.native:
            return
        tokens = rewrite.tokens
        if not self.changes and len(table.actions) > 1:
            raise rewrite.refuse("ALTER TABLE takes one action here; write a statement for each", table.actions[1][0])
        first = tokens.next(tokens.next(tokens.next(-1)))
        if tokens.word(first) == "IF":
            self._if(rewrite, table, edits, first, table.name, "TABLE")
        elif tokens.word(first) == "ONLY":
            edits.drop(first, first + 1)
        for start, end in table.actions:
            verb = tokens.word(start)
            after = tokens.next(start)
            if verb == "ADD":
                self._add(rewrite, table, edits, after)
            elif verb == "DROP":
                self._drop(rewrite, table, edits, after, end)
            elif verb == "ALTER":
                self._alter(rewrite, edits, start, end)
            elif verb == "RENAME":
                self._rename(rewrite, edits, after)

    def _if(self, rewrite: Rewrite, table: Table, edits: Edits, start: int, name: int, what: str) -> None:
        """Take IF [NOT] EXISTS before a name out, and tolerate the error that it would have prevented."""
        tokens = rewrite.tokens
        if not is_name(tokens, name):
            return
        if self.has_if(rewrite.modes) and not any(
            _adds_more(column) for column in table.columns if column.start == name
        ):
            return
        if len(table.actions) > 1:
            raise rewrite.refuse("IF EXISTS holds for one action here; write a statement for each", start)
        edits.drop(start, tokens.prev(name) + 1)
        error = self.tolerated[what]
        if isinstance(error, str):
            written = tokens.text(name, name_end(tokens, name))
            error = error.format(name=".".join(map(identifier, written.split("."))), written=written)
        rewrite.tolerate.add(error)

    def _add(self, rewrite: Rewrite, table: Table, edits: Edits, i: int) -> None:
        tokens = rewrite.tokens
        if any(constraint.start == i for constraint in table.constraints):
            if not self.changes:
                raise rewrite.refuse(
                    "a constraint cannot be added to a table here; for UNIQUE, create a unique index", i
                )
            return
        i = max(i, tokens.after(i, "COLUMN"))
        name = tokens.after(i, "IF", "NOT", "EXISTS")
        if name >= 0:
            self._if(rewrite, table, edits, i, name, "ADD COLUMN")

    def _drop(self, rewrite: Rewrite, table: Table, edits: Edits, i: int, end: int) -> None:
        tokens = rewrite.tokens
        constraint = tokens.word(i) == "CONSTRAINT"
        if constraint and not self.changes:
            raise rewrite.refuse("a constraint cannot be dropped from a table here", i)
        i = max(i, tokens.after(i, "CONSTRAINT"), tokens.after(i, "COLUMN"))
        name = tokens.after(i, "IF", "EXISTS")
        if name >= 0:
            self._if(rewrite, table, edits, i, name, "DROP CONSTRAINT" if constraint else "DROP COLUMN")
        last = end - 1
        if tokens.word(last) in ("CASCADE", "RESTRICT") and last > max(i, name):
            rewrite.note(f"{tokens.word(last)} is dropped: what depends on it is not looked at", last)
            edits.drop(last, end)

    def _alter(self, rewrite: Rewrite, edits: Edits, start: int, end: int) -> None:
        tokens = rewrite.tokens
        name = max(tokens.next(start), tokens.after(start, "ALTER", "COLUMN"))
        if name >= end:
            return
        said = identifier(tokens[name].text)
        i = tokens.next(name)
        change = max(tokens.after(i, "TYPE"), tokens.after(i, "SET", "DATA", "TYPE"))
        if not self.changes:
            raise rewrite.refuse(
                f"{said} cannot be changed here; create a new table, copy the rows, and rename it", start
            )
        if change >= 0:
            self._type(rewrite, edits, start, name, change, end)
        elif tokens.after(i, "SET", "DEFAULT") >= 0:
            # A literal at a column of unknown type gets brackets, which text and JSON need and others allow.
            value = tokens.after(i, "SET", "DEFAULT")
            kind = ColumnType("TEXT" if tokens.kind(value) == "'" else "", "", -1, -1)
            self.defaults.rewrite(rewrite, edits, value, end, kind)
        elif tokens.after(i, "SET", "NOT", "NULL") >= 0 or tokens.after(i, "DROP", "NOT", "NULL") >= 0:
            null = "NOT NULL" if tokens.word(i) == "SET" else "NULL"
            raise rewrite.refuse(f"give the column's whole type here: MODIFY COLUMN {said} <type> {null}", start)

    def _type(self, rewrite: Rewrite, edits: Edits, start: int, name: int, change: int, end: int) -> None:
        """ALTER COLUMN .. TYPE .., as MODIFY COLUMN."""
        tokens = rewrite.tokens
        using = tokens.find("USING", start=change, end=end)
        kind = read_type(tokens, change, using if using >= 0 else end)
        said = identifier(tokens[name].text)
        if using >= 0:
            value = tokens.next(using)
            same = folded(tokens.text(value, value + 1)) == folded(tokens[name].text)
            if not same or tokens.kind(tokens.next(value)) != "t":
                raise rewrite.refuse("USING has no equivalent here", using)
            rewrite.note("USING is dropped: the server converts the values by its own rules", using)
            edits.drop(using, end)
        rewrite.note(
            f"MODIFY COLUMN also resets NOT NULL, DEFAULT and the rest of {said}; state them there: "
            f"MODIFY COLUMN {said} <type> NOT NULL DEFAULT <value>",
            start,
        )
        edits.swap(start, tokens.prev(name) + 1, "MODIFY COLUMN")
        edits.drop(tokens.next(name), tokens.prev(change) + 1)
        native = native_type(rewrite.syntax.types, kind)
        if native is not None:
            write_type(tokens, edits, kind, native)

    def _rename(self, rewrite: Rewrite, edits: Edits, i: int) -> None:
        tokens = rewrite.tokens
        if tokens.word(i) == "CONSTRAINT":
            raise rewrite.refuse("a constraint cannot be renamed here", i)
        if self.changes and is_name(tokens, i) and tokens.word(i) not in ("TO", "COLUMN", "AS", "INDEX", "KEY"):
            edits.insert(i, "COLUMN ")
