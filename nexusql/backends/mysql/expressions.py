"""What canonical expressions and statements become on MySQL and MariaDB, as data for the rules."""

import json
import re
from collections.abc import Mapping

from nexusql.backends.mysql.ddl import random_uuid
from nexusql.sql.lexical import SessionModes
from nexusql.sql.rules.casts import Casts, casts, hexadecimal, truth
from nexusql.sql.rules.ctes import expressions_with_select
from nexusql.sql.rules.functions import calls, clock, extremes, fields, filtered, renamed, string_agg
from nexusql.sql.rules.intervals import Interval, intervals
from nexusql.sql.rules.json_ops import (
    JsonPaths,
    Key,
    json_arrows,
    json_containment,
    refuse_commented_paths,
    refuse_json_operators,
)
from nexusql.sql.rules.limits import limits
from nexusql.sql.rules.moments import moment_sums
from nexusql.sql.rules.nulls import null_order
from nexusql.sql.rules.operators import distinct_from, ilike
from nexusql.sql.rules.quoting import note_readings, refuse_escape_literals
from nexusql.sql.rules.returning import returning
from nexusql.sql.rules.selects import LockWords, locks, refuse_distinct_on
from nexusql.sql.rules.upsert import default_values, on_duplicate_key
from nexusql.sql.rules.writes import (
    drop_insert_alias,
    note_order_of_assignments,
    returning_by_table,
    row_assignments,
    tables_before_set,
)
from nexusql.sql.syntax import Rewrite, Rule
from nexusql.sql.templates import fill
from nexusql.sql.tokens import Token

# A cast to CHAR has the connection's collation, which does not compare with another column's; this has its operand's.
_TEXT_OF = "CONCAT({0})"
_BOOLEAN = (
    "CASE WHEN LOWER({0}) IN ('t', 'true', 'y', 'yes', 'on', '1') THEN TRUE "
    "WHEN LOWER({0}) IN ('f', 'false', 'n', 'no', 'off', '0') THEN FALSE ELSE {0} <> 0 END"
)
_ZONE = re.compile(r"'.*\d\s*(?:Z|[+-]\d\d(?::?\d\d)?)'", re.IGNORECASE)


def _moment(text: str) -> str | None:
    if _ZONE.fullmatch(text) and ":" in text:
        raise ValueError("the server reads no zone in a moment; write it in UTC, without one")
    return None


_CASTS = Casts(
    templates={
        "BIGINT": "CAST({0} AS SIGNED)",
        "BOOLEAN": _BOOLEAN,
        "BYTEA": "CAST({0} AS BINARY)",
        "CHAR": "LEFT({0}, 1)",
        "CHAR(1)": "LEFT({0}, {1})",
        "CIDR": _TEXT_OF,
        "CITEXT": _TEXT_OF,
        "DATE": "CAST({0} AS DATE)",
        "DOUBLE PRECISION": "({0} + 0e0)",
        "DOUBLE PRECISION(1)": "({0} + 0e0)",
        "INET": _TEXT_OF,
        "INTEGER": "CAST({0} AS SIGNED)",
        "JSON": "{0}",
        "JSONB": "{0}",
        "NAME": _TEXT_OF,
        "NUMERIC": "CAST({0} AS DECIMAL(65, 30))",
        "NUMERIC(1)": "CAST({0} AS DECIMAL({1}))",
        "NUMERIC(2)": "CAST({0} AS DECIMAL({1}, {2}))",
        "REAL": "({0} + 0e0)",
        "SMALLINT": "CAST({0} AS SIGNED)",
        "TEXT": _TEXT_OF,
        "TIME": "CAST({0} AS TIME(6))",
        "TIME(1)": "CAST({0} AS TIME({1}))",
        "TIMESTAMP": "CAST({0} AS DATETIME(6))",
        "TIMESTAMP(1)": "CAST({0} AS DATETIME({1}))",
        "TIMESTAMPTZ": "CAST({0} AS DATETIME(6))",
        "TIMESTAMPTZ(1)": "CAST({0} AS DATETIME({1}))",
        "UUID": "LOWER({0})",
        "VARCHAR": _TEXT_OF,
        "VARCHAR(1)": "LEFT({0}, {1})",
        "XML": _TEXT_OF,
    },
    literals={"BOOLEAN": truth, "BYTEA": hexadecimal, "TIMESTAMP": _moment, "TIMESTAMPTZ": _moment},
    # JSON is no type on MariaDB, only text that is checked; where the server is unknown, so is the cast.
    flavours={"mysql": {"JSON": "CAST({0} AS JSON)", "JSONB": "CAST({0} AS JSON)"}},
    native=frozenset(
        (
            *("BINARY", "CHAR", "DATE", "DATETIME", "DECIMAL", "DOUBLE", "FLOAT", "NCHAR", "TIME", "YEAR"),
            *("SIGNED", "SIGNED INTEGER", "UNSIGNED", "UNSIGNED INTEGER"),
        )
    ),
    ambiguous={"DECIMAL": "DECIMAL without a precision has no decimals here"},
    native_literal=re.compile(
        r"DATE '.*'|TIME '.*'|TIMESTAMP '\d{4}-\d\d?-\d\d? \d\d?:\d\d?(?::\d\d?(?:\.\d{1,6})?)?'", re.DOTALL
    ),
)

