"""A backend and a session of its driver on each database, without the layers above."""

from collections.abc import Iterator
from typing import Any

import pytest

from driving import Driven
from nexusql.backends import backend_for
from nexusql.backends.base import Backend
from nexusql.config import ConnectionConfig


@pytest.fixture
def config(database_url: str) -> ConnectionConfig:
    """The configuration of an empty database of `kind`."""
    return ConnectionConfig.from_url(database_url)


@pytest.fixture
def backend(config: ConnectionConfig) -> Backend:
    """Its backend."""
    return backend_for(config)


@pytest.fixture
def driven(backend: Backend, config: ConnectionConfig) -> Iterator[Driven]:
    """A session on it."""
    with Driven(backend, config) as session:
        yield session


@pytest.fixture
def raw(driven: Driven) -> Any:
    """The driver's connection of that session."""
    return driven.raw
