"""ia_modules' SQLCheckpointer and SQLConversationMemory.

They read rows as SQLite gives them: moments as text, and the checkpointer JSON as text too. The drivers of the others
give datetimes, and psycopg2 what the JSON says. What is written arrives everywhere; all of it can be read back
everywhere through the manager that docs/MIGRATION_GUIDE.md shows.
"""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from ia_modules.checkpoint.core import CheckpointLoadError, CheckpointSaveError
from ia_modules.checkpoint.sql import SQLCheckpointer
from ia_modules.memory.core import MessageRole
from ia_modules.memory.sql import SQLConversationMemory

import servers
from nexusql import DatabaseManager

STATE = {"input": {"text": "it's :here 100% \\ \U0001f469‍\U0001f680"}, "steps": [1, None, 2.5, True]}

# Where all of it works: any manager on SQLite, that of the guide on every database.
whole = pytest.mark.parametrize(
    ("kind", "manager"), [("sqlite", "plain"), *((kind, "text") for kind in servers.KINDS)], indirect=True
)
beside_sqlite = pytest.mark.parametrize("kind", ["postgresql", "mysql"], indirect=True)


@whole
def test_checkpoints_are_saved_and_loaded(manager: DatabaseManager) -> None:
    checkpointer = SQLCheckpointer(manager)

    async def run() -> None:
        first = await checkpointer.save_checkpoint("t", "p", "s0", 0, STATE, {"by": "me"}, "Step 0")
        second = await checkpointer.save_checkpoint("t", "p", "s1", 1, {}, parent_checkpoint_id=first)
        found = await checkpointer.load_checkpoint("t", first)
        assert (found.checkpoint_id, found.step_id, found.step_index, found.step_name) == (first, "s0", 0, "Step 0")
        assert (found.state, found.metadata, found.parent_checkpoint_id) == (STATE, {"by": "me"}, None)
        assert abs(datetime.now() - found.timestamp) < timedelta(minutes=5)
        latest = await checkpointer.load_checkpoint("t")
        assert (latest.checkpoint_id, latest.parent_checkpoint_id, latest.state) == (second, first, {})

    asyncio.run(run())


@whole
def test_checkpoints_are_listed_newest_first_in_pages(manager: DatabaseManager) -> None:
    checkpointer = SQLCheckpointer(manager)

    async def run() -> None:
        for n in range(5):
            await checkpointer.save_checkpoint("t", "even" if n % 2 == 0 else "odd", f"s{n}", n, {"n": n})
        await checkpointer.save_checkpoint("other", "odd", "s", 9, {})

        async def listed(**only: Any) -> list[int]:
            return [found.step_index for found in await checkpointer.list_checkpoints("t", **only)]

        assert await listed() == [4, 3, 2, 1, 0]
        assert await listed(limit=2, offset=1) == [3, 2]
        assert await listed(pipeline_id="odd") == [3, 1]
        assert await listed(pipeline_id="even", limit=1, offset=2) == [0]
        assert await checkpointer.list_checkpoints("none") == []

    asyncio.run(run())


@whole
def test_statistics_of_checkpoints(manager: DatabaseManager) -> None:
    checkpointer = SQLCheckpointer(manager)

    async def run() -> None:
        for thread in ("a", "a", "b"):
            await checkpointer.save_checkpoint(thread, "p", "s", 0, STATE)
        of_one = await checkpointer.get_checkpoint_stats("a")
        assert (of_one["total_checkpoints"], of_one["thread_id"]) == (2, "a")
        assert of_one["oldest_checkpoint"] < of_one["newest_checkpoint"]
        of_all = await checkpointer.get_checkpoint_stats()
        assert (of_all["total_checkpoints"], sorted(of_all["threads"])) == (3, ["a", "b"])
        assert of_all["oldest_checkpoint"] == of_one["oldest_checkpoint"]

    asyncio.run(run())


@pytest.mark.parametrize("manager", ["text"], indirect=True)
def test_what_is_not_there_is_none_with_the_manager_of_the_guide(manager: DatabaseManager) -> None:
    async def run() -> None:
        assert await SQLCheckpointer(manager).load_checkpoint("none") is None

    asyncio.run(run())


def test_every_manager_saves_checkpoints(db: DatabaseManager) -> None:
    checkpointer = SQLCheckpointer(db)

    async def run() -> None:
        saved = await asyncio.gather(
            *(checkpointer.save_checkpoint("t", "p", f"s{n}", n, {"n": n, **STATE}, {"m": n}) for n in range(50))
        )
        rows = db.execute("SELECT checkpoint_id, state, metadata FROM pipeline_checkpoints ORDER BY step_index")
        assert [row["checkpoint_id"] for row in rows] == saved
        for n, row in enumerate(rows):
            state, metadata = (
                json.loads(value) if isinstance(value, str) else value for value in (row["state"], row["metadata"])
            )
            assert (state, metadata) == ({"n": n, **STATE}, {"m": n})
        with pytest.raises(CheckpointSaveError):
            await checkpointer.save_checkpoint("t", "p", "s", None, {})

    asyncio.run(run())


