"""After a fork: the child opens connections of its own, and the parent keeps its."""

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kinds
import servers
from nexusql.connection import Connection
from nexusql.errors import NotConnectedError
from nexusql.pool import Pool
from pooling import (
    PATIENCE,
    Threads,
    borrow,
    eventually,
    in_child,
    real_pool,
    run,
    select_tags,
    session_id,
    use_pool_of_ones_own,
)

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]
on_servers = pytest.mark.parametrize("kind", ["postgresql", "mysql"], indirect=True)
ROUNDS = 10_000 if servers.flag("NEXUSQL_LONG") else 1_000


@pytest.fixture
def pool(database_url: str) -> Iterator[Pool[Connection]]:
    """A pool that has been used: three connections, idle."""
    pool = real_pool(database_url, min_size=3, max_size=4)
    pool.fill()
    yield pool
    pool.close(PATIENCE)


@on_servers
def test_a_child_opens_sessions_of_its_own(kind: str, pool: Pool[Connection]) -> None:
    connections = borrow(pool, 3)
    parents = {session_id(kind, connection) for connection in connections}
    for connection in connections[:2]:
        pool.release(connection)

    def use() -> tuple[set[int], str]:
        found = set()
        for _ in range(20):
            connection = pool.acquire()
            found.add(session_id(kind, connection))
            pool.release(connection)
        return found, str(pool.stats())

    childs, stats = in_child(use)
    assert not childs & parents
    assert stats.startswith("(total=")
    assert {session_id(kind, connection) for connection in connections} == parents
    pool.release(connections[2])


def test_a_pool_never_used_before_works_in_a_child(database_url: str) -> None:
    pool = real_pool(database_url)
    assert in_child(lambda: select_tags(pool, ["child"])) == ["child"]
    assert select_tags(pool, ["parent"]) == ["parent"]
    pool.close()


def test_parent_and_children_read_their_own_rows(pool: Pool[Connection]) -> None:
    """Sockets that are shared give one process the other's rows, without an error."""
    reader, writer = os.pipe()
    children = []
    for number in range(2):
        child = os.fork()
        if child == 0:
            try:
                tags = [f"c{number}-{i}" for i in range(ROUNDS // 4)]
                os.write(writer, b"1" if select_tags(pool, tags) == tags else b"0")
            finally:
                os._exit(0)
        children.append(child)
    os.close(writer)
    tags = [f"p-{i}" for i in range(ROUNDS)]
    assert select_tags(pool, tags) == tags
    for child in children:
        os.waitpid(child, 0)
    with open(reader, "rb") as answers:
        assert answers.read() == b"11"


def test_a_fork_while_others_borrow_and_hold_the_lock_hangs_nobody(pool: Pool[Connection]) -> None:
    stop = threading.Event()
    tags = [str(number) for number in range(5)]

    def borrow_often() -> None:
        while not stop.is_set():
            pool.release(pool.acquire())

    def hold_the_lock() -> None:
        while not stop.is_set():
            with pool._ledger.lock:
                stop.wait(0.002)

    with Threads() as threads:
        for _ in range(4):
            threads.start(borrow_often)
        threads.start(hold_the_lock)
        try:
            for _ in range(10):
                assert in_child(lambda: select_tags(pool, tags)) == tags
            with pool._ledger.lock:
                assert in_child(lambda: select_tags(pool, tags)) == tags
        finally:
            stop.set()
    assert threads.errors == []
    assert select_tags(pool, tags) == tags


def test_a_child_that_returns_what_the_parent_had_borrowed_does_no_harm(pool: Pool[Connection]) -> None:
    connection = pool.acquire()
    run(connection, "CREATE TABLE t (a INTEGER)")
    connection.begin(None, False, "")
    run(connection, "INSERT INTO t VALUES (1)")
    connection.needs_reset = True

    def give_back() -> str:
        pool.release(connection)
        pool.abandon(connection)
        pool.close()
        return str(pool.stats())

    assert in_child(give_back) == "(total=0, active=0, idle=0, waiting=0)"
    run(connection, "INSERT INTO t VALUES (2)")
    connection.commit()
    assert [row["a"] for row in run(connection, "SELECT a FROM t ORDER BY a")] == [1, 2]
    pool.discard(connection)


def test_a_pool_that_was_closed_is_closed_in_a_child(pool: Pool[Connection]) -> None:
    pool.close()

    def use() -> str:
        with pytest.raises(NotConnectedError):
            pool.acquire()
        return "closed"

    assert in_child(use) == "closed"


def test_a_grandchild_opens_its_own_too(pool: Pool[Connection]) -> None:
    def fork_again() -> list[str]:
        found: list[str] = in_child(lambda: select_tags(pool, ["grandchild"]))
        return found + select_tags(pool, ["child"])

    assert in_child(fork_again) == ["grandchild", "child"]
    assert select_tags(pool, ["parent"]) == ["parent"]


SCRIPT = """
import os, sys
sys.path[:0] = {path!r}
from pooling import real_pool, run, select_tags
question = {question!r}
pool = real_pool({url!r}, min_size=2)
pool.fill()
connection = pool.acquire()
run(connection, "CREATE TABLE t (a INTEGER)")
before = run(connection, question)
child = os.fork()
if child == 0:
    {use}
    sys.exit(0)  # with all of the interpreter's clean-up
assert os.waitpid(child, 0)[1] == 0
run(connection, "INSERT INTO t VALUES (1)")
assert run(connection, question) == before
pool.release(connection)
assert select_tags(pool, ["a", "b"]) == ["a", "b"]
other = pool.acquire()
assert run(other, "SELECT a FROM t") == [{{"a": 1}}]
pool.release(other)
pool.close()
print("well")
"""


@pytest.mark.parametrize("use", ["pass", "assert select_tags(pool, ['c']) == ['c']", "pool.close()"])
def test_the_end_of_a_child_does_not_end_the_sessions_of_the_parent(kind: str, database_url: str, use: str) -> None:
    support = str(Path(servers.__file__).parent)
    question = kinds.SESSION_ID.get(kind, "SELECT 1 AS one")
    script = SCRIPT.format(path=[support, *sys.path], url=database_url, question=question, use=use)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "well\n", done.stderr


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing_have_pools_of_their_own(
    pool: Pool[Connection], database_url: str, method: str
) -> None:
    context: Any = multiprocessing.get_context(method)
    answers = context.Queue()
    work = [[f"{number}-{i}" for i in range(20)] for number in range(2)]
    processes = [context.Process(target=use_pool_of_ones_own, args=(database_url, tags, answers)) for tags in work]
    for process in processes:
        process.start()
    found = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(PATIENCE)
    answers.close()
    assert sorted(found) == work
    assert [process.exitcode for process in processes] == [0, 0]
    assert select_tags(pool, ["parent"]) == ["parent"]


@on_servers
def test_what_a_child_had_open_is_closed_with_it(kind: str, pool: Pool[Connection]) -> None:
    def use() -> int:
        return session_id(kind, pool.acquire())

    number = in_child(use)
    with servers.admin_cursor(kind) as cursor:
        assert eventually(lambda: not kinds.living(kind, [number], cursor))
