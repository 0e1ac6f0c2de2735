"""No text makes the URL parser raise anything but ConfigError, and what it reads survives a round trip."""

import copy
import dataclasses

from hypothesis import example, given
from hypothesis import strategies as st

from nexusql.config import ConnectionConfig
from nexusql.errors import ConfigError
from nexusql.url import Host, Options, Parts, build_url, is_secret, parse_url, quote

STARTS = ("postgresql://", "mysql://", "mssql://", "sqlite://", "sqlite:///", "duckdb://", "DRIVER=x;", "")
PIECES = (
    *("u:p@", "h:5432", "/db", "?", "a=b", "&", "host=", "port=5432", "@", "%40", "%25", "%00", "%", "[::1]", "/", ","),
    *("file:", "mode=ro", ":memory:", "%3A", ";", "PWD={a}", "SERVER=", "password=", "user=", "dbname=", "\ud800", "é"),
    *("odbc_connect=DRIVER%3Dx%3B", "foreign_keys=on", "[fe80::1%25e]", "\\", "#", "  ", "+", "=", ":", "{", "}"),
)
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXT = st.text(CHARACTERS, max_size=12)
NAME = st.text(CHARACTERS, min_size=1, max_size=12)
urls = st.builds(
    lambda start, pieces: start + "".join(pieces),
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=14),
)
hosts = st.builds(Host, st.none() | NAME | st.just("::1") | st.just("/var/run"), st.none() | st.integers(1, 65535))
options = st.dictionaries(
    st.from_regex(r"\Ax[A-Za-z0-9_. -]{0,8}\Z").filter(lambda name: not is_secret(name)), TEXT, max_size=3
).map(Options)


def parse_or_refuse(url: str) -> Parts | ConfigError:
    try:
        return parse_url(url)
    except ConfigError as error:
        return error


@given(urls)
@example("postgresql://u:p@h:99999/d")
@example("DRIVER=x;SERVER=")
@example("sqlite:///file%3Aa%3Fb")
@example("postgresql:///?host=&port=")
@example("mssql://?odbc_connect=DRIVER%3Dx%3Bodbc_connect%3Dy")
def test_any_text_is_read_or_refused_with_a_config_error_and_read_back_the_same(url: str) -> None:
    parts = parse_or_refuse(url)
    if isinstance(parts, ConfigError):
        assert (parts.__cause__, parts.__context__) == (None, None)
        return
    canonical = build_url(parts)
    assert parse_url(canonical) == parts
    assert build_url(parse_url(canonical)) == canonical


@given(urls)
def test_a_configuration_from_any_text_keeps_it_and_copies_well(url: str) -> None:
    try:
        config = ConnectionConfig.from_url(url)
    except ConfigError:
        return
    assert config.database_url == url
    for twin in (copy.copy(config), copy.deepcopy(config), dataclasses.replace(config)):
        assert twin == config
        assert twin.hosts == config.hosts


@given(st.none() | NAME, st.none() | TEXT, st.lists(hosts, min_size=1, max_size=3), st.none() | NAME, options)
def test_any_parts_survive_being_written_as_a_postgresql_url(
    username: str | None, password: str | None, servers: list[Host], database: str | None, given_options: Options
) -> None:
    named = () if servers == [Host()] else tuple(servers)
    parts = Parts("postgresql", username, password, named, database, None, given_options)
    assert parse_url(build_url(parts)) == parts


@given(TEXT)
def test_a_password_is_decoded_exactly_once(password: str) -> None:
    assert parse_url(f"mysql://u:{quote(password)}@h/d").password == password
    assert parse_url(f"mysql://u:{quote(quote(password))}@h/d").password == quote(password)


@given(NAME.filter(lambda text: not text.startswith("file:") and text != ":memory:"))
def test_any_path_survives_being_written_as_an_sqlite_url(path: str) -> None:
    parts = Parts("sqlite", path=path)
    assert parse_url(build_url(parts)) == parts


@given(st.text(CHARACTERS, min_size=6, max_size=20), urls)
def test_no_error_and_no_repr_shows_the_password(secret: str, tail: str) -> None:
    secret = f"<{secret}>"  # no word of an error message looks like this
    try:
        shown = repr(ConnectionConfig.from_url(f"postgresql://u:{quote(secret)}@{tail}"))
    except ConfigError as error:
        shown = repr(error)
    assert secret not in shown
    assert quote(secret) not in shown
