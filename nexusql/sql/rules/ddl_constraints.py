"""Clauses of columns and tables that a target lacks, ignores in silence, or wants in another place."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nexusql.sql.lexical import SessionModes
from nexusql.sql.names import folded, identifier, name_end
from nexusql.sql.rules.ddl_reader import Clause, Column, Constraint, Table, read_table
from nexusql.sql.rules.ddl_text import Edits, code
from nexusql.sql.syntax import Rewrite
from nexusql.sql.tokens import Token, Tokens

# What a clause of a column is called at the table.
_ENTITIES = {"CHECK": "CHECK", "PRIMARY KEY": "PRIMARY KEY", "UNIQUE": "UNIQUE", "REFERENCES": "FOREIGN KEY"}


def _never(_modes: SessionModes) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Constraints:
    """The pass for constraints.

    `collations` maps the collations that PostgreSQL always has (C, POSIX, UCS_BASIC) to the target's. With `lifts`,
    what the target ignores or refuses at a column (REFERENCES, names, a CHECK of other columns) is said at the table;
    with `lifts_checks` only such a CHECK.
    `defers` are the clauses that the target can defer. `ignores_check` tells for a session that CHECK is not enforced.
    """

    collations: Mapping[str, str]
    lifts: bool = False
    lifts_checks: bool = False
    defers: frozenset[str] = frozenset()
    ignores_check: Callable[[SessionModes], bool] = _never

    def __call__(self, rewrite: Rewrite, table: Table, edits: Edits) -> None:
        """Rewrite the constraints of a statement and of the columns it defines."""
        if table.native:
            return
        lifted: list[tuple[Column, list[Token]]] = []
        for column in table.columns:
            self._clauses(rewrite, edits, column.clauses)
            if self.lifts or self.lifts_checks:
                lifted += [(column, item) for item in self._lift(rewrite, table, column, edits)]
        for constraint in table.constraints:
            self._clauses(rewrite, edits, constraint.clauses)
        for column, item in lifted:
            if table.altered:
                edits.insert(column.end, ", ADD " if self.lifts else ", ", *item)
            else:
                edits.insert(rewrite.tokens.prev(table.close) + 1, ", ", *item)

    def _clauses(self, rewrite: Rewrite, edits: Edits, clauses: tuple[Clause, ...]) -> None:
        """Rewrite clauses where they stand."""
        tokens = rewrite.tokens
        owner = ""
        for clause in clauses:
            if clause.kind == "EXCLUDE":
                raise rewrite.refuse("EXCLUDE constraints have no equivalent here", clause.body)
            if clause.kind == "COLLATE":
                collate(rewrite, edits, clause.body, clause.end, self.collations)
            elif clause.kind in ("DEFERRABLE", "NOT DEFERRABLE", "INITIALLY"):
                self._defer(rewrite, edits, clause, owner)
            else:
                owner = clause.kind
            if clause.kind == "UNIQUE":
                self._nulls(rewrite, edits, tokens.next(clause.body))
            elif clause.kind == "REFERENCES":
                self._references(rewrite, edits, clause)
            elif clause.kind == "CHECK" and self.ignores_check(rewrite.modes):
                rewrite.note("CHECK is read but not enforced by this release", clause.body)

    def _defer(self, rewrite: Rewrite, edits: Edits, clause: Clause, owner: str) -> None:
        if owner in self.defers:
            return
        text = rewrite.tokens.text(clause.body, clause.end)
        if clause.kind != "NOT DEFERRABLE" and rewrite.tokens.find("IMMEDIATE", start=clause.body, end=clause.end) < 0:
            rewrite.note(f"{text} is dropped: the constraint is checked at once", clause.body)
        edits.drop(clause.start, clause.end)

    def _nulls(self, rewrite: Rewrite, edits: Edits, i: int) -> None:
        """UNIQUE NULLS [NOT] DISTINCT."""
        tokens = rewrite.tokens
        if tokens.after(i, "NULLS", "NOT", "DISTINCT") >= 0:
            raise rewrite.refuse("NULLS NOT DISTINCT has no equivalent here", i)
        if tokens.after(i, "NULLS", "DISTINCT") >= 0:
            edits.drop(i, tokens.next(i) + 1)

    def _references(self, rewrite: Rewrite, edits: Edits, clause: Clause) -> None:
        """MATCH, which SQLite reads over and at which MySQL ignores the actions; and what else of it is not kept."""
        tokens = rewrite.tokens
        match = tokens.find("MATCH", start=clause.body, end=clause.end)
        if match >= 0:
            word = tokens.next(match)
            if tokens.word(word) != "SIMPLE":
                rewrite.note(f"MATCH {tokens.word(word)} is dropped: a key with a NULL in it is not checked", match)
            edits.drop(match, word + 1)
        if self.lifts:
            action = tokens.find("SET", "DEFAULT", start=clause.body, end=clause.end)
            if action >= 0:
                raise rewrite.refuse("a foreign key cannot SET DEFAULT here", action)
            table = tokens.next(clause.body)
            if table < clause.end and tokens.kind(tokens.next(name_end(tokens, table) - 1)) != "(":
                name = identifier(tokens[table].text)
                raise rewrite.refuse(f"REFERENCES {name} needs the referenced column here: {name} (id)", table)

    def _lift(self, rewrite: Rewrite, table: Table, column: Column, edits: Edits) -> list[list[Token]]:
        """Take clauses out of a column, to be said at the table; drop the names that nothing else can bear."""
        tokens = rewrite.tokens
        items: list[list[Token]] = []
        for clause in column.clauses:
            reads_others = clause.kind == "CHECK" and _reads_others(tokens, table, column, clause)
            refused = clause.kind == "REFERENCES" or (clause.kind in _ENTITIES and clause.name >= 0)
            if reads_others or (self.lifts and refused):
                items.append(_item(tokens, column, clause))
                edits.drop(clause.start, clause.end)
            elif self.lifts and clause.name >= 0:
                name = tokens[clause.name].text
                rewrite.note(f"CONSTRAINT {name} is dropped: {clause.kind} has no name here", clause.start)
                edits.drop(clause.start, clause.name + 1)
        return items


def _item(tokens: Tokens, column: Column, clause: Clause) -> list[Token]:
    """A column's clause as an item of the table."""
    item: list[Token] = []
    if clause.name >= 0:
        item += [Token("o", f"CONSTRAINT {tokens[clause.name].text} ")]
    item.append(Token("o", _ENTITIES[clause.kind]))
    if clause.kind != "CHECK":
        item += [Token("o", f" ({tokens[column.start].text})")]
    if clause.kind in ("PRIMARY KEY", "UNIQUE"):
        return item
    body = clause.body if clause.kind == "REFERENCES" else tokens.next(clause.body)
    match = tokens.find("MATCH", start=body, end=clause.end) if clause.kind == "REFERENCES" else -1
    if match >= 0:
        rest = tokens.next(tokens.next(match))
        return [*item, Token(" ", " "), *code(tokens, body, match), *_spaced(code(tokens, rest, clause.end))]
    return [*item, Token(" ", " "), *code(tokens, body, clause.end)]


