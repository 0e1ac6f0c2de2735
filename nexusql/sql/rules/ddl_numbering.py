"""Columns that number themselves: SERIAL, GENERATED .. AS IDENTITY, INTEGER PRIMARY KEY [AUTOINCREMENT]."""

from collections.abc import Callable

from nexusql.sql.names import identifier
from nexusql.sql.rules.ddl_constraints import drop_item
from nexusql.sql.rules.ddl_reader import Clause, Column, Table
from nexusql.sql.rules.ddl_text import Edits
from nexusql.sql.syntax import Rewrite

_SERIALS = frozenset(("SERIAL", "BIGSERIAL", "SMALLSERIAL"))


def _is_serial(column: Column) -> bool:
    return column.type.name in _SERIALS or column.clause("IDENTITY") is not None


def _is_integer_key(table: Table, column: Column) -> bool:
    """True for INTEGER PRIMARY KEY where nothing else gives the value: no default, no row that it refers to."""
    if column.clause("AUTOINCREMENT"):
        return True
    if column.type.written != "INTEGER" or not column.clause("PRIMARY KEY"):
        return False
    if column.clause("REFERENCES", "DEFAULT", "GENERATED", "IDENTITY"):
        return False
    return not any(c.clauses[0].kind == "FOREIGN KEY" and c.columns == (column.name,) for c in table.constraints)


def _drop_identity(rewrite: Rewrite, column: Column, edits: Edits) -> None:
    """Take GENERATED .. AS IDENTITY out, with receipts for what it says beyond numbering."""
    clause = column.clause("IDENTITY")
    if clause is None:
        return
    tokens = rewrite.tokens
    if tokens.find("ALWAYS", start=clause.body, end=clause.end) >= 0:
        rewrite.note("GENERATED ALWAYS: a value given for the column is accepted here", clause.body)
    if tokens.kind(clause.end - 1) == ")":
        opener = tokens.open(clause.end - 1)
        rewrite.note(f"{tokens.text(opener, clause.end)} is dropped: the numbers are 1, 2, 3, ..", opener)
    edits.drop(clause.start, clause.end)


class Words:
    """The pass for a database where words after the type number a column.

    `serials` says whether SERIAL and identity columns are to be said by these words as well, and `needs_key` whether
    the database wants an index on the column, and has one such column a table at most.
    """

    def __init__(self, words: str, *, serials: bool = False, needs_key: bool = False) -> None:
        self._words = words
        self._serials = serials
        self._needs_key = needs_key

    def __call__(self, rewrite: Rewrite, table: Table, edits: Edits) -> None:
        """Number the columns that a statement defines."""
        if table.native:
            return
        numbered = 0
        for column in table.columns:
            if not (_is_integer_key(table, column) or (self._serials and _is_serial(column))):
                continue
            numbered += 1
            if self._needs_key and numbered > 1:
                raise rewrite.refuse("only one column of a table can number itself here", column.start)
            self._number(rewrite, column, edits)
            if self._needs_key and not any(key[:1] == (column.name,) for key in table.key_columns()):
                name = rewrite.tokens[column.start].text
                edits.insert(*_at_end(rewrite, table, column, f"KEY ({name})"))

    def _number(self, rewrite: Rewrite, column: Column, edits: Edits) -> None:
        if self._serials:
            _drop_identity(rewrite, column, edits)
        word = column.clause("AUTOINCREMENT")
        if word is None:
            edits.insert(column.type.end, f" {self._words}")
        elif column.type.name in _SERIALS and not self._serials:
            edits.drop(word.start, word.end)
        else:
            edits.swap(word.start, word.end, self._words)


def _at_end(rewrite: Rewrite, table: Table, column: Column, item: str) -> tuple[int, str]:
    if table.altered:
        return column.end, f", ADD {item}"
    return rewrite.tokens.prev(table.close) + 1, f", {item}"


