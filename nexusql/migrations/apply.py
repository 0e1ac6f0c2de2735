"""Runs one script: in one transaction, or statement by statement where DDL is not transactional.

Either way the history tells the truth afterwards. In one transaction the history's row is part of it, with proof that
it was the same one from beginning to end. Statement by statement each is noted before and after, so that a run that was
cut off is taken up where it stopped; see docs/MIGRATIONS.md.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from nexusql.backends.base import Status
from nexusql.errors import CommitUncertain, ConnectionLost, Error, LockTimeout, MigrationFailed
from nexusql.migrations.history import History, Step
from nexusql.migrations.script import Piece
from nexusql.migrations.session import Session
from nexusql.sql.statement import Effect, Statement

logger = logging.getLogger("nexusql.migrations")

SAVEPOINT = "nexusql_migration"

_DML = frozenset(("INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "LOAD"))
_LOCKS = frozenset(("LOCK", "UNLOCK"))


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be run: the script's name, its statements, how to record the outcome, whether another process has done
    so meanwhile, and what comes before the statements."""

    name: str
    pieces: Sequence[Piece]
    record: Callable[[], None]
    is_done: Callable[[], bool]
    prepare: Callable[[], None] | None = None


def check_statements(session: Session, job: Job, *, in_transaction: bool) -> None:
    """Read every statement before the first is run. Raises MigrationFailed, by statement and line, for what cannot be
    read or translated, and for a statement that would end the transaction in which it runs."""
    for piece in job.pieces:
        try:
            statement = session.prepare(piece.text)
        except Error as error:
            raise _failure(job, piece, error) from error
        if statement.control is not None and statement.control.action in ("begin", "commit", "rollback"):
            why = "the file is one transaction already" if in_transaction else "each statement commits on its own here"
            raise _failure(job, piece, f"{statement.verb} is not allowed in a migration: {why}; take it out")
        if not in_transaction and statement.verb in _LOCKS:
            raise _failure(
                job,
                piece,
                f"{statement.verb} is not allowed in a migration: it would lock out the history; take it out",
            )


def run_whole(session: Session, job: Job, timeout: float) -> bool:
    """Run a script and record it in one transaction; False where another process has done so meanwhile."""
    check_statements(session, job, in_transaction=True)
    keys = session.database.foreign_keys
    checked = keys is not None and session.values(keys.read) == [1]
    if keys is not None:
        session.native(keys.off)
    try:
        with session.transaction(timeout):
            return _run_in(session, job)
    finally:
        if keys is not None and checked and not session.connection.broken:
            session.native(keys.on)


def _run_in(session: Session, job: Job) -> bool:
    if job.is_done():
        return False
    orphans = _orphans(session)
    proof = _begin_proof(session)
    if job.prepare is not None:
        job.prepare()
    for piece in job.pieces:
        try:
            session.run_piece(piece)
        except Error as error:
            raise _failure(job, piece, error, session) from error
        if session.connection.status() is Status.IDLE:
            raise _failure(job, piece, "it has ended the migration's transaction: what came before may be stored")
    _check_proof(session, job, proof)
    added = _orphans(session) - orphans
    if added:
        tables = ", ".join(sorted({str(row[0]) for row in added}))
        raise MigrationFailed(
            f"migration {job.name} failed: it leaves {added.total()} rows of {tables} whose foreign key has no parent; "
            "nothing of it was stored"
        )
    job.record()
    return True


def _begin_proof(session: Session) -> Any:
    text = session.database.transaction_id
    if text is not None:
        return session.values(text)[0]
    session.connection.savepoint(SAVEPOINT)
    return None


