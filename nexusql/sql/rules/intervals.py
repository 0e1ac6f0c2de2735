"""Sums with intervals: ``NOW() - INTERVAL '7 days'``, ``:n * INTERVAL '1 day'``, ``(:n || ' days')::interval``."""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from nexusql.sql.operands import ARITHMETIC, ends_operand, operand_end, operand_start, operator, primary_end
from nexusql.sql.syntax import Rewrite, Rule
from nexusql.sql.templates import grouped, put, trimmed
from nexusql.sql.tokens import Token, Tokens

_MICROSECONDS = {
    "MICROSECOND": 1,
    "MILLISECOND": 1_000,
    "SECOND": 1_000_000,
    "MINUTE": 60_000_000,
    "HOUR": 3_600_000_000,
}
_DAYS = {"DAY": 1, "WEEK": 7}
_MONTHS = {"MONTH": 1, "YEAR": 12, "DECADE": 120, "CENTURY": 1200}
_SHORT = {
    "US": "MICROSECOND",
    "MS": "MILLISECOND",
    "S": "SECOND",
    "SEC": "SECOND",
    "M": "MINUTE",
    "MIN": "MINUTE",
    "H": "HOUR",
    "HR": "HOUR",
    "D": "DAY",
    "W": "WEEK",
    "MON": "MONTH",
    "Y": "YEAR",
    "YR": "YEAR",
    "CENTURIE": "CENTURY",
}
_PART = re.compile(
    r"\s*(?:(?P<sign>[+-]?)(?P<hours>\d+):(?P<minutes>\d{1,2})(?::(?P<seconds>\d{1,2}(?:\.\d*)?))?"
    r"|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))\s*(?P<unit>[A-Za-z]+))(?=\s|[+-]|\d|$)"
)
_FACTORS = frozenset("*/%")
_IS_VALUE = "an interval that is a value cannot be said here; write :n * INTERVAL '1 day'"
_UNIT_TEXT = re.compile(r"'\s*[A-Za-z]+\s*'")


class Interval(NamedTuple):
    """A span of time as PostgreSQL keeps it: the three parts are added one after the other, months first."""

    months: int
    days: int
    microseconds: int

    def negative(self) -> "Interval":
        """The same span backwards."""
        return Interval(-self.months, -self.days, -self.microseconds)


# Tokens of a moment with an interval added; with a factor, the interval that many times.
Shift = Callable[[list[Token], Interval, list[Token] | None], list[Token]]


def parse_interval(text: str, unit: str = "") -> Interval | None:
    """The interval that PostgreSQL reads in a text (manual, 8.5.4), or None for a form other than the verbose one.

    `unit` is the field written behind the literal: ``INTERVAL '1' DAY``.
    """
    text = text.strip().removeprefix("@").strip()
    if unit:
        text = f"{text} {unit}"
    backwards = text.lower().endswith(" ago")
    if backwards:
        text = text[:-4]
    months, days, microseconds = Fraction(0), Fraction(0), Fraction(0)
    position = 0
    while position < len(text.rstrip()):
        part = _PART.match(text, position)
        if part is None:
            return None
        position = part.end()
        if part["hours"]:
            clock = Fraction(part["seconds"] or 0) + int(part["minutes"]) * 60 + int(part["hours"]) * 3600
            microseconds += clock * 1_000_000 * (-1 if part["sign"] == "-" else 1)
            continue
        name = part["unit"].upper()
        name = _SHORT.get(name, name if len(name) < 3 else _SHORT.get(name.removesuffix("S"), name.removesuffix("S")))
        number = Fraction(part["number"])
        if name in _MONTHS:
            months += number * _MONTHS[name]
        elif name in _DAYS:
            days += number * _DAYS[name]
        elif name in _MICROSECONDS:
            microseconds += number * _MICROSECONDS[name]
        else:
            return None
    if position == 0:
        return None
    # What a fraction of a larger part leaves over goes to the smaller one: a month has 30 days, a day 24 hours.
    days += (months - int(months)) * 30
    microseconds += (days - int(days)) * 86_400_000_000
    interval = Interval(int(months), int(days), round(microseconds))
    return interval.negative() if backwards else interval


def intervals(shift: Shift, native_units: frozenset[str] = frozenset()) -> Rule:
    """Sums of a moment and an interval, by `shift`. An interval that stands in no sum is refused.

    A literal followed by one of `native_units` stays as it is.
    """

    def rule(rewrite: Rewrite) -> None:
        if "INTERVAL" not in rewrite.words:
            return
        tokens = rewrite.tokens
        i = 0
        while i < len(tokens):
            if tokens.word(i) == "INTERVAL":
                i = _sum(rewrite, shift, native_units, i)
            i += 1

    return rule


