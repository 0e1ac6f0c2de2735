"""What a release consists of is looked at by scripts/wheels.py, and the workflows that publish it are bounded."""

import importlib.util
import re
import sys
from importlib.metadata import metadata
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SDIST = [path.relative_to(ROOT).as_posix() for folder in ("nexusql", "tests") for path in (ROOT / folder).rglob("*.*")]
SDIST = [name for name in SDIST if not re.search(r"__pycache__|\.so$|\.pyd$", name)]
SDIST += ["setup.py", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "Makefile"]
INFO = "nexusql-1.0.dist-info/METADATA"
PURE = [name for name in SDIST if name.startswith("nexusql/") and not name.endswith((".pyx", ".pxd"))] + [INFO]
CORE = [f"nexusql/_speedups/_{name}_c.cpython-313-x86_64-linux-gnu.so" for name in "abcde"]


@pytest.fixture(scope="module")
def wheels() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("wheels_script", ROOT / "scripts" / "wheels.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_as_it_should_be_is_accepted(wheels: ModuleType) -> None:
    wheels.check_sdist(SDIST)
    wheels.check_wheel(PURE, compiled=False)
    wheels.check_wheel([*PURE, *CORE], compiled=True)


@pytest.mark.parametrize("missing", ["tests/conftest.py", "nexusql/py.typed", "nexusql/_speedups/_encoder_c.pyx"])
def test_an_sdist_without_a_part_is_refused(wheels: ModuleType, missing: str) -> None:
    with pytest.raises(wheels.Broken, match=re.escape(missing)):
        wheels.check_sdist([name for name in SDIST if name != missing])


@pytest.mark.parametrize("generated", ["nexusql/_speedups/_scanner_c.c", "build/lib/x.py", "tests/__pycache__/a.pyc"])
def test_an_sdist_with_what_was_generated_is_refused(wheels: ModuleType, generated: str) -> None:
    with pytest.raises(wheels.Broken, match=re.escape(generated)):
        wheels.check_sdist([*SDIST, generated])


@pytest.mark.parametrize("foreign", ["tests/conftest.py", "benchmarks/place.py", "nexusql/_speedups/_encoder_c.pyx"])
def test_a_wheel_with_what_is_no_part_of_it_is_refused(wheels: ModuleType, foreign: str) -> None:
    with pytest.raises(wheels.Broken, match=re.escape(foreign)):
        wheels.check_wheel([*PURE, *CORE, foreign], compiled=True)


@pytest.mark.parametrize("missing", ["nexusql/py.typed", "nexusql/migrations/V001__complete_schema.sql"])
def test_a_wheel_without_its_data_is_refused(wheels: ModuleType, missing: str) -> None:
    with pytest.raises(wheels.Broken, match=re.escape(missing)):
        wheels.check_wheel([name for name in PURE if name != missing], compiled=False)


@pytest.mark.parametrize(("core", "compiled"), [(CORE, False), (CORE[:3], True), ([], True)])
def test_a_wheel_with_another_core_than_its_name_says_is_refused(
    wheels: ModuleType, core: list[str], compiled: bool
) -> None:
    with pytest.raises(wheels.Broken, match=f"{len(core)} compiled modules"):
        wheels.check_wheel([*PURE, *core], compiled)


def test_a_command_that_fails_says_how_it_ended(wheels: ModuleType) -> None:
    assert wheels.run([sys.executable, "-c", "print(1)"]) == "1\n"
    with pytest.raises(wheels.Broken, match=r"failed \(3\):\nwhat it said"):
        wheels.run([sys.executable, "-c", "print('what it said'); raise SystemExit(3)"])


def test_wheels_are_tested_here_as_they_are_where_they_are_built(wheels: ModuleType) -> None:
    settings = (ROOT / "pyproject.toml").read_text("utf-8")
    assert f'test-command = "pytest -q {" ".join(wheels.QUICK)}"' in settings
    needed = ", ".join(f'"{tool}"' for tool in wheels.TOOLS)
    assert f"test-requires = [{needed}]" in settings
    built = " ".join(f"cp{major}{minor}-*" for major, minor in wheels.VERSIONS)
    assert f'build = "{built}"' in settings


def test_what_is_left_out_on_pyodide_is_there(wheels: ModuleType) -> None:
    assert [file for file in wheels.THREADED if not (ROOT / file).exists()] == []


def test_each_extra_for_users_is_installed_alone(wheels: ModuleType) -> None:
    extras = set(metadata("nexusql").get_all("Provides-Extra") or ())
    assert extras - {"bench", "dev", "dev-odbc", "docs", "release"} == set(wheels.EXTRAS)


def test_a_wheel_holds_each_module_that_is_compiled(wheels: ModuleType) -> None:
    (modules,) = re.findall(r"^MODULES = \((.*)\)$", (ROOT / "setup.py").read_text("utf-8"), re.MULTILINE)
    assert len(modules.split(",")) == wheels.MODULES


def test_the_classifiers_name_each_python_that_wheels_are_built_for(wheels: ModuleType) -> None:
    named = {text.rpartition(" ")[2] for text in metadata("nexusql").get_all("Classifier") or () if ":: 3." in text}
    assert named == {f"{major}.{minor}" for major, minor in wheels.VERSIONS}


def test_the_page_on_the_index_leads_somewhere() -> None:
    links = dict(text.split(", ") for text in metadata("nexusql").get_all("Project-URL") or ())
    assert {"Homepage", "Documentation", "Changelog", "Issues", "Security"} <= set(links)
    page = str(metadata("nexusql").json["description"])
    assert re.findall(r"\]\((?!https://|#)([^)]*)\)", page) == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_no_right_no_action_and_no_time_but_what_it_names(workflow: Path) -> None:
    text = workflow.read_text("utf-8")
    assert re.search(r"^permissions: \{\}$", text, re.MULTILINE)
    jobs = text.count("    runs-on: ")
    assert jobs > 0
    assert len(re.findall(r"^    timeout-minutes: \d+$", text, re.MULTILINE)) == jobs
    used = re.findall(r"uses: (?!\./)(.*)", text)
    assert [action for action in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)] == []
    assert text.count("uses: actions/checkout@") == text.count("persist-credentials: false")
