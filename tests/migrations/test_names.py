"""What file names say, by Flyway's rules, and that nothing with a wrong name is passed over."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexusql import DatabaseManager, MigrationError, MigrationRunner
from nexusql.migrations.files import Kind, parse_version, read_folder, read_name


@pytest.mark.parametrize(
    ("name", "kind", "stem", "version", "description", "backend"),
    [
        ("V001__complete_schema.sql", Kind.VERSIONED, "V001__complete_schema", (1,), "complete schema", None),
        ("V1.2_3__a.SQL", Kind.VERSIONED, "V1.2_3__a", (1, 2, 3), "a", None),
        ("V2__näme_名.sql", Kind.VERSIONED, "V2__näme_名", (2,), "näme 名", None),
        ("V3__a__b.sql", Kind.VERSIONED, "V3__a__b", (3,), "a  b", None),
        ("V003__name.mysql.sql", Kind.VERSIONED, "V003__name", (3,), "name", "mysql"),
        ("V4__v2.0.sql", Kind.VERSIONED, "V4__v2.0", (4,), "v2.0", None),
        ("U4__v2.sql", Kind.UNDO, "U4__v2", (4,), "v2", None),
        ("V4__v2.down.sql", Kind.UNDO, "V4__v2", (4,), "v2", None),
        ("V4__v2.sqlite.down.sql", Kind.UNDO, "V4__v2", (4,), "v2", "sqlite"),
        ("V4__v2.down.sqlite.sql", Kind.UNDO, "V4__v2", (4,), "v2", "sqlite"),
        ("R__all views.sql", Kind.REPEATABLE, "R__all views", (), "all views", None),
        (f"V1__{'x' * 240}.sql", Kind.VERSIONED, f"V1__{'x' * 240}", (1,), "x" * 240, None),
    ],
)
def test_what_a_name_says(
    name: str, kind: Kind, stem: str, version: tuple[int, ...], description: str, backend: str | None
) -> None:
    file = read_name(Path(name))
    assert (file.kind, file.stem, file.version, file.description, file.backend) == (
        *(kind, stem, version, description, backend),
    )


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("v1__a.sql", "the first letter is a capital"),
        ("r__a.sql", "the first letter is a capital"),
        ("V1_a.sql", "two underscores"),
        ("V1__.sql", "a description is missing"),
        ("V1.sql", "is not named V<version>__<description>.sql"),
        ("R1__x.sql", "a repeatable file has no version"),
        ("R__x.down.sql", "is not named"),
        ("Vx__a.sql", "is not named"),
        ("V1__a.postgres.sql", "the ending for this backend is .postgresql.sql"),
        ("notes.sql", "is not named"),
    ],
)
def test_a_wrong_name_is_an_error_that_says_what_is_wrong(name: str, why: str) -> None:
    with pytest.raises(MigrationError, match=why) as raised:
        read_name(Path(name))
    assert name in str(raised.value)


def test_versions_compare_as_numbers() -> None:
    assert parse_version("1") == parse_version("1.0") == parse_version("01") == parse_version("1_0")
    assert parse_version("2") < parse_version("10")
    assert parse_version("1.9") < parse_version("1.10") < parse_version("2")
    assert parse_version("0") == (0,)
    for bad in ("", "x", "1.", "1..2", "-1", "1;2", "١"):
        with pytest.raises(MigrationError, match="no version"):
            parse_version(bad)


@given(st.lists(st.integers(0, 10**30), min_size=1, max_size=5), st.lists(st.integers(0, 99), min_size=1, max_size=5))
def test_any_version_is_read_whatever_its_zeros_and_separators(left: list[int], right: list[int]) -> None:
    written = ".".join(map(str, left))
    assert parse_version(written) == parse_version("_".join(f"000{part}" for part in left) + ".0")
    padded = [*left, *[0] * 5][:5], [*right, *[0] * 5][:5]
    other = parse_version(".".join(map(str, right)))
    assert (parse_version(written) < other) == (padded[0] < padded[1])
    assert (parse_version(written) == other) == (padded[0] == padded[1])


def names(folder: Path, backend: str = "sqlite") -> list[str]:
    return [file.name for file in read_folder(folder, backend).files]


def fill(folder: Path, *files: str) -> None:
    for name in files:
        (folder / name).write_text("SELECT 1")


def test_files_run_by_version_then_repeatable_ones_by_description(tmp_path: Path) -> None:
    fill(tmp_path, "V10__z.sql", "V2__y.sql", "R__b.sql", "R__a.sql", "V1.5__x.sql", "U2__y.sql", "notes.txt")
    assert names(tmp_path) == ["V1.5__x.sql", "V2__y.sql", "V10__z.sql", "R__a.sql", "R__b.sql"]


def test_a_file_for_one_backend_takes_the_place_of_the_one_for_all(tmp_path: Path) -> None:
    fill(tmp_path, "V1__a.sql", "V1__a.mysql.sql", "V2__b.postgresql.sql", "R__c.sql", "R__c.sqlite.sql")
    assert names(tmp_path, "mysql") == ["V1__a.mysql.sql", "R__c.sql"]
    assert names(tmp_path, "sqlite") == ["V1__a.sql", "R__c.sqlite.sql"]
    assert names(tmp_path, "postgresql") == ["V1__a.sql", "V2__b.postgresql.sql", "R__c.sql"]


@pytest.mark.parametrize(
    "pair",
    [
        ("V1__a.sql", "V01__b.sql"),
        ("V1.0__a.sql", "V1__b.sql"),
        ("V1__a.mysql.sql", "V1.0__b.mysql.sql"),
        ("R__a_b.sql", "R__a b.sql"),
        ("U1__a.sql", "V1__a.down.sql"),
    ],
)
def test_two_files_of_one_version_are_an_error_in_every_use(tmp_path: Path, pair: tuple[str, str]) -> None:
    fill(tmp_path, *pair)
    with pytest.raises(MigrationError, match="have the same") as raised:
        read_folder(tmp_path, "mysql")
    assert all(name in str(raised.value) for name in pair)


def test_what_is_no_file_is_an_error_and_what_is_hidden_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, "V1__a.sql", ".V2__b.sql", "V2__b.sql.swp")
    assert names(tmp_path) == ["V1__a.sql"]
    assert ".V2__b.sql is hidden" in caplog.text
    (tmp_path / "V3__c.sql").symlink_to(tmp_path / "nowhere.sql")
    with pytest.raises(MigrationError, match=r"V3__c.sql is no file that can be read: a broken link\?"):
        read_folder(tmp_path, "sqlite")
    (tmp_path / "V3__c.sql").unlink()
    (tmp_path / "V4__d.sql").mkdir()
    with pytest.raises(MigrationError, match=r"V4__d.sql is a folder"):
        read_folder(tmp_path, "sqlite")
    with pytest.raises(MigrationError, match="there is no folder"):
        read_folder(tmp_path / "absent", "sqlite")


def test_a_link_to_a_file_elsewhere_is_read(tmp_path: Path) -> None:
    fill(tmp_path, "target.txt")
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "V1__linked.sql").symlink_to(tmp_path / "target.txt")
    assert names(tmp_path / "sql") == ["V1__linked.sql"]


def test_strict_use_refuses_all_misnamed_files_at_once_and_runs_nothing(db: DatabaseManager, tmp_path: Path) -> None:
    (tmp_path / "V1__good.sql").write_text("CREATE TABLE good (id INTEGER)")
    fill(tmp_path, "V2_bad.sql", "worse.sql")
    runner = MigrationRunner(db, tmp_path, strict=True)
    for call in (runner.up, runner.validate):
        with pytest.raises(MigrationError, match=r"V2_bad\.sql is not named .*; worse\.sql is not named"):
            call()
    assert db.list_tables() == []


def test_a_file_that_is_not_utf8_is_an_error_that_names_it(db: DatabaseManager, tmp_path: Path) -> None:
    (tmp_path / "V1__good.sql").write_text("CREATE TABLE good (id INTEGER)")
    (tmp_path / "V2__latin.sql").write_bytes("INSERT INTO t VALUES ('é')".encode("latin-1"))
    for strict in (True, False):
        with pytest.raises(MigrationError, match=r"V2__latin\.sql is not UTF-8 \(at byte 23\)"):
            MigrationRunner(db, tmp_path, strict=strict).up()
    assert db.list_tables() == []
