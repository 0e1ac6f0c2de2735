"""The demo does the main job on every database, notices a wrong value, and cleans up after itself."""

import sys
from typing import Any

import pytest

from nexusql import DatabaseManager, progress
from nexusql.cli import demo, tables

SMALL = ["--metrics", "1200", "--checkpoints", "130", "--single", "20"]


def rows_left(url: str) -> tuple[int, int]:
    with DatabaseManager(url) as db:
        return (
            db.fetch_value("SELECT COUNT(*) FROM reliability_steps"),
            db.fetch_value("SELECT COUNT(*) FROM pipeline_checkpoints"),
        )


def test_it_writes_reads_verifies_and_removes_its_rows(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main([database_url, *SMALL]) == 0
    shown = capsys.readouterr().out
    for part in ("metrics written", "checkpoints read back", "metrics one by one", "1,200", "130", "20"):
        assert part in shown
    assert "Every row was read back as it was written" in shown
    assert rows_left(database_url) == (0, 0)


def test_it_touches_no_rows_but_its_own(database_url: str) -> None:
    assert demo.main([database_url, *SMALL, "--keep"]) == 0
    assert rows_left(database_url) == (1220, 130)
    assert demo.main([database_url, *SMALL]) == 0
    assert rows_left(database_url) == (1220, 130)


def test_a_value_that_comes_back_changed_is_noticed(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch_all = DatabaseManager.fetch_all

    def tampered(self: DatabaseManager, sql: str, params: Any = None) -> Any:
        rows = fetch_all(self, sql, params)
        rows[77]["mode"] = "tampered"
        return rows

    monkeypatch.setattr(DatabaseManager, "fetch_all", tampered)
    assert demo.main([database_url, *SMALL]) == 1
    assert "row 77 was written as" in capsys.readouterr().err
    assert rows_left(database_url) == (0, 0)


def test_a_row_that_is_missing_is_noticed() -> None:
    written = list(demo.metrics("run", 3))
    with pytest.raises(demo.Difference, match="3 rows were written, 2 read"):
        demo.verify(iter(written), written[:2], 3)


def test_a_database_that_cannot_be_reached_is_one_line_without_the_password(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert demo.main(["postgresql://someone:hush-hush@127.0.0.1:1/none"]) == 1
    said = capsys.readouterr()
    assert said.err.splitlines()[-1].startswith("the demo stopped: ")
    assert "hush-hush" not in said.err + said.out


def test_a_count_of_zero_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        demo.main(["sqlite://:memory:", "--metrics", "0"])
    assert "at least one row" in capsys.readouterr().err


@pytest.fixture
def without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without rich."""
    for name in ("rich", "rich.progress", "rich.console", "rich.table"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.usefixtures("without_rich")
def test_without_rich_progress_and_table_are_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress_bar("writing", 200) as advance:
        for done in (50, 100, 150, 200):
            advance(done)
    tables.print_table("Title", ("", "rows"), [["first", "1"], ["second", "1,000"]])
    said = capsys.readouterr()
    assert [line.split()[1] for line in said.err.splitlines()] == ["50", "100", "150", "200"]
    assert said.out.splitlines() == ["", "Title", "         rows", "------  -----", "first       1", "second  1,000"]
