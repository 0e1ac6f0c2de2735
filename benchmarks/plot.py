"""The results as pictures, by matplotlib: bars for comparisons, lines where something grows."""

import importlib
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from harness import MEGABYTES, Result
from report import Measured, shown

NEXUSQL, OTHER, TEXT, FAINT, GRID = "#1f6feb", "#b6bfca", "#24292f", "#8b949e", "#eaeef2"
# The colour of a library is the same in every panel; its second way has a dashed line.
COLOURS = {
    "nexusql": NEXUSQL,
    "nexusql 0.4.0": "#cf222e",
    "asyncpg": "#2da44e",
    "mysqlclient": "#2da44e",
    "psycopg 3": "#d29922",
    "SQLAlchemy": "#8250df",
}
DASHES = ("-", "--", ":")
ACROSS = 3  # panels a row: one a database
LONGEST = 6.0  # times nexusql; longer bars are cut, and say so
LEAST_DECADES = 10.0  # from the lowest to the highest value of a panel, so that noise does not fill it
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "nexusql",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
    "font.size": 8,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": FAINT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def library(name: str) -> str:
    """Whose way a contender is."""
    return name.partition(",")[0].partition(" +")[0]


def is_ours(name: str) -> bool:
    """Whether a contender is nexusql, by any of its ways."""
    return library(name) in ("nexusql", "compiled")


def bars(results: Sequence[Measured], file: Path) -> None:
    """A panel for each comparison; a bar's length is its time as a multiple of nexusql's."""
    panels = [measured for measured in results if not measured.series]
    rows = [panels[start : start + ACROSS] for start in range(0, len(panels), ACROSS)]
    heights = [max(len(measured.result.values) for measured in row) + 2 for row in rows]
    pyplot = _pyplot()
    with pyplot.rc_context(STYLE):
        figure, axes = pyplot.subplots(
            len(rows),
            ACROSS,
            figsize=(16, 0.19 * sum(heights)),
            height_ratios=heights,
            squeeze=False,
            layout="constrained",
        )
        for row, height, across in zip(rows, heights, axes, strict=True):
            for axis, measured in zip(across, row, strict=False):
                _bar_panel(axis, measured.title, measured.result, height - 2)
            for axis in across[len(row) :]:
                axis.set_visible(False)
        _save(pyplot, figure, file)


def _bar_panel(axis: Any, title: str, result: Result, height: int) -> None:
    ordered = sorted(result.values.items(), key=lambda item: item[1].median)
    for at, (name, spread) in enumerate(ordered):
        ratio = result.ratios[name]
        length = min(ratio, LONGEST)
        axis.barh(at, length, color=NEXUSQL if is_ours(name) else OTHER, height=0.72)
        times = f"× {ratio:.2f}" if ratio < 10 else f"× {ratio:.0f}"
        cut = "▸ " if ratio > LONGEST else ""
        axis.text(length + 0.08, at, f"{cut}{shown(spread.median, result.unit)}  {times}", va="center", fontsize=7)
    axis.set_yticks(range(len(ordered)), [name for name, _ in ordered])
    for tick, (name, _) in zip(axis.get_yticklabels(), ordered, strict=True):
        if is_ours(name):
            tick.set(color=NEXUSQL, fontweight="bold")
    axis.set_title(title, x=-0.3)
    axis.set_xlim(0, LONGEST * 1.4)
    axis.set_ylim(height - 0.4, -0.6)
    axis.set_xticks([])
    axis.spines["bottom"].set_visible(False)
    axis.tick_params(left=False)


def lines(results: Sequence[Measured], file: Path) -> None:
    """A panel for each series; both axes are logarithmic."""
    panels = [
        (series, list(points)) for series, points in groupby(results, key=lambda measured: measured.series) if series
    ]
    rows = -(-len(panels) // ACROSS)
    pyplot = _pyplot()
    with pyplot.rc_context(STYLE):
        figure, axes = pyplot.subplots(rows, ACROSS, figsize=(14, 3.6 * rows), squeeze=False, layout="constrained")
        for axis in axes.flat[len(panels) :]:
            axis.set_visible(False)
        for axis, (series, points) in zip(axes.flat, panels, strict=False):
            _line_panel(axis, series, points)
        _save(pyplot, figure, file)


def _line_panel(axis: Any, series: str, points: Sequence[Measured]) -> None:
    seen: list[str] = []
    for name in dict.fromkeys(name for point in points for name in point.result.values):
        known = [point for point in points if name in point.result.values]
        ours = is_ours(name)
        axis.plot(
            [point.at for point in known],
            [height(point.result, name) for point in known],
            label=name,
            color=COLOURS.get(library(name), FAINT),
            linestyle=DASHES[seen.count(library(name)) % len(DASHES)],
            linewidth=2.4 if ours else 1.3,
            zorder=3 if ours else 2,
            marker="o",
            markersize=3.5,
        )
        seen.append(library(name))
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.minorticks_off()
    axis.set_xticks([point.at for point in points], [f"{point.at:,}" for point in points])
    low, high = axis.get_ylim()
    spare = max(1.0, (LEAST_DECADES * low / high) ** 0.5)
    axis.set_ylim(low / spare, high * spare)
    axis.yaxis.set_major_locator(importlib.import_module("matplotlib.ticker").LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axis.set_ylabel("MB" if points[0].result.unit == MEGABYTES else "µs a row")
    axis.set_title(series)
    axis.grid(color=GRID, linewidth=0.8)
    axis.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2)


def height(result: Result, name: str) -> float:
    """Where a contender's point is: microseconds a row, or megabytes."""
    median = result.values[name].median
    return median if result.unit == MEGABYTES else median / result.rows * 1e6


def _pyplot() -> Any:
    importlib.import_module("matplotlib").use("svg")
    return importlib.import_module("matplotlib.pyplot")


def _save(pyplot: Any, figure: Any, file: Path) -> None:
    figure.savefig(file, metadata={"Date": None}, bbox_inches="tight", pad_inches=0.2)
    pyplot.close(figure)
