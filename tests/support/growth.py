"""How much memory a process takes more while it writes rows: run as a program, it prints that in bytes.

growth(url, "plain", "report", count=200_000, size=20)
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "report": {"on_error": "report"},
    "ignore": {"on_conflict": "ignore"},
    "update": {"on_conflict": "update"},
    "shapes": {},
    "shapes, report": {"on_error": "report"},
    "ids": {"returning": "id"},
    "upserted ids": {"on_conflict": "update", "returning": "id"},
}


def growth(url: str, *ways: str, count: int, size: int) -> int:
    """Bytes that a process grows by while it writes `count` rows of `size` bytes from a generator, in each of WAYS that
    is named, one after the other."""
    command = [sys.executable, __file__, url, str(count), str(size), *ways]
    path = os.pathsep.join([str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=1800, env={**environment, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def _kilobytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(name)


def _rows(way: str, count: int, size: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        row = {"id": number, "step": number, "value": number * 0.5, "name": f"{number:012}".ljust(size, "x")}
        if "shapes" in way and number % 2:
            del row["step"]
        yield row


def _main(url: str, count: int, size: int, *ways: str) -> None:
    from nexusql import DatabaseManager

    with DatabaseManager(url, pool_max=1) as db:
        for way in ways:
            db.bulk_insert("metric", _rows(way, 200, 20), **WAYS[way])
            db.execute("DELETE FROM metric")
        before = _kilobytes("VmRSS")
        for way in ways:
            result = db.bulk_insert("metric", _rows(way, count, size), **WAYS[way])
            assert (result.rowcount, result.errors) == (count, [])
            db.execute("DELETE FROM metric")
        print((_kilobytes("VmHWM") - before) * 1024)


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")  # of a slower way
    _main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
