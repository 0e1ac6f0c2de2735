"""Canonical and native SQL as clients write it, and how values read back by default."""

import json
import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from nexusql import ConfigError, DatabaseManager

ACCOUNTS = """
CREATE TABLE IF NOT EXISTS accounts (
    id SERIAL PRIMARY KEY,
    uid UUID DEFAULT gen_random_uuid(),
    name VARCHAR(100) NOT NULL UNIQUE,
    active BOOLEAN DEFAULT TRUE,
    is_system BOOLEAN NOT NULL DEFAULT FALSE,
    options JSONB DEFAULT '{}'::jsonb,
    balance DECIMAL(10, 2) DEFAULT 0,
    created_at TIMESTAMP DEFAULT NOW(),
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
)
"""


@pytest.fixture
def accounts(db: DatabaseManager) -> DatabaseManager:
    for _ in range(2):
        db.execute(ACCOUNTS)
        db.execute("CREATE INDEX IF NOT EXISTS idx_accounts_name ON accounts (name)")
        db.execute("CREATE INDEX IF NOT EXISTS idx_accounts_both ON accounts(active, created_at DESC)")
    return db


def test_defaults_fill_in_and_read_back_as_the_driver_gives_them(accounts: DatabaseManager, kind: str) -> None:
    accounts.execute("INSERT INTO accounts (name) VALUES (:name)", {"name": "a"})
    row = accounts.fetch_one("SELECT * FROM accounts")
    assert row is not None
    assert row["id"] == 1
    assert uuid.UUID(str(row["uid"])).version == 4
    types = {name: type(value) for name, value in row.items()}
    if kind == "sqlite":
        assert (row["active"], row["is_system"], row["options"], row["balance"]) == (1, 0, "{}", 0)
        assert (types["active"], types["is_system"], types["created_at"]) == (int, int, str)
    elif kind == "postgresql":
        assert (row["active"], row["is_system"], row["options"], row["balance"]) == (True, False, {}, Decimal("0.00"))
        assert (types["active"], types["balance"], types["created_at"]) == (bool, Decimal, datetime)
    else:
        assert (row["active"], row["is_system"], row["options"], row["balance"]) == (1, 0, "{}", Decimal("0.00"))
        truth = bool if kind == "mssql" else int
        assert (types["active"], types["balance"], types["created_at"]) == (truth, Decimal, datetime)
    moment = row["updated_at"] if kind != "sqlite" else datetime.fromisoformat(row["updated_at"])
    assert abs(moment - accounts_now(accounts, kind)) < timedelta(minutes=1)


def accounts_now(db: DatabaseManager, kind: str) -> datetime:
    now = db.fetch_value("SELECT NOW() AS t")
    return datetime.fromisoformat(now) if kind == "sqlite" else now.replace(tzinfo=None)


@pytest.mark.parametrize("bound", ["CAST(:options AS jsonb)", ":options::jsonb", "CAST(:options AS JSONB)", ":options"])
def test_json_is_written_as_text_or_as_a_dict(accounts: DatabaseManager, kind: str, bound: str) -> None:
    given: dict[str, Any] = {"a": [1, None, {"b": "it's ::jsonb %s :x"}], "é": True}
    sql = f"INSERT INTO accounts (name, options) VALUES (:name, {bound})"
    accounts.execute(sql, {"name": "text", "options": json.dumps(given)})
    accounts.execute(sql, {"name": "dict", "options": given})
    accounts.execute(sql, {"name": "none", "options": None})
    rows = accounts.execute("SELECT options FROM accounts ORDER BY id")
    loaded = [row["options"] if kind == "postgresql" else json.loads(row["options"] or "null") for row in rows]
    assert loaded == [given, given, None]


def test_booleans_are_written_and_compared(accounts: DatabaseManager) -> None:
    accounts.execute("INSERT INTO accounts (name, active, is_system) VALUES ('a', FALSE, true)")
    accounts.execute("INSERT INTO accounts (name, active) VALUES (:n, :a)", {"n": "b", "a": False})
    accounts.execute("INSERT INTO accounts (name) VALUES ('c')")
    for condition in ("active = TRUE", "active = :yes", "active IS TRUE", "active", "NOT is_system AND active"):
        assert accounts.fetch_all(f"SELECT name FROM accounts WHERE {condition}", {"yes": True}) == [{"name": "c"}]
    accounts.execute("UPDATE accounts SET active = :a, updated_at = NOW() WHERE name = :n", {"a": True, "n": "a"})
    assert accounts.fetch_value("SELECT COUNT(*) AS n FROM accounts WHERE active = TRUE AND is_system = TRUE") == 1


