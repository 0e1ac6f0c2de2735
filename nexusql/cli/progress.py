"""A progress bar and a table: rich's where it is installed, plain text otherwise."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

Advance = Callable[[int], None]


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[Advance]:
    """Show how far `total` steps have come; the function it gives is called with the number just done."""
    try:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        yield _plain_bar(title, total)
        return
    columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.advance(task, done)


def _plain_bar(title: str, total: int) -> Advance:
    tenths = done = 0

    def advance(more: int) -> None:
        nonlocal done, tenths
        done += more
        if done * 10 // total > tenths:
            tenths = done * 10 // total
            print(f"{title:<22} {done:>9,} of {total:,}", file=sys.stderr, flush=True)

    return advance


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout: the first column to the left, the others to the right."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
        print(f"\n{title}")
        for row in (header, ["-" * width for width in widths], *rows):
            cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
            print("  ".join([row[0].ljust(widths[0]), *cells[1:]]))
        return
    table = Table()
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console()
    console.print(f"\n{title}", soft_wrap=True, markup=False, highlight=False)
    console.print(table)
