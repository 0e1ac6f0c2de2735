"""The releases of ia_modules that scripts/clients.py has installed, each in a folder of its own beside this Python."""

import sys
from pathlib import Path

CURRENT = "0.2.0"
OLDER = "0.1.3"


def folder(release: str) -> Path:
    """Where a release is, or would be."""
    return Path(sys.prefix) / "clients" / f"ia_modules-{release}"


def installed(release: str) -> bool:
    """Whether it is there."""
    return (folder(release) / "ia_modules").is_dir()
