"""The test databases are empty, and gone afterwards whatever a test leaves behind."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import servers


def path_of(url: str) -> Path:
    return Path(urlsplit(url).path.removeprefix("/"))


def connect(url: str) -> Any:
    if url.startswith("sqlite"):
        return sqlite3.connect(path_of(url), isolation_level=None)
    return servers.CONNECT[urlsplit(url).scheme](url)


def run(connection: Any, sql: str) -> Any:
    cursor = connection.cursor()
    cursor.execute(sql)
    return [tuple(row) for row in cursor.fetchall()] if cursor.description else None


def is_there(kind: str, url: str) -> bool:
    if kind == "sqlite":
        return path_of(url).exists()
    name = urlsplit(url).path.lstrip("/")
    catalogue, mark = "information_schema.schemata WHERE schema_name", "%s"
    if kind == "mssql":
        catalogue, mark = "sys.databases WHERE name", "?"
    if kind == "postgresql":
        catalogue = "pg_database WHERE datname"
        schema = parse_qs(urlsplit(url).query).get("options")
        if schema:
            catalogue, name = "pg_namespace WHERE nspname", schema[0].rpartition("=")[2]
    with servers.admin_cursor(kind) as cursor:
        cursor.execute(f"SELECT count(*) FROM {catalogue} = {mark}", (name,))
        return bool(cursor.fetchone()[0])


@pytest.mark.parametrize("whole", [False, True])
def test_a_database_is_dropped_while_a_transaction_is_open_in_it(kind: str, whole: bool) -> None:
    with servers.fresh_database(kind, whole=whole) as url:
        left = connect(url)
        run(left, "CREATE TABLE t (id INTEGER)")
        run(left, "BEGIN TRANSACTION" if kind == "mssql" else "BEGIN")
        run(left, "INSERT INTO t VALUES (1)")
        assert run(left, "SELECT id FROM t") == [(1,)]
        assert is_there(kind, url)
    with contextlib.closing(left):
        assert not is_there(kind, url)


def test_databases_of_sql_server_are_created_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    @contextlib.contextmanager
    def recorder(kind: str) -> Iterator[Any]:
        yield SimpleNamespace(execute=sent.append)

    monkeypatch.setattr(servers, "ONLY_PROTOCOL", False)
    monkeypatch.setattr(servers, "admin_cursor", recorder)
    servers._create_mssql("made")
    turn, create, *_ = sent
    assert "sp_getapplock" in turn
    assert create.startswith("CREATE DATABASE made ")


def test_two_databases_do_not_see_each_other(kind: str) -> None:
    with servers.fresh_database(kind) as one, servers.fresh_database(kind) as two:
        with contextlib.closing(connect(one)) as first, contextlib.closing(connect(two)) as second:
            run(first, "CREATE TABLE t (id INTEGER)")
            run(second, "CREATE TABLE t (id INTEGER)")
            run(first, "INSERT INTO t VALUES (1)")
            assert run(second, "SELECT id FROM t") == []
