"""Reads CREATE TABLE and ALTER TABLE into positions: columns with types and clauses, table constraints, actions."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from nexusql.sql.names import folded, is_name, name_end
from nexusql.sql.syntax import Rewrite
from nexusql.sql.tokens import Tokens
from nexusql.sql.typenames import parse_type

# Words that start a clause of a column, and so end the type or the clause before them.
_STARTERS = frozenset(
    "CONSTRAINT NOT NULL DEFAULT PRIMARY UNIQUE REFERENCES CHECK FOREIGN GENERATED AS COLLATE AUTOINCREMENT "
    "AUTO_INCREMENT ON DEFERRABLE INITIALLY MATCH COMMENT FIRST AFTER".split()
)
_BEFORE_NAMES = frozenset(("ALTER", "COLUMN", "CONSTRAINT", "DROP", "REFERENCES", "RENAME", "TO"))
_TABLE_CONSTRAINTS = frozenset(("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"))
_SERIALS = {"SERIAL2": "SMALLSERIAL", "SERIAL4": "SERIAL", "SERIAL8": "BIGSERIAL"}
_BRACKETS = re.compile(r"\[\s*\d*\s*\]")
_BRACKETED_NAME = re.compile(r"\[[^\W\d][\w $]*\]")


@dataclass(frozen=True, slots=True)
class Clause:
    """A clause of a column or a table. `kind` is "NOT NULL", "DEFAULT", "PRIMARY KEY", "IDENTITY", "GENERATED", ..

    It goes from `start` (its CONSTRAINT name, where it has one) to `end`; the clause proper starts at `body`. `name` is
    the position of its name, or -1.
    """

    kind: str
    start: int
    body: int
    end: int
    name: int = -1


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A type. `name` is canonical (`TIMESTAMPTZ`), and "" where what stands there is no plain type.

    `written` is the name as it stands there, in upper case; `arguments` the position of their bracket, or -1.
    """

    name: str
    written: str
    start: int
    end: int
    arguments: int = -1
    array: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column's definition: its name at `start`, its type, its clauses."""

    start: int
    end: int
    name: str  # folded
    type: ColumnType
    clauses: tuple[Clause, ...]

    def clause(self, *kinds: str) -> Clause | None:
        """The first clause of one of some kinds, if there is one."""
        return next((clause for clause in self.clauses if clause.kind in kinds), None)


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint of a table: its first clause says what it is, the others qualify it."""

    start: int
    end: int
    clauses: tuple[Clause, ...]
    columns: tuple[str, ...]  # folded


@dataclass(slots=True)
class Table:
    """A CREATE TABLE or ALTER TABLE. Positions that do not apply are -1.

    `native` says that the statement bears a mark of the target's own SQL, so that its types mean what they say there.
    """

    altered: bool
    name: int  # of the table, which ends at name_end
    name_end: int
    open: int = -1  # brackets of the body
    close: int = -1
    native: bool = False
    columns: list[Column] = field(default_factory=list)
    constraints: list[Constraint] = field(default_factory=list)
    actions: list[tuple[int, int]] = field(default_factory=list)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of the primary key, folded; () where the statement sets none."""
        for column in self.columns:
            if column.clause("PRIMARY KEY"):
                return (column.name,)
        return next((c.columns for c in self.constraints if c.clauses[0].kind == "PRIMARY KEY"), ())

    def key_columns(self) -> Iterable[tuple[str, ...]]:
        """The columns of each primary key, unique key and foreign key."""
        for column in self.columns:
            if column.clause("PRIMARY KEY", "UNIQUE", "REFERENCES"):
                yield (column.name,)
        for constraint in self.constraints:
            if constraint.clauses[0].kind in ("PRIMARY KEY", "UNIQUE", "FOREIGN KEY"):
                yield constraint.columns


def read_table(rewrite: Rewrite) -> Table | None:
    """The statement as a Table, or None where it is neither CREATE TABLE nor ALTER TABLE."""
    tokens = rewrite.tokens
    first = tokens.next(-1)
    verb = tokens.word(first)
    if verb not in ("CREATE", "ALTER"):
        return None
    i = tokens.next(first)
    while verb == "CREATE" and tokens.word(i) in ("TEMP", "TEMPORARY", "GLOBAL", "LOCAL", "UNLOGGED"):
        i = tokens.next(i)
    if tokens.word(i) != "TABLE":
        return None
    i = tokens.next(i)
    for words in (("IF", "NOT", "EXISTS"), ("IF", "EXISTS"), ("ONLY",)):
        i = max(i, tokens.after(i, *words))
    if not is_name(tokens, i):
        return None
    table = Table(altered=verb == "ALTER", name=i, name_end=name_end(tokens, i))
    if table.altered:
        _read_actions(tokens, table)
    else:
        _read_body(tokens, table)
    if table.close == len(tokens):  # the body is not closed: the server will say so
        return None
    table.native = table.native or is_native(rewrite, table)
    return table


