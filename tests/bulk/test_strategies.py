"""The ways of writing that a database has: which one is taken, why another was, and where their limits lie."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import servers
from bulking import as_role, kind_of, opened, stored, table
from nexusql import ConfigError, DatabaseManager, DataError, Error, ParameterError, PerformanceWarning
from throwaway import MariaDB

ROWS = [{"id": i, "a": i} for i in range(3)]
FEW = (settings.default or settings()).max_examples // 4


@pytest.mark.mssql_itself
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"sqlite": "values", "postgresql": "copy", "mysql": "values", "mssql": "values"}),
        ({"returning": "id"}, {"sqlite": "rows", "postgresql": "copy", "mysql": "values", "mssql": "rows"}),
        (
            {"on_conflict": "ignore"},
            {"sqlite": "values", "postgresql": "copy+merge", "mysql": "values", "mssql": "staging"},
        ),
        (
            {"on_conflict": "update"},
            {"sqlite": "values", "postgresql": "copy+merge", "mysql": "values", "mssql": "staging"},
        ),
    ],
    ids=str,
)
def test_the_strategy_tells_the_way_that_was_taken(
    shared: DatabaseManager, options: dict[str, Any], expected: dict[str, str]
) -> None:
    with table(shared, "id INTEGER PRIMARY KEY, a INTEGER"):
        result = shared.bulk_insert("t", ROWS, **options)
        assert (result.strategy, result.rowcount) == (expected[kind_of(shared)], 3)
        assert result.elapsed > 0


def test_a_row_of_defaults_takes_a_statement(shared: DatabaseManager) -> None:
    with table(shared, "id INTEGER DEFAULT 1, a INTEGER"):
        expected = "values" if kind_of(shared) == "mysql" else "rows"
        assert shared.bulk_insert("t", [{}, {}]).strategy == expected
        assert stored(shared) == [(1, None)] * 2


# PostgreSQL where COPY is closed


@pytest.fixture
def secured(postgresql: DatabaseManager, role: str) -> Iterator[DatabaseManager]:
    """A role's manager, and a table `t` with row-level security that lets it write rows whose `a` is below 100."""
    with table(postgresql, "id SERIAL PRIMARY KEY, a INTEGER UNIQUE, b TEXT DEFAULT 'none'"):
        postgresql.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY")
        postgresql.execute("CREATE POLICY low ON t USING (a < 100) WITH CHECK (a < 100)")
        postgresql.execute(f"GRANT ALL ON t, t_id_seq TO {role}")
        with as_role(postgresql, role) as manager:
            yield manager


def test_under_row_level_security_rows_are_inserted(secured: DatabaseManager, postgresql: DatabaseManager) -> None:
    with pytest.warns(PerformanceWarning, match="t is not written to the fastest way: row-level security is active"):
        result = secured.bulk_insert("t", [{"a": i, "b": "x\\y'z\t"} for i in range(5)] + [{"a": 5}])
    assert (result.rowcount, result.strategy) == (6, "values")
    assert secured.bulk_insert("t", [{"a": 7}, {"a": 8}], returning="id").ids == [7, 8]
    options: dict[str, Any] = {"conflict_columns": ["a"], "returning": "id"}
    assert secured.bulk_insert("t", [{"a": 7}, {"a": 9}], on_conflict="ignore", **options).ids == [None, 10]
    updated = secured.bulk_insert("t", [{"a": 7, "b": "u"}, {"a": 7, "b": "v"}], on_conflict="update", **options)
    assert updated.ids == [7, 7]
    with pytest.raises(Error, match="violates row-level security policy"):
        secured.bulk_insert("t", [{"a": 50}, {"a": 100}])
    assert stored(postgresql, "a, b", order="a") == [
        *[(i, "x\\y'z\t") for i in range(5)],
        (5, "none"),
        (7, "v"),
        (8, "none"),
        (9, "none"),
    ]


