"""What compare.py goes through: entries, each of which gives a result."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from harness import Case, Result, measure


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much there is to do: numbers of rows, and of columns."""

    read: int = 50_000
    metrics: int = 20_000
    checkpoints: int = 5_000
    workflows: int = 10_000
    singles: int = 10_000
    calls: tuple[int, ...] = (1, 10, 100, 1_000)
    growth: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    columns: tuple[int, ...] = (2, 8, 16, 32, 64)
    wide: int = 5_000
    memory: tuple[int, ...] = (100_000, 1_000_000)


def tiny(rows: int) -> Sizes:
    """So many rows for everything, and one point where something grows."""
    return Sizes(rows, rows, rows, rows, rows, calls=(1,), growth=(rows,), columns=(2,), wide=rows, memory=(rows,))


@dataclass(frozen=True, slots=True)
class Entry:
    """One result to be had.

    `kind` is the database it needs. `run` measures in so many rounds; of those asked for, an entry that takes long
    gets its `share`. Entries of one `series` are the points of a line, `at` their place on it. `interpreted` says
    whether it is also measured with the interpreted core.
    """

    topic: str
    kind: str
    title: str
    run: Callable[[int], Result]
    share: float = 1
    series: str = ""
    at: int = 0
    interpreted: bool = True


def in_turn(open_case: Callable[[], AbstractContextManager[Case]]) -> Callable[[int], Result]:
    """Measure the contenders of a case that is opened for it."""

    def run(rounds: int) -> Result:
        with open_case() as case:
            return measure(case, rounds)

    return run
