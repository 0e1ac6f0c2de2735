"""LIMIT, OFFSET and FETCH FIRST: to LIMIT .. OFFSET .., in that order and with plain numbers."""

from typing import NamedTuple

from nexusql.sql.operands import ends_operand, primary_end
from nexusql.sql.syntax import Rewrite, Rule
from nexusql.sql.templates import fill, put, trimmed
from nexusql.sql.tokens import Token, Tokens

_CLAUSES = frozenset(("LIMIT", "OFFSET", "FETCH"))
_ALL = frozenset(("ALL", "NULL"))


class Clause(NamedTuple):
    """LIMIT, OFFSET or FETCH FIRST, as it is written."""

    name: str  # LIMIT or OFFSET; FETCH is a LIMIT
    number: list[Token]  # empty for ALL
    end: int
    plain: bool  # written as every dialect takes it


def limits(everything: str) -> Rule:
    """LIMIT and OFFSET as the dialect takes them; `everything` is the LIMIT that limits nothing.

    LIMIT ALL goes, OFFSET gets a LIMIT before it, FETCH FIRST becomes one, a cast of a number or parameter goes.
    """

    def rule(rewrite: Rewrite) -> None:
        if _CLAUSES.isdisjoint(rewrite.words):
            return
        tokens = rewrite.tokens
        i = 0
        while i < len(tokens):
            if tokens[i].kind == "w" and starts_clause(tokens, i):
                i = _rewrite(tokens, i, everything)
            else:
                i += 1

    return rule


def starts_clause(tokens: Tokens, i: int) -> bool:
    """True where LIMIT, OFFSET or FETCH at i is no name: what may end a clause stands before it, a number behind."""
    if tokens.word(i) not in _CLAUSES:
        return False
    before, after = tokens.prev(i), tokens.next(i)
    may_be_name = tokens.word(i) != "LIMIT"
    if may_be_name and not (ends_operand(tokens, before) or tokens.word(before) in ("ASC", "DESC", "ALL")):
        return False
    if tokens.word(i) == "FETCH":
        return tokens.word(after) in ("FIRST", "NEXT")
    is_negative = not may_be_name and tokens.op(after, "-")
    return is_negative or tokens.kind(after) in tuple("0:?%(") or tokens.word(after) in (*_ALL, "CAST")


def _rewrite(tokens: Tokens, start: int, everything: str) -> int:
    """Rewrite the clauses that stand together at `start`; gives the position behind them."""
    clauses, end = read_clauses(tokens, start)
    if not clauses:
        return start + 1
    plain = all(clause.plain for clause in clauses.values())
    if plain and next(iter(clauses)) == "LIMIT":
        return end
    limit, offset = clauses.get("LIMIT"), clauses.get("OFFSET")
    made: list[Token] = []
    if limit and limit.number:
        made = fill("LIMIT {0}", limit.number)
    if offset:
        made = fill("{0} OFFSET {1}" if made else f"LIMIT {everything} OFFSET {{1}}", made, offset.number)
    return put(tokens, start, end, made)


def read_clauses(tokens: Tokens, start: int) -> tuple[dict[str, Clause], int]:
    """The clauses that stand together at `start`, by name, in their order, and the position behind them."""
    clauses: dict[str, Clause] = {}
    end = start
    while starts_clause(tokens, i := tokens.next(end - 1) if clauses else start):
        clause = _read(tokens, i)
        if clause is None or clause.name in clauses:
            break
        clauses[clause.name] = clause
        end = clause.end
    return clauses, end


def _read(tokens: Tokens, i: int) -> Clause | None:
    """The clause at i, or None for FETCH .. WITH TIES."""
    name, plain = tokens.word(i), True
    first = tokens.next(i)
    if name == "FETCH":
        name, plain, first = "LIMIT", False, tokens.next(first)
    if tokens.word(first) in _ALL:
        return Clause(name, [] if name == "LIMIT" else [Token("0", "0")], first + 1, False)
    if tokens.word(first) in ("ROW", "ROWS"):
        number, end = [Token("0", "1")], first
    else:
        end = primary_end(tokens, first)
        cast = next((k for k in range(first, end) if tokens[k].kind == "t"), end)
        number, plain = tokens[first : tokens.prev(cast) + 1], plain and cast == end
        if tokens.word(first) == "CAST":
            opening = tokens.next(first)
            as_ = tokens.find("AS", start=opening + 1, end=end)
            number, plain = trimmed(tokens, opening + 1, as_), False
    if tokens.word(tokens.next(end - 1)) in ("ROW", "ROWS"):
        end, plain = tokens.next(end - 1) + 1, False
    if tokens.word(i) == "FETCH":
        if tokens.word(tokens.next(end - 1)) != "ONLY":
            return None
        end = tokens.next(end - 1) + 1
    return Clause(name, number, end, plain)
