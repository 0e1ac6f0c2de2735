"""`nexusql migrate ..`: the migrations of a folder, on one database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from nexusql.cli.database import URL, AskPassword, Json, connected, manager_of
from nexusql.cli.interrupt import ended_by_ctrl_c
from nexusql.cli.output import say, write, write_json, write_table
from nexusql.errors import MigrationError
from nexusql.manager import DatabaseManager
from nexusql.migrations.new import new_file
from nexusql.migrations.place import PACKAGED
from nexusql.migrations.plan import PlannedFile
from nexusql.migrations.runner import Applied, MigrationRunner
from nexusql.migrations.start import apply
from nexusql.migrations.state import TO_RUN

PENDING = 3

app = typer.Typer(
    rich_markup_mode=None,
    help="Apply, undo and check the migrations of a folder. Any number of processes may do so at once.",
)

Folder = Annotated[Path, typer.Option("--path", "-p", help="The folder of the migrations.")]
Packaged = Annotated[bool, typer.Option("--packaged", help="nexusql's own schema instead of a folder.")]
Type = Annotated[str, typer.Option("--type", help="Which history the folder has; folders may share one.")]
LockTimeout = Annotated[float, typer.Option(help="Seconds to wait for another process that migrates.")]
StatementLockTimeout = Annotated[float, typer.Option(help="Seconds to wait for a table that others use.")]
NoLock = Annotated[bool, typer.Option("--no-lock", help="Take no lock; then one process may migrate at a time.")]
OutOfOrder = Annotated[bool, typer.Option("--out-of-order", help="Also apply versions below one that is applied.")]
IgnoreMissing = Annotated[bool, typer.Option("--ignore-missing", help="Accept applied migrations without a file.")]
To = Annotated[str | None, typer.Option("--to", help="The last version.", show_default=False)]

FOLDER = Path("migrations")


@contextmanager
def _runner(url: str, ask: bool, path: Path, packaged: bool, kind: str, **policy: Any) -> Iterator[MigrationRunner]:
    with connected(url, ask) as database:
        yield _runner_of(database, path, packaged, kind, **policy)


def _runner_of(database: DatabaseManager, path: Path, packaged: bool, kind: str, **policy: Any) -> MigrationRunner:
    if not packaged and not path.is_dir():
        raise MigrationError(
            f"there is no folder {path}; name it with --path, or take nexusql's own schema: --packaged"
        )
    return MigrationRunner(database, PACKAGED if packaged else path, kind, strict=True, **policy)


def _tell(applied: list[Applied], what: str, json: bool) -> None:
    if json:
        write_json([{"name": one.name, "execution_ms": one.execution_ms} for one in applied])
    elif applied:
        write(f"{what} {len(applied)} migration{'s' if len(applied) > 1 else ''}, the last: {applied[-1].name}\n")
    else:
        write("nothing to do\n")


@app.command(epilog="Example: nexusql migrate up postgresql://app@db/shop --path sql --to 12")
def up(
    url: URL,
    path: Folder = FOLDER,
    packaged: Packaged = False,
    kind: Type = "app",
    to: To = None,
    out_of_order: OutOfOrder = False,
    ignore_missing: IgnoreMissing = False,
    no_lock: NoLock = False,
    lock_timeout: LockTimeout = 600.0,
    statement_lock_timeout: StatementLockTimeout = 60.0,
    json: Json = False,
    ask_password: AskPassword = False,
) -> None:
    """Apply what is pending, in order, each file once."""
    policy = {
        "out_of_order": out_of_order,
        "ignore_missing": ignore_missing,
        "locking": not no_lock,
        "lock_timeout": lock_timeout,
        "statement_lock_timeout": statement_lock_timeout,
    }
    database = manager_of(url, ask_password)
    try:
        with ended_by_ctrl_c(database):
            _tell(apply(database, [_runner_of(database, path, packaged, kind, **policy)], to), "applied", json)
    finally:
        database.close()


@app.command(epilog="Example: nexusql migrate down sqlite:///shop.db --steps 2")
def down(
    url: URL,
    path: Folder = FOLDER,
    kind: Type = "app",
    steps: Annotated[int, typer.Option(min=1, help="How many versions to undo.")] = 1,
    to: Annotated[str | None, typer.Option("--to", help="Undo all above this version.", show_default=False)] = None,
    ignore_missing: IgnoreMissing = False,
    no_lock: NoLock = False,
    lock_timeout: LockTimeout = 600.0,
    statement_lock_timeout: StatementLockTimeout = 60.0,
    json: Json = False,
    ask_password: AskPassword = False,
) -> None:
    """Undo the last versions by their undo scripts."""
    policy = {
        "ignore_missing": ignore_missing,
        "locking": not no_lock,
        "lock_timeout": lock_timeout,
        "statement_lock_timeout": statement_lock_timeout,
    }
    with _runner(url, ask_password, path, False, kind, **policy) as runner:
        _tell(runner.down(steps, to), "undid", json)


@app.command(epilog="Example: nexusql migrate status postgresql://app@db/shop --check --json")
def status(
    url: URL,
    path: Folder = FOLDER,
    packaged: Packaged = False,
    kind: Type = "app",
    check: Annotated[bool, typer.Option("--check", help=f"Exit with {PENDING} when something is pending.")] = False,
    json: Json = False,
    ask_password: AskPassword = False,
) -> None:
    """Tell where each migration stands. Nothing is changed, and no lock is taken."""
    with _runner(url, ask_password, path, packaged, kind) as runner:
        items = [item.as_dict() for item in runner.status()]
    if json:
        write_json(items)
    else:
        header = ("version", "description", "kind", "state", "applied at", "undo")
        rows = [
            (
                item["version"] or "",
                item["description"],
                item["kind"],
                item["state"] + (f" ({item['statements_done']} statements)" if item["statements_done"] else ""),
                str(item["applied_at"] or "")[:19],
                "yes" if item["undoable"] else "",
            )
            for item in items
        ]
        write_table(header, rows)
    if check and any(item["state"] in {state.value for state in TO_RUN} for item in items):
        raise typer.Exit(PENDING)


@app.command(epilog="Example: nexusql migrate plan sqlite:///shop.db --all")
def plan(
    url: URL,
    path: Folder = FOLDER,
    packaged: Packaged = False,
    kind: Type = "app",
    to: To = None,
    every: Annotated[bool, typer.Option("--all", help="As each kind of database would get it.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Fail where a translation loses something.")] = False,
    out_of_order: OutOfOrder = False,
    ignore_missing: IgnoreMissing = False,
    json: Json = False,
    ask_password: AskPassword = False,
) -> None:
    """Print each statement that `up` would run. It stands as the database gets it, with what its translation loses."""
    policy = {"out_of_order": out_of_order, "ignore_missing": ignore_missing}
    with _runner(url, ask_password, path, packaged, kind, **policy) as runner:
        files = runner.plan(every_backend=every, to=to)
    if json:
        write_json([file.as_dict() for file in files])
    else:
        for file in files:
            write(_planned_text(file))
    problems = [f"{file.file} for {file.backend}: {problem}" for file in files for problem in file.problems]
    if strict:
        problems += [
            f"{file.file} for {file.backend}, line {statement.line}: {note}"
            for file in files
            for statement in file.statements
            for note in statement.notes
        ]
    for problem in problems:
        say(problem)
    if problems:
        raise typer.Exit(1)


def _planned_text(file: PlannedFile) -> str:
    how = "in one transaction" if file.transaction else "statement by statement"
    lines = [f"-- {file.file} for {file.backend}, {how}"]
    for statement in file.statements:
        lines += [f"-- loses: {note}" for note in statement.notes]
        lines += [f"-- loses (accepted): {note}" for note in statement.accepted]
        lines += [f"-- ERROR: {statement.error}"] if statement.error else []
        lines.append(f"{statement.sql};")
    return "\n".join(lines) + "\n\n"


@app.command(epilog="Example: nexusql migrate validate mysql://app@db/shop")
def validate(
    url: URL,
    path: Folder = FOLDER,
    packaged: Packaged = False,
    kind: Type = "app",
    out_of_order: OutOfOrder = False,
    ignore_missing: IgnoreMissing = False,
    json: Json = False,
    ask_password: AskPassword = False,
) -> None:
    """Hold all files against the history. Names, texts and checksums are checked, and nothing is changed."""
    policy = {"out_of_order": out_of_order, "ignore_missing": ignore_missing}
    with _runner(url, ask_password, path, packaged, kind, **policy) as runner:
        items = runner.validate()
    if json:
        write_json([item.as_dict() for item in items])
    else:
        write(f"{len(items)} migration{'' if len(items) == 1 else 's'} in order\n")


@app.command(epilog="Example: nexusql migrate baseline postgresql://app@db/shop 7")
def baseline(
    url: URL,
    version: Annotated[str, typer.Argument(help="The last version that the database has already.")],
    path: Folder = FOLDER,
    kind: Type = "app",
    description: Annotated[str | None, typer.Option(help="What the history says of them.", show_default=False)] = None,
    json: Json = False,
    ask_password: AskPassword = False,
) -> None:
    """Record as applied what the database has already. The files up to that version are not run."""
    with _runner(url, ask_password, path, False, kind) as runner:
        _tell_names(runner.baseline(version, description), json)


@app.command(epilog="Example: nexusql migrate repair sqlite:///shop.db --missing")
def repair(
    url: URL,
    path: Folder = FOLDER,
    packaged: Packaged = False,
    kind: Type = "app",
    missing: Annotated[bool, typer.Option("--missing", help="Forget migrations whose file is gone.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Begin files that were not finished anew.")] = False,
    json: Json = False,
    ask_password: AskPassword = False,
) -> None:
    """Accept the files as they are. Their checksums and names go into the history, and nothing else is changed."""
    with _runner(url, ask_password, path, packaged, kind) as runner:
        _tell_names(runner.repair(missing=missing, restart=restart), json)


def _tell_names(lines: list[str], json: bool) -> None:
    if json:
        write_json(lines)
    else:
        write("".join(f"{line}\n" for line in lines) or "nothing to do\n")


@app.command(epilog="Example: nexusql migrate new 'add users' --undo")
def new(
    description: Annotated[str, typer.Argument(help="What it does, in a few words.")],
    path: Folder = FOLDER,
    undo: Annotated[bool, typer.Option("--undo", help="Also a file that undoes it.")] = False,
    repeatable: Annotated[bool, typer.Option("--repeatable", help="A file that is run whenever it changes.")] = False,
    version: Annotated[str | None, typer.Option(help="Its version; else the next.", show_default=False)] = None,
) -> None:
    """Make an empty migration file with the next version."""
    for file in new_file(path, description, undo=undo, repeatable=repeatable, version=version):
        write(f"{file}\n")


@app.command(epilog="Example: nexusql migrate unlock postgresql://admin@db/shop --yes")
def unlock(
    url: URL,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
    ask_password: AskPassword = False,
) -> None:
    """End the session that holds the migration lock. A process that was killed holds none."""
    with connected(url, ask_password) as database:
        if not yes:
            typer.confirm("A migration that is running will be cut off. Go on?", abort=True, err=True)
        ended = MigrationRunner(database).unlock()
    if json:
        write_json({"ended": ended})
    else:
        write(f"ended {ended}\n" if ended else "nobody holds the lock\n")
