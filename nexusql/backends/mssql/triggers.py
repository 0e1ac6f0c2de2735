"""OUTPUT on a table with triggers, where it needs INTO: the rows go to a temporary table, and are read from there.

https://learn.microsoft.com/sql/t-sql/queries/output-clause-transact-sql
"""

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import NamedTuple

import pyodbc

from nexusql.backends.mssql.session import MssqlSession, Result
from nexusql.sql.lexical import Lexical
from nexusql.sql.names import NamedTable, folded, is_name, named_table, written_table
from nexusql.sql.templates import copy
from nexusql.sql.tokens import Token, Tokens, tokenize

NEEDS_INTO = 334

_ENDS = ("VALUES", "SELECT", "WITH", "DEFAULT", "EXEC", "FROM", "WHERE")
_ROWS = frozenset(("INSERTED", "DELETED"))
_OWNER = "nexusql_t"

_serial = count(1)


class Detour(NamedTuple):
    """A statement with OUTPUT in three: a temporary table like its result, the statement into that, and its rows."""

    define: str
    run: str
    read: str
    drop: str


def detour(text: str, rules: Lexical) -> Detour | None:
    """The way around a trigger for driver text; None where it has no OUTPUT, or one INTO already, or a parameter or
    another table's column in it."""
    tokens = tokenize(text, rules)
    output = tokens.find("OUTPUT")
    verb = next((i for i in range(len(tokens)) if tokens.word(i) in ("INSERT", "UPDATE", "DELETE", "MERGE")), -1)
    if not 0 <= verb < output:
        return None
    ends = [i for word in (*_ENDS, "INTO") if (i := tokens.find(word, start=output)) >= 0]
    ends += [i for i in range(output, len(tokens)) if tokens[i].kind == ";"]
    end = min(ends, default=len(tokens))
    if tokens.word(end) == "INTO" or any(token.kind == "?" for token in tokens[output:end]):
        return None
    qualifiers = (tokens.word(i) for i in range(output, end) if tokens.kind(tokens.next(i)) == ".")
    if not _ROWS.issuperset(qualifiers):
        return None
    table = f"#nexusql_output_{next(_serial)}"
    columns = ", ".join(
        _column(tokens, start, stop, number) for number, (start, stop) in enumerate(tokens.items(output + 1, end))
    )
    owner = _table(tokens, written_table(tokens, verb), end)
    # A join keeps a column from being an identity of the new table as well.
    define = (
        f"SELECT TOP (0) {columns} INTO {table} FROM {owner} AS {_OWNER}"
        " LEFT JOIN (SELECT 1 AS nexusql_n) AS nexusql_o ON 1 = 0"
    )
    last = tokens.prev(end) + 1
    run = f"{tokens.text(0, last)} INTO {table} {tokens.text(last).lstrip()}"
    return Detour(define, run, f"SELECT * FROM {table}", f"DROP TABLE {table}")


def _table(tokens: Tokens, written: NamedTable, start: int) -> str:
    """The table that is modified; FROM, behind OUTPUT, says which where the statement names its alias."""
    alias = folded(tokens[written.end - 1].text)
    for i in range(start, len(tokens)):
        if is_name(tokens, i) and tokens.kind(tokens.prev(i)) != ".":
            table = named_table(tokens, i)
            if table.alias >= 0 and folded(tokens[table.alias].text) == alias:
                return tokens.text(table.start, table.end)
    return tokens.text(written.start, written.end)


def _column(tokens: Tokens, start: int, stop: int, number: int) -> str:
    """An item of OUTPUT as one of SELECT, with a name."""
    item = Tokens(map(copy, tokens[start:stop]))
    for i in range(len(item)):
        if item.word(i) in _ROWS and item.kind(item.next(i)) == ".":
            item[i] = Token("w", _OWNER)
    last = item.prev(len(item))
    named = item.kind(last) in ("w", '"') or item.text(last, last + 1) == "*"
    return item.text().strip() if named else f"{item.text().strip()} AS nexusql_{number}"


def run_around(session: MssqlSession, way: Detour, run: Callable[[str], Result]) -> Result:
    """Run a statement by way of its temporary table; `run` does so with its arguments."""
    session.run(way.define, None)
    try:
        run(way.run)
        return session.run(f"{way.read}; {way.drop}", None).read_ahead()
    except pyodbc.Error:
        with suppress(pyodbc.Error):  # a rollback has dropped it, or the session is gone
            session.run(way.drop, None)
        raise
