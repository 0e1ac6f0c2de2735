"""What a newcomer and a continuous integration service rely on is there, and says the same in all places."""

import os
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

import clients
import nexusql

ROOT = Path(__file__).resolve().parents[2]


def test_the_implementation_is_the_one_that_this_run_is_about() -> None:
    expected = os.environ.get("NEXUSQL_EXPECT") or nexusql.IMPLEMENTATION
    assert expected == nexusql.IMPLEMENTATION


def test_the_version_is_the_same_everywhere() -> None:
    assert f'version = "{nexusql.__version__}"' in (ROOT / "pyproject.toml").read_text("utf-8")
    assert f"## {nexusql.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert version("nexusql") == nexusql.__version__


def test_public_names_are_sorted_and_there() -> None:
    assert list(nexusql.__all__) == sorted(nexusql.__all__)
    assert [name for name in nexusql.__all__ if not hasattr(nexusql, name)] == []


def test_the_ci_script_runs_all_tests_and_fails_with_them() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "set -euo pipefail" in script.read_text("utf-8")
    assert "make test && exit" in script.read_text("utf-8").splitlines()
    assert script.read_text("utf-8").splitlines()[-1] == "make test PYTEST_ARGS=--last-failed"


def test_the_clients_that_are_tested_are_those_that_are_installed() -> None:
    script = (ROOT / "scripts" / "clients.py").read_text("utf-8")
    assert [release for release in (clients.CURRENT, clients.OLDER) if f'"{release}": (' not in script] == []


@pytest.mark.parametrize("variable", ["NEXUSQL_PURE", "NEXUSQL_REQUIRE_SPEEDUPS"])
def test_make_decides_for_itself_which_core_a_run_has(variable: str) -> None:
    done = subprocess.run(["make", "-n", "suite"], cwd=ROOT, capture_output=True, text=True, check=True)
    runs = [line for line in done.stdout.splitlines() if "bin/pytest" in line]
    assert len(runs) == 2
    assert all(f"{variable}=" in run for run in runs)
    assert ["NEXUSQL_EXPECT=cython" in runs[0], "NEXUSQL_EXPECT=python" in runs[1]] == [True, True]
