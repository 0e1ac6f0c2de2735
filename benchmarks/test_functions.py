"""The single functions of the hot path, by pytest-benchmark: ``pytest benchmarks/test_functions.py``."""

from collections.abc import Callable
from typing import Any

import pytest

from cases import ONE_ROW, ONE_ROW_PARAMS, STATEMENTS, rows
from nexusql._speedups import bind, extend_dicts, scan
from nexusql.sql import compile_statement
from nexusql.sql.lexical import SessionModes
from nexusql.sql.syntax import syntax_for

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
    values = benchmark(bind, tuple(ONE_ROW_PARAMS), ONE_ROW_PARAMS, adapters, repr, ())
    assert list(values) == list(ONE_ROW_PARAMS.values())


@pytest.mark.parametrize("count", [1, 1000])
def test_rows_to_dicts(benchmark: Benchmark, count: int) -> None:
    names = ("id", "agent_name", "success", "mode", "declared_mode", "retries", "score", "noted")
    source = [row for row, _ in zip(rows(), range(count), strict=False)]

    def build() -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        extend_dicts(out, source, names)
        return out

    out = benchmark(build)
    assert len(out) == count
    assert out[-1] == dict(zip(names, source[-1], strict=True))


def test_the_statement_of_these_benchmarks_has_three_parameters() -> None:
    assert compile_statement(ONE_ROW, "sqlite").names == tuple(ONE_ROW_PARAMS)
