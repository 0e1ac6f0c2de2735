"""ia_modules as it is published, on the packaged schema: one database of each kind, emptied after each test."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

import clients
import guide
import servers
from nexusql import DatabaseManager

# At the end of the path, so that nothing that comes with ia_modules stands before a package of the environment.
sys.path.append(str(clients.folder(clients.CURRENT)))
collect_ignore_glob = [] if clients.installed(clients.CURRENT) else ["test_*.py"]

# Children before their parents.
WRITTEN = (
    "hitl_assignments",
    "hitl_interactions",
    "step_executions",
    "pipeline_executions",
    "pipeline_step_modules",
    "pipelines",
    "pipeline_checkpoints",
    "conversation_messages",
    "reliability_steps",
    "reliability_workflows",
    "reliability_slo_measurements",
)


@pytest.fixture(scope="session")
def packaged() -> Iterator[Callable[[str], str]]:
    """Gives the URL of a database of a kind with the packaged schema, made when it is first asked for."""
    urls: dict[str, str] = {}
    with ExitStack() as stack:

        def of(kind: str) -> str:
            if kind not in urls:
                url = stack.enter_context(servers.fresh_database(kind))
                with DatabaseManager(url) as db:
                    assert asyncio.run(db.initialize()) is True
                urls[kind] = url
            return urls[kind]

        yield of


@pytest.fixture
def database_url(packaged: Callable[[str], str], kind: str) -> Iterator[str]:
    """The URL of that database, which is empty."""
    url = packaged(kind)
    yield url
    with DatabaseManager(url) as db:
        for table in WRITTEN:
            db.execute(f"DELETE FROM {table}")


@pytest.fixture
def manager(request: pytest.FixtureRequest, database_url: str) -> Iterator[DatabaseManager]:
    """A manager, or "text": the one that the guide shows for clients that read every value as text."""
    made = (
        guide.shown("TextManager")(database_url, json_loads=str)
        if request.param == "text"
        else DatabaseManager(database_url)
    )
    with made as manager:
        yield manager
