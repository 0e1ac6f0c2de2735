"""scripts/services: uses servers that answer, starts those that are missing, and leaves nothing behind."""

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import servers
import throwaway

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "services"
VARIABLES = {"postgresql": "NEXUSQL_TEST_POSTGRESQL_URL", "mysql": "NEXUSQL_TEST_MYSQL_URL"}


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script as a module, with a folder of its own and no server at the default URLs."""
    for kind, variable in VARIABLES.items():
        # Set and removed, so that monkeypatch also undoes what the script sets.
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
        monkeypatch.setitem(servers.DEFAULT_URLS, kind, f"{kind}://root@127.0.0.1:{throwaway.free_port()}/test")
    loader = importlib.machinery.SourceFileLoader("services_script", str(SCRIPT))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    monkeypatch.setattr(module, "FOLDER", tmp_path / "services")
    yield module
    for kind in VARIABLES:
        module.stop(kind)
    servers.look_at.cache_clear()


def need(services: ModuleType, kind: str) -> None:
    if services.find_program(kind) is None:
        pytest.skip(f"the programs of {services.NAMES[kind]} are not installed")


@pytest.mark.parametrize("kind", list(VARIABLES), indirect=False)
def test_a_missing_server_is_started_reused_and_removed(
    services: ModuleType, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    need(services, kind)
    home = services.FOLDER / kind
    assert services.provide(kind)
    with servers.admin_cursor(kind) as cursor:
        cursor.execute("SELECT 1 + 1")
        assert cursor.fetchone()[0] == 2
    url = os.environ.pop(VARIABLES[kind])
    assert not services.provide(kind), "a second call must reuse the first one's server"
    assert os.environ[VARIABLES[kind]] == url == (home / "url").read_text()
    services.stop(kind)
    assert not services.FOLDER.exists()
    os.environ[VARIABLES[kind]] = url
    assert services.answers(kind) is None
    assert "stopped" in capsys.readouterr().err


def test_a_named_server_that_does_not_answer_is_reported_and_not_replaced(
    services: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, variable in VARIABLES.items():
        monkeypatch.setenv(variable, f"{kind}://user:hush-hush@127.0.0.1:{throwaway.free_port()}/test")
    assert services.provide_all() == []
    said = capsys.readouterr().err
    assert said.count("NOT REACHED") == 2
    assert "hush-hush" not in said
    assert not services.FOLDER.exists()


def test_what_cannot_be_installed_is_said_with_the_command_that_would(
    services: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(services, "find_program", lambda kind: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert services.provide_all() == []
    said = capsys.readouterr().err
    assert "apt-get install postgresql" in said
    assert "apt-get install mariadb-server" in said


def test_run_gives_the_command_its_servers_its_status_and_an_end(
    services: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    need(services, "postgresql")
    need(services, "mysql")
    code = "import os, sys; print(*(os.environ[name] for name in sys.argv[1:])); sys.exit(7)"
    assert services.main(["run", "--", sys.executable, "-c", code, *VARIABLES.values()]) == 7
    shown = capfd.readouterr().out.split()
    assert [url.partition(":")[0] for url in shown] == ["postgresql", "mysql"]
    assert not services.FOLDER.exists()


def test_usage_is_shown_where_the_command_line_is_wrong(
    services: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert services.main(["begin"]) == 2
    assert "scripts/services start" in capsys.readouterr().err


def test_odbc_drivers_that_are_missing_are_installed_or_told(
    services: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, ...]] = []

    def refuse(*packages: str) -> None:
        asked.append(packages)
        raise services.Unavailable("nobody may install here")

    monkeypatch.setattr(services, "install", refuse)
    monkeypatch.setattr(services, "ODBC_PACKAGES", {"No Such Driver": "odbc-nothing"})
    services.provide_odbc()
    assert asked == [("odbc-nothing", "unixodbc")]
    assert "NOT REACHED" in capsys.readouterr().err
    monkeypatch.setattr(services, "ODBC_PACKAGES", {})
    monkeypatch.setattr(services, "loads_pyodbc", lambda: False)
    services.provide_odbc()
    assert asked[1:] == [("unixodbc",)]
    monkeypatch.setattr(services, "loads_pyodbc", lambda: True)
    services.provide_odbc()
    assert len(asked) == 2
