"""Results as bars, in an SVG written by hand, so that a plot needs no library."""

from collections.abc import Sequence
from html import escape

from harness import Result

WIDTH, LABEL, BAR, GAP, TITLE = 860, 230, 18, 6, 30
SCALE_TO = 480
COLOURS = {"nexusql": "#1f6feb", "compiled": "#1f6feb"}
OTHER = "#9aa4b2"


def draw(results: Sequence[Result]) -> str:
    """An SVG with a group of bars for each result; a bar's length is its ratio within the group."""
    parts: list[str] = []
    y = 16
    for result in results:
        parts.append(f'<text x="8" y="{y + 14}" font-weight="bold">{escape(result.case.title)}</text>')
        y += TITLE
        largest = max(result.ratios.values())
        for name, ratio in result.ratios.items():
            length = max(1, round(ratio / largest * SCALE_TO))
            colour = COLOURS.get(name, OTHER)
            parts.append(f'<text x="{LABEL - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
            parts.append(f'<rect x="{LABEL}" y="{y}" width="{length}" height="{BAR}" rx="2" fill="{colour}"/>')
            parts.append(f'<text x="{LABEL + length + 6}" y="{y + 13}">{ratio:.2f}</text>')
            y += BAR + GAP
        y += 2 * GAP
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" '
        'font-family="sans-serif" font-size="13" fill="#24292f">\n'
        f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )
