"""SQLite's side of CREATE, ALTER and DROP, as data."""

from nexusql.sql.rules.ddl_alter import Actions
from nexusql.sql.rules.ddl_constraints import Constraints, constraints_last
from nexusql.sql.rules.ddl_defaults import Defaults
from nexusql.sql.rules.ddl_drops import Drop
from nexusql.sql.rules.ddl_indexes import CreateIndex
from nexusql.sql.rules.ddl_numbering import Rowid
from nexusql.sql.rules.ddl_tables import Options, define_tables
from nexusql.sql.rules.ddl_types import TypeMap
from nexusql.sql.syntax import Rule

# A declared type only gives a column its affinity (datatype3.html, 3.1). What is not here has the right one by its own
# name. JSON, JSONB, UUID and INTERVAL would make numbers of texts that look like one; "INTERVAL" even holds "INT".
TYPES = {
    "ARRAY": "TEXT",
    "BYTEA": "BLOB",
    "INTERVAL": "TEXT",
    "INTERVAL()": "TEXT",
    "JSON": "TEXT",
    "JSONB": "TEXT",
    "UUID": "TEXT",
    "SERIAL": "INTEGER",
    "BIGSERIAL": "INTEGER",
    "SMALLSERIAL": "INTEGER",
    "TIMESTAMP": "TIMESTAMP",
    "TIMESTAMP()": "TIMESTAMP",
    "TIMESTAMPTZ": "TIMESTAMPTZ",
    "TIMESTAMPTZ()": "TIMESTAMPTZ",
    "TIME": "TIME",
    "TIME()": "TIME",
    "TIMETZ": "TIMETZ",
    "TIMETZ()": "TIMETZ",
}

NATIVE_MARKERS = frozenset(("AUTOINCREMENT", "ON CONFLICT", "STRICT", "WITHOUT ROWID"))

# The form in which moments are stored: six digits of the second, of which this clock has three.
NOW = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"

# RFC 4122, 4.4: version 4 in the 13th digit, the variant (8, 9, a or b) in the 17th.
RANDOM_UUID = (
    "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || "
    "substr('89AB', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))"
)

_COLLATIONS = {"C": "BINARY", "POSIX": "BINARY", "UCS_BASIC": "BINARY"}

_DEFAULTS = Defaults(
    moments={
        "NOW": f"({NOW})",
        "UTC": f"({NOW})",
        "DATE": "CURRENT_DATE",
        "TIME": "CURRENT_TIME",
        "MIDNIGHT": "(strftime('%Y-%m-%d 00:00:00.000000', 'now'))",
    },
    uuid=lambda _modes: RANDOM_UUID,
    false_true=("0", "1"),
    bytes_of="CAST({} AS BLOB)",
)

DDL_RULES: tuple[Rule, ...] = (
    define_tables(
        Options(),
        Actions(
            tolerated={
                "TABLE": "no such table: {name}",
                "ADD COLUMN": "duplicate column name: {name}",
                "DROP COLUMN": 'no such column: "{written}"',
            },
            defaults=_DEFAULTS,
            has_if=lambda _modes: False,
            changes=False,
        ),
        Rowid(),
        _DEFAULTS,
        Constraints(collations=_COLLATIONS, defers=frozenset(("REFERENCES",))),
        TypeMap(),
    ),
    constraints_last,
    CreateIndex(existing="", has_if=lambda _modes: True, collations=_COLLATIONS),
    Drop(),
)
