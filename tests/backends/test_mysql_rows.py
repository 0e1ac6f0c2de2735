"""Rows of MySQL and MariaDB by the compiled decoder are what PyMySQL itself makes of them, to the type."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pymysql
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import servers
from nexusql import DatabaseManager
from nexusql.backends.mysql import hooks, rows
from nexusql.errors import ConnectionLost, DuplicateColumnWarning, OperationalError
from proxy import FaultProxy

decoded = pytest.mark.skipif(bool(hooks.WHY_NOT), reason=hooks.WHY_NOT)

WHOLE = {"TINYINT": 7, "SMALLINT": 15, "MEDIUMINT": 23, "INT": 31, "BIGINT": 63}
ODD_DATES = ("0000-00-00", "2026-00-00", "2026-02-00", "0001-01-01", "9999-12-31", "2024-02-29")
ODD_MOMENTS = ("0000-00-00 00:00:00", "2026-01-00 00:00:00", "9999-12-31 23:59:59", "1000-01-01 00:00:00.000001")
ODD_TIMES = ("838:59:59", "-838:59:59", "100:00:00", "-00:00:01", "00:00:00", "-26:01:02", "-00:00:00.000001")
WORDS = ("", " ", "é名\U0001f600", "x" * 250, "x" * 251, "x" * 255, "\0\n\\'\"")
LENGTHS = (250, 251, 252, 65_535, 65_536, 70_000)

texts = st.sampled_from(WORDS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
blobs = texts.map(str.encode) | st.binary(max_size=60) | st.sampled_from(LENGTHS).map(lambda size: b"\xfb" * size)
reals = st.floats(allow_nan=False, allow_infinity=False)


def whole(bits: int, signed: bool) -> st.SearchStrategy[int]:
    low, high = (-(2**bits), 2**bits - 1) if signed else (0, 2 ** (bits + 1) - 1)
    return st.sampled_from((low, high, 0, 1)) | st.integers(low, high)


def moments(digits: int) -> st.SearchStrategy[str]:
    return st.sampled_from(ODD_MOMENTS) | st.datetimes().map(lambda at: at.isoformat(" ")[: 19 + digits])


# The type of a column -> what is written to it, as SQL takes it.
TYPES: dict[str, st.SearchStrategy[Any]] = {
    **{kind: whole(bits, True) for kind, bits in WHOLE.items()},
    **{f"{kind} UNSIGNED": whole(bits, False) for kind, bits in WHOLE.items()},
    "INT(9) ZEROFILL": st.integers(0, 2**32 - 1),
    "BOOLEAN": st.booleans(),
    "FLOAT": st.floats(width=32, min_value=-(2.0**100), max_value=2.0**100),
    "DOUBLE": reals,
    "DECIMAL(65,30)": st.sampled_from((Decimal("9" * 35 + "." + "9" * 30), Decimal(0)))
    | st.decimals(-(10**35) + 1, 10**35 - 1, places=30),
    "DECIMAL(20,0)": st.integers(-(10**20) + 1, 10**20 - 1),
    "BIT(1)": st.integers(0, 1),
    "BIT(64)": whole(63, False),
    "YEAR": st.sampled_from((0, 1901, 2026, 2155)),
    "DATE": st.sampled_from(ODD_DATES) | st.dates().map(str),
    "DATETIME": moments(0),
    "DATETIME(6)": moments(7),
    "TIMESTAMP(3) NULL": st.sampled_from(("0000-00-00 00:00:00", "1970-01-02 00:00:01", "2037-12-31 23:59:59.999")),
    "TIME": st.sampled_from(ODD_TIMES),
    "TIME(6)": st.sampled_from(ODD_TIMES)
    | st.timedeltas(timedelta(hours=-838), timedelta(hours=838)).map(lambda span: str(Decimal(span.total_seconds()))),
    "CHAR(255)": texts,
    "VARCHAR(255)": texts,
    "VARCHAR(255) CHARACTER SET latin1": st.text("aé\x80 ", max_size=20),
    "TEXT": texts,
    "LONGTEXT": texts | st.sampled_from(LENGTHS).map(lambda size: "é" * size),
    "BINARY(5)": st.binary(max_size=5),
    "VARBINARY(255)": st.binary(max_size=255),
    "BLOB": st.binary(max_size=300),
    "LONGBLOB": blobs,
    "JSON": st.sampled_from(("{}", '{"a": [1, "é", null]}', "[]", '"x"', "1.0")),
    "ENUM('a', 'é', '')": st.sampled_from(("a", "é", "")),
    "SET('x', 'y', 'é')": st.sampled_from(("", "x", "x,y,é")),
    "GEOMETRY": st.sampled_from(("POINT(1 2)", "LINESTRING(0 0,1 1,2 -3)")),
}
COLUMNS = {f"c{number}": kind for number, kind in enumerate(TYPES)}
ROWS = st.lists(st.tuples(*(st.none() | values for values in TYPES.values())), max_size=4)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A database with `every`, a table with a column of every type, and `digits`."""
    servers.require("mysql")
    with servers.fresh_database("mysql") as made:
        with DatabaseManager(made) as db:
            columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
            db.execute(f"CREATE TABLE every (n BIGINT UNSIGNED NOT NULL, {columns}) ENGINE=InnoDB")
            db.execute("CREATE TABLE digits (d INTEGER)")
            db.bulk_insert("digits", [{"d": number} for number in range(10)])
        yield made


