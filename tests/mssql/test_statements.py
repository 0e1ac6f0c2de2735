"""What is sent for single statements: types of parameters, OUTPUT around triggers, `insert`, streams."""

import re
import threading
from datetime import datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pyodbc
import pytest

from nexusql import errors
from nexusql.backends.mssql.values import MssqlValues, moment_with_offset, uuid_text
from nexusql.cli.inform import facts_of
from nexusql.errors import ParameterError
from nexusql.manager import DatabaseManager
from tsql import Server, Several, error

VARCHAR = [(1, "@nexusql_1", 167, "varchar(20)"), (2, "@nexusql_2", 231, "nvarchar(20)"), (3, "@nexusql_3", 56, "int")]


def test_a_text_that_meets_a_varchar_column_is_sent_as_one(db: DatabaseManager, server: Server) -> None:
    server.on("describe_undeclared", VARCHAR)
    sql = "SELECT a FROM t WHERE v = :v AND n = :n AND i = :i"
    db.execute(sql, {"v": "abc", "n": "abc", "i": 5})
    described, run = server.sent[-2:]
    assert described[1] == ("SELECT a FROM t WHERE v = @nexusql_1 AND n = @nexusql_2 AND i = @nexusql_3",)
    assert run[0] == "SELECT a FROM t WHERE v = ? AND n = ? AND i = ?"
    assert server.sizes[-1] == [(pyodbc.SQL_VARCHAR, 8000, 0), None, None]
    db.execute(sql, {"v": "other", "n": "abc", "i": 5})
    assert [text for text, _ in server.sent].count(described[0]) == 1
    assert server.sizes[-1] == [(pyodbc.SQL_VARCHAR, 8000, 0), None, None]


def test_a_text_that_is_not_ascii_stays_unicode(db: DatabaseManager, server: Server) -> None:
    server.on("describe_undeclared", VARCHAR)
    db.execute("SELECT a FROM t WHERE v = :v AND n = :n AND i = :i", {"v": "ä", "n": "b", "i": 5})
    assert server.sizes[-1] == [None, None, None]


def test_where_the_server_cannot_tell_texts_stay_unicode(db: DatabaseManager, server: Server) -> None:
    server.on("describe_undeclared", error("ProgrammingError", "42000", 11501))
    for _ in range(2):
        db.execute("SELECT a FROM t WHERE v = :v", {"v": "abc"})
        assert server.sizes[-1] is None
    assert sum("describe" in text for text, _ in server.sent) == 1


def test_inside_a_transaction_and_for_other_statements_nothing_is_asked(db: DatabaseManager, server: Server) -> None:
    with db.transaction() as tx:
        tx.execute("SELECT a FROM t WHERE v = :v", {"v": "abc"})
    db.execute("SELECT :v AS v", {"v": "abc"})
    db.execute("SELECT a FROM t WHERE v = :v", {"v": 5})
    assert not any("describe" in text for text, _ in server.sent)


def test_a_literal_with_a_question_mark_is_no_parameter(db: DatabaseManager, server: Server) -> None:
    db.execute("SELECT '?' FROM t WHERE v = :v", {"v": "abc"})
    assert not any("describe" in text for text, _ in server.sent)


def test_output_on_a_table_with_triggers_takes_another_way(db: DatabaseManager, server: Server) -> None:
    needs_into = error("ProgrammingError", "42000", 334)
    server.on(r"OUTPUT INSERTED\.id, UPPER\(INSERTED\.b\) (?!INTO)", needs_into)
    server.on("SELECT \\* FROM #nexusql_output", Several([[(7, "B")], 0]))
    rows = db.execute("UPDATE t SET b = :b WHERE id = 7 RETURNING id, UPPER(b)", {"b": "b"})
    assert [tuple(row.values()) for row in rows] == [(7, "B")]
    define, run, read = server.texts[-3:]
    name = define.split(" INTO ")[1].split()[0]
    assert define.startswith("SELECT TOP (0) nexusql_t.id, UPPER(nexusql_t.b) AS nexusql_1 INTO #nexusql_output_")
    assert run == f"UPDATE t SET b = ? OUTPUT INSERTED.id, UPPER(INSERTED.b) INTO {name} WHERE id = 7"
    assert read == f"SELECT * FROM {name}; DROP TABLE {name}"


