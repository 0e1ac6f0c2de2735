"""An error that comes from a driver is nexusql's and the driver's at once, and travels well."""

import builtins
import copy
import importlib
import pickle
import sqlite3
import subprocess
import sys
import threading
import traceback
import types
from collections.abc import Iterator
from typing import Any

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import pymysql
import pymysql.err
import pytest

import servers
from nexusql import errors
from nexusql.backends.errors import driver_error, find, forget_frames, pair
from nexusql.errors import Error


def classes_of(module: Any) -> list[type[Exception]]:
    found = [getattr(module, name) for name in dir(module)]
    return sorted(
        {one for one in found if isinstance(one, type) and issubclass(one, Exception)}, key=lambda one: one.__name__
    )


OURS = [one for one in classes_of(errors) if issubclass(one, Error)]
POSTGRESQL = classes_of(psycopg2.errors)
MYSQL = classes_of(pymysql.err)
SQLITE = classes_of(sqlite3)
PEP_249 = {
    *("Error", "InterfaceError", "DatabaseError", "DataError", "OperationalError"),
    *("IntegrityError", "InternalError", "ProgrammingError", "NotSupportedError"),
}


@pytest.fixture
def pyodbc(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stand-in that raises as pyodbc does: SQLSTATE and text as args, PEP 249's tree."""
    module: Any = types.ModuleType("pyodbc")
    tree: dict[str, Any] = {
        "Error": Exception,
        "InterfaceError": "Error",
        "DatabaseError": "Error",
        **dict.fromkeys(
            [
                "DataError",
                "OperationalError",
                "IntegrityError",
                "InternalError",
                "ProgrammingError",
                "NotSupportedError",
            ],
            "DatabaseError",
        ),
    }
    for name, base in tree.items():
        parent = getattr(module, base) if isinstance(base, str) else base
        setattr(module, name, type(name, (parent,), {"__module__": "pyodbc"}))
    monkeypatch.setitem(sys.modules, "pyodbc", module)
    return module


def from_psycopg2(sql: str) -> psycopg2.Error:
    """What psycopg2 raises for a statement."""
    connection = servers.CONNECT["postgresql"](servers.server_url("postgresql"))
    try:
        connection.cursor().execute(sql)
    except psycopg2.Error as error:
        return error
    finally:
        connection.close()
    raise AssertionError(f"no error: {sql}")


def importable(made: type) -> bool:
    return getattr(importlib.import_module(made.__module__), made.__qualname__) is made


@pytest.mark.parametrize("theirs", [*POSTGRESQL, *MYSQL, *SQLITE], ids=lambda one: f"{one.__module__}.{one.__name__}")
def test_every_class_of_every_driver_goes_with_every_class_of_nexusql(theirs: type[Exception]) -> None:
    for ours in OURS:
        original = theirs(1062, "text")
        error = driver_error(ours, original, sqlstate="23505", code=1062, sql="SELECT 1")
        assert isinstance(error, ours)
        assert isinstance(error, theirs)
        assert error.args == (1062, "text")
        assert str(error) == str(original)
        assert importable(type(error))
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert (again.args, again.sqlstate, again.code, again.sql) == ((1062, "text"), "23505", 1062, "SELECT 1")


def test_so_does_every_class_of_pyodbc(pyodbc: Any) -> None:
    for theirs in classes_of(pyodbc):
        for ours in OURS:
            error = driver_error(ours, theirs("23000", "[23000] text"), sqlstate="23000", code=2627)
            assert isinstance(error, (ours,))
            assert isinstance(error, theirs)
            assert importable(type(error))
            assert type(error).__module__ == "nexusql.backends.mssql.errors"
            assert type(pickle.loads(pickle.dumps(error))) is type(error)


PYTHONS = [
    OverflowError("Python int too large"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    OSError(111, "Connection refused"),
    FileNotFoundError(2, "No such file", "x.db"),
    TimeoutError("timed out"),
    ValueError("embedded null character"),
    TypeError("not supported"),
    KeyError("x"),
    MemoryError(),
]


@pytest.mark.parametrize("original", PYTHONS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("ours", OURS, ids=lambda one: one.__name__)
def test_errors_of_pythons_own_that_a_driver_lets_through_are_paired_too(
    ours: type[Error], original: Exception
) -> None:
    error = driver_error(ours, original)
    assert isinstance(error, ours)
    assert isinstance(error, type(original))
    assert error.args == original.args
    assert str(error) == str(original)
    assert importable(type(error))
    assert str(pickle.loads(pickle.dumps(error))) == str(original)


def test_where_nexusqls_class_is_already_a_subclass_it_is_raised_itself() -> None:
    error = driver_error(errors.ParameterError, ValueError("no"), sql="SELECT 1")
    assert type(error) is errors.ParameterError
    assert (error.args, error.sql) == (("no",), "SELECT 1")
    assert type(error.__cause__) is ValueError


def test_an_error_that_is_nexusqls_is_given_back() -> None:
    error = driver_error(errors.UniqueViolation, sqlite3.IntegrityError("no"))
    assert driver_error(errors.DataError, error) is error
    own = errors.PoolTimeout("no")
    assert driver_error(errors.DataError, own) is own


def test_a_class_is_made_once_even_by_many_threads() -> None:
    made = []
    start = threading.Barrier(8)

    def make() -> None:
        start.wait(10)
        made.append(pair(errors.QueryTimeout, psycopg2.errors.DiskFull))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(made) == 8
    assert len(set(made)) == 1


def test_both_except_clauses_hold() -> None:
    def fail() -> None:
        raise driver_error(errors.UniqueViolation, psycopg2.errors.UniqueViolation("duplicate"))

    for clause in (
        errors.UniqueViolation,
        errors.IntegrityError,
        errors.Error,
        psycopg2.errors.UniqueViolation,
        psycopg2.IntegrityError,
        psycopg2.Error,
    ):
        with pytest.raises(clause, match=r"^duplicate$"):
            fail()


@pytest.mark.parametrize(
    ("folder", "name", "ours", "theirs"),
    [
        ("postgresql", "UniqueViolation", errors.UniqueViolation, psycopg2.errors.UniqueViolation),
        ("postgresql", "UndefinedTable", errors.UndefinedTable, psycopg2.errors.UndefinedTable),
        ("postgresql", "OperationalError", errors.OperationalError, psycopg2.OperationalError),
        ("postgresql", "ConnectionLost", errors.ConnectionLost, psycopg2.OperationalError),
        ("postgresql", "InsufficientPrivilege", errors.ProgrammingError, psycopg2.errors.InsufficientPrivilege),
        ("postgresql", "QueryTimeout", errors.QueryTimeout, psycopg2.errors.QueryCanceled),
        ("postgresql", "SQLSyntaxError", errors.SQLSyntaxError, psycopg2.errors.SyntaxError),
        ("postgresql", "QueryCanceledError", errors.OperationalError, psycopg2.extensions.QueryCanceledError),
        ("postgresql", "ConnectionLost_AdminShutdown", errors.ConnectionLost, psycopg2.errors.AdminShutdown),
        ("mysql", "UniqueViolation", errors.UniqueViolation, pymysql.err.IntegrityError),
        ("mysql", "DataError", errors.DataError, pymysql.err.DataError),
        ("sqlite", "UniqueViolation", errors.UniqueViolation, sqlite3.IntegrityError),
        ("mysql", "UndefinedTable", errors.UndefinedTable, pymysql.err.ProgrammingError),
        ("mysql", "UndefinedColumn", errors.UndefinedColumn, pymysql.err.OperationalError),
        ("sqlite", "UndefinedTable", errors.UndefinedTable, sqlite3.OperationalError),
        ("sqlite", "UndefinedTable_ProgrammingError", errors.UndefinedTable, sqlite3.ProgrammingError),
    ],
)
def test_the_classes_are_found_by_name_in_the_folder_of_their_backend(
    folder: str, name: str, ours: type[Error], theirs: type[Exception]
) -> None:
    made = getattr(importlib.import_module(f"nexusql.backends.{folder}.errors"), name)
    assert made is pair(ours, theirs)
    assert (made.__module__, made.__qualname__) == (f"nexusql.backends.{folder}.errors", name)


def test_the_drivers_name_leads_to_the_class_that_is_raised_too() -> None:
    module: Any = importlib.import_module("nexusql.backends.postgresql.errors")
    assert module.QueryCanceled is module.QueryTimeout
    assert module.SyntaxError is module.SQLSyntaxError


@pytest.mark.parametrize("folder", ["sqlite", "postgresql", "mysql"])
@pytest.mark.parametrize("name", ["NoSuchError", "UniqueViolation_NoSuch", "_x", "__path__", "connect", ""])
def test_any_other_name_is_an_attribute_error(folder: str, name: str) -> None:
    module = importlib.import_module(f"nexusql.backends.{folder}.errors")
    assert not hasattr(module, name)
    with pytest.raises(AttributeError, match=f"module 'nexusql.backends.{folder}.errors' has no attribute '{name}'"):
        find(module.__name__, name)


@pytest.mark.parametrize("name", sorted(PEP_249))
def test_the_categories_of_pep_249_meet_under_their_own_names(name: str) -> None:
    for folder, driver in (("sqlite", sqlite3), ("postgresql", psycopg2), ("mysql", pymysql.err)):
        made = getattr(importlib.import_module(f"nexusql.backends.{folder}.errors"), name)
        assert issubclass(made, getattr(errors, name))
        assert issubclass(made, getattr(driver, name))


class TestPostgresql:
    """psycopg2 keeps what the server said outside the attributes of its errors."""

    @pytest.fixture
    def original(self) -> psycopg2.Error:
        servers.require("postgresql")
        return from_psycopg2(
            "CREATE TEMPORARY TABLE t (id INTEGER CONSTRAINT the_key PRIMARY KEY); INSERT INTO t VALUES (5), (5)"
        )

    @pytest.fixture
    def error(self, original: psycopg2.Error) -> Any:
        return driver_error(errors.UniqueViolation, original, sqlstate=original.pgcode, code=None, sql="INSERT ..")

    def test_what_the_server_said_is_there(self, error: Any, original: psycopg2.Error) -> None:
        assert error.pgcode == "23505"
        assert error.pgerror == original.pgerror
        assert error.diag.constraint_name == "the_key"
        assert error.diag.sqlstate == "23505"
        assert str(error) == str(original)
        assert error.__cause__ is original

    @pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy])
    def test_a_copy_has_it_too(self, twin: Any, error: Any) -> None:
        again = twin(error)
        assert again is not error
        assert type(again) is type(error)
        assert (again.pgcode, again.pgerror, again.sql) == ("23505", error.pgerror, "INSERT ..")
        assert again.diag.constraint_name == "the_key"
        assert again.__cause__ is error.__cause__

    def test_a_pickle_has_all_but_the_diagnostics(self, error: Any) -> None:
        again = pickle.loads(pickle.dumps(error))
        assert (again.pgcode, again.pgerror, again.sqlstate) == ("23505", error.pgerror, "23505")
        assert str(again) == str(error)
        assert again.__cause__ is None
        assert again.diag.constraint_name is None

    def test_a_note_does_not_cost_what_the_server_said(self) -> None:
        original = from_psycopg2("SELECT 1/0")
        vars(original)["__notes__"] = ["while paying"]
        error: Any = driver_error(errors.DataError, original)
        again = pickle.loads(pickle.dumps(error))
        for one in (error, again):
            assert (one.pgcode, one.__notes__) == ("22012", ["while paying"])

    def test_another_cause_does_not_hide_the_attribute(self, error: Any) -> None:
        error.__cause__ = ValueError("x")
        assert error.diag.constraint_name is None


class TestSqlite:
    @pytest.fixture
    def error(self) -> Any:
        connection = sqlite3.connect(":memory:")
        try:
            connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
            connection.execute("INSERT INTO t VALUES (1), (1)")
        except sqlite3.IntegrityError as original:
            return driver_error(errors.UniqueViolation, original, code=1555)
        finally:
            connection.close()
        raise AssertionError("no error")

    @pytest.mark.skipif(sys.version_info < (3, 11), reason="sqlite3 has had them since Python 3.11")
    def test_the_codes_are_there_also_in_copies_and_pickles(self, error: Any) -> None:
        for one in (error, copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
            assert one.sqlite_errorcode == 1555
            assert one.sqlite_errorname == "SQLITE_CONSTRAINT_PRIMARYKEY"

    def test_it_has_no_diagnostics(self, error: Any) -> None:
        assert not hasattr(error, "diag")
        assert not hasattr(error, "pgcode")

    def test_the_text_is_sqlites_own(self, error: Any) -> None:
        assert str(error) == "UNIQUE constraint failed: t.id"
        assert repr(error) == "UniqueViolation('UNIQUE constraint failed: t.id')"


def test_pymysql_keeps_its_number_and_text() -> None:
    error = driver_error(errors.UniqueViolation, pymysql.err.IntegrityError(1062, "Duplicate entry"), code=1062)
    assert error.args == (1062, "Duplicate entry")
    assert str(error) == "(1062, 'Duplicate entry')"


def test_what_cannot_be_pickled_stays_behind() -> None:
    original = pymysql.err.OperationalError(2003, "cannot connect")
    vars(original)["original_exception"] = ConnectionRefusedError(threading.Lock())
    error: Any = driver_error(errors.ConnectionLost, original)
    assert error.original_exception is vars(original)["original_exception"]
    again = pickle.loads(pickle.dumps(error))
    assert again.args == (2003, "cannot connect")
    assert not hasattr(again, "original_exception")


def python(code: str, stdin: bytes) -> str:
    done = subprocess.run([sys.executable, "-c", code], input=stdin, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.parametrize(
    "error",
    [
        driver_error(errors.UniqueViolation, psycopg2.errors.UniqueViolation("x"), sqlstate="23505"),
        driver_error(errors.ConnectionLost, psycopg2.errors.AdminShutdown("x"), sqlstate="57P01"),
        driver_error(errors.UndefinedTable, sqlite3.OperationalError("x")),
        driver_error(errors.DeadlockDetected, pymysql.err.OperationalError(1213, "x"), code=1213),
        driver_error(errors.DataError, OverflowError("x")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_process_that_has_not_made_the_class_yet_can_load_the_pickle(error: Error) -> None:
    code = (
        "import pickle, sys; e = pickle.load(sys.stdin.buffer)\n"
        "print(type(e).__module__, type(e).__qualname__, e.args, e.sqlstate, e.code)"
    )
    expected = f"{type(error).__module__} {type(error).__qualname__} {error.args} {error.sqlstate} {error.code}\n"
    assert python(code, pickle.dumps(error)) == expected


def failing(secret: str) -> Exception:
    """An error of a driver whose frames hold a secret, as those of psycopg2.connect() do, after another such."""

    def resolve(password: str) -> None:
        raise OSError(f"no host for {len(password)} characters")

    caught: Exception | None = None
    try:
        try:
            resolve(secret)
        except OSError:
            raise psycopg2.OperationalError("cannot connect")  # noqa: B904 - as drivers do
    except psycopg2.OperationalError as error:
        caught = error
    assert caught is not None
    return caught


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def test_the_drivers_frames_are_forgotten_for_they_hold_the_password() -> None:
    original = failing("S3CR3T")
    assert "S3CR3T" in "".join(traceback.TracebackException.from_exception(original, capture_locals=True).format())
    error = driver_error(errors.OperationalError, original)
    assert [type(one) for one in chain(error)] == [type(error), psycopg2.OperationalError, OSError]
    assert [one.__traceback__ for one in chain(error)] == [None, None, None]
    assert "S3CR3T" not in "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def test_forgetting_frames_ends_on_a_chain_that_bites_its_tail() -> None:
    first, second = ValueError(1), ValueError(2)
    first.__context__, second.__context__ = second, first
    assert forget_frames(first) is first


def test_a_builtin_error_is_found_under_its_name_in_the_common_module() -> None:
    made = pair(errors.DataError, OverflowError)
    assert made.__module__ == "nexusql.backends.errors"
    assert made.__qualname__ == "DataError_OverflowError"
    assert importable(made)
    assert issubclass(made, builtins.OverflowError)
