"""The text of a file: its checksum, its directives, its undo section, its statements and their lines."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexusql import MigrationError, SQLSyntaxError
from nexusql.migrations.script import Script, checksum, read_script, read_text
from nexusql.sql.lexical import SessionModes
from nexusql.sql.syntax import syntax_for
from readings import READINGS, Reading


def read(text: str, dialect: str = "postgresql") -> Script:
    return read_script("V1__a.sql", text, syntax_for(dialect), SessionModes())


def test_the_checksum_is_sha_256_of_the_text() -> None:
    assert checksum("SELECT 1;\n") == hashlib.sha256(b"SELECT 1;\n").hexdigest()


@given(st.text(alphabet="ab;'\n-é"))
def test_byte_order_mark_and_line_ends_do_not_count(text: str) -> None:
    crlf = text.replace("\n", "\r\n")
    assert checksum(text) == checksum(crlf) == checksum("\ufeff" + crlf) == checksum(text.replace("\n", "\r"))


@given(st.text(min_size=1), st.integers(0, 100), st.sampled_from("x; \n"))
def test_every_other_edit_counts(text: str, position: int, added: str) -> None:
    text = text.replace("\r", "").removeprefix("\ufeff")
    edited = text[:position] + added + text[position:]
    assert checksum(edited) != checksum(text)


def test_joined_lines_count() -> None:
    assert checksum("-- note\nDROP TABLE b") != checksum("-- noteDROP TABLE b")


def test_a_file_is_read_without_mark_and_with_lf(tmp_path: Path) -> None:
    path = tmp_path / "V1__a.sql"
    path.write_bytes(b"\xef\xbb\xbfSELECT 1;\r\nSELECT 2;\r")
    assert read_text(path) == "SELECT 1;\nSELECT 2;\n"
    with pytest.raises(MigrationError, match=r"V2__b\.sql cannot be read: No such file"):
        read_text(tmp_path / "V2__b.sql")


def test_statements_have_numbers_and_the_lines_on_which_their_own_text_begins() -> None:
    script = read("\n-- first\nSELECT 1;\n\n/* a\ncomment */ SELECT\n 2; SELECT 1;\n-- the end\n")
    assert [(piece.number, piece.line, str(piece)) for piece in script.pieces] == [
        (1, 3, "SELECT 1"),
        (2, 6, "SELECT 2"),
        (3, 7, "SELECT 1"),
    ]
    assert len({piece.digest for piece in script.pieces}) == 3  # a comment belongs to what follows it
    assert script.transaction is True
    assert script.down is None


def test_a_long_statement_is_shown_in_part() -> None:
    (piece,) = read(f"SELECT {'x' * 200}").pieces
    assert len(str(piece)) == 80


def test_the_undo_section_begins_at_a_comment_that_is_alone_on_its_line() -> None:
    script = read("CREATE TABLE a (id INTEGER);\n-- down\n\nDROP TABLE a;\n-- Down\nSELECT 1")
    assert [piece.text for piece in script.pieces] == ["CREATE TABLE a (id INTEGER)"]
    assert script.down is not None
    assert [(piece.line, piece.start > 0) for piece in script.down] == [(4, True), (6, True)]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT '\n-- down\n';",
        "SELECT $$\n-- down\n$$;",
        "/*\n-- down\n*/ SELECT 1;",
        "SELECT 1; -- down\n",
        " -- down",
    ],
)
def test_what_only_looks_like_the_undo_section_is_none(text: str) -> None:
    assert read(text).down is None


def test_no_transaction_is_asked_for_by_a_directive() -> None:
    assert read("-- nexusql: no-transaction\nVACUUM;").transaction is False
    assert read("--Nexusql:  No-Transaction \nVACUUM;").transaction is False
    assert read("SELECT '\n-- nexusql: no-transaction\n'").transaction is True


def test_a_loss_is_accepted_for_one_statement_by_a_directive() -> None:
    script = read("-- why\n-- nexusql: accept-loss\nSELECT 1;\nSELECT 2;")
    assert [piece.accepts_loss for piece in script.pieces] == [True, False]
    assert script.transaction is True
    script = read("SELECT 1;\n/* -- nexusql: accept-loss */ SELECT '\n-- nexusql: accept-loss\n'; SELECT 3")
    assert [piece.accepts_loss for piece in script.pieces] == [False, False, False]


@pytest.mark.parametrize("first", ["", "-- why\n", "SELECT 0; -- why\n"])
def test_blanks_may_stand_before_a_directive(first: str) -> None:
    script = read(f"{first}  \t-- nexusql: accept-loss\n-- and why\nSELECT 1;\nSELECT 2")
    assert [piece.accepts_loss for piece in script.pieces][-2:] == [True, False]
    assert script.pieces[0].accepts_loss is not first.startswith("SELECT")


def test_a_directive_in_the_undo_section_is_for_a_statement_of_it() -> None:
    script = read("SELECT 1;\n-- down\n-- nexusql: accept-loss\nSELECT 2;\nSELECT 3")
    assert script.down is not None
    assert [piece.accepts_loss for piece in (*script.pieces, *script.down)] == [False, True, False]


def test_a_directive_inside_a_comment_is_none() -> None:
    (piece,) = read("/*\n-- nexusql: accept-loss\n-- nexusql: other\n*/ SELECT 1").pieces
    assert piece.accepts_loss is False


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("SELECT 1; -- nexusql: accept-loss\nSELECT 2", 1),  # about neither
        ("SELECT 1,\n2 -- nexusql: accept-loss", 2),
        ("/* why */ -- nexusql: accept-loss\nSELECT 1", 1),
        ("VACUUM; -- nexusql: no-transaction", 1),
        ("SELECT 1,\n-- nexusql: accept-loss\n2", 2),  # within a statement
        ("SELECT 1;\n\n-- nexusql: accept-loss\n", 3),
        ("SELECT 1;\n-- nexusql: accept-loss\n-- down\nSELECT 2", 2),
        ("-- nexusql: accept-loss\n;SELECT 2", 1),
    ],
)
def test_a_directive_without_effect_is_an_error_by_line(text: str, line: int) -> None:
    with pytest.raises(
        MigrationError, match=rf"V1__a\.sql, line {line}: the directive '[a-z-]+' has no effect .* line"
    ):
        read(text)


@pytest.mark.parametrize("blanks", ["", "  ", "\t"])
def test_an_unknown_directive_is_an_error_by_line(blanks: str) -> None:
    with pytest.raises(MigrationError, match=r"V1__a\.sql, line 2: the directive 'no-transction' is unknown"):
        read(f"\n{blanks}-- nexusql: no-transction\nVACUUM;")


def test_a_directive_stays_with_its_statement_where_the_delimiter_changes() -> None:
    body = "CREATE TRIGGER a BEFORE INSERT ON b FOR EACH ROW BEGIN SET NEW.c = 1; END"
    script = read(f"DELIMITER //\n-- nexusql: accept-loss\n{body}//\nSELECT 1//\n", "mysql")
    assert [piece.accepts_loss for piece in script.pieces] == [True, False]
    with pytest.raises(MigrationError, match=r"line 1: .* directly before"):
        read(f"-- nexusql: accept-loss\nDELIMITER //\n{body}//\n", "mysql")


def test_what_cannot_be_read_is_an_error_by_line() -> None:
    with pytest.raises(SQLSyntaxError, match="line 2"):
        read("SELECT 1;\nSELECT 'open")


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
@given(st.text(alphabet="a1 ;'\"-\n/*$()down"))
def test_any_text_is_cut_or_refused_and_each_piece_stands_in_it(reading: Reading, text: str) -> None:
    try:
        script = read_script("V1__a.sql", text, reading.syntax, reading.modes)
    except SQLSyntaxError:
        return
    pieces = [*script.pieces, *(script.down or ())]
    lines = text.split("\n")
    for piece in pieces:
        assert piece.text in text
        own = piece.text[piece.start :]
        assert lines[piece.line - 1].find(own.split("\n")[0]) >= 0
