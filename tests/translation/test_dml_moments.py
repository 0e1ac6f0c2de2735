"""The clock, intervals and parts of moments give the same answer on every database."""

import re
from datetime import datetime, timedelta, timezone

import pytest

from nexusql.errors import TranslationError
from nexusql.sql.lexical import SessionModes
from nexusql.sql.rules.intervals import Interval, parse_interval
from translating import MARIADB, SQLITE, Databases, said

MOMENTS = [
    "2024-01-31 10:20:30.123456",
    "2024-02-29 23:59:59.999999",
    "2023-12-31 23:59:59.999600",
    "2024-03-31 00:00:00.000000",
    "1999-12-31 12:00:00.000001",
    "1960-05-31 05:06:07.500000",
]
INTERVALS = [
    "1 day",
    "7 days",
    "1 month",
    "13 months",
    "1 year 2 months 3 days",
    "1 month -1 day",
    "90 minutes",
    "1.5 hours",
    "36 hours 15 minutes",
    "1 week",
    "2 years",
    "0.5 seconds",
    "250 milliseconds",
    "1 day 02:03:04.5",
    "-3 days",
    "3 days ago",
    "1.5 days",
    "0 days",
]


@pytest.fixture(scope="module")
def stamped(everywhere: Databases) -> Databases:
    """A table of moments on every database."""
    everywhere.do("CREATE TABLE stamps (id INTEGER PRIMARY KEY, ts TIMESTAMP, d DATE, n INTEGER)")
    for number, moment in enumerate(MOMENTS):
        everywhere.do(f"INSERT INTO stamps (id, ts, d, n) VALUES ({number}, '{moment}', '{moment[:10]}', {number})")
    everywhere.do(f"INSERT INTO stamps (id) VALUES ({len(MOMENTS)})")
    return everywhere


@pytest.mark.parametrize("sign", ["+", "-"])
@pytest.mark.parametrize("interval", INTERVALS)
def test_a_column_and_an_interval(stamped: Databases, interval: str, sign: str) -> None:
    rows = stamped.assert_agree(f"SELECT id, ts {sign} INTERVAL '{interval}' AS x FROM stamps ORDER BY id")
    assert rows[0][1]
    assert rows[-1][1] is None


@pytest.mark.parametrize(
    "expression",
    [
        "ts + '1 day'::interval",
        "ts + CAST('1 day' AS INTERVAL)",
        "INTERVAL '1 day' + ts",
        "INTERVAL '1 month 1 hour' + ts",
        "ts + INTERVAL '1 day' - INTERVAL '2 hours' + INTERVAL '1 month'",
        "ts - INTERVAL '1' DAY",
        "ts + INTERVAL '3' MONTH",
        "ts::timestamp + INTERVAL '1 minute'",
        "COALESCE(ts, '2000-01-01'::timestamp) - INTERVAL '1 second'",
        "TIMESTAMP '2024-01-31 10:00:00' + INTERVAL '1 month'",
        "'2024-05-31'::timestamp - INTERVAL '3 months'",
        "ts + n * INTERVAL '1 day'",
        "ts - n * INTERVAL '1 hour'",
        "ts - INTERVAL '1 minute' * n",
        "ts + (n || ' days')::interval",
        "ts - (n || ' hours')::interval",
        "ts + n * INTERVAL '1 month'",
        "ts - (n + 1) * INTERVAL '90 minutes'",
        "ts + 1.5 * INTERVAL '1 day'",
        "ts + 0.25 * INTERVAL '1 second'",
        "MAX(ts) OVER () - INTERVAL '1 day'",
        "(SELECT MAX(ts) FROM stamps) - n * INTERVAL '1 day'",
        "CASE WHEN ts > '2024-01-01'::timestamp - INTERVAL '1 year' THEN 1 ELSE 0 END",
    ],
)
def test_a_sum_with_an_interval(stamped: Databases, expression: str) -> None:
    stamped.assert_agree(f"SELECT id, {expression} AS x FROM stamps ORDER BY id")


@pytest.mark.parametrize("n", [0, 1, -2, 1.5, 400, None])
def test_an_interval_as_often_as_a_parameter_says(stamped: Databases, n: object) -> None:
    stamped.assert_agree(
        "SELECT id, ts - :n * INTERVAL '1 day', ts + :n * INTERVAL '2 hours' FROM stamps ORDER BY id", {"n": n}
    )


def test_days_in_a_text_parameter_are_an_interval(stamped: Databases) -> None:
    rows = stamped.assert_agree("SELECT ts - (:n || ' days')::interval FROM stamps WHERE id = 0", {"n": "30"})
    assert rows == [("2024-01-01 10:20:30.123456",)]


