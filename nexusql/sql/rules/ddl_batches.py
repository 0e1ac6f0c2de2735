"""CREATE TABLE, CREATE INDEX and DROP in T-SQL, where some take more than one statement: a batch.

https://learn.microsoft.com/sql/t-sql/statements/create-table-transact-sql
"""

from collections.abc import Sequence

from nexusql.sql.names import folded, identifier, is_name, name_end
from nexusql.sql.rules.ddl_drops import read_drop
from nexusql.sql.rules.ddl_indexes import CreateIndex
from nexusql.sql.rules.ddl_numbering import needs_sequence
from nexusql.sql.rules.ddl_reader import Clause, Column, Table
from nexusql.sql.rules.ddl_text import Edits
from nexusql.sql.syntax import Rewrite, Rule
from nexusql.sql.templates import copy
from nexusql.sql.tokens import Tokens

_LONGEST = 128
_NULL_COUNTS = "NULL is one value more for this key here; a unique index leaves it out"
NO_INDEX = 53_701  # the number of the error for an index that is not there; the server's own is 3701


def text_literal(text: str) -> str:
    """A text as a literal."""
    return "N'" + text.replace("'", "''") + "'"


def bracketed(name: str) -> str:
    """A name as an identifier."""
    return "[" + name.replace("]", "]]") + "]"


def plain_name(tokens: Tokens, start: int) -> list[str]:
    """The parts of a name that starts at a position, without quotes."""
    end = name_end(tokens, start)
    return [identifier(token.text) for token in tokens[start:end] if token.kind not in " -."] or [""]


def object_name(parts: Sequence[str]) -> str:
    """A name for OBJECT_ID and its kin; temporary tables are in a database of their own."""
    home = "tempdb.." if parts[-1].startswith("#") else ""
    return text_literal(home + ".".join(map(bracketed, parts)))


def sequence_of(parts: Sequence[str]) -> str:
    """The sequence from which the key of a table is numbered, in the table's schema."""
    *schema, table = parts
    return ".".join(map(bracketed, [*schema, f"{table[: _LONGEST - 12]}_nexusql_seq"]))


def table_sequence(rewrite: Rewrite, table: Table) -> str:
    """The same for a table that is being created."""
    return sequence_of(plain_name(rewrite.tokens, table.name))


