"""What can be bound, how, and what comes back."""

import enum
import uuid
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexusql import Array, DatabaseManager, Json
from nexusql.errors import ParameterError
from nexusql.sql.statement import Statement

HOSTILE = [
    "O'Reilly",
    'say "x"',
    "100%",
    "%s %(v)s %%",
    "back\\slash",
    "a\\'; --",
    "tab\tnl\n",
    "\U0001f600 中 é",
    "",
    "'",
    "`",
    "--",
    "/*",
]


class Colour(enum.Enum):
    RED = "red"
    TWO = 2


def value(db: DatabaseManager, given: Any, cast: str = "") -> Any:
    return db.fetch_value(f"SELECT :v{cast} AS v", {"v": given})


@pytest.mark.parametrize("text", HOSTILE)
def test_text_comes_back_as_it_was_bound(db: DatabaseManager, text: str) -> None:
    assert value(db, text) == text
    assert value(db, text * 3 + "x") == text * 3 + "x"


def test_a_megabyte_of_text_and_of_bytes(db: DatabaseManager) -> None:
    text, data = "é'\\" * 350_000, bytes(range(256)) * 4096
    db.execute("CREATE TABLE big (t TEXT, b BYTEA)")
    db.execute("INSERT INTO big (t, b) VALUES (:t, :b)", {"t": text, "b": data})
    row = db.execute("SELECT t, b FROM big")[0]
    assert row["t"] == text
    assert bytes(row["b"]) == data


@pytest.mark.parametrize("given", [None, 0, -1, 2**62, 1.5, -0.25, True, False])
def test_plain_values_come_back(db: DatabaseManager, given: Any) -> None:
    assert value(db, given) == given


def test_decimals_dates_uuids_and_enums(db: DatabaseManager, kind: str) -> None:
    db.execute("CREATE TABLE v (n NUMERIC(20, 5), d DATE, ts TIMESTAMP, u UUID, e VARCHAR(10), i INTEGER)")
    key, moment = uuid.uuid4(), datetime(2024, 2, 29, 12, 30, 45, 123456)
    db.execute(
        "INSERT INTO v (n, d, ts, u, e, i) VALUES (:n, :d, :ts, :u, :e, :i)",
        {
            "n": Decimal("123456.78901"),
            "d": date(2024, 2, 29),
            "ts": moment,
            "u": key,
            "e": Colour.RED,
            "i": Colour.TWO,
        },
    )
    row = db.execute("SELECT * FROM v")[0]
    assert Decimal(str(row["n"])) == Decimal("123456.78901")
    assert str(row["d"]) == "2024-02-29"
    assert str(row["ts"]) == "2024-02-29 12:30:45.123456"
    assert str(row["u"]) == str(key)
    assert (row["e"], row["i"]) == ("red", 2)
    for name, wanted in {"n": Decimal("123456.78901"), "d": date(2024, 2, 29), "ts": moment, "u": key}.items():
        assert db.fetch_value(f"SELECT COUNT(*) FROM v WHERE {name} = :w", {"w": wanted}) == 1, name