_NOW = "NOW(6)"
_CLOCK_CALLS = {
    **dict.fromkeys(("NOW", "STATEMENT_TIMESTAMP", "TRANSACTION_TIMESTAMP"), _NOW),
    "CLOCK_TIMESTAMP": "SYSDATE(6)",
}
_CLOCK_WORDS = dict.fromkeys(("CURRENT_TIMESTAMP", "LOCALTIMESTAMP"), _NOW)


def _calls(modes: SessionModes) -> Mapping[str, str]:
    return dict.fromkeys(("GEN_RANDOM_UUID", "UUID_GENERATE_V4"), random_uuid(modes))


_FIELDS = {
    "EXTRACT YEAR": "EXTRACT(YEAR FROM {0})",
    "EXTRACT QUARTER": "EXTRACT(QUARTER FROM {0})",
    "EXTRACT MONTH": "EXTRACT(MONTH FROM {0})",
    "EXTRACT WEEK": "WEEK({0}, 3)",
    "EXTRACT DAY": "EXTRACT(DAY FROM {0})",
    "EXTRACT DOW": "(DAYOFWEEK({0}) - 1)",
    "EXTRACT ISODOW": "(WEEKDAY({0}) + 1)",
    "EXTRACT DOY": "DAYOFYEAR({0})",
    "EXTRACT HOUR": "EXTRACT(HOUR FROM {0})",
    "EXTRACT MINUTE": "EXTRACT(MINUTE FROM {0})",
    "EXTRACT SECOND": "(EXTRACT(SECOND_MICROSECOND FROM {0}) / 1e6)",
    "EXTRACT EPOCH": "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {0}) / 1e6)",
    "DATE_TRUNC YEAR": "CAST(DATE_FORMAT({0}, '%Y-01-01') AS DATETIME(6))",
    "DATE_TRUNC QUARTER": "CAST(MAKEDATE(YEAR({0}), 1) + INTERVAL (QUARTER({0}) - 1) QUARTER AS DATETIME(6))",
    "DATE_TRUNC MONTH": "CAST(DATE_FORMAT({0}, '%Y-%m-01') AS DATETIME(6))",
    "DATE_TRUNC WEEK": "CAST(DATE({0}) - INTERVAL WEEKDAY({0}) DAY AS DATETIME(6))",
    "DATE_TRUNC DAY": "CAST(DATE({0}) AS DATETIME(6))",
    "DATE_TRUNC HOUR": "CAST(DATE_FORMAT({0}, '%Y-%m-%d %H:00:00') AS DATETIME(6))",
    "DATE_TRUNC MINUTE": "CAST(DATE_FORMAT({0}, '%Y-%m-%d %H:%i:00') AS DATETIME(6))",
    "DATE_TRUNC SECOND": "CAST(DATE_FORMAT({0}, '%Y-%m-%d %H:%i:%s') AS DATETIME(6))",
}
_COMPOSED = (
    "DAY_HOUR DAY_MICROSECOND DAY_MINUTE DAY_SECOND HOUR_MICROSECOND HOUR_MINUTE HOUR_SECOND MINUTE_MICROSECOND "
    "MINUTE_SECOND SECOND_MICROSECOND YEAR_MONTH"
).split()
# EXTRACT(SECOND ..) and EXTRACT(WEEK ..) exist, too, but mean something else.
_NATIVE_FIELDS = frozenset((*_COMPOSED, "MICROSECOND", "MINUTE", "HOUR", "DAY", "MONTH", "QUARTER", "YEAR"))
_UNITS = frozenset((*_COMPOSED, "MICROSECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"))


def _shift(moment: list[Token], interval: Interval, factor: list[Token] | None) -> list[Token]:
    """A moment with an interval added, `factor` times: one INTERVAL for the months, one for days, one for the clock."""
    if factor is not None:
        seconds = interval.days * 86_400 + interval.microseconds / 1_000_000
        parts = [(interval.months, "MONTH"), (seconds, "SECOND")]
        terms = [f" + INTERVAL ({{1}} * {count:.12g}) {unit}" for count, unit in parts if count]
        return fill("{0}" + "".join(terms), moment, factor)
    count, unit = interval.microseconds, "MICROSECOND"
    for size, name in ((3_600_000_000, "HOUR"), (60_000_000, "MINUTE"), (1_000_000, "SECOND")):
        if interval.microseconds % size == 0:
            count, unit = interval.microseconds // size, name
            break
    whole = [(interval.months, "MONTH"), (interval.days, "DAY"), (count, unit)]
    terms = [f" {'-' if n < 0 else '+'} INTERVAL {abs(n)} {name}" for n, name in whole if n]
    return fill("{0}" + "".join(terms or [" + INTERVAL 0 SECOND"]), moment)