@pytest.fixture(scope="module")
def db(url: str) -> Iterator[DatabaseManager]:
    with DatabaseManager(url) as manager:
        yield manager


@pytest.fixture(scope="module")
def bare(url: str) -> Iterator[Any]:
    """A connection of PyMySQL's own, which takes any date."""
    connection = servers.connect_mysql(url)
    connection.cursor().execute("SET SESSION sql_mode = '', group_concat_max_len = 1000000")
    yield connection
    connection.close()


def typed(values: Any) -> list[tuple[type, Any]]:
    return [(type(value), value) for value in values]


def by_pymysql(bare: Any, sql: str) -> list[Any]:
    with bare.cursor() as cursor:
        cursor.execute(sql)
        return [typed(row) for row in cursor.fetchall()]


def compare(db: DatabaseManager, bare: Any, sql: str) -> int:
    """However rows are read, they are PyMySQL's; how many there are."""
    expected = by_pymysql(bare, sql)
    found = db.fetch_all(sql)
    assert [typed(record.values()) for record in found] == expected
    first = db.fetch_one(sql)
    assert [typed(first.values())] == expected[:1] if first else expected == []
    for size in (1, 3, 1000):
        with db.stream(sql, chunk_size=size) as stream:
            assert [typed(record.values()) for record in stream] == expected
    return len(found)


@settings(max_examples=40)
@given(table=ROWS)
def test_every_type_is_read_as_pymysql_reads_it(
    url: str, db: DatabaseManager, bare: Any, table: list[tuple[Any, ...]]
) -> None:
    marks = ["ST_GeomFromText(%s)" if kind == "GEOMETRY" else "%s" for kind in TYPES]
    with bare.cursor() as cursor:
        cursor.execute("DELETE FROM every")
        for number, values in enumerate(table):
            cursor.execute(f"INSERT INTO every VALUES (%s, {', '.join(marks)})", (2**64 - 1 - number, *values))
    assert compare(db, bare, "SELECT * FROM every ORDER BY n DESC") == len(table)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 WHERE 1 = 0",
        "SELECT NULL, '', X'', 1 = 1, 1 / 3, 1e300 * 10, CAST(-0.0 AS DOUBLE), 18446744073709551615",
        "SELECT CAST('{\"a\": 1}' AS CHAR), JSON_ARRAY(1, 'é'), CURRENT_USER(), _latin1'x', _binary'\xe9'",
        "SELECT MAKETIME(-838, 59, 59), TIMEDIFF('00:00:00', '838:00:00.5'), SEC_TO_TIME(0), CAST('12:34' AS TIME)",
        "SHOW COLUMNS FROM every",
        "EXPLAIN SELECT * FROM every",
        "SELECT * FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY 3, 5",
        "SELECT GROUP_CONCAT(d), SUM(d), AVG(d), STD(d), COUNT(*), BIT_OR(d), MIN(d) FROM digits",
    ],
)
def test_expressions_and_tables_of_the_server_are_read_as_pymysql_reads_them(
    db: DatabaseManager, bare: Any, sql: str
) -> None:
    assert compare(db, bare, sql) < 100


