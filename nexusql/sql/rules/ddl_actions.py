"""The actions of ALTER TABLE in T-SQL (https://learn.microsoft.com/sql/t-sql/statements/alter-table-transact-sql)."""

from nexusql.sql.names import identifier, is_name
from nexusql.sql.rules.ddl_batches import bracketed, object_name, plain_name, surround, text_literal
from nexusql.sql.rules.ddl_defaults import Defaults
from nexusql.sql.rules.ddl_reader import ColumnType, Table, read_type
from nexusql.sql.rules.ddl_text import Edits
from nexusql.sql.rules.ddl_types import native_type, write_type
from nexusql.sql.syntax import Rewrite
from nexusql.sql.tokens import Tokens

# A column's default is a constraint of its own, mostly with a name that the server has made up.
_DROP_DEFAULT = (
    "DECLARE @nexusql NVARCHAR(MAX) = (SELECT N'ALTER TABLE {table} DROP CONSTRAINT ' + QUOTENAME(d.name)"
    " FROM sys.default_constraints AS d JOIN sys.columns AS c ON c.object_id = d.parent_object_id"
    " AND c.column_id = d.parent_column_id WHERE d.parent_object_id = OBJECT_ID({object}) AND c.name = {column});"
    " IF @nexusql IS NOT NULL EXEC(@nexusql)"
)


_VERBS = frozenset(("ADD", "ALTER", "DROP", "RENAME"))


