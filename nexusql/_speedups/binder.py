"""The parameter binder: one pass that puts values in driver order, checks their types, adapts them and finds lists."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nexusql._speedups import _cython_shim as cython
else:
    try:
        import cython
    except ModuleNotFoundError:
        from nexusql._speedups import _cython_shim as cython

from nexusql._speedups.codes import END, FAULT, FULL, OTHER

Adapter = Callable[[Any], Any]


def bind(
    names: tuple[str, ...],
    params: dict[str, Any],
    adapters: dict[type, Adapter | None],
    otherwise: Adapter,
    lists: tuple[str, ...],
) -> tuple[Any, ...] | None:
    """The values of `params` for `names`, in that order, each as its driver takes it.

    `adapters` maps an exact type to None (the driver takes it as it is) or to what converts it; any other type goes to
    `otherwise`, which converts or raises. None is returned when a list or tuple is given for a name in `lists`, for the
    caller to expand. Raises KeyError(names missing, each once, in order).
    """
    values: list[Any] = []
    expandable: cython.bint = len(lists) > 0
    for name in names:
        if name not in params:
            raise KeyError(tuple(dict.fromkeys([n for n in names if n not in params])))
        value = params[name]
        if expandable and isinstance(value, (list, tuple)) and name in lists:
            return None
        adapt = adapters.get(type(value), otherwise)
        values.append(value if adapt is None else adapt(value))
    return tuple(values)


def bind_sequence(
    order: tuple[int, ...] | None,
    params: Sequence[Any],
    adapters: dict[type, Adapter | None],
    otherwise: Adapter,
) -> tuple[Any, ...]:
    """The values of a sequence as the driver takes them, picked by `order`, or as they come where it is None."""
    values: list[Any] = []
    if order is not None:
        params = [params[i] for i in order]
    for value in params:
        adapt = adapters.get(type(value), otherwise)
        values.append(value if adapt is None else adapt(value))
    return tuple(values)


def flat_rows(
    first: Any,
    rows: Iterator[Any],
    names: tuple[str, ...] | None,
    width: int,
    surplus: bool,
    adapters: dict[type, Adapter | None],
    otherwise: Adapter,
    max_rows: int,
    kept: list[Any] | None,
) -> tuple[list[Any], int, int, Any]:
    """The values of rows as the driver takes them, one after the other; see nexusql._speedups.encoder."""
    flat: list[Any] = []
    count = 0
    source = rows if first is None else chain((first,), rows)
    while count < max_rows:
        try:
            record = next(source)
        except StopIteration:
            return flat, count, END, None
        if names is None:
            if not isinstance(record, (tuple, list)) or len(record) != width:
                return flat, count, OTHER, record
            values = record
        else:
            if not isinstance(record, dict) or (not surplus and len(record) != width):
                return flat, count, OTHER, record
            if any(name not in record for name in names):
                return flat, count, OTHER, record
            values = [record[name] for name in names]
        bound = []
        for i, value in enumerate(values):
            adapt = adapters.get(type(value), otherwise)
            try:
                bound.append(value if adapt is None else adapt(value))
            except Exception as error:
                return flat, count, FAULT, (record, i, error)
        flat += bound
        count += 1
        if kept is not None:
            kept.append(record)
    return flat, count, FULL, None
