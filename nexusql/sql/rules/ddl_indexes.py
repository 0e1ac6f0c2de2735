"""The rule for CREATE INDEX."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nexusql.sql.lexical import SessionModes
from nexusql.sql.names import identifier, is_name, name_end
from nexusql.sql.rules.ddl_constraints import collate
from nexusql.sql.rules.ddl_text import Edits, code
from nexusql.sql.syntax import Rewrite
from nexusql.sql.tokens import Token, Tokens


@dataclass(frozen=True, slots=True)
class CreateIndex:
    """The rule for CREATE INDEX.

    `existing` is the error of an index that is there already; `has_if` tells for a session whether its server knows IF
    NOT EXISTS itself. `partial` says that the target has WHERE. `expressions` tells for a session whether an index can
    be on an expression, in brackets of its own; it is None where PostgreSQL's form holds. `collations` maps names as
    for columns, and is None where an index has no collation. `method_behind` says that the target has USING BTREE
    behind the columns. `ignores_desc` tells for a session that DESC is read but not heeded.
    """

    existing: int | str
    has_if: Callable[[SessionModes], bool]
    partial: bool = True
    expressions: Callable[[SessionModes], bool] | None = None
    collations: Mapping[str, str] | None = None
    method_behind: bool = False
    ignores_desc: Callable[[SessionModes], bool] | None = None

    def __call__(self, rewrite: Rewrite) -> None:
        """Rewrite a CREATE INDEX."""
        tokens = rewrite.tokens
        if tokens.word(tokens.next(-1)) != "CREATE":
            return
        i = tokens.next(tokens.next(-1))
        unique = tokens.word(i) == "UNIQUE"
        i = tokens.next(i) if unique else i
        if tokens.word(i) != "INDEX":
            return
        edits = Edits(tokens)
        i = self._name(rewrite, edits, tokens.next(i))
        if tokens.word(i) != "ON":
            return
        i = tokens.next(i)
        if tokens.word(i) == "ONLY":
            edits.drop(i, i + 1)
            i = tokens.next(i)
        i = tokens.next(name_end(tokens, i) - 1)
        method = i if tokens.word(i) == "USING" else -1
        opener = tokens.next(tokens.next(i)) if method >= 0 else i
        if tokens.kind(opener) != "(":
            return
        close = tokens.close(opener)
        if close == len(tokens):  # the server will say so
            return
        if method >= 0:
            self._method(rewrite, edits, method, close)
        predicate = self._tail(rewrite, edits, tokens.next(close), unique)
        for start, end in tokens.items(opener + 1, close):
            self._item(rewrite, edits, tokens.next(start - 1), tokens.prev(end) + 1, predicate)
        edits.apply()

    def _name(self, rewrite: Rewrite, edits: Edits, i: int) -> int:
        """What stands between INDEX and ON; gives the position behind it."""
        tokens = rewrite.tokens
        if tokens.word(i) == "CONCURRENTLY":
            rewrite.note("CONCURRENTLY is dropped: the table is locked meanwhile", i)
            edits.drop(i, i + 1)
            i = tokens.next(i)
        name = tokens.after(i, "IF", "NOT", "EXISTS")
        if name >= 0 and not self.has_if(rewrite.modes):
            edits.drop(i, tokens.prev(name) + 1)
            rewrite.tolerate.add(self.existing)
        i = max(i, name)
        if tokens.word(i) == "ON" and tokens.word(tokens.next(i)) != "ON":
            raise rewrite.refuse("give the index a name: CREATE INDEX <name> ON ..", i)
        return tokens.next(name_end(tokens, i) - 1)

    def _method(self, rewrite: Rewrite, edits: Edits, using: int, close: int) -> None:
        tokens = rewrite.tokens
        name = tokens.next(using)
        method = identifier(tokens.text(name, name + 1)).upper()
        if method not in ("BTREE", "HASH"):
            raise rewrite.refuse(f"{method} indexes have no equivalent here", using)
        edits.drop(using, name + 1)
        if method == "BTREE" and self.method_behind:
            edits.insert(close + 1, " USING BTREE")
        else:
            rewrite.note(f"USING {method} is dropped: indexes are B-trees here", using)

    def _tail(self, rewrite: Rewrite, edits: Edits, i: int, unique: bool) -> list[Token]:
        """What stands behind the columns; gives the condition that each column of a unique index must take in."""
        tokens = rewrite.tokens
        while i < len(tokens):
            word, start = tokens.word(i), i
            if word == "NULLS":
                if tokens.word(tokens.next(i)) == "NOT":
                    raise rewrite.refuse("NULLS NOT DISTINCT has no equivalent here", i)
                edits.drop(i, tokens.next(i) + 1)
                i = tokens.next(tokens.next(i))
            elif word in ("INCLUDE", "WITH", "TABLESPACE"):
                i = tokens.next(i)
                end = tokens.close(i) + 1 if tokens.kind(i) == "(" else i + 1
                rewrite.note(f"{tokens.text(start, end)} is dropped: an index has no such option here", start)
                edits.drop(start, end)
                i = tokens.next(end - 1)
            elif word == "WHERE" and not self.partial:
                return self._where(rewrite, edits, i, unique)
            else:
                break
        return []

    def _where(self, rewrite: Rewrite, edits: Edits, where: int, unique: bool) -> list[Token]:
        tokens = rewrite.tokens
        end = len(tokens)
        while tokens.kind(tokens.prev(end)) == ";":
            end = tokens.prev(end)
        end = tokens.prev(end) + 1
        edits.drop(where, end)
        if not unique:
            rewrite.note("WHERE is dropped: the index holds all rows", where)
            return []
        if self.expressions is None or not self.expressions(rewrite.modes):
            raise rewrite.refuse("a unique index on some rows has no equivalent here", where)
        return code(tokens, tokens.next(where), end)

    def _item(self, rewrite: Rewrite, edits: Edits, start: int, end: int, predicate: list[Token]) -> None:
        """A column or an expression, with its collation, operator class and order."""
        tokens = rewrite.tokens
        if start >= end:
            return
        i = value_end = self._value_end(tokens, start, end)
        while i < end:
            i = self._qualifier(rewrite, edits, i)
        if self.expressions is None:
            return
        stop = tokens.prev(value_end) + 1
        if predicate:  # a NULL is never a duplicate, so the rows outside the condition get one
            case = [Token(token.kind, token.text, token.start) for token in predicate]
            edits.insert(start, "(CASE WHEN ", *case, " THEN ")
            edits.insert(stop, " END)")
        elif not _is_plain(tokens, start, stop):
            if not self.expressions(rewrite.modes):
                raise rewrite.refuse(
                    "an index on an expression has no equivalent here; index a generated column", start
                )
            if not (tokens.kind(start) == "(" and tokens.close(start) == stop - 1):
                edits.insert(start, "(")
                edits.insert(stop, ")")

    def _value_end(self, tokens: Tokens, start: int, end: int) -> int:
        """Where the words start that qualify what an item is on."""
        i = start
        while i < end:
            word = tokens.word(i)
            if i > start and (word in ("COLLATE", "ASC", "DESC", "NULLS") or word.endswith("_OPS")):
                return i
            i = tokens.skip(i)
        return end

    def _qualifier(self, rewrite: Rewrite, edits: Edits, i: int) -> int:
        """Rewrite COLLATE, an operator class, ASC, DESC or NULLS FIRST at i; gives the position behind it."""
        tokens = rewrite.tokens
        word, stop = tokens.word(i), i + 1
        if word == "COLLATE":
            stop = name_end(tokens, tokens.next(i))
            if self.collations is not None:
                collate(rewrite, edits, i, stop, self.collations)
            else:
                rewrite.note(f"{tokens.text(i, stop)} is dropped: an index has its column's collation", i)
                edits.drop(i, stop)
        elif word == "NULLS":
            stop = tokens.next(i) + 1
            rewrite.note(f"{tokens.text(i, stop)} is dropped: NULL has this database's place in the index", i)
            edits.drop(i, stop)
        elif word.endswith("_OPS"):
            if tokens.kind(tokens.next(i)) == "(":
                stop = tokens.close(tokens.next(i)) + 1
            rewrite.note(f"{tokens.text(i, stop)} is dropped: there are no operator classes", i)
            edits.drop(i, stop)
        elif word == "DESC" and self.ignores_desc is not None and self.ignores_desc(rewrite.modes):
            rewrite.note("DESC is read but not heeded by this release", i)
        return tokens.next(stop - 1)


def _is_plain(tokens: Tokens, start: int, end: int) -> bool:
    """True for a column's name, also with MySQL's own length of a prefix: `name(20)`."""
    if not is_name(tokens, start):
        return False
    opener = tokens.next(start)
    if opener >= end:
        return True
    number = tokens.next(opener)
    return tokens.kind(opener) == "(" and tokens.kind(number) == "0" and tokens.close(opener) == tokens.next(number)
