"""Casts: ``x::type``, ``CAST(x AS type)`` and ``DATE '..'``, by the class of the type."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nexusql.sql.operands import LITERAL_TYPES, ends_operand, operator, primary_end, primary_start
from nexusql.sql.syntax import Rewrite, Rule
from nexusql.sql.templates import copy, fill, grouped, put, trimmed
from nexusql.sql.tokens import Token, Tokens
from nexusql.sql.typenames import TypeName, parse_type

_MOMENT = re.compile(r"'\s*\d{1,4}[-:].*'", re.DOTALL)
_BEFORE_COLUMNS = frozenset(("SELECT", "DISTINCT", "ALL", "RETURNING"))
_BEFORE_OTHERS = frozenset(("BY", "FROM", "LIMIT", "OFFSET", "SET", "VALUES", "WHERE", "HAVING", "ON", "USING"))
_AFTER_COLUMNS = frozenset(("EXCEPT", "FROM", "INTERSECT", "LIMIT", "OFFSET", "ORDER", "UNION", "WHERE"))
_NO_NAMES = frozenset(("END", "FALSE", "NULL", "TRUE", "CURRENT_DATE", "CURRENT_TIMESTAMP", "LOCALTIMESTAMP"))
_WHOLE_CALLS = frozenset(("COUNT", "LENGTH"))


@dataclass(frozen=True, slots=True)
class Casts:
    """What casts become. Keys are canonical types, `NUMERIC(2)` for one with two arguments.

    In a template {0} is the operand, {1} and {2} are the arguments. `exact` holds templates for an operand that is text
    or a count, `literals` functions that give a template for a literal (its text, quotes included) or None;
    ValueError says why they cannot. `flavours` overrides templates for one flavour of server. Types in `native` are
    left as they are in CAST(..), typed literals that `native_literal` matches as they are everywhere. `inexact` says
    which types keep 15 digits only, `ambiguous` what to say of a native type that without arguments means another.
    """

    templates: Mapping[str, str]
    exact: Mapping[str, str] = field(default_factory=dict)
    literals: Mapping[str, Callable[[str], str | None]] = field(default_factory=dict)
    flavours: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    native: frozenset[str] = frozenset()
    ambiguous: Mapping[str, str] = field(default_factory=dict)
    native_literal: re.Pattern[str] | None = None
    inexact: frozenset[str] = frozenset()


def casts(data: Casts) -> Rule:
    """Casts by the type's class. An array is refused; a type unknown here is dropped, with a receipt."""

    def rule(rewrite: Rewrite) -> None:
        tokens = rewrite.tokens
        if "::" in rewrite.words:
            _name_columns(tokens)
            _cast_operators(rewrite, data)
        if "CAST" in rewrite.words:
            for i in range(len(tokens) - 1, -1, -1):
                if tokens.word(i) == "CAST" and tokens.kind(tokens.next(i)) == "(":
                    _cast_call(rewrite, data, i)
        if not LITERAL_TYPES.isdisjoint(rewrite.words):
            for i in range(len(tokens) - 1, -1, -1):
                if tokens.word(i) in LITERAL_TYPES:
                    _typed_literal(rewrite, data, i)

    return rule


def _name_columns(tokens: Tokens) -> None:
    """A column of a result that is only cast keeps its name on PostgreSQL: say so before it becomes an expression."""
    for i in range(len(tokens) - 1, -1, -1):
        last = tokens.prev(i)
        if tokens[i].kind != "t" or tokens.kind(last) not in ("w", '"') or tokens.word(last) in _NO_NAMES:
            continue
        start = primary_start(tokens, last)
        if any(token.kind == "t" for token in tokens[start:last]):
            continue
        end = primary_end(tokens, start)
        after = tokens.next(end - 1)
        is_last = after == len(tokens) or tokens.kind(after) in (",", ")", ";") or tokens.word(after) in _AFTER_COLUMNS
        if is_last and _lists_columns(tokens, start):
            tokens[end:end] = fill(" AS {0}", [copy(tokens[last])])


def _lists_columns(tokens: Tokens, i: int) -> bool:
    """True where an item that starts at i is a column of SELECT or RETURNING."""
    before = tokens.prev(i)
    if tokens.kind(before) != "," and tokens.word(before) not in _BEFORE_COLUMNS:
        return False
    while before >= 0 and tokens.word(before) not in _BEFORE_COLUMNS:
        if tokens.kind(before) == "(" or tokens.word(before) in _BEFORE_OTHERS:
            return False
        before = tokens.skip_back(before)
    return before >= 0


def _cast_operators(rewrite: Rewrite, data: Casts) -> None:
    """Rewrite each `::`, from the left, so that the operand of a chained cast is a call by then."""
    tokens = rewrite.tokens
    i = 0
    while i < len(tokens):
        last = tokens.prev(i)
        kind = parse_type(tokens, tokens.next(i)) if tokens[i].kind == "t" and ends_operand(tokens, last) else None
        if kind is not None:
            start = primary_start(tokens, last)
            operand = tokens[start : last + 1]
            made = _converted(rewrite, data, operand, kind, i)
            if made is None:
                rewrite.note(f"there is no type {kind.name.lower()} here; the value is left as it is", i)
                made = operand
            i = put(tokens, start, kind.end, made) - 1
        i += 1


