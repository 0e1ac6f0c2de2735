"""Names of tables and columns as statements have them, taken apart."""

import re

_PART = re.compile(
    r"""\s*(?:"(?P<double>(?:[^"]|"")+)"|`(?P<back>(?:[^`]|``)+)`|\[(?P<bracket>(?:[^\]]|\]\])+)\]|(?P<bare>[^\s."`\[\]]+))\s*"""
)
_CLOSERS = {"double": '"', "back": "`", "bracket": "]"}


def name_parts(written: str) -> list[tuple[str, bool]]:
    """The parts of a dotted name, each with whether it was quoted; [] where it cannot be read."""
    parts = []
    position = 0
    while True:
        found = _PART.match(written, position)
        if found is None or found.lastgroup is None:
            return []
        style, text = found.lastgroup, found[found.lastgroup]
        closer = _CLOSERS.get(style)
        parts.append((text.replace(closer * 2, closer), True) if closer else (text, False))
        if found.end() == len(written):
            return parts
        if written[found.end()] != ".":
            return []
        position = found.end() + 1
