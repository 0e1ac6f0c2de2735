"""The server's numbers and ODBC's SQLSTATEs become nexusql's errors, which are pyodbc's too."""

import pickle

import pyodbc
import pytest

from nexusql import errors
from nexusql.manager import DatabaseManager
from tsql import Server, Several, error

FK = 'The INSERT statement conflicted with the FOREIGN KEY constraint "CHECK_it". The conflict occurred in database "d"'
CHECK = 'The INSERT statement conflicted with the CHECK constraint "FOREIGN KEY". The conflict occurred in database "d"'
LATER = "[23000] [Microsoft][ODBC Driver 18 for SQL Server][SQL Server]first (2627) (SQLExecDirectW); [23000] x (3621)"


@pytest.mark.parametrize(
    ("kind", "sqlstate", "number", "text", "expected"),
    [
        ("IntegrityError", "23000", 2627, "Violation of UNIQUE KEY constraint", errors.UniqueViolation),
        ("IntegrityError", "23000", 2601, "Cannot insert duplicate key row", errors.UniqueViolation),
        ("IntegrityError", "23000", 547, FK, errors.ForeignKeyViolation),
        ("IntegrityError", "23000", 547, CHECK, errors.CheckViolation),
        ("IntegrityError", "23000", 515, "Cannot insert the value NULL", errors.NotNullViolation),
        ("ProgrammingError", "42000", 8152, "String or binary data would be truncated.", errors.DataError),
        ("DataError", "22001", 2628, "String or binary data would be truncated in table", errors.DataError),
        ("DataError", "22018", 245, "Conversion failed when converting (1205) (SQLx) the value", errors.DataError),
        ("ProgrammingError", "22012", 8134, "Divide by zero error encountered.", errors.DataError),
        ("ProgrammingError", "42S22", 207, "Invalid column name 'x'.", errors.UndefinedColumn),
        ("ProgrammingError", "42S02", 208, "Invalid object name 't'.", errors.UndefinedTable),
        ("ProgrammingError", "42000", 102, "Incorrect syntax near 'x'.", errors.SQLSyntaxError),
        ("ProgrammingError", "42000", 156, "Incorrect syntax near the keyword 'x'.", errors.SQLSyntaxError),
        ("ProgrammingError", "42000", 170, "Incorrect syntax.", errors.SQLSyntaxError),
        ("Error", "21000", 512, "Subquery returned more than 1 value.", errors.ProgrammingError),
        ("ProgrammingError", "42S01", 2714, "There is already an object named 't'.", errors.ProgrammingError),
        ("Error", "40001", 1205, "Transaction was deadlocked", errors.DeadlockDetected),
        ("ProgrammingError", "42000", 1222, "Lock request time out period exceeded.", errors.LockTimeout),
        ("ProgrammingError", "42000", 3960, "Snapshot isolation transaction aborted", errors.SerializationFailure),
        ("Error", "40001", 0, "Serialization failure", errors.SerializationFailure),
        ("ProgrammingError", "42000", 229, "The SELECT permission was denied", errors.OperationalError),
        ("ProgrammingError", "42000", 3930, "The current transaction cannot be committed", errors.TransactionAborted),
        ("OperationalError", "HYT00", 0, "Query timeout expired", errors.QueryTimeout),
        ("OperationalError", "08S01", 10054, "TCP Provider: An existing connection was closed", errors.ConnectionLost),
        ("OperationalError", "HYT01", 0, "Connection timeout expired", errors.ConnectionLost),
        ("ProgrammingError", "42000", 99999, "Something new", errors.ProgrammingError),
        ("DataError", "22003", 0, "Numeric value out of range", errors.DataError),
    ],
)
def test_an_error_is_of_both_classes(
    db: DatabaseManager, server: Server, kind: str, sqlstate: str, number: int, text: str, expected: type[errors.Error]
) -> None:
    raised = error(kind, sqlstate, number, text)
    server.on("SELECT", raised)
    with pytest.raises(expected) as caught:
        db.execute("SELECT a FROM t")
    found = caught.value
    assert isinstance(found, type(raised))
    assert (found.sqlstate, found.code, found.sql) == (sqlstate, number or None, "SELECT a FROM t")
    assert found.args == raised.args
    assert found.__cause__ is raised
    again = pickle.loads(pickle.dumps(found))
    assert type(again) is type(found)


def test_the_first_of_several_records_counts(db: DatabaseManager, server: Server) -> None:
    server.on("INSERT", pyodbc.IntegrityError("23000", LATER))
    with pytest.raises(errors.UniqueViolation):
        db.execute("INSERT INTO t (a) VALUES (1)")


def test_a_lost_connection_during_a_write_leaves_its_outcome_open(db: DatabaseManager, server: Server) -> None:
    server.on("INSERT", error("OperationalError", "08S01", 0))
    with pytest.raises(errors.CommitUncertain):
        db.execute("INSERT INTO t (a) VALUES (1)")
    assert server.connections[0].closed
    server.on("SELECT 5", [(5,)])
    assert db.fetch_value("SELECT 5") == 5
    assert len(server.connections) == 2


def test_an_error_of_a_batchs_later_part_is_raised(db: DatabaseManager, server: Server) -> None:
    server.on("EXEC", Several([1, error("IntegrityError", "23000", 2627)]))
    with pytest.raises(errors.UniqueViolation):
        db.execute("EXEC p")
    server.on("EXEC", Several([[(1,)], error("IntegrityError", "23000", 515)]))
    with pytest.raises(errors.NotNullViolation):
        db.execute("EXEC p")


def test_rows_behind_counts_are_found(db: DatabaseManager, server: Server) -> None:
    server.on("EXEC", Several([3, 2, [(7,)], 1]))
    assert db.execute("EXEC p").scalar() == 7


def test_a_tolerated_error_gives_no_rows(db: DatabaseManager, server: Server) -> None:
    server.on("INSERT", error("IntegrityError", "23000", 2627))
    assert db.execute("INSERT INTO t (a) VALUES (:a) ON CONFLICT DO NOTHING", {"a": 1}) == []
