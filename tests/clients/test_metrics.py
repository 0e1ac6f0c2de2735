"""ia_modules' SQLMetricStorage, alone and under its ReliabilityMetrics: all of it, on every database."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ia_modules.reliability.metrics import ReliabilityMetrics
from ia_modules.reliability.sql_metric_storage import SQLMetricStorage

import servers
from nexusql import DatabaseManager, UniqueViolation
from nexusql.bulk import BulkWrite


@pytest.fixture
def storage(db: DatabaseManager) -> SQLMetricStorage:
    return SQLMetricStorage(db)


def moment(value: Any) -> datetime:
    """A timestamp as a datetime: SQLite gives its text."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def test_a_step_is_written_and_read_back(storage: SQLMetricStorage) -> None:
    step = {
        "agent": "it's :a planner 100%",
        "success": False,
        "required_compensation": True,
        "required_human": True,
        "mode": "execute",
        "declared_mode": "plan",
        "mode_violation": True,
        "timestamp": "2024-07-01T14:00:00.000250+02:00",
    }

    async def run() -> Any:
        await storage.record_step(step)
        return await storage.get_steps()

    (found,) = asyncio.run(run())
    assert moment(found.pop("timestamp")) == datetime(2024, 7, 1, 12, 0, 0, 250)
    assert found == {name: value for name, value in step.items() if name != "timestamp"}


def test_what_a_step_leaves_out_has_its_default(storage: SQLMetricStorage) -> None:
    async def run() -> Any:
        await storage.record_step({"agent": "a", "success": True})
        return await storage.get_steps()

    before = datetime.now(timezone.utc).replace(tzinfo=None)
    (found,) = asyncio.run(run())
    assert before <= moment(found.pop("timestamp")) <= datetime.now(timezone.utc).replace(tzinfo=None)
    assert found.pop("agent") == "a"
    assert found.pop("success") is True
    assert found.pop("mode") is found.pop("declared_mode") is None
    assert list(found.values()) == [False, False, False]


def test_steps_are_filtered_by_agent_and_moment_and_come_in_order(storage: SQLMetricStorage) -> None:
    noon = datetime(2024, 7, 1, 12, tzinfo=timezone.utc)

    async def run() -> None:
        for hours, agent in ((2, "a"), (0, "b"), (1, "a")):
            at = noon + timedelta(hours=hours)
            await storage.record_step({"agent": agent, "success": True, "timestamp": at.isoformat()})
        assert [step["agent"] for step in await storage.get_steps()] == ["b", "a", "a"]
        assert len(await storage.get_steps(agent="a")) == 2
        assert await storage.get_steps(agent="c") == []
        late = noon + timedelta(hours=1)
        for since in (late, late.astimezone(timezone(timedelta(hours=-8))), late.replace(tzinfo=None)):
            found = [moment(step["timestamp"]).hour for step in await storage.get_steps(since=since)]
            assert found == [13, 14]
        assert await storage.get_steps(agent="b", since=late) == []

    asyncio.run(run())


def test_a_workflow_is_written_once(storage: SQLMetricStorage) -> None:
    async def run() -> Any:
        await storage.record_workflow({"workflow_id": "w", "steps": 5, "retries": 1, "success": True})
        await storage.record_workflow({"workflow_id": "w", "steps": 9, "success": False})
        assert await storage.get_workflows(since=datetime.now(timezone.utc) + timedelta(hours=1)) == []
        return await storage.get_workflows(since=datetime.now(timezone.utc) - timedelta(hours=1))

    (found,) = asyncio.run(run())
    assert found.pop("timestamp") is not None
    assert found == {"workflow_id": "w", "steps": 5, "retries": 1, "success": True, "required_human": False}


def test_slo_measurements_are_kept_apart_by_type(storage: SQLMetricStorage) -> None:
    async def run() -> None:
        await storage.record_slo_measurement("mtte", "thread", "checkpoint", duration_ms=250)
        await storage.record_slo_measurement("rsr", "thread", replay_mode="strict", success=False, error="no :such %s")
        (mtte,) = await storage.get_slo_measurements("mtte")
        assert (mtte["thread_id"], mtte["checkpoint_id"], mtte["duration_ms"]) == ("thread", "checkpoint", 250)
        assert mtte["success"] is True
        (rsr,) = await storage.get_slo_measurements("rsr", since=datetime(2024, 1, 1))
        assert (rsr["replay_mode"], rsr["success"], rsr["error"]) == ("strict", False, "no :such %s")
        assert await storage.get_slo_measurements("rsr", since=datetime(2999, 1, 1)) == []

    asyncio.run(run())