def is_native(rewrite: Rewrite, table: Table) -> bool:
    """True where the statement bears one of the dialect's markers, outside names and expressions."""
    tokens = rewrite.tokens
    markers = [marker.split() for marker in rewrite.syntax.native_markers]
    names = {column.start for column in table.columns} | {table.name}
    for level, i in _shallow(tokens):
        token = tokens[i]
        if token.kind == "{":
            return True
        if token.kind == '"' and token.text[0] == "`":
            return True
        if _BRACKETED_NAME.fullmatch(token.text) and level < 2 and tokens.word(tokens.prev(i)) != "ARRAY":
            return True
        if token.kind != "w" or level > 1 or i in names or tokens.word(tokens.prev(i)) in _BEFORE_NAMES:
            continue
        if token.text.upper() == "IDENTITY" and tokens.word(tokens.prev(i)) == "AS":
            continue  # the standard's, not T-SQL's
        for marker in markers:
            if token.text.upper() == marker[0] and _follows(tokens, i, marker):
                return True
    return False


def _shallow(tokens: Tokens) -> Iterable[tuple[int, int]]:
    level = 0
    for i, token in enumerate(tokens):
        if token.kind == "(":
            level += 1
        elif token.kind == ")":
            level -= 1
        yield level, i


def _follows(tokens: Tokens, i: int, words: list[str]) -> bool:
    for word in words:
        if i >= len(tokens) or tokens[i].text.upper() != word:
            return False
        i = tokens.next(i)
    return True


def _read_body(tokens: Tokens, table: Table) -> None:
    opener = tokens.next(table.name_end - 1)
    if tokens.kind(opener) != "(":
        return
    table.open, table.close = opener, tokens.close(opener)
    for start, end in tokens.items(opener + 1, table.close):
        first, last = tokens.next(start - 1), tokens.prev(end) + 1
        if first >= last:
            continue
        if _is_index(tokens, first):
            table.native = True
        elif tokens.word(first) in _TABLE_CONSTRAINTS or tokens.after(first, "EXCLUDE", "USING") > 0:
            table.constraints.append(read_constraint(tokens, first, last))
        elif tokens.word(first) != "LIKE" and is_name(tokens, first):
            table.columns.append(read_column(tokens, first, last))


def _read_actions(tokens: Tokens, table: Table) -> None:
    end = len(tokens)
    while end > 0 and tokens.kind(tokens.prev(end)) == ";":
        end = tokens.prev(end)
    for start, stop in tokens.items(table.name_end, end):
        first, last = tokens.next(start - 1), tokens.prev(stop) + 1
        if first >= last:
            continue
        table.actions.append((first, last))
        if tokens.word(first) != "ADD":
            continue
        i = tokens.next(first)
        if tokens.word(i) in _TABLE_CONSTRAINTS:
            table.constraints.append(read_constraint(tokens, i, last))
        elif is_name(tokens, i) and not _is_index(tokens, i):
            i = max(i, tokens.after(i, "COLUMN"))
            i = max(i, tokens.after(i, "IF", "NOT", "EXISTS"))
            if i < last and is_name(tokens, i):
                table.columns.append(read_column(tokens, i, last))


def _is_index(tokens: Tokens, i: int) -> bool:
    """True for MySQL's `INDEX name (..)`, `KEY (..)`, `FULLTEXT KEY ..`, which elsewhere would be columns."""
    word = tokens.word(i)
    if word in ("FULLTEXT", "SPATIAL") and tokens.word(tokens.next(i)) in ("INDEX", "KEY"):
        return True
    if word not in ("INDEX", "KEY"):
        return False
    i = tokens.next(i)
    if is_name(tokens, i):
        i = tokens.next(i)
    return tokens.kind(i) == "(" and tokens.kind(tokens.next(i)) != "0"


