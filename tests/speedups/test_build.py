"""setup.py builds a wheel with the compiled core, or one without that says so by its name, or fails where it must."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import nexusql

ROOT = Path(nexusql.__file__).parent.parent
EXTENSIONS = re.compile(r"nexusql/_speedups/_\w+_c\..*\.(so|pyd)$")

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="not run from the checkout"),
    pytest.mark.skipif(sys.platform == "win32", reason="CC stands for the compiler only where setuptools asks it"),
]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what a wheel is built from, without anything built."""
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT / "nexusql", copy / "nexusql", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    return copy


def build(checkout: Path, what: str = "bdist_wheel", **environment: str) -> tuple[int, str, list[Path]]:
    """(return code, output, files built)."""
    settings = {key: value for key, value in os.environ.items() if not key.startswith(("NEXUSQL_", "CIBUILDWHEEL"))}
    done = subprocess.run(
        [sys.executable, "setup.py", what, "--dist-dir", "dist"],
        cwd=checkout,
        env={**settings, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout, sorted((checkout / "dist").glob("*")) if (checkout / "dist").exists() else []


def modules(wheel: Path) -> int:
    with zipfile.ZipFile(wheel) as archive:
        assert not [name for name in archive.namelist() if name.endswith((".c", ".pyx", ".pxd"))]
        return sum(EXTENSIONS.match(name) is not None for name in archive.namelist())


def test_a_wheel_carries_the_compiled_core_and_its_platform(checkout: Path) -> None:
    code, output, (wheel,) = build(checkout, NEXUSQL_REQUIRE_SPEEDUPS="1")
    assert code == 0, output
    assert modules(wheel) == 4
    assert not wheel.name.endswith("none-any.whl")


@pytest.mark.parametrize("environment", [{"NEXUSQL_PURE": "1"}, {"CC": "false", "NEXUSQL_REQUIRE_SPEEDUPS": "0"}])
def test_a_wheel_without_it_is_for_any_platform(checkout: Path, environment: dict[str, str]) -> None:
    code, output, (wheel,) = build(checkout, **environment)
    assert code == 0, output
    assert modules(wheel) == 0
    assert wheel.name.endswith("py3-none-any.whl")
    # A failure is told with its cause and the way out; a wish is not.
    assert ("WARNING: the compiled core of nexusql could not be built:\n    CompileError" in output) == (
        "CC" in environment
    )
    assert ("NEXUSQL_REQUIRE_SPEEDUPS=1" in output) == ("CC" in environment)


@pytest.mark.parametrize("variable", ["NEXUSQL_REQUIRE_SPEEDUPS", "CIBUILDWHEEL"])
def test_a_failure_is_an_error_where_the_core_is_required(checkout: Path, variable: str) -> None:
    code, output, built = build(checkout, CC="false", **{variable: "1"})
    assert code != 0
    assert "BuildFailed: CompileError" in output
    assert built == []


@pytest.mark.parametrize("pure", [False, True])
def test_an_sdist_holds_the_source_and_nothing_generated(checkout: Path, pure: bool) -> None:
    build(checkout)
    shutil.rmtree(checkout / "dist")
    code, output, (archive,) = build(checkout, "sdist", NEXUSQL_PURE="1" if pure else "")
    assert code == 0, output
    listed = subprocess.run(["tar", "tzf", str(archive)], capture_output=True, text=True, check=True).stdout.split()
    for source in ("_speedups/scanner.py", "_speedups/_encoder_c.pyx", "_speedups/_output.pxd", "/setup.py"):
        assert any(name.endswith(source) for name in listed)
    assert [name for name in listed if name.endswith((".c", ".so", ".pyd", ".o"))] == []
