"""Calls that are interrupted, by whom and when: nothing of it reaches what is done later on the session."""

import threading
import time
from functools import partial

import pytest

from nexusql import interrupts
from nexusql.errors import CommitUncertain, ConfigError, ConnectionLost, OperationalError, QueryTimeout
from nexusql.interrupts import Call, TimeLimit, Watchdog, acquire, check_interrupted, current_call, limited, using
from pooling import PATIENCE, Threads, eventually

REASON = OperationalError("the reason")


class ScriptedSession:
    """Blocks like a statement until it is cancelled, where it heeds that, or cut; and writes down what is done."""

    def __init__(self, heeds: bool = True) -> None:
        self.heeds = heeds
        self.done: list[str] = []
        self.entered = threading.Event()
        self._over = threading.Event()

    def block(self) -> None:
        self.entered.set()
        assert self._over.wait(PATIENCE)
        raise OperationalError(f"stopped by {self.done[-1]}")

    def cancel(self) -> None:
        self.done.append("cancel")
        if self.heeds:
            self._over.set()

    def cut(self) -> None:
        self.done.append("cut")
        self._over.set()

    def outlive_cancel(self) -> None:
        self.done.append("outlive")


@pytest.fixture(autouse=True)
def grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "GRACE", 0.1)


def test_a_call_is_cancelled_and_cut_only_where_that_does_not_help() -> None:
    for heeds, expected in ((True, ["cancel", "outlive"]), (False, ["cancel", "cut", "outlive"])):
        session, call = ScriptedSession(heeds), Call()

        def blocking(session: ScriptedSession = session, call: Call = call) -> None:
            current_call.set(call)
            with pytest.raises(OperationalError, match="stopped by"), using(session):
                session.block()

        with Threads() as threads:
            threads.start(blocking)
            assert session.entered.wait(PATIENCE)
            assert call.interrupt(REASON)
        assert threads.errors == []
        assert session.done == expected
        assert call.finish() is True


def test_without_a_thread_for_it_a_session_is_cut_at_once_and_time_limits_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_thread(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def stopped(session: ScriptedSession) -> None:
        with using(session):
            session.block()

    with pytest.raises(QueryTimeout):  # whose watchdog goes on
        limited(0.05, partial(stopped, ScriptedSession()))
    with monkeypatch.context() as patched:
        patched.setattr(interrupts._Stop, "start", no_thread)
        session = ScriptedSession()
        with pytest.raises(QueryTimeout):
            limited(0.05, partial(stopped, session))
        assert session.done == ["cut"]
        firm, call = ScriptedSession(), Call(firm=True)
        call.enter(firm)
        assert call.interrupt(REASON)
        call.leave()
        assert firm.done == []
    session = ScriptedSession()
    with pytest.raises(QueryTimeout):
        limited(0.05, partial(stopped, session))
    assert session.done == ["cancel", "outlive"]


def test_what_is_firm_is_only_cut() -> None:
    session, call = ScriptedSession(), Call()

    def blocking() -> None:
        current_call.set(call)
        with using(session):
            pass
        with pytest.raises(OperationalError, match="stopped by cut"), using(session, firm=True):
            session.block()

    with Threads() as threads:
        threads.start(blocking)
        assert session.entered.wait(PATIENCE)
        assert call.interrupt(REASON)
    assert threads.errors == []
    assert session.done == ["cut"]


def test_before_its_first_use_an_interrupted_call_is_refused_but_for_what_is_firm() -> None:
    session, call = ScriptedSession(), Call()
    assert call.interrupt(REASON)
    token = current_call.set(call)
    try:
        with pytest.raises(OperationalError, match="the reason"):
            check_interrupted()
        with pytest.raises(OperationalError, match="the reason"), using(session):
            raise AssertionError("it is used")
        with using(session, firm=True):
            pass
    finally:
        current_call.reset(token)
    assert session.done == []


def test_a_call_that_is_over_is_not_interrupted() -> None:
    call = Call()
    assert call.finish() is False
    assert call.interrupt(REASON) is False
    assert call.reason is None


def test_a_call_inside_another_is_interrupted_with_it() -> None:
    session, outer = ScriptedSession(), Call()

    def blocking() -> None:
        current_call.set(outer)
        with pytest.raises(OperationalError, match="stopped by cancel"):
            limited(60, lambda: use(session))

    with Threads() as threads:
        threads.start(blocking)
        assert session.entered.wait(PATIENCE)
        outer.interrupt(REASON)
    assert threads.errors == []
    assert session.done == ["cancel", "outlive"]


def use(session: ScriptedSession) -> None:
    with using(session):
        session.block()


def test_a_limit_stops_what_takes_longer() -> None:
    session = ScriptedSession()
    with pytest.raises(QueryTimeout, match=r"time limit of 0\.05 s") as caught:
        limited(0.05, lambda: use(session))
    assert str(caught.value.__cause__) == "stopped by cancel"
    assert session.done == ["cancel", "outlive"]
    assert limited(60, lambda: 42) == 42
    assert current_call.get() is None


def test_other_errors_are_not_the_limits() -> None:
    def raising(error: Exception) -> None:
        raise error

    for error in (ConnectionLost("lost"), ValueError("no")):
        with pytest.raises(type(error), match=str(error)):
            limited(60, partial(raising, error))

    def lost_in_commit() -> None:
        assert eventually(lambda: (call := current_call.get()) is not None and call.reason is not None)
        raise CommitUncertain("nobody knows")

    with pytest.raises(CommitUncertain):
        limited(0.02, lost_in_commit)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "1", True])
