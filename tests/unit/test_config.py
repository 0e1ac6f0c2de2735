"""ConnectionConfig: fields over URL, what is in force, copies, and what a wrong configuration says."""

import copy
import dataclasses
import logging
import pickle
from typing import Any

import pytest

from nexusql.config import ConnectionConfig, DatabaseType
from nexusql.errors import ConfigError
from nexusql.url import Host

POSTGRESQL = "postgresql://ann:s3cret@db.example:5433/shop?sslmode=require"


def test_the_values_of_the_types_are_those_clients_compare_with() -> None:
    assert {kind.name: kind.value for kind in DatabaseType} == {
        "SQLITE": "sqlite",
        "POSTGRESQL": "postgresql",
        "MYSQL": "mysql",
        "MSSQL": "mssql",
        "DUCKDB": "duckdb",
        "CLOUDFLARE_D1": "cloudflare_d1",
    }


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("sqlite://:memory:", "sqlite"),
        ("postgresql://h/d", "postgresql"),
        ("postgres://h/d", "postgresql"),
        ("postgresql+psycopg2://h/d", "postgresql"),
        ("PostgreSQL://h/d", "postgresql"),
        ("mysql://h/d", "mysql"),
        ("mysql+pymysql://h/d", "mysql"),
        ("mariadb://h/d", "mysql"),
        ("mssql://h/d", "mssql"),
        ("mssql+pyodbc://h/d", "mssql"),
        ("DRIVER={ODBC Driver 18 for SQL Server};SERVER=h", "mssql"),
        ("driver = x;Server=h", "mssql"),
        ("duckdb:///f.db", "duckdb"),
        ("cloudflare_d1://account/d", "cloudflare_d1"),
    ],
)
def test_from_url_knows_the_database_by_the_scheme(url: str, kind: str) -> None:
    config = ConnectionConfig.from_url(url)
    assert config.database_type is DatabaseType(kind)
    assert config.database_url == url


@pytest.mark.parametrize(
    "url", ["", "oracle://h/d", "h/d", "postgresql:h", "sqlite", "://h", "file:x", None, 3, b"sqlite://"]
)
def test_any_other_scheme_is_a_value_error_that_does_not_show_the_url(url: Any) -> None:
    with pytest.raises(ValueError, match=r"^Unsupported database URL") as caught:
        ConnectionConfig.from_url(url)
    assert isinstance(caught.value, ConfigError)
    assert "oracle" not in str(caught.value)


def test_fields_may_be_given_by_position() -> None:
    config = ConnectionConfig(DatabaseType.POSTGRESQL, "", "h", 5433, "ann", "pw", "shop")
    assert (config.host, config.port, config.username, config.password) == ("h", 5433, "ann", "pw")
    assert config.database_name == "shop"
    assert config.hosts == (Host("h", 5433),)
    assert config.database_url == ""


def test_a_url_fills_the_fields() -> None:
    config = ConnectionConfig(DatabaseType.POSTGRESQL, POSTGRESQL)
    assert (config.host, config.port, config.username, config.password) == ("db.example", 5433, "ann", "s3cret")
    assert config.database_name == "shop"
    assert config.options == {"sslmode": "require"}
    assert config.path is None


def test_fields_that_are_given_win_over_the_url() -> None:
    config = ConnectionConfig(DatabaseType.POSTGRESQL, POSTGRESQL, host="other", password="pw", database_name="till")
    assert (config.host, config.port, config.username, config.password) == ("other", 5433, "ann", "pw")
    assert config.database_name == "till"
    assert config.hosts == (Host("other", 5433),)


def test_an_empty_field_is_not_given_but_an_empty_password_is_one() -> None:
    config = ConnectionConfig(DatabaseType.POSTGRESQL, POSTGRESQL, host="", username="", password="", database_name="")
    assert (config.host, config.username, config.password, config.database_name) == ("db.example", "ann", "", "shop")


def test_a_given_port_applies_to_the_first_host_and_a_given_host_replaces_all() -> None:
    url = "postgresql://h1:1,h2:2/d"
    assert ConnectionConfig(DatabaseType.POSTGRESQL, url, port=9).hosts == (Host("h1", 9), Host("h2", 2))
    assert ConnectionConfig(DatabaseType.POSTGRESQL, url, host="h3").hosts == (Host("h3", 1),)


