"""The parameter binder: one pass that puts values in driver order, checks their types, adapts them and finds lists."""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nexusql._speedups.codes import END, FAULT, FULL, OTHER

if TYPE_CHECKING:
    from nexusql._speedups import _cython_shim as cython
else:
    try:
        import cython
    except ModuleNotFoundError:
        from nexusql._speedups import _cython_shim as cython

Adapter = Callable[[Any], Any]

MOST = sys.maxsize


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
    rows: Iterable[Any],
    names: tuple[str, ...] | None,
    width: cython.Py_ssize_t,
    surplus: cython.bint,
    adapters: dict[type, Adapter | None],
    otherwise: Adapter,
    max_rows: cython.Py_ssize_t,
    kept: list[Any] | None,
    max_bytes: cython.Py_ssize_t = MOST,
) -> tuple[list[Any], int, int, Any]:
    """The values of many rows in one flat list, each as its driver takes it by the rules of `bind`.

    Records, `first`, `surplus`, `kept` and the status and detail of (values, number of rows, status, detail) are those
    of `encoder.copy_rows`; `width` is the number of columns. What an adapter or `otherwise` raises is a FAULT. The row
    by which the characters of str and the bytes of bytes come to `max_bytes` is the last.
    """
    values: list[Any] = []
    taken: list[Any]
    count: cython.Py_ssize_t = 0
    size: cython.Py_ssize_t = 0
    i: cython.Py_ssize_t
    fits: cython.bint
    if names is not None and len(names) != width:
        raise ValueError("names and width differ in length")
    iterator = iter(rows)
    nothing = object()
    record = first
    while count < max_rows and (size < max_bytes or count == 0):
        if record is None:
            record = next(iterator, nothing)
            if record is nothing:
                return values, count, END, None
        taken = []
        fits = False
        if names is None:
            if isinstance(record, (tuple, list)):
                taken = list(record)
                fits = len(taken) == width
        elif isinstance(record, dict):
            fields: dict[Any, Any] = record if type(record) is dict else dict(record)
            if surplus or len(fields) == width:
                try:
                    taken = [fields[name] for name in names]
                    fits = True
                except KeyError:
                    fits = False
        if not fits:
            return values, count, OTHER, record
        i = 0
        try:
            for i, value in enumerate(taken):
                kind = type(value)
                adapt = adapters.get(kind, otherwise)
                if adapt is not None:
                    value = adapt(value)
                    taken[i] = value
                    kind = type(value)
                if kind is str or kind is bytes:
                    size += len(value)
        except Exception as error:
            return values, count, FAULT, (record, i, error)
        values += taken
        count += 1
        if kept is not None:
            kept.append(record)
        record = None
    return values, count, FULL, record