def _spaced(tokens: list[Token]) -> list[Token]:
    return [Token(" ", " "), *tokens] if tokens else []


def _reads_others(tokens: Tokens, table: Table, column: Column, clause: Clause) -> bool:
    """True where a CHECK names another column, which MySQL and SQL Server (error 8141) allow at the table only; it may
    where a column is added."""
    others = {other.name for other in table.columns} - {column.name}
    return table.altered or any(
        token.kind in 'w"' and folded(token.text) in others for token in tokens[clause.body : clause.end]
    )


def drop_item(tokens: Tokens, constraint: Constraint, edits: Edits) -> None:
    """Take a constraint out of the body with the comma before it, or behind it where it is the first item."""
    before = tokens.prev(constraint.start)
    if tokens.kind(before) == ",":
        edits.drop(before, constraint.end)
    else:
        comma = tokens.next(constraint.end - 1)
        edits.drop(constraint.start, comma + 2 if tokens.kind(comma + 1) == " " else comma + 1)


def constraints_last(rewrite: Rewrite) -> None:
    """The rule that puts the constraints of a table behind its columns, the only place SQLite has for them."""
    table = read_table(rewrite) if rewrite.tokens.word(rewrite.tokens.next(-1)) == "CREATE" else None
    if table is None or table.native or not table.columns:
        return
    tokens, edits = rewrite.tokens, Edits(rewrite.tokens)
    end = tokens.prev(table.close) + 1
    for constraint in table.constraints:
        if constraint.start < table.columns[-1].start:
            edits.insert(end, ", ", *code(tokens, constraint.start, constraint.end))
            drop_item(tokens, constraint, edits)
    edits.apply()


def collate(rewrite: Rewrite, edits: Edits, start: int, end: int, collations: Mapping[str, str]) -> None:
    """Rewrite the COLLATE between two positions: PostgreSQL's own collations are mapped, or dropped with a receipt."""
    tokens = rewrite.tokens
    name = tokens[end - 1].text
    plain = identifier(name)
    native = collations.get(plain.upper())
    if native:
        edits.swap(tokens.next(start), end, native)
    elif plain != name and not plain.lower().startswith(("utf8", "nocase", "rtrim", "binary")):
        rewrite.note(f"COLLATE {name} is dropped: the collation is PostgreSQL's own", start)
        edits.drop(start, end)
