"""Many processes that start at once on an empty database: each succeeds, and each version is applied exactly once."""

from pathlib import Path

import pytest

import servers
from nexusql import DatabaseManager
from together import start_together

PROCESSES = 64


def _files(folder: Path) -> list[Path]:
    folder.mkdir()
    (folder / "V1__items.sql").write_text("CREATE TABLE items (id SERIAL PRIMARY KEY, name VARCHAR(50));")
    (folder / "V2__rows.sql").write_text(
        "INSERT INTO items (name) VALUES ('a');\nINSERT INTO items (name) VALUES ('b');"
    )
    (folder / "V10__more.sql").write_text("ALTER TABLE items ADD COLUMN price INTEGER;\nUPDATE items SET price = 1;")
    (folder / "R__view.sql").write_text("CREATE VIEW names AS SELECT name FROM items;")
    return [folder]


def _expect_once(url: str) -> None:
    with DatabaseManager(url) as db:
        rows = db.execute("SELECT id, version FROM ia_migrations ORDER BY id")
        assert len({row["id"] for row in rows}) == len(rows)
        names = [row["version"] for row in rows if row["version"] != "V001__complete_schema"]
        assert names == ["V1__items", "V2__rows", "V10__more", "R__view"]
        assert db.execute("SELECT name, price FROM items ORDER BY name") == [
            {"name": "a", "price": 1},
            {"name": "b", "price": 1},
        ]


def _check_round(kind: str, folder: Path, *, apply_schema: bool) -> None:
    with servers.fresh_database(kind) as url:
        statuses, told = start_together(url, _files(folder), PROCESSES, apply_schema=apply_schema)
        assert statuses == [0] * PROCESSES, told
        _expect_once(url)


@pytest.mark.mssql_itself
@pytest.mark.parametrize("number", range(3))
def test_64_processes_start_at_once(kind: str, tmp_path: Path, number: int) -> None:
    _check_round(kind, tmp_path / "sql", apply_schema=number == 0)


@pytest.mark.long
def test_64_processes_start_at_once_fifty_times(kind: str, tmp_path: Path) -> None:
    for number in range(50):
        _check_round(kind, tmp_path / str(number), apply_schema=number % 10 == 0)
