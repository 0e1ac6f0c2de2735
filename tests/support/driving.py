"""A session of a backend, driven as the connection layer drives it."""

import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from nexusql.backends import backend_for
from nexusql.backends.base import Backend
from nexusql.config import ConnectionConfig
from nexusql.errors import Error


class Driven:
    """One session: `run` binds and executes, and raises what map_error makes of an error. A context manager."""

    def __init__(self, backend: Backend, config: ConnectionConfig, timeout: float = 10.0) -> None:
        self.backend = backend
        self.config = config
        self.raw: Any = None
        self._timeout = timeout

    def __enter__(self) -> "Driven":
        with self.mapping():
            self.raw = self.backend.connect(self.config, self._timeout)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.backend.close(self.raw)

    def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of one statement; `{}` in it stands for the values in turn."""
        with self.mapping(sql):
            args = [self.adapt(value) for value in values] or None
            text = sql.format(*[self.backend.syntax.placeholder] * len(values)) if values else sql
            cursor = self.backend.execute(self.raw, text, args)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def value(self, sql: str, *values: Any) -> Any:
        """The first column of the only row."""
        ((first, *_),) = self.run(sql, *values)
        return first

    def adapt(self, value: Any) -> Any:
        """A value as the binder hands it to the driver."""
        adapter = self.backend.adapters.get(type(value), self.backend.adapt_other)
        return value if adapter is None else adapter(value)

    @contextlib.contextmanager
    def mapping(self, sql: str | None = None) -> Iterator[None]:
        """Turn a driver's errors into nexusql's."""
        try:
            yield
        except Error:
            raise
        except Exception as error:
            raise self.backend.map_error(error, self.raw, sql) from error


@contextlib.contextmanager
def driven(url: str, timeout: float = 10.0) -> Iterator[Driven]:
    """A session on the database of a URL."""
    config = ConnectionConfig.from_url(url)
    with Driven(backend_for(config), config, timeout) as session:
        yield session