def test_the_way_around_a_trigger_finds_the_table_of_an_alias(db: DatabaseManager, server: Server) -> None:
    server.on(r"OUTPUT DELETED\.id (?!INTO)", error("ProgrammingError", "42000", 334))
    server.on("SELECT \\* FROM #nexusql_output", Several([[(7,)], 0]))
    assert db.fetch_value("DELETE FROM s.t AS x USING r WHERE x.id = r.id RETURNING x.id") == 7
    assert " FROM s.t AS nexusql_t LEFT JOIN " in server.texts[-3]
    assert server.texts[-2].startswith("DELETE FROM x OUTPUT DELETED.id INTO #nexusql_output")
    server.on(r"OUTPUT DELETED\.id, r\.b", error("ProgrammingError", "42000", 334))
    with pytest.raises(errors.ProgrammingError):
        db.execute("DELETE FROM t USING r WHERE t.id = r.id RETURNING t.id, r.b")
    assert server.texts[-1].startswith("DELETE")


ANNOUNCED = error("ProgrammingError", "23000", 544)


def test_a_value_for_a_numbered_column_is_announced(db: DatabaseManager, server: Server) -> None:
    server.on("^INSERT", ANNOUNCED)
    assert db.execute("INSERT INTO s.[my t] (id, a) VALUES (:id, :a)", {"id": 5, "a": "x"}).rowcount == 1
    on, off = "SET IDENTITY_INSERT s.[my t] ON", "SET IDENTITY_INSERT s.[my t] OFF"
    assert server.sent[-1] == (f"{on}; INSERT INTO s.[my t] (id, a) VALUES (?, ?)\n; {off}", (5, "x"))
    server.on("^MERGE", ANNOUNCED)
    db.execute("INSERT INTO t (id, a) VALUES (1, 2) ON CONFLICT (id) DO UPDATE SET a = excluded.a")
    assert re.match(r"SET IDENTITY_INSERT t ON; MERGE INTO t .*;\n; SET IDENTITY_INSERT t OFF", server.texts[-1])
    server.on("^SET IDENTITY.* OUTPUT", Several([0, [(5,)], 0]))
    assert db.fetch_value("INSERT INTO t (id, a) VALUES (5, 'it''s -- ;') RETURNING id -- five") == 5


def test_a_numbered_column_of_a_table_with_triggers_is_announced(db: DatabaseManager, server: Server) -> None:
    server.on(r"^INSERT .* OUTPUT INSERTED\.id (?!INTO)", error("ProgrammingError", "42000", 334))
    server.on(r"^INSERT .* OUTPUT INSERTED\.id INTO", ANNOUNCED)
    server.on("SELECT \\* FROM #nexusql_output", Several([[(5,)], 0]))
    assert db.fetch_value("INSERT INTO t (id) VALUES (:id) RETURNING id", {"id": 5}) == 5
    assert re.match("SET IDENTITY_INSERT t ON; INSERT INTO t .* INTO #nexusql_output", server.texts[-2])


@pytest.mark.parametrize("way", ["insert", "bulk_insert", "execute_many"])
def test_a_row_with_its_number_is_announced_by_every_call(db: DatabaseManager, server: Server, way: str) -> None:
    described = [("id", "int", 4, 10, 0, None, True, False, None), ("a", "int", 4, 10, 0, None, False, False, None)]
    server.on("sys.columns AS c LEFT JOIN", described)
    server.on("sys.indexes", [(1, True, "id", False, None)])
    server.on("sys.triggers", [(0,)])
    server.on("^INSERT", lambda args: 1 if "SET IDENTITY_INSERT [t] ON" in server.texts else ANNOUNCED)
    server.on("^SET IDENTITY_INSERT .* OUTPUT", Several([0, [(5,)], 0]))
    if way == "insert":
        assert db.insert("t", {"id": 5, "a": 1}) == 5
    elif way == "bulk_insert":
        assert db.bulk_insert("t", [{"id": 5, "a": 1}]).rowcount == 1
    else:
        assert db.execute_many("INSERT INTO t (id, a) VALUES (:id, :a)", [{"id": 5, "a": 1}]) == 1
    assert any(re.match(r"SET IDENTITY_INSERT (\[t\]|t) ON", text) for text in server.texts)


def test_an_announcement_is_taken_back_where_the_batch_fails(db: DatabaseManager, server: Server) -> None:
    server.on("^INSERT", ANNOUNCED)
    server.on("^SET IDENTITY_INSERT t ON; INSERT", error("IntegrityError", "23000", 2627))
    with pytest.raises(errors.UniqueViolation):
        db.execute("INSERT INTO t (id) VALUES (5)")
    assert server.texts[-1] == "SET IDENTITY_INSERT t OFF"


