"""What canonical expressions and statements become on SQLite, as data for the rules."""

import re
from collections.abc import Mapping

from nexusql.backends.sqlite.ddl import NOW, RANDOM_UUID
from nexusql.sql.lexical import SessionModes
from nexusql.sql.operands import aggregates
from nexusql.sql.rules.casts import Casts, casts, hexadecimal, truth
from nexusql.sql.rules.functions import calls, clock, extremes, fields, renamed, string_agg
from nexusql.sql.rules.intervals import Interval, intervals
from nexusql.sql.rules.json_ops import JsonPaths, Key, json_arrows, json_containment, refuse_json_operators
from nexusql.sql.rules.limits import limits
from nexusql.sql.rules.moments import moment_sums
from nexusql.sql.rules.operators import distinct_from, ilike, is_unknown
from nexusql.sql.rules.quoting import refuse_escape_literals
from nexusql.sql.rules.selects import drop_locks, refuse_distinct_on
from nexusql.sql.rules.upsert import close_select, drop_constraint_target
from nexusql.sql.rules.writes import returning_by_table, tables_in_subselect
from nexusql.sql.syntax import Rewrite, Rule
from nexusql.sql.templates import fill
from nexusql.sql.tokens import Token

# SQLite computes in milliseconds. A moment is text with six digits behind the second, so these are carried beside it:
# seconds from the first 19 characters, and the fraction, "." and six digits, from the text.
_SECOND = "strftime('%Y-%m-%d %H:%M:%S', substr({0}, 1, 19))"
_FRACTION = "substr(printf('%.6f', CAST(substr({0}, instr({0}, '.'), 7) AS REAL)), -7)"
_WHOLE = "CASE typeof({0}) WHEN 'real' THEN CAST(ROUND({0}) AS INTEGER) ELSE CAST({0} AS INTEGER) END"
_BOOLEAN = (
    "CASE WHEN lower({0}) IN ('t', 'true', 'y', 'yes', 'on', '1') THEN 1 "
    "WHEN lower({0}) IN ('f', 'false', 'n', 'no', 'off', '0') THEN 0 WHEN typeof({0}) <> 'text' THEN {0} <> 0 END"
)
_MOMENT = re.compile(r"'\d{4}-\d\d-\d\d(?: \d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?'")


def _moment(text: str) -> str | None:
    """The template for a TIMESTAMP literal without a zone: what it lacks of the stored form is put behind it."""
    if not _MOMENT.fullmatch(text):
        return None
    missing = "0000-00-00 00:00:00.000000"[len(text) - 2 :]
    return f"({{0}} || '{missing}')" if missing else "{0}"


def _day(text: str) -> str | None:
    return "{0}" if re.fullmatch(r"'\d{4}-\d\d-\d\d'", text) else None


_CASTS = Casts(
    templates={
        "BIGINT": _WHOLE,
        "BOOLEAN": _BOOLEAN,
        "BYTEA": "CAST({0} AS BLOB)",
        "CHAR": "substr(CAST({0} AS TEXT), 1, 1)",
        "CHAR(1)": "substr(CAST({0} AS TEXT), 1, {1})",
        "CIDR": "CAST({0} AS TEXT)",
        "CITEXT": "CAST({0} AS TEXT)",
        "DATE": "date(substr({0}, 1, 10))",
        "DOUBLE PRECISION": "CAST({0} AS REAL)",
        "DOUBLE PRECISION(1)": "CAST({0} AS REAL)",
        "INET": "CAST({0} AS TEXT)",
        "INTEGER": _WHOLE,
        "JSON": "CAST({0} AS TEXT)",
        "JSONB": "CAST({0} AS TEXT)",
        "NAME": "CAST({0} AS TEXT)",
        "NUMERIC": "CAST({0} AS REAL)",
        "NUMERIC(1)": "ROUND(CAST({0} AS REAL))",
        "NUMERIC(2)": "ROUND(CAST({0} AS REAL), {2})",
        "REAL": "CAST({0} AS REAL)",
        "SMALLINT": _WHOLE,
        "TEXT": "CAST({0} AS TEXT)",
        "TIME": f"(strftime('%H:%M:%S', {{0}}) || replace({_FRACTION}, '.000000', ''))",
        "TIMESTAMP": f"({_SECOND} || {_FRACTION})",
        "TIMESTAMPTZ": (
            "(strftime('%Y-%m-%d %H:%M:%S', substr({0}, 1, 19) || ltrim(substr({0}, 20), '.0123456789')) || "
            f"{_FRACTION})"
        ),
        "UUID": "lower(CAST({0} AS TEXT))",
        "VARCHAR": "CAST({0} AS TEXT)",
        "VARCHAR(1)": "substr(CAST({0} AS TEXT), 1, {1})",
        "XML": "CAST({0} AS TEXT)",
    },
    exact=dict.fromkeys(("BIGINT", "INTEGER", "SMALLINT"), "CAST({0} AS INTEGER)"),
    literals={"BOOLEAN": truth, "BYTEA": hexadecimal, "DATE": _day, "TIMESTAMP": _moment, "TIMESTAMPTZ": _moment},
    native=frozenset(("BLOB", "INT", "INTEGER", "NUMERIC", "REAL", "TEXT")),
    inexact=frozenset(("NUMERIC",)),
)

