"""SQL Server as data: lexical rules, types, and what canonical SQL becomes."""

from nexusql.backends.mssql.ddl import DDL_RULES, NATIVE_MARKERS, TYPES
from nexusql.backends.mssql.expressions import DML_RULES
from nexusql.sql.lexical import Lexical, SessionModes
from nexusql.sql.syntax import ListTexts, Syntax


def lexical(modes: SessionModes) -> Lexical:
    """Rules of T-SQL."""
    rules = (
        Lexical.BRACKET_IDENTIFIERS
        | Lexical.NESTED_COMMENTS
        | Lexical.AT_VARIABLES
        | Lexical.SHARP_IDENTIFIERS
        | Lexical.CR_ENDS_COMMENT
    )
    if not modes.quoted_identifier:
        rules |= Lexical.DOUBLE_QUOTED_LITERALS
    return rules


SYNTAX = Syntax(
    dialect="mssql",
    placeholder="?",
    lexical=lexical,
    quote="]",
    max_identifier=128,
    max_parameters=2_100,
    lists=ListTexts(
        whole="IN (SELECT value FROM OPENJSON({}))", whole_negated="NOT IN (SELECT value FROM OPENJSON({}))"
    ),
    functions_read=True,  # none can change data; what runs elsewhere is told apart by its name
    batches=True,
    types=TYPES,
    native_markers=NATIVE_MARKERS,
    rules=(*DDL_RULES, *DML_RULES),
)
