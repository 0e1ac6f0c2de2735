"""What observers are told of: each statement, bulk write and end of a transaction, and never a value."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter, time_ns

from nexusql.config import ConnectionConfig

logger = logging.getLogger("nexusql")


@dataclass(slots=True)
class Event:
    """One operation, when it is over.

    `operation` is the statement's first word ("SELECT", "COMMIT"), or "BULK INSERT"; `sql` the statement as the caller
    wrote it, its parameters by name, "" for what has no text. `rows` were affected or returned; -1 where that is not
    known, as of a stream. `batch` is the number of rows that a bulk write was given. `started` is in nanoseconds since
    the epoch, `seconds` the time it took.
    """

    operation: str
    sql: str
    config: ConnectionConfig = field(repr=False)
    server: str = ""  # its name and version
    table: str = ""
    rows: int = -1
    batch: int | None = None
    started: int = 0
    seconds: float = 0.0
    error: BaseException | None = None


Observer = Callable[[Event], object]


@contextmanager
def observed(observers: Sequence[Observer], event: Event) -> Iterator[Event]:
    """Time what is done inside, and tell the observers; what they raise is logged, and nobody else's."""
    event.started = time_ns()
    began = perf_counter()
    try:
        yield event
    except BaseException as error:
        event.error = error
        raise
    finally:
        event.seconds = perf_counter() - began
        for observer in observers:
            try:
                observer(event)
            except Exception:
                logger.exception("an observer failed")
