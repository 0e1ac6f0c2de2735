"""What is SQLite's own."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from nexusql import DatabaseManager
from nexusql.errors import ForeignKeyViolation, LockTimeout


@pytest.mark.parametrize("url", ["sqlite://:memory:", "sqlite:///:memory:", "sqlite://"])
def test_memory_is_one_database_for_all_threads(url: str) -> None:
    with DatabaseManager(url) as db:
        db.execute("CREATE TABLE t (v INTEGER)")
        threads = [
            threading.Thread(target=lambda: [db.execute("INSERT INTO t (v) VALUES (:v)", {"v": n}) for n in range(50)])
            for _ in range(10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert db.fetch_value("SELECT COUNT(*) FROM t") == 500


def test_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "test.db"
    with DatabaseManager(f"sqlite:///{path}") as db:
        db.execute("CREATE TABLE t (v INTEGER)")
    assert path.exists()


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url, name in (("sqlite:///rel/one.db", "rel/one.db"), ("sqlite://two.db", "two.db")):
        with DatabaseManager(url) as db:
            db.execute("CREATE TABLE t (v INTEGER)")
        assert (tmp_path / name).exists()


def test_a_closed_database_is_one_file(tmp_path: Path) -> None:
    with DatabaseManager(f"sqlite:///{tmp_path}/test.db") as db:
        db.execute("CREATE TABLE t (v INTEGER)")
        db.bulk_insert("t", [{"v": n} for n in range(1000)])
        with db.transaction(), db.detached():
            assert db.fetch_value("SELECT COUNT(*) FROM t") == 1000  # on a second connection
        with db.stream("SELECT v FROM t", chunk_size=10) as rows:
            assert next(rows) == {"v": 0}
    assert [path.name for path in tmp_path.iterdir()] == ["test.db"]
    with closing(sqlite3.connect(tmp_path / "test.db")) as copied:
        assert copied.execute("SELECT COUNT(*) FROM t").fetchone() == (1000,)


def children_without_parents(db: DatabaseManager) -> None:
    db.execute("INSERT INTO child (p) VALUES (99)")


def tables(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    db.execute("CREATE TABLE child (p INTEGER REFERENCES parent (id))")


def test_foreign_keys_stay_off_unless_asked_for(tmp_path: Path) -> None:
    with DatabaseManager(f"sqlite:///{tmp_path}/a.db") as db:
        tables(db)
        children_without_parents(db)
    with DatabaseManager(f"sqlite:///{tmp_path}/b.db?foreign_keys=on") as db:
        tables(db)
        with pytest.raises(ForeignKeyViolation):
            children_without_parents(db)


def test_the_foreign_keys_pragma_holds_at_once_on_every_connection(tmp_path: Path) -> None:
    with DatabaseManager(f"sqlite:///{tmp_path}/a.db", pool_min=3) as db:
        tables(db)
        children_without_parents(db)
        db.execute("PRAGMA foreign_keys = ON")
        errors: list[BaseException] = []
        gate = threading.Barrier(4)

        def work() -> None:
            try:
                with db.transaction(read_only=True):
                    gate.wait(10)  # four connections at once
                    assert db.fetch_value("PRAGMA foreign_keys") == 1
                with pytest.raises(ForeignKeyViolation):
                    children_without_parents(db)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        db.execute("PRAGMA foreign_keys = OFF")
        children_without_parents(db)


def test_error_texts_are_sqlites_own(tmp_path: Path) -> None:
    with DatabaseManager(f"sqlite:///{tmp_path}/a.db") as db:
        with pytest.raises(sqlite3.OperationalError, match="no such table: nope"):
            db.execute("SELECT * FROM nope")
        db.execute("CREATE TABLE t (v INTEGER UNIQUE)")
        db.execute("INSERT INTO t (v) VALUES (1)")
        with pytest.raises(sqlite3.IntegrityError, match=r"UNIQUE constraint failed: t\.v"):
            db.execute("INSERT INTO t (v) VALUES (1)")


@pytest.mark.parametrize("shared", [True, False])
def test_ten_threads_all_succeed(tmp_path: Path, shared: bool) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    errors: list[BaseException] = []
    with DatabaseManager(url) as one:
        one.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)")

        def insert(db: DatabaseManager, n: int) -> None:
            for k in range(50):
                db.execute("INSERT INTO t (n) VALUES (:n)", {"n": n * 100 + k})

        def work(n: int) -> None:
            try:
                if shared:
                    insert(one, n)
                else:
                    with DatabaseManager(url) as own:
                        insert(own, n)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert one.fetch_value("SELECT COUNT(DISTINCT n) FROM t") == 500


def test_waiting_for_ones_own_write_transaction_is_an_error_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    with DatabaseManager(url) as db, DatabaseManager(url) as other:
        db.execute("CREATE TABLE t (v INTEGER)")
        with db.transaction():
            db.execute("INSERT INTO t (v) VALUES (1)")
            with pytest.raises(LockTimeout, match="would never end"):
                other.execute("INSERT INTO t (v) VALUES (2)")
            assert other.fetch_value("SELECT COUNT(*) FROM t") == 0
        other.execute("INSERT INTO t (v) VALUES (3)")
        assert db.fetch_value("SELECT COUNT(*) FROM t") == 2


def test_readers_are_not_held_up_by_a_writer(tmp_path: Path) -> None:
    with DatabaseManager(f"sqlite:///{tmp_path}/a.db") as db:
        db.execute("CREATE TABLE t (v INTEGER)")
        seen: list[object] = []
        with db.transaction():
            db.execute("INSERT INTO t (v) VALUES (1)")
            reader = threading.Thread(target=lambda: seen.append(db.fetch_value("SELECT COUNT(*) FROM t")))
            reader.start()
            reader.join(5)
        assert seen == [0]
