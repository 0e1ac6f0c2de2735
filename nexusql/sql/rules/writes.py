"""UPDATE and DELETE with an alias, further tables or rows of columns, in the form that each dialect has for them.

https://learn.microsoft.com/sql/t-sql/queries/update-transact-sql and .../delete-transact-sql,
https://dev.mysql.com/doc/refman/8.0/en/update.html and .../delete.html, https://sqlite.org/lang_update.html
"""

from dataclasses import dataclass

from nexusql.sql.effects import main_verb
from nexusql.sql.names import NamedTable, folded, is_name, named_table, written_table
from nexusql.sql.operands import CLAUSE_WORDS
from nexusql.sql.rules.queries import list_end
from nexusql.sql.rules.upsert import assignments, reads
from nexusql.sql.syntax import Rewrite
from nexusql.sql.templates import copy, fill, put, trimmed
from nexusql.sql.tokens import Token, Tokens

_NO_ALIAS = CLAUSE_WORDS | frozenset(("LEFT", "OPTION", "OUTPUT", "PARTITION", "RIGHT"))
_MODIFIERS = frozenset(("IGNORE", "LOW_PRIORITY", "QUICK", "ONLY", "OR", "TOP", "STATISTICS"))
_ENDS_SET = frozenset(("FROM", "WHERE", "RETURNING", "ORDER", "LIMIT", "OUTPUT", "OPTION"))
_ENDS_TABLES = frozenset(("WHERE", "RETURNING"))
_SELF = "here this may mean the table itself; give the table that is updated an alias: UPDATE t AS x SET .. FROM t AS y"
_WHOLE_ROW = "RETURNING * has only the columns of the table that is changed here"


@dataclass(slots=True)
class Write:
    """Positions in an UPDATE or DELETE as PostgreSQL has it; -1 for what is not there."""

    verb: str
    table: NamedTable
    set: int
    joined: int  # FROM of UPDATE, USING of DELETE
    joined_end: int
    where: int
    returning: int
    end: int  # behind the last clause but RETURNING

    def described(self, tokens: Tokens) -> list[Token]:
        """The table as FROM has it, with its alias."""
        name = [copy(token) for token in tokens[self.table.start : self.table.end]]
        return name if self.table.alias < 0 else fill("{0} AS {1}", name, [copy(tokens[self.table.alias])])

    def sources(self, tokens: Tokens) -> list[Token]:
        """The further tables."""
        return trimmed(tokens, self.joined + 1, self.joined_end) if self.joined >= 0 else []


def read_write(rewrite: Rewrite) -> Write | None:
    """The parts of an UPDATE or DELETE, or None for any other statement and for forms of a dialect's own."""
    if rewrite.words.isdisjoint(("UPDATE", "DELETE")):
        return None
    tokens = rewrite.tokens
    verb, first, _ = main_verb(tokens)
    if verb not in ("UPDATE", "DELETE"):
        return None
    if verb == "DELETE" and tokens.after(first, "DELETE", "FROM") < 0:
        return None
    table = written_table(tokens, first, _NO_ALIAS)
    if not is_name(tokens, table.start) or tokens.word(table.start) in _MODIFIERS:
        return None
    after = table.behind
    set_ = after if verb == "UPDATE" and tokens.word(after) == "SET" else -1
    if set_ < 0 and (verb == "UPDATE" or tokens.word(after) not in ("USING", "WHERE", "RETURNING", "")):
        return None
    joined = list_end(tokens, set_ + 1, _ENDS_SET) if verb == "UPDATE" else after
    while tokens.word(joined) == "FROM" and tokens.word(tokens.prev(joined)) == "DISTINCT":
        joined = list_end(tokens, joined + 1, _ENDS_SET)
    start = joined
    joined_end = start
    if tokens.word(joined) == ("FROM" if verb == "UPDATE" else "USING"):
        joined_end = list_end(tokens, joined + 1, _ENDS_TABLES)
    else:
        joined = -1
    where = tokens.find("WHERE", start=start)
    returning = tokens.find("RETURNING", start=start)
    end = returning if returning >= 0 else len(tokens)
    while tokens.kind(tokens.prev(end)) == ";":
        end = tokens.prev(end)
    return Write(verb, table, set_, joined, joined_end, where, returning, tokens.prev(end) + 1)


