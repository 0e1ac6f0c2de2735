"""The packaged schema on a database of an older release: what its tables lack is added, and nothing else is touched."""

import logging
from collections.abc import Sequence

from nexusql.migrations.script import Piece
from nexusql.migrations.session import Session
from nexusql.sql.lexical import SessionModes
from nexusql.sql.rules.ddl_reader import Column, Table, read_table
from nexusql.sql.syntax import Rewrite, Syntax, syntax_for
from nexusql.sql.tokens import Tokens, tokenize

logger = logging.getLogger("nexusql.migrations")

REBUILT = "nexusql_rebuilt"
_LITERALS = frozenset(("TRUE", "FALSE", "NULL"))


def add_missing_columns(session: Session, pieces: Sequence[Piece]) -> None:
    """Give the existing tables of a canonical script the columns that they lack. Run again, it finds nothing to do."""
    canonical = syntax_for("postgresql")
    for piece in pieces:
        read = _read(piece.text, canonical, SessionModes())
        if read is None:
            continue
        tokens, table = read
        name = tokens.text(table.name, table.name_end).strip()
        present = {column.lower() for column in session.connection.column_types(name)}
        lacking = [column for column in table.columns if column.name not in present]
        if not present or not lacking:
            continue
        names = ", ".join(column.name for column in lacking)
        logger.warning("table %s is of an older release; columns are added to it: %s", name, names)
        has_rows = bool(session.run(f"SELECT 1 AS found FROM {name} LIMIT 1"))
        definitions = [_definition(tokens, column, has_rows) for column in lacking]
        if session.database.rebuild is not None and any(_needs_rebuild(tokens, c, has_rows) for c in lacking):
            _rebuild(session, name, definitions)
        else:
            for definition in definitions:
                session.run(f"ALTER TABLE {name} ADD COLUMN {definition}")


def _read(sql: str, syntax: Syntax, modes: SessionModes) -> tuple[Tokens, Table] | None:
    """A CREATE TABLE with its columns, or None for any other statement."""
    tokens = tokenize(sql, syntax.lexical(modes), modes.version_number)
    table = read_table(Rewrite(sql, tokens, syntax, modes))
    return (tokens, table) if table is not None and not table.altered and table.columns else None


def _definition(tokens: Tokens, column: Column, has_rows: bool) -> str:
    """A column as it can be added: one that is required and has no default is nullable where there are rows already."""
    required = column.clause("NOT NULL")
    if required is None or not has_rows or column.clause("DEFAULT") is not None:
        return tokens.text(column.start, column.end).strip()
    return (tokens.text(column.start, required.start) + tokens.text(required.end, column.end)).strip()


def _needs_rebuild(tokens: Tokens, column: Column, has_rows: bool) -> bool:
    """SQLite adds no column that is a key, and none whose default is computed to a table with rows
    (https://sqlite.org/lang_altertable.html)."""
    if column.clause("UNIQUE", "PRIMARY KEY") is not None:
        return True
    default = column.clause("DEFAULT")
    if default is None or not has_rows:
        return False
    value = tokens.next(tokens.next(default.body - 1))
    return not (tokens.kind(value) == "'" or tokens.word(value) in _LITERALS or tokens[value].text[0].isdigit())


def _rebuild(session: Session, name: str, definitions: Sequence[str]) -> None:
    """Make a table anew with further columns, and move its rows there: the way that SQLite's manual tells.

    Its own definition is kept, whatever a client has added to it, and so are its indexes and triggers.
    """
    rebuild = session.database.rebuild
    assert rebuild is not None
    (sql,) = session.values(rebuild.definition, [name])
    attached = session.values(rebuild.attached, [name])
    modes = session.connection.modes
    read = _read(sql, session.syntax, modes)
    assert read is not None
    tokens, table = read
    columns = ", ".join(tokens[column.start].text for column in table.columns)
    last = tokens.prev(table.columns[-1].end)
    new = (
        f"{tokens.text(0, table.name)}{REBUILT}{tokens.text(table.name_end, last + 1)}, "
        f"{', '.join(definitions)}{tokens.text(last + 1)}"
    )
    session.native(rebuild.before)
    try:
        session.run(new)
        session.run(f"INSERT INTO {REBUILT} ({columns}) SELECT {columns} FROM {name}")
        session.run(f"DROP TABLE {name}")
        session.run(f"ALTER TABLE {REBUILT} RENAME TO {name}")
        for text in attached:
            session.native(text)
    finally:
        session.native(rebuild.after)
