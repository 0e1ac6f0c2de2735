"""Connection strings hold exactly what was configured, and connecting says clearly what is wrong."""

import pyodbc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexusql import odbc
from nexusql.backends.mssql.connecting import DRIVERS, connection_string
from nexusql.config import ConnectionConfig, DatabaseType
from nexusql.errors import ConfigError, InterfaceError, NotSupportedError, OperationalError, TranslationWarning
from nexusql.manager import DatabaseManager
from tsql import DRIVER, Server, error

FREETDS = "FreeTDS"


def attributes(url: str, *drivers: str) -> dict[str, str]:
    text, _ = connection_string(ConnectionConfig.from_url(url), drivers or (DRIVER,))
    return odbc.read_attributes(text)


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1))
def test_a_password_changes_nothing_but_the_password(password: str) -> None:
    config = ConnectionConfig(DatabaseType.MSSQL, "", "h", None, "u", password, "d")
    text, _ = connection_string(config, (DRIVER,))
    found = odbc.read_attributes(text)
    assert found == {"DRIVER": DRIVER, "SERVER": "h", "DATABASE": "d", "UID": "u", "PWD": password}


def test_an_attribute_in_a_password_is_none() -> None:
    found = attributes("mssql://u:x%3BEncrypt=no%7D%3BDRIVER=evil@h/d?Encrypt=yes")
    assert found["PWD"] == "x;Encrypt=no};DRIVER=evil"
    assert found["Encrypt"] == "yes"
    assert found["DRIVER"] == DRIVER


def test_an_option_that_is_unknown_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="no option Trustservercert;") as caught:
        attributes("mssql://u:p@h/d?Trustservercert=hunter2")
    assert "hunter2" not in str(caught.value)


def test_an_option_in_two_spellings_is_refused() -> None:
    with pytest.raises(ConfigError, match="two spellings"):
        attributes("mssql://u:p@h/d?encrypt=yes&Encrypt=no")


def test_the_best_driver_is_chosen_and_one_that_is_named_wins() -> None:
    assert attributes("mssql://u:p@h/d", *reversed(DRIVERS))["DRIVER"] == DRIVERS[0]
    assert attributes("mssql://u:p@h/d", "SQLite3", FREETDS)["DRIVER"] == FREETDS
    assert attributes("mssql://u:p@h/d?driver=mine", FREETDS)["DRIVER"] == "mine"


@pytest.mark.parametrize(("drivers", "told"), [((), "none at all"), (("SQLite3", "MySQL"), "SQLite3, MySQL")])
def test_without_a_driver_the_error_says_what_to_install(drivers: tuple[str, ...], told: str) -> None:
    with pytest.raises(InterfaceError, match=f"{told}.*msodbcsql18"):
        connection_string(ConnectionConfig.from_url("mssql://u:p@h/d"), drivers)


def test_freetds_has_names_of_its_own() -> None:
    found = attributes("mssql://u:p@h:1444/d", FREETDS)
    assert (found["SERVER"], found["PORT"], found["TDS_Version"]) == ("h", "1444", "7.4")
    assert attributes("mssql://u:p@h:1444/d")["SERVER"] == "h,1444"


@pytest.mark.parametrize(
    ("level", "encrypt", "trusts"),
    [("verify-full", "yes", "no"), ("require", "yes", "yes"), ("prefer", "no", "yes"), ("off", "no", None)],
)
def test_tls_by_the_drivers_words(level: str, encrypt: str, trusts: str | None) -> None:
    found = attributes(f"mssql://u:p@h/d?tls={level}")
    assert (found["Encrypt"], found.get("TrustServerCertificate")) == (encrypt, trusts)


def test_tls_and_the_drivers_own_words_are_not_mixed() -> None:
    with pytest.raises(ConfigError, match="encrypt"):
        attributes("mssql://u:p@h/d?tls=require&Encrypt=no")


def test_freetds_does_not_verify() -> None:
    assert attributes("mssql://u:p@h/d?tls=require", FREETDS)["Encryption"] == "require"
    with pytest.raises(ConfigError, match="verify"):
        attributes("mssql://u:p@h/d?tls=verify-full", FREETDS)


