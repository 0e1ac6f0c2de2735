"""What differs between the databases in definitions and is not translated, as docs/DIALECTS.md says."""

import re
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg2
import pymysql
import pyodbc
import pytest

import servers
from ddl import Database, opened

DOCUMENT = (Path(__file__).parents[2] / "docs" / "DIALECTS.md").read_text("utf-8")
ERRORS = (sqlite3.Error, psycopg2.Error, pymysql.err.Error, pyodbc.Error)
FAILS = "an error"


def answer(database: Database, script: str) -> Any:
    """The one value of a script's last statement, or that a statement failed."""
    try:
        *before, last = script.split("; ")
        for sql in before:
            database.run(sql)
        return database.value(last)
    except ERRORS:
        return FAILS


# A script, the last statement of which is a query of one value, and what SQLite, PostgreSQL, MariaDB and SQL Server
# answer.
DIFFERENCES: dict[str, tuple[str, Any, Any, Any, Any]] = {
    "text-in-a-number": (
        "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES ('abc'); SELECT a FROM t",
        "abc",
        FAILS,
        FAILS,
        FAILS,
    ),
    "text-too-long": (
        "CREATE TABLE t (a VARCHAR(3)); INSERT INTO t VALUES ('abcd'); SELECT a FROM t",
        "abcd",
        FAILS,
        FAILS,
        FAILS,
    ),
    "exact-decimals": (
        "CREATE TABLE t (a NUMERIC(20, 2)); INSERT INTO t VALUES (123456789012345678.25); SELECT a FROM t",
        1.2345678901234568e17,
        Decimal("123456789012345678.25"),
        Decimal("123456789012345678.25"),
        Decimal("123456789012345678.25"),
    ),
    "real-digits": (
        "CREATE TABLE t (a REAL); INSERT INTO t VALUES (16777217); SELECT a::float8 = 16777217 FROM t",
        1,
        False,
        1,
        False,
    ),
    "number-after-explicit-one": (
        "CREATE TABLE t (id SERIAL PRIMARY KEY, a INTEGER); INSERT INTO t (id) VALUES (1); "
        "INSERT INTO t (a) VALUES (1); SELECT MAX(id) FROM t",
        2,
        FAILS,
        2,
        2,
    ),
    "numbers-in-order": (
        "CREATE TABLE t (id SERIAL PRIMARY KEY, a INTEGER); INSERT INTO t (id) VALUES (10); "
        "INSERT INTO t (a) VALUES (1); SELECT id FROM t WHERE a = 1",
        11,
        1,
        11,
        11,
    ),
    "truncate-numbers": (
        "CREATE TABLE t (id SERIAL PRIMARY KEY, a INTEGER); INSERT INTO t (a) VALUES (1); TRUNCATE t; "
        "INSERT INTO t (a) VALUES (2); SELECT id FROM t",
        FAILS,
        2,
        1,
        1,
    ),
    "reserved-name": ("CREATE TABLE t (rank INTEGER, key INTEGER); SELECT COUNT(*) FROM t", 0, 0, FAILS, FAILS),
    "moment-default-text": (
        "CREATE TABLE t (id INTEGER, a TIMESTAMP DEFAULT '2024-01-31'); INSERT INTO t (id) VALUES (1); "
        "SELECT LENGTH(CAST(a AS VARCHAR(40))) FROM t",
        10,
        19,
        26,
        26,
    ),
    "key-by-case": (
        "CREATE TABLE t (a VARCHAR(9) UNIQUE); INSERT INTO t VALUES ('a'); INSERT INTO t VALUES ('A'); "
        "SELECT COUNT(*) FROM t",
        2,
        2,
        FAILS,
        FAILS,
    ),
    "unique-column-added": (
        "CREATE TABLE t (a INTEGER); ALTER TABLE t ADD COLUMN b INTEGER UNIQUE; SELECT 1",
        FAILS,
        1,
        1,
        1,
    ),
    "moving-default-added": (
        "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1); ALTER TABLE t ADD COLUMN b TIMESTAMP DEFAULT NOW(); "
        "SELECT COUNT(b) FROM t",
        FAILS,
        1,
        1,
        1,
    ),
    "index-on-text": ("CREATE TABLE t (a TEXT); CREATE INDEX i ON t (a); SELECT 1", 1, 1, 1, FAILS),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_difference_of_definitions_is_as_documented(kind: str, database_url: str, name: str) -> None:
    script, *expected = DIFFERENCES[name]
    assert f"`{name}`" in DOCUMENT, "it is not in docs/DIALECTS.md"
    with opened(kind, database_url) as database:
        assert answer(database, script) == expected[servers.KINDS.index(kind)]


def test_the_document_lists_no_difference_of_definitions_without_a_test() -> None:
    section = DOCUMENT.split("## What differs in definitions")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `([\w-]+)`", section, re.MULTILINE)) == set(DIFFERENCES)
