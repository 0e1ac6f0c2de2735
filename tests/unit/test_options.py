"""The settings of a manager are checked before anything is opened."""

from typing import Any

import pytest

from nexusql import ConfigError
from nexusql.options import Options


@pytest.mark.parametrize("name", ["pool_min", "pool_max", "max_waiting", "statement_cache"])
@pytest.mark.parametrize("value", [10.0, "10", True, float("nan")])
def test_a_count_is_a_whole_number(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is a whole number, not {value!r}$"):
        Options(**{name: value})


@pytest.mark.parametrize("name", ["pool_timeout", "connect_timeout", "max_lifetime", "idle_timeout"])
@pytest.mark.parametrize("value", ["10", None, False])
def test_a_time_is_a_number(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is a number, not {value!r}$"):
        Options(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pool_min", -1),
        ("pool_max", -5),
        ("max_waiting", -1),
        ("statement_cache", -5),
        ("pool_timeout", -1),
        ("pool_timeout", float("nan")),
        ("connect_timeout", -0.5),
        ("max_lifetime", float("-inf")),
        ("idle_timeout", float("nan")),
    ],
)
def test_no_number_is_negative_or_none_at_all(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is at least 0, not {value!r}$"):
        Options(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(("least", "most"), [(2, 1), (0, 0)])
def test_a_pool_has_room_for_what_it_keeps(least: int, most: int) -> None:
    with pytest.raises(ConfigError, match="pool_max at least 1"):
        Options(pool_min=least, pool_max=most)


def test_a_time_without_end_and_none_at_all_are_taken() -> None:
    assert Options(max_lifetime=float("inf"), pool_timeout=0, max_waiting=0, statement_cache=0).max_waiting == 0
