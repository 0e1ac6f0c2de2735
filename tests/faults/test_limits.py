"""A process that may have no more memory, descriptors or disk: clear errors, nothing lost, and it goes on."""

import subprocess
import sys

import pytest

from nexusql import IMPLEMENTATION

ROWS = 200_000
WIDTH = 300  # bytes

CHILD = """
import os
import resource
import sys
import threading
from pathlib import Path

from nexusql import DatabaseManager
from nexusql.errors import Error, OperationalError


def limit(kind, amount):
    resource.setrlimit(kind, (amount, resource.getrlimit(kind)[1]))


def lift(kind):
    limit(kind, resource.getrlimit(kind)[1])


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def outcome(call, *args, **options):
    try:
        return call(*args, **options)
    except Error as error:
        return error


"""

MEMORY = """
url, count, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with DatabaseManager(url, pool_max=2) as db:
    db.execute("CREATE TABLE numbers (i INTEGER)")
    db.bulk_insert("numbers", [(number,) for number in range(1000)], columns=["i"])
    columns = f"a.i AS a, b.i AS b, '{'x' * width}' AS c"
    sql = f"SELECT {columns} FROM numbers a CROSS JOIN numbers b WHERE b.i < {count // 1000}"
    few = sql + " AND a.i < 10"
    assert sum(1 for _ in db.stream(few)) == count / 100
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit(resource.RLIMIT_AS, pages * resource.getpagesize() + (40 << 20))
    assert sum(1 for _ in db.stream(sql)) == count
    error = outcome(db.fetch_all, sql)
    assert isinstance(error, Error), type(error)
    assert "emory" in f"{type(error)} {error}", error
    assert db.fetch_value("SELECT COUNT(*) FROM numbers") == 1000
    assert sum(1 for _ in db.stream(few)) == count / 100
"""

DESCRIPTORS = """
url = sys.argv[1]
before = descriptors()
with DatabaseManager(url, pool_max=40, pool_timeout=10) as db:
    assert db.fetch_value("SELECT 1") == 1
    limit(resource.RLIMIT_NOFILE, descriptors() + 8)
    answers, wrong = [], []
    start = threading.Barrier(20)

    def work(number):
        start.wait()
        for n in range(10):
            try:
                with db.transaction() as tx:
                    answers.append(tx.fetch_value("SELECT :n", {"n": n}) == n)
            except Error as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answers)
    assert len(answers) == 200, wrong
    lift(resource.RLIMIT_NOFILE)
    open_ones = [db.stream("SELECT 1 AS one") for _ in range(20)]
    assert [next(iter(rows)) for rows in open_ones] == [{"one": 1}] * 20
    for rows in open_ones:
        rows.close()
assert descriptors() == before, descriptors()
"""

DISK = """
url = sys.argv[1]
with DatabaseManager(url) as db:
    db.execute("CREATE TABLE written (id INTEGER PRIMARY KEY, text TEXT)")
    limit(resource.RLIMIT_FSIZE, 300_000)
    stored = 0
    while not isinstance(error := outcome(db.insert, "written", {"id": stored, "text": "x" * 5000}), Error):
        stored += 1
    assert isinstance(error, OperationalError), error
    assert 10 < stored < 1000, stored
    error = outcome(db.bulk_insert, "written", ((n, "x" * 5000) for n in range(1000, 2000)), columns=["id", "text"])
    assert isinstance(error, OperationalError), error
    assert db.fetch_value("SELECT COUNT(*) FROM written") == stored, stored
    lift(resource.RLIMIT_FSIZE)
    db.insert("written", {"id": stored, "text": "after"})
    assert db.fetch_value("SELECT COUNT(*) FROM written") == stored + 1
    assert db.fetch_value("PRAGMA integrity_check") == "ok"
"""


def assert_runs(body: str, *arguments: object) -> None:
    """Run a program that must not fail."""
    command = [sys.executable, "-W", "error", "-c", CHILD + body, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(IMPLEMENTATION == "python", reason="an interpreter without any memory cannot say so")
def test_without_memory_for_all_rows_there_is_an_error_and_a_stream_goes_on(database_url: str) -> None:
    assert_runs(MEMORY, database_url, ROWS, WIDTH)


def test_without_descriptors_all_are_served_by_the_connections_there_are(database_url: str) -> None:
    assert_runs(DESCRIPTORS, database_url)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_without_space_on_the_disk_what_was_stored_stays(database_url: str) -> None:
    assert_runs(DISK, database_url)
