"""What SQL Server's catalogue says of a table, as tests/support/ddl.py asks it, and as it answers the backend."""

COLUMNS = (
    "SELECT c.name, TYPE_NAME(c.system_type_id), c.is_nullable FROM sys.columns AS c"
    " WHERE c.object_id = OBJECT_ID('{table}') ORDER BY c.column_id"
)
INDEXES = (
    "SELECT i.name, 1 - CAST(i.is_unique AS INT), c.name FROM sys.indexes AS i"
    " JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id"
    " JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id"
    " WHERE i.object_id = OBJECT_ID('{table}') ORDER BY i.name, k.key_ordinal"
)
PRIMARY_KEY = (
    "SELECT c.name FROM sys.indexes AS i"
    " JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id"
    " JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id"
    " WHERE i.object_id = OBJECT_ID('{table}') AND i.is_primary_key = 1 ORDER BY k.key_ordinal"
)
FOREIGN_KEYS = (
    "SELECT f.object_id, a.name, OBJECT_NAME(f.referenced_object_id), b.name,"
    " CASE f.delete_referential_action WHEN 1 THEN 'CASCADE' WHEN 2 THEN 'SET NULL' ELSE '' END"
    " FROM sys.foreign_keys AS f JOIN sys.foreign_key_columns AS k ON k.constraint_object_id = f.object_id"
    " JOIN sys.columns AS a ON a.object_id = k.parent_object_id AND a.column_id = k.parent_column_id"
    " JOIN sys.columns AS b ON b.object_id = k.referenced_object_id AND b.column_id = k.referenced_column_id"
    " WHERE f.parent_object_id = OBJECT_ID('{table}') ORDER BY k.constraint_column_id"
)
TABLES = "SELECT name FROM sys.tables"
# Keys first, then views, tables and sequences: what refers goes before what is referred to.
CLEAR = (
    "SELECT CONCAT('ALTER TABLE ', QUOTENAME(OBJECT_NAME(parent_object_id)), ' DROP CONSTRAINT ', QUOTENAME(name))"
    " FROM sys.foreign_keys",
    "SELECT CONCAT('DROP VIEW ', QUOTENAME(name)) FROM sys.views",
    "SELECT CONCAT('DROP TABLE ', QUOTENAME(name)) FROM sys.tables",
    "SELECT CONCAT('DROP SEQUENCE ', QUOTENAME(name)) FROM sys.sequences",
)
# A table's columns, as they are described to the backend before a bulk write.
COLUMN_ROWS = [
    # name, type, max_length, precision, scale, collation, identity, computed, default
    ("id", "int", 4, 10, 0, None, True, False, None),
    ("name", "nvarchar", 200, 0, 0, "Latin1_General_CI_AS", False, False, None),
    ("code", "varchar", 10, 0, 0, "Latin1_General_CI_AS", False, False, "('x')"),
    ("data", "varbinary", -1, 0, 0, None, False, False, None),
    ("n", "decimal", 9, 10, 2, None, False, False, None),
]
