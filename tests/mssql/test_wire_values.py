"""What real ODBC drivers send and read: the types of parameters, bulk writes, and values of every column type."""

from collections import Counter
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from nexusql.manager import DatabaseManager
from tds_server import Fault, Rows, Server
from tsql_catalogue import COLUMN_ROWS

MOMENT = datetime(2024, 2, 29, 1, 2, 3, 456789)
INDIA = timezone(timedelta(hours=5, minutes=30))
GUID = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.mark.parametrize(
    ("value", "kind", "sent"),
    [
        (True, "bit", True),
        (5, "int", 5),
        (-(2**31) - 1, "bigint", -(2**31) - 1),
        (2**63, "numeric(19, 0)", Decimal(2**63)),
        (1.5, "float", 1.5),
        (Decimal("-1.50"), "numeric(3, 2)", Decimal("-1.50")),
        (Decimal("1E+20"), "numeric(21, 0)", Decimal(10**20)),
        (Decimal("1E-9"), "numeric(9, 9)", Decimal("1E-9")),
        ("ü😀", "nvarchar(6)", "ü😀"),
        ("", "nvarchar(1)", ""),
        ("😀" * 3000, "nvarchar(max)", "😀" * 3000),
        (b"a\x00\xff", "varbinary(3)", b"a\x00\xff"),
        (b"x" * 9000, "varbinary(max)", b"x" * 9000),
        (date(2024, 2, 29), "date", date(2024, 2, 29)),
        (MOMENT, "datetime2(7)", MOMENT),
        (MOMENT.replace(tzinfo=INDIA), "datetime2(7)", datetime(2024, 2, 28, 19, 32, 3, 456789)),
        (time(1, 2, 3, 4), "nvarchar(30)", "01:02:03.000004"),
        (UUID(GUID), "nvarchar(72)", GUID),
        ({"a": "ü"}, "nvarchar(20)", '{"a": "ü"}'),
    ],
)
def test_a_value_is_sent_by_its_type(wired: DatabaseManager, tds: Server, value: Any, kind: str, sent: Any) -> None:
    wired.execute("INSERT INTO t (a) VALUES (:a)", {"a": value})
    request = tds.last("^INSERT")
    assert (request.types, request.values) == ([kind], [sent])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("tinyint", 255),
        ("smallint", -(2**15)),
        ("int", -(2**31)),
        ("bigint", 2**63 - 1),
        ("bit", True),
        ("bit", False),
        ("float", 1.5e300),
        ("real", 0.5),
        ("decimal(10, 2)", Decimal("-123.45")),
        ("decimal(38, 10)", Decimal("1234567890123456789012345678.0123456789")),
        ("money", Decimal("-922337203685477.5808")),
        ("nvarchar(20)", "ünï😀"),
        ("nvarchar(max)", "x😀" * 6000),
        ("nvarchar(max)", ""),
        ("varchar(20)", "abcü"),
        ("varchar(max)", "y" * 20000),
        ("char(5)", "ab   "),
        ("nchar(5)", "ü    "),
        ("varbinary(20)", b"\x00\x01\xff"),
        ("varbinary(max)", b"\x00\xff" * 10000),
        ("date", date(9999, 12, 31)),
        ("time(7)", time(1, 2, 3, 456789)),
        ("datetime2(7)", MOMENT),
        ("datetime2(0)", datetime(1, 1, 1)),
        ("datetime", datetime(1999, 12, 31, 23, 59, 59, 997000)),
        ("smalldatetime", datetime(2024, 1, 1, 1, 1)),
        ("datetimeoffset(7)", MOMENT.replace(tzinfo=INDIA)),
        ("uniqueidentifier", GUID),
    ],
)
def test_a_column_gives_what_it_holds(wired: DatabaseManager, tds: Server, kind: str, value: Any) -> None:
    tds.on("^SELECT v", Rows({"v": kind}, [(value,), (None,)]))
    first, second = wired.execute("SELECT v FROM t")
    assert first == {"v": value}
    assert type(first["v"]) is type(value)
    assert second == {"v": None}


DESCRIBED = {
    "parameter_ordinal": "int",
    "name": "nvarchar(128)",
    "suggested_system_type_id": "int",
    "suggested_system_type_name": "nvarchar(256)",
}


