"""URLs reach the databases they name."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest

import servers
from nexusql.backends import backend_for
from nexusql.backends.base import Backend
from nexusql.config import ConnectionConfig
from nexusql.url import parse_url, quote

NOBODY = "127.0.0.1:1"


@contextmanager
def connection(url: str) -> Iterator[tuple[Backend, Any]]:
    """The backend and a connection of its own; what `connect` leaves open when the test fails is closed too."""
    config = ConnectionConfig.from_url(url)
    backend = backend_for(config)
    raw = backend.connect(config, 10.0)
    try:
        yield backend, raw
    finally:
        backend.close(raw)


def ask(url: str, sql: str) -> Any:
    with connection(url) as (backend, raw):
        return backend.execute(raw, sql, None).fetchall()[0][0]


@pytest.fixture
def postgresql() -> tuple[str, str, str]:
    """User, address and database of the PostgreSQL server."""
    servers.require("postgresql")
    parts = parse_url(servers.server_url("postgresql"))
    host, port = parts.hosts[0]
    return quote(parts.username or "root"), f"{host}:{port or 5432}", parts.database or "postgres"


def test_of_several_hosts_the_first_that_answers_is_taken(postgresql: tuple[str, str, str]) -> None:
    user, address, database = postgresql
    for hosts in (f"{NOBODY},{address}", f"[::1]:1,{NOBODY},{address}", f"{address},{NOBODY}"):
        assert ask(f"postgresql://{user}@{hosts}/{database}", "SELECT current_database()") == database


def test_of_several_hosts_one_with_the_asked_properties_is_taken(postgresql: tuple[str, str, str]) -> None:
    user, address, database = postgresql
    url = f"postgresql://{user}@{NOBODY},{address}/{database}?target_session_attrs="
    assert ask(f"{url}read-write", "SHOW transaction_read_only") == "off"
    with pytest.raises(psycopg2.OperationalError, match="read-only"), connection(f"{url}read-only"):
        pass


def test_a_unix_socket_is_reached_by_its_folder(postgresql: tuple[str, str, str]) -> None:
    user, address, database = postgresql
    port = address.rpartition(":")[2]
    folders = ask(f"postgresql://{user}@{address}/{database}", "SHOW unix_socket_directories").split(",")
    here = [folder.strip() for folder in folders if Path(folder.strip(), f".s.PGSQL.{port}").exists()]
    if not here:
        pytest.skip("the server has no socket on this machine")
    for url in (
        f"postgresql:///{database}?host={here[0]}&port={port}&user={user}",
        f"postgresql://{user}@{quote(here[0])}:{port}/{database}",
    ):
        assert ask(url, "SELECT inet_server_addr() IS NULL") is True


def test_options_reach_the_session(postgresql: tuple[str, str, str]) -> None:
    user, address, database = postgresql
    url = f"postgresql+psycopg2://{user}@{address}/{database}?application_name=a%20b+c&options=-c%20geqo%3Doff"
    assert ask(url, "SHOW application_name") == "a b+c"
    assert ask(url, "SHOW geqo") == "off"


def test_a_database_may_have_any_name() -> None:
    servers.require("mysql")
    name = "a b%20@ü#"
    with servers.admin_cursor("mysql") as cursor:
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{name}`")
        try:
            url = parse_url(servers.server_url("mysql"))
            host, port = url.hosts[0]
            user = quote(url.username or "root")
            written = f"mysql+pymysql://{user}:{quote(url.password or '')}@{host}:{port or 3306}/{quote(name)}"
            assert ask(written, "SELECT DATABASE()") == name
        finally:
            cursor.execute(f"DROP DATABASE `{name}`")


def test_an_sqlite_url_makes_its_folders_and_reads_its_escapes(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new%20folder/more/a%3Fb.db?foreign_keys=on"
    assert ask(url, "PRAGMA foreign_keys") == 1
    assert (tmp_path / "new folder" / "more" / "a?b.db").exists()


def test_an_sqlite_uri_keeps_its_own_parameters(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    assert ask(f"sqlite:///file:{file}?mode=rwc", "SELECT 1") == 1
    assert file.exists()
    with connection(f"sqlite:///file:{file}?mode=ro&foreign_keys=on") as (backend, raw):
        assert backend.execute(raw, "PRAGMA foreign_keys", None).fetchall()[0][0] == 1
        with pytest.raises(Exception, match="readonly"):
            backend.execute(raw, "CREATE TABLE t (x)", None)


def test_nobody_listens_where_these_tests_say_so() -> None:
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", 1)) != 0
