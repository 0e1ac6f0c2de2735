"""A scripted server, and pools on it that are closed after the test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nexusql.pool import Pool
from pooling import ScriptedConnection, ScriptedServer

ScriptedPool = Pool[ScriptedConnection]


@pytest.fixture
def server() -> ScriptedServer:
    """A server that is well."""
    return ScriptedServer()


@pytest.fixture
def make_pool(server: ScriptedServer) -> Iterator[Callable[..., ScriptedPool]]:
    """Makes pools on the scripted server: 2 connections and 0.5 s to wait unless the test says otherwise."""
    pools: list[ScriptedPool] = []

    def make(**options: Any) -> ScriptedPool:
        settings = {"min_size": 0, "max_size": 2, "timeout": 0.5, "max_lifetime": 1800.0, "idle_timeout": 600.0}
        pool: ScriptedPool = Pool(server.open, **{**settings, **options})
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        pool.close()
        stats = pool.stats()
        assert stats.idle == 0
        assert stats.waiting == 0
