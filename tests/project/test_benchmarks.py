"""The benchmarks measure in turn, judge their goals, tell and draw what they measured; every case runs."""

import importlib.util
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

import compare
import harness
import plot
import report
import servers
import summary
from cases import TOPICS, entries
from cases.entry import Entry, Sizes, tiny
from harness import Goal, Result, Spread, Verdict
from peers import DRIVERS, absent, taking_part
from peers.released import Released
from place import INTERPRETED
from report import Measured

TINY = [entry for entry in entries(tiny(12)) if entry.interpreted or not INTERPRETED]
PEERS_SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "peers.py"


def spin(count: int) -> int:
    return sum(range(count))


def single(seconds: float) -> Spread:
    return Spread(seconds, seconds, seconds)


def compared(title: str = "a < b & c", series: str = "", at: int = 0) -> Measured:
    values = {"driver": Spread(0.9, 1.0, 1.1), "nexusql": single(2.0), "nexusql 0.4.0": single(30.0)}
    return Measured("bulk", title, series, at, Result(1000, values, [Verdict("fast", "2.00", harness.MISSED)]))


def test_the_ratio_is_to_nexusql_and_without_it_to_the_first_contender() -> None:
    values = {"driver": single(1.0), "nexusql": single(2.0), "slow": single(5.0)}
    assert Result(1, values, []).ratios == {"driver": 0.5, "nexusql": 1, "slow": 2.5}
    assert Result(1, {"driver": single(1.0), "slow": single(5.0)}, []).ratios == {"driver": 1, "slow": 5}


def test_more_work_takes_longer() -> None:
    case = harness.Case({"short": lambda: spin(2000), "long": lambda: spin(20000)}, batch_seconds=0.001)
    result = harness.measure(case, rounds=5)
    assert result.ratios["short"] == 1
    assert result.ratios["long"] > 3  # ten times the work, on a machine that may be busy
    assert result.verdicts == []


def test_contenders_take_turns_and_change_who_starts() -> None:
    calls: list[str] = []
    contenders = {name: lambda name=name: calls.append(name) for name in "abc"}
    case = harness.Case(contenders, before=lambda: calls.append("-"), batch_seconds=0)
    harness.measure(case, rounds=3)
    assert "".join(calls) == "-a-b-c" + "-a-b-c" + "-b-c-a" + "-c-a-b"


def test_a_batch_is_as_long_for_all_as_for_the_first() -> None:
    calls: list[str] = []
    contenders = {name: lambda name=name: calls.append(name) for name in "ab"}
    harness.measure(harness.Case(contenders, batch_seconds=0.01), rounds=1)
    assert calls.count("a") - 1 == calls.count("b")
    assert calls.count("b") > 100


def test_what_a_contender_gives_is_checked_before_anything_is_timed() -> None:
    def check(given: object) -> None:
        assert given == 3

    with pytest.raises(AssertionError):
        harness.measure(harness.Case({"right": lambda: 3, "wrong": lambda: 4}, check=check), rounds=1)


def test_the_quartiles_are_those_of_the_samples() -> None:
    assert harness.spread([5.0, 1.0, 3.0, 2.0, 4.0]) == Spread(2.0, 3.0, 4.0)
    assert harness.spread([7.0]) == single(7.0)


@pytest.mark.parametrize(
    ("goal", "value", "measured", "state"),
    [
        (harness.at_most(1.25, "driver"), 1.25, "1.25", harness.HOLDS),
        (harness.at_most(1.25, "driver"), 1.26, "1.26", harness.MISSED),
        (harness.faster(4, "driver"), 0.25, "4.0", harness.HOLDS),
        (harness.faster(4, "driver"), 0.26, "3.8", harness.MISSED),
        (harness.at_most_over(0.5, "driver"), 1.5, "500.0 ms", harness.HOLDS),
        (harness.at_most_over(0.5, "driver"), 1.6, "600.0 ms", harness.MISSED),
        (harness.under(100, "nexusql"), 99.9, "99.9 MB", harness.HOLDS),
        (harness.under(100, "nexusql"), 100.0, "100.0 MB", harness.MISSED),
        (harness.at_most(1.25, "another driver"), 1.0, "without another driver", harness.NOT_JUDGED),
    ],
)
def test_a_goal_holds_or_is_missed_or_cannot_be_judged(goal: Goal, value: float, measured: str, state: str) -> None:
    verdict = harness.judge(goal, {"driver": single(1.0), "nexusql": single(value)})
    assert verdict == Verdict(goal.text, measured, state)


def test_results_survive_the_way_from_another_process() -> None:
    results = [compared(), compared("more", "a line", 8)]
    assert report.from_json(report.to_json(results)) == results


def test_a_table_begins_with_the_fastest_and_marks_nexusql() -> None:
    *_, first, second, third = report.table(compared().result)
    assert first == "| driver | 1.00 s | 1,000.00 µs | 900.0 ms to 1.10 s | 0.50 |"
    assert second == "| **nexusql** | 2.00 s | 2,000.00 µs | 2.00 s to 2.00 s | 1.00 |"
    assert third.startswith("| nexusql 0.4.0 | 30.00 s ")


def test_a_line_is_a_table_with_a_column_for_each_point() -> None:
    first, second = compared(series="growth", at=1000), compared(series="growth", at=2000)
    partly = replace(second, result=replace(second.result, values={"nexusql": single(1.0)}))
    head, _, driver, ours, _ = report.series_table([first, partly])
    assert head == "| | 1,000 | 2,000 |"
    assert driver == "| driver | 1,000.00 µs |  |"
    assert ours == "| **nexusql** | 2,000.00 µs | 1,000.00 µs |"


