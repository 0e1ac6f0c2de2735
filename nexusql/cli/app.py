"""The commands of `nexusql`, and how each of them ends: with a message in a line and an exit status."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

import nexusql
from nexusql.cli import demo as demonstration
from nexusql.cli import inform, migrate, queries
from nexusql.cli.output import CLOSED_PIPE, ClosedPipe, masked, say, write
from nexusql.errors import ChecksumMismatch, Error, MigrationLocked

FAILED = 1
WRONG_USE = 2
DRIFTED = 4
LOCKED = 5
INTERRUPTED = 130

# What is shown of the package's loggers without --verbose.
LEVELS = {"nexusql": logging.WARNING, "nexusql.migrations": logging.INFO}

app = typer.Typer(
    name="nexusql",
    pretty_exceptions_enable=False,  # they would show local variables, and with them passwords
    rich_markup_mode=None,
    help="One API over SQLite, PostgreSQL, MySQL/MariaDB and SQL Server: migrations, queries, and what each can do.",
    epilog=(
        "Exit status: 0 done, 1 failed, 2 wrong use, 3 migrations are pending, 4 an applied migration was changed, "
        "5 another process keeps the migration lock, 130 interrupted."
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(migrate.app, name="migrate")
app.command("info", epilog=inform.EXAMPLES)(inform.info)
app.command("query", epilog=queries.QUERY_EXAMPLES)(queries.query)
app.command("translate", epilog=queries.TRANSLATE_EXAMPLES)(queries.translate)


def _print_version(wanted: bool) -> None:
    if wanted:
        write(f"nexusql {nexusql.__version__} ({nexusql.IMPLEMENTATION})\n")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print what happens on the way.")] = False,
) -> None:
    """What holds for all commands."""
    if verbose:
        for name in LEVELS:
            logging.getLogger(name).setLevel(logging.DEBUG)


@app.command(
    "demo",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def demo(context: typer.Context) -> None:
    """Write 100,000 metrics and read them back. 10,000 checkpoints, too; it tells how fast that was."""
    raise typer.Exit(demonstration.main(context.args))


class _Masking(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


@contextmanager
def _log_on_stderr() -> Iterator[None]:
    """Show what is logged, as long as the command runs."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Masking("%(message)s"))
    before = {name: logging.getLogger(name).level for name in LEVELS}
    logging.getLogger("nexusql").addHandler(handler)
    try:
        for name, level in LEVELS.items():
            logging.getLogger(name).setLevel(level)
        yield
    finally:
        logging.getLogger("nexusql").removeHandler(handler)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


def run(arguments: Sequence[str] | None) -> int:
    """Run the command; gives the exit status."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    if args in ([], ["migrate"]):
        _run([*args, "--help"])
        return WRONG_USE
    with _log_on_stderr():
        return _run(args)


def _run(args: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        status = command.main(args=args, prog_name="nexusql", standalone_mode=False)
    except ClosedPipe:
        return CLOSED_PIPE
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted")
        return INTERRUPTED
    except Error as error:
        say(f"{type(error).__name__}: {error}")
        return _status_of(error)
    except Exception as error:
        # What is wrong with the arguments; the class is of the library that typer stands on.
        told = getattr(error, "format_message", None)
        if told is None:
            raise
        say(f"{told().rstrip('.')}; see {' '.join(['nexusql', *_commands_in(command, args)])} --help")
        return WRONG_USE
    if status == INTERRUPTED:  # as typer has it
        say("interrupted")
    return status if isinstance(status, int) else 0


def _status_of(error: Error) -> int:
    if isinstance(error, ChecksumMismatch):
        return DRIFTED
    return LOCKED if isinstance(error, MigrationLocked) else FAILED


def _commands_in(command: Any, args: Sequence[str]) -> Iterator[str]:
    """The commands among arguments, so that the hint names the right page of help."""
    for arg in args:
        inner = getattr(command, "commands", {}).get(arg)
        if inner is not None:
            command = inner
            yield arg
