"""What a user writes passes mypy --strict and pyright as it is, and both refuse what is wrong."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# How each is started on a user's file; both find the package as an installed one, whose own errors are not theirs.
CHECKERS = {
    "mypy": ("--strict", "--python-version=3.10", "--cache-dir=cache", "--no-error-summary"),
    "pyright": (f"--pythonpath={sys.executable}",),
}
WRONG = """\
from dataclasses import dataclass

from nexusql import AsyncDatabaseManager, DatabaseManager


@dataclass
class Part:
    name: str


def sync(db: DatabaseManager) -> None:
    db.execute("SELECT 1", into=Part)[0].nam
    db.fetch_one("SELECT 1", into=Part).name
    db.bulk_insert("parts", [], on_conflict="replace")
    db.transaction(isolation=1)


async def awaited(db: AsyncDatabaseManager) -> None:
    db.execute("SELECT 1")[0]
    (await db.fetch_all("SELECT 1", into=Part)).one().nam
"""


def run(checker: str, text: str, folder: Path) -> list[str]:
    """The errors of a file, as a checker gives them."""
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} has no wheel for this machine")
    (folder / "user.py").write_text(text, "utf-8")
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict", "pythonVersion": "3.10"}', "utf-8")
    (folder / "nexusql").symlink_to(ROOT / "nexusql", target_is_directory=True)
    done = subprocess.run(
        [sys.executable, "-m", checker, *CHECKERS[checker], "user.py"],
        cwd=folder,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if re.search(r"user\.py:\d+.* error: ", line)]


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_code_of_the_readme_is_well_typed(checker: str, tmp_path: Path) -> None:
    blocks = BLOCK.findall((ROOT / "README.md").read_text("utf-8"))
    assert len(blocks) > 5
    assert run(checker, "\n".join(blocks), tmp_path) == []


@pytest.mark.parametrize("checker", CHECKERS)
def test_what_is_wrong_is_refused(checker: str, tmp_path: Path) -> None:
    found = run(checker, WRONG, tmp_path)
    lines = {int(re.findall(r"user\.py:(\d+)", line)[0]) for line in found}
    wrong = {number for number, line in enumerate(WRONG.splitlines(), 1) if "db." in line}
    assert lines == wrong
