"""Stand-in for ``cython`` where it is not installed: the names the hot modules use, without any effect."""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

F = TypeVar("F", bound=Callable[..., object])

compiled = False
Py_ssize_t: TypeAlias = int
Py_UCS4: TypeAlias = str
bint: TypeAlias = bool


def cfunc(function: F) -> F:
    """Mark a function as C only; interpreted it stays what it is."""
    return function


def inline(function: F) -> F:
    """Ask the C compiler to inline; interpreted it stays what it is."""
    return function


def boundscheck(_flag: bool) -> Callable[[F], F]:
    """Switch index checks on or off in C."""
    return cfunc


def wraparound(_flag: bool) -> Callable[[F], F]:
    """Switch negative indexes on or off in C."""
    return cfunc


def exceptval(*_value: object, check: bool = True) -> Callable[[F], F]:
    """Say which C return value signals an exception."""
    return cfunc
