"""Names in a statement: how they compare, where they end, and the table with its alias that a clause names."""

from typing import NamedTuple

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


class NamedTable(NamedTuple):
    """A table as a clause names it, by positions."""

    start: int
    end: int  # behind the name, its schema included
    alias: int  # -1 for none
    behind: int  # the first token of code behind all that

    @property
    def called(self) -> int:
        """Position of what the table is called in the statement: its alias, or its own name without the schema."""
        return self.alias if self.alias >= 0 else self.end - 1


def named_table(tokens: Tokens, i: int, no_alias: frozenset[str] | None = None) -> NamedTable:
    """The table whose name starts at i. Only AS gives it an alias, or with `no_alias` any name but these words."""
    end = name_end(tokens, i)
    behind = tokens.next(end - 1)
    has_as = tokens.word(behind) == "AS"
    behind = tokens.next(behind) if has_as else behind
    may_be_alias = has_as if no_alias is None else tokens.word(behind) not in no_alias
    if may_be_alias and is_name(tokens, behind):
        return NamedTable(i, end, behind, tokens.next(behind))
    return NamedTable(i, end, -1, behind)


def written_table(tokens: Tokens, verb: int, no_alias: frozenset[str] | None = None) -> NamedTable:
    """The table that the INSERT, UPDATE, DELETE or MERGE with its verb at a position writes; its alias as above.

    A modifier of the dialect, as ONLY, is taken for the name: that is the caller's to see.
    """
    i = tokens.next(verb)
    while tokens.word(i) in ("INTO", "FROM"):
        i = tokens.next(i)
    return named_table(tokens, i, no_alias)
