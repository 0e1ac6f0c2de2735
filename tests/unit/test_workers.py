"""Gates, slots and threads: first come, first served, no wake-up lost, no more threads than may be."""

import asyncio
import gc
import threading
import time
import weakref
from functools import partial

import pytest

from loops import run
from nexusql.workers import Gate, Slot, Threads, Workers, blocks_own_thread, responsible
from pooling import PATIENCE, eventually


def test_a_gate_lets_in_so_many_in_their_order() -> None:
    async def work() -> None:
        gate, order = Gate(2), list[int]()

        async def pass_through(n: int) -> None:
            await gate.enter()
            order.append(n)
            await asyncio.sleep(0)
            gate.leave()

        await asyncio.gather(*(pass_through(n) for n in range(20)))
        assert order == list(range(20))
        assert (gate.waiting, gate.full, gate._free) == (0, False, 2)

    run(work())


def test_a_gate_is_waited_for_no_longer_than_asked() -> None:
    async def work() -> None:
        gate = Gate(1)
        await gate.enter()
        assert gate.full
        with pytest.raises(TimeoutError):
            await gate.enter(0.02)
        assert gate.waiting == 0
        gate.leave()
        await gate.enter(0.02)

    run(work())


def _waits_in_vain(gate: Gate) -> "asyncio.Task[None]":
    """A task that waits at a gate, and whose event loop is closed."""

    async def wait() -> "asyncio.Task[None]":
        task = asyncio.ensure_future(gate.enter())
        await asyncio.sleep(0)
        return task

    loop = asyncio.new_event_loop()
    task = loop.run_until_complete(wait())
    loop.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    return task


def test_who_was_passed_over_at_a_gate_gives_no_place_back() -> None:
    gate = Gate(1)
    run(gate.enter())
    task = _waits_in_vain(gate)
    gate.leave()
    assert gate._free == 1
    del task
    gc.collect()
    run(gate.enter())
    assert (gate._free, gate.waiting) == (0, 0)


@pytest.mark.parametrize("let_in", [False, True])
def test_a_coroutine_may_be_collected_in_the_middle_of_a_gates_work(let_in: bool) -> None:
    gate = Gate(1)
    run(gate.enter())
    waits = gate.enter()

    async def begin() -> None:
        waits.send(None)
        if let_in:
            gate.leave()

    def collect() -> None:
        with gate._lock:
            waits.close()

    run(begin())
    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    if not let_in:
        gate.leave()
    run(gate.enter(PATIENCE))
    assert (gate._free, gate.waiting) == (0, 0)


@pytest.mark.parametrize("served", [False, True])
def test_who_is_cancelled_at_a_gate_takes_nobodys_place(served: bool) -> None:
    async def work() -> None:
        gate = Gate(1)
        await gate.enter()
        first, second = (asyncio.ensure_future(gate.enter()) for _ in range(2))
        await asyncio.sleep(0)
        if served:
            gate.leave()  # it is granted, and does not know yet
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        if not served:
            gate.leave()
        await asyncio.wait_for(second, PATIENCE)
        gate.leave()
        assert gate._free == 1

    run(work())


def test_who_ends_something_is_not_cancelled_at_a_gate() -> None:
    async def work() -> None:
        gate = Gate(1)
        await gate.enter()
        entering = asyncio.ensure_future(gate.enter_firmly())
        for _ in range(3):
            await asyncio.sleep(0)
            entering.cancel()
        await asyncio.sleep(0)
        gate.leave()
        assert await entering is True
        gate.leave()
        assert await gate.enter_firmly() is False

    run(work())


def test_a_gate_serves_tasks_of_several_loops_and_is_left_from_any_thread() -> None:
    gate, inside, most = Gate(3), list[int](), list[int]()

    async def work() -> None:
        async def one() -> None:
            await gate.enter()
            inside.append(1)
            most.append(len(inside))
            await asyncio.sleep(0)
            inside.pop()
            await asyncio.to_thread(gate.leave)

        await asyncio.gather(*(one() for _ in range(30)))

    threads = [threading.Thread(target=run, args=(work(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert max(most) <= 3
    assert gate._free == 3


def test_a_waiter_whose_loop_is_closed_is_passed_over() -> None:
    gate = Gate(1)
    loop = asyncio.new_event_loop()

    async def enter_and_wait() -> None:
        await gate.enter()
        waiting = asyncio.ensure_future(gate.enter())
        await asyncio.sleep(0)
        waiting.get_loop().stop()

    task = loop.create_task(enter_and_wait())
    loop.run_forever()
    assert gate.waiting == 1
    for left in asyncio.all_tasks(loop) - {task}:
        left._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    gate.leave()
    assert (gate.waiting, gate._free) == (0, 1)


def test_a_slot_is_given_back_once() -> None:
    async def work() -> None:
        gate = Gate(1)
        await gate.enter()
        slot = Slot(gate, asyncio.get_running_loop())
        slot.give_back()
        slot.give_back()
        slot.drop()
        await asyncio.sleep(0)
        assert gate._free == 1
        await gate.enter()
        Slot(gate, asyncio.get_running_loop()).drop()  # as a finaliser does
        await asyncio.sleep(0)
        assert gate._free == 1
        await gate.enter()
        dropped = Slot(gate, asyncio.get_running_loop())
        dropped._loop = asyncio.new_event_loop()
        dropped._loop.close()
        dropped.drop()
        assert not gate.full
        await gate.enter(1)

    run(work())


def test_every_call_has_a_thread_as_long_as_there_are() -> None:
    """Whatever the order in which calls come and end: none waits behind another while a thread may be started."""
    for _ in range(200):
        threads = Threads(4)
        for _ in range(6):
            threads.submit(time.perf_counter)  # ends while the next ones come
        meeting = threading.Barrier(5)
        for _ in range(4):
            threads.submit(partial(meeting.wait, PATIENCE))
        assert meeting.wait(PATIENCE) in range(5)
        threads.close()


def test_threads_end_when_they_are_closed_or_dropped() -> None:
    before = set(threading.enumerate())

    def started() -> set[threading.Thread]:
        return set(threading.enumerate()) - before

    done: list[int] = []
    closed, dropped = Threads(3), Threads(3)
    for threads in (closed, dropped):
        for n in range(10):
            threads.submit(partial(done.append, n))
    assert len(started()) <= 6
    closed.close()
    gone = weakref.ref(dropped)
    del threads, dropped
    assert gone() is None
    assert eventually(lambda: not started())
    assert sorted(done) == sorted([*range(10)] * 2)


def test_a_closed_pool_of_workers_still_ends_what_must_end() -> None:
    workers, done = Workers(1), threading.Event()
    workers.close()
    workers.submit(done.set, guest=False)
    assert done.wait(PATIENCE)


def test_a_guest_does_not_wait_behind_those_with_slots() -> None:
    workers = Workers(1)
    blocked, done = threading.Event(), threading.Event()
    workers.submit(lambda: blocked.wait(PATIENCE), guest=False)
    workers.submit(done.set, guest=True)
    assert done.wait(PATIENCE)
    blocked.set()
    workers.close()


def test_who_is_responsible() -> None:
    def here() -> tuple[tuple[int, object], bool]:
        return responsible(), blocks_own_thread()

    async def work() -> tuple[tuple[int, object], bool]:
        return here()

    assert here() == ((threading.get_ident(), None), True)
    (thread, task), blocks = run(work())
    assert (thread, isinstance(task, asyncio.Task), blocks) == (threading.get_ident(), True, True)
