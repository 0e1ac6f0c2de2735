"""Values for a numbered column, which a session must announce before it inserts them.

https://learn.microsoft.com/sql/t-sql/statements/set-identity-insert-transact-sql
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pyodbc

from nexusql.backends.mssql.session import MssqlSession, Result
from nexusql.sql.lexical import Lexical
from nexusql.sql.names import is_name, written_table
from nexusql.sql.tokens import tokenize

NEEDS_ANNOUNCEMENT = 544
# No such column in the table, another table is announced, no right to announce it, a row has no value for it.
NOT_ANNOUNCED = frozenset({8106, 8107, 1088, 545})


def announcement(table: str, begins: bool) -> str:
    """The statement that announces values for the numbered column of a table, one at a time, or takes that back."""
    return f"SET IDENTITY_INSERT {table} {'ON' if begins else 'OFF'}"


def inserted_table(text: str, rules: Lexical) -> str | None:
    """The table that driver text inserts into, as it is written; None where it is another statement."""
    tokens = tokenize(text, rules)
    verb = max(tokens.find("INSERT", "INTO"), tokens.find("MERGE", "INTO"))
    table = written_table(tokens, verb)
    return tokens.text(table.start, table.end) if verb >= 0 and is_name(tokens, table.start) else None


def run_announced(
    session: MssqlSession, table: str, text: str, args: Sequence[Any] | None, sizes: Sequence[Any] | None
) -> Result:
    """Run an INSERT or MERGE with values for the numbered column, as one batch: rows of OUTPUT come before its end."""
    behind = announcement(table, begins=False)
    try:
        # An error may come amid the rows, or behind them.
        return session.run(f"{announcement(table, begins=True)}; {text}\n; {behind}", args, sizes).read_ahead()
    except pyodbc.Error:
        with suppress(pyodbc.Error):  # the batch may have ended before
            session.run(behind, None, firm=True)
        raise