class TableBatch:
    """The pass for what stands around CREATE TABLE: IF NOT EXISTS as a test, the sequence of its key, a unique index
    for each unique key that may hold NULL, which T-SQL takes for one value. Refuses what has no equivalent."""

    def __call__(self, rewrite: Rewrite, table: Table, edits: Edits) -> None:
        """Rewrite a CREATE TABLE, and unique columns that ALTER TABLE adds."""
        tokens = rewrite.tokens
        before, behind = [], []
        if not table.altered:
            self._refuse(rewrite, table)
            if needs_sequence(rewrite, table):
                sequence = table_sequence(rewrite, table)
                before.append(
                    f"IF OBJECT_ID({text_literal(sequence)}, N'SO') IS NULL"
                    f" CREATE SEQUENCE {sequence} AS INT START WITH 1"  # which is its least number otherwise
                )
        if not table.native:
            self._computed(rewrite, table, edits)
            behind = self._unique(rewrite, table, edits)
            self._references(rewrite, table, edits)
        first = tokens.next(-1)
        words = tokens.next(tokens.next(first))
        guard = "" if table.altered or tokens.after(words, "IF", "NOT", "EXISTS") < 0 else _missing(tokens, table.name)
        if guard:
            edits.drop(words, tokens.prev(table.name) + 1)
        if table.altered:
            behind = [f"EXEC sp_executesql {text_literal(text)}" for text in behind]
        surround(rewrite, edits, guard, before, behind)

    def _refuse(self, rewrite: Rewrite, table: Table) -> None:
        tokens = rewrite.tokens
        i = tokens.next(tokens.next(-1))
        if tokens.word(i) in ("TEMP", "TEMPORARY", "LOCAL", "GLOBAL"):
            raise rewrite.refuse("a temporary table has a name with # here: CREATE TABLE #t (..)", i)
        if table.native:
            return
        behind = tokens.next(table.close if table.close >= 0 else table.name_end - 1)
        if tokens.word(behind) == "AS":
            raise rewrite.refuse("CREATE TABLE .. AS cannot be said here; write SELECT .. INTO", behind)
        like = tokens.find("LIKE", start=table.open + 1, end=table.close) if table.open >= 0 else -1
        if like >= 0 and tokens.kind(tokens.prev(like)) in ("(", ","):
            raise rewrite.refuse("LIKE has no equivalent here; write SELECT TOP (0) * INTO", like)

    def _computed(self, rewrite: Rewrite, table: Table, edits: Edits) -> None:
        """GENERATED ALWAYS AS (..) without a type, which follows from the expression; a condition is made a BIT."""
        tokens = rewrite.tokens
        for column in table.columns:
            clause = column.clause("GENERATED")
            if clause is not None and tokens.word(clause.body) != "GENERATED":
                continue  # said as T-SQL has it
            opener = next((i for i in range(clause.body, clause.end) if tokens[i].kind == "("), -1) if clause else -1
            if clause is None or opener < 0:
                continue
            close = tokens.close(opener)
            edits.drop(column.type.start, column.type.end)
            edits.swap(clause.start, opener, "AS ")
            if column.type.name == "BOOLEAN":
                condition = [copy(token) for token in tokens[opener : close + 1]]
                edits.insert(opener, "(CAST(CASE WHEN ")
                edits.insert(close + 1, " THEN 1 WHEN NOT ", *condition, " THEN 0 END AS BIT))")
            if close + 1 < clause.end:
                stored = tokens.word(clause.end - 1) == "STORED"
                edits.swap(tokens.next(close), clause.end, "PERSISTED" if stored else "")

    def _unique(self, rewrite: Rewrite, table: Table, edits: Edits) -> list[str]:
        """Take unique keys with a column that may be NULL out; the statements that make indexes of them."""
        tokens = rewrite.tokens
        made: list[str] = []
        for column in table.columns:
            clause = column.clause("UNIQUE")
            if clause is not None and column.clause("GENERATED"):
                rewrite.note(_NULL_COUNTS, clause.body)
            elif clause is not None and _may_be_null(table, column):
                edits.drop(clause.start, clause.end)
                made.append(self._index(rewrite, table, clause, [tokens[column.start].text]))
        for constraint in table.constraints:
            clause = constraint.clauses[0]
            columns = [column for column in table.columns if column.name in constraint.columns]
            # A CONSTRAINT can be dropped by its name, an index cannot; no index has a computed column in its WHERE.
            stays = table.altered or any(column.clause("GENERATED") for column in columns)
            if clause.kind == "UNIQUE" and stays:
                rewrite.note(_NULL_COUNTS, clause.body)
            elif clause.kind == "UNIQUE" and any(_may_be_null(table, column) for column in columns):
                _drop_item(tokens, constraint.start, constraint.end, edits)
                made.append(self._index(rewrite, table, clause, [tokens[column.start].text for column in columns]))
        return made

    def _index(self, rewrite: Rewrite, table: Table, clause: Clause, columns: list[str]) -> str:
        tokens = rewrite.tokens
        names = [identifier(column) for column in columns]
        name = identifier(tokens[clause.name].text) if clause.name >= 0 else ""
        name = name or "_".join([plain_name(tokens, table.name)[-1], *names, "key"])[:_LONGEST]
        quoted = [bracketed(column) for column in names]
        where = " AND ".join(f"{column} IS NOT NULL" for column in quoted)
        owner = ".".join(map(bracketed, plain_name(tokens, table.name)))
        return f"CREATE UNIQUE INDEX {bracketed(name)} ON {owner} ({', '.join(quoted)}) WHERE {where}"

    def _references(self, rewrite: Rewrite, table: Table, edits: Edits) -> None:
        """RESTRICT as NO ACTION; actions that would make more than one way from a table to another (error 1785)."""
        own = folded(plain_name(rewrite.tokens, table.name)[-1])
        seen: set[str] = set()
        for clauses in (*(c.clauses for c in table.columns), *(c.clauses for c in table.constraints)):
            for clause in clauses:
                if clause.kind != "REFERENCES":
                    continue
                target = folded(plain_name(rewrite.tokens, rewrite.tokens.next(clause.body))[-1])
                reason = "to the table itself" if target == own else "twice to one table" if target in seen else ""
                if self._actions(rewrite, clause, reason, edits):
                    seen.add(target)

    def _actions(self, rewrite: Rewrite, clause: Clause, reason: str, edits: Edits) -> bool:
        """Rewrite ON DELETE and ON UPDATE; True where one of them changes rows."""
        tokens = rewrite.tokens
        acts = False
        for i in range(clause.body, clause.end):
            if tokens.word(i) != "ON" or tokens.word(tokens.next(i)) not in ("DELETE", "UPDATE"):
                continue
            start = tokens.next(tokens.next(i))
            end = (tokens.next(start) if tokens.word(start) in ("SET", "NO") else start) + 1
            said = " ".join(tokens.text(start, end).upper().split())
            if said == "RESTRICT":
                edits.swap(start, end, "NO ACTION")
            elif said != "NO ACTION" and reason:
                rewrite.note(f"ON {tokens.word(tokens.next(i))} {said} is NO ACTION here: the key refers {reason}", i)
                edits.swap(start, end, "NO ACTION")
            acts = acts or said not in ("RESTRICT", "NO ACTION")
        return acts