def _json_path(modes: SessionModes, keys: tuple[Key, ...]) -> str | None:
    """The literal of a path; keys are quoted as JSON strings (MySQL manual, 12.17.8)."""
    path = "$"
    for key in keys:
        if isinstance(key, str):
            path += "." + json.dumps(key, ensure_ascii=False)
        elif key >= 0:
            path += f"[{key}]"
        elif modes.flavour == "mariadb" and modes.version < (10, 9):
            raise ValueError("JSON is read from its end since MariaDB 10.9")
        else:
            path += "[last]" if key == -1 else f"[last{key + 1}]"
    if not modes.no_backslash_escapes:
        path = path.replace("\\", "\\\\")
    return "'" + path.replace("'", "''") + "'"


# A key or an index that only the statement's run tells: JSON_ARRAY writes the one as ["key"], the other as [index].
_PATH_AT = (
    "CONCAT('$', CASE WHEN {1} IS NULL THEN NULL WHEN JSON_ARRAY({1}) LIKE '[\"%' "
    "THEN CONCAT('.', JSON_QUOTE(CONCAT({1}))) ELSE JSON_ARRAY({1}) END)"
)
_ELEMENT = "JSON_EXTRACT({0}, {1})"
_TEXT = f"IF(JSON_TYPE({_ELEMENT}) = 'NULL', NULL, JSON_UNQUOTE({_ELEMENT}))"


def _json(modes: SessionModes) -> JsonPaths:
    return JsonPaths(
        element=_ELEMENT,
        text=_TEXT,
        element_at=_ELEMENT.replace("{1}", _PATH_AT),
        text_at=_TEXT.replace("{1}", _PATH_AT),
        path=lambda keys: _json_path(modes, keys),
    )


def _group_concat(
    rewrite: Rewrite, i: int, distinct: bool, value: list[Token], separator: list[Token], order: list[Token]
) -> list[Token]:
    """GROUP_CONCAT, whose separator is a literal, or a parameter that the driver writes as one."""
    if len(separator) != 1 or separator[0].kind not in "':":
        raise rewrite.refuse("the separator of STRING_AGG is a literal or a parameter here", i)
    if rewrite.modes.flavour != "mariadb":
        rewrite.note("the result is cut to group_concat_max_len bytes, 1024 unless the server was told otherwise", i)
    template = "GROUP_CONCAT(DISTINCT {0}" if distinct else "GROUP_CONCAT({0}"
    return fill(f"{template}{' {2}' if order else ''} SEPARATOR {{1}})", value, separator, order)


def _lock_words(modes: SessionModes) -> LockWords:
    if modes.flavour == "mysql":
        return LockWords("FOR UPDATE", "FOR SHARE", of=True)
    return LockWords("FOR UPDATE", "LOCK IN SHARE MODE", of=False)


def _returning(modes: SessionModes) -> frozenset[str]:
    return frozenset(("INSERT", "REPLACE", "DELETE") if modes.flavour == "mariadb" else ())


DML_RULES: tuple[Rule, ...] = (
    refuse_escape_literals,
    refuse_distinct_on,
    expressions_with_select,
    refuse_commented_paths,
    returning(_returning, "db.insert(table, row) gives the generated key, and SELECT reads what was changed"),
    default_values,
    on_duplicate_key,
    returning_by_table,
    drop_insert_alias,
    row_assignments,
    note_order_of_assignments,
    tables_before_set,
    null_order(expressions_of_columns=False),
    limits("18446744073709551615"),
    refuse_json_operators,
    fields(_FIELDS, _NATIVE_FIELDS),
    moment_sums,
    casts(_CASTS),
    intervals(_shift, _UNITS),
    extremes({"GREATEST": "GREATEST", "LEAST": "LEAST"}),
    filtered,
    renamed({"BOOL_AND(1)": "MIN({0})", "BOOL_OR(1)": "MAX({0})", "EVERY(1)": "MIN({0})"}),
    string_agg(_group_concat),
    clock(_CLOCK_WORDS, _CLOCK_CALLS, utc="UTC_TIMESTAMP(6)"),
    calls(_calls),
    json_containment("JSON_CONTAINS({0}, {1})"),
    json_arrows(_json),
    ilike(fold="LOWER"),
    distinct_from(same="{0} <=> {1}", different="(NOT {0} <=> {1})"),
    locks(_lock_words),
    note_readings,
)
