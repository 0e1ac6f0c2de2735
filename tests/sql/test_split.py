"""Scripts are cut into statements, and into nothing less."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexusql.errors import SQLSyntaxError
from nexusql.sql import split_script
from readings import (
    ALL_MSSQL,
    ALL_MYSQL,
    ALL_PG,
    FRAGMENTS,
    MARIA,
    MSSQL,
    MYSQL,
    MYSQL_8,
    PG,
    READINGS,
    SQLITE,
    Reading,
)


def split(reading: Reading, script: str) -> list[str]:
    return split_script(script, reading.syntax, reading.modes)


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
@pytest.mark.parametrize(
    ("script", "pieces"),
    [
        ("", []),
        (" ;; \n; ", []),
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1;", ["SELECT 1"]),
        ("  SELECT 1 ;\n\n SELECT 2;SELECT 3  ", ["SELECT 1", "SELECT 2", "SELECT 3"]),
        ("-- a\nSELECT 1; -- b\nSELECT 2; -- c", ["-- a\nSELECT 1", "-- b\nSELECT 2"]),
        ("SELECT 1; -- it's; /* c */ ;", ["SELECT 1"]),
        ("/* a; b */ SELECT 1", ["/* a; b */ SELECT 1"]),
        ("SELECT ';', 'a;''b;'; SELECT 2", ["SELECT ';', 'a;''b;'", "SELECT 2"]),
        ("BEGIN; SELECT 1; END; COMMIT;", ["BEGIN", "SELECT 1", "END", "COMMIT"]),
        ("BEGIN TRANSACTION; SELECT 1; COMMIT", ["BEGIN TRANSACTION", "SELECT 1", "COMMIT"]),
        ("SELECT CASE WHEN a THEN 1 END; SELECT 2", ["SELECT CASE WHEN a THEN 1 END", "SELECT 2"]),
        ("CREATE TABLE t (a int); CREATE INDEX i ON t (a)", ["CREATE TABLE t (a int)", "CREATE INDEX i ON t (a)"]),
        ("CREATE TABLE event (loop int); SELECT 2", ["CREATE TABLE event (loop int)", "SELECT 2"]),
        ("\ufeffSELECT 1; SELECT 2", ["SELECT 1", "SELECT 2"]),
    ],
)
def test_statements_end_at_semicolons_in_code(reading: Reading, script: str, pieces: list[str]) -> None:
    assert split(reading, script) == pieces


@pytest.mark.parametrize(
    ("readings", "whole"),
    [
        (ALL_PG, "SELECT $$ a; b $$, $t$ ; $$ ; $t$"),
        (ALL_PG, "CREATE FUNCTION f() RETURNS trigger AS $f$ BEGIN a; b; END $f$ LANGUAGE plpgsql"),
        (ALL_PG, "DO $$ BEGIN PERFORM 1; END $$"),
        (ALL_PG, "SELECT /* a /* ; */ ; */ 1"),
        (ALL_PG, "SELECT E'a\\';', U&';', \";\""),
        (ALL_PG, "CREATE FUNCTION f(a int) RETURNS int BEGIN ATOMIC SELECT 1; "
                    "SELECT CASE WHEN a THEN 2 ELSE 3 END; END"),
        (ALL_PG, "CREATE OR REPLACE PROCEDURE p() LANGUAGE SQL BEGIN ATOMIC INSERT INTO t VALUES (1); END"),
        (ALL_PG, "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b)"),
        (ALL_PG, "CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW WHEN (CASE WHEN x THEN y END) EXECUTE FUNCTION f()"),
        ((SQLITE,), "CREATE TRIGGER t AFTER INSERT ON a BEGIN UPDATE b SET c = 1; DELETE FROM d; END"),
        ((SQLITE,), "CREATE TEMP TRIGGER IF NOT EXISTS t AFTER UPDATE OF x ON a FOR EACH ROW WHEN new.x > 1 BEGIN "
                    "SELECT CASE WHEN new.a THEN RAISE(ABORT, 'a;b') END; SELECT 1; END"),
        ((SQLITE,), "SELECT [a;b], `c;d`, \"e;f\""),
        (ALL_MYSQL, "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN SET NEW.a = 1; "
                    "SET NEW.b = IF(1, 2, 3); END"),
        (ALL_MYSQL, "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.a = CASE WHEN 1 THEN 2 ELSE 3 END"),
        (ALL_MYSQL, "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW IF NEW.a > 1 THEN SET NEW.a = 1; "
                    "SET NEW.b = 2; END IF"),
        (ALL_MYSQL, "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW FOLLOWS u IF (NEW.a) THEN SET NEW.b = 2; END IF"),
        (ALL_MYSQL, "CREATE PROCEDURE IF NOT EXISTS p() BEGIN IF a THEN b; ELSEIF IF(c, 1, 2) THEN d; ELSE e; END IF; "
                    "WHILE x DO y; END WHILE; REPEAT z; UNTIL q END REPEAT; l: LOOP LEAVE l; END LOOP l; "
                    "CASE a WHEN 1 THEN b; ELSE c; END CASE; SELECT REPEAT('a', 3); BEGIN d; END; END"),
        (ALL_MYSQL, "CREATE DEFINER=`root`@`localhost` PROCEDURE p(IN a INT) READS SQL DATA SQL SECURITY INVOKER "
                    "BEGIN a; b; END"),
        (ALL_MYSQL, "CREATE PROCEDURE p() CASE 1 WHEN 1 THEN SELECT 1; SELECT 2; END CASE"),
        (ALL_MYSQL, "CREATE PROCEDURE p() SELECT IF(1, 2, 3), "
                    "CASE WHEN IF(1, 2, 3) THEN IF(4, 5, 6) ELSE IF(7, 8, 9) END"),
        (ALL_MYSQL, "CREATE PROCEDURE p() BEGIN DECLARE c CURSOR FOR SELECT 1; "
                    "DECLARE CONTINUE HANDLER FOR NOT FOUND SET a = 1; FOR i IN 1 DO SELECT i; END FOR; END"),
        (ALL_MYSQL, "/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ /*!50003 TRIGGER t AFTER INSERT ON a FOR EACH ROW "
                    "BEGIN SET @a = 1; SET @b = 2; END */"),
        (ALL_MYSQL, "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO BEGIN DELETE FROM a; DELETE FROM b; END"),
        (ALL_MYSQL, "CREATE PACKAGE p AS PROCEDURE a(x INT); FUNCTION b RETURN INT; END"),
        (ALL_MYSQL, "CREATE PACKAGE BODY p AS PROCEDURE a AS BEGIN x; END; FUNCTION b RETURN INT AS BEGIN y; END; END"),
        (ALL_MYSQL, "BEGIN NOT ATOMIC SELECT 1; IF a THEN SELECT 2; END IF; END"),
        (ALL_MYSQL, "IF 1 THEN SELECT 1; SELECT 2; END IF"),
        (ALL_MYSQL, "WHILE a DO SELECT 1; END WHILE"),
        (ALL_MYSQL, "SELECT `a;b`, 'c;d' # e;f\n"),
        (ALL_MYSQL, "SELECT 1 /*! ; */"),
        (ALL_MSSQL, "BEGIN TRY SELECT 1; SELECT CASE WHEN 1=1 THEN 2 END; END TRY BEGIN CATCH THROW; END CATCH"),
        (ALL_MSSQL, "IF 1=1 BEGIN SELECT 1; SELECT 2; END ELSE BEGIN SELECT 3; END"),
        (ALL_MSSQL, "WHILE 1=1 BEGIN SELECT 1; BREAK; END"),
    ],
)  # fmt: skip
def test_bodies_and_quotes_are_not_cut(readings: tuple[Reading, ...], whole: str) -> None:
    for reading in readings:
        if whole.endswith("*/") and "/*!" in whole:
            # Run, a semicolon in an executed comment ends the statement: it is no comment.
            assert split(reading, f"{whole}; SELECT 9")[-1] == "SELECT 9"
        else:
            assert split(reading, f"SELECT 0; {whole}; SELECT 9;") == ["SELECT 0", whole.strip(), "SELECT 9"]


@pytest.mark.parametrize("reading", ALL_MSSQL, ids=lambda reading: reading.name)
def test_go_alone_on_its_line_ends_a_batch_of_t_sql(reading: Reading) -> None:
    script = "SELECT 1\nGO\nSELECT 2; SELECT 3\r\n  go  -- again\r\nSELECT go FROM t -- x\n go\n\nGO\nSELECT ' \nGO\n'"
    assert split(reading, script) == [
        "SELECT 1",
        "SELECT 2",
        "SELECT 3",
        "-- again\r\nSELECT go FROM t -- x",
        "SELECT ' \nGO\n'",
    ]


@pytest.mark.parametrize("reading", ALL_MSSQL, ids=lambda reading: reading.name)
def test_a_routine_of_t_sql_fills_its_batch(reading: Reading) -> None:
    routine = "CREATE OR ALTER PROCEDURE p AS SELECT 1; SELECT 2; IF 1=1 SELECT 3;"
    assert split(reading, f"SELECT 0;\n{routine}\nGO\nSELECT 9") == ["SELECT 0", routine, "SELECT 9"]


@pytest.mark.parametrize("reading", [SQLITE, *ALL_PG, *ALL_MYSQL], ids=lambda reading: reading.name)
def test_go_is_a_name_elsewhere(reading: Reading) -> None:
    assert split(reading, "SELECT 1 AS\nGO\n; SELECT 2") == ["SELECT 1 AS\nGO", "SELECT 2"]


@pytest.mark.parametrize("reading", [MYSQL, MYSQL_8, MARIA], ids=lambda reading: reading.name)
@pytest.mark.parametrize("delimiter", ["$$", "//", ";;", "|", "END_OF_IT", "\\\\"])
def test_the_delimiter_of_the_mysql_client_is_honoured(reading: Reading, delimiter: str) -> None:
    body = f"CREATE PROCEDURE p() BEGIN SELECT 1; SELECT '{delimiter}' -- {delimiter}\n; END"
    script = (
        f"SELECT 0;\nDELIMITER {delimiter}\n{body} {delimiter}\n-- c\nSELECT 2; SELECT 3\n{delimiter}\n"
        "delimiter ;\nSELECT 4; SELECT 5;\n"
    )
    assert split(reading, script) == ["SELECT 0", body, "-- c\nSELECT 2; SELECT 3", "SELECT 4", "SELECT 5"]


def test_a_word_may_run_into_the_delimiter() -> None:
    script = "DELIMITER $$\nCREATE PROCEDURE p() BEGIN SELECT 1; END$$\nSELECT 2$$SELECT 3$$\nDELIMITER ;"
    assert split(MARIA, script) == ["CREATE PROCEDURE p() BEGIN SELECT 1; END", "SELECT 2", "SELECT 3"]


def test_delimiter_is_a_name_elsewhere_and_a_script_may_end_with_it() -> None:
    assert split(PG, "COPY t FROM STDIN WITH DELIMITER ','; SELECT 1") == [
        "COPY t FROM STDIN WITH DELIMITER ','",
        "SELECT 1",
    ]
    assert split(MARIA, "SELECT delimiter FROM t; SELECT 1") == ["SELECT delimiter FROM t", "SELECT 1"]
    assert split(MARIA, "SELECT 1;\nDELIMITER //\nSELECT 2") == ["SELECT 1", "SELECT 2"]
    assert split(MARIA, ";;\nDELIMITER //\n////") == []
    assert split(MARIA, "CREATE PROCEDURE p() SELECT x + IF(a, 1, 2), IF; SELECT 2")[1] == "SELECT 2"
    assert split(MARIA, "DELIMITER //\nSELECT 1//\n-- only a comment //") == ["SELECT 1"]


def test_a_comment_that_the_server_may_run_is_a_statement_of_its_own() -> None:
    script = "/*!80016 SET a = 1 */;\n/*M! SET b = 2 */; -- c\n"
    assert split(MYSQL_8, script) == ["/*!80016 SET a = 1 */", "/*M! SET b = 2 */"]
    assert split(MARIA, script) == ["/*M! SET b = 2 */"]
    assert split(PG, script) == []


def test_what_cannot_be_read_is_refused_with_its_place() -> None:
    with pytest.raises(SQLSyntaxError, match=r"unterminated string literal \(line 2, column 8\)"):
        split(PG, "SELECT 1;\nSELECT 'a; SELECT 2;")


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
@given(
    script=st.lists(st.sampled_from([*FRAGMENTS, ";", ";", "\nGO\n", "DELIMITER //\n", "//"]), max_size=20).map(
        " ".join
    )
)
def test_pieces_of_any_script_are_stripped_not_empty_and_in_order(reading: Reading, script: str) -> None:
    try:
        pieces = split(reading, script)
    except SQLSyntaxError:
        return
    at = 0
    for piece in pieces:
        assert piece == piece.strip(" \t\n\v\f\r")
        assert piece
        at = script.index(piece, at) + len(piece)


@pytest.mark.parametrize("reading", [SQLITE, PG, MARIA, MSSQL], ids=lambda reading: reading.name)
def test_a_long_script_is_cut_in_linear_time(reading: Reading) -> None:
    script = "INSERT INTO t (a) VALUES ('a;b'); -- c\n" * 20_000
    assert len(split(reading, script)) == 20_000
