"""Where the common table expressions of an INSERT stand: PostgreSQL takes them before it and before its SELECT.

https://www.postgresql.org/docs/current/sql-insert.html, https://dev.mysql.com/doc/refman/8.0/en/with.html,
https://mariadb.com/kb/en/with/, https://learn.microsoft.com/sql/t-sql/queries/with-common-table-expression-transact-sql
"""

from nexusql.sql.effects import behind_with, main_verb
from nexusql.sql.names import written_table
from nexusql.sql.rules.upsert import opens_list
from nexusql.sql.syntax import Rewrite
from nexusql.sql.tokens import Token


def expressions_first(rewrite: Rewrite) -> None:
    """INSERT INTO t WITH .. SELECT is WITH .. INSERT INTO t SELECT."""
    found = _insert(rewrite)
    if found is None:
        return
    tokens, (verb, body) = rewrite.tokens, found
    if tokens.word(body) != "WITH":
        return
    end = behind_with(tokens, body)
    moved = tokens[body:end]
    del tokens[body:end]
    tokens[verb:verb] = _spaced(moved)


def expressions_with_select(rewrite: Rewrite) -> None:
    """WITH .. INSERT INTO t SELECT is INSERT INTO t WITH .. SELECT."""
    found = _insert(rewrite)
    if found is None:
        return
    tokens, (verb, body) = rewrite.tokens, found
    start = tokens.next(-1)
    if tokens.word(start) != "WITH" or tokens.word(body) != "SELECT":
        return
    moved = tokens[start:verb]
    tokens[body:body] = _spaced(moved)
    del tokens[start:verb]


def _insert(rewrite: Rewrite) -> tuple[int, int] | None:
    """Positions of the verb of an INSERT with a WITH, and of what gives its rows."""
    if not rewrite.words.issuperset(("INSERT", "WITH")):
        return None
    tokens = rewrite.tokens
    verb, position, _ = main_verb(tokens)
    if verb != "INSERT":
        return None
    body = written_table(tokens, position).behind
    if opens_list(tokens, body):
        body = tokens.next(tokens.close(body))
    if tokens.word(tokens.next(-1)) == tokens.word(body) == "WITH":
        raise rewrite.refuse("an INSERT has one WITH here; put all common table expressions into the first", body)
    return position, body


def _spaced(moved: list[Token]) -> list[Token]:
    """Tokens that may stand right before a word."""
    return moved if moved[-1].kind == " " else [*moved, Token(" ", " ")]
