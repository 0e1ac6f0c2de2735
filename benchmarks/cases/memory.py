"""How much a process grows that writes many rows from a generator, or streams them; each in a process of its own."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from cases.entry import Entry, Sizes
from harness import MEGABYTES, Goal, Result, judge, spread, under
from place import NAMES, open_place
from workload import METRICS

CHILD = Path(__file__).resolve().parents[1] / "memory_child.py"
JOBS = {"write": "nexusql, bulk_insert", "stream": "nexusql, stream", "fetchall": "driver, fetchall"}
# The promise, for a million rows.
PROMISED = 1_000_000
GOALS = (under(100, JOBS["write"]), under(60, JOBS["stream"]))


def growth(job: str, url: str, count: int) -> float:
    """Megabytes by which a new process grows at its peak, doing a job of memory_child.py."""
    done = subprocess.run([sys.executable, CHILD, job, url, str(count)], stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def grown(kind: str, count: int, goals: tuple[Goal, ...]) -> Callable[[int], Result]:
    """Write the rows, then read them both ways; once, for memory does not depend on how busy the machine is."""

    def run(_: int) -> Result:
        with open_place(kind, METRICS, libraries=False) as place:
            values = {title: spread([growth(job, place.url, count)]) for job, title in JOBS.items()}
        return Result(count, values, [judge(goal, values) for goal in goals], MEGABYTES)

    return run


def entries(sizes: Sizes) -> Iterator[Entry]:
    """Two numbers of rows on each database: the growth must not depend on it."""
    if not Path("/proc/self/clear_refs").exists():
        return  # only Linux tells, and forgets, the peak of a process
    for kind, name in NAMES.items():
        for count in sizes.memory:
            promised = count == PROMISED
            series = f"Memory, {name}"
            title = f"Memory of {count:,} rows, {name}"
            run = grown(kind, count, GOALS if promised else ())
            yield Entry("memory", kind, title, run, 1, series, count, promised)
