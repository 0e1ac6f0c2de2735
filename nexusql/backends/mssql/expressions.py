"""What canonical expressions and statements become on SQL Server, as data for the rules."""

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from nexusql.backends.mssql.ddl import hexadecimal_constant
from nexusql.sql.lexical import SessionModes
from nexusql.sql.rules.casts import Casts, casts, truth
from nexusql.sql.rules.ctes import expressions_first
from nexusql.sql.rules.functions import calls, clock, extremes, fields, filtered, renamed, string_agg
from nexusql.sql.rules.intervals import Interval, intervals
from nexusql.sql.rules.json_ops import (
    JsonPaths,
    Key,
    json_arrows,
    json_containment,
    refuse_json_operators,
    refuse_named_paths,
)
from nexusql.sql.rules.merge import merge
from nexusql.sql.rules.moments import moment_sums
from nexusql.sql.rules.nulls import null_order
from nexusql.sql.rules.operators import concatenation, distinct_from, ilike, is_unknown
from nexusql.sql.rules.output import output
from nexusql.sql.rules.predicates import conditions, truth_words
from nexusql.sql.rules.quoting import (
    national_literals,
    note_continuations,
    note_readings,
    refuse_escape_literals,
)
from nexusql.sql.rules.selects import lock_hints, refuse_distinct_on
from nexusql.sql.rules.top import ordered_subselects, top_or_fetch
from nexusql.sql.rules.writes import drop_insert_alias, row_assignments, tables_behind_from
from nexusql.sql.syntax import Rewrite, Rule
from nexusql.sql.templates import fill
from nexusql.sql.tokens import Token

_DAY = 86_400_000_000  # microseconds
GREATEST_SINCE = 16  # SQL Server 2022

_TEXT_OF = "CAST({0} AS NVARCHAR(MAX))"
# A cast to a whole number cuts here; a BIT cannot be rounded, but a decimal that was one can.
_ROUNDED = "CAST(ROUND(CAST({{0}} AS DECIMAL(38, 6)), 0) AS {})"


def _truth(text: str) -> str | None:
    said = truth(text)
    return {"TRUE": "CAST(1 AS BIT)", "FALSE": "CAST(0 AS BIT)", None: None}[said]


_CASTS = Casts(
    templates={
        "BIGINT": _ROUNDED.format("BIGINT"),
        "BOOLEAN": "CAST({0} AS BIT)",
        "BYTEA": "CAST({0} AS VARBINARY(MAX))",
        "CHAR": "CAST({0} AS NCHAR(1))",
        "CHAR(1)": "CAST({0} AS NCHAR({1}))",
        "CIDR": _TEXT_OF,
        "CITEXT": _TEXT_OF,
        "DATE": "CAST({0} AS DATE)",
        "DOUBLE PRECISION": "CAST({0} AS FLOAT)",
        "DOUBLE PRECISION(1)": "CAST({0} AS FLOAT)",
        "INET": _TEXT_OF,
        "INTEGER": _ROUNDED.format("INT"),
        "JSON": "{0}",
        "JSONB": "{0}",
        "NAME": _TEXT_OF,
        "NUMERIC": "CAST({0} AS DECIMAL(38, 10))",
        "NUMERIC(1)": "CAST({0} AS DECIMAL({1}))",
        "NUMERIC(2)": "CAST({0} AS DECIMAL({1}, {2}))",
        "REAL": "CAST({0} AS REAL)",
        "SMALLINT": _ROUNDED.format("SMALLINT"),
        "TEXT": _TEXT_OF,
        "TIME": "CAST({0} AS TIME(6))",
        "TIME(1)": "CAST({0} AS TIME({1}))",
        "TIMESTAMP": "CAST({0} AS DATETIME2(6))",
        "TIMESTAMP(1)": "CAST({0} AS DATETIME2({1}))",
        "TIMESTAMPTZ": "CAST({0} AS DATETIMEOFFSET(6))",
        "TIMESTAMPTZ(1)": "CAST({0} AS DATETIMEOFFSET({1}))",
        "UUID": "CAST({0} AS UNIQUEIDENTIFIER)",
        "VARCHAR": _TEXT_OF,
        "VARCHAR(1)": "CAST({0} AS NVARCHAR({1}))",
        "XML": "CAST({0} AS XML)",
    },
    exact={
        "BIGINT": "CAST({0} AS BIGINT)",
        "INTEGER": "CAST({0} AS INT)",
        "SMALLINT": "CAST({0} AS SMALLINT)",
    },
    literals={"BOOLEAN": _truth, "BYTEA": hexadecimal_constant},
    # VARCHAR(n) is canonical, too, and then has to hold every character.
    native=frozenset(
        "BIGINT BINARY BIT DATE DATETIME DATETIME2 DATETIMEOFFSET DECIMAL FLOAT INT INTEGER MONEY NCHAR NVARCHAR REAL "
        "SMALLDATETIME SMALLINT SQL_VARIANT TINYINT UNIQUEIDENTIFIER VARBINARY XML".split()
    ),
    ambiguous={"DECIMAL": "DECIMAL without a precision has no decimals here"},
)

