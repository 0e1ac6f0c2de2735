"""docs/speed.svg: what RESULTS.md says of each library, beside the bare driver, as one small picture.

It is drawn from the page itself, so that the two cannot differ: ``python benchmarks/summary.py`` draws it anew.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from plot import library

HERE = Path(__file__).resolve().parent
PICTURE = HERE.parent / "docs" / "speed.svg"

# What a row of panels shows, and the sections of RESULTS.md that it shows, without the database's name.
ROWS = {
    "Bulk insert: 20,000 rows": "20,000 metrics",
    "Read: 50,000 rows into dicts": "50,000 rows at once",
    "One row by three parameters": "One row, 3 parameters",
}
DRIVERS = {"SQLite": "sqlite3", "PostgreSQL": "psycopg2", "MySQL/MariaDB": "PyMySQL"}
UNITS = {"µs": 1e-6, "ms": 1e-3, "s": 1.0}
# Not a library's own way to do it: the server's floor, and rows that are no dicts.
LEFT_OUT = re.compile(r"^floor:|, tuples$")

WIDTH, PANEL, NAME, BAR = 960, 312, 104, 132  # of the picture, a panel, the names in it and its longest bar
LINE, HEAD, GAP, TOP = 17, 42, 14, 58
STYLE = """\
text { font: 12px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #3d444d }
.paper { fill: #ffffff } .bar { fill: #b7c0ca } .driver { fill: #8b96a3 } .ours { fill: #1f6feb }
.rule { stroke: #8b96a3; stroke-dasharray: 2 3 } .bold { font-weight: 600; fill: #1f2328 }
.title { font-size: 15px } .right { text-anchor: end } .faint { fill: #656d76 }
@media (prefers-color-scheme: dark) {
text { fill: #c3cbd4 } .paper { fill: #0d1117 } .bar { fill: #444c56 } .driver { fill: #768390 } .ours { fill: #4c8df6 }
.bold { fill: #f0f6fc } .faint { fill: #9198a1 } .rule { stroke: #9198a1 }
}"""


def sections(page: str) -> dict[str, dict[str, float]]:
    """The medians of each section that RESULTS.md has for the compiled core, in seconds by contender."""
    compiled = page.partition("\n## The interpreted core")[0]
    found: dict[str, dict[str, float]] = {}
    for title, body in re.findall(r"^### (.+)\n\n((?:\|.*\n)+)", compiled, re.MULTILINE):
        medians = re.findall(r"^\| (.+?) \| ([\d,.]+) (µs|ms|s) \|", body, re.MULTILINE)
        found[title] = {name.strip("*"): float(number.replace(",", "")) * UNITS[unit] for name, number, unit in medians}
    return found


def speeds(medians: Mapping[str, float], driver: str) -> dict[str, float]:
    """How many times as fast as the bare driver each library is, each by its fastest way, the fastest first."""
    fastest: dict[str, float] = {}
    for name, seconds in medians.items():
        if not LEFT_OUT.search(name):
            fastest[library(name)] = min(seconds, fastest.get(library(name), seconds))
    return {name: fastest[driver] / seconds for name, seconds in sorted(fastest.items(), key=lambda item: item[1])}


def panel(left: int, top: int, database: str, found: Mapping[str, float], longest: float) -> Iterator[str]:
    """The bars of one database, as far as `longest` times the driver's speed."""
    driver = DRIVERS[database]
    yield f'<text class="bold" x="{left}" y="{top}">{database}</text>'
    zero = left + NAME + 8
    one = zero + BAR / longest
    yield f'<path class="rule" d="M{one:.1f} {top + 8}V{top + 12 + LINE * len(found)}"/>'
    for at, (name, speed) in enumerate(found.items()):
        y = top + 21 + LINE * at
        ours = name == "nexusql"
        bold, bar = (" bold", "ours") if ours else ("", "driver" if name == driver else "bar")
        width = max(1.0, BAR * speed / longest)
        yield f'<text class="right{bold}" x="{zero - 8}" y="{y}">{escape(name)}</text>'
        yield f'<rect class="{bar}" x="{zero}" y="{y - 10}" width="{width:.1f}" height="12" rx="2"/>'
        yield f'<text class="right{bold or " faint"}" x="{zero + BAR + 48}" y="{y}">× {speed:.2f}</text>'


def draw(page: str) -> str:
    """The picture of a page of results. A section that the page lacks leaves its place empty."""
    measured = sections(page)
    body: list[str] = []
    top = TOP
    for title, section in ROWS.items():
        body.append(f'<text class="bold title" x="24" y="{top}">{title}</text>')
        panels = {
            name: speeds(measured[f"{section}, {name}"], DRIVERS[name])
            for name in DRIVERS
            if f"{section}, {name}" in measured
        }
        for at, name in enumerate(DRIVERS):
            if name in panels:
                longest = max(1.0, *panels[name].values())
                body += panel(24 + PANEL * at, top + 24, name, panels[name], longest)
        top += HEAD + LINE * max((len(found) for found in panels.values()), default=0) + GAP
    return "\n".join([*_head(top), *body, "</svg>", ""])


def _head(height: int) -> Sequence[str]:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title">',
        '<title id="title">Speed beside the bare driver, by database</title>',
        f"<style>\n{STYLE}\n</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}" rx="8"/>',
        '<text class="faint" x="24" y="28">Times as fast as the bare driver, each by the fastest way that it has;'
        " longer is better. The dotted line is the driver.</text>",
    )


if __name__ == "__main__":
    PICTURE.write_text(draw((HERE / "RESULTS.md").read_text("utf-8")), "utf-8")