def test_many_tasks_write_at_once_and_each_row_is_there_once(storage: SQLMetricStorage) -> None:
    async def run() -> None:
        steps = ({"agent": f"agent-{n}", "success": n % 3 > 0} for n in range(300))
        workflows = ({"workflow_id": f"w{n}", "steps": n, "success": True} for n in range(100))
        await asyncio.gather(
            *map(storage.record_step, steps),
            *map(storage.record_workflow, workflows),
            *(storage.record_slo_measurement("mtte", f"t{n}") for n in range(50)),
        )
        stored = await storage.get_steps()
        assert Counter(step["agent"] for step in stored) == {f"agent-{n}": 1 for n in range(300)}
        assert sum(step["success"] for step in stored) == 200
        assert sorted(row["steps"] for row in await storage.get_workflows()) == list(range(100))
        assert len(await storage.get_slo_measurements("mtte")) == 50

    asyncio.run(run())


def test_a_thousand_tasks_share_commits_where_the_manager_groups_them(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    run_bulk = BulkWrite.run

    def counted(self: BulkWrite, rows: Any, progress: Any = None) -> Any:
        groups.append(len(rows))
        return run_bulk(self, rows, progress)

    monkeypatch.setattr(BulkWrite, "run", counted)

    async def run(db: DatabaseManager) -> None:
        storage = SQLMetricStorage(db)
        steps = ({"agent": f"agent-{n}", "success": True, "mode": "it's :m"} for n in range(1000))
        await asyncio.gather(*map(storage.record_step, steps))
        stored = await storage.get_steps()
        assert Counter(step["agent"] for step in stored) == {f"agent-{n}": 1 for n in range(1000)}
        assert {step["mode"] for step in stored} == {"it's :m"}

    with DatabaseManager(database_url, group_commit=True) as db:
        asyncio.run(run(db))
    assert sum(groups) > 900
    assert len(groups) < 50


def test_metrics_of_a_transaction_are_kept_or_lost_with_it(storage: SQLMetricStorage, db: DatabaseManager) -> None:
    async def run() -> None:
        async with db.transaction():
            await storage.record_step({"agent": "kept", "success": True})
            await storage.record_workflow({"workflow_id": "kept", "steps": 1, "success": True})
        with pytest.raises(ZeroDivisionError):
            async with db.transaction():
                await storage.record_step({"agent": "lost", "success": True})
                await storage.record_workflow({"workflow_id": "lost", "steps": 1, "success": True})
                assert len(await storage.get_steps()) == 2
                1 / 0
        assert [step["agent"] for step in await storage.get_steps()] == ["kept"]
        assert [row["workflow_id"] for row in await storage.get_workflows()] == ["kept"]

    asyncio.run(run())


def test_a_report_adds_up_what_was_recorded(storage: SQLMetricStorage) -> None:
    async def run() -> Any:
        metrics = ReliabilityMetrics(storage)
        for n in range(10):
            await metrics.record_step(
                "planner", n > 0, required_compensation=n < 2, mode="act", declared_mode="act" if n else "plan"
            )
        await metrics.record_workflow("w1", steps=6, retries=2, success=True, required_human=True)
        await metrics.record_workflow("w2", steps=4, retries=0, success=True)
        return await metrics.get_report()

    report = asyncio.run(run())
    assert (report.svr, report.cr, report.pc, report.hir, report.ma) == (0.9, 0.2, 1.0, 0.5, 0.9)
    planner = report.agent_metrics["planner"]
    assert (planner.total_steps, planner.successful_steps, planner.mode_violations) == (10, 9, 1)


def test_a_database_without_the_schema_is_refused_by_the_client(kind: str) -> None:
    with servers.fresh_database(kind) as url, DatabaseManager(url) as db:
        with pytest.raises(RuntimeError, match="reliability_steps table not found"):
            SQLMetricStorage(db)


def test_close_disconnects(storage: SQLMetricStorage, db: DatabaseManager) -> None:
    asyncio.run(storage.close())
    assert db._connection is None


# A gap of ia_modules: it looks whether a workflow is there, and inserts it later.


def test_of_two_tasks_that_record_one_workflow_the_second_may_fail(
    storage: SQLMetricStorage, db: DatabaseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = db.execute_async

    async def later(*given: Any) -> Any:
        await asyncio.sleep(0)  # the other task has its turn
        return await insert(*given)

    async def run() -> None:
        record = {"workflow_id": "w", "steps": 1, "success": True}
        results = await asyncio.gather(*(storage.record_workflow(record) for _ in range(2)), return_exceptions=True)
        assert sorted(isinstance(result, UniqueViolation) for result in results) == [False, True]
        assert len(await storage.get_workflows()) == 1

    monkeypatch.setattr(db, "execute_async", later)
    asyncio.run(run())
