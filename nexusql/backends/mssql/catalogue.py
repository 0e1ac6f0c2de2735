"""What SQL Server's catalogue says of a table
(https://learn.microsoft.com/sql/relational-databases/system-catalog-views/object-catalog-views-transact-sql)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from nexusql.backends.bulk import table_parts
from nexusql.backends.mssql.session import MssqlSession
from nexusql.backends.mssql.syntax import SYNTAX
from nexusql.backends.tables import Column, Table
from nexusql.errors import ParameterError
from nexusql.sql.identifiers import quote_identifier

_COLUMNS = (
    "SELECT c.name, COALESCE(TYPE_NAME(c.system_type_id), TYPE_NAME(c.user_type_id)), c.max_length, c.[precision],"
    " c.scale, c.collation_name, c.is_identity, c.is_computed, COALESCE(d.definition, f.definition) FROM"
    " {catalogue}sys.columns AS c"
    " LEFT JOIN {catalogue}sys.default_constraints AS d ON d.object_id = c.default_object_id"
    " LEFT JOIN {catalogue}sys.computed_columns AS f ON f.object_id = c.object_id AND f.column_id = c.column_id"
    " WHERE c.object_id = OBJECT_ID(?) ORDER BY c.column_id"
)
_KEYS = (
    "SELECT i.index_id, i.is_primary_key, c.name, i.has_filter, i.filter_definition FROM {catalogue}sys.indexes AS i"
    " JOIN {catalogue}sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id"
    " JOIN {catalogue}sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id"
    " WHERE i.object_id = OBJECT_ID(?) AND i.is_unique = 1 AND i.is_disabled = 0 AND k.is_included_column = 0"
    " ORDER BY i.is_primary_key DESC, i.index_id, k.key_ordinal"
)
_TRIGGERS = "SELECT COUNT(*) FROM {catalogue}sys.triggers WHERE parent_id = OBJECT_ID(?) AND is_disabled = 0"

# The filter by which a unique index leaves NULL out, as the server writes it back.
_NOT_NULL = re.compile(r"\(*\[(?:[^\]]|\]\])+\] IS NOT NULL(?:\)? AND \(?\[(?:[^\]]|\]\])+\] IS NOT NULL)*\)*")

TEXTS = frozenset(("char", "varchar", "text", "nchar", "nvarchar", "ntext", "xml", "sysname"))
BYTES = frozenset(("binary", "varbinary", "image"))
_LENGTHS = frozenset(("char", "varchar", "binary", "varbinary"))
_SCALES = frozenset(("datetime2", "time", "datetimeoffset"))


@dataclass(frozen=True, slots=True)
class MssqlTable(Table):
    """A table with what writing to it takes here: `declared` are the whole types of its columns, and `triggers` tells
    that OUTPUT needs INTO."""

    declared: Mapping[str, str] = field(default_factory=dict)
    triggers: bool = False


def read_table(session: MssqlSession, name: str) -> MssqlTable | None:
    """The description of a table; None where it is not to be seen. Raises ParameterError for a name that cannot be
    read, and the driver's error where there is no such table."""
    parts = [part for part, _ in table_parts(name)]
    if len(parts) > 2:
        raise ParameterError(f"the table name {name!r} has more parts than nexusql reads here: schema and table")
    quoted = ".".join(quote_identifier(part, SYNTAX) for part in parts)
    temporary = parts[-1].startswith("#")
    catalogue = "tempdb." if temporary else ""
    args = (f"tempdb..{quoted}" if temporary else quoted,)

    columns: dict[str, Column] = {}
    declared: dict[str, str] = {}
    listed = session.run(_COLUMNS.format(catalogue=catalogue), args).fetchall()
    for column, kind, length, precision, scale, collation, numbered, computed, default in listed:
        fixed = bool(computed) or kind == "timestamp"  # rowversion, which the server counts itself
        columns[column] = Column(column, kind, default or "", bool(numbered), fixed, bool(numbered))
        declared[column] = _declaration(kind, length, precision, scale, collation)
    if not columns:
        session.run(f"SELECT TOP (0) 1 FROM {quoted}", None).fetchall()
        return None
    primary, keys, with_null = _read_keys(session, catalogue, args)
    ((triggers,),) = session.run(_TRIGGERS.format(catalogue=catalogue), args).fetchall()
    return MssqlTable(
        name, quoted, columns, primary, tuple(keys), frozenset(with_null), declared=declared, triggers=triggers > 0
    )


def _read_keys(
    session: MssqlSession, catalogue: str, args: tuple[str]
) -> tuple[tuple[str, ...], list[tuple[str, ...]], list[tuple[str, ...]]]:
    """The primary key, all unique keys, and those by which NULL equals NULL."""
    found: dict[int, list[str]] = {}
    primary_id, filters = -1, {}
    for index, is_primary, column, has_filter, condition in session.run(
        _KEYS.format(catalogue=catalogue), args
    ).fetchall():
        found.setdefault(index, []).append(column)
        primary_id = index if is_primary else primary_id
        filters[index] = condition if has_filter else None
    keys = {index: tuple(columns) for index, columns in found.items() if _is_whole(filters[index])}
    with_null = [key for index, key in keys.items() if filters[index] is None and index != primary_id]
    return keys.get(primary_id, ()), list(keys.values()), with_null


def _is_whole(condition: str | None) -> bool:
    """True for an index of all rows, or of all but those with NULL."""
    return condition is None or _NOT_NULL.fullmatch(condition) is not None


def _declaration(kind: str, length: int, precision: int, scale: int, collation: str | None) -> str:
    """A column's type as a definition says it."""
    said = kind
    if kind in ("nchar", "nvarchar"):
        said = f"{kind}({'MAX' if length < 0 else length // 2})"
    elif kind in _LENGTHS:
        said = f"{kind}({'MAX' if length < 0 else length})"
    elif kind in ("decimal", "numeric"):
        said = f"{kind}({precision}, {scale})"
    elif kind in _SCALES:
        said = f"{kind}({scale})"
    elif kind == "float":
        said = f"float({precision})"
    elif kind == "timestamp":
        said = "binary(8)"
    return f"{said} COLLATE {collation}" if collation and kind in TEXTS else said
