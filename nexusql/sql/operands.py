"""Where an operand begins and ends, by PostgreSQL's precedences (manual, 4.1.6): what a rule wraps, moves or drops.

Positions are those of Tokens; an end is the position behind the last token, so that ``tokens[start:end]`` is the whole.
"""

from collections.abc import Iterable

from nexusql.sql.tokens import Token, Tokens
from nexusql.sql.typenames import parse_type

# Words that end no operand and call nothing: a parenthesis after one groups, lists or subselects.
CLAUSE_WORDS = frozenset(
    "ALL AND ANY AS ASC BETWEEN BY CASE CHECK COLLATE CROSS DEFAULT DESC DISTINCT DIV ELSE ESCAPE EXCEPT FETCH FOR "
    "FROM FULL GLOB GROUP HAVING ILIKE IN INNER INTERSECT INTERVAL INTO IS JOIN LATERAL LIKE LIMIT MATCH NATURAL NOT "
    "OFFSET ON OR ORDER OUTER RECURSIVE REGEXP RETURNING RLIKE SELECT SEPARATOR SET SIMILAR SOME THEN UNION USING WHEN "
    "WHERE WITH XOR".split()
)
COMPARISONS = frozenset(("=", "<", ">", "<=", ">=", "<>", "!=", "==", "<=>"))
ARITHMETIC = frozenset("+-*/%")
# Types whose name may stand before a literal: DATE '2024-01-31'.
LITERAL_TYPES = frozenset(("DATE", "INTERVAL", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "TIMETZ"))
AGGREGATES = frozenset(
    "ARRAY_AGG AVG BIT_AND BIT_OR BOOL_AND BOOL_OR COUNT EVERY GROUP_CONCAT MAX MIN STRING_AGG SUM".split()
)
_INTERVAL_UNITS = frozenset(("DAY", "HOUR", "MINUTE", "MONTH", "SECOND", "YEAR"))
_IN_TYPES = frozenset(' -w0"(),.[]')
_AFTER_CALL = frozenset(("FILTER", "OVER", "GROUP"))
_SPECIAL = frozenset("~!@#%^&|`?")


def ends_operand(tokens: Tokens, i: int) -> bool:
    """True where the token at i may be the last of an operand."""
    kind = tokens.kind(i)
    return tokens.word(i) not in CLAUSE_WORDS if kind == "w" else kind != "" and kind in "'\"0:?%@)]"


def aggregates(tokens: Iterable[Token]) -> bool:
    """True where an expression has an aggregate or a window, which cannot be moved into a subselect; NVARCHAR(MAX) is
    none."""
    found = Tokens(tokens)
    return any(
        word == "OVER" or (word in AGGREGATES and found.kind(found.next(i)) == "(")
        for i, word in enumerate(map(found.word, range(len(found))))
        if word
    )


def operator(tokens: Tokens, i: int) -> str:
    """The operator that starts at i, or "". A sign at its end belongs to what follows (PostgreSQL manual, 4.1.3)."""
    end = i
    while tokens.kind(end) == "o":
        end += 1
    text = tokens.text(i, end)
    while len(text) > 1 and text[-1] in "+-" and _SPECIAL.isdisjoint(text):
        text = text[:-1]
    return text


def _operator_before(tokens: Tokens, i: int) -> tuple[str, int]:
    """The operator that stands before the token at i, and its position; "" where there is none.

    A sign of the operand at i is not taken for an operator.
    """
    last = tokens.prev(i)
    start = last
    while tokens.kind(start) == "o":
        start -= 1
    start += 1
    return (operator(tokens, start), start) if start <= last else ("", -1)


def primary_start(tokens: Tokens, i: int) -> int:
    """Start of the primary expression whose last token is at i: a name, literal, call, CASE, group or cast."""
    while True:
        while (cast := _cast_before(tokens, i)) >= 0:
            i = tokens.prev(cast)
        kind = tokens.kind(i)
        before = tokens.prev(i)
        if kind == ")":
            start = tokens.open(i)
            if start < 0:
                return i
            before = tokens.prev(start)
            if tokens.word(before) in _AFTER_CALL and tokens.prev(before) >= 0:
                i = tokens.prev(before)
                if tokens.word(i) == "WITHIN" and tokens.prev(i) >= 0:
                    i = tokens.prev(i)
            elif ends_operand(tokens, before) and tokens.kind(before) in 'w"':
                return _name_start(tokens, before)
            else:
                return start
        elif kind == "]":
            i = tokens.open(i)
            before = tokens.prev(i)
            if i < 0 or not ends_operand(tokens, before):
                return max(i, 0)
            i = before
        elif kind == "w":
            word = tokens.word(i)
            if word == "END":
                case = tokens.enclosing_case(i)
                return case if case >= 0 else i
            if tokens.word(before) == "OVER" and tokens.prev(before) >= 0:
                i = tokens.prev(before)
            elif word in _INTERVAL_UNITS and tokens.kind(before) == "'":
                return tokens.prev(before) if tokens.word(tokens.prev(before)) == "INTERVAL" else i
            else:
                return _name_start(tokens, i)
        elif kind == "'":
            # A type's name, an introducer (_utf8mb4'..') or a foreign prefix belongs to its literal.
            word = tokens.word(before)
            touches = before == i - 1 and word != "" and (word[0] == "_" or word in ("E", "U&"))
            return before if touches or word in LITERAL_TYPES else i
        else:
            return _name_start(tokens, i) if kind == '"' else i


