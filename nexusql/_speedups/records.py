"""Rows to dicts."""

from collections.abc import Iterable, MutableSequence, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nexusql._speedups import _cython_shim as cython
else:
    try:
        import cython
    except ModuleNotFoundError:
        from nexusql._speedups import _cython_shim as cython


def column_names(description: Sequence[Sequence[Any]]) -> tuple[str, ...]:
    """The names in a PEP 249 cursor description, in order."""
    names: list[str] = [column[0] for column in description]
    return tuple(names)


def extend_dicts(out: MutableSequence[dict[str, Any]], rows: Iterable[Any], names: tuple[str, ...]) -> bool:
    """Append one dict a row to `out`, keyed by `names`; of two columns with one name the last wins.

    True is returned where two names are equal, so that each dict has fewer keys than its row has values. A row is
    anything that is indexed by number: a tuple, a list, a driver's row. Raises ValueError where its length is not that
    of `names`.
    """
    n: cython.Py_ssize_t = len(names)
    i: cython.Py_ssize_t
    record: dict[str, Any] = {}
    records: list[dict[str, Any]] = []
    for row in rows:
        if len(row) != n:
            raise ValueError(f"a row of {len(row)} values for {n} columns")
        # A dict holds five keys before it grows; with more, copying the one before allocates only once.
        record = record.copy() if n > 5 else {}
        for i in range(n):
            record[names[i]] = row[i]
        records.append(record)
    out.extend(records)
    return len(records) > 0 and len(record) < n