def test_an_aware_datetime_is_stored_as_utc_in_a_column_without_a_zone(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE v (ts TIMESTAMP)")
    noon = datetime(2024, 6, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    db.execute("INSERT INTO v (ts) VALUES (:t)", {"t": noon})
    assert str(db.fetch_value("SELECT ts FROM v")).startswith("2024-06-01 12:00:00")
    assert db.fetch_value("SELECT COUNT(*) FROM v WHERE ts = :t", {"t": noon}) == 1
    assert db.fetch_value("SELECT COUNT(*) FROM v WHERE ts < :t", {"t": noon + timedelta(seconds=1)}) == 1
    db.execute("UPDATE v SET ts = :t", {"t": noon + timedelta(hours=1)})
    assert str(db.fetch_value("SELECT ts FROM v")).startswith("2024-06-01 13:00:00")


def test_now_compares_with_bound_datetimes(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE v (ts TIMESTAMP DEFAULT NOW(), n INTEGER)")
    db.execute("INSERT INTO v (n) VALUES (1)")
    db.execute("INSERT INTO v (ts, n) VALUES (NOW(), 2)")
    now = datetime.now(timezone.utc)
    between = {"a": now - timedelta(days=2), "b": now + timedelta(days=2)}
    assert db.fetch_value("SELECT COUNT(*) FROM v WHERE ts > :a AND ts < :b", between) == 2
    assert db.fetch_value("SELECT COUNT(*) FROM v WHERE ts > NOW() - INTERVAL '1 hour'") == 2


def test_dicts_are_json(db: DatabaseManager, kind: str) -> None:
    import json

    data = {"a": [1, None, "x'y\\"], "b": {"c": True}, "é": "\U0001f600"}
    db.execute("CREATE TABLE v (j JSONB, t TEXT)")
    db.execute("INSERT INTO v (j, t) VALUES (:j, :j)", {"j": data})
    db.execute("INSERT INTO v (j) VALUES (CAST(:j AS jsonb))", {"j": data})
    db.execute("INSERT INTO v (j) VALUES (:j::jsonb)", {"j": Json([1, 2])})
    rows = [row["j"] for row in db.execute("SELECT j FROM v")]
    loaded = [r if kind == "postgresql" else json.loads(r) for r in rows]
    assert loaded == [data, data, [1, 2]]
    assert json.loads(db.fetch_value("SELECT t FROM v WHERE t IS NOT NULL")) == data


def test_a_bare_list_is_an_array_or_json(db: DatabaseManager, kind: str) -> None:
    if kind == "postgresql":
        assert value(db, [1, 2]) == [1, 2]
        assert value(db, [], "::int[]") == []
        assert value(db, Array(["a", "b'"])) == ["a", "b'"]
        assert db.fetch_value("SELECT 2 = ANY(:v)", {"v": [1, 2]}) is True
    else:
        assert value(db, [1, "a"]).replace(" ", "") == '[1,"a"]'


@pytest.mark.parametrize("names", ["mode mode_violation", "text type limit", "in by at null", "id id2 id_2", "é naïve"])
def test_any_name_will_do(db: DatabaseManager, names: str) -> None:
    params = {name: n for n, name in enumerate(names.split())}
    columns = ", ".join(f":{name} AS c{n}" for name, n in params.items())
    row = db.execute(f"SELECT {columns}", {**dict(reversed(params.items())), "surplus": 1})[0]
    assert list(row.values()) == list(range(len(params)))


def test_repeated_names_and_casts_and_limits(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE v (n INTEGER)")
    db.execute_many("INSERT INTO v (n) VALUES (:n)", [{"n": n} for n in range(10)])
    rows = db.execute(
        "SELECT n FROM v WHERE n >= :lo AND n <> :lo ORDER BY n LIMIT :limit OFFSET :offset",
        {"lo": 2, "limit": 3, "offset": 1},
    )
    assert [r["n"] for r in rows] == [4, 5, 6]
    assert db.fetch_value("SELECT COUNT(*) FROM v WHERE n IN (:a, :b)", {"a": 1, "b": 2}) == 2


def test_lists_in_in(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE v (n INTEGER)")
    db.execute_many("INSERT INTO v (n) VALUES (:n)", [{"n": n} for n in (1, 2, 3, None)])
    count = "SELECT COUNT(*) FROM v WHERE n {} (:ids)"
    for ids, inside, outside in (([1, 2], 2, 1), ((3,), 1, 2), ([], 0, 4), ([9], 0, 3), ([1, None], 1, 0)):
        assert db.fetch_value(count.format("IN"), {"ids": ids}) == inside, ids
        assert db.fetch_value(count.format("NOT IN"), {"ids": ids}) == outside, ids
    assert db.fetch_value(count.format("IN"), {"ids": 2}) == 1
    both = "SELECT COUNT(*) FROM v WHERE n IN (:a) AND n NOT IN ( :b ) AND n > :c"
    assert db.fetch_value(both, {"a": [1, 2, 3], "b": [1], "c": 0}) == 2


def test_lists_beyond_the_drivers_limit(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE v (n INTEGER, t VARCHAR(20))")
    db.execute("INSERT INTO v (n, t) VALUES (7, 'k7'), (40000, 'k''40000'), (-1, 'no')")
    assert db.fetch_value("SELECT COUNT(*) FROM v WHERE n IN (:ids)", {"ids": list(range(50_000))}) == 2
    assert db.fetch_value("SELECT COUNT(*) FROM v WHERE n NOT IN (:ids)", {"ids": list(range(50_000))}) == 1
    names = [f"k{n}" for n in range(40_000)] + ["k'40000", 'q"\\{}', "", "a,b"]
    assert db.fetch_value("SELECT COUNT(*) FROM v WHERE t IN (:names)", {"names": names}) == 2


def test_positions(db: DatabaseManager) -> None:
    for sql in ("SELECT ? AS a, ? AS b", "SELECT %s AS a, %s AS b", "SELECT :x AS a, :y AS b"):
        assert db.execute(sql, (1, "%s?")) == [{"a": 1, "b": "%s?"}]
        assert db.execute(sql, [1, "%s?"]) == [{"a": 1, "b": "%s?"}]
        with pytest.raises(ParameterError):
            db.execute(sql, (1,))


def test_no_parameters_in_every_form(db: DatabaseManager) -> None:
    nothing: tuple[Any, ...] = (None, {}, (), [])
    for none in nothing:
        assert db.execute("SELECT 1 AS a", none) == [{"a": 1}]


def test_a_missing_name_is_told_with_its_place_and_the_nearest_given(db: DatabaseManager) -> None:
    with pytest.raises(ValueError, match="agent_nam") as caught:
        db.execute("SELECT :agent_nam AS a,\n  :other AS b, :ok AS c", {"agent_name": 1, "ok": 2})
    message = str(caught.value)
    assert isinstance(caught.value, ParameterError)
    for part in ("agent_nam", "other", "line 1, column 8", "line 2, column 3", "agent_name"):
        assert part in message
    with pytest.raises(ParameterError, match=":x"):
        db.execute("SELECT :x AS x")


@pytest.mark.parametrize("bad", [Path("/x"), object(), {1, 2}, (n for n in "ab"), 1j, range(3), float("nan")])
def test_what_cannot_be_bound_is_refused_before_it_is_sent(db: DatabaseManager, kind: str, bad: Any) -> None:
    if bad != bad and kind == "postgresql":
        pytest.skip("PostgreSQL has a NaN")
    with pytest.raises(ParameterError) as caught:
        db.execute("SELECT :fine AS a, :bad AS b", {"fine": 1, "bad": bad})
    assert "bad" in str(caught.value)


def test_what_only_the_driver_finds_out_is_told_with_its_place(db: DatabaseManager, kind: str) -> None:
    own: dict[str, list[Any]] = {"sqlite": [2**63, -(2**70)], "postgresql": ["a\0b"]}
    for value in ("\ud800", *own.get(kind, ())):
        with pytest.raises(ParameterError, match=r"^parameter :bad \(line 2, column 1\): ") as caught:
            db.execute("SELECT :fine AS a,\n:bad AS b", {"fine": "x", "bad": value})
        assert caught.value.sql is not None
        with pytest.raises(ParameterError, match=r"^parameter 2 "):
            db.execute("SELECT ? AS a, ? AS b", ("x", value))


def test_subclasses_go_through_their_base(db: DatabaseManager) -> None:
    class Text(str):
        def __str__(self) -> str:
            return "'; DROP TABLE x; --"

        def replace(self, *_: Any) -> str:
            return "evil"

    class Number(int):
        def __str__(self) -> str:
            return "0; DROP TABLE x"

        __repr__ = __str__

    assert value(db, Text("it's")) == "it's"
    assert value(db, Number(5)) == 5


def test_adapters_widen_the_list(database_url: str) -> None:
    with DatabaseManager(database_url, adapters={Path: str}) as db:
        assert db.fetch_value("SELECT :p AS p", {"p": Path("/a/b")}) == "/a/b"


def test_the_error_of_an_adapter_is_its_own(database_url: str) -> None:
    codes = {"red": 1}
    with DatabaseManager(database_url, adapters={Path: lambda path: codes[path.name]}) as db:
        assert db.fetch_value("SELECT :p AS p", {"p": Path("red")}) == 1
        with pytest.raises(KeyError, match="green"):
            db.fetch_value("SELECT :p AS p", {"p": Path("green")})


def test_json_dumps_can_be_replaced(database_url: str) -> None:
    with DatabaseManager(database_url, json_dumps=lambda value: f'"{len(value)}"') as db:
        assert db.fetch_value("SELECT :p AS p", {"p": {"a": 1, "b": 2}}) == '"2"'


def test_a_bool_fits_boolean_and_integer_columns_alike(db: DatabaseManager) -> None:
    db.execute("CREATE TABLE v (k INTEGER, b BOOLEAN, i INTEGER, t VARCHAR(10))")
    db.execute("INSERT INTO v (k, b, i) VALUES (:k, :b, :i)", {"k": 1, "b": True, "i": True})
    db.execute("INSERT INTO v (k, b, i) VALUES (2, :b, :i), (3, :i, :b)", {"b": False, "i": True})
    db.execute("UPDATE v SET i = :v, b = :v WHERE k = 1", {"v": False})
    rows = db.execute("SELECT k, b, i FROM v ORDER BY k")
    assert [tuple(r.values()) for r in rows] == [(1, False, 0), (2, False, 1), (3, True, 0)]
    assert db.fetch_value("SELECT COUNT(*) FROM v WHERE b = :v", {"v": True}) == 1


def test_a_bool_in_a_json_column_is_json(db: DatabaseManager, kind: str) -> None:
    if kind != "postgresql":
        pytest.skip("elsewhere a bool is a number")
    db.execute("CREATE TABLE v (j JSONB, t TEXT)")
    db.execute("INSERT INTO v (j, t) VALUES (:b, :b)", {"b": True})
    assert db.execute("SELECT j, t FROM v") == [{"j": True, "t": "true"}]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=40))
def test_any_text_comes_back(db: DatabaseManager, text: str) -> None:
    sql = "SELECT :v AS v, 'a :w -- %s' AS w /* :w */ -- :w"
    assert db.execute(sql, {"v": text}) == [{"v": text, "w": "a :w -- %s"}]


def test_a_value_of_driver_text_that_cannot_be_sent_is_refused_without_a_name(db: DatabaseManager) -> None:
    engine = db._connected()
    text = f"SELECT {engine.backend.syntax.placeholder}"
    connection = engine.lease()
    try:
        with pytest.raises(ParameterError, match="half a surrogate pair"):
            connection.run(Statement(text, text), ["\ud800"])
    finally:
        engine.pool.release(connection)


def test_json_loads_can_be_replaced(database_url: str, kind: str) -> None:
    if kind != "postgresql":
        pytest.skip("elsewhere JSON is read as text")
    with DatabaseManager(database_url, json_loads=lambda text: ("loaded", text)) as db:
        assert db.fetch_value("SELECT '[1]'::jsonb AS j") == ("loaded", "[1]")
    with DatabaseManager(database_url) as db:
        assert db.fetch_value("SELECT '[1]'::jsonb AS j") == [1]