_CLOCK_CALLS = dict.fromkeys(("CLOCK_TIMESTAMP", "NOW", "STATEMENT_TIMESTAMP", "TRANSACTION_TIMESTAMP"), NOW)
_CLOCK_WORDS = dict.fromkeys(("CURRENT_TIMESTAMP", "LOCALTIMESTAMP"), NOW)
_CALLS = dict.fromkeys(("GEN_RANDOM_UUID", "UUID_GENERATE_V4"), RANDOM_UUID)


def _calls(_modes: SessionModes) -> Mapping[str, str]:
    return _CALLS


# Of a moment, so that the last half of a millisecond does not make the next day of it.
_DATE = "substr({0}, 1, 10)"
_TIME = "substr({0}, 1, 19)"
_THURSDAY = f"CAST(strftime('%j', {_DATE}, '-3 days', 'weekday 4') AS INTEGER)"
_FIELDS = {
    "EXTRACT YEAR": f"CAST(strftime('%Y', {_DATE}) AS INTEGER)",
    "EXTRACT QUARTER": f"((CAST(strftime('%m', {_DATE}) AS INTEGER) + 2) / 3)",
    "EXTRACT MONTH": f"CAST(strftime('%m', {_DATE}) AS INTEGER)",
    # The week of a day is that of its Thursday (ISO 8601).
    "EXTRACT WEEK": f"(({_THURSDAY} - 1) / 7 + 1)",
    "EXTRACT DAY": f"CAST(strftime('%d', {_DATE}) AS INTEGER)",
    "EXTRACT DOW": f"CAST(strftime('%w', {_DATE}) AS INTEGER)",
    "EXTRACT ISODOW": f"((CAST(strftime('%w', {_DATE}) AS INTEGER) + 6) % 7 + 1)",
    "EXTRACT DOY": f"CAST(strftime('%j', {_DATE}) AS INTEGER)",
    "EXTRACT HOUR": f"CAST(strftime('%H', {_TIME}) AS INTEGER)",
    "EXTRACT MINUTE": f"CAST(strftime('%M', {_TIME}) AS INTEGER)",
    "EXTRACT SECOND": f"(CAST(strftime('%S', {_TIME}) AS INTEGER) + CAST({_FRACTION} AS REAL))",
    "EXTRACT EPOCH": f"(CAST(strftime('%s', {_TIME}) AS INTEGER) + CAST({_FRACTION} AS REAL))",
    "DATE_TRUNC YEAR": f"strftime('%Y-01-01 00:00:00.000000', {_DATE})",
    "DATE_TRUNC QUARTER": (
        f"(strftime('%Y-', {_DATE}) || substr('01040710', (strftime('%m', {_DATE}) - 1) / 3 * 2 + 1, 2) || "
        "'-01 00:00:00.000000')"
    ),
    "DATE_TRUNC MONTH": f"strftime('%Y-%m-01 00:00:00.000000', {_DATE})",
    "DATE_TRUNC WEEK": f"strftime('%Y-%m-%d 00:00:00.000000', {_DATE}, '-6 days', 'weekday 1')",
    "DATE_TRUNC DAY": f"strftime('%Y-%m-%d 00:00:00.000000', {_DATE})",
    "DATE_TRUNC HOUR": f"strftime('%Y-%m-%d %H:00:00.000000', {_TIME})",
    "DATE_TRUNC MINUTE": f"strftime('%Y-%m-%d %H:%M:00.000000', {_TIME})",
    "DATE_TRUNC SECOND": f"strftime('%Y-%m-%d %H:%M:%S.000000', {_TIME})",
}