def test_moments_as_text_and_as_values_mean_the_same(accounts: DatabaseManager) -> None:
    moment = datetime(2024, 5, 6, 7, 8, 9, 120000)
    insert = "INSERT INTO accounts (name, created_at) VALUES (:name, :t)"
    accounts.execute(insert, {"name": "value", "t": moment})
    accounts.execute(insert, {"name": "text", "t": moment.isoformat(" ")})
    for t in (moment - timedelta(seconds=1), "2024-05-06 07:08:08"):
        assert accounts.fetch_value("SELECT COUNT(*) AS n FROM accounts WHERE created_at > :t", {"t": t}) == 2
    assert accounts.fetch_value("SELECT COUNT(*) AS n FROM accounts WHERE created_at > NOW() - INTERVAL '7 days'") == 0


@pytest.mark.parametrize("key", ["INTEGER PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT", "integer primary key"])
def test_an_integer_primary_key_numbers_itself_and_takes_given_ids(db: DatabaseManager, key: str) -> None:
    db.execute(f"CREATE TABLE numbered (id {key}, name VARCHAR(20))")
    db.execute("INSERT INTO numbered (name) VALUES ('one'), ('two')")
    db.execute("INSERT INTO numbered (id, name) VALUES (:id, :name)", {"id": 7, "name": "seven"})
    assert db.execute("SELECT id, name FROM numbered ORDER BY id") == [
        {"id": 1, "name": "one"},
        {"id": 2, "name": "two"},
        {"id": 7, "name": "seven"},
    ]


def test_an_integer_primary_key_that_references_numbers_nothing(db: DatabaseManager, kind: str) -> None:
    db.execute("CREATE TABLE parents (id INTEGER PRIMARY KEY)")
    db.execute("CREATE TABLE extras (id INTEGER PRIMARY KEY REFERENCES parents(id), name VARCHAR(20))")
    db.execute("INSERT INTO parents (id) VALUES (:id)", {"id": 5})
    db.execute("INSERT INTO extras (id, name) VALUES (:id, :name)", {"id": 5, "name": "five"})
    assert db.execute("SELECT * FROM extras") == [{"id": 5, "name": "five"}]


NATIVE: dict[str, list[tuple[str, Any]]] = {
    "sqlite": [
        ("CREATE TABLE n (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT COLLATE NOCASE)", None),
        ("INSERT INTO n DEFAULT VALUES", None),
        ("INSERT OR REPLACE INTO n (id, name) VALUES (2, 'Ab')", None),
        ("SELECT id FROM n WHERE name = 'aB'", [{"id": 2}]),
        ("SELECT name FROM n WHERE name GLOB 'A*' ORDER BY name COLLATE BINARY", [{"name": "Ab"}]),
        ("SELECT strftime('%Y', '2024-01-02') AS y", [{"y": "2024"}]),
        ("PRAGMA table_info(n)", 2),
        ("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'n'", [{"name": "n"}]),
    ],
    "postgresql": [
        ("CREATE TABLE n (id BIGSERIAL PRIMARY KEY, name TEXT COLLATE \"C\", tags TEXT[] DEFAULT '{}')", None),
        ("INSERT INTO n DEFAULT VALUES", None),
        ("INSERT INTO n (name, tags) VALUES ('Ab', ARRAY['x','y']) RETURNING id", [{"id": 2}]),
        ("SELECT id FROM n WHERE name ILIKE 'ab' AND tags @> ARRAY['x']", [{"id": 2}]),
        ("SELECT to_char(DATE '2024-01-02', 'YYYY') AS y", [{"y": "2024"}]),
        (
            "SELECT COUNT(*) AS c FROM information_schema.tables WHERE table_name = 'n' AND table_schema = "
            "current_schema()",
            [{"c": 1}],
        ),
        ("DO $$ BEGIN PERFORM 1; END $$", None),
    ],
    "mysql": [
        (
            "CREATE TABLE n (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20) COLLATE utf8mb4_bin, "
            "changed TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, INDEX idx_n (name)) "
            "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
            None,
        ),
        ("INSERT INTO n () VALUES ()", None),
        ("INSERT INTO n (name) VALUES ('Ab') ON DUPLICATE KEY UPDATE name = VALUES(name)", None),
        ("SELECT `id` FROM `n` WHERE name = 'Ab' COLLATE utf8mb4_general_ci", [{"id": 2}]),
        ("SELECT DATE_FORMAT('2024-01-02', '%Y') AS y", [{"y": "2024"}]),
        ("SHOW COLUMNS FROM n", 3),
        (
            "SELECT COUNT(*) AS c FROM information_schema.tables WHERE table_name = 'n' AND table_schema = DATABASE()",
            [{"c": 1}],
        ),
    ],
    "mssql": [
        ("CREATE TABLE n (id INT IDENTITY(1,1) PRIMARY KEY, name NVARCHAR(20) DEFAULT N'x', INDEX idx_n (name))", None),
        ("INSERT INTO n DEFAULT VALUES", None),
        ("INSERT INTO n (name) OUTPUT INSERTED.id VALUES (N'Ab')", [{"id": 2}]),
        ("SELECT TOP (1) [id] FROM [n] WITH (NOLOCK) WHERE name = N'Ab'", [{"id": 2}]),
        ("SELECT CONVERT(NVARCHAR(4), CAST('2024-01-02' AS DATE), 120) AS y", [{"y": "2024"}]),
        ("SELECT COUNT(*) AS c FROM sys.tables WHERE name = 'n'", [{"c": 1}]),
    ],
}


