"""scripts/fuzz.py: builds a sanitized core of its own, fuzzes it, and runs one input again."""

import subprocess
import sys
from pathlib import Path

import pytest

import nexusql

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "fuzz.py"


def fuzz(*arguments: str) -> tuple[int, str]:
    """(exit status, what it says)."""
    command = [sys.executable, str(SCRIPT), *arguments]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False, timeout=600
    )
    return done.returncode, done.stdout


@pytest.mark.long
@pytest.mark.skipif(nexusql.IMPLEMENTATION == "python", reason="it is about the compiled core")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sanitizers are loaded as Linux does it")
def test_the_sanitized_core_is_fuzzed_and_an_input_can_be_run_again(tmp_path: Path) -> None:
    modules = {path: path.stat().st_mtime for path in (ROOT / "nexusql" / "_speedups").glob("*.so")}
    code, said = fuzz("3")
    assert (code, said.splitlines()[-1]) == (0, "fuzz: no finding"), said
    (tmp_path / "input").write_bytes(bytes(range(200)))
    code, said = fuzz(str(tmp_path / "input"))
    assert (code, said.splitlines()[-1]) == (0, "fuzz: no finding"), said
    assert {path: path.stat().st_mtime for path in modules} == modules, "the core in use must stay as it is"


@pytest.mark.parametrize("arguments", [(), ("ten",), ("10", "20")])
def test_it_says_how_it_is_called(arguments: tuple[str, ...]) -> None:
    code, said = fuzz(*arguments)
    assert code == 2
    assert "scripts/fuzz.py 600" in said
