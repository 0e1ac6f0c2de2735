"""SQL as text: no I/O, and no knowledge of a database but what its Syntax says.

`compile_statement` gives the text and the parameter names that a driver takes, for a dialect that nexusql.backends
has registered; `split_script` cuts a script into statements.
"""

from nexusql.sql.compile import compile_statement
from nexusql.sql.lexical import SessionModes
from nexusql.sql.split import split_script
from nexusql.sql.statement import Statement

__all__ = ["SessionModes", "Statement", "compile_statement", "split_script"]
