"""PostgreSQL as data: lexical rules, and the little that canonical SQL needs there."""

from nexusql.backends.postgresql.ddl import DDL_RULES
from nexusql.sql.lexical import Lexical, SessionModes
from nexusql.sql.syntax import ListTexts, Rule, Syntax


def lexical(modes: SessionModes) -> Lexical:
    """Rules of PostgreSQL's lexer (scan.l)."""
    rules = (
        Lexical.E_LITERALS
        | Lexical.SUBSCRIPTS
        | Lexical.NESTED_COMMENTS
        | Lexical.DOLLAR_LITERALS
        | Lexical.CR_ENDS_COMMENT
    )
    if not modes.standard_conforming_strings:
        rules |= Lexical.BACKSLASH_ESCAPES
    return rules


_DML_RULES: tuple[Rule, ...] = ()

SYNTAX = Syntax(
    dialect="postgresql",
    placeholder="%s",
    lexical=lexical,
    max_identifier=63,
    max_identifier_in_bytes=True,
    max_parameters=32_767,
    # A subselect without rows would have a type of its own, which the left side may not compare with.
    lists=ListTexts("= ANY('{}')", "<> ALL('{}')", "= ANY({})", "<> ALL({})"),
    rules=(*DDL_RULES, *_DML_RULES),
)
