"""RETURNING in T-SQL: OUTPUT with the columns of INSERTED or DELETED, in the place that each verb has for it.

https://learn.microsoft.com/sql/t-sql/queries/output-clause-transact-sql
"""

from nexusql.sql.names import folded, written_table
from nexusql.sql.operands import CLAUSE_WORDS, ends_operand
from nexusql.sql.rules.queries import is_alias
from nexusql.sql.syntax import Rewrite
from nexusql.sql.templates import fill, trimmed
from nexusql.sql.tokens import Token, Tokens

_VERBS = ("INSERT", "UPDATE", "DELETE", "MERGE")
_NO_COLUMNS = CLAUSE_WORDS | frozenset(
    "NULL TRUE FALSE END CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP LOCALTIME LOCALTIMESTAMP ROW".split()
)


def output(rewrite: Rewrite) -> None:
    """RETURNING as OUTPUT. In a WITH, and with a subselect in it, it is refused."""
    if "RETURNING" not in rewrite.words:
        return
    tokens = rewrite.tokens
    returning = tokens.find("RETURNING", depth=None)
    found = min((tokens.find(verb) for verb in _VERBS if tokens.find(verb) >= 0), default=-1)
    if returning < 0 or not ends_operand(tokens, tokens.prev(returning)):
        return
    if tokens.find("RETURNING") != returning:
        raise rewrite.refuse("a statement that modifies cannot stand inside another one here", returning)
    if not 0 <= found < returning:
        return
    verb = tokens.word(found)
    end = len(tokens)
    while tokens.kind(tokens.prev(end)) == ";":
        end = tokens.prev(end)
    items = Tokens(trimmed(tokens, returning + 1, end))
    if items.find("SELECT", depth=None) >= 0:
        raise rewrite.refuse("RETURNING takes no subselect here", returning)
    names = _names(tokens, found)
    clause = [*fill("OUTPUT "), *qualified(items, "DELETED" if verb == "DELETE" else "INSERTED", names)]
    used = {id(token) for token in items}
    start = tokens.prev(returning) + 1
    left = [token for token in tokens[start:end] if token.kind == "-" and id(token) not in used]
    behind = tokens[end:]
    del tokens[start:]
    for comment in left:
        behind = [Token(" ", " "), comment, Token(" ", "\n"), *behind]
    at = _place(rewrite, verb, found)
    if at == len(tokens):
        tokens += [Token(" ", " "), *clause]
    else:
        tokens[at:at] = [*clause, Token(" ", " ")]
    tokens += behind


def _place(rewrite: Rewrite, verb: str, start: int) -> int:
    """Where the clause stands: before the rows of an INSERT, before FROM or WHERE of the others, or at the end."""
    tokens = rewrite.tokens
    if verb == "INSERT":
        words: tuple[str, ...] = ("VALUES", "SELECT", "WITH", "DEFAULT", "EXEC")
        start = tokens.find("INTO", start=start)
    elif verb == "UPDATE":
        words, start = ("FROM", "WHERE"), tokens.find("SET", start=start)
    elif verb == "DELETE":
        words, start = ("FROM", "WHERE"), tokens.find("FROM", start=start)
    else:
        return len(tokens)
    found = [i for word in words if (i := tokens.find(word, start=start + 1)) >= 0]
    if verb == "INSERT":
        opening = next((i for i in range(start, min([*found, len(tokens)])) if _opens_query(tokens, i)), -1)
        found += [opening] if opening >= 0 else []
    return min(found, default=len(tokens))


def _opens_query(tokens: Tokens, i: int) -> bool:
    return tokens.kind(i) == "(" and tokens.word(tokens.next(i)) in ("SELECT", "WITH")


def _names(tokens: Tokens, verb: int) -> set[str]:
    """The names of the table that is modified."""
    table = written_table(tokens, verb)
    alias = table.alias
    opening = tokens.after(table.behind, "WITH")
    if tokens.kind(opening) == "(":  # the hint of MERGE
        alias = tokens.after(tokens.next(tokens.close(opening)), "AS")
    return {folded(tokens[i].text) for i in (table.end - 1, alias) if 0 <= i < len(tokens)}


def qualified(items: Tokens, owner: str, names: set[str]) -> Tokens:
    """Expressions in which a column of a table by these names, or of none, is one of `owner`."""
    made = Tokens()
    i = 0
    while i < len(items):
        token = items[i]
        if is_column(items, i):
            table = last = i
            while items.kind(items.next(last)) == ".":
                table, last = last, items.next(items.next(last))
            if last == i or folded(items[table].text) in names:
                made += [Token("w", owner), Token(".", "."), items[last]]
            else:  # of another table, beside which the rows are modified
                made += items[i : last + 1]
            i = last + 1
            continue
        if token.kind == "o" and token.text == "*" and not ends_operand(items, items.prev(i)):
            made += [Token("w", owner), Token(".", ".")]
        made.append(token)
        i += 1
    return made


def is_column(tokens: Tokens, i: int) -> bool:
    """True where a column's name starts at i: no word of the language, type, function, or name that AS gives."""
    before, after = tokens.prev(i), tokens.next(i)
    if tokens.kind(i) not in ("w", '"') or tokens.word(i) in _NO_COLUMNS:
        return False
    if tokens.kind(before) in ("t", ".") or is_alias(tokens, i):
        return False
    is_field = tokens.word(after) == "FROM" and tokens.kind(before) == "("
    return not is_field and tokens.kind(after) not in ("(", "'")
