"""The single functions of the hot path, by pytest-benchmark: ``pytest benchmarks/test_functions.py``."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from nexusql._speedups import (
    AS_BOOL,
    AS_TEXT,
    AS_TIMESTAMP,
    BOOL,
    DATETIME,
    END,
    STR,
    binary_rows,
    bind,
    copy_rows,
    extend_dicts,
    flat_rows,
    literal_rows,
    scan,
)
from nexusql.sql import compile_statement
from nexusql.sql.lexical import SessionModes
from nexusql.sql.syntax import syntax_for
from workload import BENCH, METRICS, ONE_ROW, STATEMENTS, as_tuples
from workload import bench as bench_rows
from workload import metrics as metric_rows

DIALECTS = ("sqlite", "postgresql", "mysql")
Benchmark = Callable[..., Any]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_scan(benchmark: Benchmark, dialect: str) -> None:
    rules = int(syntax_for(dialect).lexical(SessionModes()))
    kinds, ends = benchmark(scan, STATEMENTS[2], rules, 0)
    assert len(kinds) == len(ends)
    assert ends[-1] == len(STATEMENTS[2])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_compile_statement(benchmark: Benchmark, dialect: str) -> None:
    statement = benchmark(compile_statement, STATEMENTS[2], dialect)
    assert statement.names == ("pipeline", "since", "limit", "offset")


def test_bind(benchmark: Benchmark) -> None:
    adapters = dict.fromkeys((int, str))
    values = benchmark(bind, tuple(ONE_ROW.params), ONE_ROW.params, adapters, repr, ())
    assert tuple(values) == ONE_ROW.args


@pytest.mark.parametrize("count", [1, 1000])
def test_rows_to_dicts(benchmark: Benchmark, count: int) -> None:
    source = as_tuples(bench_rows(count))

    def build() -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        extend_dicts(out, source, BENCH.columns)
        return out

    out = benchmark(build)
    assert out == bench_rows(count)


# (masks, converters) of the columns of METRICS, none of whose values needs a converter; (rows, bytes) at most.
MASKS = {bool: BOOL, str: STR, datetime: DATETIME}
FORM = (
    tuple(MASKS[type(value)] for value in metric_rows(1)[0].values()),
    (str,) * len(METRICS.columns),
)
FORMS = {bool: AS_BOOL, str: AS_TEXT, datetime: AS_TIMESTAMP}
BINARY = (tuple(FORMS[type(value)] for value in metric_rows(1)[0].values()), *FORM)
LIMITS = (1_000_000, 1 << 24)
BOUND: dict[type, Callable[[Any], Any] | None] = {bool: int, str: None, datetime: datetime.isoformat}
ENCODERS: dict[str, Callable[[list[dict[str, Any]]], Any]] = {
    "COPY text": lambda rows: copy_rows(None, iter(rows), METRICS.columns, False, *FORM, *LIMITS, None),
    "COPY binary": lambda rows: binary_rows(None, iter(rows), METRICS.columns, False, *BINARY, *LIMITS, None),
    "literals": lambda rows: literal_rows(None, iter(rows), METRICS.columns, False, *FORM, True, *LIMITS, None),
    "flat values": lambda rows: flat_rows(
        None, iter(rows), METRICS.columns, len(METRICS.columns), False, BOUND, repr, LIMITS[0], None
    ),
}


@pytest.mark.parametrize("form", list(ENCODERS))
@pytest.mark.parametrize("count", [1, 1000])
def test_rows_to_what_is_sent(benchmark: Benchmark, form: str, count: int) -> None:
    _, taken, status, _ = benchmark(ENCODERS[form], metric_rows(count))
    assert (taken, status) == (count, END)


def test_the_statement_of_these_benchmarks_has_three_parameters() -> None:
    assert compile_statement(ONE_ROW.sql, "sqlite").names == tuple(ONE_ROW.params)
