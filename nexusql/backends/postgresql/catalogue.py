"""What PostgreSQL's system catalogues say of a table."""

from collections.abc import Callable
from typing import Any

from nexusql.backends.base import Raw
from nexusql.backends.bulk import table_parts
from nexusql.backends.postgresql.syntax import SYNTAX
from nexusql.backends.postgresql.values import folded
from nexusql.backends.tables import Column, Table
from nexusql.sql.identifiers import quote_identifier

Run = Callable[[Raw, Any, Any], Any]  # PostgresqlBackend.execute

# The type that a domain stands on, by way of other domains, or the type itself.
BASE_TYPE = """
  CROSS JOIN LATERAL (
       WITH RECURSIVE base (oid, next) AS (
             SELECT oid, typbasetype FROM pg_catalog.pg_type WHERE oid = a.atttypid
             UNION ALL
             SELECT t.oid, t.typbasetype FROM base JOIN pg_catalog.pg_type AS t ON t.oid = base.next)
       SELECT oid FROM base WHERE next = 0) AS b
"""
_COLUMNS = f"""
SELECT a.attname, pg_catalog.format_type(b.oid, NULL),
       CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END,
       CASE WHEN a.attidentity <> '' THEN pg_catalog.pg_get_serial_sequence(%(name)s, a.attname) END,
       a.attgenerated <> '', a.attidentity = 'a', a.atttypid, pg_catalog.format_type(a.atttypid, a.atttypmod)
  FROM pg_catalog.pg_attribute AS a
{BASE_TYPE}
  LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = pg_catalog.to_regclass(%(name)s) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum
"""
_KEYS = """
SELECT array_agg(a.attname::text ORDER BY k.place), i.indisprimary,
       coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, FALSE)
  FROM pg_catalog.pg_index AS i
  CROSS JOIN unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
 WHERE i.indrelid = pg_catalog.to_regclass(%(name)s) AND i.indisunique AND i.indisvalid AND i.indimmediate
   AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts
 GROUP BY i.indexrelid, i.indisprimary, to_jsonb(i)
 ORDER BY i.indisprimary DESC, i.indexrelid
"""
_OBSTACLES = """
SELECT CASE WHEN c.relkind = 'v' THEN 'it is a view'
            WHEN pg_catalog.row_security_active(c.oid) THEN 'row-level security is active on it'
            WHEN EXISTS (SELECT FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class = c.oid AND r.ev_type = '3')
            THEN 'it has a rule for INSERT' ELSE '' END,
       CASE WHEN NOT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY')
            THEN 'temporary tables are not allowed' ELSE '' END,
       -- for each row, before it is inserted: https://www.postgresql.org/docs/current/catalog-pg-trigger.html
       CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_trigger AS g
                          WHERE g.tgrelid = c.oid AND g.tgtype & 7 = 7 AND g.tgenabled <> 'D')
            THEN 'a trigger may change or leave out what is inserted' ELSE '' END
  FROM pg_catalog.pg_class AS c
 WHERE c.oid = pg_catalog.to_regclass(%(name)s)
"""


_TYPES = f"""
SELECT a.attname, pg_catalog.format_type(b.oid, NULL) FROM pg_catalog.pg_attribute AS a {BASE_TYPE}
 WHERE a.attrelid = pg_catalog.to_regclass(%(name)s) AND a.attnum > 0 AND NOT a.attisdropped
"""


_TYPE_NUMBERS = """
SELECT attname, atttypid FROM pg_catalog.pg_attribute
 WHERE attrelid = pg_catalog.to_regclass(%(name)s) AND attnum > 0 AND NOT attisdropped
"""


def type_numbers(run: Run, raw: Raw, quoted: str) -> dict[str, int]:
    """The object identifiers of the columns' types; asked for at each COPY, and a fraction of what `types` costs."""
    return dict(run(raw, _TYPE_NUMBERS, {"name": quoted}).fetchall())


def types(run: Run, raw: Raw, quoted: str) -> dict[str, str]:
    """The types of a table's columns, as format_type() gives them without their modifiers; a domain counts as the type
    it stands on."""
    return dict(run(raw, _TYPES, {"name": quoted}).fetchall())


def describe(run: Run, raw: Raw, table: str) -> Table | None:
    """From the system catalogues; a domain counts as the type it stands on."""
    parts = table_parts(table)[-2:]  # PostgreSQL knows no database but the current one
    quoted = ".".join(quote_identifier(folded(*part), SYNTAX) for part in parts)
    asked = {"name": quoted}
    columns = run(raw, _COLUMNS, asked).fetchall()
    if not columns:
        run(raw, f"SELECT 1 FROM {quoted} WHERE FALSE", None)
        return None
    keys = [(tuple(key), primary, with_null) for key, primary, with_null in run(raw, _KEYS, asked).fetchall()]
    ((obstacle, no_staging, unsteady),) = run(raw, _OBSTACLES, asked).fetchall()
    return Table(
        table,
        quoted,
        {name: _column(name, *described) for name, *described in columns},
        next((key for key, primary, _ in keys if primary), ()),
        tuple(key for key, _, _ in keys),
        frozenset(key for key, _, with_null in keys if with_null),
        obstacle,
        no_staging,
        unsteady,
    )


def _column(
    name: str,
    kind: str,
    default: str | None,
    sequence: str | None,
    generated: bool,
    guarded: bool,
    number: int,
    declared: str,
) -> Column:
    if sequence is not None:
        quoted = sequence.replace("'", "''")
        default = f"nextval('{quoted}'::regclass)"
    numbered = (default or "").startswith("nextval(")
    return Column(name, kind, default or "", numbered, generated, guarded, number, declared)