_NOW = "SYSDATETIME()"
_TODAY = "CAST(SYSDATETIME() AS DATE)"
_CLOCK_CALLS = dict.fromkeys(("NOW", "STATEMENT_TIMESTAMP", "TRANSACTION_TIMESTAMP", "CLOCK_TIMESTAMP"), _NOW)
_CLOCK_WORDS = {
    "CURRENT_TIMESTAMP": _NOW,
    "LOCALTIMESTAMP": _NOW,
    "CURRENT_DATE": _TODAY,
    "CURRENT_TIME": "CAST(SYSDATETIME() AS TIME(6))",
    "LOCALTIME": "CAST(SYSDATETIME() AS TIME(6))",
}
_UUIDS = dict.fromkeys(("GEN_RANDOM_UUID", "UUID_GENERATE_V4"), "NEWID()")
# Whole characters; LEN alone leaves out blanks at the end.
_LENGTH = "(LEN(CAST({0} AS NVARCHAR(MAX)) + N'.') - 1)"
# An aggregate takes no BIT.
_ANY, _ALL = "MAX(CAST({0} AS INT))", "MIN(CAST({0} AS INT))"
_RENAMED = {
    "BOOL_AND(1)": _ALL,
    "BOOL_OR(1)": _ANY,
    "CEIL(1)": "CEILING({0})",
    "CHAR_LENGTH(1)": _LENGTH,
    "CHARACTER_LENGTH(1)": _LENGTH,
    "EVERY(1)": _ALL,
    "LENGTH(1)": _LENGTH,
    "LN(1)": "LOG({0})",
    "MOD(2)": "(({0}) % ({1}))",
    "OCTET_LENGTH(1)": "DATALENGTH({0})",
    "ROUND(1)": "ROUND({0}, 0)",
    "STRPOS(2)": "CHARINDEX({1}, {0})",
    "SUBSTR(3)": "SUBSTRING({0}, {1}, {2})",
    "SUBSTR(2)": "SUBSTRING({0}, {1}, 2147483647)",
    "TRUNC(1)": "ROUND({0}, 0, 1)",
}

# 0001-01-01 was a Monday, whatever the session has for its first day of the week.
_SINCE_MONDAY = "DATEDIFF(day, CAST('00010101' AS DATE), {0})"
_MIDNIGHT = "CAST(CAST({0} AS DATE) AS DATETIME2(6))"
_FIELDS = {
    "EXTRACT YEAR": "DATEPART(year, {0})",
    "EXTRACT QUARTER": "DATEPART(quarter, {0})",
    "EXTRACT MONTH": "DATEPART(month, {0})",
    "EXTRACT WEEK": "DATEPART(iso_week, {0})",
    "EXTRACT DAY": "DATEPART(day, {0})",
    "EXTRACT DOW": f"(({_SINCE_MONDAY} + 1) % 7)",
    "EXTRACT ISODOW": f"({_SINCE_MONDAY} % 7 + 1)",
    "EXTRACT DOY": "DATEPART(dayofyear, {0})",
    "EXTRACT HOUR": "DATEPART(hour, {0})",
    "EXTRACT MINUTE": "DATEPART(minute, {0})",
    "EXTRACT SECOND": "(DATEPART(second, {0}) + DATEPART(microsecond, {0}) / 1000000.0)",
    "EXTRACT EPOCH": "(DATEDIFF_BIG(microsecond, CAST('1970-01-01' AS DATETIME2(6)), {0}) / 1000000.0)",
    "DATE_TRUNC YEAR": "CAST(DATEFROMPARTS(YEAR({0}), 1, 1) AS DATETIME2(6))",
    "DATE_TRUNC QUARTER": ("CAST(DATEFROMPARTS(YEAR({0}), DATEPART(quarter, {0}) * 3 - 2, 1) AS DATETIME2(6))"),
    "DATE_TRUNC MONTH": "CAST(DATEFROMPARTS(YEAR({0}), MONTH({0}), 1) AS DATETIME2(6))",
    "DATE_TRUNC WEEK": f"DATEADD(day, -({_SINCE_MONDAY} % 7), {_MIDNIGHT})",
    "DATE_TRUNC DAY": _MIDNIGHT,
    "DATE_TRUNC HOUR": f"DATEADD(hour, DATEPART(hour, {{0}}), {_MIDNIGHT})",
    "DATE_TRUNC MINUTE": f"DATEADD(minute, DATEDIFF(minute, {_MIDNIGHT}, {{0}}), {_MIDNIGHT})",
    "DATE_TRUNC SECOND": f"DATEADD(second, DATEDIFF(second, {_MIDNIGHT}, {{0}}), {_MIDNIGHT})",
}


