"""Which implementation is in use: all of one or all of the other, as the environment asks and setup.py builds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import nexusql
from nexusql import _speedups
from readings import implementation

PACKAGE = Path(nexusql.__file__).parent
SETUP = PACKAGE.parent / "setup.py"
# Looks away from the compiled modules, as where they were not built.
HIDE = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("nexusql._speedups._") and name.endswith("_c"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hide())
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    settings = {key: value for key, value in os.environ.items() if not key.startswith("NEXUSQL_")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**settings, "PYTHONPATH": str(PACKAGE.parent), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


TELL = "import nexusql, nexusql._speedups as s; print(nexusql.IMPLEMENTATION, s.scan.__module__, s.bind.__module__)"


def test_the_job_runs_the_implementation_that_it_says() -> None:
    expected = os.environ.get("NEXUSQL_EXPECT")
    if not expected:
        pytest.skip("NEXUSQL_EXPECT is not set")
    assert expected == nexusql.IMPLEMENTATION == _speedups.IMPLEMENTATION


@pytest.mark.parametrize("value", ["", "0"])
def test_the_compiled_core_is_used_where_it_is_built(value: str) -> None:
    implementation("scanner", True)
    assert run(TELL, NEXUSQL_PURE=value).stdout.split() == [
        "cython",
        "nexusql._speedups._scanner_c",
        "nexusql._speedups._binder_c",
    ]


def test_the_interpreted_core_is_used_where_it_is_asked_for() -> None:
    assert run(TELL, NEXUSQL_PURE="1").stdout.split() == [
        "python",
        "nexusql._speedups.scanner",
        "nexusql._speedups.binder",
    ]


def test_without_the_compiled_core_the_interpreted_one_is_used() -> None:
    assert run(HIDE + TELL).stdout.split()[0] == "python"


def test_a_core_that_is_required_and_missing_is_an_error() -> None:
    done = run(HIDE + TELL, NEXUSQL_REQUIRE_SPEEDUPS="1")
    assert done.returncode == 1
    assert "ModuleNotFoundError: nexusql._speedups._binder_c" in done.stderr


def test_one_missing_module_makes_all_of_it_interpreted() -> None:
    only_records = HIDE.replace('name.endswith("_c")', 'name.endswith("_records_c")')
    assert run(only_records + TELL).stdout.split()[:2] == ["python", "nexusql._speedups.scanner"]


def test_the_interpreted_core_needs_no_cython() -> None:
    hide = HIDE.replace(
        'name.startswith("nexusql._speedups._") and name.endswith("_c")', 'name.split(".")[0] in ("cython", "Cython")'
    )
    done = run(
        hide + "import nexusql._speedups as s; print(s.scan('a :b', 0, 0), 'cython' in sys.modules)", NEXUSQL_PURE="1"
    )
    assert done.stdout.split("\n")[0] == "('w :', [1, 2, 4]) False"


def test_every_module_of_the_core_is_built() -> None:
    if not SETUP.exists():
        pytest.skip("not run from the checkout")
    listed: dict[str, object] = {}
    source = SETUP.read_text("utf-8")
    line = next(line for line in source.splitlines() if line.startswith("MODULES"))
    exec(line, listed)
    modules = {path.stem for path in (PACKAGE / "_speedups").glob("*.py")} - {"__init__", "_cython_shim", "codes"}
    assert set(listed["MODULES"]) == modules  # type: ignore[call-overload]


OWN_GIL = """
import sys
try:
    import _interpreters as interpreters
    make = lambda: interpreters.create("isolated")
except ImportError:
    import _xxsubinterpreters as interpreters
    make = lambda: interpreters.create(isolated=True)
where = make()
error = interpreters.run_string(where, '''
import sys
sys.path.insert(0, %r)
from datetime import date, datetime
from nexusql._speedups import DATE, DATETIME, IMPLEMENTATION, copy_rows, decode_row, scan
assert IMPLEMENTATION == "cython", IMPLEMENTATION
assert scan("a :b", 0, 0) == ("w :", [1, 2, 4])
rows = iter([(datetime(2026, 1, 2),)])
assert copy_rows(None, rows, None, False, (DATETIME,), (repr,), 9, 99, None)[0].strip() == b"2026-01-02 00:00:00"
rule = ("ascii", date.fromisoformat)
assert decode_row(bytes([10]) + b"2026-01-02", bytes([DATE]), (rule,), None) == (date(2026, 1, 2),)
''')
interpreters.destroy(where)
print("failed" if error else "done", error or "")
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="interpreters with a GIL of their own came with Python 3.12")
def test_an_interpreter_with_its_own_gil_imports_the_compiled_core() -> None:
    implementation("scanner", True)
    done = run(OWN_GIL % str(PACKAGE.parent), NEXUSQL_REQUIRE_SPEEDUPS="1")
    assert done.stdout.split() == ["done"], done.stdout + done.stderr