def test_a_text_goes_to_a_varchar_column_as_one_and_always_with_the_same_length(
    wired: DatabaseManager, tds: Server
) -> None:
    told = [(1, "@nexusql_1", 167, "varchar(20)"), (2, "@nexusql_2", 231, "nvarchar(20)")]
    tds.on("sp_describe_undeclared_parameters", Rows(DESCRIBED, told))
    for text in ("abc", "longer"):
        wired.execute("SELECT a FROM t WHERE v = :v AND n = :n", {"v": text, "n": "abc"})
        assert tds.requests[-1].types == ["varchar(8000)", "nvarchar(6)"]
        assert tds.requests[-1].values == [text, "abc"]
    assert sum("describe" in request.text for request in tds.requests) == 1
    wired.execute("SELECT a FROM t WHERE v = :v AND n = :n", {"v": "ü", "n": "abc"})
    assert tds.requests[-1].types == ["nvarchar(2)", "nvarchar(6)"]


@pytest.mark.parametrize("length", [2000, 2001, 8000])
def test_a_long_text_reaches_a_varchar_column_whole(wired: DatabaseManager, tds: Server, length: int) -> None:
    tds.on("sp_describe_undeclared_parameters", Rows(DESCRIBED, [(1, "@nexusql_1", 167, "varchar(8000)")]))
    wired.execute("SELECT a FROM t WHERE v = :v", {"v": "x" * length})
    assert tds.requests[-1].values == ["x" * length]


def test_a_null_has_the_type_of_what_it_meets(wired: DatabaseManager, tds: Server) -> None:
    told = [(1, "@nexusql_1", 165, "varbinary(max)"), (2, "@nexusql_2", 56, "int")]
    tds.on("sp_describe_undeclared_parameters", Rows(DESCRIBED, told))
    for _ in range(2):
        wired.execute("INSERT INTO t (data, n) VALUES (:data, :n)", {"data": None, "n": None})
        request = tds.last("^INSERT")
        assert (request.types, request.values) == (["varbinary(1)", "nvarchar(1)"], [None, None])
    assert sum("describe" in request.text for request in tds.requests) == 1


def test_where_the_server_cannot_tell_a_null_is_sent_all_the_same(wired: DatabaseManager, tds: Server) -> None:
    for _ in range(2):
        wired.execute("INSERT INTO t (n) VALUES (:n)", {"n": None})
    assert tds.last("^INSERT").values == [None]
    assert sum("describe" in request.text for request in tds.requests) == 1
    with wired.transaction() as tx:
        tx.execute("INSERT INTO t (m) VALUES (:n)", {"n": None})
    assert tds.last("^INSERT").values == [None]


@pytest.mark.parametrize("fault", [Fault(1222), Fault(1205, severity=13)])
def test_a_question_that_fails_in_passing_is_asked_again(wired: DatabaseManager, tds: Server, fault: Fault) -> None:
    tds.on("sp_describe_undeclared_parameters", fault)
    wired.execute("INSERT INTO t (data) VALUES (:data)", {"data": None})
    tds.on("sp_describe_undeclared_parameters", Rows(DESCRIBED, [(1, "@nexusql_1", 165, "varbinary(20)")]))
    wired.execute("INSERT INTO t (data) VALUES (:data)", {"data": None})
    assert tds.last("^INSERT").types == ["varbinary(1)"]


def test_a_question_mark_in_a_literal_is_the_drivers_to_tell_from_a_parameter(
    wired: DatabaseManager, tds: Server
) -> None:
    wired.execute("INSERT INTO t (n, q) VALUES (:n, '?')", {"n": None})
    assert tds.last("^INSERT").text == "INSERT INTO t (n, q) VALUES (@P1, '?')"
    assert tds.last("^INSERT").values == [None]