def _check_proof(session: Session, job: Job, proof: Any) -> None:
    """Raises MigrationFailed where this is another transaction than the one that was begun."""
    text = session.database.transaction_id
    try:
        if text is None:
            session.connection.release(SAVEPOINT)
        same = text is None or session.values(text)[0] == proof
    except (ConnectionLost, CommitUncertain):
        raise
    except Error as error:
        logger.debug("proof of the transaction: %s", error)
        same = False
    if not same:
        raise MigrationFailed(
            f"migration {job.name} failed: a statement of it has ended its transaction behind nexusql's back; what "
            "came before that is stored and is not recorded, so look at the database before you run it again"
        )


def _orphans(session: Session) -> "Counter[tuple[Any, ...]]":
    keys = session.database.foreign_keys
    return Counter(tuple(row.values()) for row in session.native(keys.check)) if keys is not None else Counter()


def run_steps(
    session: Session, history: History, job: Job, check: Callable[[], None], *, again_if_changed: bool
) -> bool:
    """Run a script statement by statement, beginning where an earlier run has stopped; `check` is called before each.

    Where a statement that has run was changed since, that is refused, or with `again_if_changed` the script begins
    anew. Raises MigrationFailed; what has run stays, and a later run goes on from there.
    """
    if job.is_done():
        return False
    check_statements(session, job, in_transaction=False)
    if job.prepare is not None:
        job.prepare()
    history.create_steps()
    steps = {step.number: step for step in history.steps(job.name)}
    try:
        _refuse_changes(job, steps)
    except MigrationFailed as error:
        if not again_if_changed:
            raise
        logger.warning("%s; it begins anew", error)
        history.forget_steps(job.name)
        steps = {}
    done = [number for number, step in steps.items() if step.state == "done"]
    remaining = [piece for piece in job.pieces if piece.number not in done]
    if steps:
        logger.warning("%s was not finished; going on at statement %d", job.name, len(done) + 1)
    if remaining:
        for number in done:
            _restore_session(session, job, job.pieces[number - 1])
        with session.transaction():
            history.forget_step(job.name, remaining[0].number)
            history.start_step(job.name, remaining[0].number, remaining[0].digest)
    for piece, following in zip_longest(remaining, remaining[1:]):
        check()
        step = steps.get(piece.number)
        _run_step(session, history, job, piece, following, step is not None and step.digest == piece.digest)
    with session.transaction():
        job.record()
        history.forget_steps(job.name)
    return True


def _prepared(session: Session, job: Job, piece: Piece) -> Statement:
    try:
        return session.prepare(piece.text)
    except Error as error:  # an earlier statement may have changed how this one is read
        raise _failure(job, piece, error) from error


def _refuse_changes(job: Job, steps: dict[int, Step]) -> None:
    """What has run must be what the file says now, up to where it stopped."""
    for number, step in steps.items():
        if step.state != "done":
            continue
        piece = job.pieces[number - 1] if number <= len(job.pieces) else None
        if piece is None or piece.digest != step.digest:
            where = f"statement {number} (line {piece.line})" if piece else f"statement {number}"
            raise MigrationFailed(
                f"migration {job.name} was not finished, and {where} has been changed or removed since it was run; put "
                "it back, or mend the database by hand and begin anew: nexusql migrate repair --restart"
            )


def _restore_session(session: Session, job: Job, piece: Piece) -> None:
    """A statement that has run before, in a session that is gone: settings are made again."""
    statement = _prepared(session, job, piece)
    if not statement.effects & Effect.SESSION:
        return
    if statement.verb in ("SET", "USE", "PREPARE") and not statement.effects & Effect.DDL:
        session.run_piece(piece)
    elif statement.verb == "CREATE":
        raise _failure(
            job,
            piece,
            "it made a temporary table, which is gone with the session of the run that was cut off; mend the database "
            "by hand and begin anew: nexusql migrate repair --restart",
        )