@pytest.mark.parametrize("size", [0, 1, 100, 251, 4096, 8187, 8188, 8192, 70_000])
def test_rows_lie_across_what_is_read_at_once(db: DatabaseManager, bare: Any, size: int) -> None:
    sql = f"SELECT a.d * 100 + b.d * 10 + c.d AS n, REPEAT('é', {size}) AS t FROM digits a, digits b, digits c"
    assert compare(db, bare, f"{sql} WHERE a.d < {10 if size < 9000 else 1} ORDER BY n") in (1000, 100)


def test_more_packets_than_a_sequence_has_numbers(db: DatabaseManager) -> None:
    sql = "SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d AS n FROM digits a, digits b, digits c, digits d ORDER BY n"
    expected = [{"n": n} for n in range(10_000)]
    assert db.fetch_all(sql) == expected
    with db.stream(sql, chunk_size=257) as stream:
        assert list(stream) == expected


def test_the_last_of_two_columns_of_one_name_wins(db: DatabaseManager) -> None:
    with pytest.warns(DuplicateColumnWarning):
        assert db.fetch_all("SELECT 1 AS a, 2 AS b, 3 AS a") == [{"a": 3, "b": 2}]


def test_the_results_of_a_procedure_do_not_mix(url: str, db: DatabaseManager) -> None:
    db.execute("CREATE PROCEDURE twice() BEGIN SELECT d FROM digits ORDER BY d; SELECT 'x' AS b; END")
    with DatabaseManager(url, pool_max=1) as one:
        for _ in range(3):
            assert one.fetch_all("CALL twice()") == [{"d": number} for number in range(10)]
            assert one.fetch_all("SELECT 7 AS n") == [{"n": 7}]
            with one.transaction() as tx:
                assert len(tx.fetch_all("CALL twice()")) == 10
                assert tx.fetch_value("SELECT COUNT(*) FROM digits") == 10


@decoded
def test_warnings_are_counted(bare: Any) -> None:
    sql = "SELECT CAST('x' AS SIGNED) FROM digits"
    with bare.cursor() as cursor:
        cursor.execute(sql)
        expected = cursor.warning_count
    result = rows.ask(bare, sql)
    found: list[Any] = []
    result.read_rows(found, ("a",))
    assert (found, result.warning_count, expected) == ([{"a": 0}] * 10, 10, 10)


def test_an_error_behind_rows_is_raised_and_the_session_goes_on(url: str) -> None:
    sql = "SELECT d, (SELECT d FROM digits AS inside WHERE inside.d <= outside.d - 7) AS x FROM digits AS outside"
    with DatabaseManager(url, pool_max=1) as db:
        number = db.fetch_value("SELECT CONNECTION_ID()")
        for read in (db.fetch_all, db.fetch_one, lambda sql: list(db.stream(sql))):
            with pytest.raises(OperationalError) as caught:
                read(sql)
            assert caught.value.code == 1242
            assert db.fetch_value("SELECT CONNECTION_ID()") == number


@pytest.mark.parametrize("after", [0, 1, 3, 4, 5, 100, 1000, 8192, 20_000])
def test_a_connection_cut_between_any_two_bytes_is_lost(url: str, after: int) -> None:
    sql = "SELECT a.d AS a, REPEAT('x', 97) AS t FROM digits a, digits b, digits c"
    with FaultProxy.before(url) as proxy, DatabaseManager(proxy.url(url), pool_max=1) as db:
        expected = db.fetch_all(sql)
        cut = proxy.cut_after(after, replies=True)
        with pytest.raises(ConnectionLost):
            db.fetch_all(sql)
        assert cut.is_set()
        assert db.fetch_all(sql) == expected


