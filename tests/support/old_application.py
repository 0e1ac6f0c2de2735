"""An application from before nexusql was a package of its own: its database is a module of ia_modules.

Run it with a URL, where the shim of docs/MIGRATION_GUIDE.md has been run. It prints what it has done, as JSON.
"""

import asyncio
import json
import sys
from typing import Any

import ia_modules.database
import ia_modules.database.manager as by_name
from ia_modules.checkpoint.sql import SQLCheckpointer
from ia_modules.database import ConnectionConfig, DatabaseManager, interfaces
from ia_modules.database.interfaces import DatabaseInterface, DatabaseType, QueryResult, create_query_result
from ia_modules.database.migrations import MigrationRunner
from ia_modules.memory.sql import SQLConversationMemory
from ia_modules.pipeline.execution_tracker import ExecutionStatus, ExecutionTracker
from ia_modules.pipeline.hitl_manager import HITLManager
from ia_modules.pipeline.importer import PipelineImportService
from ia_modules.reliability.sql_metric_storage import SQLMetricStorage


async def use(url: str) -> dict[str, Any]:
    """Write something by every client, and count it."""
    config = ConnectionConfig.from_url(url)
    db = DatabaseManager(config)
    assert isinstance(db, DatabaseInterface)
    assert isinstance(config.database_type, DatabaseType)
    assert by_name.DatabaseManager is ia_modules.database.DatabaseManager is DatabaseManager
    assert interfaces.QueryResult is QueryResult is type(create_query_result())
    assert await db.initialize() is True
    assert await MigrationRunner(db).get_pending_migrations() == []

    storage = SQLMetricStorage(db)
    await asyncio.gather(*(storage.record_step({"agent": f"a{n}", "success": True}) for n in range(10)))
    tracker = ExecutionTracker(db)
    execution = await tracker.start_execution("p", "P", {"n": 1})
    await tracker.update_execution_status(execution, ExecutionStatus.COMPLETED, output_data={"n": 2})
    people = HITLManager(db)
    interaction = await people.create_interaction(execution, "p", "s", "S", "Go on?", {}, assigned_users=["ada"])
    await people.respond_to_interaction(interaction, {"ok": True})
    await SQLCheckpointer(db).save_checkpoint("t", "p", "s", 0, {"n": 1})
    await SQLConversationMemory(db).add_message("t", "user", "Hello")
    found = {
        "steps": len(await storage.get_steps()),
        "executions": (await ExecutionTracker(db).get_execution_statistics())["by_status"],
        "interactions": (await people.get_interaction(interaction)).human_input,
        "pipelines": await PipelineImportService(db, "nowhere").list_imported_pipelines(),
        "checkpoints": await SQLCheckpointer(db).delete_checkpoints("t"),
        "messages": [message.content for message in await SQLConversationMemory(db).get_messages("t")],
    }
    await db.close()
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(use(sys.argv[1]))))