def _exposed(tokens: Tokens, write: Write) -> tuple[set[str], set[str]]:
    """The names by which the further tables are called, and the names of those tables themselves."""
    called: set[str] = set()
    tables: set[str] = set()
    i = tokens.next(write.joined)
    while 0 <= write.joined < i < write.joined_end:
        before = tokens.prev(i)
        if (before == write.joined or tokens.kind(before) == "," or tokens.word(before) == "JOIN") and is_name(
            tokens, i
        ):
            table = named_table(tokens, i, _NO_ALIAS)
            called.add(folded(tokens[table.called].text))
            tables.add(folded(tokens[table.end - 1].text))
            i = table.end - 1
        i = tokens.skip(i)
    return called, tables


def _is_native(tokens: Tokens, write: Write) -> bool:
    """True where the further tables have the one that is changed among them, as T-SQL and MySQL write it."""
    called, _ = _exposed(tokens, write)
    return folded(tokens[write.table.called].text) in called


def _note_whole_row(rewrite: Rewrite, write: Write) -> None:
    tokens = rewrite.tokens
    if write.joined >= 0 and write.returning >= 0 and tokens.op(tokens.next(write.returning), "*"):
        rewrite.note(_WHOLE_ROW, write.returning)


def row_assignments(rewrite: Rewrite) -> None:
    """UPDATE .. SET (a, b) = (x, y) as one assignment for each column."""
    write = read_write(rewrite)
    if write is None or write.set < 0:
        return
    tokens = rewrite.tokens
    items = list(tokens.items(write.set + 1, list_end(tokens, write.set + 1, _ENDS_SET)))
    for start, stop in reversed(items):
        first = tokens.next(start - 1)
        if tokens.kind(first) == "(":
            pairs = [fill("{0} = {1}", *pair) for pair in assignments(rewrite, start, stop)]
            made = [token for number, pair in enumerate(pairs) for token in (fill(", ") if number else []) + pair]
            put(tokens, first, tokens.prev(stop) + 1, made)


def note_order_of_assignments(rewrite: Rewrite) -> None:
    """A receipt where SET reads a column that it has assigned before: such a reader sees the new value on MySQL."""
    write = read_write(rewrite)
    if write is None or write.set < 0:
        return
    tokens = rewrite.tokens
    names = {folded(tokens[write.table.end - 1].text), folded(tokens[write.table.called].text)}
    assigned: set[str] = set()
    for start, stop in tokens.items(write.set + 1, list_end(tokens, write.set + 1, _ENDS_SET)):
        for column, value in assignments(rewrite, start, stop):
            seen = reads(Tokens(value), names) & assigned
            if seen:
                rewrite.note(f"SET reads {', '.join(sorted(seen))} after assigning it, and sees the new value", start)
            assigned |= {folded(column[-1].text)} if column else set()


def tables_behind_from(rewrite: Rewrite) -> None:
    """T-SQL: the table with its alias stands in FROM, and so do those of USING: DELETE FROM x FROM t AS x, s."""
    write = read_write(rewrite)
    if write is None or (write.table.alias < 0 and write.joined < 0):
        return
    tokens = rewrite.tokens
    if write.table.alias < 0 and _is_native(tokens, write):
        return
    _note_whole_row(rewrite, write)
    if write.table.alias < 0 and write.verb == "UPDATE":  # FROM has the table of itself
        if folded(tokens[write.table.end - 1].text) in _exposed(tokens, write)[1]:
            raise rewrite.refuse(_SELF, write.joined)
        return
    tables = write.described(tokens)
    sources = write.sources(tokens)
    tables = fill("FROM {0}, {1}" if sources else "FROM {0}", tables, sources)
    owner = copy(tokens[write.table.called])
    if write.joined >= 0:
        put(tokens, write.joined, tokens.prev(write.joined_end) + 1, tables)
    elif write.where >= 0:
        tokens[write.where : write.where] = [*tables, Token(" ", " ")]
    else:
        tokens[write.end : write.end] = [Token(" ", " "), *tables]
    if write.table.alias >= 0:
        put(tokens, write.table.start, write.table.alias + 1, [owner])


