"""What docs/MIGRATION_GUIDE.md shows, to be tested as it stands there."""

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "MIGRATION_GUIDE.md"


def block(containing: str) -> str:
    """The one block of Python that contains a text."""
    blocks = re.findall(r"^```py(?:thon)?\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (found,) = (text for text in blocks if containing in text)
    return str(found)


def shown(name: str) -> Any:
    """A class that the page shows."""
    names: dict[str, Any] = {}
    exec(block(f"class {name}"), names)
    return names[name]
