"""SQLite as data: lexical rules, types, and what canonical SQL becomes."""

from nexusql.sql.lexical import Lexical, SessionModes
from nexusql.sql.syntax import Rule, Syntax


def lexical(_modes: SessionModes) -> Lexical:
    """Rules of SQLite's tokenizer (tokenize.c); no session setting changes them."""
    return (
        Lexical.BACKTICK_IDENTIFIERS | Lexical.BRACKET_IDENTIFIERS | Lexical.DOLLAR_VARIABLES | Lexical.AT_VARIABLES
    )


_DDL_RULES: tuple[Rule, ...] = ()
_DML_RULES: tuple[Rule, ...] = ()

SYNTAX = Syntax(
    dialect="sqlite",
    placeholder="?",
    lexical=lexical,
    max_identifier=255,
    max_parameters=32_766,
    rules=(*_DDL_RULES, *_DML_RULES),
)