def test_every_manager_deletes_and_counts_checkpoints(db: DatabaseManager) -> None:
    checkpointer = SQLCheckpointer(db)

    async def run() -> str:
        first, second, *_ = [
            await checkpointer.save_checkpoint("t", "even" if n % 2 == 0 else "odd", "s", n, {}) for n in range(6)
        ]
        child: str = await checkpointer.save_checkpoint("child", "p", "s", 0, {}, parent_checkpoint_id=second)
        assert await checkpointer.delete_checkpoint("t", first) is True
        assert await checkpointer.delete_checkpoints("t", "odd") == 3
        assert await checkpointer.delete_checkpoints("t") == 2
        assert await checkpointer.delete_checkpoints("t") == 0
        assert (await checkpointer.get_checkpoint_stats("t"))["total_checkpoints"] == 0
        await checkpointer.close()
        return child

    child = asyncio.run(run())
    assert db.execute("SELECT checkpoint_id FROM pipeline_checkpoints") == [{"checkpoint_id": child}]


# Gaps of ia_modules: it reads text where drivers give datetimes and JSON, and awaits what may be None.


@beside_sqlite
def test_drivers_other_than_sqlites_give_the_checkpointer_what_it_does_not_read(db: DatabaseManager, kind: str) -> None:
    checkpointer = SQLCheckpointer(db)
    wanted = "must be str, bytes or bytearray, not dict" if kind == "postgresql" else "argument must be str"

    async def run() -> None:
        saved = await checkpointer.save_checkpoint("t", "p", "s", 0, STATE)
        with pytest.raises(CheckpointLoadError, match=wanted):
            await checkpointer.load_checkpoint("t", saved)
        with pytest.raises(CheckpointLoadError, match=wanted):
            await checkpointer.list_checkpoints("t")
        for thread in ("t", None):
            with pytest.raises(TypeError, match="argument must be str"):
                await checkpointer.get_checkpoint_stats(thread)

    asyncio.run(run())


def test_the_checkpointer_awaits_the_none_of_a_thread_without_checkpoints(db: DatabaseManager) -> None:
    with pytest.raises(CheckpointLoadError, match="NoneType can't be used in 'await' expression"):
        asyncio.run(SQLCheckpointer(db).load_checkpoint("none"))


# Memory


def test_messages_are_added_read_and_searched(db: DatabaseManager) -> None:
    memory = SQLConversationMemory(db)

    async def run() -> None:
        first = await memory.add_message("t", "user", "it's :here 100%", user_id="u", metadata={"deep": [1, None]})
        second = await memory.add_message("t", "function", "2", function_call={"a": 1}, function_name="add")
        await memory.add_message("other", "assistant", "Hello", user_id="u")

        newest, oldest = await memory.get_messages("t")
        assert (newest.message_id, newest.role, newest.function_name) == (second, MessageRole.FUNCTION, "add")
        assert (newest.function_call, newest.metadata, newest.user_id) == ({"a": 1}, {}, None)
        assert (oldest.message_id, oldest.content, oldest.metadata) == (first, "it's :here 100%", {"deep": [1, None]})
        assert newest.timestamp > oldest.timestamp
        assert [found.message_id for found in await memory.get_messages("t", limit=1, offset=1)] == [first]
        assert [found.content for found in await memory.get_user_messages("u")] == ["Hello", "it's :here 100%"]
        assert [found.message_id for found in await memory.search_messages("s :here 100", "t", "u")] == [first]
        assert await memory.search_messages("nothing like it") == []

    asyncio.run(run())


def test_many_messages_are_added_at_once_and_a_thread_is_deleted(db: DatabaseManager) -> None:
    memory = SQLConversationMemory(db)

    async def run() -> None:
        await asyncio.gather(*(memory.add_message(f"t{n % 2}", "user", f"message {n}") for n in range(50)))
        stored = await memory.get_messages("t1", limit=100)
        assert sorted(found.content for found in stored) == sorted(f"message {n}" for n in range(1, 50, 2))
        assert await memory.delete_thread("t1") == 25
        assert await memory.delete_thread("t1") == 0
        assert (await memory.get_thread_stats("t1"))["message_count"] == 0
        await memory.close()

    asyncio.run(run())
    assert db._connection is None


@whole
def test_statistics_of_a_thread(manager: DatabaseManager) -> None:
    memory = SQLConversationMemory(manager)

    async def run() -> None:
        for n in range(3):
            await memory.add_message("t", "user", f"message {n}")
        found = await memory.get_thread_stats("t")
        assert (found["message_count"], found["thread_id"]) == (3, "t")
        assert found["first_message"] < found["last_message"]

    asyncio.run(run())


# A gap of ia_modules: the statistics read text where drivers give datetimes.


@beside_sqlite
def test_drivers_other_than_sqlites_give_the_statistics_what_they_do_not_read(db: DatabaseManager) -> None:
    memory = SQLConversationMemory(db)

    async def run() -> None:
        await memory.add_message("t", "user", "message")
        with pytest.raises(TypeError, match="argument must be str"):
            await memory.get_thread_stats("t")

    asyncio.run(run())
