"""MySQL and MariaDB as data: lexical rules, types, and what canonical SQL becomes."""

from nexusql.backends.mysql.ddl import DDL_RULES, NATIVE_MARKERS, TYPES
from nexusql.backends.mysql.expressions import DML_RULES
from nexusql.sql.lexical import Lexical, SessionModes
from nexusql.sql.syntax import ListTexts, Syntax


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


SYNTAX = Syntax(
    dialect="mysql",
    placeholder="%s",
    lexical=lexical,
    quote="`",
    max_identifier=64,
    lists=ListTexts("IN (SELECT NULL FROM DUAL WHERE FALSE)", "NOT IN (SELECT NULL FROM DUAL WHERE FALSE)"),
    delimiters=True,
    types=TYPES,
    native_markers=NATIVE_MARKERS,
    rules=(*DDL_RULES, *DML_RULES),
)
