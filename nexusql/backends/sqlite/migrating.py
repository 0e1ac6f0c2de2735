"""How SQLite's DDL behaves. It needs no lock between processes but the one that BEGIN IMMEDIATE takes."""

from nexusql.backends.migrating import ForeignKeys, Migrating, Rebuild

MIGRATING = Migrating(
    lock=None,
    leftovers=frozenset({"already exists", "duplicate column name", "no such index", "no such column"}),
    begin_mode="IMMEDIATE",
    foreign_keys=ForeignKeys(
        read="PRAGMA foreign_keys",
        off="PRAGMA foreign_keys = OFF",
        on="PRAGMA foreign_keys = ON",
        check="PRAGMA foreign_key_check",
    ),
    rebuild=Rebuild(
        definition="SELECT sql FROM main.sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE",
        attached=(
            "SELECT sql FROM main.sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
            " AND tbl_name = ? COLLATE NOCASE"
        ),
        # Else a view of the table, which is not there for a moment, would be an error.
        before="PRAGMA legacy_alter_table = ON",
        after="PRAGMA legacy_alter_table = OFF",
    ),
    outside_only=frozenset({"within a transaction", "inside of a transaction"}),
    disk_full=frozenset({"database or disk is full"}),
)
