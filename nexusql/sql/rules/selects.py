"""Clauses of SELECT: row locks, as words or as hints of tables, and DISTINCT ON."""

from collections.abc import Callable
from typing import NamedTuple

from nexusql.sql.lexical import SessionModes
from nexusql.sql.names import folded, is_name, named_table
from nexusql.sql.operands import ends_operand
from nexusql.sql.syntax import Rewrite, Rule
from nexusql.sql.templates import fill, put
from nexusql.sql.tokens import Token, Tokens

_STRENGTHS = ("UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE")


class Lock(NamedTuple):
    """A FOR UPDATE clause: its strength, where its table list stands (-1, -1 without one), how it waits, its end."""

    strength: str
    of: int
    of_end: int
    wait: str  # "", NOWAIT or SKIP LOCKED
    end: int


def _read_lock(tokens: Tokens, i: int) -> Lock | None:
    """The locking clause that starts at i."""
    if tokens.word(i) != "FOR" or not ends_operand(tokens, tokens.prev(i)):
        if tokens.word(i) != "FOR" or tokens.word(tokens.prev(i)) not in ("ASC", "DESC", "ALL"):
            return None
    after, strength = max((tokens.after(i, "FOR", *words.split()), words) for words in _STRENGTHS)
    if after < 0:
        return None
    end, of, of_end, wait = tokens.prev(after) + 1, -1, -1, ""
    if tokens.word(after) == "OF":
        of = after
        after = tokens.next(after)
        while tokens.kind(tokens.next(after)) in (",", "."):
            after = tokens.next(tokens.next(after))
        end = of_end = after + 1
        after = tokens.next(after)
    for words in ("NOWAIT", "SKIP LOCKED"):
        behind = tokens.after(after, *words.split())
        if behind >= 0:
            wait, end = words, tokens.prev(behind) + 1
    return Lock(strength, of, of_end, wait, end)


def drop_locks(message: str) -> Rule:
    """FOR UPDATE and its kin go, with a receipt."""

    def rule(rewrite: Rewrite) -> None:
        tokens = rewrite.tokens
        if "FOR" not in rewrite.words:
            return
        for i in range(len(tokens) - 1, -1, -1):
            lock = _read_lock(tokens, i)
            if lock is not None:
                rewrite.note(message, i)
                start = i - 1 if i and tokens[i - 1].kind == " " and tokens.kind(i - 2) != "-" else i
                put(tokens, start, lock.end, [])

    return rule


class LockWords(NamedTuple):
    """A dialect's words for row locks: the strong one, the weak one, and whether a list of tables may follow."""

    update: str
    share: str
    of: bool


def locks(choose: Callable[[SessionModes], LockWords]) -> Rule:
    """FOR UPDATE and FOR SHARE in a dialect's words; PostgreSQL's weaker kinds by these, with a receipt."""

    def rule(rewrite: Rewrite) -> None:
        if "FOR" not in rewrite.words:
            return
        tokens = rewrite.tokens
        words = choose(rewrite.modes)
        for i in range(len(tokens) - 1, -1, -1):
            lock = _read_lock(tokens, i)
            if lock is None:
                continue
            said = words.update if lock.strength.endswith("UPDATE") else words.share
            if lock.of >= 0 and not words.of:
                rewrite.note("the rows of all tables are locked here, not only of those after OF", lock.of)
            elif said == f"FOR {lock.strength}":
                continue
            if "KEY" in lock.strength:
                rewrite.note(f"FOR {lock.strength} is a stronger lock here", i)
            made = [Token("w", said)]
            if lock.of >= 0 and words.of:
                made += [Token(" ", " "), *tokens[lock.of : lock.of_end]]
            if lock.wait:
                made += [Token(" ", " "), Token("w", lock.wait)]
            put(tokens, i, lock.end, made)

    return rule


_HINTS = {"UPDATE": "UPDLOCK, ROWLOCK", "SHARE": "REPEATABLEREAD, ROWLOCK"}
_WAITS = {"": "", "NOWAIT": ", NOWAIT", "SKIP LOCKED": ", READPAST"}
_ENDS_FROM = frozenset(("WHERE", "GROUP", "HAVING", "ORDER", "OFFSET", "FETCH", "LIMIT", "FOR", "UNION", "WINDOW"))
_NO_ALIAS = _ENDS_FROM | frozenset(
    ("JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "ON", "USING", "WITH", "NATURAL")
)


def lock_hints(rewrite: Rewrite) -> None:
    """FOR UPDATE and FOR SHARE as hints behind the tables of T-SQL's FROM; of a subselect in FROM they are refused.

    https://learn.microsoft.com/sql/t-sql/queries/hints-transact-sql-table
    """
    if "FOR" not in rewrite.words:
        return
    tokens = rewrite.tokens
    for i in range(len(tokens) - 1, -1, -1):
        lock = _read_lock(tokens, i)
        if lock is None:
            continue
        if "KEY" in lock.strength:
            rewrite.note(f"FOR {lock.strength} is a stronger lock here", i)
        wanted = {
            folded(token.text) for token in tokens[lock.of + 1 : lock.of_end] if lock.of >= 0 and token.kind in 'w"'
        }
        hint = f" WITH ({_HINTS[lock.strength.rsplit(' ', 1)[-1]]}{_WAITS[lock.wait]})"
        start = i - 1 if i and tokens[i - 1].kind == " " and tokens.kind(i - 2) != "-" else i
        places = _tables(rewrite, i, wanted)
        put(tokens, start, lock.end, [])
        for at in reversed(places):
            tokens[at:at] = fill(hint)


def _tables(rewrite: Rewrite, lock: int, wanted: set[str]) -> list[int]:
    """Positions behind the tables of the FROM that a lock belongs to: all, or those whose names are wanted."""
    tokens = rewrite.tokens
    from_ = tokens.prev(lock)
    while from_ >= 0 and tokens.word(from_) not in ("FROM", "SELECT") and tokens.kind(from_) != "(":
        from_ = tokens.skip_back(from_)
    if from_ < 0 or tokens.word(from_) != "FROM":
        raise rewrite.refuse("a lock needs a table here", lock)
    places: list[int] = []
    i = from_
    while i < lock and (i == from_ or tokens.word(i) not in _ENDS_FROM):
        if i == from_ or tokens.word(i) == "JOIN" or tokens.kind(i) == ",":
            first = tokens.next(i)
            if not is_name(tokens, first):
                raise rewrite.refuse("only tables can be locked here; lock them inside the subselect", lock)
            called = named_table(tokens, first, _NO_ALIAS).called
            if not wanted or folded(tokens[called].text) in wanted:
                places.append(called + 1)
            i = tokens.next(called)
        else:
            i = tokens.skip(i)
    return places


def refuse_distinct_on(rewrite: Rewrite) -> None:
    """DISTINCT ON (..) is refused."""
    tokens = rewrite.tokens
    if "DISTINCT" in rewrite.words and "ON" in rewrite.words:
        i = tokens.find("DISTINCT", "ON", depth=None)
        if i >= 0 and tokens.word(tokens.prev(i)) == "SELECT":
            raise rewrite.refuse("DISTINCT ON cannot be said here; number the rows with ROW_NUMBER() OVER (..)", i)