class Batches:
    """The pass for ALTER TABLE: words that T-SQL has not, IF [NOT] EXISTS as a test, and what takes a batch or a system
    procedure. `defaults` rewrites SET DEFAULT."""

    def __init__(self, defaults: Defaults) -> None:
        self._defaults = defaults

    def __call__(self, rewrite: Rewrite, table: Table, edits: Edits) -> None:
        """Rewrite each action."""
        if not table.altered or table.native:
            return
        tokens = rewrite.tokens
        before = tokens.next(tokens.next(tokens.next(-1)))
        tests: list[str] = []
        exists = [f"OBJECT_ID({_object(tokens, table)}) IS NOT NULL"] if tokens.word(before) == "IF" else []
        if before != table.name:
            edits.drop(before, tokens.prev(table.name) + 1)
        adds = sum(tokens.word(start) == "ADD" for start, _ in table.actions)
        if adds == 1 and not any(tokens.word(start) in _VERBS for start, _ in table.actions[1:]):
            table.actions[1:] = []  # more columns behind one ADD, as T-SQL has it
        if len(table.actions) > 1 and adds < len(table.actions):
            raise rewrite.refuse("ALTER TABLE takes one action here; write a statement for each", table.actions[1][0])
        for number, (start, end) in enumerate(table.actions):
            verb = tokens.word(start)
            if verb == "ADD":
                tests += self._add(rewrite, table, edits, start, number)
            elif verb == "DROP":
                self._drop(rewrite, table, edits, start, end)
            elif verb == "ALTER":
                self._alter(rewrite, table, edits, start, end)
            elif verb == "RENAME":
                self._rename(rewrite, table, edits, start, end)
        if len(tests) > 1:
            raise rewrite.refuse("IF EXISTS holds for one action here; write a statement for each", table.name)
        if exists or tests:
            unique = any(column.clause("UNIQUE") for column in table.columns)  # TableBatch may have put an index behind
            surround(rewrite, edits, " AND ".join(exists + tests), [], [], several=unique)

    def _add(self, rewrite: Rewrite, table: Table, edits: Edits, start: int, number: int) -> list[str]:
        tokens = rewrite.tokens
        i = tokens.next(start)
        if number:  # one ADD for all
            edits.drop(start, start + 1)
        column = next((c for c in table.columns if i <= c.start and _same_action(tokens, i, c.start)), None)
        if column is None:
            return []
        if column.start != i:
            edits.drop(i, tokens.prev(column.start) + 1)
        default = column.clause("DEFAULT")
        if default is not None and column.clause("NOT NULL") is None and column.clause("WITH") is None:
            edits.insert(default.end, " WITH VALUES")  # rows that are there get the default, too
        condition = tokens.after(max(i, tokens.after(i, "COLUMN")), "IF", "NOT", "EXISTS")
        if condition < 0:
            return []
        name = text_literal(identifier(tokens[column.start].text))
        return [f"COL_LENGTH({_object(tokens, table)}, {name}) IS NULL"]

    def _drop(self, rewrite: Rewrite, table: Table, edits: Edits, start: int, end: int) -> None:
        tokens = rewrite.tokens
        i = tokens.next(start)
        constraint = tokens.word(i) == "CONSTRAINT"
        last = end - 1
        if tokens.word(last) in ("CASCADE", "RESTRICT") and tokens.prev(last) > i:
            rewrite.note(f"{tokens.word(last)} is dropped: what depends on it is not looked at", last)
            edits.drop(last, end)
        if constraint:
            self._drop_constraint(rewrite, table, edits, i)
            return
        if tokens.word(i) != "COLUMN":
            edits.insert(i, "COLUMN ")
        name = max(tokens.after(i, "COLUMN"), i)
        name = max(tokens.after(name, "IF", "EXISTS"), name)
        if not is_name(tokens, name):
            return
        self._before(rewrite, table, edits, name)

    def _drop_constraint(self, rewrite: Rewrite, table: Table, edits: Edits, word: int) -> None:
        """A unique key whose columns may hold NULL is an index here (TableBatch), and dropped as one."""
        tokens = rewrite.tokens
        name = max(tokens.after(word, "CONSTRAINT"), tokens.after(word, "CONSTRAINT", "IF", "EXISTS"))
        if not is_name(tokens, name):
            return
        *schema, _ = parts = plain_name(tokens, table.name)
        said = identifier(tokens[name].text)
        owner = ".".join(map(bracketed, parts))
        rewrite.definition = "ALTER"
        edits.insert(
            tokens.next(-1),
            f"IF OBJECT_ID({object_name([*schema, said])}) IS NULL AND"
            f" INDEXPROPERTY(OBJECT_ID({_object(tokens, table)}), {text_literal(said)}, N'IndexID') IS NOT NULL"
            f" DROP INDEX {bracketed(said)} ON {owner} ELSE ",
        )

    def _before(self, rewrite: Rewrite, table: Table, edits: Edits, name: int) -> None:
        """Drop a column's default first."""
        rewrite.definition = "ALTER"
        edits.insert(rewrite.tokens.next(-1), f"{_drop_default(rewrite.tokens, table, name)}; ")

    def _alter(self, rewrite: Rewrite, table: Table, edits: Edits, start: int, end: int) -> None:
        tokens = rewrite.tokens
        name = max(tokens.next(start), tokens.after(start, "ALTER", "COLUMN"))
        if name >= end:
            return
        said = identifier(tokens[name].text)
        i = tokens.next(name)
        change = max(tokens.after(i, "TYPE"), tokens.after(i, "SET", "DATA", "TYPE"))
        if change >= 0:
            self._type(rewrite, edits, start, name, change, end)
        elif tokens.after(i, "SET", "DEFAULT") >= 0:
            value = tokens.after(i, "SET", "DEFAULT")
            self._before(rewrite, table, edits, name)
            edits.swap(start, tokens.prev(value) + 1, "ADD DEFAULT")
            self._defaults.rewrite(rewrite, edits, value, end, ColumnType("", "", -1, -1))
            edits.insert(end, f" FOR {tokens[name].text}")
        elif tokens.after(i, "DROP", "DEFAULT") >= 0:
            rewrite.definition = "ALTER"
            edits.swap(tokens.next(-1), end, _drop_default(tokens, table, name))
        elif tokens.after(i, "SET", "NOT", "NULL") >= 0 or tokens.after(i, "DROP", "NOT", "NULL") >= 0:
            null = "NOT NULL" if tokens.word(i) == "SET" else "NULL"
            raise rewrite.refuse(f"give the column's whole type here: ALTER COLUMN {said} <type> {null}", start)

    def _type(self, rewrite: Rewrite, edits: Edits, start: int, name: int, change: int, end: int) -> None:
        """ALTER COLUMN .. TYPE .."""
        tokens = rewrite.tokens
        using = tokens.find("USING", start=change, end=end)
        kind = read_type(tokens, change, using if using >= 0 else end)
        if using >= 0:
            rewrite.note("USING is dropped: the server converts the values by its own rules", using)
            edits.drop(using, end)
        said = identifier(tokens[name].text)
        rewrite.note(f"ALTER COLUMN also lets {said} be NULL here; say NOT NULL behind the type otherwise", start)
        if tokens.word(tokens.next(start)) != "COLUMN":
            edits.insert(name, "COLUMN ")
        edits.drop(tokens.next(name), tokens.prev(change) + 1)
        native = native_type(rewrite.syntax.types, kind)
        if native is not None:
            write_type(tokens, edits, kind, native)

    def _rename(self, rewrite: Rewrite, table: Table, edits: Edits, start: int, end: int) -> None:
        """sp_rename, for the table or a column."""
        tokens = rewrite.tokens
        i = tokens.next(start)
        if tokens.word(i) == "CONSTRAINT":
            raise rewrite.refuse("a constraint is renamed by sp_rename here", i)
        parts = plain_name(tokens, table.name)
        if tokens.word(i) == "TO":
            new, what, kind = tokens.next(i), parts, ""
        else:
            old = max(i, tokens.after(i, "COLUMN"))
            new = tokens.after(tokens.next(old), "TO")
            if not is_name(tokens, old):
                return
            what, kind = [*parts, identifier(tokens[old].text)], ", N'COLUMN'"
        if not is_name(tokens, new):
            return
        name = text_literal(identifier(tokens[new].text))
        rewrite.definition = "ALTER"
        edits.swap(tokens.next(-1), end, f"EXEC sp_rename {object_name(what)}, {name}{kind}")


def _same_action(tokens: Tokens, start: int, position: int) -> bool:
    """True where no comma stands between two positions."""
    return not any(tokens.kind(i) == "," for i in range(start, position))


def _object(tokens: Tokens, table: Table) -> str:
    return object_name(plain_name(tokens, table.name))


def _drop_default(tokens: Tokens, table: Table, name: int) -> str:
    owner = ".".join(map(bracketed, plain_name(tokens, table.name)))
    return _DROP_DEFAULT.format(
        table=owner.replace("'", "''"),
        object=_object(tokens, table),
        column=text_literal(identifier(tokens[name].text)),
    )
