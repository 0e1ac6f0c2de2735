"""What is written and read: the tables, their rows, and the statements."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle, islice
from typing import Any, TypeVar, overload

from nexusql.cli import demo

T = TypeVar("T")
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: `body` is what stands in the parentheses of its canonical CREATE TABLE, `columns` what is written.

    `json` are the columns that hold JSON, `key` the one by which an upsert finds the row that is there.
    """

    name: str
    body: str
    columns: tuple[str, ...]
    json: tuple[str, ...] = ()
    key: str = ""

    @property
    def column_list(self) -> str:
        """The columns with commas between them."""
        return ", ".join(self.columns)

    def insert(self, pattern: str) -> str:
        """The INSERT of one row; the pattern of a placeholder may have the column's name as {0}, its number as {1}."""
        values = ", ".join(pattern.format(name, number) for number, name in enumerate(self.columns, 1))
        return f"INSERT INTO {self.name} ({self.column_list}) VALUES ({values})"

    def assignments(self, pattern: str) -> str:
        """What an upsert sets: every column but the key, to what the pattern makes of its name, "excluded.{}"."""
        return ", ".join(f"{name} = {pattern.format(name)}" for name in self.columns if name != self.key)


@dataclass(frozen=True, slots=True)
class Query:
    """A SELECT with :named parameters."""

    sql: str
    params: Record

    @property
    def args(self) -> tuple[Any, ...]:
        """The parameters by position."""
        return tuple(self.params.values())

    def placed(self, pattern: str) -> str:
        """The text with other placeholders, by a pattern as `Table.insert` takes it."""
        text = self.sql
        for number, name in enumerate(self.params, 1):
            text = text.replace(f":{name}", pattern.format(name, number))
        return text


class Repeated(Sequence[T]):
    """`count` rows, made of a few rows again and again, so that a million take no room."""

    def __init__(self, rows: Sequence[T], count: int) -> None:
        self.rows, self.length = rows, count

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[T]:
        return islice(cycle(self.rows), self.length)

    @overload
    def __getitem__(self, at: int) -> T: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[T]: ...

    def __getitem__(self, at: int | slice) -> T | Sequence[T]:
        if isinstance(at, slice):
            return [self.rows[i % len(self.rows)] for i in range(*at.indices(self.length))]
        return self.rows[range(self.length)[at] % len(self.rows)]


def as_tuples(rows: Sequence[Record]) -> Sequence[tuple[Any, ...]]:
    """The values of dicts."""
    if isinstance(rows, Repeated):
        return Repeated(as_tuples(rows.rows), len(rows))
    return [tuple(row.values()) for row in rows]


BENCH = Table(
    "bench",
    "id INTEGER PRIMARY KEY, agent_name VARCHAR(255), success INTEGER, mode VARCHAR(50), declared_mode VARCHAR(50),"
    " retries INTEGER, score DOUBLE PRECISION, noted VARCHAR(50)",
    ("id", "agent_name", "success", "mode", "declared_mode", "retries", "score", "noted"),
)
METRICS = Table(
    "metrics",
    "id SERIAL PRIMARY KEY, agent_name VARCHAR(255) NOT NULL, success BOOLEAN NOT NULL, required_compensation BOOLEAN,"
    " required_human BOOLEAN, mode VARCHAR(50), declared_mode VARCHAR(50), mode_violation BOOLEAN,"
    " timestamp TIMESTAMP NOT NULL",
    tuple(next(demo.metrics("", 1))),
)
CHECKPOINTS = Table(
    "checkpoints",
    "checkpoint_id UUID PRIMARY KEY, thread_id VARCHAR(255) NOT NULL, pipeline_id VARCHAR(255) NOT NULL,"
    " step_id VARCHAR(255) NOT NULL, step_index INTEGER NOT NULL, step_name VARCHAR(255), timestamp TIMESTAMP NOT NULL,"
    " state JSONB NOT NULL, metadata JSONB, status VARCHAR(50)",
    tuple(next(demo.checkpoints("", 1))),
    json=("state", "metadata"),
)
WORKFLOWS = Table(
    "workflows",
    "workflow_id VARCHAR(255) PRIMARY KEY, steps INTEGER NOT NULL, retries INTEGER, success BOOLEAN NOT NULL,"
    " required_human BOOLEAN, timestamp TIMESTAMP NOT NULL",
    ("workflow_id", "steps", "retries", "success", "required_human", "timestamp"),
    key="workflow_id",
)

ONE_ROW = Query(
    f"SELECT {BENCH.column_list} FROM bench WHERE id = :id AND agent_name = :agent AND success = :success",
    {"id": 2, "agent": "agent-2", "success": 1},
)
ALL_ROWS = Query(f"SELECT {BENCH.column_list} FROM bench WHERE id > :after", {"after": 0})

STATEMENTS = (
    ONE_ROW.sql,
    "INSERT INTO reliability_steps (agent_name, success, required_compensation, required_human, mode, declared_mode,"
    " mode_violation, timestamp) VALUES (:agent_name, :success, :required_compensation, :required_human, :mode,"
    " :declared_mode, :mode_violation, :timestamp)",
    "SELECT e.execution_id, e.status, COUNT(s.step_id) AS steps -- finished ones only\n"
    "FROM pipeline_executions e LEFT JOIN step_executions s ON s.execution_id = e.execution_id\n"
    "WHERE e.pipeline_id = :pipeline AND e.status IN ('completed', 'failed') AND e.started_at >= :since\n"
    "GROUP BY e.execution_id, e.status ORDER BY e.started_at DESC LIMIT :limit OFFSET :offset",
    "UPDATE pipelines SET name = :name, description = :description, is_active = :is_active, updated_at = NOW()"
    " WHERE id = :id AND version = '1.0' /* the first */",
)


def bench(count: int) -> list[Record]:
    """Rows of BENCH."""
    values: Iterable[tuple[Any, ...]] = (
        (number, f"agent-{number % 25}", 1, "execute", "explore", number % 3, number / 7, f"note {number}")
        for number in range(1, count + 1)
    )
    return [dict(zip(BENCH.columns, row, strict=True)) for row in values]


def metrics(count: int) -> list[Record]:
    """Rows of METRICS."""
    return list(demo.metrics("bench", count))


def checkpoints(count: int) -> list[Record]:
    """Rows of CHECKPOINTS."""
    return list(demo.checkpoints("bench", count))


def workflows(count: int) -> list[Record]:
    """Rows of WORKFLOWS."""
    return [
        {
            "workflow_id": f"workflow-{number * 7919 % count}",
            "steps": number % 40,
            "retries": number % 3,
            "success": number % 9 > 0,
            "required_human": number % 50 == 0,
            "timestamp": demo.START + timedelta(seconds=number),
        }
        for number in range(count)
    ]


WIDE_TYPES = ("INTEGER", "VARCHAR(50)", "DOUBLE PRECISION", "TIMESTAMP")


def wide(columns: int) -> Table:
    """A table of so many columns: whole numbers, texts, floats and times in turn."""
    names = tuple(f"c{number}" for number in range(columns))
    body = ", ".join(f"{name} {WIDE_TYPES[number % 4]}" for number, name in enumerate(names))
    return Table(f"wide{columns}", body, names)


def wide_rows(columns: int, count: int) -> list[Record]:
    """Rows of `wide(columns)`."""
    moment = datetime(2026, 1, 1, 12, 30, 15, 250)
    table = wide(columns)
    return [
        {
            name: (number + at, f"text {number} {at}", number / (at + 3), moment + timedelta(seconds=number))[at % 4]
            for at, name in enumerate(table.columns)
        }
        for number in range(count)
    ]
