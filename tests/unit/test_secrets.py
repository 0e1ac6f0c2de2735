"""A password is in no error, log, repr, pickle, warning or traceback, whatever goes wrong and however it is written."""

import asyncio
import copy
import dataclasses
import html
import json
import logging
import pickle
import pprint
import re
import socket
import traceback
import urllib.parse
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import psycopg2.errors
import pymysql.err
import pytest

import servers
from nexusql import DatabaseManager, errors
from nexusql.backends.errors import driver_error
from nexusql.config import ConnectionConfig, DatabaseType, Secret
from nexusql.errors import ConfigError, Error
from nexusql.url import build_url, parse_url, quote
from proxy import FaultProxy
from throwaway import Postgres

# The first is the plan's canary; in the second every special character stands between two marks, so that any piece of
# it is found. MARKS matches a piece of either, in any of the ways in which one could be written.
PASSWORDS = ("S3CR%T;{}'\"@/#", "Zq1:Zq2@Zq3/Zq4?Zq5#Zq6[Zq7%Zq8&Zq9=Zq0")
MARKS = re.compile(r"S3CR|%T;|%25T|Zq\d")
RAW = list(PASSWORDS)
ENCODED = [quote(password) for password in PASSWORDS]
PORT_OF_NOBODY = 1
SERVERS = ("postgresql", "mysql")


class Case:
    """A URL with a password in it; where a traceback shows local variables it shows this, not the URL."""

    def __init__(self, kind: str, written: str, tail: str, front: str = "u") -> None:
        self.name = f"{kind}-{'raw' if written in RAW else 'encoded'}-{tail}"
        self.url = f"{kind}://{front}:{written}@{tail}"


def cases(*tails: str, kinds: tuple[str, ...] = SERVERS) -> pytest.MarkDecorator:
    """Each tail for each kind of server with each password, raw and encoded."""
    made = [Case(kind, written, tail) for kind in kinds for written in (*RAW, *ENCODED) for tail in tails]
    return pytest.mark.parametrize("case", made, ids=lambda case: case.name)


def caught(call: Callable[[], Any]) -> BaseException:
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that stands behind it, shown by default or not."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        link = waiting.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [link.__cause__, link.__context__]


def shown_error(error: BaseException) -> str:
    """All that can be seen of an error by whoever logs it."""
    seen = []
    for link in chain(error):
        seen += [repr(link), str(link), repr(link.args), repr(vars(link))]
        seen += traceback.TracebackException(type(link), link, link.__traceback__, capture_locals=True).format()
    seen.append(repr(pickle.dumps(error)))
    return "\n".join(seen)