def test_a_port_may_come_as_text_from_the_environment() -> None:
    given: Any = "5433"
    assert ConnectionConfig(DatabaseType.MYSQL, "mysql://h/d", port=given).port == 5433


@pytest.mark.parametrize("port", [0, -1, 65536, 10**30, "x", "", "١", "5432 ", True, 5432.0])
def test_a_port_that_is_none_is_refused(port: Any) -> None:
    with pytest.raises(ConfigError, match="port must be a number from 1 to 65535"):
        ConnectionConfig(DatabaseType.MYSQL, "mysql://h/d", port=port)


def test_the_type_may_be_given_by_its_value() -> None:
    kind: Any = "mysql"
    assert ConnectionConfig(kind, "mysql://h/d").database_type is DatabaseType.MYSQL


def test_an_unknown_type_is_refused() -> None:
    kind: Any = "oracle"
    with pytest.raises(ConfigError, match="not one of DatabaseType"):
        ConnectionConfig(kind, "sqlite://")


def test_a_type_that_is_not_the_urls_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^the database URL is for mysql, not for sqlite$"):
        ConnectionConfig(DatabaseType.SQLITE, "mysql://h/d")


@pytest.mark.parametrize("field", ["host", "username", "password", "database_name"])
@pytest.mark.parametrize(("value", "problem"), [("a\0b", "NUL"), ("\ud800", "Unicode"), (5, "is not a str")])
def test_a_field_that_no_driver_could_take_is_refused(field: str, value: Any, problem: str) -> None:
    fields: dict[str, Any] = {field: value}
    with pytest.raises(ConfigError, match=f"^{field} .*{problem}"):
        ConnectionConfig(DatabaseType.MYSQL, "mysql://h/d", **fields)


@pytest.mark.parametrize(
    ("url", "path"),
    [("data/x.db", "data/x.db"), ("/abs/x.db", "/abs/x.db"), (":memory:", ":memory:"), ("", ":memory:")],
)
def test_with_its_type_an_sqlite_path_needs_no_scheme(url: str, path: str) -> None:
    config = ConnectionConfig(DatabaseType.SQLITE, url)
    assert config.path == path
    assert config.database_name == path


def test_no_url_at_all_is_an_empty_one() -> None:
    url: Any = None
    assert ConnectionConfig(DatabaseType.SQLITE, url) == ConnectionConfig(DatabaseType.SQLITE, "")


def test_with_another_type_a_text_without_a_scheme_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^Unsupported database URL"):
        ConnectionConfig(DatabaseType.MYSQL, "localhost/shop")
    with pytest.raises(ConfigError, match=r"^Unsupported database URL"):
        ConnectionConfig(DatabaseType.SQLITE, "oracle://h/d")


def test_a_given_database_name_is_the_sqlite_file() -> None:
    config = ConnectionConfig(DatabaseType.SQLITE, "sqlite:///a.db", database_name="b.db")
    assert config.path == "b.db"


@pytest.mark.parametrize(
    ("url", "in_memory"),
    [
        ("sqlite://", True),
        ("sqlite:///:memory:", True),
        ("sqlite:///file::memory:?cache=shared", True),
        ("sqlite:///file:x?mode=memory", True),
        ("sqlite:///file:x?mode=ro", False),
        ("sqlite:///memory", False),
        ("duckdb://:memory:", True),
        ("postgresql://h/:memory:", False),
    ],
)
def test_in_memory_says_whether_there_is_a_file(url: str, in_memory: bool) -> None:
    assert ConnectionConfig.from_url(url).in_memory is in_memory


@pytest.mark.parametrize("given", ["on", "ON", "true", "yes", "1"])
def test_foreign_keys_can_be_said_in_several_ways(given: str) -> None:
    assert ConnectionConfig.from_url(f"sqlite://?foreign_keys={given}").options == {"foreign_keys": "on"}


