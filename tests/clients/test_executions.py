"""ia_modules' ExecutionTracker: all of it, on every database."""

import asyncio
import json
from datetime import datetime
from typing import Any

import pytest
from ia_modules.pipeline.execution_tracker import (
    ExecutionStatus,
    ExecutionTracker,
    StepStatus,
    get_execution_tracker,
    initialize_execution_tracker,
)

from nexusql import DatabaseManager, LockTimeout

INPUT = {"text": "it's :here 100% \U0001f469‍\U0001f680", "n": [1, None, {"deep": 0.5}]}


class Page:
    """A page that watches: it keeps the messages that it is sent."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    async def send_text(self, text: str) -> None:
        self.messages.append(json.loads(text))


class ClosedPage:
    """A page that has gone."""

    async def send_text(self, text: str) -> None:
        raise ConnectionError("closed")


@pytest.fixture
def tracker(db: DatabaseManager) -> ExecutionTracker:
    return ExecutionTracker(db)


def test_an_execution_with_its_steps_from_start_to_end(tracker: ExecutionTracker, db: DatabaseManager) -> None:
    async def run() -> None:
        execution = await tracker.start_execution("p", "Pipeline", INPUT, total_steps=2, metadata={"by": "me"})
        one = await tracker.start_step_execution(execution, "s1", "One", "Loader", {"a": 1}, {"try": 1})
        await tracker.complete_step_execution(one, StepStatus.COMPLETED, {"rows": 3})
        two = await tracker.start_step_execution(execution, "s2", "Two", "Writer")
        await tracker.complete_step_execution(two, StepStatus.FAILED, error_message="no :such table", retry_count=2)
        await tracker.update_execution_status(execution, ExecutionStatus.COMPLETED, output_data={"done": True})
        assert tracker.active_executions == {}

        for found in (await tracker.get_execution(execution), await tracker.get_execution_by_id(execution)):
            assert (found.pipeline_id, found.pipeline_name, found.status) == (
                "p",
                "Pipeline",
                ExecutionStatus.COMPLETED,
            )
            assert (found.total_steps, found.completed_steps, found.failed_steps) == (2, 1, 1)
            assert (found.input_data, found.output_data, found.metadata) == (INPUT, {"done": True}, {"by": "me"})
            assert datetime.fromisoformat(found.started_at) <= datetime.fromisoformat(found.completed_at)
            assert found.execution_time_ms >= 0

        steps = {step.step_id: step for step in await tracker.get_execution_steps(execution)}
        assert (steps["s1"].status, steps["s1"].output_data) == (StepStatus.COMPLETED, {"rows": 3})
        assert (steps["s1"].input_data, steps["s1"].metadata) == ({"a": 1}, {"try": 1})
        assert (steps["s2"].error_message, steps["s2"].retry_count) == ("no :such table", 2)

    asyncio.run(run())
    assert db.fetch_value("SELECT COUNT(*) FROM step_executions WHERE completed_at IS NOT NULL") == 2


def test_what_is_not_there_is_none_or_empty(tracker: ExecutionTracker) -> None:
    async def run() -> None:
        assert await tracker.get_execution("none") is None
        assert await tracker.get_execution_by_id("none") is None
        assert await tracker.get_execution_steps("none") == []
        assert await tracker.get_recent_executions() == []
        await tracker.complete_step_execution("none", StepStatus.COMPLETED)
        await tracker.update_execution_status("none", ExecutionStatus.FAILED)
        assert (await tracker.get_execution_statistics())["total_executions"] == 0

    asyncio.run(run())


def test_recent_executions_come_newest_first_and_by_pipeline(tracker: ExecutionTracker) -> None:
    async def run() -> None:
        started = [await tracker.start_execution("even" if n % 2 == 0 else "odd", f"run {n}", {}) for n in range(6)]
        recent = await tracker.get_recent_executions()
        assert [record.execution_id for record in recent] == started[::-1]
        assert [record.pipeline_name for record in await tracker.get_recent_executions(2, "odd")] == ["run 5", "run 3"]

    asyncio.run(run())


def test_statistics_count_by_status(tracker: ExecutionTracker) -> None:
    async def run() -> None:
        started = [await tracker.start_execution("p", "P", {}) for _ in range(4)]
        for execution, status in zip(started, ("COMPLETED", "FAILED", "CANCELLED"), strict=False):
            await tracker.update_execution_status(execution, ExecutionStatus[status])
        found = await tracker.get_execution_statistics()
        assert found["by_status"] == {"completed": 1, "failed": 1, "cancelled": 1, "running": 1}
        assert (found["total_executions"], found["active_executions"]) == (4, 2)
        assert 0 <= found["min_execution_time_ms"] <= found["avg_execution_time_ms"] <= found["max_execution_time_ms"]

    asyncio.run(run())


def test_another_process_takes_running_executions_over(tracker: ExecutionTracker, db: DatabaseManager) -> None:
    async def run() -> None:
        running = await tracker.start_execution("p", "P", INPUT, total_steps=1)
        ended = await tracker.start_execution("p", "P", {})
        await tracker.update_execution_status(ended, ExecutionStatus.CANCELLED)

        other = await initialize_execution_tracker(db)
        assert get_execution_tracker() is other
        await other._load_active_executions()
        assert set(other.active_executions) == {running}
        assert other.active_executions[running].input_data == INPUT
        step = await other.start_step_execution(running, "s", "S", "T")
        await other.complete_step_execution(step, StepStatus.COMPLETED)
        await other.update_execution_status(running, ExecutionStatus.COMPLETED, completed_steps=1)
        assert (await ExecutionTracker(db).get_execution(running)).status is ExecutionStatus.COMPLETED

    asyncio.run(run())


def test_many_executions_at_once(tracker: ExecutionTracker, db: DatabaseManager) -> None:
    async def one(n: int) -> str:
        execution: str = await tracker.start_execution("p", f"run {n}", {"n": n}, total_steps=2)
        steps = [await tracker.start_step_execution(execution, f"s{k}", "S", "T", {"n": n}) for k in range(2)]
        for step in steps:
            await tracker.complete_step_execution(step, StepStatus.COMPLETED, {"n": n})
        await tracker.update_execution_status(execution, ExecutionStatus.COMPLETED, output_data={"n": n})
        return execution

    async def run() -> None:
        for n, execution in enumerate(await asyncio.gather(*map(one, range(30)))):
            found = await tracker.get_execution(execution)
            assert (found.pipeline_name, found.output_data, found.completed_steps) == (f"run {n}", {"n": n}, 2)
            assert [step.output_data for step in await tracker.get_execution_steps(execution)] == [{"n": n}] * 2

    asyncio.run(run())
    assert db.fetch_value("SELECT COUNT(*) FROM step_executions") == 60


def test_pages_are_told_and_those_that_have_gone_are_dropped(tracker: ExecutionTracker) -> None:
    page = Page()
    tracker.add_websocket_connection(page)
    tracker.add_websocket_connection(ClosedPage())

    async def run() -> None:
        execution = await tracker.start_execution("p", "P", {}, total_steps=1)
        step = await tracker.start_step_execution(execution, "s", "S", "T")
        await tracker.complete_step_execution(step, StepStatus.COMPLETED)
        await tracker.update_execution_status(
            execution, ExecutionStatus.COMPLETED, completed_steps=1, failed_steps=0, output_data={"x": 1}
        )

    asyncio.run(run())
    assert [message["type"] for message in page.messages] == [
        *("execution_update", "step_update", "step_update", "execution_update")
    ]
    assert page.messages[-1]["data"]["output_data"] == {"x": 1}
    assert tracker.websocket_connections == [page]


# A gap of ia_modules: MySQL's SUM of integers is a DECIMAL, which json.dumps does not take. What is stored is right.


@pytest.mark.parametrize("kind", ["mysql"], indirect=True)
def test_pages_are_not_told_of_the_counts_that_mysql_has_summed(tracker: ExecutionTracker) -> None:
    tracker.add_websocket_connection(Page())

    async def run() -> None:
        execution = await tracker.start_execution("p", "P", {}, total_steps=1)
        step = await tracker.start_step_execution(execution, "s", "S", "T")
        await tracker.complete_step_execution(step, StepStatus.COMPLETED)
        with pytest.raises(TypeError, match="Decimal is not JSON serializable"):
            await tracker.update_execution_status(execution, ExecutionStatus.COMPLETED)
        found = await tracker.get_execution(execution)
        assert (found.status, found.completed_steps) == (ExecutionStatus.COMPLETED, 1)

    asyncio.run(run())


# A gap of ia_modules: the moments of steps are what the driver gives, where those of executions are made text.


@pytest.mark.parametrize("kind", ["postgresql", "mysql"], indirect=True)
def test_the_moments_of_steps_are_the_drivers(tracker: ExecutionTracker) -> None:
    async def run() -> None:
        execution = await tracker.start_execution("p", "P", {})
        await tracker.start_step_execution(execution, "s", "S", "T")
        (step,) = await tracker.get_execution_steps(execution)
        (record,) = await tracker.get_recent_executions()
        assert (type(step.started_at), type(record.started_at)) == (datetime, str)

    asyncio.run(run())


# A gap of ia_modules: it blocks the event loop, and with it the task that it would have to wait for.


def test_a_write_beside_another_tasks_transaction_works_or_is_refused_at_once(
    tracker: ExecutionTracker, db: DatabaseManager, kind: str
) -> None:
    async def transaction(written: asyncio.Event, ended: asyncio.Event) -> None:
        async with db.transaction() as tx:
            tx.execute("INSERT INTO reliability_steps (agent_name, success) VALUES ('a', TRUE)")
            written.set()
            await ended.wait()

    async def run() -> None:
        written, ended = asyncio.Event(), asyncio.Event()
        other = asyncio.create_task(transaction(written, ended))
        await written.wait()
        assert await tracker.get_recent_executions() == []
        if kind == "sqlite":
            with pytest.raises(LockTimeout, match="await execute_async"):
                await tracker.start_execution("p", "P", {})
        else:
            await tracker.start_execution("p", "P", {})
        ended.set()
        await other
        await tracker.start_execution("p", "P", {})
        assert len(await tracker.get_recent_executions()) == (1 if kind == "sqlite" else 2)

    asyncio.run(run())
