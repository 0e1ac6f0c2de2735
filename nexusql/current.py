"""Which transaction of each manager is open in this context: a thread's, a task's, or a job's that one awaits."""

import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING

from nexusql.engine import Engine
from nexusql.workers import responsible

if TYPE_CHECKING:
    from nexusql.transaction import Transaction

# Where a thread begins with the context of the one that started it, an open transaction in it is another's.
INHERITED = bool(getattr(sys.flags, "thread_inherit_context", False))

# Engine -> its open transaction, in this context. Replaced, never changed, so that a copied context keeps its own.
open_transactions: ContextVar[Mapping[Engine, "Transaction"] | None] = ContextVar(
    "nexusql_open_transactions", default=None
)


def open_in(engine: Engine) -> "Transaction | None":
    """The open transaction of this context."""
    transactions = open_transactions.get()
    transaction = None if transactions is None else transactions.get(engine)
    if INHERITED and transaction is not None and transaction.owner[0] != responsible()[0]:
        return None
    return transaction


def set_open(engine: Engine, transaction: "Transaction | None") -> None:
    """Make a transaction the open one of this context, or none."""
    transactions = {key: value for key, value in (open_transactions.get() or {}).items() if key is not engine}
    if transaction is not None:
        transactions[engine] = transaction
    open_transactions.set(transactions or None)


def roll_back_open(engine: Engine) -> None:
    """Roll back the open transaction of this context, where there is one."""
    transaction = open_in(engine)
    set_open(engine, None)
    if transaction is not None and transaction.is_open:
        transaction.rollback()
