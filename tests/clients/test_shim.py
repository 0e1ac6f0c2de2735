"""The shim of docs/MIGRATION_GUIDE.md: for what was written when `ia_modules.database` had a manager of its own.

No such release is on PyPI: 0.1.3 and 0.2.0, which are, import nexusql. The step between was that import statements were
replaced, so the code of before is had by replacing them back.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import clients
import guide

SUPPORT = Path(__file__).resolve().parents[1] / "support"
DONE = {
    "steps": 10,
    "executions": {"completed": 1},
    "interactions": {"ok": True},
    "pipelines": [],
    "checkpoints": 1,
    "messages": ["Hello"],
}


@pytest.fixture(scope="session")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ia_modules as it was: the clients of 0.1.3 import its own manager, which must not be reached."""
    folder = tmp_path_factory.mktemp("before")
    shutil.copytree(clients.folder(clients.OLDER), folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.pyc"))
    package = folder / "ia_modules"
    replaced = 0
    for path in package.rglob("*.py"):
        text = path.read_text("utf-8")
        for name, module in (("DatabaseManager", "manager"), ("DatabaseInterface", "interfaces")):
            text, count = re.subn(
                rf"^( *)from nexusql import {name}$",
                rf"\1from ia_modules.database.{module} import {name}",
                text,
                flags=re.M,
            )
            replaced += count
        path.write_text(text, "utf-8")
    assert replaced >= 5
    shutil.rmtree(package / "database")
    (package / "database").mkdir()
    for name in ("__init__", "manager", "interfaces", "migrations"):
        (package / "database" / f"{name}.py").write_text("raise ImportError('the module of before')\n")
    return folder


def run(folder: Path, url: str, *, shim: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the old application on the ia_modules of a folder; any warning is an error."""
    start = f"import runpy, sys\nrunpy.run_path({str(SUPPORT / 'old_application.py')!r}, run_name='__main__')\n"
    text = (guide.block('"ia_modules.database" + name') if shim else "") + start
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-W", "error", "-c", text, url]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_code_of_before_runs_on_nexusql(before: Path, database_url: str) -> None:
    done = run(before, database_url)
    assert (json.loads(done.stdout or "null"), done.stderr) == (DONE, "")


@pytest.mark.parametrize("release", [clients.OLDER, clients.CURRENT])
def test_an_application_of_before_runs_with_a_published_release(release: str, database_url: str) -> None:
    done = run(clients.folder(release), database_url)
    assert (json.loads(done.stdout or "null"), done.stderr) == (DONE, "")


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_it_is_the_shim_that_makes_them_run(before: Path, database_url: str) -> None:
    assert "the module of before" in run(before, database_url, shim=False).stderr
    published = run(clients.folder(clients.CURRENT), database_url, shim=False).stderr
    assert "No module named 'ia_modules.database.manager'" in published


def test_it_is_five_lines() -> None:
    assert len([line for line in guide.block('"ia_modules.database" + name').splitlines() if line]) == 5