@pytest.mark.parametrize("number", [545, 1088, 8106, 8107])
def test_where_a_value_cannot_be_announced_the_first_error_is_told(
    db: DatabaseManager, server: Server, number: int
) -> None:
    server.on("^INSERT", ANNOUNCED)
    server.on("^SET IDENTITY_INSERT t ON", error("ProgrammingError", "42000", number))
    with pytest.raises(errors.ProgrammingError) as caught:
        db.execute("INSERT INTO t (id) VALUES (5)")
    assert caught.value.code == 544


@pytest.mark.parametrize("number", [334, 544])
def test_rows_in_pieces_come_by_the_same_ways_around(db: DatabaseManager, server: Server, number: int) -> None:
    server.on("OUTPUT", error("ProgrammingError", "42000", number))
    server.on("INTO #nexusql_output", 7)
    way = "^SET IDENTITY_INSERT t ON; .*OUTPUT" if number == 544 else "^SELECT \\* FROM #nexusql_output"
    server.on(way, Several([[(n,) for n in range(7)], 0]))
    backend = db._connected().backend
    raw = backend.connect(db.config, 5.0)
    cursor = backend.open_cursor(raw, "INSERT INTO t (id) OUTPUT INSERTED.id SELECT id FROM s", None, 3, True)
    pieces = [cursor.fetch() for _ in range(4)]
    assert pieces == [[(0,), (1,), (2,)], [(3,), (4,), (5,)], [(6,)], []]
    assert not cursor.occupies
    backend.close(raw)


def test_an_error_amid_the_rows_takes_back_what_the_way_around_has_made(db: DatabaseManager, server: Server) -> None:
    failing = Several([[(5,)], error("IntegrityError", "23000", 2627)])
    server.on("^INSERT", ANNOUNCED)
    server.on("^SET IDENTITY_INSERT t ON; INSERT", failing)
    with pytest.raises(errors.UniqueViolation):
        db.execute("INSERT INTO t (id) VALUES (5) RETURNING id")
    assert server.texts[-1] == "SET IDENTITY_INSERT t OFF"
    server.on("OUTPUT INSERTED.id(?! INTO)", error("ProgrammingError", "42000", 334))
    server.on("SELECT \\* FROM #nexusql_output", failing)
    with pytest.raises(errors.UniqueViolation):
        db.execute("UPDATE t SET a = 1 RETURNING id")
    assert server.texts[-1].startswith("DROP TABLE #nexusql_output_")


def test_another_error_of_the_way_around_is_told(db: DatabaseManager, server: Server) -> None:
    server.on("OUTPUT INSERTED.id (?!INTO)", error("ProgrammingError", "42000", 334))
    server.on("OUTPUT INSERTED.id INTO", error("IntegrityError", "23000", 2627))
    with pytest.raises(errors.UniqueViolation):
        db.execute("INSERT INTO t (a) VALUES (1) RETURNING id")
    assert server.texts[-1].startswith("DROP TABLE #nexusql_output_")


def test_a_parameter_in_output_keeps_its_error(db: DatabaseManager, server: Server) -> None:
    server.on("OUTPUT", error("ProgrammingError", "42000", 334))
    with pytest.raises(errors.ProgrammingError):
        db.execute("INSERT INTO t (a) VALUES (1) RETURNING :x", {"x": 1})
    assert not any("#nexusql" in text for text, _ in server.sent)


def test_a_stream_that_is_left_early_in_a_transaction_closes_its_cursor(db: DatabaseManager, server: Server) -> None:
    server.on("SELECT n", [(n,) for n in range(10)])
    with db.transaction() as tx:
        with tx.stream("SELECT n FROM t", chunk_size=3) as rows:
            assert next(iter(rows)) == {"c0": 0}
            before = server.closed_cursors
        assert server.closed_cursors == before + 1
        tx.execute("SELECT 1")
    with db.stream("SELECT n FROM t", chunk_size=3) as rows:
        assert [row["c0"] for row in rows] == list(range(10))


def test_values_that_the_driver_would_change_are_converted_or_refused() -> None:
    adapt = MssqlValues().adapt
    assert adapt(datetime(2024, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))) == datetime(2024, 1, 1, 10)
    assert adapt(time(1, 2, 3, 4)) == "01:02:03.000004"
    assert adapt(timedelta(hours=1)) == "01:00:00"
    assert adapt(2**63) == Decimal(2**63)
    assert adapt(UUID(int=1)) == "00000000-0000-0000-0000-000000000001"
    assert adapt({"a": "ü"}) == '{"a": "ü"}'
    assert adapt(True) is True
    for refused in (10**38, Decimal("1e39"), float("nan"), Decimal("Infinity"), time(1, tzinfo=timezone.utc), object()):
        with pytest.raises(ParameterError):
            adapt(refused)