_DAY = 86_400_000_000
_FIRST_SECOND = 62_135_596_800  # from 0001-01-01 to 1970-01-01, so that what is divided is never negative
# Months first, as PostgreSQL does: a day that the month does not have becomes its last.
_MONTHS_LATER = (
    "(min(date(substr({0}, 1, 10), {1}), date(substr({0}, 1, 10), 'start of month', {2}, '-1 days')) || "
    f"strftime(' %H:%M:%S', substr({{0}}, 1, 19)) || {_FRACTION})"
)
# In microseconds since the year 1; {0} is the moment, {1} the factor, {2} the microseconds that it multiplies.
_MICROSECONDS = (
    f"(CAST(strftime('%s', substr({{0}}, 1, 19)) AS INTEGER) + {_FIRST_SECOND}) * 1000000 + "
    f"CAST(substr({_FRACTION}, 2) AS INTEGER) + CAST(ROUND({{1}} * {{2}}) AS INTEGER)"
)
_EXACTLY_LATER = (
    f"(strftime('%Y-%m-%d %H:%M:%S', ({_MICROSECONDS}) / 1000000 - {_FIRST_SECOND}, 'unixepoch') || "
    f"printf('.%06d', ({_MICROSECONDS}) % 1000000))"
)
# The same with moment and factor written once.
_EXACTLY_LATER_ONCE = (
    f"(SELECT strftime('%Y-%m-%d %H:%M:%S', m / 1000000 - {_FIRST_SECOND}, 'unixepoch') || "
    f"printf('.%06d', m % 1000000) FROM (SELECT {_MICROSECONDS.replace('{0}', 't').replace('{1}', 'f')} AS m "
    "FROM (SELECT {0} AS t, {1} AS f)))"
)


def _shift(moment: list[Token], interval: Interval, factor: list[Token] | None) -> list[Token]:
    """A moment with an interval added, `factor` times."""
    microseconds = interval.days * _DAY + interval.microseconds
    seconds, rest = divmod(microseconds, 1_000_000)
    if not interval.months and not rest and _is_now(moment):
        if factor is None:
            return fill(f"{NOW[:-1]}, {_modifier(seconds)})")
        return fill(f"{NOW[:-1]}, ({{0}} * {seconds}) || ' seconds')", factor)
    if interval.months and factor is None:
        months = f"'{interval.months:+d} months'", f"'{interval.months + 1:+d} months'"
        moment = fill(_MONTHS_LATER, moment, *([Token("'", text)] for text in months))
    elif interval.months:
        times = f"CAST({{0}} * {interval.months} AS INTEGER)"
        ends = (f"{times} || ' months'", f"({times} + 1) || ' months'")
        moment = fill(_MONTHS_LATER, moment, *(fill(end, factor or []) for end in ends))
    if not microseconds:
        return moment if interval.months else fill(f"({_SECOND} || {_FRACTION})", moment)
    is_short = len(moment) <= 5 or aggregates((*moment, *(factor or ())))
    if is_short and factor is None and not rest:
        return fill(f"({_SECOND[:-1]}, {_modifier(seconds)}) || {_FRACTION})", moment)
    template = _EXACTLY_LATER if is_short else _EXACTLY_LATER_ONCE
    return fill(template, moment, factor or [Token("0", "1")], [Token("0", str(microseconds))])


def _is_now(moment: list[Token]) -> bool:
    code = [token.text.upper() for token in moment if token.kind not in " -"]
    return code[0] in (_CLOCK_CALLS if code[1:] == ["(", ")"] else _CLOCK_WORDS if len(code) == 1 else ())


def _modifier(seconds: int) -> str:
    return f"'{seconds // 86_400:+d} days'" if seconds % 86_400 == 0 else f"'{seconds:+d} seconds'"


