"""The rules for DROP TABLE, DROP VIEW and DROP INDEX."""

from collections.abc import Callable
from dataclasses import dataclass

from nexusql.sql.lexical import SessionModes
from nexusql.sql.names import identifier, is_name, name_end
from nexusql.sql.rules.ddl_text import Edits
from nexusql.sql.syntax import Rewrite

_CASCADE = "CASCADE has no effect: what depends on it stays, and may keep it from being dropped"


@dataclass(frozen=True, slots=True)
class Statement:
    """Positions in a DROP; those that do not apply are -1."""

    what: str  # TABLE, VIEW, INDEX
    first: int
    concurrently: int
    condition: int  # IF of IF EXISTS
    names: tuple[int, ...]
    behind: int  # what follows the names
    end: int  # what follows CASCADE or RESTRICT, or else the names


def read_drop(rewrite: Rewrite) -> Statement | None:
    """The statement, or None where it is no DROP of these."""
    tokens = rewrite.tokens
    first = tokens.next(-1)
    what = tokens.next(first)
    if tokens.word(first) != "DROP" or tokens.word(what) not in ("TABLE", "VIEW", "INDEX"):
        return None
    i = tokens.next(what)
    concurrently = i if tokens.word(i) == "CONCURRENTLY" else -1
    i = tokens.next(i) if concurrently >= 0 else i
    condition = i if tokens.after(i, "IF", "EXISTS") >= 0 else -1
    i = max(i, tokens.after(i, "IF", "EXISTS"))
    names = []
    while is_name(tokens, i):
        names.append(i)
        i = tokens.next(name_end(tokens, i) - 1)
        if tokens.kind(i) != ",":
            break
        i = tokens.next(i)
    if not names:
        return None
    end = tokens.next(i) if tokens.word(i) in ("CASCADE", "RESTRICT") else i
    return Statement(tokens.word(what), first, concurrently, condition, tuple(names), i, end)


@dataclass(frozen=True, slots=True)
class Drop:
    """The rule for DROP TABLE, VIEW and INDEX.

    Without `several`, one statement drops one thing. With `reads_over`, CASCADE and RESTRICT are words that the target
    takes and does not heed; without, it does not take them.
    """

    several: bool = False
    reads_over: bool = False

    def __call__(self, rewrite: Rewrite) -> None:
        """Rewrite a DROP."""
        drop = read_drop(rewrite)
        if drop is None:
            return
        tokens, edits = rewrite.tokens, Edits(rewrite.tokens)
        if drop.concurrently >= 0:
            rewrite.note("CONCURRENTLY is dropped: the table is locked meanwhile", drop.concurrently)
            edits.drop(drop.concurrently, drop.concurrently + 1)
        if len(drop.names) > 1 and not self.several:
            raise rewrite.refuse(f"DROP {drop.what} takes one name here; write a statement for each", drop.names[1])
        word = tokens.word(drop.behind)
        if word == "CASCADE":
            rewrite.note(_CASCADE, drop.behind)
        elif word == "RESTRICT" and not self.reads_over:
            rewrite.note("RESTRICT is dropped: the database decides what keeps it from being dropped", drop.behind)
        if word in ("CASCADE", "RESTRICT") and not self.reads_over:
            edits.drop(drop.behind, drop.behind + 1)
        edits.apply()


@dataclass(frozen=True, slots=True)
class DropIndexOfTable:
    """The rule for DROP INDEX in MySQL and MariaDB, where an index belongs to a table that PostgreSQL does not name.

    `missing` is the error of an index that is not there; `has_if` tells for a session whether its server knows IF
    EXISTS, and `runs_blocks` whether it runs a compound statement, which then looks the table up.
    """

    missing: int
    has_if: Callable[[SessionModes], bool]
    runs_blocks: Callable[[SessionModes], bool]

    def __call__(self, rewrite: Rewrite) -> None:
        """Rewrite a DROP INDEX."""
        drop = read_drop(rewrite)
        if drop is None or drop.what != "INDEX":
            return
        tokens, edits = rewrite.tokens, Edits(rewrite.tokens)
        name = drop.names[0]
        if tokens.word(drop.behind) == "ON":
            if drop.condition >= 0 and not self.has_if(rewrite.modes):
                edits.drop(drop.condition, tokens.prev(name) + 1)
                rewrite.tolerate.add(self.missing)
        elif tokens.kind(drop.end) in ("", ";"):
            index = identifier(tokens[name_end(tokens, name) - 1].text)
            if len(drop.names) > 1 or not self.runs_blocks(rewrite.modes):
                raise rewrite.refuse(f"DROP INDEX needs its table here: DROP INDEX {index} ON <table>", drop.first)
            block = self._block(index, rewrite.modes.no_backslash_escapes)
            if tokens.word(drop.behind) == "CASCADE":
                rewrite.note(_CASCADE, drop.behind)
            edits.swap(drop.first, tokens.prev(drop.end) + 1, block)
            if drop.condition >= 0:
                rewrite.tolerate.add(self.missing)
        edits.apply()

    def _block(self, index: str, plain_backslash: bool) -> str:
        """A compound statement that drops an index of the current database; two tables that have one are an error."""
        drop = f"DROP INDEX `{index.replace('`', '``')}` ON `"
        texts = [index, drop, f"there is no index {index}"]
        if not plain_backslash:
            texts = [text.replace("\\", "\\\\") for text in texts]
        index, drop, message = ("'" + text.replace("'", "''") + "'" for text in texts)
        owner = (
            f"SELECT CONCAT({drop}, REPLACE(TABLE_NAME, '`', '``'), '`') FROM (SELECT DISTINCT TABLE_NAME "
            f"FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND INDEX_NAME = {index}) AS owners"
        )
        missing = f"SIGNAL SQLSTATE '42000' SET MYSQL_ERRNO = {self.missing}, MESSAGE_TEXT = {message}"
        return (
            f"BEGIN NOT ATOMIC DECLARE statement TEXT DEFAULT ({owner}); "
            f"IF statement IS NULL THEN {missing}; END IF; EXECUTE IMMEDIATE statement; END"
        )
