"""The comparison measures in turn, judges its goals, and draws what it measured."""

import xml.etree.ElementTree as ElementTree

import pytest

import harness
import plot


def spin(count: int) -> int:
    return sum(range(count))


def test_the_ratio_is_to_the_first_contender() -> None:
    case = harness.Case("spin", {"short": lambda: spin(2000), "long": lambda: spin(20000)})
    result = harness.measure(case, rounds=5, batch_seconds=0.001)
    assert result.ratios["short"] == 1
    assert result.ratios["long"] > 3  # ten times the work, on a machine that may be busy
    assert result.verdict == ""


def test_contenders_take_turns_and_change_who_starts() -> None:
    calls: list[str] = []
    contenders = {name: lambda name=name: calls.append(name) for name in "abc"}
    harness.measure(harness.Case("turns", contenders), rounds=3, batch_seconds=0)
    assert "".join(calls) == "abc" + "a" + "abc" + "bca" + "cab"


@pytest.mark.parametrize(
    ("goal", "seconds", "held"),
    [
        (harness.at_most(1.25), 1.25, True),
        (harness.at_most(1.25), 1.26, False),
        (harness.at_least(6, "nexusql"), 6.0, True),
        (harness.at_least(6, "nexusql"), 5.9, False),
        (harness.at_most_over(0.5), 1.5, True),
        (harness.at_most_over(0.5), 1.6, False),
    ],
)
def test_a_goal_holds_or_is_missed(goal: harness.Goal, seconds: float, held: bool) -> None:
    case = harness.Case("case", {"driver": object, "nexusql": object}, goal)
    result = harness.Result(case, {"driver": 1.0, "nexusql": seconds})
    assert result.verdict.endswith("holds" if held else "MISSED")


def test_the_plot_is_well_formed_and_its_bars_are_in_proportion() -> None:
    case = harness.Case("a < b & c", {"driver": object, "nexusql": object})
    drawing = ElementTree.fromstring(plot.draw([harness.Result(case, {"driver": 1.0, "nexusql": 2.0})]))
    bars = drawing.findall("{http://www.w3.org/2000/svg}rect")[1:]
    assert [int(bar.attrib["width"]) for bar in bars] == [plot.SCALE_TO // 2, plot.SCALE_TO]
    assert "a < b & c" in "".join(drawing.itertext())
