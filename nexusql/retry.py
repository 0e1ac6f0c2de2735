"""Running a whole transaction again where it met a conflict."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from nexusql.blocks import TransactionBlock
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
from nexusql.transaction import Transaction

logger = logging.getLogger("nexusql.transaction")

T = TypeVar("T")


class Attempts:
    """How often, and when, a transaction is begun again. Inside an open one nothing is retried: only the outermost can
    be run again."""

    def __init__(self, engine: Engine, retries: int) -> None:
        self._engine = engine
        self._left = 0 if open_in(engine) is not None else retries
        self._failed = 0

    def pause_after(self, error: Error, begun: bool) -> float | None:
        """Seconds to wait before the next attempt, at random; None where there is none."""
        if not self._left or not _worth_retrying(self._engine, error, begun):
            return None
        self._left -= 1
        self._failed += 1
        logger.debug("transaction is run again after %s (attempt %d)", type(error).__name__, self._failed)
        return random.uniform(0, min(1.0, 0.005 * 2 ** min(self._failed, 10)))


def refuse_swallowed(transaction: Transaction) -> None:
    """Raise TransactionAborted where a statement's error was caught and kept inside."""
    if transaction.failure is not None:
        raise TransactionAborted(
            "the function swallowed the error of a statement, so what it did was undone"
        ) from transaction.failure


def run_in_transaction(engine: Engine, fn: Callable[[Transaction], T], retries: int) -> T:
    """Call `fn(tx)` in a transaction of its own and commit; again after a conflict, up to `retries` times."""
    attempts = Attempts(engine, retries)
    while True:
        begun = False
        try:
            with TransactionBlock(engine) as transaction:
                begun = True
                result = fn(transaction)
                refuse_swallowed(transaction)
            return result
        except Error as error:
            pause = attempts.pause_after(error, begun)
            if pause is None:
                raise
        time.sleep(pause)


def _worth_retrying(engine: Engine, error: Error, begun: bool) -> bool:
    """Whether running the whole transaction again can succeed; docs/ARCHITECTURE.md has the table."""
    if isinstance(error, (SerializationFailure, DeadlockDetected)):
        return True
    if isinstance(error, LockTimeout):
        return engine.backend.dooms(error) or engine.capabilities.single_writer
    return isinstance(error, ConnectionLost) and not begun