def _cast_call(rewrite: Rewrite, data: Casts, i: int) -> None:
    tokens = rewrite.tokens
    opening = tokens.next(i)
    closing = tokens.close(opening)
    as_ = tokens.find("AS", start=opening + 1, end=closing)
    kind = parse_type(tokens, tokens.next(as_)) if as_ > 0 else None
    if kind is None or tokens.next(kind.end - 1) != closing:
        return
    if kind.written in data.native and not kind.array:
        if not kind.arguments and kind.written in data.ambiguous:
            rewrite.note(data.ambiguous[kind.written], i)
        return
    made = _converted(rewrite, data, grouped(trimmed(tokens, opening + 1, as_)), kind, i)
    if made is not None:
        put(tokens, i, closing + 1, made)


def _typed_literal(rewrite: Rewrite, data: Casts, i: int) -> None:
    tokens = rewrite.tokens
    kind = parse_type(tokens, i)
    if kind is None or kind.array or tokens.kind(tokens.prev(i)) == "." or tokens.word(tokens.prev(i)) == "AS":
        return
    literal = tokens.next(kind.end - 1)
    if kind.name == "INTERVAL" or tokens.kind(literal) != "'" or not _MOMENT.fullmatch(tokens[literal].text):
        return
    if data.native_literal and data.native_literal.fullmatch(f"{kind.written} {tokens[literal].text}"):
        return
    made = _converted(rewrite, data, [tokens[literal]], kind, i)
    if made is not None:
        put(tokens, i, literal + 1, made)


def _converted(
    rewrite: Rewrite, data: Casts, operand: list[Token], kind: TypeName, position: int
) -> list[Token] | None:
    """The tokens of an operand cast to a type, or None where the type is unknown here."""
    if kind.array:
        raise rewrite.refuse(f"{rewrite.syntax.dialect} has no arrays, so nothing can be cast to one", position)
    literal = operand[0] if len(operand) == 1 and operand[0].kind == "'" else None
    if kind.name == "INTERVAL":
        return fill("INTERVAL {0}" if literal else "CAST({0} AS INTERVAL)", operand)
    key = f"{kind.name}({len(kind.arguments)})" if kind.arguments else kind.name
    if key not in data.templates:
        if kind.arguments and kind.name in data.templates:
            rewrite.note(f"the precision of {kind.name.lower()} is not applied", position)
        key = kind.name
    template = data.flavours.get(rewrite.modes.flavour, {}).get(key) or data.templates.get(key)
    if template is None:
        return None
    if literal and kind.name in data.literals:
        try:
            template = data.literals[kind.name](literal.text) or template
        except ValueError as error:
            raise rewrite.refuse(str(error), position) from None
    elif key in data.exact and _is_exact(Tokens(operand)):
        template = data.exact[key]
    if kind.name in data.inexact and _may_lose_digits(operand, kind):
        rewrite.note(f"{kind.name.lower()} keeps 15 digits here", position)
    return fill(template, operand, *([Token("w", argument)] for argument in kind.arguments))


def _is_exact(operand: Tokens) -> bool:
    """True for a string, a whole number, JSON read as text (which casts as text does) and a count."""
    if operand[0].kind in "'0" and len(operand) == 1:
        return operand[0].kind == "'" or operand[0].text.isdigit()
    if operand[0].kind == "(":
        level = 0
        for i, token in enumerate(operand):
            level += (token.kind == "(") - (token.kind == ")")
            if level == 1 and token.kind == "o" and operator(operand, i) in ("->>", "#>>"):
                return True
        return False
    return operand.word(0) in _WHOLE_CALLS and operand.kind(operand.next(0)) == "("


def _may_lose_digits(operand: list[Token], kind: TypeName) -> bool:
    """True unless the precision, or the operand's text, shows that there are at most 15 digits."""
    if kind.arguments:
        return not kind.arguments[0].isdigit() or int(kind.arguments[0]) > 15
    if len(operand) == 1 and operand[0].kind in "'0":
        return sum(map(str.isdigit, operand[0].text)) > 15
    return operand[-1].kind in 'w":?%'


def hexadecimal(text: str) -> str | None:
    r"""The template for a BYTEA literal in hexadecimal, '\x00ff'; None for any other."""
    digits = text[3:-1]
    is_hexadecimal = text[:3] == r"'\x" and len(digits) % 2 == 0 and re.fullmatch("[0-9A-Fa-f]*", digits)
    return f"X'{digits}'" if is_hexadecimal else None


def truth(text: str) -> str | None:
    """The template for a BOOLEAN literal by PostgreSQL's spellings (manual, 8.6); None for any other."""
    word = text[1:-1].strip().lower()
    if word in ("t", "true", "y", "yes", "on", "1"):
        return "TRUE"
    return "FALSE" if word in ("f", "false", "n", "no", "off", "0") else None
