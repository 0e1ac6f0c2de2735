"""MySQL and MariaDB as data: lexical rules, types, and what canonical SQL becomes."""

from nexusql.sql.lexical import Lexical, SessionModes
from nexusql.sql.syntax import Rule, Syntax


def lexical(modes: SessionModes) -> Lexical:
    """Rules of the servers' lexer (sql_lex.cc), by sql_mode and flavour."""
    rules = (
        Lexical.BACKTICK_IDENTIFIERS
        | Lexical.DOLLAR_IDENTIFIERS
        | Lexical.AT_VARIABLES
        | Lexical.EXECUTED_COMMENTS
        | Lexical.DASHES_NEED_SPACE
        | Lexical.HASH_COMMENTS
    )
    if not modes.no_backslash_escapes:
        rules |= Lexical.BACKSLASH_ESCAPES
    if not modes.ansi_quotes:
        rules |= Lexical.DOUBLE_QUOTED_LITERALS
    if modes.flavour == "mariadb":
        rules |= Lexical.MARIADB
    return rules


_DDL_RULES: tuple[Rule, ...] = ()
_DML_RULES: tuple[Rule, ...] = ()

SYNTAX = Syntax(
    dialect="mysql",
    placeholder="%s",
    lexical=lexical,
    quote="`",
    max_identifier=64,
    rules=(*_DDL_RULES, *_DML_RULES),
)
