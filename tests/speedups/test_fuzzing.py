"""The core on hostile input: both builds make the same of any records, converters and iterators."""

import random
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import fuzzing
from readings import implementation

MODULES = ("scanner", "binder", "records", "encoder")
INPUTS = 2000


def core(compiled: bool) -> dict[str, ModuleType]:
    return {name: implementation(name, compiled) for name in MODULES}


@given(st.binary(min_size=1, max_size=600))
@example(b"")
def test_both_builds_make_the_same_of_any_input(data: bytes) -> None:
    fuzzing.check(data, core(False), core(True))


@pytest.mark.parametrize("target", range(len(fuzzing.TARGETS)))
def test_both_builds_make_the_same_of_long_random_inputs(target: int) -> None:
    interpreted, compiled = core(False), core(True)
    chance = random.Random(target)
    for _ in range(INPUTS // len(fuzzing.TARGETS)):
        fuzzing.check(bytes([target]) + chance.randbytes(400), interpreted, compiled)


def test_an_input_reaches_every_way_in_which_a_call_ends() -> None:
    chance = random.Random(1)
    interpreted = core(False)
    ends: set[Any] = set()
    for _ in range(INPUTS):
        for seen in fuzzing.encode(fuzzing.Source(chance.randbytes(400)), interpreted)[0]:
            ends.add(seen[2] if len(seen) == 5 else seen[0])
    assert ends == {0, 1, 2, 3, 4, OSError, KeyboardInterrupt}


def test_a_difference_is_found() -> None:
    interpreted = core(False)
    encoder = interpreted["encoder"]
    wrong = SimpleNamespace(
        copy_rows=lambda *args: (encoder.copy_rows(*args)[0].replace(b"\\\\", b"\\"), *encoder.copy_rows(*args)[1:]),
        literal_rows=encoder.literal_rows,
        binary_rows=encoder.binary_rows,
    )
    chance = random.Random(1)
    with pytest.raises(fuzzing.Difference, match="compiled"):
        for _ in range(INPUTS):
            fuzzing.check(b"\0" + chance.randbytes(400), interpreted, {**interpreted, "encoder": wrong})  # type: ignore[dict-item]
