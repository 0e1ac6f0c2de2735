"""SQLite as data: lexical rules, types, and what canonical SQL becomes."""

from nexusql.backends.sqlite.ddl import DDL_RULES, NATIVE_MARKERS, TYPES
from nexusql.backends.sqlite.expressions import DML_RULES
from nexusql.sql.lexical import Lexical, SessionModes
from nexusql.sql.syntax import ListTexts, Syntax


def lexical(_modes: SessionModes) -> Lexical:
    """Rules of SQLite's tokenizer (tokenize.c); no session setting changes them."""
    return Lexical.BACKTICK_IDENTIFIERS | Lexical.BRACKET_IDENTIFIERS | Lexical.DOLLAR_VARIABLES | Lexical.AT_VARIABLES


SYNTAX = Syntax(
    dialect="sqlite",
    placeholder="?",
    lexical=lexical,
    max_identifier=255,
    max_parameters=32_766,
    lists=ListTexts(
        whole="IN (SELECT value FROM json_each({}))", whole_negated="NOT IN (SELECT value FROM json_each({}))"
    ),
    functions_read=True,
    types=TYPES,
    native_markers=NATIVE_MARKERS,
    rules=(*DDL_RULES, *DML_RULES),
)
