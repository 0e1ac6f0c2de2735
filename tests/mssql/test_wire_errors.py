"""The server's errors, and sessions that break, by real ODBC drivers."""

from collections.abc import Callable
from typing import Any

import pyodbc
import pytest

from nexusql import errors
from nexusql.manager import DatabaseManager
from tds_server import COMMITTED, Drop, Fault, Info, Rows, Server, Turn

FK = 'The INSERT statement conflicted with the FOREIGN KEY constraint "CHECK_it".'
CHECK = 'The INSERT statement conflicted with the CHECK constraint "FOREIGN KEY".'
N = {"n": "int"}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(2627, "Violation of UNIQUE KEY constraint (1205)", 14), errors.UniqueViolation),
        (Fault(2601, "Cannot insert duplicate key row", 14), errors.UniqueViolation),
        (Fault(547, FK), errors.ForeignKeyViolation),
        (Fault(547, CHECK), errors.CheckViolation),
        (Fault(515, "Cannot insert the value NULL"), errors.NotNullViolation),
        (Fault(8152, "String or binary data would be truncated."), errors.DataError),
        (Fault(2628, "String or binary data would be truncated in table 't'"), errors.DataError),
        (Fault(245, "Conversion failed when converting the value 'x (1205)' to int."), errors.DataError),
        (Fault(8134, "Divide by zero error encountered."), errors.DataError),
        (Fault(207, "Invalid column name 'x'."), errors.UndefinedColumn),
        (Fault(208, "Invalid object name 't'."), errors.UndefinedTable),
        (Fault(102, "Incorrect syntax near 'x'.", 15), errors.SQLSyntaxError),
        (Fault(1205, "Transaction was deadlocked", 13), errors.DeadlockDetected),
        (Fault(1222, "Lock request time out period exceeded."), errors.LockTimeout),
        (Fault(3960, "Snapshot isolation transaction aborted"), errors.SerializationFailure),
        (Fault(229, "The SELECT permission was denied", 14), errors.OperationalError),
        (Fault(596, "Cannot continue the execution", 21), errors.ConnectionLost),
        (Fault(50000, "A trigger's own words"), errors.ProgrammingError),
    ],
)
@pytest.mark.parametrize("params", [None, {"n": 1}])
def test_a_number_becomes_the_class_that_says_so(
    wired: DatabaseManager, tds: Server, fault: Fault, expected: type[errors.Error], params: dict[str, Any] | None
) -> None:
    tds.on("^SELECT n", fault)
    with pytest.raises(expected) as caught:
        wired.execute("SELECT n FROM t" + (" WHERE n = :n" if params else ""), params)
    assert caught.value.code == fault.number
    assert isinstance(caught.value, pyodbc.Error)
    assert fault.text in str(caught.value)
    assert wired.fetch_value("SELECT 1") == 1
    assert len(tds.sessions) == (2 if expected is errors.ConnectionLost else 1)


def test_messages_are_no_errors(wired: DatabaseManager, tds: Server) -> None:
    tds.on("^SELECT n", [Info(5701, "Changed database context"), Rows(N, [(1,)]), Info(0, "Printed")])
    assert wired.execute("SELECT n FROM t") == [{"n": 1}]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([1, Fault(2627)], errors.UniqueViolation),
        ([1, Rows(N, [(1,)]), Fault(515)], errors.NotNullViolation),
        (Rows(N, [(1,), Fault(8134)]), errors.DataError),
    ],
)
def test_an_error_behind_counts_and_rows_is_raised(
    wired: DatabaseManager, tds: Server, answer: Any, expected: type[errors.Error]
) -> None:
    tds.on("^EXEC", answer)
    with pytest.raises(expected):
        wired.execute("EXEC p")
    assert wired.fetch_value("SELECT 1") == 1


def test_rows_behind_counts_are_found(wired: DatabaseManager, tds: Server) -> None:
    tds.on("^EXEC", [3, None, Rows(N, [(7,)]), 1])
    assert wired.execute("EXEC p").scalar() == 7


