"""What a SELECT consists of: the query that a clause belongs to, and the items of its list."""

from collections.abc import Iterator
from typing import NamedTuple

from nexusql.sql.names import folded
from nexusql.sql.operands import ends_operand, primary_start
from nexusql.sql.templates import trimmed
from nexusql.sql.tokens import Token, Tokens

_SET_OPERATIONS = frozenset(("UNION", "EXCEPT", "INTERSECT"))
_LIST_ENDS = frozenset(
    "FROM INTO WHERE GROUP HAVING ORDER UNION EXCEPT INTERSECT LIMIT OFFSET FETCH OPTION FOR".split()
)


class Query(NamedTuple):
    """The query that ends before a position: where its last SELECT is, -1 for none, and what it has."""

    select: int
    combined: bool  # by UNION, EXCEPT or INTERSECT
    ordered: bool


def query_before(tokens: Tokens, end: int) -> Query:
    """The query whose clauses end before a position, in the same parentheses."""
    combined = ordered = False
    select = -1
    i = tokens.prev(end)
    while i >= 0 and tokens.kind(i) not in ("(", "["):
        word = tokens.word(i)
        if word == "SELECT" and select < 0:
            select = i
        elif word in _SET_OPERATIONS:
            combined = True
        elif word == "ORDER" and select < 0 and tokens.word(tokens.next(i)) == "BY":
            ordered = True
        i = tokens.skip_back(i)
    return Query(select, combined, ordered)


def list_end(tokens: Tokens, start: int, words: frozenset[str]) -> int:
    """Position behind a list that starts at a position: of one of `words`, or of what closes the parentheses."""
    end = start
    while end < len(tokens) and tokens.kind(end) not in (")", "]", ";") and tokens.word(end) not in words:
        end = tokens.skip(end)
    return min(end, len(tokens))


def select_items(tokens: Tokens, select: int) -> Iterator[tuple[int, int]]:
    """Bounds of each item in the list of the SELECT at a position, behind DISTINCT and TOP."""
    first = tokens.next(select)
    while tokens.word(first) in ("DISTINCT", "ALL"):
        first = tokens.next(first)
    if tokens.word(first) == "TOP":
        number = tokens.next(first)
        first = tokens.next(tokens.close(number) if tokens.kind(number) == "(" else number)
    yield from tokens.items(first, list_end(tokens, first, _LIST_ENDS))


def is_alias(tokens: Tokens, i: int) -> bool:
    """True where a name stands behind AS or right behind an operand."""
    before = tokens.prev(i)
    return tokens.kind(i) in ("w", '"') and (tokens.word(before) == "AS" or ends_operand(tokens, before))


def alias_at(tokens: Tokens, start: int, stop: int) -> int:
    """Position of the word AS that gives an item its name, or of the name where AS is left out; `stop` for neither."""
    first, last = tokens.next(start - 1), tokens.prev(stop)
    found = tokens.find("AS", start=first, end=stop)
    if found >= 0:
        return found
    named = first < last and is_alias(tokens, last) and ends_operand(tokens, last)
    # What belongs to the operand is no name: of a column behind a dot, a window, a unit, a type, a zone.
    named = named and primary_start(tokens, last) == last and tokens.word(tokens.prev(last)) != "ZONE"
    return last if named else stop


def aliased(tokens: Tokens, select: int, name: str) -> list[Token]:
    """The expression that a SELECT's list gives a name, compared without quotes and case; empty for none."""
    for start, stop in select_items(tokens, select):
        alias = alias_at(tokens, start, stop)
        named = tokens.next(alias) if tokens.word(alias) == "AS" else alias
        if alias < stop and folded(tokens[named].text) == folded(name):
            return trimmed(tokens, start, alias)
    return []
