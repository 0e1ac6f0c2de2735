"""INSERT .. ON CONFLICT in T-SQL: MERGE, which keeps others from inserting the key meanwhile by HOLDLOCK.

https://learn.microsoft.com/sql/t-sql/statements/merge-transact-sql
"""

from nexusql.sql.names import folded
from nexusql.sql.operands import CLAUSE_WORDS
from nexusql.sql.rules.upsert import Upsert, read_upsert, references
from nexusql.sql.syntax import Rewrite
from nexusql.sql.templates import copy, fill, put, trimmed
from nexusql.sql.tokens import Token, Tokens

# A row that is there by the index, or by the constraint, of any unique key.
DUPLICATES = frozenset((2601, 2627))
_SOURCE = "excluded"


def merge(rewrite: Rewrite) -> None:
    """ON CONFLICT (key) as MERGE. Without a key, DO NOTHING for one row is an INSERT whose conflict is tolerated; what
    MERGE cannot know is refused: a constraint's columns, columns that are not named, a part of an index."""
    upsert = read_upsert(rewrite)
    if upsert is None:
        return
    tokens = rewrite.tokens
    if upsert.target < 0 and not upsert.assignments and _is_one_row(tokens, upsert):
        rewrite.tolerate |= DUPLICATES
        put(tokens, tokens.prev(upsert.conflict) + 1, upsert.end, [])
        return
    key = _key(rewrite, upsert)
    if upsert.columns < 0:
        raise rewrite.refuse("ON CONFLICT needs the list of columns here: INSERT INTO t (..)", upsert.conflict)
    opening, closing = upsert.columns, tokens.close(upsert.columns)
    columns = [trimmed(tokens, *item) for item in tokens.items(opening + 1, closing)]
    if not all(columns) or not all(column for column, _ in upsert.assignments):
        return  # the server will say so
    names = [folded(column[-1].text) for column in columns]
    missing = [folded(column.text) for column in key if folded(column.text) not in names]
    if missing:
        raise rewrite.refuse(f"the row needs a value for {', '.join(missing)}, by which it conflicts", upsert.conflict)
    source = _source(rewrite, upsert, closing + 1)
    table = [token for token in tokens[upsert.table.start : upsert.table.end] if token.kind not in " -"]
    owner = tokens[upsert.table.alias] if upsert.table.alias >= 0 else table[-1]
    nulls = frozenset(names[number] for number in _always_null(Tokens(source)) if number < len(names))
    row = _Row(owner, {folded(table[-1].text), folded(owner.text)}, frozenset(names), nulls)
    made = fill("MERGE INTO {0} WITH (HOLDLOCK)", tokens[upsert.table.start : upsert.table.end])
    if upsert.table.alias >= 0:
        made += fill(" AS {0}", [tokens[upsert.table.alias]])
    listed = _listed(columns)
    made += fill(f" USING ({{0}}) AS {_SOURCE} ({{1}}) ON ", source, listed)
    for number, column in enumerate(key):
        both = fill(f"{{0}}.{{1}} = {_SOURCE}.{{1}}", [copy(owner)], [copy(column)])
        made += [*(fill(" AND ") if number else []), *both]
    if upsert.assignments:
        made += _matched(rewrite, upsert, row)
    values = _listed([row.new(copy(column[-1])) for column in columns])
    made += fill(" WHEN NOT MATCHED THEN INSERT ({0}) VALUES ({1})", [copy(token) for token in listed], values)
    first = tokens.find("INSERT", "INTO")
    put(tokens, first, upsert.end, made)
    last = tokens.prev(len(tokens))
    if tokens.kind(last) != ";":
        tokens.insert(last + 1, Token(";", ";"))


def _listed(items: list[list[Token]]) -> list[Token]:
    made: list[Token] = []
    for item in items:
        made += [*(fill(", ") if made else []), *item]
    return made


def _is_one_row(tokens: Tokens, upsert: Upsert) -> bool:
    """True for VALUES (..) with one row."""
    values = tokens.find("VALUES", start=upsert.table.end, end=upsert.conflict)
    if values < 0:
        return False
    opening = tokens.next(values)
    return tokens.kind(opening) == "(" and tokens.next(tokens.close(opening)) == upsert.conflict