def test_a_value_for_a_numbered_column_is_announced(wired: DatabaseManager, tds: Server) -> None:
    tds.on("^INSERT", Fault(544, "Cannot insert explicit value for identity column"))
    tds.on("^SET IDENTITY_INSERT t ON; INSERT", [None, 1, None])
    assert wired.execute("INSERT INTO t (id) VALUES (:id)", {"id": 5}).rowcount == 1
    assert tds.requests[-1].values == [5]
    tds.on("^SET IDENTITY_INSERT t ON; INSERT", [None, Rows({"id": "int"}, [(5,)]), None])
    assert wired.execute("INSERT INTO t (id) VALUES (:id) RETURNING id", {"id": 5}).scalar() == 5


@pytest.mark.parametrize("rows", [[(1,), Fault(8134)], [(n,) for n in range(150)] + [Fault(8134)]])
def test_an_announcement_is_taken_back_after_an_error_amid_rows(
    wired: DatabaseManager, tds: Server, rows: list[Any]
) -> None:
    tds.on("^INSERT", Fault(544))
    tds.on("^SET IDENTITY_INSERT t ON; INSERT", [None, Rows({"id": "int"}, rows), None])
    with pytest.raises(errors.DataError):
        wired.execute("INSERT INTO t (id) SELECT id FROM s RETURNING id")
    assert tds.requests[-1].text == "SET IDENTITY_INSERT t OFF"


@pytest.mark.parametrize("number", [544, 334])
@pytest.mark.parametrize("state", [0, -1])
def test_nothing_is_run_again_outside_the_transaction_that_it_belonged_to(
    wired: DatabaseManager, tds: Server, number: int, state: int
) -> None:
    tds.on("^INSERT", Fault(number, state=state))
    with pytest.raises(errors.TransactionAborted):
        with wired.transaction() as tx:
            with pytest.raises(errors.ProgrammingError) as caught:
                tx.execute("INSERT INTO t (id) VALUES (:id) RETURNING id", {"id": 5})
            assert caught.value.code == number
    assert sum("INSERT INTO t" in request.text for request in tds.requests) == 1
    assert not any("#nexusql" in text for text in tds.texts)
    assert wired.fetch_value("SELECT 1") == 1


def test_in_a_transaction_that_goes_on_a_value_is_announced(wired: DatabaseManager, tds: Server) -> None:
    tds.on("^INSERT", Fault(544))
    tds.on("^SET IDENTITY_INSERT t ON; INSERT", [None, 1, None])
    with wired.transaction() as tx:
        assert tx.execute("INSERT INTO t (id) VALUES (:id)", {"id": 5}).rowcount == 1
    assert tds.texts[-1] == "COMMIT TRANSACTION"


def test_rows_of_output_are_fetched_around_a_trigger(wired: DatabaseManager, tds: Server) -> None:
    tds.on("OUTPUT INSERTED.id(?! INTO)", Fault(334, "The target table cannot have any enabled triggers"))
    tds.on(r"^SELECT \* FROM #nexusql_output", [Rows({"id": "int"}, [(7,)]), None])
    assert wired.execute("UPDATE t SET n = :n RETURNING id", {"n": 1}) == [{"id": 7}]
    assert tds.last("^UPDATE .* INTO #nexusql_output").values == [1]


@pytest.mark.parametrize("state", [0, -1])
def test_a_transaction_that_the_server_gave_up_is_not_committed(
    wired: DatabaseManager, tds: Server, state: int
) -> None:
    tds.on("^INSERT", Fault(245, state=state))
    with pytest.raises(errors.TransactionAborted):
        with wired.transaction() as tx:
            with pytest.raises(errors.DataError):
                tx.execute("INSERT INTO t (n) VALUES (:n)", {"n": "x"})
            tx.execute("SELECT 1")
    assert "COMMIT TRANSACTION" not in tds.texts
    assert [session.transaction for session in tds.sessions] == [0]
    assert wired.fetch_value("SELECT 1") == 1


def test_after_an_error_of_one_statement_the_transaction_goes_on(wired: DatabaseManager, tds: Server) -> None:
    tds.on("^INSERT", Fault(2627))
    with wired.transaction() as tx:
        with pytest.raises(errors.UniqueViolation):
            tx.execute("INSERT INTO t (n) VALUES (:n)", {"n": 1})
        with pytest.raises(errors.UniqueViolation):
            with tx.transaction():
                tx.execute("INSERT INTO t (n) VALUES (2)")
        assert tx.execute("UPDATE t SET n = :n", {"n": 2}).rowcount == 1
    save, back = (text for text in tds.texts if text.startswith(("SAVE", "ROLLBACK")))
    assert save.removeprefix("SAVE ") == back.removeprefix("ROLLBACK ")
    assert tds.texts[-1] == "COMMIT TRANSACTION"
    inside = [r for r in tds.requests if r.text.startswith(("INSERT", "UPDATE", "SAVE", "ROLLBACK", "COMMIT"))]
    assert len({request.transaction for request in inside} - {0}) == len({request.transaction for request in inside})


