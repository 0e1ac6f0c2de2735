"""A process that does one job and prints by how many megabytes it grew at its peak; for cases/memory.py, on Linux."""

import contextlib
import gc
import sqlite3
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))

import servers  # noqa: E402
from nexusql import DatabaseManager  # noqa: E402
from nexusql.cli.demo import metrics  # noqa: E402
from peers.sqlite import path_of  # noqa: E402
from workload import METRICS  # noqa: E402

SELECT = f"SELECT {METRICS.column_list} FROM {METRICS.name}"


def status(field: str) -> float:
    """A size of this process in megabytes, see proc(5): VmRSS now, VmHWM at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def do(job: str, opened: Any, count: int) -> int:
    """Do the job; gives the number of rows."""
    if job == "write":
        written: int = opened.bulk_insert(METRICS.name, metrics("bench", count)).rowcount
        return written
    if job == "stream":
        with opened.stream(SELECT) as rows:
            return sum(1 for _ in rows)
    cursor = opened.cursor()
    cursor.execute(SELECT)
    return len(cursor.fetchall())


def connect(job: str, url: str) -> Any:
    """What the job is done with: a manager, or a bare connection."""
    if job != "fetchall":
        return DatabaseManager(url)
    kind = url.partition(":")[0]
    return contextlib.closing(sqlite3.connect(path_of(url)) if kind == "sqlite" else servers.CONNECT[kind](url))


def main(job: str, url: str, count: int) -> None:
    """Connect, forget the peak so far, do the job, print the growth."""
    with connect(job, url) as opened:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = status("VmRSS")
        assert do(job, opened, count) == count
        print(status("VmHWM") - before)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
