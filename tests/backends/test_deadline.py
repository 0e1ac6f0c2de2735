"""The bounds on calls that have none of their own."""

import select
import socket
import threading
import time
from typing import Any

import pytest

from nexusql.backends.deadline import cut_after, readiness, within


def test_a_result_in_time_is_given_and_not_discarded() -> None:
    discarded: list[int] = []
    assert within(5.0, lambda: 42, discarded.append) == 42
    assert discarded == []


def test_an_error_is_raised_here_without_the_frames_it_passed() -> None:
    def fail() -> None:
        secret = "S3CRET"
        raise LookupError("no") from ValueError(len(secret))

    with pytest.raises(LookupError, match="no") as caught:
        within(5.0, fail, print)
    trace = caught.value.__traceback__
    frames = []
    while trace is not None:
        frames.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert "fail" not in frames
    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.__traceback__ is None


def test_what_comes_too_late_is_discarded_once() -> None:
    discarded: list[str] = []
    ended = threading.Event()

    def slow() -> str:
        time.sleep(1)
        return "late"

    def discard(result: str) -> None:
        discarded.append(result)
        ended.set()

    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r"within 0\.1 s"):
        within(0.1, slow, discard)
    assert time.monotonic() - started < 0.9
    assert ended.wait(5)
    assert discarded == ["late"]


def test_what_comes_just_as_the_wait_ends_is_either_given_or_discarded() -> None:
    for n in range(200):
        given: list[int] = []
        discarded: list[int] = []
        finished = threading.Event()

        def call(n: int = n, finished: threading.Event = finished) -> int:
            time.sleep(0.001)
            finished.set()
            return n

        try:
            given.append(within(0.001, call, discarded.append))
        except TimeoutError:
            assert finished.wait(5)
            deadline = time.monotonic() + 5
            while not discarded and time.monotonic() < deadline:
                time.sleep(0.001)
        assert given + discarded == [n]


def test_an_interrupted_wait_discards_what_comes() -> None:
    discarded: list[int] = []
    proceed = threading.Event()

    class Interrupted(BaseException):
        pass

    class Impatient(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            raise Interrupted

    def call() -> int:
        proceed.wait(5)
        return 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nexusql.backends.deadline.threading.Event", Impatient)
        with pytest.raises(Interrupted):
            within(5.0, call, discarded.append)
    proceed.set()
    deadline = time.monotonic() + 5
    while not discarded and time.monotonic() < deadline:
        time.sleep(0.01)
    assert discarded == [1]


def test_a_body_that_takes_too_long_loses_its_socket_and_one_that_does_not_keeps_it() -> None:
    mine, other = socket.socketpair()
    with mine, other:
        with cut_after(5.0, mine.fileno()):
            other.sendall(b"x")
            assert mine.recv(1) == b"x"
        other.sendall(b"y")
        assert mine.recv(1) == b"y"
        started = time.monotonic()
        with cut_after(0.1, mine.fileno()):
            assert mine.recv(1) == b""
        assert 0.05 < time.monotonic() - started < 0.5


def test_a_socket_that_is_closed_in_time_is_not_confused_with_the_next_of_its_number() -> None:
    mine, other = socket.socketpair()
    number = mine.fileno()
    with other, cut_after(0.1, number):
        mine.close()
        fresh, peer = socket.socketpair()
        with fresh, peer:
            assert number in (fresh.fileno(), peer.fileno())
            time.sleep(0.25)
            peer.sendall(b"x")
            assert fresh.recv(1) == b"x"


def test_without_new_threads_the_body_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Timer, "start", refuse)
    mine, other = socket.socketpair()
    with mine, other:
        with cut_after(0.0, mine.fileno()):
            other.sendall(b"x")
        assert mine.recv(1) == b"x"


@pytest.mark.parametrize("has_poll", [True, False])
def test_readiness_tells_data_and_the_end(monkeypatch: pytest.MonkeyPatch, has_poll: bool) -> None:
    if not has_poll:
        monkeypatch.delattr(select, "poll", raising=False)
    mine, other = socket.socketpair()
    with mine, other:
        ready = readiness(mine.fileno())
        assert not ready()
        other.sendall(b"x")
        assert ready()
        mine.recv(1)
        assert not ready()
        other.close()
        assert ready()
