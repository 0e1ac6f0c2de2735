"""SQL Server's side of CREATE, ALTER and DROP, as data."""

from nexusql.sql.rules.casts import hexadecimal
from nexusql.sql.rules.ddl_actions import Batches
from nexusql.sql.rules.ddl_batches import TableBatch, drop_batch, index_batch, schema_batch, table_sequence
from nexusql.sql.rules.ddl_constraints import Constraints
from nexusql.sql.rules.ddl_defaults import Defaults
from nexusql.sql.rules.ddl_drops import Drop
from nexusql.sql.rules.ddl_indexes import CreateIndex
from nexusql.sql.rules.ddl_numbering import IdentityOrSequence
from nexusql.sql.rules.ddl_tables import Options, define_tables
from nexusql.sql.rules.ddl_types import Keyed, TypeMap
from nexusql.sql.syntax import Rule

TYPES = {
    "ARRAY": "NVARCHAR(MAX)",
    "BOOLEAN": "BIT",
    "BYTEA": "VARBINARY(MAX)",
    "CHAR": "NCHAR",
    "CHAR()": "NCHAR",
    "CITEXT": "NVARCHAR(MAX)",
    "DOUBLE PRECISION": "FLOAT",
    "FLOAT4": "REAL",
    "INT2": "SMALLINT",
    "INT4": "INT",
    "INT8": "BIGINT",
    "INTERVAL": "TIME(6)",
    "INTERVAL()": "TIME",
    "JSON": "NVARCHAR(MAX)",
    "JSONB": "NVARCHAR(MAX)",
    "NUMERIC": "DECIMAL(38, 10)",
    "SERIAL": "INT",
    "BIGSERIAL": "BIGINT",
    "SMALLSERIAL": "SMALLINT",
    "TEXT": "NVARCHAR(MAX)",
    "TIME": "TIME(6)",
    "TIME()": "TIME",
    "TIMETZ": "TIME(6)",
    "TIMETZ()": "TIME",
    "TIMESTAMP": "DATETIME2(6)",
    "TIMESTAMP()": "DATETIME2",
    "TIMESTAMPTZ": "DATETIMEOFFSET(6)",
    "TIMESTAMPTZ()": "DATETIMEOFFSET",
    "UUID": "UNIQUEIDENTIFIER",
    "VARCHAR": "NVARCHAR(MAX)",
    "VARCHAR()": "NVARCHAR",
}

_LOSSY = {
    "INTERVAL": "INTERVAL is TIME here: less than a day",
    "NUMERIC": "NUMERIC without a precision is DECIMAL(38, 10) here",
    "TIMETZ": "TIME WITH TIME ZONE is TIME here: the zone is not kept",
}

# A clustered key has 900 bytes, and a character of NVARCHAR two.
_KEYED = {"TEXT": Keyed("NVARCHAR", 2), "VARCHAR": Keyed("NVARCHAR", 2), "BYTEA": Keyed("VARBINARY", 1)}

NATIVE_MARKERS = frozenset(
    (
        "BIT",
        "CLUSTERED",
        "DATETIME2",
        "DATETIMEOFFSET",
        "GETDATE",
        "HIERARCHYID",
        "IDENTITY",
        "MONEY",
        "NEWID",
        "NONCLUSTERED",
        "NTEXT",
        "NVARCHAR",
        "ROWVERSION",
        "SMALLDATETIME",
        "SYSDATETIME",
        "SYSUTCDATETIME",
        "TINYINT",
        "UNIQUEIDENTIFIER",
        "VARBINARY",
    )
)

_COLLATIONS = {
    "C": "Latin1_General_100_BIN2",
    "POSIX": "Latin1_General_100_BIN2",
    "UCS_BASIC": "Latin1_General_100_BIN2",
}


def hexadecimal_constant(text: str) -> str | None:
    r"""The constant for a BYTEA literal in hexadecimal, '\x00ff'; None for any other."""
    return f"0x{text[3:-1]}" if hexadecimal(text) else None


_DEFAULTS = Defaults(
    moments={
        "NOW": "SYSDATETIME()",
        "NOW TIMESTAMPTZ": "SYSDATETIMEOFFSET()",
        "UTC": "SYSUTCDATETIME()",
        "DATE": "CAST(SYSDATETIME() AS DATE)",
        "TIME": "CAST(SYSDATETIME() AS TIME)",
        "MIDNIGHT": "CAST(CAST(SYSDATETIME() AS DATE) AS DATETIME2)",
    },
    uuid=lambda _modes: "NEWID()",
    false_true=("0", "1"),
    bytes_of="CAST({} AS VARBINARY(MAX))",
    hexadecimal=hexadecimal_constant,
    native_now=True,
)

DDL_RULES: tuple[Rule, ...] = (
    define_tables(
        TableBatch(),
        Options(),
        Batches(_DEFAULTS),
        IdentityOrSequence(table_sequence),
        _DEFAULTS,
        Constraints(collations=_COLLATIONS, lifts_checks=True),
        TypeMap(lossy=_LOSSY, keyed=_KEYED, key_bytes=900, longest=4000),
    ),
    index_batch(CreateIndex(existing=1913, has_if=lambda _modes: True, partial=True, expressions=lambda _modes: False)),
    schema_batch,
    Drop(several=True),
    drop_batch,
)