class IdentityOrSequence:
    """The pass for T-SQL: SERIAL is an IDENTITY column, which takes no value from a row; INTEGER PRIMARY KEY, which may
    have one, has the next value of a sequence for its default, but for temporary tables, which see no sequence.
    `sequence` names that of a table."""

    def __init__(self, sequence: Callable[[Rewrite, Table], str]) -> None:
        self._sequence = sequence

    def __call__(self, rewrite: Rewrite, table: Table, edits: Edits) -> None:
        """Number the columns that a statement defines."""
        if table.native:
            return
        numbered = [column for column in table.columns if _is_serial(column)]
        if len(numbered) > 1:
            raise rewrite.refuse("only one column of a table can number itself here", numbered[1].start)
        for column in table.columns:
            if column in numbered:
                self._identity(rewrite, column, edits)
            elif _is_integer_key(table, column) and not needs_sequence(rewrite, table):
                self._identity(rewrite, column, edits)
            elif _is_integer_key(table, column):
                if table.altered:
                    raise rewrite.refuse("a key that numbers itself cannot be added here", column.start)
                null = "" if column.clause("NOT NULL") else " NOT NULL"  # which may stand there once (error 8150)
                edits.insert(column.type.end, f"{null} DEFAULT (NEXT VALUE FOR {self._sequence(rewrite, table)})")
                word = column.clause("AUTOINCREMENT")
                if word is not None:
                    edits.drop(word.start, word.end)

    def _identity(self, rewrite: Rewrite, column: Column, edits: Edits) -> None:
        clause, tokens = column.clause("IDENTITY"), rewrite.tokens
        start = "1, 1"
        word = column.clause("AUTOINCREMENT")
        if word is not None:
            edits.drop(word.start, word.end)
        if clause is not None:
            if tokens.kind(clause.end - 1) == ")":
                start = _options(rewrite, tokens.open(clause.end - 1), clause.end)
            edits.drop(clause.start, clause.end)
        edits.insert(column.type.end, f" IDENTITY({start})")


def needs_sequence(rewrite: Rewrite, table: Table) -> bool:
    """True where IdentityOrSequence gives a table a default from a sequence."""
    temporary = rewrite.tokens[table.name].text.startswith(("#", "[#"))
    return (
        not table.native
        and not temporary
        and any(not _is_serial(column) and _is_integer_key(table, column) for column in table.columns)
    )


def _options(rewrite: Rewrite, opener: int, end: int) -> str:
    """START WITH and INCREMENT BY of an identity column, as IDENTITY(start, step)."""
    words = rewrite.tokens.text(opener, end).strip("()").upper().replace(" WITH ", " ").replace(" BY ", " ").split()
    found = dict(zip(words[::2], words[1::2], strict=False))
    if len(words) % 2 or not set(found) <= {"START", "INCREMENT"}:
        rewrite.note(f"{rewrite.tokens.text(opener, end)} is dropped: the numbers are 1, 2, 3, ..", opener)
        return "1, 1"
    return f"{found.get('START', '1')}, {found.get('INCREMENT', '1')}"


class Rowid:
    """The pass for SQLite, where only an INTEGER PRIMARY KEY numbers itself: SERIAL becomes one."""

    def __call__(self, rewrite: Rewrite, table: Table, edits: Edits) -> None:
        """Number the columns that a statement defines, and keep NULL out of primary keys of other types."""
        if table.native:
            return
        key = table.primary_key
        for column in table.columns:
            if not _is_serial(column):
                self._require(table, column, edits)
            elif table.altered:
                raise rewrite.refuse("a column that numbers itself cannot be added to a table here", column.start)
            elif key not in ((), (column.name,)) or sum(_is_serial(c) for c in table.columns) > 1:
                raise rewrite.refuse("only a column that is the primary key can number itself here", column.start)
            else:
                self._number(rewrite, table, column, edits)

    def _number(self, rewrite: Rewrite, table: Table, column: Column, edits: Edits) -> None:
        tokens = rewrite.tokens
        _drop_identity(rewrite, column, edits)
        if column.type.name not in _SERIALS:
            edits.swap(column.type.start, column.type.end, "INTEGER")
        clause = column.clause("PRIMARY KEY")
        if clause is not None:
            edits.insert(clause.end, " AUTOINCREMENT")
            return
        name = ""
        for constraint in table.constraints:
            if constraint.clauses[0].kind == "PRIMARY KEY":
                name = _name(rewrite, constraint.clauses[0])
                drop_item(rewrite.tokens, constraint, edits)
                break
        else:
            if not column.clause("UNIQUE"):
                rewrite.note(f"{identifier(tokens[column.start].text)} is made the primary key", column.start)
        edits.insert(column.type.end, f"{name} PRIMARY KEY AUTOINCREMENT")

    def _require(self, table: Table, column: Column, edits: Edits) -> None:
        """SQLite lets NULL into a primary key that is not the rowid; elsewhere a key implies NOT NULL."""
        key = table.primary_key
        if table.altered or column.name not in key or column.clause("NOT NULL", "NULL"):
            return
        if column.type.name and (column.type.written != "INTEGER" or len(key) > 1):
            edits.insert(column.type.end, " NOT NULL")


def _name(rewrite: Rewrite, clause: Clause) -> str:
    return f" CONSTRAINT {rewrite.tokens[clause.name].text}" if clause.name >= 0 else ""