def test_a_missed_goal_is_told_by_its_case() -> None:
    assert report.missed([compared("writing")]) == ["writing: fast: 2.00, MISSED"]


def test_sections_follow_the_topics() -> None:
    lines = list(report.sections([compared("writing"), compared("a", "growth", 1)], TOPICS))
    assert [line for line in lines if line.startswith("#")] == ["## Bulk writes", "### writing", "### growth"]


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_the_plots_are_well_formed_and_their_text_is_text(tmp_path: Path) -> None:
    results = [compared(), compared("one", "growth", 1), compared("two", "growth", 10)]
    plot.bars(results, tmp_path / "bars.svg")
    plot.lines(results, tmp_path / "lines.svg")
    bars = "".join(ElementTree.parse(tmp_path / "bars.svg").getroot().itertext())
    lines = "".join(ElementTree.parse(tmp_path / "lines.svg").getroot().itertext())
    assert "a < b & c" in bars
    assert "× 0.50" in bars
    assert "nexusql 0.4.0" in lines
    assert "µs a row" in lines


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_the_page_has_goals_plots_and_both_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compare, "HERE", tmp_path)
    monkeypatch.setattr(summary, "PICTURE", tmp_path / "speed.svg")
    compare.write([compared("writing"), compared("one", "growth", 1)], [compared("interpreted")])
    page = (tmp_path / "RESULTS.md").read_text("utf-8")
    assert "| fast | writing | 2.00 | MISSED |" in page
    assert page.index("### writing") < page.index("### growth") < page.index("#### interpreted")
    for name in ("results.svg", "growth.svg"):
        assert f"]({name})" in page
        assert (tmp_path / name).exists()
    assert (tmp_path / "speed.svg").read_text("utf-8") == summary.draw(page)


def test_the_small_picture_shows_what_the_page_says() -> None:
    page = (Path(compare.__file__).parent / "RESULTS.md").read_text("utf-8")
    assert summary.PICTURE.read_text("utf-8") == summary.draw(page)


def test_the_small_picture_has_the_fastest_way_of_each_library_as_multiples_of_the_driver() -> None:
    seconds = {"floor: ready-made": 0.1, "sqlite3, tuples": 0.2, "sqlite3 + dict(zip())": 3, "sqlite3, executemany": 2}
    values = {name: single(taken) for name, taken in {**seconds, "nexusql": 1, "a < b": 4000}.items()}
    case = Measured("read", f"{summary.ROWS['Read: 50,000 rows into dicts']}, SQLite", "", 0, Result(2, values, []))
    page = "\n".join(report.sections([case], TOPICS))
    assert summary.speeds(summary.sections(page)[case.title], "sqlite3") == {
        "nexusql": 2,
        "sqlite3": 1,
        "a < b": 0.0005,
    }
    text = list(ElementTree.fromstring(summary.draw(page)).itertext())
    assert [shown for shown in text if shown.startswith("×")] == ["× 2.00", "× 1.00", "× 0.00"]
    assert "a < b" in text


def test_the_command_measures_what_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(compare, "entries", lambda sizes: TINY)
    file = tmp_path / "results.json"
    compare.main(["--only", "12 rows into a dataclass", "--rounds", "1", "--json", str(file)])
    (measured,) = report.from_json(file.read_text("utf-8"))
    assert measured.title == "12 rows into a dataclass, SQLite"
    assert f"## {measured.title}" in capsys.readouterr().out


def test_a_missed_goal_fails_the_command_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "run", lambda only, rounds: [compared()])
    assert compare.main([]) == 0
    assert compare.main(["--check"]) == 1


@pytest.mark.parametrize("entry", TINY, ids=lambda entry: entry.title)
def test_each_case_runs(entry: Entry) -> None:
    servers.require(entry.kind)
    result = entry.run(0)
    assert any(map(plot.is_ours, result.values))
    assert len(result.values) > 1
    assert entry.topic in TOPICS


def test_cases_have_titles_of_their_own() -> None:
    titles = [entry.title for entry in entries(Sizes())]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("kind", DRIVERS)
def test_the_interpreted_core_is_measured_beside_the_driver_alone(kind: str) -> None:
    servers.require(kind)
    assert [peer.name for peer in taking_part(kind, interpreted=True)] == [DRIVERS[kind][0].name, "nexusql"]


def test_who_is_not_installed_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("peers.released.PYTHON", tmp_path / "python")
    monkeypatch.setattr(DRIVERS["sqlite"][0], "module", "no_such_driver")
    assert Released not in taking_part("sqlite", interpreted=False)
    assert {"nexusql 0.4.0 is not installed", "sqlite3 is not installed"} <= set(absent())


def test_what_cannot_be_installed_keeps_nothing_else_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("peers_script", PEERS_SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    wanted = script.wanted()
    installed: set[str] = set()

    def succeeds(command: list[str]) -> bool:
        asked = set(command) & set(wanted)
        if any(text.startswith("mysqlclient") for text in asked):
            return False
        installed.update(asked)
        return True

    monkeypatch.setattr(script, "succeeds", succeeds)
    script.install(wanted)
    (failed,) = set(wanted) - installed
    assert failed.startswith("mysqlclient")
    assert capsys.readouterr().err == f"NOT INSTALLED, the benchmarks are without it: {failed}\n"
    assert not any(text.startswith("nexusql") for text in wanted)