def _cast_before(tokens: Tokens, i: int) -> int:
    """Position of the `::` whose type's last token is at i, or -1."""
    if tokens.kind(i) not in ("w", '"', ")", "]"):
        return -1
    for j in range(i - 1, max(i - 20, -1), -1):
        if tokens[j].kind == "t":
            kind = parse_type(tokens, tokens.next(j))
            is_cast = kind is not None and kind.end == i + 1 and ends_operand(tokens, tokens.prev(j))
            return j if is_cast else -1
        if tokens[j].kind not in _IN_TYPES:
            return -1
    return -1


def _name_start(tokens: Tokens, i: int) -> int:
    while tokens.kind(tokens.prev(i)) == "." and tokens.prev(tokens.prev(i)) >= 0:
        i = tokens.prev(tokens.prev(i))
    return i


def primary_end(tokens: Tokens, i: int) -> int:
    """End of the primary expression that starts at i, with its sign."""
    while tokens.kind(i) == "o":
        i = tokens.next(i)
    kind = tokens.kind(i)
    if kind in ("(", "["):
        end = tokens.close(i)
    elif tokens.word(i) == "CASE":
        end = tokens.case_end(i)
    elif kind == "w" and tokens.kind(tokens.next(i)) == "'" and tokens.word(i) in LITERAL_TYPES:
        end = tokens.next(i)
        if tokens.word(i) == "INTERVAL" and tokens.word(tokens.next(end)) in _INTERVAL_UNITS:
            end = tokens.next(end)
    elif kind in ("w", '"'):
        end = i
        while tokens.kind(tokens.next(end)) == ".":
            end = tokens.next(tokens.next(end))
        if tokens.kind(tokens.next(end)) == "(":
            end = _call_end(tokens, tokens.next(end))
    else:
        end = i
    while True:
        after = tokens.next(end)
        if tokens.kind(after) == "[":
            end = tokens.close(after)
        elif tokens.kind(after) == "t" and (cast := parse_type(tokens, tokens.next(after))) is not None:
            end = cast.end - 1
        else:
            return min(end + 1, len(tokens))


def _call_end(tokens: Tokens, opening: int) -> int:
    """Position of the last token of a call whose parenthesis opens at `opening`, with its FILTER and OVER."""
    end = tokens.close(opening)
    while True:
        after = tokens.next(end)
        if tokens.after(after, "WITHIN", "GROUP") >= 0:
            after = tokens.next(after)
        elif tokens.word(after) not in _AFTER_CALL or tokens.word(after) == "GROUP":
            return end
        after = tokens.next(after)
        end = tokens.close(after) if tokens.kind(after) == "(" else after


def operand_start(tokens: Tokens, i: int, operators: frozenset[str] | None = None) -> int:
    """Start of the operand that ends before i, where an operator that binds less than all of `operators` stands.

    Without `operators` it is an operand of a comparison, of LIKE or IS, which takes in every other operator.
    """
    start = primary_start(tokens, tokens.prev(i))
    while True:
        if tokens.word(tokens.prev(start)) == "COLLATE":
            start = primary_start(tokens, tokens.prev(tokens.prev(start)))
        name, position = _operator_before(tokens, start)
        if not name:
            return start
        signed = position + len(name)
        if signed < start and tokens.kind(signed) == "o":
            start = signed
        before = tokens.prev(position)
        if not ends_operand(tokens, before):
            if name not in ("+", "-", "~"):
                return start
            start = position
            continue
        if name in COMPARISONS or (operators is not None and name not in operators):
            return start
        start = primary_start(tokens, before)


def operand_end(tokens: Tokens, i: int, operators: frozenset[str] | None = None) -> int:
    """End of the operand that starts at i; `operators` as for operand_start."""
    while True:
        end = primary_end(tokens, i)
        after = tokens.next(end - 1)
        if tokens.word(after) == "COLLATE":
            end = tokens.next(after) + 1
            after = tokens.next(end - 1)
        name = operator(tokens, after)
        if not name or name in COMPARISONS or (operators is not None and name not in operators):
            return end
        i = tokens.next(after + len(name) - 1)