def test_an_aggregate_and_an_interval(stamped: Databases) -> None:
    stamped.assert_agree("SELECT MAX(ts) - INTERVAL '1 day', MIN(ts) + MAX(n) * INTERVAL '1 hour' FROM stamps")
    stamped.assert_agree(
        "SELECT COUNT(*) FROM stamps GROUP BY d HAVING MAX(ts) < '2024-02-29'::timestamp + INTERVAL '1 day'"
    )


def test_a_parameter_and_an_interval(stamped: Databases) -> None:
    moment = datetime(2024, 2, 28, 23, 59, 59, 999999)
    rows = stamped.answers("SELECT id FROM stamps WHERE ts <= :at + INTERVAL '1 day' ORDER BY id", {"at": moment})
    assert rows["sqlite"] == rows["mysql"] == [(0,), (1,), (2,), (4,), (5,)]


@pytest.mark.parametrize("now", ["NOW()", "now ( )", "CURRENT_TIMESTAMP", "LOCALTIMESTAMP", "clock_timestamp()"])
def test_the_clock_has_one_form_in_utc(everywhere: Databases, now: str) -> None:
    before = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(seconds=2)
    for rows in everywhere.answers(f"SELECT {now} AS x").values():
        ((text,),) = rows
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", text)
        assert before <= datetime.fromisoformat(text) <= before + timedelta(seconds=10)


def test_the_clock_compares_with_what_is_stored(everywhere: Databases) -> None:
    everywhere.do(
        "CREATE TABLE clocked (id INTEGER PRIMARY KEY, at TIMESTAMP DEFAULT NOW(), later TIMESTAMP)",
        "INSERT INTO clocked (id, later) VALUES (1, NOW() + INTERVAL '1 hour')",
        "INSERT INTO clocked (id, later) VALUES (2, CURRENT_TIMESTAMP - INTERVAL '1 hour')",
    )
    rows = everywhere.assert_agree(
        "SELECT id, at <= NOW(), at > NOW() - INTERVAL '1 minute', later > NOW(), later > at,"
        " at BETWEEN NOW() - INTERVAL '5 minutes' AND NOW(), now()::date = CURRENT_DATE,"
        " NOW() - :n * INTERVAL '1 day' < at, (NOW() - INTERVAL '1 month')::date < CURRENT_DATE,"
        " NOW() AT TIME ZONE 'UTC' >= at FROM clocked ORDER BY id",
        {"n": 1.5},
    )
    assert rows == [(1, 1, 1, 1, 1, 1, 1, 1, 1, 1), (2, 1, 1, 0, 0, 1, 1, 1, 1, 1)]


@pytest.mark.parametrize("field", "year quarter month week day dow isodow doy hour minute second epoch YEAR".split())
def test_parts_of_a_moment(stamped: Databases, field: str) -> None:
    stamped.assert_agree(f"SELECT id, EXTRACT({field} FROM ts), date_part('{field}', ts) FROM stamps ORDER BY id")


@pytest.mark.parametrize("field", "year quarter month week day hour minute second".split())
def test_moments_cut_to_a_field(stamped: Databases, field: str) -> None:
    stamped.assert_agree(f"SELECT id, date_trunc('{field}', ts) FROM stamps ORDER BY id")
    stamped.assert_agree(
        f"SELECT COUNT(*) FROM stamps WHERE ts >= date_trunc('{field}', '2024-01-31 10:20:30'::timestamp)"
    )


def test_weeks_around_the_new_year(everywhere: Databases) -> None:
    for year in range(2015, 2027):
        for day in ("12-28", "12-31", "01-01", "01-04"):
            moment = f"'{year}-{day} 12:00:00'::timestamp"
            everywhere.assert_agree(f"SELECT EXTRACT(WEEK FROM {moment}), date_trunc('week', {moment})")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT INTERVAL '1 day'",
        "SELECT id FROM t WHERE NOW() - at > INTERVAL '1 hour'",
        "SELECT NOW() - :p::interval",
        "SELECT NOW() - INTERVAL :p",
        "SELECT NOW() - (:a || :b)::interval",
        "SELECT NOW() - INTERVAL 'P1D'",
        "SELECT NOW() AT TIME ZONE 'Europe/Berlin'",
        "SELECT EXTRACT(MILLENNIUM FROM NOW())",
        "SELECT date_trunc('century', NOW())",
    ],
)
@pytest.mark.parametrize(("dialect", "modes"), [("sqlite", SQLITE), ("mysql", MARIADB)])
def test_what_cannot_be_computed_is_refused(sql: str, dialect: str, modes: SessionModes) -> None:
    with pytest.raises(TranslationError, match="line 1, column"):
        said(sql, dialect, modes)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT NOW(3), CURRENT_TIMESTAMP(), CURRENT_TIMESTAMP(6), ts + INTERVAL 1 DAY, ts - INTERVAL '1' DAY FROM t",
        "SELECT ts + INTERVAL '1:30' MINUTE_SECOND, EXTRACT(DAY_HOUR FROM ts), EXTRACT(YEAR FROM ts) FROM t",
        "SELECT ts + INTERVAL :n DAY, ts - INTERVAL ? MINUTE_SECOND FROM t",
        "SELECT INTERVAL(23, 1, 15, 17), a.now(), x AS CURRENT_TIMESTAMP FROM t",
        "ALTER TABLE t MODIFY x DATETIME DEFAULT NOW() ON UPDATE NOW()",
    ],
)
def test_native_moments_pass_untouched_on_mysql(sql: str) -> None:
    assert said(sql, "mysql", MARIADB).sql == sql