def test_no_certificate_is_trusted_unseen_but_one_of_this_machine() -> None:
    assert attributes("mssql://u:p@localhost/d")["TrustServerCertificate"] == "yes"
    assert attributes("mssql://u:p@127.0.0.1/d")["TrustServerCertificate"] == "yes"
    assert "TrustServerCertificate" not in attributes("mssql://u:p@db.example/d")
    assert "TrustServerCertificate" not in attributes("mssql://u:p@localhost/d?Encrypt=yes")


def test_a_raw_connection_string_is_read_and_written_anew() -> None:
    found = attributes("DRIVER={mine};SERVER=tcp:h,1433;UID=u;PWD={a}}b};Encrypt=yes")
    assert found == {"DRIVER": "mine", "SERVER": "h,1433", "UID": "u", "PWD": "a}b", "Encrypt": "yes"}


def test_without_a_user_the_one_of_the_system_is_meant() -> None:
    assert attributes("mssql://h/d")["Trusted_Connection"] == "yes"


def test_a_session_is_set_up(server: Server) -> None:
    with DatabaseManager("mssql://u:p@h/d?query_timeout=7") as db:
        assert server.sent[0][0] == (
            "SET XACT_ABORT OFF; SET NOCOUNT OFF; SET IMPLICIT_TRANSACTIONS OFF; SET TEXTSIZE 2147483647"
        )
        assert server.connections[0].timeout == 7
        server.on("SELECT 1", [(1,)])
        assert db.fetch_value("SELECT 1") == 1


@pytest.mark.parametrize(
    ("version", "good"),
    [
        (("13.0.5026.0", 2, None, 1), False),
        (("14.0.1000.169", 2, None, 1), True),
        (("12.0.2000.8", 5, None, 1), True),  # Azure SQL Database
        (("12.0.2000.8", 2, 1, 1), True),  # a server that imitates one
        ((None, None, None, 1), False),
    ],
)
def test_an_old_server_is_refused(server: Server, version: tuple[object, ...], good: bool) -> None:
    server.on("SERVERPROPERTY", [version])
    db = DatabaseManager("mssql://u:p@h/d")
    if good:
        assert db.connect(raise_errors=True)
        db.close()
    else:
        with pytest.raises(NotSupportedError, match=r"version|2017"):
            db.connect(raise_errors=True)
        assert server.connections[-1].closed


@pytest.mark.parametrize(
    ("text", "version"),
    [("Microsoft SQL Server 2022 (RTM) - 16.0.1000.6 (X64) ..", (16, 0, 1000)), ("Imitation 12.0.2", (14, 0, 2))],
)
def test_a_server_that_does_not_know_its_properties_tells_its_version(
    server: Server, text: str, version: tuple[int, ...]
) -> None:
    server.on("SERVERPROPERTY", error("ProgrammingError", "42000", 195, "'SESSIONPROPERTY' is not a function"))
    server.on("@@VERSION", [(text,)])
    with DatabaseManager("mssql://u:p@h/d") as db:
        raw = db._connected().backend.connect(db.config, 5.0)
        assert db._connected().backend.inspect(raw).modes.version == version


def test_quoted_identifier_decides_how_text_is_read(server: Server) -> None:
    server.on("SERVERPROPERTY", [("16.0.1", 2, None, 0)])
    with DatabaseManager("mssql://u:p@h/d") as db:
        with pytest.warns(TranslationWarning, match="is a string here"):
            db.execute('SELECT "a?" WHERE x = :a', {"a": 1})
        assert server.texts[-1] == 'SELECT "a?" WHERE x = ?'


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (error("InterfaceError", "28000", 18456, "Login failed for user 'u'."), OperationalError),
        (error("ProgrammingError", "42000", 4060, "Cannot open database"), OperationalError),
        (error("OperationalError", "08001", 10061, "TCP Provider: Error code 0x274D"), OperationalError),
        (error("OperationalError", "HYT00", 0, "Login timeout expired"), OperationalError),
    ],
)
def test_what_keeps_a_session_from_being_opened(
    monkeypatch: pytest.MonkeyPatch, raised: pyodbc.Error, kind: type[Exception]
) -> None:
    def refuse(text: str, **options: object) -> None:
        raise raised

    monkeypatch.setattr(pyodbc, "connect", refuse)
    monkeypatch.setattr(pyodbc, "drivers", lambda: [DRIVER])
    with pytest.raises(kind) as caught:
        DatabaseManager("mssql://u:secret@h/d").connect(raise_errors=True)
    assert isinstance(caught.value, type(raised))
    assert "secret" not in str(caught.value)
