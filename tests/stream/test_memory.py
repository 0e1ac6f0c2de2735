"""A stream needs the memory of a chunk, however many rows there are."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import servers

SUPPORT = Path(__file__).resolve().parents[1] / "support"
MEGABYTES = 10  # allowed

# Of 8 columns, 5000 rows for each number of b.
SELECT = (
    "SELECT a.i AS a, b.i AS b, a.i + b.i AS c, a.i * 1.5 AS d, a.t AS e, b.t AS f, '{text}' AS g, NULL AS h"
    " FROM numbers a CROSS JOIN numbers b WHERE b.i < {repeats}"
)

CHILD = """
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from nexusql import DatabaseManager
from stream_tables import fill

url, warm_up, sql = sys.argv[2:]


def read(rows):
    before = peak()
    count = sum(1 for _ in rows)
    print(count, peak() - before)


def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


with DatabaseManager(url) as db:
    if db.config.in_memory:
        fill(db)
    read(db.stream(warm_up))
    read(db.stream(sql))
    with db.transaction() as tx:
        read(tx.stream(sql))
    before = peak()
    rows = db.fetch_all(warm_up)
    print(len(rows), peak() - before)
"""


def growth(url: str, count: int) -> list[float]:
    """The megabytes by which a process grows for a first stream, for `count` rows, for them in a transaction, and for
    50,000 rows read at once."""
    sql, warm_up = (SELECT.format(text="x" * 200, repeats=repeats) for repeats in (count // 5000, 10))
    command = [sys.executable, "-c", CHILD, str(SUPPORT), url, warm_up, sql]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [int(rows) for rows, _ in lines] == [50_000, count, count, 50_000]
    return [int(kilobytes) / 1024 for _, kilobytes in lines]


@pytest.mark.parametrize("count", [100_000, pytest.param(1_000_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("place", [*servers.KINDS, "memory"])
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no proc(5) here")
def test_a_process_hardly_grows(filled: Callable[[str], str], place: str, count: int) -> None:
    if place != "memory":
        servers.require(place)
    first, long, inside, at_once = growth("sqlite://:memory:" if place == "memory" else filled(place), count)
    assert max(first, long, inside) < MEGABYTES
    assert at_once > MEGABYTES  # or this test would measure nothing