def _may_be_null(table: Table, column: Column) -> bool:
    numbers_itself = "SERIAL" in column.type.name or column.clause("IDENTITY")
    return not (column.clause("NOT NULL", "PRIMARY KEY") or numbers_itself or column.name in table.primary_key)


def _drop_item(tokens: Tokens, start: int, end: int, edits: Edits) -> None:
    before = tokens.prev(start)
    if tokens.kind(before) == ",":
        edits.drop(before, end)
    else:
        edits.drop(start, tokens.next(end - 1) + 1)


def _missing(tokens: Tokens, name: int) -> str:
    return f"OBJECT_ID({object_name(plain_name(tokens, name))}) IS NULL"


def surround(
    rewrite: Rewrite, edits: Edits, guard: str, before: list[str], behind: list[str], *, several: bool = False
) -> None:
    """Put statements around the one at hand, all of them under a condition; `several` tells that others stand there."""
    tokens = rewrite.tokens
    first, end = tokens.next(-1), len(tokens)
    while tokens.kind(tokens.prev(end)) == ";":
        end = tokens.prev(end)
    end = tokens.prev(end) + 1
    head, tail = "; ".join([*before, ""]), "".join(f"; {text}" for text in behind)
    if guard and (before or behind or several):
        head, tail = f"IF {guard} BEGIN {head}", f"{tail}; END"
    elif guard:
        head = f"IF {guard} "
    if head:
        rewrite.definition = tokens.word(first)
        edits.insert(first, head)
    if tail:
        edits.insert(end, tail)


def schema_batch(rewrite: Rewrite) -> None:
    """The rule for CREATE SCHEMA IF NOT EXISTS, which T-SQL takes only as the first statement of a batch."""
    tokens = rewrite.tokens
    first = tokens.next(-1)
    name = tokens.after(first, "CREATE", "SCHEMA", "IF", "NOT", "EXISTS")
    if name < 0 or not is_name(tokens, name) or tokens.kind(tokens.next(name)) not in ("", ";"):
        return
    schema = plain_name(tokens, name)[-1]
    edits = Edits(tokens)
    made = text_literal(f"CREATE SCHEMA {bracketed(schema)}")
    edits.swap(first, name + 1, f"IF SCHEMA_ID({text_literal(schema)}) IS NULL EXEC({made})")
    edits.apply()
    rewrite.definition = "CREATE"


