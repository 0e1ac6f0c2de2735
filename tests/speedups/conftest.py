"""Each module of the core, compiled and interpreted."""

from types import ModuleType

import pytest

from readings import implementation


@pytest.fixture(params=[False, True], ids=["interpreted", "compiled"])
def compiled(request: pytest.FixtureRequest) -> bool:
    flag: bool = request.param
    return flag


@pytest.fixture
def scanner(compiled: bool) -> ModuleType:
    return implementation("scanner", compiled)


@pytest.fixture
def binder(compiled: bool) -> ModuleType:
    return implementation("binder", compiled)


@pytest.fixture
def records(compiled: bool) -> ModuleType:
    return implementation("records", compiled)


@pytest.fixture
def encoder(compiled: bool) -> ModuleType:
    return implementation("encoder", compiled)
