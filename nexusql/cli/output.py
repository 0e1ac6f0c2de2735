"""What the command prints: tables, JSON and CSV on stdout, messages on stderr. No secret gets through."""

import csv
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

CLOSED_PIPE = 141  # what a shell reports of a program that SIGPIPE has ended

# To the last @ of a line: a password that nobody has quoted may hold any character.
_AFTER_SCHEME = re.compile(r"://.*@")
_USER_AND_PASSWORD = re.compile(r"[^\s:/@]+:[^\s/@][^\s@]*@")
_NAMED = re.compile(r"(?i)\b(password|passwd|pwd|secret|token)(\s*=\s*)('[^']*'|[^\s;&'\"]+)")


class ClosedPipe(Exception):
    """Nobody reads what is printed any more."""


class Format(str, Enum):
    """How rows are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def masked(text: str) -> str:
    """The text without the credentials of any URL in it, and without named passwords."""
    return _NAMED.sub(r"\1\2***", _USER_AND_PASSWORD.sub("***@", _AFTER_SCHEME.sub("://***@", text)))


def write(text: str) -> None:
    """Print text as it is. Raises ClosedPipe."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more at its end, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ClosedPipe from None


def say(message: str) -> None:
    """Print a message on stderr, in one line, its credentials hidden."""
    print(masked(" ".join(message.split())), file=sys.stderr, flush=True)


def plain(value: Any) -> Any:
    """A value as JSON can have it."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    return str(value)


def write_json(value: Any) -> None:
    """Print a value as JSON."""
    write(json.dumps(value, indent=2, ensure_ascii=False, default=plain) + "\n")


def write_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as RFC 4180 has it; NULL is empty."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    for row in rows:
        writer.writerow([plain(value) if isinstance(value, (bytes, memoryview)) else value for value in row])
    write(text.getvalue())


def write_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as a table; on a terminal it wraps, elsewhere it is as wide as it must be."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in header:
        table.add_column(Text(_shown(name)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(value)) for value in row))
    terminal = sys.stdout.isatty()
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=None if terminal else 100_000)
    console.print(table)
    write(text.getvalue())


def _shown(value: Any) -> str:
    """A value in a cell; control characters, which could drive the terminal, are escaped."""
    if value is None:
        return "NULL"
    text = value if isinstance(value, str) else str(plain(value))
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
