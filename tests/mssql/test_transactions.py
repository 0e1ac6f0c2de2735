"""Transactions on SQL Server: what is sent, and what XACT_STATE() decides after an error."""

import pytest

from nexusql import errors
from nexusql.manager import DatabaseManager
from tsql import Server, error


def test_a_block_and_its_savepoint(db: DatabaseManager, server: Server) -> None:
    with db.transaction() as tx:
        tx.execute("INSERT INTO t (a) VALUES (1)")
        with tx.transaction():
            tx.execute("INSERT INTO t (a) VALUES (2)")
    begin, first, save, second, commit = server.texts
    assert (begin, commit) == ("BEGIN TRANSACTION", "COMMIT TRANSACTION")
    assert save.startswith("SAVE TRANSACTION [")
    assert first.startswith("INSERT")
    assert second.startswith("INSERT")


def test_a_nested_block_that_fails_is_undone_alone(db: DatabaseManager, server: Server) -> None:
    server.on("VALUES \\(2\\)", error("IntegrityError", "23000", 2627))
    with db.transaction() as tx:
        with pytest.raises(errors.UniqueViolation):
            with tx.transaction():
                tx.execute("INSERT INTO t (a) VALUES (2)")
        tx.execute("INSERT INTO t (a) VALUES (3)")
    assert server.texts[-1] == "COMMIT TRANSACTION"
    assert [text for text in server.texts if text.startswith("ROLLBACK TRANSACTION [")] != []


def test_strings_drive_the_same_machinery(db: DatabaseManager, server: Server) -> None:
    for text in ("BEGIN", "SAVE TRANSACTION Here", "ROLLBACK TRANSACTION HERE", "COMMIT TRANSACTION"):
        db.execute(text)
    assert server.texts == [
        "BEGIN TRANSACTION",
        "SAVE TRANSACTION [here]",
        "ROLLBACK TRANSACTION [here]",
        "COMMIT TRANSACTION",
    ]


def test_a_long_name_of_a_savepoint_keeps_to_32_characters(db: DatabaseManager, server: Server) -> None:
    name = "s" * 40
    db.execute("BEGIN")
    db.execute(f"SAVEPOINT {name}")
    db.execute(f"ROLLBACK TO SAVEPOINT {name.upper()}")
    db.execute(f"RELEASE SAVEPOINT {name}")
    db.execute("COMMIT")
    saved, back = (text.rpartition(" ")[2].strip("[]") for text in server.texts[1:3])
    assert saved == back
    assert len(saved) <= 32


@pytest.mark.parametrize(("state", "told"), [(-1, "cannot go on"), (0, "cannot go on")])
def test_a_transaction_that_cannot_go_on_takes_nothing_but_a_rollback(
    db: DatabaseManager, server: Server, state: int, told: str
) -> None:
    server.on("INSERT", error("DataError", "22018", 245))
    server.state = state
    with pytest.raises(errors.TransactionAborted, match=told):
        with db.transaction() as tx:
            with pytest.raises(errors.DataError):
                tx.execute("INSERT INTO t (a) VALUES ('x')")
            before = len(server.sent)
            with pytest.raises(errors.TransactionAborted):
                tx.execute("SELECT 1")
            assert len(server.sent) == before
    rolled_back = server.texts[-1] == "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION"
    assert rolled_back is (state == -1)
    assert "COMMIT TRANSACTION" not in server.texts


def test_after_an_error_that_ended_only_its_statement_the_block_decides(db: DatabaseManager, server: Server) -> None:
    server.on("INSERT", error("IntegrityError", "23000", 2627))
    with db.transaction() as tx:
        with pytest.raises(errors.UniqueViolation):
            tx.execute("INSERT INTO t (a) VALUES (1)")
        tx.execute("UPDATE t SET a = 2")
    assert server.texts[-1] == "COMMIT TRANSACTION"


def test_where_the_state_cannot_be_asked_the_session_is_closed(db: DatabaseManager, server: Server) -> None:
    server.on("INSERT", error("DataError", "22018", 245))
    server.on("XACT_STATE", error("OperationalError", "08S01", 0))
    with pytest.raises(errors.TransactionAborted):
        with db.transaction() as tx:
            with pytest.raises(errors.DataError):
                tx.execute("INSERT INTO t (a) VALUES ('x')")
            tx.execute("SELECT 1")
    assert server.connections[0].closed


@pytest.mark.parametrize("number", [1205, 3960])
def test_a_conflict_is_run_again(db: DatabaseManager, server: Server, number: int) -> None:
    failures = [error("Error", "40001", number)]

    def update(_args: object) -> object:
        if failures:
            server.state = 0
            return failures.pop()
        server.state = 1
        return 1

    server.on("UPDATE", update)
    assert db.run_in_transaction(lambda tx: tx.execute("UPDATE t SET a = 1").rowcount) == 1
    assert server.texts.count("BEGIN TRANSACTION") == 2
    assert server.texts.count("COMMIT TRANSACTION") == 1


def test_a_lost_commit_is_uncertain_and_never_run_again(db: DatabaseManager, server: Server) -> None:
    server.on("COMMIT", error("OperationalError", "08S01", 0))
    with pytest.raises(errors.CommitUncertain):
        db.run_in_transaction(lambda tx: tx.execute("UPDATE t SET a = 1"))
    assert server.texts.count("BEGIN TRANSACTION") == 1
    assert server.connections[0].closed


def test_a_level_of_isolation_is_the_transactions_alone(db: DatabaseManager, server: Server) -> None:
    with db.transaction(isolation="snapshot"):
        pass
    with db.transaction():
        pass
    assert server.texts == [
        "SET TRANSACTION ISOLATION LEVEL SNAPSHOT",
        "BEGIN TRANSACTION",
        "COMMIT TRANSACTION",
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "BEGIN TRANSACTION",
        "COMMIT TRANSACTION",
    ]


def test_where_the_level_cannot_be_taken_back_the_session_is_closed(db: DatabaseManager, server: Server) -> None:
    server.on("READ COMMITTED", error("OperationalError", "08S01", 0))
    with db.transaction(isolation="serializable"):
        pass
    assert server.connections[0].closed


def test_read_only_is_refused(db: DatabaseManager, server: Server) -> None:
    with pytest.raises(errors.NotSupportedError, match="read-only"):
        with db.transaction(read_only=True):
            pass
    assert "BEGIN TRANSACTION" not in server.texts


def test_a_level_of_isolation_is_taken_back_where_the_server_rolled_back(db: DatabaseManager, server: Server) -> None:
    server.on("UPDATE", error("Error", "40001", 1205))
    server.state = 0
    with pytest.raises(errors.DeadlockDetected):
        with db.transaction(isolation="serializable") as tx:
            tx.execute("UPDATE t SET a = 1")
    assert server.texts[-1] == "SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
    assert not server.connections[0].closed