def tables_before_set(rewrite: Rewrite) -> None:
    """MySQL: UPDATE t, s SET t.a = .., and DELETE FROM x USING t AS x, s."""
    write = read_write(rewrite)
    if write is None or (write.joined < 0 and (write.table.alias < 0 or write.verb == "UPDATE")):
        return
    tokens = rewrite.tokens
    if write.joined >= 0 and _is_native(tokens, write):
        return
    if write.verb == "UPDATE":
        _join_before_set(tokens, write)
    elif write.returning >= 0:
        raise rewrite.refuse("DELETE .. RETURNING takes neither USING nor an alias here", write.returning)
    else:
        _join_behind_using(tokens, write)


def _join_before_set(tokens: Tokens, write: Write) -> None:
    # Copies have no comments, which stay where they are.
    tables = fill("{0}, {1}", write.described(tokens), [copy(token) for token in write.sources(tokens)])
    owner = tokens[write.table.called]
    put(tokens, tokens.prev(write.joined) + 1, tokens.prev(write.joined_end) + 1, [])
    for start, _ in reversed(list(tokens.items(write.set + 1, list_end(tokens, write.set + 1, _ENDS_SET)))):
        first = tokens.next(start - 1)
        if tokens.kind(tokens.next(first)) != ".":
            tokens[first:first] = [copy(owner), Token(".", ".")]
    put(tokens, write.table.start, write.table.called + 1, tables)


def _join_behind_using(tokens: Tokens, write: Write) -> None:
    tables, sources = write.described(tokens), write.sources(tokens)
    start = write.table.start if write.table.alias < 0 else write.table.alias
    owner = [copy(token) for token in tokens[start : write.table.called + 1]]
    end = tokens.prev(write.joined_end) if write.joined >= 0 else write.table.called
    made = fill("{0} USING {1}, {2}" if sources else "{0} USING {1}", owner, tables, sources)
    put(tokens, write.table.start, end + 1, made)


def tables_in_subselect(rewrite: Rewrite) -> None:
    """SQLite: DELETE .. WHERE EXISTS (SELECT 1 FROM s WHERE ..) for USING; an alias has the word AS."""
    write = read_write(rewrite)
    if write is None:
        return
    tokens = rewrite.tokens
    _note_whole_row(rewrite, write)
    if write.verb == "DELETE" and write.joined >= 0:
        sources = write.sources(tokens)
        condition = trimmed(tokens, write.where, write.end) if write.where >= 0 else []
        made = fill(
            "WHERE EXISTS (SELECT 1 FROM {0} {1})" if condition else "WHERE EXISTS (SELECT 1 FROM {0})",
            sources,
            condition,
        )
        put(tokens, write.joined, write.end, made)
    if write.table.alias >= 0 and tokens.word(tokens.prev(write.table.alias)) != "AS":
        tokens[write.table.alias : write.table.alias] = fill("AS ")


def _inserted(tokens: Tokens) -> NamedTable | None:
    """The table of an INSERT; None for any other statement."""
    insert = tokens.find("INSERT", "INTO")
    table = written_table(tokens, insert) if insert >= 0 else None
    return table if table is not None and is_name(tokens, table.start) else None


def returning_by_table(rewrite: Rewrite) -> None:
    """RETURNING calls a table by its name where it knows no alias."""
    if "RETURNING" not in rewrite.words:
        return
    tokens = rewrite.tokens
    write = read_write(rewrite)
    table = write.table if write is not None else _inserted(tokens)
    returning = tokens.find("RETURNING")
    if table is None or table.alias < 0 or returning < 0:
        return
    name = folded(tokens[table.alias].text)
    for i in range(returning, len(tokens)):
        if tokens.kind(tokens.next(i)) == "." and is_name(tokens, i) and folded(tokens[i].text) == name:
            tokens[i] = copy(tokens[table.end - 1])


def drop_insert_alias(rewrite: Rewrite) -> None:
    """INSERT INTO t AS x, where an INSERT takes no alias; runs after what reads ON CONFLICT and RETURNING."""
    if "INSERT" in rewrite.words and "AS" in rewrite.words:
        table = _inserted(rewrite.tokens)
        if table is not None and table.alias >= 0:
            put(rewrite.tokens, table.end, table.alias + 1, [])
