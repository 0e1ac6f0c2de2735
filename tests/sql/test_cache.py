"""A statement is compiled once, and again for each other way to bind or to read it."""

import pytest

from nexusql.errors import SQLSyntaxError
from nexusql.sql.cache import PlanCache
from nexusql.sql.lexical import SessionModes
from nexusql.sql.statement import Style
from nexusql.sql.syntax import syntax_for

MODES = SessionModes()
OTHER = SessionModes(standard_conforming_strings=False)


def cache(size: int = 3) -> PlanCache:
    return PlanCache(syntax_for("postgresql"), size=size, translate=True)


def test_the_same_plan_is_given_again() -> None:
    plans = cache()
    first = plans.get("SELECT :a", MODES, Style.NAMED, None)
    assert plans.get("SELECT :a", MODES, Style.NAMED, None) is first
    assert (plans.info().hits, plans.info().misses) == (1, 1)


def test_another_reading_style_or_length_is_another_plan() -> None:
    plans = cache(10)
    found = [
        plans.get(sql, modes, style, lengths)
        for sql, modes, style, lengths in [
            ("SELECT 1 WHERE '\\' IN (:a)", MODES, Style.NAMED, None),
            ("SELECT 1 WHERE '\\' IN (:a)", MODES, Style.NAMED, (2,)),
            ("SELECT 1 WHERE '\\' IN (:a)", MODES, Style.SEQUENCE, (1,)),
            ("SELECT 1 WHERE '\\\\' IN (:a)", OTHER, Style.NAMED, None),
        ]
    ]
    assert len({id(plan) for plan in found}) == 4
    assert found[1].names == ("a[0]", "a[1]")
    assert found[3].modes == OTHER


def test_the_plan_that_was_used_least_recently_gives_way() -> None:
    plans = cache(2)
    first = plans.get("SELECT 1", MODES, Style.NONE, None)
    plans.get("SELECT 2", MODES, Style.NONE, None)
    assert plans.get("SELECT 1", MODES, Style.NONE, None) is first
    plans.get("SELECT 3", MODES, Style.NONE, None)
    assert plans.get("SELECT 1", MODES, Style.NONE, None) is first
    assert plans.info().currsize == 2


def test_by_text_gives_the_very_plans_of_get() -> None:
    plans = cache()
    named = plans.by_text(MODES, Style.NAMED)
    plan = named("SELECT :a")
    assert plan is plans.get("SELECT :a", MODES, Style.NAMED, None)
    assert named("SELECT :a") is plan
    assert plans.by_text(MODES, Style.NAMED) is named
    assert plans.by_text(OTHER, Style.NAMED) is not named


def test_clear_forgets_all_plans() -> None:
    plans = cache()
    named = plans.by_text(MODES, Style.NAMED)
    plan = named("SELECT :a")
    plans.clear()
    assert plans.info().currsize == 0
    assert named("SELECT :a") is not plan


def test_an_error_is_not_kept() -> None:
    plans = cache()
    for _ in range(2):
        with pytest.raises(SQLSyntaxError):
            plans.get("SELECT '", MODES, Style.NAMED, None)
    assert plans.info().currsize == 0
    assert plans.info().misses == 2


def test_without_translation_the_text_stays() -> None:
    sql = "SELECT NOW(), TRUE, :a::text"
    plain = PlanCache(syntax_for("sqlite"), size=2, translate=False).get(sql, MODES, Style.NAMED, None)
    assert plain.text == sql.replace(":a", "?")
