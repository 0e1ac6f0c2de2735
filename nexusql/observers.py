"""Ready-made observers, for `DatabaseManager(url, observers=[..])`: what is slow, and how long statements take."""

import logging
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass

from nexusql.events import Event
from nexusql.interrupts import checked_limit

logger = logging.getLogger("nexusql.slow")

MOST_STATEMENTS = 1000
STEP = math.log(1.05)  # buckets grow by 5 %, so that a percentile is as exact
SHORTEST = 1e-6  # seconds


class SlowQueryLog:
    """Logs what takes `seconds` or longer, as a warning of the logger `nexusql.slow`: the text, never the values."""

    def __init__(self, seconds: float) -> None:
        self._seconds = checked_limit(seconds)

    def __call__(self, event: Event) -> None:
        if event.seconds >= self._seconds:
            outcome = f"{event.rows} rows" if event.error is None else type(event.error).__name__
            text = " ".join(event.sql.split()) or f"{event.operation} {event.table}".strip()
            logger.warning("%.3f s, %s: %s", event.seconds, outcome, text)


@dataclass(frozen=True, slots=True)
class StatementStatistics:
    """How long one statement takes, in seconds; the percentiles are exact to 5 %."""

    sql: str
    calls: int
    errors: int
    rows: int
    total: float
    p50: float
    p95: float
    p99: float


class Statistics:
    """Keeps the times of each statement in constant memory: of the `most` statements that were run last.

    Safe for any number of threads.
    """

    def __init__(self, most: int = MOST_STATEMENTS) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._times: OrderedDict[str, _Times] = OrderedDict()

    def __call__(self, event: Event) -> None:
        key = event.sql or f"{event.operation} {event.table}".strip()
        with self._lock:
            times = self._times.get(key)
            if times is None:
                times = self._times[key] = _Times()
                if len(self._times) > self._most:
                    self._times.popitem(last=False)
            self._times.move_to_end(key)
            times.add(event)

    def report(self) -> list[StatementStatistics]:
        """The statements, those first that took the most time in all."""
        with self._lock:
            found = [times.summary(sql) for sql, times in self._times.items()]
        return sorted(found, key=lambda summary: summary.total, reverse=True)

    def reset(self) -> None:
        """Forget all."""
        with self._lock:
            self._times.clear()


class _Times:
    """A histogram whose buckets grow by a constant factor."""

    __slots__ = ("buckets", "calls", "errors", "rows", "total")

    def __init__(self) -> None:
        self.calls = self.errors = self.rows = 0
        self.total = 0.0
        self.buckets: dict[int, int] = {}

    def add(self, event: Event) -> None:
        self.calls += 1
        self.errors += event.error is not None
        self.rows += max(event.rows, 0)
        self.total += event.seconds
        bucket = math.ceil(math.log(max(event.seconds, SHORTEST) / SHORTEST) / STEP)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1

    def summary(self, sql: str) -> StatementStatistics:
        p50, p95, p99 = (self._percentile(part) for part in (0.5, 0.95, 0.99))
        return StatementStatistics(sql, self.calls, self.errors, self.rows, self.total, p50, p95, p99)

    def _percentile(self, part: float) -> float:
        """The upper bound of the bucket in which that part of the calls ends."""
        wanted, seen = math.ceil(part * self.calls), 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= wanted:
                return SHORTEST * math.exp(bucket * STEP)
        return 0.0