def read_column(tokens: Tokens, start: int, end: int) -> Column:
    """The column definition between two positions."""
    kind = read_type(tokens, tokens.next(start), end)
    clauses = tuple(_read_clauses(tokens, tokens.next(kind.end - 1), end))
    return Column(start, end, folded(tokens[start].text), kind, clauses)


def read_constraint(tokens: Tokens, start: int, end: int) -> Constraint:
    """The table constraint between two positions."""
    clauses = tuple(_read_clauses(tokens, start, end))
    i = clauses[0].body
    while i < clauses[0].end and tokens.kind(i) != "(":
        i = tokens.next(i)
    columns: tuple[str, ...] = ()
    if i < clauses[0].end and clauses[0].kind != "CHECK":
        columns = names_in(tokens, i)
    return Constraint(start, end, clauses, columns)


def names_in(tokens: Tokens, opener: int) -> tuple[str, ...]:
    """The first name of each item in brackets, folded."""
    firsts = (tokens.next(start - 1) for start, _ in tokens.items(opener + 1, tokens.close(opener)))
    return tuple(folded(tokens[i].text) for i in firsts if i < len(tokens))


def read_type(tokens: Tokens, start: int, end: int) -> ColumnType:
    """The type between two positions, as far as it goes."""
    i = start
    while i < end and tokens.word(i) not in _STARTERS:
        i = tokens.skip(i)
    stop = tokens.prev(min(i, end)) + 1
    if stop <= start:
        return ColumnType("", "", stop, stop)
    kind = parse_type(tokens, start)
    if kind is None or (kind.end != stop and kind.name != "INTERVAL"):
        return ColumnType("", "", start, stop)
    arguments = next((i for i in range(start, stop) if tokens.kind(i) == "("), -1)
    return ColumnType(_SERIALS.get(kind.name, kind.name), kind.written, start, stop, arguments, kind.array)


def _read_clauses(tokens: Tokens, i: int, end: int) -> Iterable[Clause]:
    while i < end:
        start, name = i, -1
        if tokens.word(i) == "CONSTRAINT" and is_name(tokens, tokens.next(i)) and tokens.next(tokens.next(i)) < end:
            name = tokens.next(i)
            i = tokens.next(name)
        body = i
        kind, i = _read_clause(tokens, i)
        while i < end and tokens.word(i) not in _STARTERS and tokens.after(i, "WITH", "VALUES") < 0:
            i = tokens.skip(i)
        i = min(i, end)
        yield Clause(kind, start, body, tokens.prev(i) + 1, name)


def _read_clause(tokens: Tokens, i: int) -> tuple[str, int]:
    """The kind of the clause at i, and a position in it from which the next starting word ends it."""
    word, after = tokens.word(i), tokens.next(i)
    if word in ("NOT", "PRIMARY", "FOREIGN", "ON"):
        return f"{word} {tokens.word(after)}", tokens.next(after)
    if word == "DEFAULT":
        return word, after if tokens.kind(after) == "(" else tokens.next(after)
    if word == "GENERATED":
        i = max(tokens.after(after, "ALWAYS"), tokens.after(after, "BY", "DEFAULT"), after)
        word, after = tokens.word(i), tokens.next(i)
    if word == "AS":
        return ("IDENTITY" if tokens.word(after) == "IDENTITY" else "GENERATED"), after
    if word == "UNIQUE":
        i = max(tokens.after(after, "NULLS", "NOT", "DISTINCT"), tokens.after(after, "NULLS", "DISTINCT"))
        return word, max(i, after)
    if word == "REFERENCES":
        return word, _references_end(tokens, tokens.next(name_end(tokens, after) - 1))
    if word == "COLLATE":
        return word, tokens.next(name_end(tokens, after) - 1)
    return word, after


def _references_end(tokens: Tokens, i: int) -> int:
    """Position behind the columns and actions of REFERENCES, which i is behind the table of."""
    if tokens.kind(i) == "(":
        i = tokens.next(tokens.close(i))
    while True:
        if tokens.word(i) == "MATCH":
            i = tokens.next(tokens.next(i))
        elif tokens.word(i) == "ON" and tokens.word(tokens.next(i)) in ("DELETE", "UPDATE"):
            i = tokens.next(tokens.next(i))
            i = tokens.next(tokens.next(i)) if tokens.word(i) in ("SET", "NO") else tokens.next(i)
        else:
            return i
