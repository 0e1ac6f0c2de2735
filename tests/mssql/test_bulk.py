"""Bulk writes on SQL Server: the statements that are sent, within the server's limits, and what answers mean."""

import re
from collections.abc import Callable
from typing import Any

import pyodbc
import pytest
import sqlglot

from nexusql import errors
from nexusql.backends.mssql.bulk import PARAMETERS, ROWS
from nexusql.manager import DatabaseManager
from tsql import Server, error
from tsql_catalogue import COLUMN_ROWS

COLUMNS = [*COLUMN_ROWS, ("twice", "int", 4, 10, 0, None, False, True, None)]
KEYS = [
    (1, True, "id", False, None),
    (2, False, "name", True, "([name] IS NOT NULL)"),
    (3, False, "code", False, None),
    (3, False, "n", False, None),
    (4, False, "data", True, "([n]>(5))"),
]


@pytest.fixture
def table(server: Server) -> Server:
    """A table that the catalogue describes."""
    server.on("sys.columns AS c LEFT JOIN", COLUMNS)
    server.on("sys.indexes", KEYS)
    server.on("sys.triggers", [(0,)])
    return server


def inserts(server: Server) -> list[tuple[str, tuple[Any, ...]]]:
    return [(text, args) for text, args in server.sent if text.startswith("INSERT")]


def test_rows_go_in_statements_within_the_servers_limits(db: DatabaseManager, table: Server) -> None:
    rows = [{"name": f"n{n}", "code": "c"} for n in range(2500)]
    result = db.bulk_insert("t", rows)
    assert result.rowcount == 2500
    assert result.strategy == "values"
    sent = inserts(table)
    assert sum(len(args) for _, args in sent) == 5000
    for text, args in sent:
        assert len(args) <= PARAMETERS
        assert text.count("(?, ?)") <= ROWS
        assert text.startswith("INSERT INTO [t] ([name], [code]) VALUES (?, ?)")


def test_texts_have_one_length_and_nulls_a_type(db: DatabaseManager, table: Server) -> None:
    db.bulk_insert("t", [{"name": "a", "data": b"x", "n": 1}, {"name": None, "data": None, "n": None}])
    sizes = table.sizes[[text for text, _ in table.sent].index(inserts(table)[0][0])]
    text, null, no_bytes = (pyodbc.SQL_WVARCHAR, 4000, 0), (pyodbc.SQL_WVARCHAR, 1, 0), (pyodbc.SQL_VARBINARY, 1, 0)
    assert sizes == [text, None, None, null, no_bytes, null]


def test_values_of_several_types_in_one_column_go_row_by_row(db: DatabaseManager, table: Server) -> None:
    db.bulk_insert("t", [{"name": "a"}, {"name": 5}, {"name": None}])
    assert [args for _, args in inserts(table)] == [("a",), (5,), (None,)]


def test_ids_come_row_by_row(db: DatabaseManager, table: Server) -> None:
    numbers = iter(range(7, 10))
    table.on("OUTPUT", lambda args: [(next(numbers),)])
    result = db.bulk_insert("t", [{"name": "a"}, {"name": "b"}, {"name": "c"}], returning="id")
    assert result.ids == [7, 8, 9]
    assert inserts(table)[0][0] == "INSERT INTO [t] ([name]) OUTPUT INSERTED.[id] VALUES (?)"


def test_with_triggers_ids_come_by_a_table_variable(db: DatabaseManager, table: Server) -> None:
    table.on("sys.triggers", [(1,)])
    table.on("SELECT value", lambda args: [(5,)])
    assert db.bulk_insert("t", [{"name": "a"}], returning="id").ids == [5]
    text = table.texts[-2]
    assert text == (
        "DECLARE @nexusql TABLE (value int); INSERT INTO [t] ([name]) OUTPUT INSERTED.[id] INTO @nexusql VALUES (?);"
        " SELECT value FROM @nexusql"
    )


def test_values_for_a_numbered_column_are_announced(db: DatabaseManager, table: Server) -> None:
    db.bulk_insert("t", [{"id": 5, "name": "a"}, {"id": 6, "name": "b"}])
    before, insert, after = [text for text in table.texts if "[t]" in text][-3:]
    assert (before, after) == ("SET IDENTITY_INSERT [t] ON", "SET IDENTITY_INSERT [t] OFF")
    assert insert.startswith("INSERT")


def test_the_announcement_is_taken_back_after_an_error(db: DatabaseManager, table: Server) -> None:
    table.on("^INSERT", error("IntegrityError", "23000", 2627))
    with pytest.raises(errors.UniqueViolation):
        db.bulk_insert("t", [{"id": 5, "name": "a"}, {"id": 6, "name": "b"}])
    assert "SET IDENTITY_INSERT [t] OFF" in table.texts
    assert table.texts[-1].endswith("ROLLBACK TRANSACTION")