@pytest.mark.parametrize("fault", [Fault(1205, "Transaction was deadlocked", 13, state=0), Fault(3960, state=0)])
def test_a_conflict_is_run_again(wired: DatabaseManager, tds: Server, fault: Fault) -> None:
    failures = [fault]
    tds.on("^UPDATE", lambda request: failures.pop() if failures else 1)
    assert wired.run_in_transaction(lambda tx: tx.execute("UPDATE t SET n = 1").rowcount) == 1
    assert tds.texts.count("BEGIN TRANSACTION") == 2
    assert tds.texts.count("COMMIT TRANSACTION") == 1


@pytest.fixture(params=[False, True], ids=["closed", "reset"])
def broken(request: pytest.FixtureRequest) -> Drop:
    """A connection that ends, or is reset."""
    return Drop(request.param)


def read(db: DatabaseManager) -> None:
    db.execute("SELECT n FROM t")


def read_with_values(db: DatabaseManager) -> None:
    db.execute("SELECT n FROM t WHERE n = :n", {"n": 1})


def write(db: DatabaseManager) -> None:
    db.execute("INSERT INTO t (n) VALUES (1)")


def write_with_values(db: DatabaseManager) -> None:
    db.execute("INSERT INTO t (n) VALUES (:n)", {"n": 1})


def write_in_a_transaction(db: DatabaseManager) -> None:
    with db.transaction() as tx:
        tx.execute("INSERT INTO t (n) VALUES (1)")


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (read, errors.ConnectionLost),
        (read_with_values, errors.ConnectionLost),
        (write, errors.CommitUncertain),
        (write_with_values, errors.CommitUncertain),
        (write_in_a_transaction, errors.ConnectionLost),
    ],
)
def test_a_session_that_breaks_amid_a_statement_is_lost_and_replaced(
    wired: DatabaseManager, tds: Server, broken: Drop, act: Callable[[DatabaseManager], None], expected: type[Exception]
) -> None:
    tds.on("^(SELECT n|INSERT)", broken)
    with pytest.raises(errors.Error) as caught:
        act(wired)
    assert isinstance(caught.value, expected)
    assert isinstance(caught.value, errors.CommitUncertain) is (expected is errors.CommitUncertain)
    assert wired.fetch_value("SELECT 1") == 1
    assert len(tds.sessions) == 2


def test_a_session_that_breaks_amid_rows_is_lost(wired: DatabaseManager, tds: Server, broken: Drop) -> None:
    tds.on("^SELECT n", lambda request: Rows(N, [*((n,) for n in range(2000)), broken]))
    with pytest.raises(errors.ConnectionLost):
        wired.execute("SELECT n FROM t")
    seen = []
    with pytest.raises(errors.ConnectionLost):
        with wired.stream("SELECT n FROM t", chunk_size=100) as rows:
            seen += [row["n"] for row in rows]
    assert seen == list(range(len(seen)))
    assert wired.fetch_value("SELECT 1") == 1


def test_a_commit_whose_answer_is_lost_is_uncertain_and_not_run_again(
    wired: DatabaseManager, tds: Server, broken: Drop
) -> None:
    tds.on("^COMMIT", [Turn(COMMITTED), broken])
    with pytest.raises(errors.CommitUncertain):
        wired.run_in_transaction(lambda tx: tx.execute("UPDATE t SET n = 1"))
    assert tds.texts.count("BEGIN TRANSACTION") == 1
    assert wired.fetch_value("SELECT 1") == 1


def test_a_session_that_broke_while_it_was_idle_is_replaced_before_it_is_used(
    wired: DatabaseManager, tds: Server, broken: Drop
) -> None:
    assert wired.fetch_value("SELECT 1") == 1
    (session,) = tds.sessions
    if broken.reset:
        session.channel.reset()
    else:
        session.channel.close()
    session.join(10)
    write(wired)
    assert len(tds.sessions) == 2
