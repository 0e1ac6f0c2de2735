"""Names in a statement: how they compare, and where they end."""

from nexusql.sql.tokens import Tokens


def identifier(text: str) -> str:
    """An identifier without its quotes."""
    if len(text) > 1 and text[0] in '"`[' and text[-1] == {"[": "]"}.get(text[0], text[0]):
        return text[1:-1].replace(text[-1] * 2, text[-1])
    return text


def folded(text: str) -> str:
    """An identifier as it compares with another: without quotes, and without case."""
    return identifier(text).casefold()


def is_name(tokens: Tokens, i: int) -> bool:
    """True where a name may stand: a word, a quoted identifier, or `".."` where the session reads that as a literal."""
    kind = tokens.kind(i)
    return kind in ("w", '"') or (kind == "'" and tokens[i].text.startswith('"'))


def name_end(tokens: Tokens, i: int) -> int:
    """Position behind a name that starts at i, its schema included."""
    i += 1
    while tokens.kind(tokens.next(i - 1)) == "." and is_name(tokens, tokens.next(tokens.next(i - 1))):
        i = tokens.next(tokens.next(i - 1)) + 1
    return i