_PLAIN_KEY = re.compile(r"[ !#-\[\]-~]*")


def _json_path(keys: tuple[Key, ...]) -> str | None:
    """The literal of a path. A key is compared with the JSON as it is written, so only plain ASCII can stand in one."""
    path = "$"
    for key in keys:
        if isinstance(key, int):
            path += f"[{key}]" if key >= 0 else f"[#{key}]"
        elif _PLAIN_KEY.fullmatch(key):
            path += f'."{key}"'
        else:
            return None
    return "'" + path.replace("'", "''") + "'"


_MEMBER = "FROM (SELECT {0} AS j, {1} AS k) AS o, json_each(o.j) AS e WHERE e.key = o.k)"
_ELEMENT_AT = (
    "(SELECT CASE WHEN e.type IN ('array', 'object') THEN e.value WHEN e.type IN ('true', 'false', 'null') THEN e.type "
    f"ELSE json_quote(e.value) END {_MEMBER}"
)
_TEXT_AT = f"(SELECT CASE WHEN e.type IN ('true', 'false') THEN e.type ELSE CAST(e.value AS TEXT) END {_MEMBER}"
# Numbers and truth values are the text of the JSON, as on PostgreSQL; json_extract would compute with them.
_JSON = JsonPaths(
    element="({0} -> {1})",
    text="CASE json_type({0}, {1}) WHEN 'text' THEN json_extract({0}, {1}) WHEN 'null' THEN NULL ELSE {0} -> {1} END",
    element_at=_ELEMENT_AT,
    text_at=_TEXT_AT,
    path=_json_path,
    subselects=True,
)
# Before 3.38 there is no ->.
_OLD_JSON = JsonPaths(
    element=(
        "CASE WHEN json_type({0}, {1}) IN ('true', 'false', 'null') THEN json_type({0}, {1}) "
        "WHEN json_type({0}, {1}) IS NOT NULL THEN json_quote(json_extract({0}, {1})) END"
    ),
    text=(
        "CASE WHEN json_type({0}, {1}) IN ('true', 'false') THEN json_type({0}, {1}) "
        "ELSE CAST(json_extract({0}, {1}) AS TEXT) END"
    ),
    element_at=_ELEMENT_AT,
    text_at=_TEXT_AT,
    path=_json_path,
    subselects=True,
)


def _json(modes: SessionModes) -> JsonPaths:
    return _JSON if modes.version >= (3, 38) else _OLD_JSON


def _group_concat(
    rewrite: Rewrite, i: int, distinct: bool, value: list[Token], separator: list[Token], order: list[Token]
) -> list[Token]:
    """group_concat: DISTINCT only with a comma, ORDER BY since 3.44."""
    if distinct and [token.text for token in separator] != ["','"]:
        raise rewrite.refuse("STRING_AGG(DISTINCT ..) takes only ',' as its separator here", i)
    if order and rewrite.modes.version < (3, 44):
        raise rewrite.refuse("STRING_AGG(.. ORDER BY ..) needs SQLite 3.44; select from ordered rows instead", i)
    template = "group_concat(DISTINCT {0}" if distinct else "group_concat({0}, {1}"
    return fill(f"{template} {{2}})" if order else f"{template})", value, separator, order)


DML_RULES: tuple[Rule, ...] = (
    refuse_escape_literals,
    refuse_distinct_on,
    returning_by_table,
    tables_in_subselect,
    limits("-1"),
    refuse_json_operators,
    fields(_FIELDS),
    moment_sums,
    casts(_CASTS),
    intervals(_shift),
    extremes({"GREATEST": "max", "LEAST": "min"}),
    renamed({"BOOL_AND(1)": "MIN({0})", "BOOL_OR(1)": "MAX({0})", "EVERY(1)": "MIN({0})"}),
    string_agg(_group_concat),
    clock(_CLOCK_WORDS, _CLOCK_CALLS, utc=NOW),
    calls(_calls),
    json_containment(None),
    json_arrows(_json),
    ilike(escape="'\\'"),
    distinct_from(same="{0} IS {1}", different="{0} IS NOT {1}"),
    is_unknown,
    drop_locks("row locks are dropped: SQLite locks the whole database for a writer"),
    drop_constraint_target,
    close_select,
)
