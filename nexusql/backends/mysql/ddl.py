"""MySQL's and MariaDB's side of CREATE, ALTER and DROP, as data."""

from nexusql.sql.lexical import SessionModes
from nexusql.sql.rules.ddl_alter import Actions
from nexusql.sql.rules.ddl_constraints import Constraints
from nexusql.sql.rules.ddl_defaults import Defaults
from nexusql.sql.rules.ddl_drops import Drop, DropIndexOfTable
from nexusql.sql.rules.ddl_indexes import CreateIndex
from nexusql.sql.rules.ddl_numbering import Words
from nexusql.sql.rules.ddl_tables import Options, define_tables
from nexusql.sql.rules.ddl_types import Keyed, TypeMap
from nexusql.sql.syntax import Rule

TYPES = {
    "ARRAY": "JSON",
    "BOOLEAN": "TINYINT(1)",
    "BYTEA": "LONGBLOB",
    "DOUBLE PRECISION": "DOUBLE",
    "INTERVAL": "TIME(6)",
    "INTERVAL()": "TIME",
    "JSON": "JSON",
    "JSONB": "JSON",
    "NUMERIC": "DECIMAL(65, 30)",
    "SERIAL": "INT",
    "BIGSERIAL": "BIGINT",
    "SMALLSERIAL": "SMALLINT",
    "TEXT": "LONGTEXT",
    "TIME": "TIME(6)",
    "TIME()": "TIME",
    "TIMETZ": "TIME(6)",
    "TIMETZ()": "TIME",
    "TIMESTAMP": "DATETIME(6)",
    "TIMESTAMP()": "DATETIME",
    "TIMESTAMPTZ": "DATETIME(6)",
    "TIMESTAMPTZ()": "DATETIME",
    "UUID": "CHAR(36)",
    "VARCHAR": "LONGTEXT",
    "VARCHAR()": "VARCHAR",
}

_LOSSY = {
    "INTERVAL": "INTERVAL is TIME here: at most 838:59:59, and no months",
    "NUMERIC": "NUMERIC without a precision is DECIMAL(65, 30) here",
    "TIMETZ": "TIME WITH TIME ZONE is TIME here: the zone is not kept",
}

# InnoDB takes 3072 bytes for the columns of a key, and utf8mb4 up to 4 of them for a character.
_KEYED = {"TEXT": Keyed("VARCHAR", 4), "VARCHAR": Keyed("VARCHAR", 4), "BYTEA": Keyed("VARBINARY", 1)}

NATIVE_MARKERS = frozenset(
    (
        "AUTO_INCREMENT",
        "CHARACTER SET",
        "CHARSET",
        "ENGINE =",
        "ENGINE INNODB",
        "ON UPDATE CURRENT_TIMESTAMP",
        "ON UPDATE NOW",
        "ROW_FORMAT",
        "UNIQUE INDEX",
        "UNIQUE KEY",
        "UNSIGNED",
        "ZEROFILL",
    )
)

_COLLATIONS = {"C": "utf8mb4_bin", "POSIX": "utf8mb4_bin", "UCS_BASIC": "utf8mb4_bin"}

# RFC 4122, 4.4, put together from 32 random digits: dashes, version 4 as the 13th, the variant (8, 9, a or b) as the
# 17th. UUID() itself is version 1.
_UUID_OF = (
    "LOWER(INSERT(INSERT(INSERT(INSERT({digits}, 21, 0, '-'), 17, 1, "
    "CONCAT('-', SUBSTR('89AB', 1 + FLOOR(RAND() * 4), 1))), 13, 1, '-4'), 9, 0, '-'))"
)


def is_mariadb(modes: SessionModes) -> bool:
    """True where the server is known to be MariaDB."""
    return modes.flavour == "mariadb"


def random_uuid(modes: SessionModes) -> str:
    """An expression for a random UUID.

    RANDOM_BYTES came to MariaDB with 10.10; before, the digits are a hash of what no two calls share.
    """
    if modes.flavour == "mysql" or (is_mariadb(modes) and modes.version >= (10, 10)):
        return _UUID_OF.format(digits="HEX(RANDOM_BYTES(16))")
    return _UUID_OF.format(digits="LEFT(SHA2(CONCAT(UUID(), RAND()), 256), 32)")


def _ignores_check(modes: SessionModes) -> bool:
    return modes.flavour == "mysql" and () < modes.version < (8, 0, 16)


def _ignores_desc(modes: SessionModes) -> bool:
    return is_mariadb(modes) and () < modes.version < (10, 8)


_DEFAULTS = Defaults(
    moments={
        "NOW": "CURRENT_TIMESTAMP({precision})",
        "UTC": "(UTC_TIMESTAMP({precision}))",
        "DATE": "(CURRENT_DATE)",
        "TIME": "(CURRENT_TIME({precision}))",
        "MIDNIGHT": "(CURRENT_DATE)",
    },
    uuid=random_uuid,
    bracketed=frozenset(("ARRAY", "BYTEA", "JSON", "JSONB", "TEXT", "VARCHAR")),
    native_now=True,
)

DDL_RULES: tuple[Rule, ...] = (
    define_tables(
        Options(temporary="TEMPORARY", likes=True, partitions=True),
        Actions(
            tolerated={"TABLE": 1146, "ADD COLUMN": 1060, "DROP COLUMN": 1091, "DROP CONSTRAINT": 3940},
            defaults=_DEFAULTS,
            has_if=is_mariadb,
        ),
        Words("AUTO_INCREMENT", serials=True, needs_key=True),
        _DEFAULTS,
        Constraints(collations=_COLLATIONS, lifts=True, ignores_check=_ignores_check),
        TypeMap(lossy=_LOSSY, keyed=_KEYED, key_bytes=3072, longest=16383),
    ),
    CreateIndex(
        existing=1061,
        has_if=is_mariadb,
        partial=False,
        expressions=lambda modes: not is_mariadb(modes),
        method_behind=True,
        ignores_desc=_ignores_desc,
    ),
    DropIndexOfTable(missing=1091, has_if=is_mariadb, runs_blocks=is_mariadb),
    Drop(several=True, reads_over=True),
)