def test_what_is_no_limit(value: float) -> None:
    for refused in (lambda: limited(value, lambda: 1), lambda: TimeLimit(value)):
        with pytest.raises(ConfigError, match="positive number of seconds"):
            refused()


def test_what_is_left_of_a_limit() -> None:
    assert TimeLimit(None).left() is None
    limit = TimeLimit(60)
    left = limit.left()
    assert left is not None
    assert 50 < left <= 60
    short = TimeLimit(1e-6)
    time.sleep(1e-3)
    with pytest.raises(QueryTimeout, match="before a connection was free"):
        short.left()
    with pytest.raises(QueryTimeout):
        limited(short, lambda: 1)


def test_a_lock_is_waited_for_until_the_call_is_interrupted() -> None:
    lock = threading.Lock()
    assert acquire(lock, 1)
    assert not acquire(lock, 0.01)
    with pytest.raises(QueryTimeout):
        limited(0.1, lambda: acquire(lock, PATIENCE))
    assert not limited(60, lambda: acquire(lock, 0.1))
    lock.release()
    assert limited(60, lambda: acquire(lock, 0.1))


def test_the_watchdog_is_exact_and_ends_when_there_is_nothing_to_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "LONGEST_SLEEP", 0.1)
    watchdog = Watchdog()
    now = time.monotonic()
    late, soon, never = Call(), Call(), Call()
    with watchdog.watching(late, now + 0.3, REASON), watchdog.watching(soon, now + 0.02, REASON):
        with watchdog.watching(never, now + 0.05, REASON):
            pass
        assert eventually(lambda: soon.reason is REASON)
        assert late.reason is None
        assert eventually(lambda: late.reason is REASON)
        assert time.monotonic() - now >= 0.3
    assert never.reason is None
    assert eventually(lambda: watchdog._thread is None)
    with watchdog.watching(never, time.monotonic() + 0.01, REASON):
        assert eventually(lambda: never.reason is REASON)


def _is_interrupted(watchdog: Watchdog, seconds: float) -> bool:
    call = Call()
    with watchdog.watching(call, time.monotonic() + seconds, REASON):
        return not seconds and eventually(lambda: call.reason is REASON)


def test_many_watch_at_once() -> None:
    watchdog = Watchdog()

    def watched() -> int:
        return sum(_is_interrupted(watchdog, 0.0 if n % 2 else 60.0) for n in range(200))

    with Threads() as threads:
        for _ in range(8):
            threads.start(watched)
    assert (threads.errors, threads.results) == ([], [100] * 8)


def test_a_cancel_that_came_too_early_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the statement has reached the server there is nothing to cancel."""
    monkeypatch.setattr(interrupts, "GRACE", PATIENCE)
    monkeypatch.setattr(interrupts, "AGAIN", 0.01)
    session = ScriptedSession(heeds=False)

    def blocking() -> None:
        with using(session):
            assert eventually(lambda: session.done)
            session.heeds = True  # it has begun only now
            session.block()

    with pytest.raises(QueryTimeout):
        limited(0.01, blocking)
    assert session.done.count("cancel") >= 2
    assert "cut" not in session.done
