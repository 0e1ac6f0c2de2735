"""What a database holds, so that two can be compared: tables, columns, indexes and rows."""

from typing import Any

from nexusql import DatabaseManager

_INDEXES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index' ORDER BY name",
    "postgresql": "SELECT indexname AS name FROM pg_indexes WHERE schemaname = current_schema() ORDER BY indexname",
    "mysql": (
        "SELECT DISTINCT CONCAT(table_name, '.', index_name) AS name FROM information_schema.statistics"
        " WHERE table_schema = DATABASE() ORDER BY name"
    ),
    "mssql": (
        "SELECT CONCAT(OBJECT_NAME(i.object_id), '.', i.name) AS name FROM sys.indexes AS i JOIN sys.tables AS t"
        " ON t.object_id = i.object_id WHERE i.name IS NOT NULL AND i.is_primary_key = 0 AND i.is_unique_constraint = 0"
        " ORDER BY name"
    ),
}
# A number that PostgreSQL has handed out is not handed out again.
_PASSING = {"ia_migrations": ("id", "applied_at", "execution_ms")}
_OURS = ("ia_migration_steps",)


def picture(db: DatabaseManager) -> dict[str, Any]:
    """Columns and rows by table, and the names of indexes; when and how long a migration was run is left out."""
    kind = db.config.database_type.value
    tables = [table for table in db.list_tables() if table not in _OURS]
    engine = db._connected()
    connection = engine.lease()
    try:
        columns = {table: dict(connection.column_types(table)) for table in tables}
    finally:
        engine.pool.release(connection)
    return {
        "columns": columns,
        "rows": {table: _rows(db, table) for table in tables},
        "indexes": [row["name"] for row in db.execute(_INDEXES[kind]) if not row["name"].startswith(_OURS)],
    }


def _rows(db: DatabaseManager, table: str) -> list[dict[str, Any]]:
    rows = db.execute(f"SELECT * FROM {table} ORDER BY 1")
    return [{name: value for name, value in row.items() if name not in _PASSING.get(table, ())} for row in rows]
