"""The settings of a manager, checked."""

from dataclasses import dataclass, fields
from types import NoneType
from typing import Any

from nexusql.errors import ConfigError
from nexusql.events import Observer
from nexusql.interrupts import checked_limit

_NUMBERS: dict[Any, tuple[type, ...]] = {int: (int,), float: (int, float), int | None: (int, NoneType)}


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of a manager; times in seconds. Raises ConfigError for one that cannot be used."""

    pool_min: int = 1
    pool_max: int = 10
    pool_timeout: float = 30.0
    connect_timeout: float = 10.0
    max_lifetime: float = 1800.0
    idle_timeout: float = 600.0
    max_waiting: int | None = None
    statement_timeout: float | None = None
    statement_cache: int = 512
    translate: bool = True
    strict: bool = False
    duplicate_columns: str = "last"
    observers: tuple[Observer, ...] = ()

    def __post_init__(self) -> None:
        for option in fields(self):
            kinds, value = _NUMBERS.get(option.type), getattr(self, option.name)
            if kinds and (isinstance(value, bool) or not isinstance(value, kinds)):
                raise ConfigError(f"{option.name} is a {'' if float in kinds else 'whole '}number, not {value!r}")
            if kinds and value is not None and not value >= 0:  # nor NaN
                raise ConfigError(f"{option.name} is at least 0, not {value!r}")
        if not 0 <= self.pool_min <= self.pool_max or self.pool_max < 1:
            raise ConfigError(
                f"pool_min is 0 to pool_max, and pool_max at least 1; not {self.pool_min} and {self.pool_max}"
            )
        if self.statement_timeout is not None:
            checked_limit(self.statement_timeout)
        if self.duplicate_columns not in ("last", "raise", "suffix"):
            raise ConfigError(f"duplicate_columns is 'last', 'raise' or 'suffix', not {self.duplicate_columns!r}")
