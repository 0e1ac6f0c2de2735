"""Measuring contenders against each other: in turn, in one process, so that a busy machine slows all of them alike."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """What must hold: `text` says it, `holds` judges the ratios to the first contender and the medians in seconds."""

    text: str
    holds: Callable[[Mapping[str, float], Mapping[str, float]], bool]


@dataclass(frozen=True, slots=True)
class Case:
    """One question and those who answer it. The first contender is the one that the others are compared with."""

    title: str
    contenders: Mapping[str, Callable[[], object]]
    goal: Goal | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The median seconds of a call for each contender of a case."""

    case: Case
    medians: Mapping[str, float]

    @property
    def ratios(self) -> dict[str, float]:
        """Each contender's median as a multiple of the first one's."""
        first = next(iter(self.medians.values()))
        return {name: median / first for name, median in self.medians.items()}

    @property
    def verdict(self) -> str:
        """Whether the goal holds, in words; empty where the case has none."""
        if self.case.goal is None:
            return ""
        held = self.case.goal.holds(self.ratios, self.medians)
        return f"{self.case.goal.text}: {'holds' if held else 'MISSED'}"


def at_most(factor: float, name: str = "nexusql") -> Goal:
    """The contender `name` may take at most `factor` times as long as the first."""
    return Goal(f"{name} at most {factor:g} times", lambda ratios, _: ratios[name] <= factor)


def at_least(factor: float, name: str) -> Goal:
    """The contender `name` takes at least `factor` times as long as the first."""
    return Goal(f"{name} at least {factor:g} times", lambda ratios, _: ratios[name] >= factor)


def at_most_over(seconds: float, name: str = "nexusql") -> Goal:
    """The contender `name` may take at most so many seconds more than the first."""

    def holds(_: Mapping[str, float], medians: Mapping[str, float]) -> bool:
        return medians[name] - next(iter(medians.values())) <= seconds

    return Goal(f"{name} at most {seconds * 1000:g} ms more", holds)


def measure(case: Case, rounds: int = 25, batch_seconds: float = 0.03) -> Result:
    """Time the contenders of a case in turn, `rounds` times, a batch of calls each; who starts changes every round."""
    names = list(case.contenders)
    for call in case.contenders.values():
        call()
    number = max(1, round(batch_seconds / _time(case.contenders[names[0]], 1)))
    samples: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            gc.collect()
            samples[name].append(_time(case.contenders[name], number))
    return Result(case, {name: statistics.median(samples[name]) for name in names})


def _time(call: Callable[[], object], number: int) -> float:
    """Mean seconds of `number` calls. The garbage collector stays on, as it does in a program."""
    started = time.perf_counter()
    for _ in range(number):
        call()
    return (time.perf_counter() - started) / number