def test_native_moments_pass_untouched_on_sqlite() -> None:
    sql = "SELECT datetime('now', '-1 day'), strftime('%s', ts), julianday(ts), current_date FROM t"
    assert said(sql, "sqlite", SQLITE).sql == sql


@pytest.mark.parametrize(
    ("text", "unit", "interval"),
    [
        ("1 day", "", Interval(0, 1, 0)),
        ("1 mon", "", Interval(1, 0, 0)),
        ("2 weeks", "", Interval(0, 14, 0)),
        ("1.5 months", "", Interval(1, 15, 0)),
        ("1.5 years", "", Interval(18, 0, 0)),
        ("1 day 12:30", "", Interval(0, 1, 45_000_000_000)),
        ("-1 day +02:00:01.5", "", Interval(0, -1, 7_201_500_000)),
        ("1year2mons", "", Interval(14, 0, 0)),
        ("@ 3 h ago", "", Interval(0, 0, -10_800_000_000)),
        ("1 century", "", Interval(1200, 0, 0)),
        ("5 us 5 ms 5 s", "", Interval(0, 0, 5_005_005)),
        ("2", "DAY", Interval(0, 2, 0)),
        ("1.5", "HOUR", Interval(0, 0, 5_400_000_000)),
        ("", "", None),
        ("day", "", None),
        ("1 fortnight", "", None),
        ("5", "", None),
        ("P1D", "", None),
        ("1 day, 2 hours", "", None),
    ],
)
def test_an_interval_is_read_as_postgresql_reads_it(text: str, unit: str, interval: Interval | None) -> None:
    assert parse_interval(text, unit) == interval


@pytest.mark.parametrize(
    "expression",
    [
        "EXTRACT(EPOCH FROM ts - '2024-01-01'::timestamp)",
        "EXTRACT(EPOCH FROM ('2024-01-01'::timestamp - ts))",
        "extract(epoch FROM (ts::timestamp) - (ts - INTERVAL '1 hour'))",
        "date_part('epoch', ts - TIMESTAMP '2024-01-01 10:00:00.5')",
        "d::date + 1",
        "d::date - 30",
        "DATE '2024-03-01' - 1",
        "ts::date - 1",
        "CAST(ts AS DATE) + 7",
        "'2024-02-28'::date + 2 + INTERVAL '1 hour'",
        "ts::timestamp - n * INTERVAL '1 day'",
    ],
)
def test_sums_and_differences_of_moments(stamped: Databases, expression: str) -> None:
    stamped.assert_agree(f"SELECT id, {expression} AS x FROM stamps ORDER BY id")


def test_days_before_today(everywhere: Databases) -> None:
    everywhere.assert_agree(
        "SELECT CURRENT_DATE - 7, CURRENT_DATE + 40, CURRENT_DATE - 1 < CURRENT_DATE, now()::date - 1"
    )


@pytest.mark.parametrize(
    "expression",
    [
        "NOW() - created_at",
        "created_at - NOW()",
        "x + (created_at - CURRENT_TIMESTAMP)",
        "CURRENT_DATE - :day",
        "CURRENT_DATE + n",
        "a::timestamp - b",
        "b - a::date",
        "CAST(a AS TIMESTAMP) - CAST(b AS TIMESTAMP)",
        "NOW() - :delta",
        ":delta + NOW()",
        "created_at::timestamp + delta",
    ],
)
@pytest.mark.parametrize(("dialect", "modes"), [("sqlite", SQLITE), ("mysql", MARIADB)])
def test_a_difference_that_would_be_computed_with_numbers_is_refused(
    expression: str, dialect: str, modes: SessionModes
) -> None:
    with pytest.raises(TranslationError, match=r"EXTRACT\(EPOCH.*line 1"):
        said(f"SELECT {expression} FROM t", dialect, modes)


def test_a_moment_as_a_number_is_native_on_mysql() -> None:
    assert said("SELECT NOW(6) + 0, CURRENT_DATE + 0, 0 + CURRENT_DATE, -NOW(6) FROM t", "mysql", MARIADB).sql == (
        "SELECT NOW(6) + 0, CURRENT_DATE + 0, 0 + CURRENT_DATE, -NOW(6) FROM t"
    )
