"""The core keeps nothing: run often, it leaves no memory and no reference behind."""

import gc
import sys
import tracemalloc
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from readings import PG

# Bytes. A call that left something behind would leave at least this much, each time.
SMALLEST_OBJECT = 16


def grows(call: Callable[[], Any], rounds: int = 300) -> float:
    """Bytes that each call leaves behind."""
    for _ in range(20):
        call()
    gc.collect()
    tracemalloc.start()
    try:
        call()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(rounds):
            call()
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / rounds
    finally:
        tracemalloc.stop()


def failing(call: Callable[..., Any], *args: Any) -> Callable[[], None]:
    def run() -> None:
        with pytest.raises((ValueError, KeyError)):
            call(*args)

    return run


def test_scanning_leaves_nothing(scanner: ModuleType) -> None:
    rules = int(PG.rules)
    assert grows(lambda: scanner.scan("SELECT :a, E'x' -- é\n, $t$ y $t$ /* z */" * 5, rules, 0)) < SMALLEST_OBJECT
    assert grows(failing(scanner.scan, "SELECT 'x", rules, 0)) < SMALLEST_OBJECT


def test_binding_leaves_nothing(binder: ModuleType) -> None:
    params = {"a": 1, "b": [1, 2], "c": 1.5}
    assert grows(lambda: binder.bind(("a", "c", "a"), params, {int: None}, repr, ())) < SMALLEST_OBJECT
    assert grows(lambda: binder.bind(("a", "b"), params, {int: None}, repr, ("b",))) < SMALLEST_OBJECT
    assert grows(failing(binder.bind, ("a", "x"), params, {int: None}, repr, ())) < SMALLEST_OBJECT
    assert grows(lambda: binder.bind_sequence((1, 0), (1, "x"), {int: None}, repr)) < SMALLEST_OBJECT


def test_building_dicts_leaves_nothing(records: ModuleType) -> None:
    names = tuple("abcdefg")
    rows = [tuple(range(7))] * 10
    assert grows(lambda: records.extend_dicts([], rows, names)) < SMALLEST_OBJECT
    assert grows(failing(records.extend_dicts, [], [(1,)], names)) < SMALLEST_OBJECT


def test_references_to_values_are_given_back(binder: ModuleType, records: ModuleType) -> None:
    value = object()
    before = sys.getrefcount(value)
    for _ in range(50):
        binder.bind(("a",), {"a": value}, {object: None}, repr, ())
        records.extend_dicts([], [(value, value)], ("a", "b"))
    assert sys.getrefcount(value) == before