def _key(rewrite: Rewrite, upsert: Upsert) -> list[Token]:
    """The columns by which rows conflict."""
    tokens = rewrite.tokens
    if upsert.target < 0 or tokens.kind(upsert.target) != "(":
        raise rewrite.refuse("ON CONFLICT needs the columns of the key here: ON CONFLICT (..)", upsert.conflict)
    if tokens.word(tokens.next(upsert.target_end - 1)) == "WHERE":
        raise rewrite.refuse("ON CONFLICT takes only a key of the whole table here", upsert.target)
    items = [trimmed(tokens, *item) for item in tokens.items(upsert.target + 1, upsert.target_end - 1)]
    if not all(len(item) == 1 and item[0].kind in 'w"' for item in items):
        raise rewrite.refuse("ON CONFLICT takes only columns here", upsert.target)
    return [item[0] for item in items]


def _source(rewrite: Rewrite, upsert: Upsert, start: int) -> list[Token]:
    """The rows to be inserted, as a query or VALUES."""
    tokens = rewrite.tokens
    first = tokens.next(start - 1)
    if tokens.word(first) in ("DEFAULT", "WITH", "OVERRIDING"):
        raise rewrite.refuse(f"ON CONFLICT cannot stand with {tokens.word(first)} here", first)
    rows = trimmed(tokens, first, upsert.conflict)
    default = tokens.find("DEFAULT", start=first, end=upsert.conflict, depth=None)
    if default >= 0:
        raise rewrite.refuse("DEFAULT cannot stand in a row with ON CONFLICT here; leave the column out", default)
    return rows


def _always_null(source: Tokens) -> set[int]:
    """Which columns of VALUES are NULL in every row. Such a column of a derived table is an INT, which does not become
    a date, for instance; the word NULL becomes anything (error 206,
    https://learn.microsoft.com/sql/t-sql/data-types/data-type-conversion-database-engine)."""
    nulls: set[int] | None = None
    i = source.next(-1)
    opening = source.next(i) if source.word(i) == "VALUES" else len(source)
    while source.kind(opening) == "(":
        closing = source.close(opening)
        items = [trimmed(source, *item) for item in source.items(opening + 1, closing)]
        found = {number for number, item in enumerate(items) if [token.text.upper() for token in item] == ["NULL"]}
        nulls = found if nulls is None else nulls & found
        opening = source.next(source.next(closing))  # behind a comma
    return nulls or set()


class _Row:
    """The row that is there: the names of its columns, which of them the new row has, too, and as NULL."""

    def __init__(self, owner: Token, names: set[str], shared: frozenset[str], nulls: frozenset[str]) -> None:
        self._owner = owner
        self._names = names
        self._shared = shared
        self._nulls = nulls

    def new(self, column: Token) -> list[Token]:
        """A column of the new row."""
        if folded(column.text) in self._nulls:
            return [Token("w", "NULL", column.start)]
        return [Token("w", _SOURCE), Token(".", "."), column]

    def qualify(self, value: Tokens) -> Tokens:
        """An expression in which a column that both rows have is told to be this row's, unless it says otherwise."""
        value = Tokens(value)
        inside = _subselects(value)
        for start, i, source in reversed(references(value, self._names)):
            if source == _SOURCE:
                put(value, start, i + 1, self.new(value[i]))
            elif start != i:
                put(value, start, i + 1, [copy(self._owner), Token(".", "."), value[i]])
            elif folded(value[i].text) in self._shared and i not in inside and value.word(i) not in CLAUSE_WORDS:
                value[i:i] = [copy(self._owner), Token(".", ".")]
        return value


def _subselects(value: Tokens) -> set[int]:
    """Positions inside subselects, whose columns are their own."""
    inside: set[int] = set()
    for i in range(len(value)):
        if value[i].kind == "(" and value.word(value.next(i)) in ("SELECT", "WITH"):
            inside |= set(range(i, value.close(i)))
    return inside


def _matched(rewrite: Rewrite, upsert: Upsert, row: _Row) -> list[Token]:
    """WHEN MATCHED [AND ..] THEN UPDATE SET .."""
    made = fill(" WHEN MATCHED")
    if upsert.where >= 0:
        condition = Tokens(trimmed(rewrite.tokens, upsert.where + 1, upsert.end))
        made += fill(" AND ({0})", row.qualify(condition))
    made += fill(" THEN UPDATE SET ")
    sets = [fill("{0} = {1}", [column[-1]], row.qualify(Tokens(value))) for column, value in upsert.assignments]
    return made + _listed(sets)
