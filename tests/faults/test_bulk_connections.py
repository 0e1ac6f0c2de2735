"""Bulk writes whose connection breaks, at each byte and at each stage: all or nothing, told by the right error, and a
rerun with keys makes it whole."""

import random
import signal
from collections.abc import Iterator
from typing import Any

import pytest

import kinds
import servers
from nexusql import DatabaseManager
from nexusql.errors import CommitUncertain, ConnectionLost, Error
from nexusql.results import BulkResult
from pooling import Threads, eventually, kill_sessions
from proxy import FaultProxy
from settling import in_use

ROWS = 600
CHUNK = 100
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "ids": {"returning": "id"},
    "ignore": {"on_conflict": "ignore"},
    "update": {"on_conflict": "update"},
}


@pytest.fixture(scope="module", params=("postgresql", "mysql"))
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    servers.require(name)
    return name


@pytest.fixture(scope="module")
def shared(kind: str) -> Iterator[DatabaseManager]:
    with servers.fresh_database(kind) as url, DatabaseManager(url) as manager:
        yield manager


@pytest.fixture
def metrics(shared: DatabaseManager) -> DatabaseManager:
    """A manager on a database with an empty table `metric`, without triggers."""
    shared.execute("DROP TABLE IF EXISTS metric")
    shared.execute("CREATE TABLE metric (id INTEGER PRIMARY KEY, name VARCHAR(100) NOT NULL)")
    return shared


@pytest.fixture
def proxy(metrics: DatabaseManager) -> Iterator[FaultProxy]:
    with FaultProxy.before(metrics.database_url) as fault:
        yield fault


@pytest.fixture
def far(metrics: DatabaseManager, proxy: FaultProxy) -> Iterator[DatabaseManager]:
    """A manager by way of the proxy, which opens a connection only for who asks."""
    with DatabaseManager(proxy.url(metrics.database_url), pool_min=0, pool_timeout=5) as manager:
        yield manager


def rows(bad: int | None = None) -> Iterator[dict[str, Any]]:
    for number in range(ROWS):
        yield {"id": number, "name": None if number == bad else f"metric {number} " + "x" * (number % 50)}


def stored(db: DatabaseManager) -> list[int]:
    return [row["id"] for row in db.execute("SELECT id FROM metric ORDER BY id")]


def spread(total: int, count: int, seed: int) -> list[int]:
    """So many places among `total` bytes: random ones, the first and the last few among them."""
    dice = random.Random(seed)
    return [0, total - 1, total - 8, *(dice.randrange(total) for _ in range(count))]


def ready(db: DatabaseManager) -> None:
    """Have a connection at hand, and the table to be asked for."""
    assert db.fetch_value("SELECT 1") == 1
    assert db._connection is not None
    db._connection.forget_tables()


def expect_lost_or_uncertain(error: Error) -> None:
    assert type(error) is not ConnectionLost or error.__cause__ is not None
    assert isinstance(error, (ConnectionLost, CommitUncertain)), repr(error)


@pytest.mark.parametrize("replies", [False, True], ids=["requests", "replies"])
@pytest.mark.parametrize("name", OPTIONS)
def test_cut_at_any_byte_all_or_nothing_is_stored(
    metrics: DatabaseManager, proxy: FaultProxy, far: DatabaseManager, name: str, replies: bool
) -> None:
    def write() -> None:
        far.bulk_insert("metric", rows(), chunk_size=CHUNK, **OPTIONS[name])

    ready(far)
    before = proxy.received if replies else proxy.sent
    write()
    total = (proxy.received if replies else proxy.sent) - before
    for place in spread(total, 300 if servers.flag("NEXUSQL_LONG") else 3, len(name)):
        metrics.execute("DELETE FROM metric")
        ready(far)
        sprung = proxy.cut_after(place, replies=replies, reset=bool(place % 2))
        with pytest.raises(Error) as caught:
            write()
        expect_lost_or_uncertain(caught.value)
        assert sprung.wait(5)
        assert in_use(far) == 0
        assert eventually(lambda: stored(metrics) in ([], list(range(ROWS))))
        if isinstance(caught.value, ConnectionLost):
            assert stored(metrics) == []
    metrics.execute("DELETE FROM metric")
    write()
    assert stored(metrics) == list(range(ROWS))