def test_an_upsert_is_merged_from_a_temporary_table(db: DatabaseManager, table: Server) -> None:
    table.on("^MERGE", 2)
    rows = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 1, "name": "c"}]
    result = db.bulk_insert("t", rows, on_conflict="update")
    assert (result.rowcount, result.strategy) == (2, "staging")
    (create,) = [text for text in table.texts if text.startswith("CREATE TABLE #")]
    name = create.split()[2]
    assert create == (
        f"CREATE TABLE {name} ([nexusql_row] BIGINT NOT NULL PRIMARY KEY, [id] int NULL,"
        " [name] nvarchar(100) COLLATE Latin1_General_CI_AS NULL)"
    )
    assert inserts(table)[0][1] == (0, 1, "a", 1, 2, "b", 2, 1, "c")
    (merge,) = [text for text in table.texts if text.startswith("MERGE")]
    assert "ORDER BY [nexusql_row] DESC" in merge
    assert merge.endswith(
        "ON t.[id] = s.[id] WHEN MATCHED THEN UPDATE SET [name] = s.[name]"
        " WHEN NOT MATCHED THEN INSERT ([id], [name]) VALUES (s.[id], s.[name]);"
    )
    assert table.texts.index(f"DROP TABLE {name}") > table.texts.index(merge)


def test_what_an_upsert_leaves_to_the_database_is_filled_there(db: DatabaseManager, table: Server) -> None:
    """Else the merge would name columns that the temporary table has not."""
    options: dict[str, Any] = {"on_conflict": "update", "conflict_columns": ["code", "n"]}
    db.bulk_insert("t", [{"name": "a", "n": 1}], update_columns=["name", "data"], **options)
    (create,) = [text for text in table.texts if text.startswith("CREATE TABLE #")]
    assert "[code] varchar(10) COLLATE Latin1_General_CI_AS NULL DEFAULT ('x'), [data] varbinary(MAX) NULL)" in create
    (merge,) = [text for text in table.texts if text.startswith("MERGE")]
    assert "SELECT [nexusql_row], [name], [n], [code], [data] FROM" in merge
    assert merge.endswith("INSERT ([name], [n], [code], [data]) VALUES (s.[name], s.[n], s.[code], s.[data]);")


def test_what_an_upsert_leaves_alone_is_the_first_rows(db: DatabaseManager, table: Server) -> None:
    rows = [{"id": 1, "name": "a", "n": 1}, {"id": 1, "name": "b", "n": 2}]
    db.bulk_insert("t", rows, on_conflict="update", update_columns=["n"])
    (merge,) = [text for text in table.texts if text.startswith("MERGE")]
    same = "PARTITION BY [id], CASE WHEN [id] IS NULL THEN [nexusql_row] END ORDER BY [nexusql_row]"
    assert f"SELECT [nexusql_row], [id], FIRST_VALUE([name]) OVER ({same}) AS [name], [n], ROW_NUMBER()" in merge


def test_a_row_without_its_number_meets_no_other(db: DatabaseManager, table: Server) -> None:
    table.on("^MERGE", [(0, 7), (1, 8)])
    result = db.bulk_insert("t", [{"name": "a"}, {"name": "b"}], on_conflict="update", returning="id")
    assert (result.ids, result.rowcount) == ([7, 8], 2)
    (merge,) = [text for text in table.texts if text.startswith("MERGE")]
    assert " AS s ON 1 = 0 " in merge
    assert merge.endswith("OUTPUT s.[nexusql_row], INSERTED.[id];")


def test_a_computed_column_may_be_the_key(db: DatabaseManager, table: Server) -> None:
    table.on("sys.columns AS c LEFT JOIN", [*COLUMN_ROWS, ("twice", "int", 4, 10, 0, None, False, True, "([n]*(2))")])
    table.on("sys.indexes", [(1, True, "id", False, None), (2, False, "twice", False, None)])
    db.bulk_insert("t", [{"n": 4}], on_conflict="update", conflict_columns=["twice"])
    (create,) = [text for text in table.texts if text.startswith("CREATE TABLE #")]
    assert create.endswith("[n] decimal(10, 2) NULL, [twice] AS ([n]*(2)))")
    (merge,) = [text for text in table.texts if text.startswith("MERGE")]
    assert merge.endswith(
        "ON t.[twice] = s.[twice] WHEN MATCHED THEN UPDATE SET [n] = s.[n]"
        " WHEN NOT MATCHED THEN INSERT ([n]) VALUES (s.[n]);"
    )


def test_ignored_rows_have_no_id(db: DatabaseManager, table: Server) -> None:
    table.on("^MERGE", [(2, 12), (0, 10)])
    rows = [{"name": "a"}, {"name": "b"}, {"name": "c"}]
    result = db.bulk_insert("t", rows, on_conflict="ignore", conflict_columns=["name"], returning="id")
    assert result.ids == [10, None, 12]
    assert result.rowcount == 2


