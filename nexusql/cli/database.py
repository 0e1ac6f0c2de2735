"""The database that a command is about: its URL, and where the password comes from."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from getpass import getpass
from typing import Annotated

import typer

from nexusql.cli.interrupt import ended_by_ctrl_c
from nexusql.config import ConnectionConfig, DatabaseType
from nexusql.errors import ConfigError
from nexusql.manager import DatabaseManager

URL = Annotated[
    str,
    typer.Argument(
        envvar="NEXUSQL_URL",
        metavar="URL",
        show_default=False,
        help="The database: sqlite:///file.db, postgresql://user@host/name, mysql://user@host/name.",
    ),
]
AskPassword = Annotated[
    bool,
    typer.Option(
        "--password-prompt",
        "-W",
        help="Ask for the password. It may also stand in the URL or in NEXUSQL_PASSWORD.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_FILES = (DatabaseType.SQLITE, DatabaseType.DUCKDB)


def manager_of(url: str, ask_password: bool) -> DatabaseManager:
    """The manager of a URL, not yet connected, its password from the URL, the prompt or the environment."""
    config = ConnectionConfig.from_url(url)
    if config.database_type not in _FILES and config.password is None:
        password = os.environ.get("NEXUSQL_PASSWORD")
        if ask_password:
            password = _asked_password()
        if password is not None:
            config = replace(config, password=password)
    elif ask_password and config.database_type in _FILES:
        raise ConfigError("a file has no password")
    return DatabaseManager(config)


def _asked_password() -> str:
    """From the terminal, unseen; from a line of stdin where that is none."""
    return getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


@contextmanager
def connected(url: str, ask_password: bool) -> Iterator[DatabaseManager]:
    """A connected manager."""
    with manager_of(url, ask_password) as database, ended_by_ctrl_c(database):
        yield database
