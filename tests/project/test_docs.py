"""The README and docs/ are true: their Python runs, prints what they say, and their links lead somewhere."""

import contextlib
import importlib
import inspect
import io
import re
from importlib.metadata import metadata, requires
from pathlib import Path
from typing import Any

import pytest

import nexusql

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINT = re.compile(r"^\s*print\(.*\)  # (.*)$", re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return BLOCK.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    kept = (re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()) for title in HEADING.findall(prose(page)))
    return {title.replace(" ", "-") for title in kept}


def attribute(backend: str, name: str) -> Any:
    """What a backend's module has by a name."""
    return getattr(importlib.import_module(f"nexusql.backends.{backend}.driver"), name)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_the_python_of_a_page_runs_and_prints_what_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text("utf-8")
    names: dict[str, object] = {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        if block[1] != "python":
            continue
        # Blank lines before the code give it the line numbers of the page in a traceback.
        lines = text[: block.start(2)].count("\n")
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            exec(compile("\n" * lines + block[2], str(page), "exec"), names)
        assert shown.getvalue().splitlines() == PRINT.findall(block[2])
    for left in names.values():  # open, as at a reader's prompt
        if isinstance(left, nexusql.DatabaseManager):
            left.disconnect()


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_between_pages_hold(page: Path) -> None:
    broken = []
    for link in LINK.findall(prose(page)):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_a_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    text = page.read_text("utf-8")
    commands = re.findall(r"`(make\s[^`]+)`", text)
    for block in BLOCK.finditer(text):
        commands += block[2].splitlines() if block[1] == "sh" else []
    setting = r"\s+[A-Z_]+=(?:'[^']*'|\S+)"
    found = [re.match(rf"make(?:{setting})*\s+([a-z][a-z-]*)", command) for command in commands]
    named = {match[1] for match in found if match}
    assert named - targets == set()


def test_the_api_reference_names_every_public_name() -> None:
    reference = (ROOT / "docs" / "API_REFERENCE.md").read_text("utf-8")
    missing = {name for name in nexusql.__all__ if not re.search(rf"`[^`]*\b{re.escape(name)}\b", reference)}
    assert missing == set()


def test_the_api_reference_names_every_public_call_of_the_manager() -> None:
    reference = (ROOT / "docs" / "API_REFERENCE.md").read_text("utf-8")
    calls = {name for name in dir(nexusql.DatabaseManager) if not name.startswith("_")}
    assert {name for name in calls if not re.search(rf"`[^`]*\b{name}\b", reference)} == set()


def test_the_api_reference_explains_every_option_of_the_manager() -> None:
    reference = (ROOT / "docs" / "API_REFERENCE.md").read_text("utf-8")
    explained = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", reference, re.MULTILINE))))
    options = set(inspect.signature(nexusql.DatabaseManager).parameters) - {"database"}
    assert options - explained == set()


@pytest.mark.parametrize("backend", ["sqlite", "mysql"])
def test_the_api_reference_names_every_option_of_a_url(backend: str) -> None:
    reference = (ROOT / "docs" / "API_REFERENCE.md").read_text("utf-8")
    named = set(re.findall(r"`\??(\w+)(?:=[\w-]*)?`", reference))
    assert set(attribute(backend, "OPTIONS")) - named == set()


def test_the_pages_from_the_docstrings_show_every_public_name() -> None:
    pages = "".join(page.read_text("utf-8") for page in (ROOT / "docs" / "reference").glob("*.md"))
    shown = set(re.findall(r"^::: nexusql\.(\w+)$", pages, re.MULTILINE)) | set(vars(nexusql.errors))
    assert set(nexusql.__all__) - shown == {"IMPLEMENTATION", "__version__"}


def test_the_site_has_every_page() -> None:
    site = (ROOT / "mkdocs.yml").read_text("utf-8")
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert set(re.findall(r": (\S+\.md)$", site, re.MULTILINE)) == pages


def test_the_minimum_versions_are_those_that_are_looked_at() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([\d.]+) \|", (ROOT / "docs" / "SUPPORT.md").read_text("utf-8"), re.MULTILINE)
    stated = {name: tuple(map(int, version.split("."))) for name, version in rows}
    assert stated["SQLite"] == attribute("sqlite", "AT_LEAST")
    assert stated["PostgreSQL"] == (attribute("postgresql", "AT_LEAST") // 10_000,)
    assert stated["MySQL"] == attribute("mysql", "MYSQL_AT_LEAST")
    assert stated["MariaDB"] == attribute("mysql", "MARIADB_AT_LEAST")
    # https://learn.microsoft.com/en-us/sql/t-sql/functions/serverproperty-transact-sql: 2017 is product version 14.
    assert (stated["SQL Server"], attribute("mssql", "AT_LEAST")) == ((2017,), 14)
    assert f">={rows[0][1]}" == metadata("nexusql")["Requires-Python"]


def test_the_minimum_versions_of_drivers_are_those_of_the_extras() -> None:
    page = (ROOT / "docs" / "SUPPORT.md").read_text("utf-8")
    for extra, package in (("postgresql", "psycopg2-binary"), ("mysql", "PyMySQL"), ("mssql", "pyodbc")):
        (required,) = (text for text in requires("nexusql") or () if text.endswith(f'extra == "{extra}"'))
        version = required.partition(";")[0].removeprefix(f"{package}>=").strip()
        assert f"{package.removesuffix('-binary')} {version} or later" in page


def test_the_architecture_names_every_part_of_the_package() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text("utf-8")
    package = Path(nexusql.__file__).parent
    parts = {path.stem for path in package.glob("*.py")} | {path.parent.name for path in package.glob("*/__init__.py")}
    assert {part for part in parts if part not in page} == set()
