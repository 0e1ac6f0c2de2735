"""Receipts for text that a session reads otherwise than PostgreSQL: `".."` as a string, a backslash as an escape."""

import re

from nexusql.sql.lexical import Lexical
from nexusql.sql.operands import ends_operand
from nexusql.sql.syntax import Rewrite

# In front of these, and only these, a quoted token is the same in both readings: a name is required, or a string is.
_SAME = frozenset(
    "AS CHARSET COLLATE COLUMN COMMENT CONSTRAINT DATABASE DEFAULT ESCAPE EXISTS FROM INDEX INTO JOIN KEY REFERENCES "
    "SCHEMA SEPARATOR TABLE TRUNCATE UPDATE VIEW".split()
)
# MySQL keeps the backslash before % and _, for LIKE.
_ESCAPE = re.compile(r"\\(?![%_])")


def is_native(rewrite: Rewrite) -> bool:
    """True where the statement bears a mark of the target's own SQL."""
    return any(token.kind == "{" or (token.kind == '"' and token.text[0] == "`") for token in rewrite.tokens) or any(
        rewrite.words.issuperset(marker.split()) for marker in rewrite.syntax.native_markers
    )


def note_readings(rewrite: Rewrite) -> None:
    """A receipt for each `".."` that is a string here and for each literal with a backslash that escapes here.

    None where both readings agree, and none in a statement that is plainly the target's own.
    """
    tokens = rewrite.tokens
    lexical = rewrite.syntax.lexical(rewrite.modes)
    escapes = bool(lexical & Lexical.BACKSLASH_ESCAPES)
    suspects = [
        i
        for i, token in enumerate(tokens)
        if token.kind == "'" and token.start >= 0 and (token.text[0] == '"' or (escapes and _ESCAPE.search(token.text)))
    ]
    if not suspects or is_native(rewrite):
        return
    for i in suspects:
        before = tokens.prev(i)
        if tokens[i].text[0] != '"':
            if tokens.word(before) != "ESCAPE" and _ESCAPE.search(tokens[i].text):
                rewrite.note("a backslash in this literal is an escape here, and a character in PostgreSQL", i)
        elif tokens[i].text != '""' and tokens.word(before) not in _SAME and not ends_operand(tokens, before):
            if "." not in (tokens.kind(before), tokens.kind(tokens.next(i))):
                rewrite.note('".." is a string here, and a name in PostgreSQL; write it without quotes', i)


def refuse_escape_literals(rewrite: Rewrite) -> None:
    r"""E'..' is refused: elsewhere it is no literal."""
    tokens = rewrite.tokens
    if "E" in rewrite.words:
        for i in range(len(tokens) - 1):
            if tokens.word(i) == "E" and tokens[i + 1].text.startswith("'"):
                raise rewrite.refuse("E'..' cannot be said here; bind the text as a parameter", i)


def national_literals(rewrite: Rewrite) -> None:
    """A literal with more than ASCII gets an N before it, without which it is read by the database's code page."""
    for token in rewrite.tokens:
        if token.kind == "'" and token.text[0] == "'" and not token.text.isascii():
            token.text = f"N{token.text}"


def note_continuations(rewrite: Rewrite) -> None:
    """A receipt for a literal with a backslash at the end of a line, both of which T-SQL leaves out.

    https://learn.microsoft.com/sql/t-sql/language-elements/sql-server-utilities-statements-backslash
    """
    for i, token in enumerate(rewrite.tokens):
        if token.kind == "'" and ("\\\n" in token.text or "\\\r\n" in token.text):
            rewrite.note("a backslash and the end of the line behind it are left out here; bind the text", i)