@pytest.mark.parametrize(
    "sql", ["INSERT INTO metric (id, name) VALUES (:id, :name)", "INSERT INTO metric (id, name) SELECT :id, :name"]
)
def test_one_statement_for_many_is_all_or_nothing_too(
    metrics: DatabaseManager, proxy: FaultProxy, far: DatabaseManager, sql: str
) -> None:
    ready(far)
    before = proxy.sent
    assert far.execute_many(sql, rows()) == ROWS
    total = proxy.sent - before
    for place in spread(total, 4, len(sql)):
        metrics.execute("DELETE FROM metric")
        ready(far)
        proxy.cut_after(place)
        with pytest.raises(Error) as caught:
            far.execute_many(sql, rows())
        expect_lost_or_uncertain(caught.value)
        assert stored(metrics) == []
        assert in_use(far) == 0


@pytest.mark.parametrize("replies", [False, True], ids=["requests", "replies"])
def test_cut_at_any_byte_a_reported_write_is_whole_after_a_rerun(
    metrics: DatabaseManager, proxy: FaultProxy, far: DatabaseManager, replies: bool
) -> None:
    def write(**options: Any) -> BulkResult:
        return far.bulk_insert("metric", rows(bad=250), on_error="report", chunk_size=CHUNK, **options)

    good = [number for number in range(ROWS) if number != 250]
    ready(far)
    before = proxy.received if replies else proxy.sent
    write()
    total = (proxy.received if replies else proxy.sent) - before
    for place in spread(total, 300 if servers.flag("NEXUSQL_LONG") else 4, 4):
        metrics.execute("DELETE FROM metric")
        ready(far)
        accepted = proxy.accepted
        proxy.cut_after(place, replies=replies, reset=bool(place % 2))
        error: Error | None = None
        try:
            complete = write()
        except Error as raised:
            error = raised
        assert proxy.accepted - accepted <= 1  # nothing was tried again on another connection
        assert in_use(far) == 0
        if error is None:  # cut off was the reply to the rollback of a refused chunk, which is done without it
            assert replies
            assert (complete.rowcount, stored(metrics)) == (len(good), good)
            continue
        expect_lost_or_uncertain(error)
        partial = error.partial
        assert isinstance(partial, BulkResult)
        certain = [number for number in range(partial.done) if number != 250]
        assert partial.rowcount == len(certain)
        assert [refused.index for refused in partial.errors] == ([250] if partial.done > 250 else [])
        found = stored(metrics)
        if isinstance(error, CommitUncertain):
            assert found[: len(certain)] == certain
            assert found == good[: len(found)]
        else:
            assert found == certain
        again = write(on_conflict="ignore")
        assert stored(metrics) == good
        assert [refused.index for refused in again.errors] == [250]
        assert again.rowcount == len(good) - len(found)


@pytest.mark.parametrize("mode", ["raise", "report"])
@pytest.mark.parametrize("stored_anyway", [False, True])
def test_where_the_commit_is_lost_the_outcome_is_uncertain(
    metrics: DatabaseManager, proxy: FaultProxy, far: DatabaseManager, mode: Any, stored_anyway: bool
) -> None:
    def arm(done: int) -> None:
        if done == (ROWS if mode == "raise" else 3 * CHUNK):  # in report mode the commit is that of the next chunk
            (proxy.drop_reply if stored_anyway else proxy.drop_request)(b"COMMIT")

    with pytest.raises(CommitUncertain) as caught:
        far.bulk_insert("metric", rows(), chunk_size=CHUNK, on_error=mode, progress=arm)
    assert not isinstance(caught.value, ConnectionLost)
    if mode == "raise":
        assert stored(metrics) == (list(range(ROWS)) if stored_anyway else [])
    else:
        assert isinstance(caught.value.partial, BulkResult)
        assert caught.value.partial.done == 3 * CHUNK
        assert stored(metrics) == list(range((4 if stored_anyway else 3) * CHUNK))
        far.bulk_insert("metric", rows(), on_conflict="ignore")
        assert stored(metrics) == list(range(ROWS))
    assert in_use(far) == 0


PLACES = (1, 250, ROWS - 1)  # the first row is read before there is a connection


@pytest.mark.parametrize("name", OPTIONS)
def test_a_session_that_is_killed_while_rows_are_taken_stores_nothing(
    kind: str, metrics: DatabaseManager, far: DatabaseManager, name: str
) -> None:
    for place in PLACES:
        with pytest.raises(ConnectionLost):
            far.bulk_insert("metric", killing(kind, far, place), chunk_size=CHUNK, **OPTIONS[name])
        assert stored(metrics) == []
        assert in_use(far) == 0
    assert far.bulk_insert("metric", rows()).rowcount == ROWS


def killing(kind: str, db: Any, place: int) -> Iterator[dict[str, Any]]:
    """The rows; the session on which they are written is ended before one is given."""
    for number, row in enumerate(rows()):
        if number == place:
            kill_sessions(kind, [db.fetch_value(kinds.SESSION_ID[kind])])
        yield row