def test_ids_of_an_upsert_are_found_by_the_key(db: DatabaseManager, table: Server) -> None:
    table.on("^MERGE", [(1, 7), (2, 8)])
    table.on("^SELECT s.\\[nexusql_row\\]", [(0, 7), (1, 7)])
    rows = [{"name": "a", "code": "x"}, {"name": "a", "code": "y"}, {"name": None, "code": "z"}]
    result = db.bulk_insert("t", rows, on_conflict="update", conflict_columns=["name"], returning="id")
    assert result.ids == [7, 7, 8]  # the last one has no key by which it could be found
    assert result.rowcount == 2


def test_a_conflict_with_any_of_several_keys_is_looked_for_row_by_row(db: DatabaseManager, table: Server) -> None:
    rows = [{"name": "a", "code": "x", "n": 1}, {"name": "b", "code": "x", "n": 1}]
    assert db.bulk_insert("t", rows, on_conflict="ignore").rowcount == 2
    each = [text for text in table.texts if "NOT EXISTS" in text]
    assert len(each) == 2
    assert "(t.[name] = s.[name]) OR (t.[code] = s.[code] AND t.[n] = s.[n])" in each[0]
    assert "WITH (UPDLOCK, HOLDLOCK)" in each[0]


def test_a_computed_column_is_refused(db: DatabaseManager, table: Server) -> None:
    with pytest.raises(errors.ParameterError, match="computed"):
        db.bulk_insert("t", [{"twice": 4}])


@pytest.mark.parametrize(
    ("kind", "sqlstate", "number"),
    [("DataError", "22001", 2628), ("ProgrammingError", "42000", 50_000), ("ProgrammingError", "42000", 51_234)],
    ids=["too long", "RAISERROR", "THROW"],
)
def test_rows_that_the_server_refuses_are_reported(
    db: DatabaseManager, table: Server, kind: str, sqlstate: str, number: int
) -> None:
    def refuse(args: Any) -> Any:
        return error(kind, sqlstate, number) if "bad" in args else len(args)

    table.on("^INSERT", refuse)
    rows = [{"name": name} for name in ("a", "bad", "c", "d")]
    result = db.bulk_insert("t", rows, on_error="report")
    assert result.rowcount == 3
    assert [bad.index for bad in result.errors] == [1]
    assert result.errors[0].error.code == number  # type: ignore[attr-defined]


def test_a_server_that_only_speaks_the_protocol_blames_no_row(db: DatabaseManager, table: Server) -> None:
    table.on("^INSERT", error("ProgrammingError", "42000", 33557097))
    with pytest.raises(errors.NotSupportedError):
        db.bulk_insert("t", [{"name": "a"}, {"name": "b"}], on_error="report")


def test_an_insert_gives_the_key(db: DatabaseManager, table: Server) -> None:
    table.on("OUTPUT INSERTED", [(42,)])
    assert db.insert("t", {"name": "a"}) == 42
    assert inserts(table)[-1][0] == "INSERT INTO [t] ([name]) OUTPUT INSERTED.[id] VALUES (?)"


def test_a_table_that_is_not_there(db: DatabaseManager, server: Server) -> None:
    server.on("sys.columns", [])
    server.on("TOP \\(0\\)", error("ProgrammingError", "42S02", 208))
    with pytest.raises(errors.UndefinedTable):
        db.bulk_insert("nowhere", [{"a": 1}])


@pytest.mark.parametrize(
    "call",
    [
        lambda db: db.bulk_insert("t", [{"name": "a"}], on_conflict="update", conflict_columns=["name"]),
        lambda db: db.bulk_insert("t", [{"name": "a", "code": "b"}], on_conflict="ignore"),
        lambda db: db.bulk_insert("t", [{"id": 1, "name": "b"}], on_conflict="update", returning="code"),
        lambda db: db.bulk_insert("t", [{"name": "a"}], on_conflict="update", returning="id"),
        lambda db: db.bulk_insert("t", [{"name": "a"}], returning="id"),
        lambda db: db.bulk_insert("t", [{"name": "a"}, {"name": "b"}]),
    ],
)
def test_a_second_reader_parses_what_is_sent(
    db: DatabaseManager, table: Server, call: Callable[[DatabaseManager], Any]
) -> None:
    table.on("^INSERT.*OUTPUT", [(1,)])
    table.on("^MERGE.*OUTPUT", [(0, 1)])
    table.on("^SELECT s.", lambda args: [(0, 1)])
    call(db)
    for text, _ in table.sent:
        if text.startswith(("INSERT", "MERGE", "SELECT", "CREATE", "DROP")):
            shown = re.sub(r"^IF OBJECT_ID\(\S+\) IS NOT NULL ", "", text)
            (parsed,) = sqlglot.parse(shown, dialect="tsql")
            assert not isinstance(parsed, sqlglot.exp.Command), shown