def shown_config(config: ConnectionConfig) -> str:
    """All that can be seen of a configuration by whoever prints, logs or stores it."""
    return "\n".join(
        [
            repr(config),
            str(config),
            f"{config}",
            config.masked_url,
            repr(vars(config)),
            pprint.pformat(config),
            pprint.pformat(vars(config)),
            repr(config.options),
            repr([pickle.dumps(config, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]),
            repr(copy.copy(config)),
            repr(copy.deepcopy(config)),
            repr(dataclasses.replace(config, port=7)),
        ]
    )


def check_hidden(text: str) -> None:
    found = MARKS.search(text)
    assert found is None, f"a secret is shown: {text[max(found.start() - 200, 0) : found.end() + 40]!r}"


@pytest.fixture
def output(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What was logged at any level, warned of, or printed since the test began."""
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as caught_warnings:
        warnings.simplefilter("always")

        def so_far() -> str:
            printed = capfd.readouterr()
            records = [repr(vars(record)) for record in caplog.records]
            return "\n".join([caplog.text, *records, *map(str, caught_warnings), printed.out, printed.err])

        yield so_far
        check_hidden(so_far())


def test_the_marks_find_the_passwords_however_they_are_written() -> None:
    for password in PASSWORDS:
        assert parse_url(f"mysql://u:{quote(password)}@h").password == password
        for form in (
            password,
            quote(password),
            urllib.parse.quote_plus(password),
            urllib.parse.unquote(password),
            repr(password),
            json.dumps(password),
            html.escape(password),
            repr(password.encode()),
        ):
            assert MARKS.search(form)


def test_and_a_traceback_that_shows_one_is_noticed() -> None:
    def careless(url: str) -> None:
        raise ValueError(len(url))

    case = Case("mysql", RAW[0], "h/d")
    with pytest.raises(AssertionError, match="a secret is shown"):
        check_hidden(shown_error(caught(lambda: careless(case.url))))


# Configurations


@cases("h/d", "h:5433/d?sslmode=require&sslpassword=Zq1&application_name=x", "[::1]:7", kinds=("postgresql",))
def test_a_configuration_shows_no_secret(case: Case, output: Callable[[], str]) -> None:
    config = ConnectionConfig.from_url(case.url)
    assert config.password in PASSWORDS
    assert config.database_url == case.url
    check_hidden(shown_config(config))
    pickle.loads(pickle.dumps(config))
    check_hidden(output())


@pytest.mark.parametrize("password", PASSWORDS)
def test_neither_does_one_made_of_fields(password: str) -> None:
    config = ConnectionConfig(DatabaseType.MYSQL, "", "h", 3306, "u", password, "d")
    assert config.password == password
    check_hidden(shown_config(config))


@pytest.mark.parametrize("password", PASSWORDS)
def test_nor_one_of_an_odbc_string(password: str) -> None:
    braced = password.replace("}", "}}")
    for url in (
        f"DRIVER=x;SERVER=h;UID=u;PWD={{{braced}}};AccessToken={{{braced}}}",
        f"mssql://?odbc_connect={quote(f'DRIVER=x;PWD={{{braced}}}')}",
    ):
        config = ConnectionConfig.from_url(url)
        assert config.password == password
        check_hidden(shown_config(config))


@pytest.mark.parametrize("written", [*RAW, *ENCODED])
@pytest.mark.parametrize(
    "broken",
    [
        "oracle://u:{}@h/d",
        "postgresql:u:{}@h/d",
        "postgresql://u:{}@h:99999/d",
        "postgresql://u:{}@h:x/d",
        "postgresql://u:{}@h h/d",
        "postgresql://u:{}@[::1/d",
        "postgresql://u:{}@h/d?sslmode",
        "postgresql://u:{}@h/d?a=1&a=2",
        "postgresql://u:{}@h/d?tls=perhaps",
        "postgresql://u:{}@h/d?connect_timeout=soon",
        "postgresql://u:{}@h,h/d?port=1,2,3",
        "postgresql://u:{}@h/d%00",
        "postgresql://u:{}\0@h/d",
        "postgresql://u:{}\ud800@h/d",
        "mysql://u:{}@h1,h2/d",
        "mysql://u@h/d?password={}&pwd={}",
        "DRIVER=x;PWD={{{}",
        "DRIVER=x;PWD={};PWD={}",
        "DRIVER=x;SERVER=h,{}",
    ],
)
def test_a_url_that_is_refused_is_not_shown(broken: str, written: str, output: Callable[[], str]) -> None:
    hidden = Secret(broken.replace("{{", "{").replace("{}", written))
    for call in (
        lambda: ConnectionConfig.from_url(hidden.value),
        lambda: ConnectionConfig(DatabaseType.POSTGRESQL, hidden.value),
        lambda: DatabaseManager(hidden.value),
    ):
        error = caught(call)
        assert isinstance(error, ConfigError)
        check_hidden(shown_error(error))
    check_hidden(output())


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_that_is_refused_is_not_shown(password: str) -> None:
    hidden = Secret(password)
    for call in (
        lambda: ConnectionConfig(DatabaseType.MYSQL, "mysql://h/d", password=f"{hidden.value}\0"),
        lambda: ConnectionConfig(DatabaseType.SQLITE, "mysql://h/d", password=hidden.value),
        lambda: ConnectionConfig(DatabaseType.MYSQL, "mysql://h/d", port=70000, password=hidden.value),
        lambda: ConnectionConfig(DatabaseType.MYSQL, "mysql://h/d", password=hidden.value.encode()),  # type: ignore[arg-type]
    ):
        check_hidden(shown_error(caught(call)))


def test_the_parts_of_a_url_hide_its_password_in_repr_and_in_the_masked_form() -> None:
    for password in PASSWORDS:
        parts = parse_url(f"postgresql://u:{quote(password)}@h/d?sslpassword={quote(password)}")
        check_hidden(repr(parts))
        check_hidden(build_url(parts, masked=True))


# Errors of the drivers


def as_psycopg2_fails(password: str) -> None:
    raise psycopg2.OperationalError('FATAL:  password authentication failed for user "u"')


def as_pymysql_fails(password: str) -> None:
    try:
        raise OSError("Connection refused")
    except OSError as error:
        failure = pymysql.err.OperationalError(2003, "Can't connect to MySQL server on 'h'")
        vars(failure)["original_exception"] = error
        raise failure from None


@pytest.mark.parametrize("fail", [as_psycopg2_fails, as_pymysql_fails])
def test_an_error_of_a_driver_comes_without_the_frames_in_which_it_knew_the_password(
    fail: Callable[[str], None],
) -> None:
    hidden = Secret(PASSWORDS[0])
    original = caught(lambda: fail(hidden.value))
    assert isinstance(original, Exception)
    assert MARKS.search(shown_error(original))

    def connecting() -> None:
        raise driver_error(errors.OperationalError, original) from original

    error = caught(connecting)
    assert isinstance(error, type(original))
    check_hidden(shown_error(error))


# The manager


def check_connecting_shows_nothing(case: Case, output: Callable[[], str], **options: Any) -> Error:
    """Connect in every way there is and look at all that comes of it; the error."""
    db = DatabaseManager(case.url, **options)
    assert db.connect() is False
    assert asyncio.run(db.initialize()) is False
    error = caught(lambda: db.connect(raise_errors=True))
    assert isinstance(error, Error)
    check_hidden(shown_error(error))
    check_hidden(shown_error(caught(db.__enter__)))
    check_hidden(shown_error(caught(lambda: db.execute("SELECT 1"))))
    check_hidden(shown_config(db.config))
    check_hidden(f"{db!r} {db}")
    check_hidden(repr(vars(db)))
    check_hidden(output())
    return error


@cases(f"127.0.0.1:{PORT_OF_NOBODY}/d")
def test_a_server_that_is_not_there(case: Case, output: Callable[[], str]) -> None:
    error = check_connecting_shows_nothing(case, output)
    assert isinstance(error, (psycopg2.OperationalError, pymysql.err.OperationalError))
    assert re.search("[Cc]onnection refused|Can't connect", str(error))


@cases("no-such-host.invalid/d")
def test_a_name_that_nobody_has(case: Case, output: Callable[[], str]) -> None:
    error = check_connecting_shows_nothing(case, output)
    assert "no-such-host.invalid" in str(error)


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_that_says_nothing(kind: str, output: Callable[[], str]) -> None:
    with FaultProxy(("127.0.0.1", PORT_OF_NOBODY)) as silent:
        silent.deaf()
        for written in RAW:
            case = Case(kind, written, f"127.0.0.1:{silent.port}/d")
            check_connecting_shows_nothing(case, output, connect_timeout=0.3)


@pytest.mark.parametrize("written", [*RAW, *ENCODED])
@pytest.mark.parametrize(("kind", "other"), [SERVERS, SERVERS[::-1]])
def test_a_server_that_speaks_another_language(kind: str, other: str, written: str, output: Callable[[], str]) -> None:
    servers.require(other)
    host, port = parse_url(servers.server_url(other)).hosts[0]
    check_connecting_shows_nothing(Case(kind, written, f"{host}:{port}/d"), output, connect_timeout=0.3)


@cases("127.0.0.1:1/d?no_such_option=1")
def test_an_option_that_is_refused(case: Case, output: Callable[[], str]) -> None:
    assert isinstance(check_connecting_shows_nothing(case, output), ConfigError)


@cases("127.0.0.1:1/d?sslcert=/nonexistent/cert&sslmode=require", kinds=("postgresql",))
def test_an_option_of_libpq_that_fails(case: Case, output: Callable[[], str]) -> None:
    check_connecting_shows_nothing(case, output)


@cases("127.0.0.1:1/d?sslkeylogfile=/tmp/keys&min_protocol_version=9", kinds=("postgresql",))
def test_an_option_that_this_libpq_may_not_know(case: Case, output: Callable[[], str]) -> None:
    check_connecting_shows_nothing(case, output)


def test_a_database_that_cannot_be_connected_to_yet(output: Callable[[], str]) -> None:
    error = check_connecting_shows_nothing(Case("cloudflare_d1", RAW[0], "h/d"), output)
    assert isinstance(error, errors.NotSupportedError)


@pytest.mark.parametrize("written", [*RAW, *ENCODED])
def test_sql_server_that_is_not_there_or_has_no_driver(written: str, output: Callable[[], str]) -> None:
    error = check_connecting_shows_nothing(Case("mssql", written, "127.0.0.1:1/d"), output)
    assert isinstance(error, (errors.OperationalError, errors.InterfaceError))


@pytest.mark.parametrize("written", [*RAW, *ENCODED])
@pytest.mark.parametrize("kind", SERVERS)
def test_a_user_that_the_server_does_not_let_in(kind: str, written: str, output: Callable[[], str]) -> None:
    servers.require(kind)
    host, port = parse_url(servers.server_url(kind)).hosts[0]
    case = Case(kind, written, f"{host}:{port}/test", front="nobody_here")
    error = check_connecting_shows_nothing(case, output)
    assert "nobody_here" in str(error)


@pytest.fixture(scope="module")
def strict_server() -> Iterator[Postgres]:
    """A PostgreSQL server that asks `ann` for her password, the first of PASSWORDS."""
    server = Postgres()
    with server:
        with server.cursor() as cursor:
            cursor.execute("CREATE ROLE ann LOGIN PASSWORD %s", (PASSWORDS[0],))
            rules = "host all ann 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
            (server.folder / "data" / "pg_hba.conf").write_text(rules)
            cursor.execute("SELECT pg_reload_conf()")
        wait_until_asked(server)
        yield server


def wait_until_asked(server: Postgres) -> None:
    """The rules hold from when the server has read them."""
    for _ in range(100):
        try:
            psycopg2.connect(host="127.0.0.1", port=server.port, user="ann", dbname="postgres").close()
        except psycopg2.OperationalError:
            return
    raise AssertionError("the server does not ask for a password")


def test_a_wrong_password(strict_server: Postgres, output: Callable[[], str]) -> None:
    for written in (RAW[1], ENCODED[1]):
        case = Case("postgresql", written, f"127.0.0.1:{strict_server.port}/postgres", front="ann")
        error = check_connecting_shows_nothing(case, output)
        assert 'password authentication failed for user "ann"' in str(error)


@pytest.mark.parametrize("written", [RAW[0], ENCODED[0]])
def test_the_right_password_is_given_to_the_server_and_to_nobody_else(
    strict_server: Postgres, written: str, output: Callable[[], str]
) -> None:
    case = Case("postgresql", written, f"127.0.0.1:{strict_server.port}/postgres", front="ann")
    with DatabaseManager(case.url) as db:
        assert db.fetch_value("SELECT current_user") == "ann"
        check_hidden(shown_error(caught(lambda: db.execute("SELECT nothing"))))
        check_hidden(shown_error(caught(lambda: db.execute("SELECT :a", {}))))
        check_hidden(shown_error(caught(lambda: db.run_script("SELECT 1; SELECT nothing"))))
        check_hidden(repr(asyncio.run(db.execute_script("SELECT nothing"))))
        check_hidden(shown_error(caught(lambda: db.run_in_transaction(lambda tx: tx.execute("SELECT nothing")))))
        check_hidden(f"{db!r} {db} {vars(db)!r} {vars(db._connection)!r}")
        check_hidden(shown_config(db.config))
    check_hidden(output())


def test_a_configuration_that_lost_its_password_is_refused_by_the_server(
    strict_server: Postgres, output: Callable[[], str]
) -> None:
    case = Case("postgresql", ENCODED[0], f"127.0.0.1:{strict_server.port}/postgres", front="ann")
    config = pickle.loads(pickle.dumps(ConnectionConfig.from_url(case.url)))
    assert "lost its password" in output()
    error = caught(lambda: DatabaseManager(config).connect(raise_errors=True))
    assert "no password supplied" in str(error)
    whole = dataclasses.replace(config, password=PASSWORDS[0])
    with DatabaseManager(whole) as db:
        assert db.fetch_value("SELECT 1") == 1


def test_nobody_listens_on_the_port_of_nobody() -> None:
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", PORT_OF_NOBODY)) != 0