def decoded_and_not(bare: Any, sql: str) -> tuple[list[Any], list[Any]]:
    """The rows of a query by the decoder and by PyMySQL, on one connection."""
    expected = by_pymysql(bare, sql)
    found: list[Any] = []
    rows.ask(bare, sql).read_rows(found, None)
    return [typed(row) for row in found], expected


@decoded
def test_other_converters_are_respected(url: str) -> None:
    own: dict[Any, Callable[[Any], Any]] = {
        **pymysql.converters.conversions,
        pymysql.constants.FIELD_TYPE.LONG: lambda text: ("n", text),
        pymysql.constants.FIELD_TYPE.NEWDECIMAL: float,
        pymysql.constants.FIELD_TYPE.DATE: str,
        pymysql.constants.FIELD_TYPE.VAR_STRING: len,
    }
    del own[pymysql.constants.FIELD_TYPE.LONGLONG]
    plain = "SELECT 1, d, DATE '2026-01-02', 'é', X'00', COUNT(*) FROM digits GROUP BY d ORDER BY d"
    ways: tuple[tuple[dict[str, Any], str], ...] = (
        ({"conv": own}, plain.replace("1,", "1.5,")),
        ({"charset": "latin1"}, plain.replace("1,", "1.5,")),
        ({"use_unicode": False}, plain),
    )
    for options, sql in ways:
        connection = servers.connect_mysql(url)
        other = pymysql.connect(
            host=connection.host, port=connection.port, user=connection.user, database=connection.db, **options
        )
        found, expected = decoded_and_not(other, sql)
        assert found == expected
        assert len(found) == 10
        other.close()
        connection.close()


# What another PyMySQL may lack or do otherwise.
def _without(name: str, kind: str) -> Callable[[pytest.MonkeyPatch], None]:
    def change(patch: pytest.MonkeyPatch) -> None:
        patch.delattr(getattr(pymysql.connections, kind), name)

    return change


def _gives_bytes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        pymysql.connections.MySQLResult, "_read_row_from_packet", lambda self, packet: (packet.get_all_data(),)
    )


def _reads_from_elsewhere(patch: pytest.MonkeyPatch) -> None:
    def read_bytes(*args: Any) -> bytes:
        raise pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query")

    patch.setattr(pymysql.connections.Connection, "_read_bytes", read_bytes)


def _counts_in_words(patch: pytest.MonkeyPatch) -> None:
    connection: Any = pymysql.connections.Connection
    send = connection._execute_command

    def execute_command(self: Any, *args: Any) -> None:
        send(self, *args)
        self._next_seq_id = "1"

    patch.setattr(connection, "_execute_command", execute_command)


@decoded
@pytest.mark.parametrize(
    "change",
    [
        _without("_read_packet", "Connection"),
        _without("_execute_command", "Connection"),
        _without("_check_packet_is_eof", "MySQLResult"),
        _without("init_unbuffered_query", "MySQLResult"),
        _gives_bytes,
        _reads_from_elsewhere,
        _counts_in_words,
    ],
)
def test_another_pymysql_reads_its_rows_itself(change: Callable[[pytest.MonkeyPatch], None]) -> None:
    assert hooks.why_not() == ""
    with pytest.MonkeyPatch.context() as patch:
        change(patch)
        assert hooks.why_not().startswith(f"PyMySQL {pymysql.VERSION_STRING} ")
    assert hooks.why_not() == ""


def test_without_the_decoder_the_same_rows_come(url: str, db: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "WHY_NOT", "a test says so")
    sql = "SELECT a.d AS a, NOW() > '2026-01-01' AS b, 'é' AS c FROM digits a, digits b ORDER BY a.d"
    with DatabaseManager(url) as plain:
        assert plain.fetch_all(sql) == db.fetch_all(sql)
        with plain.stream(sql, chunk_size=7) as stream:
            assert list(stream) == db.fetch_all(sql)
