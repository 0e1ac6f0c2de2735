"""Running a whole transaction again where it met a conflict."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from nexusql.current import open_in
from nexusql.engine import Engine
from nexusql.errors import (
    ConnectionLost,
    DeadlockDetected,
    Error,
    LockTimeout,
    SerializationFailure,
    TransactionAborted,
)
from nexusql.transaction import Transaction, TransactionBlock

logger = logging.getLogger("nexusql.transaction")

T = TypeVar("T")


def run_in_transaction(engine: Engine, fn: Callable[[Transaction], T], retries: int) -> T:
    """Call `fn(tx)` in a transaction of its own and commit; again after a conflict, up to `retries` times.

    Inside an open transaction it is a nested block, and nothing is retried: only the outermost can be run again.
    """
    nested = open_in(engine) is not None
    attempt = 0
    while True:
        begun = False
        try:
            with TransactionBlock(engine) as transaction:
                begun = True
                result = fn(transaction)
                if transaction.failure is not None:
                    raise TransactionAborted(
                        "the function swallowed the error of a statement, so what it did was undone"
                    ) from transaction.failure
            return result
        except Error as error:
            if nested or attempt >= retries or not _worth_retrying(engine, error, begun):
                raise
            attempt += 1
            logger.debug("transaction is run again after %s (attempt %d)", type(error).__name__, attempt)
        time.sleep(random.uniform(0, min(1.0, 0.005 * 2 ** min(attempt, 10))))


def _worth_retrying(engine: Engine, error: Error, begun: bool) -> bool:
    """Whether running the whole transaction again can succeed; docs/ARCHITECTURE.md has the table."""
    if isinstance(error, (SerializationFailure, DeadlockDetected)):
        return True
    if isinstance(error, LockTimeout):
        return engine.backend.dooms(error) or engine.capabilities.single_writer
    return isinstance(error, ConnectionLost) and not begun
