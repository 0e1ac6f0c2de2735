"""The pytest plugin, as a project that uses nexusql has it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest
from nexusql.testing import truncate

CREATE = "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text VARCHAR(20))"
INSERT = "INSERT INTO notes (id, text) VALUES (:id, :text)"

def test_a_database(nexusql_db, nexusql_queries):
    nexusql_db.execute(CREATE)
    truncate(nexusql_db, "notes")
    with nexusql_queries.expect(1):
        nexusql_db.execute(INSERT, {"id": 1, "text": "kept"})
    assert nexusql_queries.statements[-1] == INSERT

@pytest.fixture
def notes(nexusql_db):
    nexusql_db.execute(CREATE)

def test_rolled_back(notes, nexusql_db, nexusql_tx):
    nexusql_tx.execute(INSERT, {"id": 7, "text": "gone"})
    nexusql_db.execute(INSERT, {"id": 8, "text": "gone"})
    assert nexusql_db.fetch_value("SELECT COUNT(*) FROM notes WHERE id > 6") == 2

def test_it_was(nexusql_db):
    nexusql_db.execute(CREATE)
    assert nexusql_db.fetch_value("SELECT COUNT(*) FROM notes WHERE id > 6") == 0

def test_children_before_parents(nexusql_db):
    for text in (
        "DROP TABLE IF EXISTS children",
        "DROP TABLE IF EXISTS parents",
        "CREATE TABLE parents (id INTEGER NOT NULL PRIMARY KEY)",
        "CREATE TABLE children (id INTEGER NOT NULL PRIMARY KEY, parent INTEGER,"
        " FOREIGN KEY (parent) REFERENCES parents (id))",
        "INSERT INTO parents (id) VALUES (1)",
        "INSERT INTO children (id, parent) VALUES (1, 1)",
    ):
        nexusql_db.execute(text)
    with pytest.raises(Exception, match="(?i)foreign key"):
        truncate(nexusql_db, "parents")
    truncate(nexusql_db, "parents", "children")
    assert nexusql_db.fetch_value("SELECT COUNT(*) FROM parents") == 0

def test_too_many(nexusql_db, nexusql_queries):
    with nexusql_queries.expect(1):
        nexusql_db.execute("SELECT 1 AS one")
        nexusql_db.execute("SELECT 2 AS two")
"""


@pytest.mark.parametrize("by", ["option", "environment"])
def test_the_fixtures_in_a_project_of_their_own(tmp_path: Path, database_url: str, kind: str, by: str) -> None:
    (tmp_path / "test_project.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    url = f"{database_url}?foreign_keys=on" if kind == "sqlite" else database_url
    options = [f"--nexusql-url={url}"] if by == "option" else []
    environment = {"NEXUSQL_TEST_URL": url} if by == "environment" else {}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *options, str(tmp_path)]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, **environment}
    )
    assert "4 passed" in ran.stdout, ran.stdout + ran.stderr
    assert "1 failed" in ran.stdout
    assert "1 statements were expected, 2 were run" in ran.stdout
    assert "2. SELECT 2 AS two" in ran.stdout


def test_without_a_url_it_is_a_file_of_the_test(tmp_path: Path) -> None:
    (tmp_path / "test_project.py").write_text(
        "def test(nexusql_db):\n    assert nexusql_db.config.path.endswith('.db')\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr
