"""One statement for many sets of parameters, where the driver runs them faster than a loop would."""

from collections.abc import Iterator

from nexusql._speedups import END, FAULT, OTHER, flat_rows
from nexusql.connection import Connection
from nexusql.engine import Engine, Params
from nexusql.interrupts import check_interrupted
from nexusql.sql.statement import Statement

BATCH = 1_000  # sets of parameters that are bound at once


def can_batch(engine: Engine, statement: Statement) -> bool:
    """Whether the driver may be given a statement with all its parameters: one that only writes, and gives no rows."""
    plain = statement.plain and statement.names and not statement.lists and statement.order is None
    writes = statement.verb in ("INSERT", "UPDATE", "DELETE", "REPLACE") and "RETURNING" not in statement.source.upper()
    return bool(engine.capabilities.batches and plain and writes)


def execute_batches(
    engine: Engine, connection: Connection, statement: Statement, rows: Iterator[Params], positional: bool
) -> int:
    """Run a statement for each set of parameters; the exact total of rows affected.

    The sets are dicts unless they are `positional`. Raises what `execute` raises.
    """
    backend, width, total, done = engine.backend, len(statement.names), 0, 0
    names = None if positional else statement.names
    status = -1
    while status != END:
        flat, taken, status, detail = flat_rows(
            None, rows, names, width, True, backend.adapters, backend.adapt_other, BATCH, None
        )
        check_interrupted()
        if taken:
            sets = zip(*[iter(flat)] * width, strict=True)
            total += connection.perform(backend.execute_batch, statement.text, sets)
        done += taken
        if status == FAULT:
            engine.prepare_row(done, statement.source, detail[0], connection.modes)  # raises the error with its place
            raise detail[2]
        if status == OTHER:
            plan = engine.prepare_row(done, statement.source, detail, connection.modes)
            total += engine.run_on(connection, *plan, detail).rowcount
            done += 1
    return total
