"""The calls that a manager and a transaction share, all in terms of `execute`."""

from abc import ABC, abstractmethod
from typing import Any, TypeVar, overload

from nexusql.engine import Params
from nexusql.errors import NotSupportedError
from nexusql.results import Row, Rows

T = TypeVar("T")


class Calls(ABC):
    """Reads and writes on top of one abstract `execute`."""

    @overload
    def execute(self, sql: str, params: Params = None, *, into: None = None, timeout: float | None = None) -> Rows: ...
    @overload
    def execute(self, sql: str, params: Params = None, *, into: type[T], timeout: float | None = None) -> Rows[T]: ...
    @abstractmethod
    def execute(self, sql: str, params: Params = None, *, into: Any = None, timeout: float | None = None) -> Rows[Any]:
        """Run one statement."""

    @overload
    def fetch_one(self, sql: str, params: Params = None, *, into: None = None) -> Row | None: ...
    @overload
    def fetch_one(self, sql: str, params: Params = None, *, into: type[T]) -> T | None: ...
    def fetch_one(self, sql: str, params: Params = None, *, into: Any = None) -> Any:
        """The first row as a dict, or as an `into`, None where there is none. Raises what `execute` raises."""
        rows = self.execute(sql, params, into=into)
        if not rows:
            return None
        return Row(rows[0]) if into is None else rows[0]

    @overload
    def fetch_all(self, sql: str, params: Params = None, *, into: None = None) -> Rows: ...
    @overload
    def fetch_all(self, sql: str, params: Params = None, *, into: type[T]) -> Rows[T]: ...
    def fetch_all(self, sql: str, params: Params = None, *, into: Any = None) -> Rows[Any]:
        """All rows. Raises what `execute` raises."""
        return self.execute(sql, params, into=into)

    def fetch_value(self, sql: str, params: Params = None) -> Any:
        """The first column of the first row, or None where there is no row. Raises what `execute` raises."""
        return self.execute(sql, params).scalar()

    def insert(self, table: str, row: dict[str, Any], *, returning: Any = None) -> Any:
        """Insert one row; comes with the bulk writes."""
        raise _later("insert")

    def bulk_insert(self, table: str, rows: Any, **options: Any) -> Any:
        """Insert many rows; comes with the bulk writes."""
        raise _later("bulk_insert")

    def stream(self, sql: str, params: Params = None, chunk_size: int = 1000) -> Any:
        """Read in constant memory; comes with the bulk writes."""
        raise _later("stream")

    @staticmethod
    def _refuse_later(**options: Any) -> None:
        for name, value in options.items():
            if value is not None:
                raise _later(f"{name}=")


def _later(what: str) -> NotSupportedError:
    return NotSupportedError(f"{what} is not in this release")