def _is_date(moment: list[Token]) -> bool:
    """True for what is plainly a date and no moment."""
    text = "".join(token.text for token in moment).upper()
    return text == "CURRENT_DATE" or (text.startswith("CAST(") and text.endswith(" AS DATE)"))


def _shift(moment: list[Token], interval: Interval, factor: list[Token] | None) -> list[Token]:
    """A moment with an interval added, `factor` times, by DATEADD: it takes whole numbers of 32 bits, and for a date no
    part of a day."""
    if factor is not None and len(factor) == 1 and factor[0].kind == "0" and not interval.months:
        total = (interval.days * _DAY + interval.microseconds) * Decimal(factor[0].text)
        interval, factor = Interval(0, int(total // _DAY), int(total % _DAY)), None
    count, unit = interval.microseconds, "microsecond"
    for size, name in ((3_600_000_000, "hour"), (60_000_000, "minute"), (1_000_000, "second")):
        if count % size == 0:
            count, unit = count // size, name
            break
    parts = [(interval.months, "month"), (interval.days, "day"), (count, unit)]
    if unit == "microsecond" and abs(count) >= 2**31:
        seconds, rest = divmod(count, 1_000_000)
        parts[2:] = [(seconds, "second"), (rest, "microsecond")]
    if factor is not None and (interval.days or count):
        # With a factor that is no whole number, a part of a day counts.
        seconds = interval.days * 86_400 + interval.microseconds // 1_000_000
        parts = [(interval.months, "month"), (seconds, "second"), (interval.microseconds % 1_000_000, "microsecond")]
    made = moment
    in_day = any(number for number, name in parts if name not in ("month", "day"))
    if (len(moment) == 1 and moment[0].kind in "':") or (in_day and _is_date(moment)):
        made = fill("CAST({0} AS DATETIME2(6))", moment)
    for number, name in parts:
        if number or (name == parts[-1][1] and made is moment):
            amount = f"{{1}} * {number}" if factor is not None else str(number)
            made = fill(f"DATEADD({name}, {amount}, {{0}})", made, factor or [])
    return made


def _json_path(keys: tuple[Key, ...]) -> str:
    """The literal of a path; keys are quoted as JSON strings."""
    path = "$"
    for key in keys:
        if isinstance(key, int) and key < 0:
            raise ValueError("JSON is not read from its end here")
        path += f"[{key}]" if isinstance(key, int) else "." + json.dumps(key, ensure_ascii=False)
    return "'" + path.replace("'", "''") + "'"


# OPENJSON tells the type of a value: 0 is null, 1 a string, which it gives without its quotes.
_AS_JSON = "CASE [type] WHEN 0 THEN N'null' WHEN 1 THEN N'\"' + STRING_ESCAPE([value], 'json') + N'\"' ELSE [value] END"
# A label may be a column of the names that OPENJSON's have, and of another collation than its binary one (error 468).
_LABELLED = (
    "(SELECT TOP (1) nexusql_v FROM (SELECT [key] AS nexusql_k, {value} AS nexusql_v FROM OPENJSON({opened}))"
    " AS nexusql WHERE nexusql_k = CAST({{1}} AS NVARCHAR(4000)) COLLATE Latin1_General_BIN2)"
)
# OPENJSON raises an error for JSON that is no object or array (13609); JSON_QUERY gives NULL for it, out of an array.
_OPENED = "JSON_QUERY(N'[' + {0} + N']', '$[0]')"
_JSON = JsonPaths(
    # In an array of its own the text is one row, whatever it is.
    text=(
        "(SELECT COALESCE(v, j) FROM OPENJSON(N'[' + {0} + N']')"
        " WITH (v NVARCHAR(MAX) {1}, j NVARCHAR(MAX) {1} AS JSON))"
    ),
    element=f"(SELECT TOP (1) {_AS_JSON} FROM OPENJSON({_OPENED}, {{1}}) WHERE [key] = {{2}})",
    element_at=_LABELLED.format(value=_AS_JSON, opened=_OPENED),
    text_at=_LABELLED.format(value="[value]", opened=_OPENED),
    path=_json_path,
    subselects=True,
    split=True,
    native_paths=False,
)
_JSON = replace(
    _JSON,
    grouped=replace(
        _JSON,
        text="COALESCE(JSON_VALUE({0}, {1}), JSON_QUERY({0}, {1}))",
        element="JSON_QUERY({0}, {1})",
        split=False,
        lost="-> gives NULL for a text and a number in a statement that groups here; write ->>, or use a subselect",
        grouped_note="in a statement that groups, a text of more than 4000 characters inside JSON is NULL here",
    ),
)


def _string_agg(
    rewrite: Rewrite, i: int, distinct: bool, value: list[Token], separator: list[Token], order: list[Token]
) -> list[Token]:
    if distinct:
        raise rewrite.refuse("STRING_AGG takes no DISTINCT here; select the distinct values first", i)
    text = "{0}" if value[0].text.upper() == "CAST" else "CAST({0} AS NVARCHAR(MAX))"
    template = f"STRING_AGG({text}, {{1}})"
    return fill(f"{template} WITHIN GROUP ({{2}})" if order else template, value, separator, order)


def _extremes(rewrite: Rewrite) -> None:
    """GREATEST and LEAST, which SQL Server has since 2022, and which ignore NULL there as on PostgreSQL."""
    if rewrite.modes.version < (GREATEST_SINCE,):
        _SUBSELECTS(rewrite)


_SUBSELECTS = extremes({"GREATEST": "MAX", "LEAST": "MIN"}, "(SELECT {0}(nexusql.v) FROM (VALUES {1}) AS nexusql (v))")


def _uuids(_modes: SessionModes) -> Mapping[str, str]:
    return _UUIDS


def _words(rewrite: Rewrite) -> None:
    """WITH RECURSIVE is WITH, CREATE OR REPLACE is CREATE OR ALTER, and TRUNCATE needs the word TABLE."""
    tokens = rewrite.tokens
    first = tokens.next(-1)
    for i in range(len(tokens) - 1, -1, -1):
        if tokens.word(i) == "RECURSIVE" and tokens.word(tokens.prev(i)) == "WITH":
            del tokens[tokens.prev(i) + 1 : i + 1]
    replace_ = tokens.after(first, "CREATE", "OR")
    if tokens.word(replace_) == "REPLACE":
        tokens[replace_] = Token("w", "ALTER", tokens[replace_].start)
    elif tokens.word(first) == "TRUNCATE":
        if tokens.word(tokens.next(first)) != "TABLE":
            tokens[first + 1 : first + 1] = fill(" TABLE")
        last = tokens.prev(len(tokens))
        if tokens.word(last) in ("CASCADE", "IDENTITY"):
            start = tokens.prev(last) if tokens.word(last) == "IDENTITY" else last
            said = tokens.text(start, last + 1)
            rewrite.note(f"{said} is dropped: identity columns start again here, and keys with a sequence go on", start)
            del tokens[tokens.prev(start) + 1 : last + 1]


def _unbounded_recursion(rewrite: Rewrite) -> None:
    """WITH RECURSIVE ends where its rows do, not after the 100 steps that T-SQL takes unless told otherwise."""
    tokens = rewrite.tokens
    if (
        "RECURSIVE" in rewrite.words
        and tokens.word(tokens.next(-1)) in ("WITH", "INSERT")
        and tokens.find("OPTION") < 0
    ):
        at = tokens.prev(len(tokens)) + 1
        while tokens.kind(at - 1) == ";":
            at = tokens.prev(at - 1) + 1
        tokens[at:at] = fill(" OPTION (MAXRECURSION 0)")


DML_RULES: tuple[Rule, ...] = (
    refuse_escape_literals,
    refuse_distinct_on,
    expressions_first,
    _words,
    merge,
    row_assignments,
    tables_behind_from,
    output,
    drop_insert_alias,
    null_order(expressions_of_columns=True),
    top_or_fetch,
    ordered_subselects,
    refuse_named_paths,
    refuse_json_operators,
    fields(_FIELDS),
    moment_sums,
    casts(_CASTS),
    intervals(_shift),
    _extremes,
    filtered,
    string_agg(_string_agg),
    clock(_CLOCK_WORDS, _CLOCK_CALLS, utc="SYSUTCDATETIME()"),
    calls(_uuids),
    renamed(_RENAMED),
    json_containment(None),
    json_arrows(lambda _modes: _JSON),
    concatenation(_TEXT_OF, " + "),
    ilike(fold="LOWER", escape="'\\'"),
    distinct_from(
        same="EXISTS (SELECT {0} INTERSECT SELECT {1})", different="NOT EXISTS (SELECT {0} INTERSECT SELECT {1})"
    ),
    is_unknown,
    lock_hints,
    conditions,
    truth_words,
    _unbounded_recursion,
    note_readings,
    note_continuations,
    national_literals,
)
