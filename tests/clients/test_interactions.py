"""ia_modules' HITLManager, which mixes calls that block with coroutines: all of it, on every database."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ia_modules.pipeline.execution_tracker import ExecutionTracker
from ia_modules.pipeline.hitl_manager import HITLManager

from nexusql import DatabaseManager

Ask = Callable[..., Awaitable[str]]


@pytest.fixture
def manager(db: DatabaseManager) -> HITLManager:
    return HITLManager(db)


@pytest.fixture
def ask(manager: HITLManager, db: DatabaseManager) -> Ask:
    """Creates an interaction of an execution, which is there."""
    execution = asyncio.run(ExecutionTracker(db).start_execution("p", "P", {}))

    async def create(**options: Any) -> str:
        given = {"prompt": "Shall we? 'yes' :no 100%", "context_data": {"deep": [1, None]}, **options}
        interaction: str = await manager.create_interaction(execution, "p", "s", "Step", **given)
        return interaction

    return create


def expire(db: DatabaseManager, interaction: str) -> None:
    """Let the time of an interaction be over."""
    past = datetime.now(timezone.utc) - timedelta(seconds=1)
    sql = "UPDATE hitl_interactions SET expires_at = :past WHERE interaction_id = :id"
    assert db.execute(sql, {"past": past, "id": interaction}).rowcount == 1


def test_an_interaction_is_created_and_answered(manager: HITLManager, ask: Ask) -> None:
    async def run() -> None:
        schema = {"type": "form", "fields": [{"name": "ok", "type": "checkbox"}]}
        interaction = await ask(ui_schema=schema, timeout_seconds=60)
        asked = await manager.get_interaction(interaction)
        assert (asked.pipeline_id, asked.step_id, asked.step_name, asked.status) == ("p", "s", "Step", "pending")
        assert (asked.prompt, asked.context_data) == ("Shall we? 'yes' :no 100%", {"deep": [1, None]})
        assert (asked.ui_schema, asked.human_input, asked.completed_at) == (schema, None, None)
        assert asked.expires_at - asked.created_at == timedelta(seconds=60)

        assert await manager.respond_to_interaction(interaction, {"ok": True}, "ada") is True
        answered = await manager.get_interaction(interaction)
        assert (answered.status, answered.human_input, answered.responded_by) == ("completed", {"ok": True}, "ada")
        assert answered.completed_at >= answered.created_at
        assert await manager.respond_to_interaction(interaction, {"ok": False}) is False
        assert await manager.cancel_interaction(interaction) is False

    asyncio.run(run())


def test_what_is_not_there_is_none_or_false(manager: HITLManager) -> None:
    async def run() -> None:
        assert await manager.get_interaction("none") is None
        assert await manager.get_execution_state("none") is None
        assert await manager.respond_to_interaction("none", {}) is False
        assert await manager.cancel_interaction("none") is False
        assert await manager.get_pending_interactions() == []

    asyncio.run(run())


def test_pending_interactions_by_execution_pipeline_and_person(manager: HITLManager, ask: Ask) -> None:
    async def run() -> None:
        first = await ask(assigned_users=["ada", "bob"], channels=["web", "email", "slack", "discord", "sms"])
        second = await ask(assigned_users=["bob"])
        third = await ask(timeout_seconds=0)
        assert (await manager.get_interaction(third)).expires_at is None

        async def pending(**only: Any) -> list[str]:
            return [found.interaction_id for found in await manager.get_pending_interactions(**only)]

        assert await pending() == [first, second, third]
        execution = (await manager.get_interaction(first)).execution_id
        assert await pending(execution_id=execution, pipeline_id="p") == [first, second, third]
        assert await pending(user_id="bob") == [first, second]
        assert await pending(user_id="ada", pipeline_id="p") == [first]
        assert await pending(pipeline_id="other") == []
        assert await manager.cancel_interaction(first) is True
        assert await pending(user_id="bob") == [second]
        assert (await manager.get_interaction(first)).status == "cancelled"

    asyncio.run(run())


def test_an_answer_that_comes_too_late_expires_the_interaction(
    manager: HITLManager, ask: Ask, db: DatabaseManager
) -> None:
    async def run() -> None:
        interaction = await ask(timeout_seconds=60)
        expire(db, interaction)
        assert await manager.respond_to_interaction(interaction, {"ok": True}) is False
        assert (await manager.get_interaction(interaction)).status == "expired"

    asyncio.run(run())


def test_an_execution_is_paused_with_its_state(manager: HITLManager, ask: Ask) -> None:
    state = {"pipeline_name": "P", "step_index": 3, "current_data": {"text": "\U0001f469‍\U0001f680 \\ '"}}

    async def run() -> None:
        interaction = await ask()
        assert await manager.get_execution_state(interaction) == {"deep": [1, None]}
        await manager.save_execution_state(interaction, state)
        assert await manager.get_execution_state(interaction) == state

    asyncio.run(run())


def test_many_are_asked_and_answer_at_once(manager: HITLManager, ask: Ask, db: DatabaseManager) -> None:
    async def one(n: int) -> bool:
        interaction = await ask(assigned_users=[f"user-{n}", "all"])
        (found,) = await manager.get_pending_interactions(user_id=f"user-{n}")
        assert found.interaction_id == interaction
        answered: bool = await manager.respond_to_interaction(interaction, {"n": n}, f"user-{n}")
        return answered

    async def run() -> None:
        tracker = ExecutionTracker(db)
        executions = (tracker.start_execution("q", f"beside {n}", {}) for n in range(30))
        assert all(await asyncio.gather(*map(one, range(30)), *executions))
        assert await manager.get_pending_interactions() == []

    asyncio.run(run())
    counts = "SELECT COUNT(*) FROM hitl_interactions WHERE status = 'completed'"
    assert (db.fetch_value(counts), db.fetch_value("SELECT COUNT(*) FROM hitl_assignments")) == (30, 60)


def test_an_interaction_of_a_transaction_is_kept_or_lost_with_it(
    manager: HITLManager, ask: Ask, db: DatabaseManager
) -> None:
    async def run() -> None:
        async with db.transaction():
            kept = await ask(assigned_users=["ada"])
        with pytest.raises(ZeroDivisionError):
            async with db.transaction():
                await manager.respond_to_interaction(kept, {"ok": True})
                await ask(assigned_users=["ada"])
                assert len(await manager.get_pending_interactions(user_id="ada")) == 1
                1 / 0
        assert [found.interaction_id for found in await manager.get_pending_interactions(user_id="ada")] == [kept]

    asyncio.run(run())


# A gap of ia_modules: an `int` is promised, and what `execute` gives is handed on.


def test_the_number_of_expired_interactions_is_the_rowcount_of_the_result(
    manager: HITLManager, ask: Ask, db: DatabaseManager
) -> None:
    async def run() -> None:
        old = [await ask(timeout_seconds=60) for _ in range(2)]
        fresh = await ask(timeout_seconds=60)
        for interaction in old:
            expire(db, interaction)
        result = await manager.cleanup_expired_interactions()
        assert (result, result.rowcount) == ([], 2)
        assert [(await manager.get_interaction(interaction)).status for interaction in old] == ["expired"] * 2
        assert (await manager.get_interaction(fresh)).status == "pending"

    asyncio.run(run())