def test_a_rule_for_insert_is_obeyed(postgresql: DatabaseManager) -> None:
    with table(postgresql, "id INTEGER, a INTEGER", "other"), table(postgresql, "id INTEGER PRIMARY KEY, a INTEGER"):
        postgresql.execute("CREATE RULE away AS ON INSERT TO t DO INSTEAD INSERT INTO other VALUES (NEW.id, NEW.a + 1)")
        with pytest.warns(PerformanceWarning, match="it has a rule for INSERT"):
            result = postgresql.bulk_insert("t", ROWS)
        assert (result.rowcount, result.strategy) == (3, "values")
        assert stored(postgresql) == []
        assert stored(postgresql, table="other") == [(i, i + 1) for i in range(3)]


def test_a_computed_column_is_asked_for_with_inserts(postgresql: DatabaseManager) -> None:
    with table(postgresql, "id INTEGER PRIMARY KEY, a INTEGER, s INTEGER GENERATED ALWAYS AS (a * 2) STORED"):
        with pytest.warns(PerformanceWarning, match="s is computed by the database"):
            result = postgresql.bulk_insert("t", ROWS, returning="s")
        assert (result.ids, result.strategy) == ([0, 2, 4], "rows")
        assert postgresql.bulk_insert("t", [{"id": 9, "a": 9}], on_conflict="ignore", returning="s").ids == [18]


def test_without_a_primary_key_ignored_rows_are_told_by_inserts(postgresql: DatabaseManager) -> None:
    with table(postgresql, "id INTEGER UNIQUE, a INTEGER"):
        with pytest.warns(PerformanceWarning, match="without a primary key nothing tells which rows were inserted"):
            result = postgresql.bulk_insert("t", [*ROWS, *ROWS], on_conflict="ignore", returning="a")
        assert (result.ids, result.rowcount) == ([0, 1, 2, None, None, None], 3)


def test_the_warning_comes_once_for_each_table_and_reason(
    postgresql: DatabaseManager, recwarn: pytest.WarningsRecorder
) -> None:
    with table(postgresql, "id INTEGER"), table(postgresql, "id INTEGER", "u"):
        for name in ("t", "u"):
            postgresql.execute(f"CREATE VIEW seen_{name} AS SELECT * FROM {name}")
        for name in ("t", "u"):
            text = f"seen_{name} is not written to the fastest way: it is a view"
            with pytest.warns(PerformanceWarning, match=text) as caught:
                postgresql.bulk_insert(f"seen_{name}", [{"id": 1}, {"id": 2}])
            assert [warning.filename for warning in caught] == [__file__]
            assert postgresql.bulk_insert(f"seen_{name}", [{"id": 1}, {"id": 2}]).rowcount == 2
        for name in ("t", "u"):
            postgresql.execute(f"DROP VIEW seen_{name}")
    assert not recwarn.list


# MySQL: max_allowed_packet, and sessions in another character set

PACKET = 16_384


@pytest.fixture(scope="module")
def small() -> Iterator[DatabaseManager]:
    """A MariaDB that takes no statement longer than PACKET bytes."""
    with MariaDB(max_allowed_packet=PACKET) as server, DatabaseManager(server.url) as db:
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a LONGTEXT, b LONGTEXT)")
        yield db


def longest(db: DatabaseManager, **options: Any) -> int:
    """The length of the longest text that can be written, as the error for a longer one tells."""
    with pytest.raises(DataError, match="max_allowed_packet leaves") as raised:
        db.bulk_insert("t", [{"id": 1, "a": "x" * 2 * PACKET}], **options)
    room = int(str(raised.value).rpartition("leaves ")[2].split()[0].replace(",", ""))
    assert stored(db) == []
    return room - len("(1,'')")


WRITES: list[dict[str, Any]] = [{}, {"on_conflict": "update"}, {"on_conflict": "ignore"}, {"returning": "id"}]


@pytest.mark.parametrize("options", WRITES, ids=str)
def test_a_row_longer_than_the_packet_is_refused_before_it_is_sent(
    small: DatabaseManager, options: dict[str, Any]
) -> None:
    small.execute("DELETE FROM t")
    most = longest(small, **options)
    assert PACKET - 300 < most < PACKET
    for length in (most - 1, most):
        assert small.bulk_insert("t", [{"id": 1, "a": "x" * length}], **options).rowcount == 1
        assert small.fetch_value("SELECT LENGTH(a) FROM t") == length
        small.execute("DELETE FROM t")
    for rows in ([{"id": 1, "a": "x" * (most + 1)}], [{"id": 1}, {"id": 2, "a": "x" * (most + 1)}, {"id": 3}]):
        with pytest.raises(DataError, match=f"row {len(rows) // 2}: a row takes .*; the server's max_allowed_packet"):
            small.bulk_insert("t", rows, **options)
        assert stored(small) == []
    assert small.fetch_value("SELECT 1") == 1


