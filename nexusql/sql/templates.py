"""Templates of SQL: pieces of code, lexed once, around operands that keep their own tokens."""

import re
from collections.abc import Sequence
from functools import lru_cache

from nexusql._speedups import scan
from nexusql.sql.operands import primary_end
from nexusql.sql.tokens import Token, Tokens

MOST_OPERANDS = 10  # of a template: each is one digit
_OPERAND = re.compile(r"\{(\d)\}")


@lru_cache(maxsize=256)
def _pieces(template: str) -> tuple[int | tuple[tuple[str, str], ...], ...]:
    """The operands' numbers, and between them the (kind, text) of each token of code."""
    pieces: list[int | tuple[tuple[str, str], ...]] = []
    for k, part in enumerate(_OPERAND.split(template)):
        if k % 2:
            pieces.append(int(part))
            continue
        kinds, ends = scan(part, 0, 0)
        starts = [0, *ends]
        pieces.append(tuple((kind, part[s:e]) for kind, s, e in zip(kinds, starts, ends, strict=False)))
    return tuple(pieces)


def fill(template: str, *operands: Sequence[Token]) -> list[Token]:
    """Tokens of a template in which ``{0}``, ``{1}``, .. are operands; one used again is copied, without its comments.

    A literal in a template has no backslash, and code no parameter: it reads the same in every dialect.
    """
    tokens: list[Token] = []
    used: set[int] = set()
    for piece in _pieces(template):
        if isinstance(piece, tuple):
            tokens += [Token(kind, text) for kind, text in piece]
        elif piece in used:
            tokens += [copy(token) for token in operands[piece]]
        else:
            used.add(piece)
            tokens += operands[piece]
    return tokens


def copy(token: Token) -> Token:
    """The same token for another place; a comment becomes a blank, so that it stands once."""
    return Token(" ", " ", token.start) if token.kind == "-" else Token(token.kind, token.text, token.start)


def grouped(operand: Sequence[Token]) -> list[Token]:
    """An operand beside which any operator may stand: in parentheses, unless it is a primary expression, unsigned."""
    tokens = Tokens(operand)
    if tokens.kind(0) != "o" and primary_end(tokens, 0) == len(tokens):
        return list(operand)
    return [Token("(", "("), *operand, Token(")", ")")]


def trimmed(tokens: Tokens, start: int, end: int) -> list[Token]:
    """What stands between two positions, without the blanks and comments at both ends."""
    first, last = tokens.next(start - 1), tokens.prev(end)
    return tokens[first : last + 1]


def put(tokens: Tokens, start: int, end: int, made: Sequence[Token]) -> int:
    """Put tokens in the place of what stands between two positions; gives the position behind them.

    Comments that stood there and are not among them are kept, a line comment with an end of line behind it.
    """
    kept = list(made)
    inside = {id(token) for token in made}
    for token in tokens[start:end]:
        if token.kind == "-" and id(token) not in inside:
            kept += [Token(" ", " "), token]
            if not token.text.startswith("/*"):
                kept.append(Token(" ", "\n"))
    tokens[start:end] = kept
    return start + len(kept)