@pytest.mark.parametrize("given", ["off", "False", "no", "0"])
def test_and_so_can_their_absence(given: str) -> None:
    assert ConnectionConfig.from_url(f"sqlite://?foreign_keys={given}").options == {"foreign_keys": "off"}


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("sqlite://?foreign_keys=perhaps", "the option foreign_keys must be on or off"),
        ("sqlite://?foreign_keys=", "the option foreign_keys must be on or off"),
        ("mysql://h/d?connect_timeout=soon", "the option connect_timeout must be a whole number of seconds"),
        ("postgresql://h/d?tls=perhaps", "the option tls must be one of verify-full, require, prefer, off"),
    ],
)
def test_a_wrong_value_of_an_option_is_refused_and_not_shown(url: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ConnectionConfig.from_url(url)
    assert str(caught.value) == problem


def test_the_masked_url_is_what_is_in_force_without_its_secrets() -> None:
    config = ConnectionConfig(DatabaseType.POSTGRESQL, f"{POSTGRESQL}&sslpassword=k3y", host="other")
    assert config.masked_url == "postgresql://ann:***@other:5433/shop?sslmode=require&sslpassword=***"
    assert repr(config) == str(config) == f"ConnectionConfig('{config.masked_url}')"


def test_replace_changes_a_field_and_keeps_the_rest() -> None:
    config = ConnectionConfig.from_url("postgresql://ann:s3cret@h1:1,h2:2/shop?sslmode=require")
    changed = dataclasses.replace(config, password="new", database_name="till")
    assert (changed.password, changed.database_name) == ("new", "till")
    assert (changed.username, changed.hosts, changed.options) == (config.username, config.hosts, config.options)
    assert config.password == "s3cret"


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, dataclasses.replace])
def test_a_copy_is_equal_and_complete(twin: Any) -> None:
    config = ConnectionConfig.from_url("postgresql://ann:s3cret@h1:1,h2:2/shop?sslmode=require")
    made = twin(config)
    assert made == config
    assert made is not config
    assert (made.password, made.database_url) == (config.password, config.database_url)
    assert (made.hosts, made.options, made.path) == (config.hosts, config.options, config.path)
    made.options["sslmode"] = "disable"
    assert config.options == {"sslmode": "require"}


def test_configurations_differ_by_their_passwords() -> None:
    config = ConnectionConfig.from_url(POSTGRESQL)
    assert dataclasses.replace(config, password="new") != config
    assert ConnectionConfig.from_url(POSTGRESQL) == config


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_leaves_the_password_out_and_loading_it_says_so(
    protocol: int, caplog: pytest.LogCaptureFixture
) -> None:
    config = ConnectionConfig(DatabaseType.POSTGRESQL, f"{POSTGRESQL}&sslpassword=k3y", password="n3w")
    pickled = pickle.dumps(config, protocol)
    assert not [secret for secret in (b"s3cret", b"k3y", b"n3w") if secret in pickled]
    loaded = pickle.loads(pickled)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "lost its password" in caplog.text
    assert loaded.password is None
    assert loaded.database_url == "postgresql://ann@db.example:5433/shop?sslmode=require"
    assert loaded.options == {"sslmode": "require"}
    assert (loaded.hosts, loaded.username, loaded.database_name) == (config.hosts, "ann", "shop")
    assert dataclasses.replace(loaded, password="n3w").password == "n3w"


@pytest.mark.parametrize("url", ["sqlite:///x%20y.db?foreign_keys=on", "postgres://ann@h/d", "mysql://h"])
def test_a_configuration_without_a_secret_is_pickled_whole(url: str, caplog: pytest.LogCaptureFixture) -> None:
    config = ConnectionConfig.from_url(url)
    loaded = pickle.loads(pickle.dumps(config))
    assert loaded == config
    assert loaded.database_url == url
    assert (loaded.hosts, loaded.options, loaded.path) == (config.hosts, config.options, config.path)
    assert caplog.records == []


def test_the_attributes_of_a_configuration_do_not_show_its_secrets() -> None:
    config = ConnectionConfig.from_url(POSTGRESQL)
    assert config.password == "s3cret"
    assert config.database_url == POSTGRESQL
    assert "s3cret" not in repr(vars(config))
