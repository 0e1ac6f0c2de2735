"""The calls that a manager and a transaction share, all in terms of `execute`."""

from abc import ABC, abstractmethod
from typing import Any

from nexusql.engine import Params
from nexusql.errors import NotSupportedError
from nexusql.results import Record, Row, Rows
from nexusql.stream import Source, Stream, as_dicts


class Calls(ABC):
    """Reads and writes on top of one abstract `execute`."""

    @abstractmethod
    def execute(self, sql: str, params: Params = None, *, into: Any = None, timeout: float | None = None) -> Rows:
        """Run one statement."""

    def fetch_one(self, sql: str, params: Params = None) -> Row | None:
        """The first row as a dict, or None where there is none. Raises what `execute` raises."""
        rows = self.execute(sql, params)
        return Row(rows[0]) if rows else None

    def fetch_all(self, sql: str, params: Params = None) -> Rows:
        """All rows. Raises what `execute` raises."""
        return self.execute(sql, params)

    def fetch_value(self, sql: str, params: Params = None) -> Any:
        """The first column of the first row, or None where there is no row. Raises what `execute` raises."""
        return self.execute(sql, params).scalar()

    def insert(self, table: str, row: dict[str, Any], *, returning: Any = None) -> Any:
        """Insert one row; comes with the bulk writes."""
        raise _later("insert")

    def bulk_insert(self, table: str, rows: Any, **options: Any) -> Any:
        """Insert many rows; comes with the bulk writes."""
        raise _later("bulk_insert")

    def stream(self, sql: str, params: Params = None, chunk_size: int = 1000) -> Stream[Record]:
        """The rows one by one, as dicts, `chunk_size` of them in memory: for `with` and `for`.

        Raises ParameterError and SQLSyntaxError at once, and when the query is run what `execute` raises; an error in
        the middle of the rows is raised there.
        """
        return Stream(self._source(), sql, params, chunk_size, as_dicts)

    @abstractmethod
    def _source(self) -> Source:
        """Where a stream reads."""

    @staticmethod
    def _refuse_later(**options: Any) -> None:
        for name, value in options.items():
            if value is not None:
                raise _later(f"{name}=")


def _later(what: str) -> NotSupportedError:
    return NotSupportedError(f"{what} is not in this release")
