"""The rule for CREATE TABLE and ALTER TABLE: what stands around the columns, and the passes over them."""

from collections.abc import Callable
from dataclasses import dataclass

from nexusql.sql.names import name_end
from nexusql.sql.rules.ddl_reader import Table, read_table
from nexusql.sql.rules.ddl_text import Edits
from nexusql.sql.syntax import Rewrite, Rule

Pass = Callable[[Rewrite, Table, Edits], None]


def define_tables(*passes: Pass) -> Rule:
    """The rule that reads CREATE TABLE and ALTER TABLE once, and has each pass edit its own part of it."""

    def rule(rewrite: Rewrite) -> None:
        table = read_table(rewrite)
        if table is not None:
            edits = Edits(rewrite.tokens)
            for run in passes:
                run(rewrite, table, edits)
            edits.apply()

    return rule


@dataclass(frozen=True, slots=True)
class Options:
    """The pass for what stands around the columns of CREATE TABLE.

    `temporary` is the target's word for a temporary table, "" where both of PostgreSQL's are known. `likes` says that
    the target has `(LIKE other)`. `partitions` says that PARTITION BY may be its own.
    """

    temporary: str = ""
    likes: bool = False
    partitions: bool = False

    def __call__(self, rewrite: Rewrite, table: Table, edits: Edits) -> None:
        """Rewrite the words before the name, LIKE, and the options behind the columns."""
        if table.altered or table.native:
            return
        self._prefix(rewrite, table, edits)
        if table.open >= 0:
            self._like(rewrite, table, edits)
        self._suffix(rewrite, table, edits)

    def _prefix(self, rewrite: Rewrite, table: Table, edits: Edits) -> None:
        tokens = rewrite.tokens
        i = tokens.next(tokens.next(-1))
        while tokens.word(i) != "TABLE":
            word = tokens.word(i)
            if word in ("TEMP", "TEMPORARY"):
                if self.temporary and word != self.temporary:
                    edits.swap(i, i + 1, self.temporary)
            else:  # GLOBAL and LOCAL say nothing in PostgreSQL
                if word == "UNLOGGED":
                    rewrite.note("UNLOGGED is dropped: the table is logged", i)
                edits.drop(i, i + 1)
            i = tokens.next(i)

    def _like(self, rewrite: Rewrite, table: Table, edits: Edits) -> None:
        tokens = rewrite.tokens
        like = next((i for i in self._firsts(rewrite, table) if tokens.word(i) == "LIKE"), -1)
        if like < 0:
            return
        if len(list(self._firsts(rewrite, table))) > 1:
            raise rewrite.refuse("LIKE beside other columns has no equivalent here", like)
        source = tokens.next(like)
        end = name_end(tokens, source)
        options = tokens.text(end, table.close).upper().split()
        everything = options == ["INCLUDING", "ALL"]
        if self.likes:
            if not everything:
                rewrite.note("LIKE also copies defaults, keys and indexes here", like)
            if options:
                edits.drop(end, table.close)
            return
        rewrite.note("LIKE copies the names of columns and their affinities, nothing else", like)
        edits.swap(table.open, table.close + 1, f"AS SELECT * FROM {tokens.text(source, end)} WHERE 0")

    def _firsts(self, rewrite: Rewrite, table: Table) -> list[int]:
        tokens = rewrite.tokens
        return [tokens.next(start - 1) for start, _ in tokens.items(table.open + 1, table.close)]

    def _suffix(self, rewrite: Rewrite, table: Table, edits: Edits) -> None:
        tokens = rewrite.tokens
        i = tokens.next(table.close if table.close >= 0 else table.name_end - 1)
        while i < len(tokens):
            start, word = i, tokens.word(i)
            if word == "AS":
                self._query(rewrite, i, edits)
                return
            if word == "INHERITS" or (word == "PARTITION" and not self.partitions):
                raise rewrite.refuse(f"{word} has no equivalent here", i)
            if word in ("WITH", "USING", "TABLESPACE", "WITHOUT"):
                i = tokens.next(i)
                end = tokens.close(i) + 1 if tokens.kind(i) == "(" else i + 1
                if word != "WITHOUT":
                    rewrite.note(
                        f"{tokens.text(start, end)} is dropped: the storage of a table has no such option", start
                    )
            elif word == "ON" and tokens.after(i, "ON", "COMMIT") >= 0:
                i = tokens.after(i, "ON", "COMMIT")
                if tokens.word(i) != "PRESERVE":
                    raise rewrite.refuse(f"ON COMMIT {tokens.word(i)} has no equivalent here", start)
                end = tokens.next(i) + 1
            else:
                return
            edits.drop(start, end)
            i = tokens.next(end - 1)

    def _query(self, rewrite: Rewrite, i: int, edits: Edits) -> None:
        """CREATE TABLE .. AS: the words behind the query."""
        tokens = rewrite.tokens
        without = tokens.find("WITH", "NO", "DATA", start=i)
        if without >= 0:
            raise rewrite.refuse("WITH NO DATA has no equivalent here; end the query with WHERE 1 = 0", without)
        data = tokens.find("WITH", "DATA", start=i)
        if data >= 0 and tokens.kind(tokens.after(data, "WITH", "DATA")) in ("", ";"):
            edits.drop(data, tokens.next(data) + 1)
