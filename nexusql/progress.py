"""How far a long call has come: a bar of rich's where it is installed, lines of plain text otherwise."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

Advance = Callable[[int], object]
Progress = Advance | bool | None

EVERY = 100_000  # steps between two lines, where nobody knows how many there will be


def shown(progress: Progress, rows: Iterable[Any], title: str) -> AbstractContextManager[Advance]:
    """What to call with the number of rows done so far: the caller's function, or one that moves a bar for True."""
    if progress is True:
        return progress_bar(title, len(rows) if isinstance(rows, Sized) else None)
    return nullcontext(progress if callable(progress) else nothing)


def nothing(_done: int) -> None:
    """Shows nothing."""


@contextmanager
def progress_bar(title: str, total: int | None) -> Iterator[Advance]:
    """Show how far `total` steps have come; the function it gives is called with the number done so far."""
    try:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    except ImportError:
        yield _plain_bar(title, total)
        return
    columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.update(task, completed=done)


def _plain_bar(title: str, total: int | None) -> Advance:
    step = EVERY if total is None else max(total / 10, 1)
    known = "" if total is None else f" of {total:,}"
    before = 0

    def advance(done: int) -> None:
        nonlocal before
        if done // step > before // step:
            print(f"{title:<22} {done:>9,}{known}", file=sys.stderr, flush=True)
        before = done

    return advance
