"""ia_modules' pipelines, run with their state, their history and their questions in one database."""

import asyncio
from typing import Any

import pytest
from ia_modules.checkpoint.sql import SQLCheckpointer
from ia_modules.pipeline.core import ExecutionContext, Pipeline, Step
from ia_modules.pipeline.errors import PipelineError
from ia_modules.pipeline.execution_tracker import ExecutionStatus, ExecutionTracker, StepStatus
from ia_modules.pipeline.hitl_manager import HITLManager
from ia_modules.pipeline.services import ServiceRegistry

from nexusql import DatabaseManager

FLOW = {"start_at": "one", "paths": [{"from": "one", "to": "two"}, {"from": "two", "to": "three"}]}
NAMES = ("one", "two", "three")


class Count(Step):  # type: ignore[misc]  # mypy does not see ia_modules
    """Counts up; fails as often as it is told to, and asks a person where it is told so."""

    failures = 0
    asks = False

    async def run(self, data: dict[str, Any]) -> dict[str, Any]:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("not yet")
        if self.asks:
            return {"status": "human_input_required", "prompt": "Go on?", "assigned_users": ["ada"]}
        return {"n": data["n"] + 1}


@pytest.mark.parametrize("manager", ["text"], indirect=True)
def test_a_pipeline_goes_on_where_it_failed(manager: DatabaseManager) -> None:
    checkpointer = SQLCheckpointer(manager)
    steps = [Count(name, {}) for name in NAMES]
    steps[1].failures = 1
    pipeline = Pipeline("p", steps, FLOW, ServiceRegistry(), False, checkpointer=checkpointer)

    async def run() -> None:
        with pytest.raises(PipelineError, match="not yet"):
            await pipeline.run({"n": 0}, ExecutionContext("e"), "thread")
        assert (await checkpointer.load_checkpoint("thread")).step_name == "one"
        assert (await pipeline.resume("thread"))["output"] == {"n": 3}
        saved = await checkpointer.list_checkpoints("thread")
        assert [found.step_name for found in saved] == ["three", "two", "one"]

    asyncio.run(run())


def test_pipelines_run_side_by_side_and_one_waits_for_a_person(db: DatabaseManager) -> None:
    tracker, people = ExecutionTracker(db), HITLManager(db)

    async def one(n: int) -> str:
        execution: str = await tracker.start_execution("p", f"run {n}", {"n": n}, total_steps=3)
        services = ServiceRegistry()
        services.register("database", db)
        services.register("execution_tracker", tracker)
        services.register("hitl_manager", people)
        steps = [Count(name, {}) for name in NAMES]
        steps[2].asks = n == 3
        result = await Pipeline("p", steps, FLOW, services, False).run({"n": n}, ExecutionContext(execution, "p"))
        if n != 3:
            assert result["output"]["n"] == n + 3
            await tracker.update_execution_status(execution, ExecutionStatus.COMPLETED, output_data={"n": n + 3})
        return execution

    async def run() -> None:
        executions = await asyncio.gather(*map(one, range(8)))
        for n, execution in enumerate(executions):
            found = await tracker.get_execution_by_id(execution)
            steps = await tracker.get_execution_steps(execution)
            assert sorted(step.step_name for step in steps) == sorted(NAMES)
            assert {step.status for step in steps} == {StepStatus.COMPLETED}
            assert (found.output_data, found.completed_steps) == (None if n == 3 else {"n": n + 3}, 3)
        assert (await tracker.get_execution_by_id(executions[3])).status is ExecutionStatus.WAITING_FOR_HUMAN
        (asked,) = await people.get_pending_interactions(user_id="ada")
        assert (asked.execution_id, asked.context_data["current_step"]) == (executions[3], "three")
        assert await people.respond_to_interaction(asked.interaction_id, {"ok": True}, "ada") is True

    asyncio.run(run())
