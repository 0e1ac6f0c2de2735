"""Measuring contenders against each other: in turn, so that a busy machine slows all of them alike."""

import gc
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

SECONDS, MEGABYTES = "s", "MB"
HOLDS, MISSED, NOT_JUDGED = "holds", "MISSED", "not judged"

Contender = Callable[[], object]


class SelfTimed(ABC):
    """A contender that measures itself, because it runs in another process."""

    @abstractmethod
    def __call__(self) -> object:
        """Do the work once."""

    @abstractmethod
    def seconds(self, number: int) -> float:
        """Mean seconds of `number` calls."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What must hold for the contender `name`, judged by its median and that of the contender `of`.

    `measured` puts the two into words and says whether they are as they should be.
    """

    text: str
    name: str
    of: str
    measured: Callable[[float, float], tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal and what became of it: HOLDS, MISSED or NOT_JUDGED, where a contender is not there."""

    goal: str
    measured: str
    state: str


@dataclass(frozen=True, slots=True)
class Case:
    """One question and those who answer it.

    `rows` is what a call reads or writes. `before` runs ahead of each batch of calls and `check` gets what the first
    call of each contender gave; neither is timed. `batch_seconds` is how long a batch should take, 0 for single calls.
    """

    contenders: Mapping[str, Contender]
    goals: Sequence[Goal] = ()
    rows: int = 1
    before: Callable[[], object] = lambda: None
    check: Callable[[object], object] = lambda given: None
    batch_seconds: float = 0.03


@dataclass(frozen=True, slots=True)
class Spread:
    """The quartiles of what was measured."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class Result:
    """What a case gave: for each contender a time in seconds, or a size in megabytes."""

    rows: int
    values: Mapping[str, Spread]
    verdicts: Sequence[Verdict]
    unit: str = SECONDS

    @property
    def base(self) -> str:
        """The contender that the others are compared with: nexusql, the first one where it has no part."""
        return "nexusql" if "nexusql" in self.values else next(iter(self.values))

    @property
    def ratios(self) -> dict[str, float]:
        """Each contender's median as a multiple of that of `base`."""
        base = self.values[self.base].median
        return {name: spread.median / base for name, spread in self.values.items()}


def at_most(factor: float, of: str, name: str = "nexusql") -> Goal:
    """`name` may take at most `factor` times as long as `of`."""

    def measured(seconds: float, other: float) -> tuple[str, bool]:
        return f"{seconds / other:.2f}", seconds <= factor * other

    return Goal(f"{name}: at most {factor:g} times {of}", name, of, measured)


def faster(factor: float, of: str, name: str = "nexusql") -> Goal:
    """`name` must be at least `factor` times faster than `of`."""

    def measured(seconds: float, other: float) -> tuple[str, bool]:
        return f"{other / seconds:.1f}", other >= factor * seconds

    return Goal(f"{name}: at least {factor:g} times faster than {of}", name, of, measured)


def at_most_over(seconds: float, of: str, name: str = "nexusql") -> Goal:
    """`name` may take at most so many seconds more than `of`."""

    def measured(taken: float, other: float) -> tuple[str, bool]:
        return f"{(taken - other) * 1000:.1f} ms", taken - other <= seconds

    return Goal(f"{name}: at most {seconds * 1000:g} ms more than {of}", name, of, measured)


def under(limit: float, name: str) -> Goal:
    """`name` must stay under so many megabytes."""
    return Goal(f"{name}: under {limit:g} MB", name, name, lambda size, _: (f"{size:.1f} MB", size < limit))


def judge(goal: Goal, values: Mapping[str, Spread]) -> Verdict:
    """What became of a goal."""
    absent = [name for name in (goal.name, goal.of) if name not in values]
    if absent:
        return Verdict(goal.text, f"without {' and '.join(absent)}", NOT_JUDGED)
    text, held = goal.measured(values[goal.name].median, values[goal.of].median)
    return Verdict(goal.text, text, HOLDS if held else MISSED)


def measure(case: Case, rounds: int) -> Result:
    """Time the contenders of a case in turn, `rounds` times, a batch of calls each; who starts changes every round.

    Before that each is called once and checked. Without rounds this is all, and what those calls took is the result.
    """
    names = list(case.contenders)
    samples = {name: [_first_call(case, name)] for name in names}
    if rounds:
        gc.collect()
        gc.freeze()  # what others have loaded is not gone through time and again in this case
        samples = _rounds(case, names, rounds, _batch(case, samples[names[0]][0]))
        gc.unfreeze()
    values = {name: spread(samples[name]) for name in names}
    return Result(case.rows, values, [judge(goal, values) for goal in case.goals])


def _first_call(case: Case, name: str) -> float:
    case.before()
    started = time.perf_counter()
    given = case.contenders[name]()
    seconds = time.perf_counter() - started
    case.check(given)
    return seconds


def _batch(case: Case, first_call: float) -> int:
    """The number of calls in a batch. A first call may take much longer than the next."""
    if first_call < 10 * case.batch_seconds:
        case.before()
        seconds = _seconds(next(iter(case.contenders.values())), 1)
        return max(1, round(case.batch_seconds / seconds))
    return 1


def _rounds(case: Case, names: Sequence[str], rounds: int, number: int) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        start = turn % len(names)
        for name in [*names[start:], *names[:start]]:
            case.before()
            gc.collect()
            samples[name].append(_seconds(case.contenders[name], number))
    return samples


def spread(samples: Sequence[float]) -> Spread:
    """The quartiles of some samples; of a single one, the sample itself."""
    if len(samples) == 1:
        return Spread(samples[0], samples[0], samples[0])
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Spread(low, median, high)


def _seconds(call: Contender, number: int) -> float:
    """Mean seconds of `number` calls. The garbage collector stays on, as it does in a program."""
    if isinstance(call, SelfTimed):
        return call.seconds(number)
    started = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - started) / number
