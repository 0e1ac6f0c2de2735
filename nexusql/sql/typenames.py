"""Type names as PostgreSQL writes them: several words, arguments, arrays, aliases."""

from typing import NamedTuple

from nexusql.sql.tokens import Tokens

_ALIASES = {
    "BOOL": "BOOLEAN",
    "BPCHAR": "CHAR",
    "CHARACTER": "CHAR",
    "CHARACTER VARYING": "VARCHAR",
    "CHAR VARYING": "VARCHAR",
    "DEC": "NUMERIC",
    "DECIMAL": "NUMERIC",
    "FLOAT": "DOUBLE PRECISION",
    "FLOAT4": "REAL",
    "FLOAT8": "DOUBLE PRECISION",
    "INT": "INTEGER",
    "INT2": "SMALLINT",
    "INT4": "INTEGER",
    "INT8": "BIGINT",
    "TIME WITH TIME ZONE": "TIMETZ",
    "TIME WITHOUT TIME ZONE": "TIME",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ",
    "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP",
}
_SECOND_WORDS = {
    "DOUBLE": ("PRECISION",),
    "CHARACTER": ("VARYING",),
    "CHAR": ("VARYING",),
    "BIT": ("VARYING",),
}


class TypeName(NamedTuple):
    """A type: its canonical name in upper case, its arguments as text, whether it is an array, and where it ends."""

    name: str
    arguments: tuple[str, ...]
    array: bool
    end: int  # the position behind it
    written: str  # its words in upper case, joined by a blank


def parse_type(tokens: Tokens, i: int) -> TypeName | None:
    """The type whose name starts at i, or None where there is no name."""
    while tokens.kind(tokens.next(i)) == "." and tokens.kind(i) in 'w"':
        i = tokens.next(tokens.next(i))
    if tokens.kind(i) == '"':
        written, last = tokens[i].text[1:-1].upper(), i
    elif tokens.kind(i) == "w":
        written, last = tokens.word(i), i
        for word in _SECOND_WORDS.get(written, ()):
            if tokens.word(tokens.next(last)) == word:
                last = tokens.next(last)
                written = f"{written} {word}"
    else:
        return None
    arguments: tuple[str, ...] = ()
    opening = tokens.next(last)
    if tokens.kind(opening) == "(":
        last = tokens.close(opening)
        arguments = tuple(tokens.text(s, e).strip() for s, e in tokens.items(opening + 1, last))
    if written in ("TIME", "TIMESTAMP") and tokens.word(tokens.next(last)) in ("WITH", "WITHOUT"):
        with_zone = tokens.word(tokens.next(last))
        behind = tokens.after(tokens.next(tokens.next(last)), "TIME", "ZONE")
        if behind >= 0:
            last = tokens.prev(behind)
            written = f"{written} {with_zone} TIME ZONE"
    end, array = last + 1, False
    while (after := _subscript_end(tokens, tokens.next(end - 1))) > 0:
        end, array = after, True
    if tokens.word(tokens.next(end - 1)) == "ARRAY":
        end, array = tokens.next(end - 1) + 1, True
    return TypeName(_ALIASES.get(written, written), arguments, array, min(end, len(tokens)), written)


def _subscript_end(tokens: Tokens, i: int) -> int:
    """End of the `[]` or `[3]` that starts at i, however the dialect reads brackets, or -1."""
    if tokens.kind(i) == '"' and tokens[i].text.strip("[0123456789]") == "":
        return i + 1
    if tokens.kind(i) != "[" and not tokens.op(i, "["):
        return -1
    while i < len(tokens) and tokens[i].text != "]":
        i += 1
    return i + 1