@settings(max_examples=FEW)
@given(
    lengths=st.lists(
        st.sampled_from([0, 1, 50, PACKET // 3, PACKET // 2 - 40, PACKET // 2, PACKET - 400])
        | st.integers(0, PACKET - 400),
        max_size=12,
    ),
    mixed=st.lists(st.sampled_from("ab"), min_size=12, max_size=12),
    size=st.sampled_from([None, 1, 3]),
    options=st.sampled_from(WRITES),
)
def test_statements_are_cut_wherever_rows_end(
    small: DatabaseManager, lengths: list[int], mixed: list[str], size: int | None, options: dict[str, Any]
) -> None:
    rows = [
        {"id": i, name: "'" * (n // 2) + "y" * (n % 2)} for i, (n, name) in enumerate(zip(lengths, mixed, strict=False))
    ]
    small.execute("DELETE FROM t")
    result = small.bulk_insert("t", iter(rows), chunk_size=size, **options)
    assert result.rowcount == len(rows)
    assert stored(small, "id, a, b") == [(row["id"], row.get("a"), row.get("b")) for row in rows]
    if options.get("returning"):
        assert result.ids == list(range(len(rows)))


def test_keys_that_fill_more_than_a_packet_are_all_counted(small: DatabaseManager) -> None:
    with table(small, "name VARCHAR(700) PRIMARY KEY, id INTEGER", "named"):
        rows = [{"name": f"{i:0700}", "id": i} for i in range(100)]
        assert small.bulk_insert("named", [*rows, *rows], on_conflict="update").rowcount == 100
        with pytest.warns(PerformanceWarning):
            result = small.bulk_insert("named", [*rows, *rows[:50]], on_conflict="update", returning="id")
        assert (result.rowcount, result.ids) == (100, [*range(100), *range(50)])


@pytest.fixture
def narrow(mysql: DatabaseManager) -> Iterator[DatabaseManager]:
    """A manager in whose open transaction the session is in utf8mb3."""
    with table(mysql, "id INTEGER PRIMARY KEY, a TEXT"):
        mysql.execute("BEGIN")
        mysql.execute("SET NAMES utf8mb3")
        yield mysql
        mysql.execute("ROLLBACK")


def test_a_session_in_another_character_set_has_the_drivers_literals(narrow: DatabaseManager) -> None:
    with pytest.warns(PerformanceWarning, match="the session's character set is utf8mb3, not utf8mb4"):
        result = narrow.bulk_insert("t", [{"id": i, "a": "ä'\\\n€"} for i in range(1, 300)])
    assert (result.strategy, result.rowcount) == ("driver", 299)
    assert stored(narrow) == [(i, "ä'\\\n€") for i in range(1, 300)]
    with pytest.raises(Error):
        narrow.bulk_insert("t", [{"id": 500, "a": "😀"}])
    with pytest.raises(ParameterError, match="row 1, column 'a': a str holds half a surrogate pair"):
        narrow.bulk_insert("t", [{"id": 500, "a": "x"}, {"id": 501, "a": "\ud800"}])
    assert narrow.fetch_value("SELECT COUNT(*) FROM t") == 299


def test_it_sends_many_rows_at_once(narrow: DatabaseManager) -> None:
    def questions() -> int:
        return int(narrow.execute("SHOW SESSION STATUS LIKE 'Com_insert'")[0]["Value"])

    before = questions()
    narrow.bulk_insert("t", [{"id": i, "a": "x"} for i in range(1000)])
    assert questions() - before == 1


# SQLite: parameters


@pytest.mark.parametrize("width", [1, 2, 3, 999, 1000, 1001, 1999])
@pytest.mark.parametrize("options", [{}, {"returning": "c0"}, {"on_conflict": "update"}], ids=str)
def test_tables_of_any_width_are_written(sqlite: DatabaseManager, width: int, options: dict[str, Any]) -> None:
    names = [f"c{i}" for i in range(width)]
    with table(sqlite, ", ".join(f"{name} INTEGER{' PRIMARY KEY' if name == 'c0' else ''}" for name in names)):
        count = max(3, 2500 // width)
        rows = [tuple(range(i, i + width)) for i in range(count)]
        assert sqlite.bulk_insert("t", rows, columns=names, **options).rowcount == count
        assert stored(sqlite, order="c0") == rows


@pytest.mark.parametrize("kind", servers.KINDS)
@pytest.mark.parametrize("width", [70, 400])
def test_wide_rows_are_written_everywhere(kind: str, width: int) -> None:
    names = [f"c{i}" for i in range(width)]
    with opened(kind) as db, table(db, ", ".join(f"{name} INTEGER" for name in names)):
        rows = [dict(zip(names, range(i, i + width), strict=True)) for i in range(1000)]
        assert db.bulk_insert("t", rows).rowcount == 1000
        total = db.execute(f"SELECT COUNT(*) AS n, SUM(c0) AS first, SUM(c{width - 1}) AS last FROM t")[0]
        assert {name: int(value) for name, value in total.items()} == {
            "n": 1000,
            "first": 499_500,
            "last": 499_500 + 1000 * (width - 1),
        }


# Progress


@pytest.mark.parametrize("size", [None, 1, 4, 10, 100])
def test_progress_tells_the_rows_that_are_done(shared: DatabaseManager, size: int | None) -> None:
    seen: list[int] = []
    with table(shared, "id INTEGER PRIMARY KEY, a INTEGER"):
        shared.bulk_insert("t", ({"id": i} for i in range(10)), chunk_size=size, progress=seen.append)
    step = min(size or 5000, 10)
    assert seen == sorted(seen)
    assert seen[-1] == 10
    assert set(range(step, 10, step)) <= set(seen) <= {*range(step, 10, step), 10}


def test_progress_that_raises_undoes_the_call(shared: DatabaseManager) -> None:
    def stop(done: int) -> None:
        if done == 4:
            raise KeyError("enough")

    with table(shared, "id INTEGER PRIMARY KEY"):
        with pytest.raises(KeyError, match="enough"):
            shared.bulk_insert("t", ({"id": i} for i in range(10)), chunk_size=2, progress=stop)
        assert stored(shared) == []
        assert shared.bulk_insert("t", [{"id": 1}], progress=False).rowcount == 1


@pytest.mark.parametrize("make", [list, iter])
def test_a_bar_is_shown(sqlite: DatabaseManager, capfd: pytest.CaptureFixture[str], make: Callable[[Any], Any]) -> None:
    with table(sqlite, "id INTEGER"):
        assert sqlite.bulk_insert("t", make([{"id": i} for i in range(20)]), progress=True).rowcount == 20
    shown = "".join(capfd.readouterr())
    assert "rows into t" in shown
    assert "20/20" in shown or "20/?" in shown


def test_without_rich_lines_are_printed(
    sqlite: DatabaseManager, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rich.progress", None)
    with table(sqlite, "id INTEGER"):
        assert sqlite.bulk_insert("t", [{"id": i} for i in range(20)], chunk_size=5, progress=True).rowcount == 20
    lines = capfd.readouterr().err.splitlines()
    assert [line.split()[-3:] for line in lines] == [[str(n), "of", "20"] for n in (5, 10, 15, 20)]


def test_a_chunk_is_a_statement(mysql: DatabaseManager) -> None:
    def inserts() -> int:
        return int(mysql.execute("SHOW SESSION STATUS LIKE 'Com_insert'")[0]["Value"])

    with table(mysql, "id INTEGER PRIMARY KEY, a INTEGER"), mysql.transaction():
        for size, statements in ((None, 1), (100, 1), (34, 3), (1, 100)):
            mysql.execute("DELETE FROM t")
            before = inserts()
            mysql.bulk_insert("t", ({"id": i} for i in range(100)), chunk_size=size)
            assert inserts() - before == statements
        with pytest.raises(ConfigError):
            mysql.bulk_insert("t", ROWS, chunk_size=-1)
