"""RESULTS.md: what was measured, as Markdown."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from harness import MEGABYTES, NOT_JUDGED, Result, Spread, Verdict


@dataclass(frozen=True, slots=True)
class Measured:
    """An entry's result, apart from the entry: it may come from another process."""

    topic: str
    title: str
    series: str
    at: int
    result: Result


def to_json(results: Sequence[Measured]) -> str:
    """For another process."""
    return json.dumps([asdict(measured) for measured in results])


def from_json(text: str) -> list[Measured]:
    """From another process."""
    return [Measured(**{**fields, "result": _result(fields["result"])}) for fields in json.loads(text)]


def _result(fields: dict[str, Any]) -> Result:
    values = {name: Spread(**spread) for name, spread in fields["values"].items()}
    verdicts = [Verdict(**verdict) for verdict in fields["verdicts"]]
    return Result(fields["rows"], values, verdicts, fields["unit"])


def shown(value: float, unit: str) -> str:
    """A time or a size in the unit that reads best."""
    if unit == MEGABYTES:
        return f"{value:,.1f} MB"
    for factor, name in ((1e6, "µs"), (1e3, "ms")):
        if value * factor < 1000:
            return f"{value * factor:,.1f} {name}"
    return f"{value:,.2f} s"


def marked(name: str) -> str:
    """A contender's name; nexusql's stands out."""
    return f"**{name}**" if name.split(",")[0] == "nexusql" else name


def ratio(value: float) -> str:
    """A ratio with as many digits as say something."""
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def table(result: Result) -> Iterator[str]:
    """The contenders of one case, the fastest first."""
    head = ["", "median", "quartiles", f"times {result.base}"]
    if result.rows > 1:
        head.insert(2, "a row")
    yield "| " + " | ".join(head) + " |"
    yield "|---|" + "---:|" * (len(head) - 1)
    for name, spread in sorted(result.values.items(), key=lambda item: item[1].median):
        cells = [marked(name), shown(spread.median, result.unit)]
        if result.rows > 1:
            cells.append(f"{spread.median / result.rows * 1e6:,.2f} µs")
        cells.append(f"{shown(spread.low, result.unit)} to {shown(spread.high, result.unit)}")
        cells.append(ratio(result.ratios[name]))
        yield "| " + " | ".join(cells) + " |"


def series_table(points: Sequence[Measured]) -> Iterator[str]:
    """The contenders of a line, a column for each of its points: the time of a row, or a size."""
    yield "| | " + " | ".join(f"{point.at:,}" for point in points) + " |"
    yield "|---|" + "---:|" * len(points)
    for name in dict.fromkeys(name for point in points for name in point.result.values):
        yield "| " + " | ".join([marked(name), *(cell(point.result, name) for point in points)]) + " |"


def cell(result: Result, name: str) -> str:
    """What a contender needs for a row, or altogether where it is not a time."""
    if name not in result.values:
        return ""
    median = result.values[name].median
    return shown(median, result.unit) if result.unit == MEGABYTES else f"{median / result.rows * 1e6:,.2f} µs"


def goals(results: Sequence[Measured]) -> Iterator[str]:
    """Every goal and what became of it."""
    yield "| goal | where | measured | |"
    yield "|---|---|---:|---|"
    for measured in results:
        for verdict in measured.result.verdicts:
            yield f"| {verdict.goal} | {measured.title} | {verdict.measured} | {verdict.state} |"


def sections(results: Sequence[Measured], topics: Mapping[str, str], level: str = "##") -> Iterator[str]:
    """The tables by topic."""
    for topic, group in groupby(results, key=lambda measured: measured.topic):
        yield from (f"{level} {topics[topic]}", "")
        for series, points in groupby(group, key=lambda measured: measured.series):
            if series:
                yield from (f"{level}# {series}", "", *series_table(list(points)), "")
            else:
                for point in points:
                    yield from (f"{level}# {point.title}", "", *table(point.result), "")


def missed(results: Sequence[Measured]) -> list[str]:
    """A line for each goal that was missed."""
    return [
        f"{measured.title}: {verdict.goal}: {verdict.measured}, {verdict.state}"
        for measured in results
        for verdict in measured.result.verdicts
        if verdict.state not in ("holds", NOT_JUDGED)
    ]
