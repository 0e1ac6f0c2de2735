"""The main job on one database: the packaged schema, many metrics and checkpoints in, and the same out again.

Run it by ``python -m nexusql.cli.demo [URL]``. It removes the rows it wrote, and no others, unless told to keep them.
"""

import argparse
import json
import random
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from nexusql.cli.tables import print_table
from nexusql.errors import Error
from nexusql.manager import DatabaseManager
from nexusql.progress import Advance, progress_bar

Record = dict[str, Any]

DEFAULT_URL = "sqlite:///demo.db"
START = datetime(2026, 1, 1)
MODES = ("explore", "execute", "verify", "escalate")


class Difference(Exception):
    """What was read is not what was written."""


def metrics(run: str, count: int) -> Iterator[Record]:
    """`count` rows for reliability_steps, the same ones every time but for the name of the run."""
    chance = random.Random(1)
    for number in range(count):
        mode, declared = chance.choice(MODES), chance.choice(MODES)
        yield {
            "agent_name": f"{run}/agent-{number % 25}",
            "success": chance.random() < 0.93,
            "required_compensation": chance.random() < 0.04,
            "required_human": chance.random() < 0.02,
            "mode": mode,
            "declared_mode": declared,
            "mode_violation": mode != declared,
            "timestamp": START + timedelta(seconds=number, microseconds=number),
        }


def checkpoints(run: str, count: int) -> Iterator[Record]:
    """`count` rows for pipeline_checkpoints, the same ones every time but for the name of the run and the keys."""
    chance = random.Random(2)
    for number in range(count):
        step = number % 12
        yield {
            "checkpoint_id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{run}/{number}")),
            "thread_id": f"{run}/thread-{number // 12}",
            "pipeline_id": "demo-pipeline",
            "step_id": f"step-{step}",
            "step_index": step,
            "step_name": f"It's step № {step}: 100% :done -- ok?",
            "timestamp": START + timedelta(seconds=number),
            "state": {"position": number, "score": chance.random(), "messages": [f"message {i}" for i in range(6)]},
            "metadata": {"retries": chance.randrange(3), "note": "quotes ' and \" and \\"},
            "status": "completed",
        }


def insert_one_by_one(db: DatabaseManager, table: str, rows: Iterable[Record], advance: Advance) -> None:
    """Write rows as a simple client does: a statement and a commit for each."""
    for done, row in enumerate(rows, 1):
        values = ", ".join(f":{name}" for name in row)
        db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({values})", row)
        advance(done)


def as_written(row: Record, like: Record) -> Record:
    """A row that was read, in the types of the one written: databases give 1 for True, and text for JSON or times."""

    def convert(value: Any, model: Any) -> Any:
        if isinstance(model, bool):
            return bool(value)
        if isinstance(model, datetime) and isinstance(value, str):
            return datetime.fromisoformat(value)
        if isinstance(model, dict) and isinstance(value, str):
            return json.loads(value)
        return str(value) if isinstance(value, uuid.UUID) else value  # where some library has told the driver so

    return {name: convert(row[name], model) for name, model in like.items()}


def verify(written: Iterable[Record], read: Sequence[Record], count: int) -> None:
    """Compare what was read with what was written, value by value. Raises Difference at the first one."""
    if len(read) != count:
        raise Difference(f"{count:,} rows were written, {len(read):,} read")
    for number, (expected, row) in enumerate(zip(written, read, strict=True)):
        got = as_written(row, expected)
        if got != expected:
            raise Difference(f"row {number} was written as {expected!r} and read as {got!r}")


class Report:
    """Times each step and keeps the lines of the summary."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self.rates: dict[str, float] = {}
        self.ways: dict[str, str] = {}

    @contextmanager
    def step(self, title: str, count: int) -> Iterator[Advance]:
        """Show a progress bar for a step of `count` rows and note how long the step took."""
        started = time.perf_counter()
        with progress_bar(title, count) as advance:
            yield advance
        seconds = time.perf_counter() - started
        self.rates[title] = count / seconds
        self.rows.append([title, f"{count:,}", f"{seconds:.2f}", f"{self.rates[title]:,.0f}"])


def run_demo(db: DatabaseManager, counts: tuple[int, int, int], keep: bool = False) -> Report:
    """Run the job on a connected manager for (metrics, checkpoints, single writes); gives its report."""
    metric_count, checkpoint_count, single_count = counts
    run = f"demo-{uuid.uuid4().hex[:12]}"
    report = Report()
    db.migrate()
    jobs = (
        ("metrics", "reliability_steps", "agent_name", "id", metrics, metric_count),
        ("checkpoints", "pipeline_checkpoints", "thread_id", "timestamp", checkpoints, checkpoint_count),
    )
    try:
        for title, table, tag, order, make, count in jobs:
            with report.step(f"{title} written", count) as advance:
                report.ways[title] = db.bulk_insert(table, make(run, count), progress=advance).strategy
            with report.step(f"{title} read back", count) as advance:
                columns = ", ".join(next(make(run, 1)))
                sql = f"SELECT {columns} FROM {table} WHERE {tag} LIKE :run ORDER BY {order}"
                read = db.fetch_all(sql, {"run": f"{run}/%"})
                advance(len(read))
            verify(make(run, count), read, count)
        with report.step("metrics one by one", single_count) as advance:
            insert_one_by_one(db, "reliability_steps", metrics(f"{run}-single", single_count), advance)
    finally:
        if not keep:
            for _, table, tag, *_ in jobs:
                db.execute(f"DELETE FROM {table} WHERE {tag} LIKE :run", {"run": f"{run}%"})
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo from the command line; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m nexusql.cli.demo", description=__doc__)
    parser.add_argument("url", nargs="?", default=DEFAULT_URL, help=f"the database (default: {DEFAULT_URL})")
    parser.add_argument("--metrics", type=int, default=100_000, help="rows of reliability metrics")
    parser.add_argument("--checkpoints", type=int, default=10_000, help="rows of checkpoints")
    parser.add_argument("--single", type=int, default=2_000, help="rows that are written one by one, to compare")
    parser.add_argument("--keep", action="store_true", help="leave the rows in the database")
    options = parser.parse_args(arguments)
    counts = (options.metrics, options.checkpoints, options.single)
    if min(counts) < 1:
        parser.error("at least one row of each kind is needed")
    try:
        with DatabaseManager(options.url) as db:
            report = run_demo(db, counts, options.keep)
            place = db.config.masked_url
    except (Error, Difference) as error:
        reason = " ".join(str(error).split())
        print(f"the demo stopped: {type(error).__name__}: {reason}", file=sys.stderr)
        return 1
    print_table(f"nexusql on {place}", ("", "rows", "seconds", "rows/s"), report.rows)
    together, single = report.rates["metrics written"], report.rates["metrics one by one"]
    times = together / single
    way = report.ways["metrics"]
    print(f"Every row was read back as it was written. Together ({way}): {times:,.1f} times the rate of one by one.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