def _run_step(
    session: Session, history: History, job: Job, piece: Piece, following: Piece | None, may_have_run: bool
) -> None:
    """Run a statement that is noted as started; afterwards it is done, and the one that follows is started."""

    def advance() -> None:
        history.finish_step(job.name, piece.number)
        if following is not None:
            history.start_step(job.name, following.number, following.digest)

    statement = _prepared(session, job, piece)
    try:
        if statement.verb in _DML and not statement.effects & Effect.DDL:
            with session.transaction():
                session.run_piece(piece)
                advance()
            return
        words = _drop_broken_indexes(session, piece, statement)
        session.run_piece(piece)
        _refuse_broken_indexes(session, job, piece, words)
    except (ConnectionLost, CommitUncertain) as error:  # whether it has run is unknown
        raise _failure(job, piece, error) from error
    except MigrationFailed:
        raise
    except Error as error:
        if may_have_run and _is_one_of(error, session.database.leftovers):
            logger.warning(
                "%s, statement %d (line %d): what it makes or drops was left by the run that was cut off: %s",
                *(job.name, piece.number, piece.line, error),
            )
        else:
            session.roll_back_quietly()
            _forget_step(session, history, job, piece)
            raise _failure(job, piece, error, session) from error
    with session.transaction():
        advance()


def _forget_step(session: Session, history: History, job: Job, piece: Piece) -> None:
    """A statement that the server has refused has left nothing: the next run meets no leftovers of it."""
    try:
        with session.transaction():
            history.forget_step(job.name, piece.number)
    except Error as error:
        logger.warning("%s: that statement %d failed could not be noted: %s", job.name, piece.number, error)


def _drop_broken_indexes(session: Session, piece: Piece, statement: Statement) -> list[str]:
    """Before CREATE INDEX CONCURRENTLY: drop what an earlier attempt has left unusable under the same name. Gives the
    statement's words; none for any other statement."""
    database = session.database
    words = piece.text.replace('"', " ").replace("(", " ").lower().split()
    if database.broken_indexes is None or statement.verb != "CREATE" or "concurrently" not in words:
        return []
    for name in session.values(database.broken_indexes):
        if name.lower() in words:
            logger.warning("index %s was left unusable by an earlier run; it is dropped and built again", name)
            session.native(database.drop_index.format(name=session.quoted(name)))
    return words


def _refuse_broken_indexes(session: Session, job: Job, piece: Piece, words: Sequence[str]) -> None:
    if words and session.database.broken_indexes is not None:
        for name in session.values(session.database.broken_indexes):
            if name.lower() in words:
                raise _failure(job, piece, f"it has left the index {name} unusable")


def _failure(job: Job, piece: Piece, reason: object, session: Session | None = None) -> MigrationFailed:
    """The error for one statement: the file, the statement by number, line and text, the reason, and what can help."""
    hint = _hint(reason, session) if isinstance(reason, Error) and session is not None else ""
    error = MigrationFailed(
        f"migration {job.name} failed at statement {piece.number} of {len(job.pieces)} (line {piece.line}: {piece}): "
        f"{' '.join(str(reason).split())}{hint}"
    )
    error.sql = piece.text
    if isinstance(reason, Error):
        error.sqlstate, error.code = reason.sqlstate, reason.code
    return error


def _hint(error: Error, session: Session) -> str:
    database = session.database
    if _is_one_of(error, database.outside_only):
        return "; put the line `-- nexusql: no-transaction` at the top of the file"
    if _is_one_of(error, database.disk_full):
        return "; the disk of the database is full"
    if isinstance(error, LockTimeout) and database.blockers is not None:
        try:
            session.roll_back_quietly()
            others = session.values(database.blockers)
        except Error as problem:
            return f"; who holds it cannot be told: {type(problem).__name__}"
        return f"; others hold locks: {'; '.join(map(str, others))}" if others else ""
    return ""


def _is_one_of(error: Error, codes: Collection[int | str]) -> bool:
    """By the error's code, or where a database has none that tells, by a part of its message."""
    return error.code in codes or any(isinstance(code, str) and " " in code and code in str(error) for code in codes)