def index_batch(create: CreateIndex) -> Rule:
    """The rule for CREATE INDEX: as `create` has it, IF NOT EXISTS as a test, and NULL left out of a unique index."""

    def rule(rewrite: Rewrite) -> None:
        tokens = rewrite.tokens
        first = tokens.next(-1)
        i = tokens.next(first)
        unique = tokens.word(i) == "UNIQUE"
        i = tokens.next(i) if unique else i
        if tokens.word(first) != "CREATE" or tokens.word(i) != "INDEX":
            create(rewrite)
            return
        create(rewrite)
        i = tokens.next(i)
        name = max(i, tokens.after(i, "IF", "NOT", "EXISTS"))
        on = tokens.next(name)
        if not is_name(tokens, name) or tokens.word(on) != "ON":
            return
        edits = Edits(tokens)
        table = tokens.next(on)
        guard = ""
        if name > i:
            index = text_literal(identifier(tokens[name].text))
            owner = object_name(plain_name(tokens, table))
            guard = f"INDEXPROPERTY(OBJECT_ID({owner}), {index}, N'IndexID') IS NULL"
            edits.drop(i, tokens.prev(name) + 1)
        if unique:
            _leave_null_out(tokens, edits, table)
        surround(rewrite, edits, guard, [], [])
        edits.apply()

    return rule


def _leave_null_out(tokens: Tokens, edits: Edits, table: int) -> None:
    """Have a unique index hold only rows without NULL in its columns: in PostgreSQL NULL is never a duplicate."""
    opener = tokens.next(name_end(tokens, table) - 1)
    close = tokens.close(opener) if tokens.kind(opener) == "(" else len(tokens)
    if close == len(tokens):
        return
    names = [tokens[tokens.next(start - 1)].text for start, _ in tokens.items(opener + 1, close)]
    condition = " AND ".join(f"{name} IS NOT NULL" for name in names)
    where = tokens.find("WHERE", start=close + 1)
    if where >= 0 and condition.upper() in tokens.text(where).upper():
        return
    if where >= 0:
        edits.insert(where + 1, f" {condition} AND")
    else:
        edits.insert(close + 1, f" WHERE {condition}")


def drop_batch(rewrite: Rewrite) -> None:
    """The rule for DROP: DROP INDEX finds its table, DROP TABLE also drops the sequence of the key. Runs after Drop."""
    drop = read_drop(rewrite)
    if drop is None:
        return
    tokens, edits = rewrite.tokens, Edits(rewrite.tokens)
    if drop.what == "TABLE" and not any(tokens[name].text.startswith("#") for name in drop.names):
        sequences = [sequence_of(plain_name(tokens, name)) for name in drop.names]
        surround(rewrite, edits, "", [], [f"DROP SEQUENCE IF EXISTS {sequence}" for sequence in sequences])
    elif drop.what == "INDEX" and tokens.word(drop.behind) != "ON":
        if len(drop.names) > 1:
            raise rewrite.refuse("DROP INDEX takes one name here; write a statement for each", drop.names[1])
        parts = plain_name(tokens, drop.names[0])
        edits.swap(drop.first, tokens.prev(drop.end) + 1, _drop_index(parts, drop.condition >= 0))
        rewrite.definition = "DROP"
    edits.apply()


def _drop_index(parts: list[str], tolerant: bool) -> str:
    """A batch that drops an index of a schema; two tables that have one are an error, and none unless `tolerant`."""
    *schema, name = parts
    owner = text_literal(schema[-1]) if schema else "SCHEMA_NAME()"
    missing = text_literal(f"there is no index {name}")
    found = (
        "DECLARE @nexusql NVARCHAR(MAX) = (SELECT N'DROP INDEX ' + QUOTENAME(i.name) + N' ON ' +"
        " QUOTENAME(SCHEMA_NAME(o.schema_id)) + N'.' + QUOTENAME(o.name) FROM sys.indexes AS i JOIN sys.objects AS o"
        f" ON o.object_id = i.object_id WHERE i.name = {text_literal(name)} AND SCHEMA_NAME(o.schema_id) = {owner})"
    )
    if tolerant:
        return f"{found}; IF @nexusql IS NOT NULL EXEC(@nexusql)"
    return f"{found}; IF @nexusql IS NULL THROW {NO_INDEX}, {missing}, 1; EXEC(@nexusql)"
