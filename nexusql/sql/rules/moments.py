"""Sums of moments without an interval: days added to a date, and differences, which would be computed with numbers."""

from nexusql.sql.operands import ends_operand, operand_end, operand_start, primary_end, primary_start
from nexusql.sql.syntax import Rewrite
from nexusql.sql.templates import fill, put
from nexusql.sql.tokens import Tokens
from nexusql.sql.typenames import parse_type

_WORDS = frozenset(("CURRENT_DATE", "CURRENT_TIMESTAMP", "LOCALTIMESTAMP"))
_CALLS = frozenset(("NOW", "CLOCK_TIMESTAMP", "STATEMENT_TIMESTAMP", "TRANSACTION_TIMESTAMP"))
_TYPES = frozenset(("DATE", "TIMESTAMP", "TIMESTAMPTZ"))
_FACTORS = frozenset("*/%")


def moment_sums(rewrite: Rewrite) -> None:
    """`CURRENT_DATE - 7` as a sum with an interval; a difference that would be computed with numbers is refused.

    Only what shows that it is a moment is looked at: the clock, and a cast to a moment. Runs before casts.
    """
    words = rewrite.words
    if not words & {"+", "-"} or not (words & _WORDS or words & _CALLS or words & _TYPES):
        return
    tokens = rewrite.tokens
    i = 0
    while i < len(tokens):
        found = _moment(tokens, i)
        if found is not None:
            start, end, is_date = found
            i = max(_sum(rewrite, start, end, is_date), i)
        i += 1


def _moment(tokens: Tokens, i: int) -> tuple[int, int, bool] | None:
    """Bounds of the moment that the token at i shows, and whether it is a date."""
    word = tokens.word(i)
    if tokens.kind(i) == "t":
        kind = parse_type(tokens, tokens.next(i))
        if kind is None or kind.array or kind.name not in _TYPES:
            return None
        return primary_start(tokens, tokens.prev(i)), kind.end, kind.name == "DATE"
    if word in _TYPES and tokens.kind(tokens.next(i)) == "'":
        return i, tokens.next(i) + 1, word == "DATE"
    if tokens.kind(tokens.prev(i)) == "." or (word not in _WORDS and word not in _CALLS and word != "CAST"):
        return None
    end = primary_end(tokens, i)
    if any(token.kind == "t" for token in tokens[i:end]) and word != "CAST":
        return None  # the cast at its end will tell
    if word == "CAST":
        as_ = tokens.find("AS", start=tokens.next(i) + 1, end=end)
        kind = parse_type(tokens, tokens.next(as_)) if as_ > 0 else None
        return (i, end, kind.name == "DATE") if kind and kind.name in _TYPES and not kind.array else None
    return i, end, word == "CURRENT_DATE"


def _sum(rewrite: Rewrite, start: int, end: int, is_date: bool) -> int:
    """Rewrite or refuse the sum in which a moment stands between two positions; gives the position to go on from."""
    tokens = rewrite.tokens
    before, after = tokens.prev(start), tokens.next(end - 1)
    if tokens.kind(after) == "o" and tokens[after].text in "+-":
        first = tokens.next(after)
        stop = operand_end(tokens, first, _FACTORS)
        days = tokens.text(first, stop)
        if days.isdigit():
            if not is_date or days == "0":
                return start  # native: NOW() + 0
            moved = f"CAST({{0}} {tokens[after].text} INTERVAL '{days} days' AS DATE)"
            rewrite.words |= {"CAST", "INTERVAL"}
            return put(tokens, start, stop, fill(moved, tokens[start:end])) - 1
        if not _adds_interval(tokens, first, stop):
            raise _refused(rewrite, start)
    if tokens.kind(before) == "o" and tokens[before].text in "+-" and ends_operand(tokens, tokens.prev(before)):
        first = operand_start(tokens, before, _FACTORS)
        if not _adds_interval(tokens, first, before) and not tokens.text(first, tokens.prev(before) + 1).isdigit():
            raise _refused(rewrite, start)
    return start


def _adds_interval(tokens: Tokens, start: int, end: int) -> bool:
    return any(tokens.word(i) == "INTERVAL" for i in range(start, end))


def _refused(rewrite: Rewrite, position: int) -> Exception:
    return rewrite.refuse(
        "only an INTERVAL moves a moment here (:n * INTERVAL '1 day'), and EXTRACT(EPOCH FROM a - b) compares two",
        position,
    )