@pytest.fixture
def table(tds: Server) -> Server:
    """A table that the catalogue describes."""
    name, number = "nvarchar(128)", "smallint"
    described = {
        "name": name,
        "type": name,
        "max_length": number,
        "precision": number,
        "scale": number,
        "collation_name": name,
        "is_identity": "bit",
        "is_computed": "bit",
        "definition": "nvarchar(max)",
    }
    at = ("at", "datetime2", 8, 27, 7, None, False, False, None)
    tds.on("sys.columns AS c LEFT JOIN", Rows(described, [*COLUMN_ROWS, at]))
    keys = {"index_id": "int", "is_primary_key": "bit", "name": name, "has_filter": "bit", "filter": name}
    tds.on("sys.indexes", Rows(keys, [(1, True, "id", False, None)]))
    tds.on("sys.triggers", Rows({"": "int"}, [(0,)]))
    tds.on("^INSERT", lambda request: request.text.count("(@P"))
    return tds


def test_bulk_rows_go_in_few_statements_of_one_type(wired: DatabaseManager, table: Server) -> None:
    rows = [{"name": f"n{n}", "code": "c"} for n in range(2500)]
    assert wired.bulk_insert("t", rows).rowcount == 2500
    sent = [request for request in table.requests if request.text.startswith("INSERT")]
    assert [len(request.parameters) for request in sent] == [2000, 2000, 1000]
    assert all(set(request.types) == {"nvarchar(4000)"} for request in sent)
    assert [value for request in sent for value in request.values][::2] == [row["name"] for row in rows]


def test_bulk_values_keep_their_types_and_nulls_have_their_columns(wired: DatabaseManager, table: Server) -> None:
    rows: list[dict[str, Any]] = [
        {"name": "ü" * 3000, "data": b"x", "n": Decimal("1.25"), "at": MOMENT},
        {"name": None, "data": None, "n": None, "at": None},
        {"name": "😀" * 1500, "data": b"", "n": Decimal("-1"), "at": None},
        {"name": "", "data": b"y" * 9000, "n": None, "at": None},
    ]
    assert wired.bulk_insert("t", rows).rowcount == 4
    request = table.last("^INSERT")
    assert request.values == [value for row in rows for value in row.values()]
    assert request.types[0] == request.types[8] == "nvarchar(max)"
    assert request.types[4:8] == ["nvarchar(1)", "varbinary(1)", "nvarchar(1)", "nvarchar(1)"]
    assert not any("describe" in sent.text for sent in table.requests)


def test_an_upsert_with_nulls_asks_nothing_of_its_temporary_table(wired: DatabaseManager, table: Server) -> None:
    table.on("^MERGE", 2)
    rows = [{"id": 1, "name": "a"}, {"id": 2, "name": None}]
    assert wired.bulk_insert("t", rows, on_conflict="update").rowcount == 2
    request = table.last("^INSERT INTO #")
    assert Counter(request.types) == {"int": 4, "nvarchar(4000)": 1, "nvarchar(1)": 1}
    assert not any("describe" in sent.text for sent in table.requests)


def test_decimals_that_no_one_type_holds_go_in_statements_of_their_own(wired: DatabaseManager, table: Server) -> None:
    def written(*numbers: str) -> list[list[str]]:
        table.requests.clear()
        wired.bulk_insert("t", [{"n": Decimal(number)} for number in numbers])
        return [request.types for request in table.requests if request.text.startswith("INSERT")]

    assert written("1.5", "123456.789") == [["numeric(2, 1)", "numeric(9, 3)"]]
    assert written("1E30", "1E-10") == [["numeric(31, 0)"], ["numeric(10, 10)"]]


def test_a_longer_list_than_there_may_be_parameters_is_one(wired: DatabaseManager, tds: Server) -> None:
    tds.on("^SELECT id", Rows({"id": "int"}, [(1,)]))
    assert wired.execute("SELECT id FROM t WHERE id IN (:ids)", {"ids": list(range(2000))}) == [{"id": 1}]
    assert Counter(tds.requests[-1].types) == {"int": 2000}
    assert wired.execute("SELECT id FROM t WHERE id IN (:ids)", {"ids": list(range(3000))}) == [{"id": 1}]
    assert tds.requests[-1].types == ["nvarchar(max)"]


def test_a_row_that_the_server_refuses_is_found(wired: DatabaseManager, table: Server) -> None:
    table.on("^INSERT", lambda request: Fault(2628) if "bad" in request.values else request.text.count("(@P"))
    rows = [{"name": name} for name in ("a", "bad", "c")]
    result = wired.bulk_insert("t", rows, on_error="report")
    assert (result.rowcount, [bad.index for bad in result.errors]) == (2, [1])