def _sum(rewrite: Rewrite, shift: Shift, native_units: frozenset[str], i: int) -> int:
    """Rewrite the sum that has INTERVAL at i; gives the position to go on from."""
    found = _span(rewrite, native_units, i)
    if found is None:
        return i
    tokens = rewrite.tokens
    start, end, interval, factor = found
    before = tokens.prev(start)
    after = tokens.next(end - 1)
    if tokens.kind(before) == "o" and tokens[before].text in "+-" and ends_operand(tokens, tokens.prev(before)):
        if tokens[before].text == "-":
            interval = interval.negative()
        start = operand_start(tokens, before, ARITHMETIC)
        moment = tokens[start : tokens.prev(before) + 1]
    elif operator(tokens, after) == "+" and tokens.next(after) < len(tokens):
        first = tokens.next(after)
        end = operand_end(tokens, first, _FACTORS)
        moment = tokens[first:end]
    else:
        raise rewrite.refuse(
            "an interval can only be added to a moment here, or taken from one; compare moments, not intervals", i
        )
    if not moment:
        return i  # the server will say so
    return put(tokens, start, end, shift(moment, interval, factor)) - 1


def _span(
    rewrite: Rewrite, native_units: frozenset[str], i: int
) -> tuple[int, int, Interval, list[Token] | None] | None:
    """Bounds and meaning of the interval with INTERVAL at i, and what it is multiplied by; None for native SQL."""
    tokens = rewrite.tokens
    literal = tokens.next(i)
    if tokens.kind(literal) == "'":
        unit = tokens.word(tokens.next(literal))
        if unit in native_units:
            return None
        unit = unit if unit in _MICROSECONDS or unit in _DAYS or unit in _MONTHS else ""
        interval = parse_interval(tokens[literal].text[1:-1], unit)
        start, end = i, (tokens.next(literal) if unit else literal) + 1
        if interval is None:
            if native_units and tokens[literal].text[1:-1].strip().isdigit():
                return None
            raise rewrite.refuse("this interval cannot be read; write it as '1 day 2 hours'", i)
        return _times(tokens, start, end, interval)
    if tokens.kind(literal) == ":" and tokens.word(tokens.next(literal)) not in native_units:
        raise rewrite.refuse(_IS_VALUE, i)
    if tokens.word(tokens.prev(i)) == "AS" and tokens.kind(literal) == ")":
        return _computed(rewrite, tokens.open(literal), literal, i)
    return None


def _times(tokens: Tokens, start: int, end: int, interval: Interval) -> tuple[int, int, Interval, list[Token] | None]:
    """Widen an interval's bounds by the factor beside it."""
    after, before = tokens.next(end - 1), tokens.prev(start)
    if operator(tokens, after) == "*":
        first = tokens.next(after)
        end = primary_end(tokens, first)
        return start, end, interval, grouped(tokens[first:end])
    if tokens.op(before, "*") and ends_operand(tokens, tokens.prev(before)):
        start = operand_start(tokens, before, _FACTORS)
        return start, end, interval, grouped(tokens[start : tokens.prev(before) + 1])
    return start, end, interval, None


def _computed(
    rewrite: Rewrite, opening: int, closing: int, i: int
) -> tuple[int, int, Interval, list[Token] | None] | None:
    """The interval that CAST(number || ' days' AS INTERVAL) computes."""
    tokens = rewrite.tokens
    call = tokens.prev(opening)
    if opening < 0 or tokens.word(call) != "CAST":
        return None
    operand = Tokens(trimmed(tokens, opening + 1, tokens.prev(i)))
    while operand.kind(0) == "(" and operand.close(0) == len(operand) - 1:
        operand = Tokens(trimmed(operand, 1, len(operand) - 1))
    last = len(operand) - 1
    pipes = operand.prev(last) - 1
    if operand.kind(last) == "'" and _UNIT_TEXT.fullmatch(operand[last].text) and operand.op(pipes, "||"):
        interval = parse_interval(f"1 {operand[last].text[1:-1].strip()}")
        if interval is not None:
            return call, closing + 1, interval, grouped(trimmed(operand, 0, pipes))
    raise rewrite.refuse(_IS_VALUE, i)
