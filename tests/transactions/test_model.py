"""Random nestings of blocks, failures and swallowed errors against a model dict (test plan 23)."""

from typing import cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexusql import DatabaseManager
from nexusql.errors import TransactionAborted, UniqueViolation
from nexusql.transaction import Transaction

# A block is a list of steps: a number to insert, or a nested block and whether it ends in an error.
steps = st.recursive(
    st.integers(0, 8),
    lambda inner: st.tuples(st.lists(inner, max_size=5), st.booleans()),
    max_leaves=14,
)
blocks = st.lists(st.tuples(st.lists(steps, max_size=6), st.booleans()), max_size=4)


class Stop(Exception):
    """Ends a block by an error of its own."""


def run(tx: Transaction, block: list[object], fails: bool, model: set[int]) -> None:
    """Play a block's steps on the transaction and on the model alike."""
    for step in block:
        if isinstance(step, int):
            insert(tx, step, model)
        else:
            inner, inner_fails = cast(tuple[list[object], bool], step)
            before = set(model)
            try:
                with tx.transaction():
                    run(tx, inner, inner_fails, model)
            except Stop:
                model.clear()
                model.update(before)
    if fails:
        raise Stop


def insert(tx: Transaction, number: int, model: set[int]) -> None:
    """Insert one number in a block of its own, so that a key that is there already undoes nothing else."""
    try:
        with tx.transaction():
            tx.execute("INSERT INTO journal (v) VALUES (:v)", {"v": number})
        assert number not in model
        model.add(number)
    except UniqueViolation:
        assert number in model


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(blocks=blocks)
def test_the_database_is_what_the_model_says(journal: DatabaseManager, blocks: list[tuple[list[object], bool]]) -> None:
    journal.execute("DELETE FROM journal")
    model: set[int] = set()
    for block, fails in blocks:
        before = set(model)
        try:
            with journal.transaction() as tx:
                run(tx, block, fails, model)
                seen = {row["v"] for row in tx.execute("SELECT v FROM journal")}
                assert seen == model
        except Stop:
            model = before
        except TransactionAborted:
            raise AssertionError("every failure was undone by a block of its own") from None
        assert {row["v"] for row in journal.execute("SELECT v FROM journal")} == model