def test_native_sql_passes(db: DatabaseManager, kind: str) -> None:
    for sql, expected in NATIVE[kind]:
        assert db.translate(sql).sql == sql
        rows = db.execute(sql)
        if isinstance(expected, int):
            assert len(rows) == expected
        else:
            assert rows == (expected or [])


def test_native_sql_passes_with_parameters_too(db: DatabaseManager, kind: str) -> None:
    year = {
        "sqlite": "SELECT strftime('%Y', :d) AS y",
        "postgresql": "SELECT to_char(:d::date, 'YYYY') AS y",
        "mysql": "SELECT DATE_FORMAT(:d, '%Y') AS y",
        "mssql": "SELECT CONVERT(NVARCHAR(4), CAST(:d AS DATE), 120) AS y",
    }
    assert db.execute(year[kind], {"d": "2024-01-02"}) == [{"y": "2024"}]


@pytest.mark.parametrize("text", ["TRUE NOW() ::text SERIAL -- ;", "gen_random_uuid() 'BOOLEAN' :name %s ? JSONB"])
def test_text_that_looks_like_sql_stays_text(db: DatabaseManager, text: str) -> None:
    quoted = text.replace("'", "''")
    db.execute(f"CREATE TABLE kept (id SERIAL PRIMARY KEY, body VARCHAR(80) DEFAULT '{quoted}' /* {text} */)")
    db.execute(f"INSERT INTO kept (body) VALUES ('{quoted}') -- {text}")
    db.execute("INSERT INTO kept (body) VALUES (:name)", {"name": text})
    db.execute("INSERT INTO kept (id) VALUES (9)")
    assert {row["body"] for row in db.execute(f"SELECT body FROM kept WHERE body = '{quoted}'")} == {text}
    assert db.fetch_value("SELECT COUNT(*) AS n FROM kept WHERE body = :name", {"name": text}) == 3


def test_create_table_takes_a_dict(db: DatabaseManager) -> None:
    with pytest.raises(ConfigError, match="columns are a dict of names and definitions, not str"):
        db.create_table("made", "id INTEGER")  # type: ignore[arg-type]
    assert db.list_tables() == []


def test_create_table_takes_canonical_definitions(db: DatabaseManager) -> None:
    columns = {
        "id": "INTEGER PRIMARY KEY",
        "name": "VARCHAR(50) NOT NULL DEFAULT '\"x\" ` it''s'",
        "active": "BOOLEAN DEFAULT TRUE",
        "uid": "UUID DEFAULT gen_random_uuid()",
        "order": "INTEGER",
        'odd "`name': "JSONB DEFAULT '{}'::jsonb",
    }
    db.create_table("made", columns)
    db.execute("INSERT INTO made (active) VALUES (TRUE)")
    row = db.execute("SELECT * FROM made WHERE active = TRUE")[0]
    assert list(row) == list(columns)
    assert (row["id"], row["name"], row["order"]) == (1, '"x" ` it\'s', None)
    assert uuid.UUID(str(row["uid"])).version == 4
    db.create_table("made", columns)
    assert db.fetch_value("SELECT COUNT(*) AS n FROM made") == 1
    assert db.table_exists("made") is True


@pytest.mark.parametrize("name", ["missing", "", "x'; DROP TABLE kept; --", "a%", "k_pt", "100%s", ":name"])
def test_table_exists_is_exactly_false_for_what_is_not_there(db: DatabaseManager, name: str) -> None:
    db.execute("CREATE TABLE kept (id INTEGER)")
    assert db.table_exists(name) is False
    assert db.table_exists("kept") is True