def test_a_session_that_is_killed_is_no_rows_fault(kind: str, metrics: DatabaseManager, far: DatabaseManager) -> None:
    for place in PLACES:
        with pytest.raises(ConnectionLost) as caught:
            far.bulk_insert("metric", killing(kind, far, place), on_error="report", chunk_size=CHUNK)
        assert isinstance(caught.value.partial, BulkResult)
        done = place // CHUNK * CHUNK
        assert (caught.value.partial.done, caught.value.partial.errors) == (done, [])
        assert stored(metrics) == list(range(done))
        assert in_use(far) == 0
        metrics.execute("DELETE FROM metric")


@pytest.mark.parametrize("mode", ["raise", "report"])
def test_killed_in_an_open_transaction_nothing_stands_and_the_receipt_says_so(
    kind: str, metrics: DatabaseManager, far: DatabaseManager, mode: Any
) -> None:
    with pytest.raises(ConnectionLost) as caught, far.transaction() as tx:
        tx.execute("INSERT INTO metric (id, name) VALUES (1000, 'before')")
        tx.bulk_insert("metric", killing(kind, tx, 250), on_error=mode, chunk_size=CHUNK)
    if mode == "report":
        assert isinstance(caught.value.partial, BulkResult)
        assert (caught.value.partial.done, caught.value.partial.rowcount) == (0, 0)
    assert stored(metrics) == []
    assert in_use(far) == 0


SLOW = {
    "postgresql": (
        "CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.id = 250 THEN PERFORM pg_sleep(20); END IF; RETURN NEW; END $$",
        "CREATE TRIGGER slow BEFORE INSERT ON metric FOR EACH ROW EXECUTE FUNCTION slow()",
    ),
    "mysql": (
        "CREATE TRIGGER slow BEFORE INSERT ON metric FOR EACH ROW IF NEW.id = 250 THEN SET @slept = SLEEP(20); END IF",
    ),
}
ASLEEP = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%metric%'",
    "mysql": "SELECT id FROM information_schema.processlist WHERE state = 'User sleep' AND db = DATABASE()",
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_session_that_is_killed_while_the_server_writes_stores_nothing(
    kind: str, metrics: DatabaseManager, far: DatabaseManager, name: str
) -> None:
    for statement in SLOW[kind]:
        metrics.execute(statement)

    def sleeping() -> list[int]:
        return [next(iter(row.values())) for row in metrics.execute(ASLEEP[kind])]

    def kill() -> None:
        assert eventually(sleeping)
        kill_sessions(kind, sleeping())

    with Threads() as threads:
        threads.start(kill)
        with pytest.raises(ConnectionLost):
            far.bulk_insert("metric", rows(), chunk_size=CHUNK, **OPTIONS[name])
    assert threads.errors == []
    assert stored(metrics) == []
    assert in_use(far) == 0


@pytest.mark.parametrize("mode", ["raise", "report"])
def test_an_interrupt_while_the_server_writes_stores_nothing_of_the_chunk(
    kind: str, metrics: DatabaseManager, far: DatabaseManager, mode: Any
) -> None:
    for statement in SLOW[kind]:
        metrics.execute(statement.replace("20", "0.5"))

    def interrupt(done: int) -> None:
        if done == 2 * CHUNK:
            signal.setitimer(signal.ITIMER_REAL, 0.1)

    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            far.bulk_insert("metric", rows(), chunk_size=CHUNK, on_error=mode, progress=interrupt)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if mode == "report":
        partial: BulkResult = caught.value.partial  # type: ignore[attr-defined]
        assert (partial.done, partial.errors) == (2 * CHUNK, [])
    assert eventually(lambda: stored(metrics) == list(range(2 * CHUNK if mode == "report" else 0)))
    assert in_use(far) == 0
    assert far.fetch_value("SELECT 1") == 1


def test_a_server_that_falls_silent_and_then_is_gone_stores_nothing(
    metrics: DatabaseManager, proxy: FaultProxy, far: DatabaseManager
) -> None:
    """The replies are held back, the requests go through; then the network breaks."""
    with Threads() as threads:

        def arm(done: int) -> None:
            if done == 2 * CHUNK:
                proxy.hold(requests=False, replies=True)
                threads.start(lambda: eventually(lambda: False, 0.3) or proxy.cut(reset=True))

        with pytest.raises(ConnectionLost):
            far.bulk_insert("metric", rows(), chunk_size=CHUNK, progress=arm)
    proxy.heal()
    assert eventually(lambda: stored(metrics) == [])
    assert in_use(far) == 0
    assert far.bulk_insert("metric", rows()).rowcount == ROWS