def test_moments_with_an_offset_and_guids_are_decoded() -> None:
    data = b"\xe8\x07\x02\x00\x1d\x00\x01\x00\x02\x00\x03\x00\x15\xcd\x5b\x07\x02\x00\x1e\x00"
    moment = moment_with_offset(data)
    assert moment == datetime(2024, 2, 29, 1, 2, 3, 123456, timezone(timedelta(hours=2, minutes=30)))
    guid = UUID("01234567-89ab-cdef-0123-456789abcdef")
    assert uuid_text(guid.bytes_le) == str(guid)
    assert moment_with_offset(None) is None
    assert uuid_text(None) is None


def test_closing_cancels_what_another_thread_waits_for(server: Server) -> None:
    running, go_on = threading.Event(), threading.Event()

    def wait(_args: object) -> int:
        running.set()
        assert go_on.wait(10)
        return 1

    server.on("WAITFOR", wait)
    with DatabaseManager("mssql://u:p@h/d", pool_min=0) as db:
        raw = db._connected().backend.connect(db.config, 5.0)
        raised = []

        def run() -> None:
            try:
                raw.run("WAITFOR DELAY '1:00'", None)
            except pyodbc.Error as error:
                raised.append(error.args[0])

        waiting = threading.Thread(target=run)
        waiting.start()
        assert running.wait(10)
        db._connected().backend.close(raw)
        assert server.cancelled >= 1
        assert raw.closed
        go_on.set()
        waiting.join()
        assert raised == ["08003"]


def test_a_sign_of_life(db: DatabaseManager, server: Server) -> None:
    backend = db._connected().backend
    raw = backend.connect(db.config, 5.0)
    assert backend.ping(raw, 1.0)
    server.on("^SELECT 1$", error("OperationalError", "08S01", 0))
    assert not backend.ping(raw, 1.0)
    backend.close(raw)
    assert not backend.ping(raw, 1.0)
    assert backend.looks_dead(raw)


def test_tables_and_their_columns(db: DatabaseManager, server: Server) -> None:
    text = db._connected().backend.list_tables_sql()
    assert db.translate(text).sql == text
    server.on("INFORMATION_SCHEMA.COLUMNS", [("id", "int"), ("name", "nvarchar")])
    backend = db._connected().backend
    raw = backend.connect(db.config, 5.0)
    assert dict(backend.column_types(raw, "[s].[t]")) == {"id": "int", "name": "nvarchar"}
    assert server.sent[-1][1] == ("s", "t")
    assert backend.column_types(raw, "a.b.c") == {}


def test_columns_without_a_name_get_one_each(db: DatabaseManager, server: Server) -> None:
    server.on("SELECT COUNT", [(1, 2, 3)])
    db.execute("SELECT 1")
    server.names = ["", "b", ""]
    assert db.execute("SELECT COUNT(*), b, MAX(c) FROM t GROUP BY b") == [{"column1": 1, "b": 2, "column3": 3}]


def test_a_cancel_that_comes_late_hits_no_later_statement(db: DatabaseManager, server: Server) -> None:
    backend = db._connected().backend
    raw = backend.connect(db.config, 5.0)
    raw.run("SELECT 5", None)
    backend.cancel(raw, db.config)
    backend.cut(raw)
    assert server.cancelled == 0
    server.on("^SELECT 1$", error("Error", "HY008", 0, "Operation canceled"))
    backend.outlive_cancel(raw)
    server.on("^SELECT 1$", error("OperationalError", "08S01", 0))
    with pytest.raises(pyodbc.OperationalError):
        backend.outlive_cancel(raw)


def test_a_statement_stops_at_its_time_limit(db: DatabaseManager, server: Server) -> None:
    stopped = threading.Event()

    def wait(_args: object) -> object:
        assert stopped.wait(10)
        return error("Error", "HY008", 0, "Operation canceled")

    server.on("WAITFOR", wait)
    server.when_cancelled = stopped.set
    with pytest.raises(errors.QueryTimeout):
        db.execute("WAITFOR DELAY '1:00'", timeout=0.2)
    server.on("SELECT 5", [(5,)])
    assert db.fetch_value("SELECT 5") == 5


def test_the_command_tells_how_rows_are_written(db: DatabaseManager, server: Server) -> None:
    server.on("SELECT SCHEMA_NAME", [("dbo",)])
    server.on("HAS_PERMS_BY_NAME", [])
    facts = facts_of(db)
    assert (facts["backend"], facts["fast paths"][-1]) == ("mssql", "multi-row INSERT")
    assert facts["migrations"] == "one transaction a file, advisory lock free"
