"""URLs to parts: every form that clients use, passwords as people paste them, and what is refused."""

import pytest

from nexusql.errors import ConfigError
from nexusql.url import Host, Parts, build_url, check_text, is_secret, parse_url, quote, unquote

CANARY = "S3CR%T;{}'\"@/#"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite://:memory:", ":memory:"),
        ("sqlite:///:memory:", ":memory:"),
        ("sqlite://", ":memory:"),
        ("sqlite:///", ":memory:"),
        ("sqlite:///rel", "rel"),
        ("sqlite:///data/rel.db", "data/rel.db"),
        ("sqlite:////abs/x.db", "/abs/x.db"),
        ("sqlite://path", "path"),
        ("sqlite://data/path.db", "data/path.db"),
        ("sqlite:///C:/data/x.db", "C:/data/x.db"),
        ("sqlite:///C:\\data\\x.db", "C:\\data\\x.db"),
        ("sqlite:///with%20blank%3F.db", "with blank?.db"),
        ("sqlite:///a b@c#d[1].db", "a b@c#d[1].db"),
        ("sqlite:///100%.db", "100%.db"),
        ("sqlite:///%2520", "%20"),
        ("sqlite:///file:x?mode=memory&cache=shared", "file:x?mode=memory&cache=shared"),
        ("sqlite:///file:/abs/x%20y?mode=ro", "file:/abs/x%20y?mode=ro"),
        ("sqlite:///file%3Ax", "./file:x"),
        ("duckdb:///x.duckdb", "x.duckdb"),
    ],
)
def test_the_path_of_a_file(url: str, path: str) -> None:
    parts = parse_url(url)
    assert parts.path == path
    assert parse_url(build_url(parts)) == parts


def test_options_of_nexusql_leave_an_sqlite_uri() -> None:
    parts = parse_url("sqlite:///file:x?mode=ro&foreign_keys=on&cache=shared")
    assert parts.path == "file:x?mode=ro&cache=shared"
    assert parts.options == {"foreign_keys": "on"}
    assert build_url(parts) == "sqlite:///file:x?mode=ro&cache=shared&foreign_keys=on"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://", Parts("postgresql")),
        ("postgresql:///db", Parts("postgresql", database="db")),
        ("postgresql://u@/db", Parts("postgresql", username="u", database="db")),
        ("postgresql://h", Parts("postgresql", hosts=(Host("h"),))),
        ("postgresql://h/", Parts("postgresql", hosts=(Host("h"),))),
        ("postgresql://h:5433", Parts("postgresql", hosts=(Host("h", 5433),))),
        ("postgresql://h:/db", Parts("postgresql", hosts=(Host("h"),), database="db")),
        ("postgresql://:5433/db", Parts("postgresql", hosts=(Host(None, 5433),), database="db")),
        ("mysql://u:@h", Parts("mysql", username="u", password="", hosts=(Host("h"),))),
        ("mysql://:p@h", Parts("mysql", password="p", hosts=(Host("h"),))),
        ("postgresql://me@srv:p@h", Parts("postgresql", username="me@srv", password="p", hosts=(Host("h"),))),
        ("postgresql://h/a/b", Parts("postgresql", hosts=(Host("h"),), database="a/b")),
        ("postgresql://h/a%40b%2Fc", Parts("postgresql", hosts=(Host("h"),), database="a@b/c")),
        ("postgresql://bücher.example/d", Parts("postgresql", hosts=(Host("bücher.example"),), database="d")),
        ("mssql://h\\SQLEXPRESS/d", Parts("mssql", hosts=(Host("h\\SQLEXPRESS"),), database="d")),
    ],
)
def test_the_parts_of_a_server_url(url: str, expected: Parts) -> None:
    assert parse_url(url) == expected
    assert parse_url(build_url(expected)) == expected


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://[::1]/d", (Host("::1"),)),
        ("postgresql://[2001:db8::7]:5433/d", (Host("2001:db8::7", 5433),)),
        ("postgresql://[::ffff:10.0.0.1]/d", (Host("::ffff:10.0.0.1"),)),
        ("postgresql://[fe80::1%25eth0]/d", (Host("fe80::1%eth0"),)),
        ("postgresql://[fe80::1%eth0]/d", (Host("fe80::1%eth0"),)),
        ("postgresql://u:p@h1:5432,h2:5433/d", (Host("h1", 5432), Host("h2", 5433))),
        ("postgresql://h1,[::1]:5,h3/d", (Host("h1"), Host("::1", 5), Host("h3"))),
        ("postgresql://h1,/d", (Host("h1"), Host())),
        ("postgresql:///d?host=/var/run/postgresql", (Host("/var/run/postgresql"),)),
        ("postgresql:///d?host=/tmp&port=5433", (Host("/tmp", 5433),)),
        ("postgresql://%2Fvar%2Frun/d", (Host("/var/run"),)),
        ("postgresql://%2Fvar%2Frun:5433/d", (Host("/var/run", 5433),)),
        ("postgresql:///d?host=h1,h2&port=1,2", (Host("h1", 1), Host("h2", 2))),
        ("postgresql:///d?host=h1,h2&port=7", (Host("h1", 7), Host("h2", 7))),
        ("postgresql://h1:1/d?host=h2", (Host("h2", 1),)),
        ("postgresql://h1,h2/d?port=1,2", (Host("h1", 1), Host("h2", 2))),
        ("postgresql:///d?port=5433", (Host(None, 5433),)),
        ("postgresql:///d?host=", ()),
    ],
)
def test_the_hosts_of_a_postgresql_url(url: str, hosts: tuple[Host, ...]) -> None:
    parts = parse_url(url)
    assert parts.hosts == hosts
    assert parse_url(build_url(parts)) == parts


def test_libpq_options_pass_through() -> None:
    query = (
        "target_session_attrs=read-write&options=-c%20geqo%3Doff%20-c%20x=1&application_name=a+b&sslmode=verify-full"
    )
    assert parse_url(f"postgresql://u:p@h1:5432,h2:5433/d?{query}").options == {
        "target_session_attrs": "read-write",
        "options": "-c geqo=off -c x=1",
        "application_name": "a+b",
        "sslmode": "verify-full",
    }


def test_options_that_say_what_the_front_says_win_as_libpq_has_it() -> None:
    parts = parse_url("postgresql://u:p@h/d?user=u2&password=p2&dbname=d2&host=h2&port=2")
    assert parts == Parts("postgresql", username="u2", password="p2", hosts=(Host("h2", 2),), database="d2")


@pytest.mark.parametrize("option", ["password", "passwd", "PWD"])
def test_a_password_among_the_options_is_the_password(option: str) -> None:
    parts = parse_url(f"mysql://u@h/d?{option}={quote(CANARY)}")
    assert parts.password == CANARY
    assert parts.options == {}


@pytest.mark.parametrize(
    "password",
    [
        CANARY,
        "p#w",
        "p/w",
        "p?w",
        "p:w",
        "p@w",
        "p[w",
        "p]w",
        "[::1]",
        "100%",
        "%",
        "%zz",
        "%ff",
        "%E4%",
        "a?b=c",
        "a?b#c/d:e@f[g",
        "p@h:1/x",
        "@",
        "@@",
        "/",
        "?",
        "#",
        ":",
        "::",
        "p&w=1",
        "pä€😀",
        " ",
        "\\",
    ],
)
@pytest.mark.parametrize("tail", ["h/d", "h:5433/d?sslmode=require", "h1,h2/d", "[::1]:5/d?a=b&c=d?e", "/d"])
def test_a_password_may_be_pasted_raw_or_encoded(password: str, tail: str) -> None:
    expected = parse_url(f"postgresql://u:p@{tail}")
    for written in (password, quote(password)):
        parts = parse_url(f"postgresql://u:{written}@{tail}")
        assert parts.password == password
        assert (parts.username, parts.hosts, parts.database) == ("u", expected.hosts, "d")
        assert parts.options == expected.options


def test_escapes_are_decoded_once() -> None:
    parts = parse_url("postgresql://%2575:%2540@h/%2525?application_name=%252B")
    assert (parts.username, parts.password, parts.database) == ("%75", "%40", "%25")
    assert parts.options == {"application_name": "%2B"}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://h:5432/d?user=me@corp",  # or is 5432/d?user=me the password of h at corp?
        "mysql://u:12?x=3@h/d",
        "postgresql://u:p@q?x=3@h/d",
    ],
)
def test_an_at_sign_behind_the_question_mark_that_could_end_a_password_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="ambiguous"):
        parse_url(url)


def test_an_at_sign_in_the_query_is_fine_where_no_host_follows_it() -> None:
    parts = parse_url("postgresql://h:5432/d?user=me@corp&sslmode=require")
    assert (parts.username, parts.options) == ("me@corp", {"sslmode": "require"})
    assert parse_url("postgresql://h:5432/d?user=me%40corp").username == "me@corp"


ODBC = "DRIVER={ODBC Driver 18 for SQL Server};SERVER=tcp:h,1433;DATABASE=d;UID=u;PWD={a;b}}c};Encrypt=yes;"
ODBC_PARTS = Parts(
    "mssql",
    username="u",
    password="a;b}c",
    hosts=(Host("h", 1433),),
    database="d",
)


@pytest.mark.parametrize(
    "url",
    [
        ODBC,
        ODBC.lower().replace("odbc driver 18 for sql server", "ODBC Driver 18 for SQL Server"),
        " Driver = {ODBC Driver 18 for SQL Server} ; Server = tcp:h,1433 ;database=d; uid=u; pwd={a;b}}c};encrypt=yes",
        f"mssql+pyodbc:///?odbc_connect={quote(ODBC)}",
        "mssql+pyodbc://u:a;b}c@h:1433/d?driver=ODBC+Driver+18+for+SQL+Server&Encrypt=yes",
    ],
)
def test_a_sql_server_may_be_named_in_odbcs_way(url: str) -> None:
    parts = parse_url(url)
    assert {name.lower(): value for name, value in parts.options.items()} == {
        "driver": "ODBC Driver 18 for SQL Server",
        "encrypt": "yes",
    }
    parts.options.clear()
    assert parts == ODBC_PARTS


def test_braces_are_ordinary_inside_an_odbc_value_and_doubled_in_a_braced_one() -> None:
    assert parse_url("DRIVER=x;PWD=a{b}").password == "a{b}"
    assert parse_url("DRIVER=x;PWD={a{b}}}").password == "a{b}"
    assert parse_url("DRIVER=x;PWD={};UID=u").password == ""
    assert parse_url("DRIVER=x;PWD=%00%41").password == "%00%41"


@pytest.mark.parametrize(
    ("server", "host"),
    [("h", Host("h")), ("h\\INST", Host("h\\INST")), ("h, 1433", Host("h", 1433)), ("tcp:h", Host("h"))],
)
def test_the_server_of_an_odbc_string(server: str, host: Host) -> None:
    assert parse_url(f"DRIVER=x;SERVER={server}").hosts == (host,)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("oracle://u:p@h/d", "Unsupported"),
        ("postgresql://u:p@h:0/d", "out of range"),
        ("postgresql://u:p@h:65536/d", "out of range"),
        ("postgresql://u:p@h:99999999999999999999/d", "out of range"),
        ("postgresql:///d?host=h&port=65536", "out of range"),
        ("postgresql:///d?port=x", "not a number"),
        ("postgresql:///d?host=a,b&port=1,2,3", "as many ports as hosts"),
        ("postgresql://u:p@h:x/d", "host or port"),
        ("postgresql://u:p", "host or port"),
        ("postgresql://u:p@[::1/d", "host or port"),
        ("postgresql://u:p@[x]/d", "host or port"),
        ("postgresql://u:p@h h/d", "host or port"),
        ("postgresql://u:p@h/d?sslmode", "name=value"),
        ("postgresql://u:p@h/d?=x", "name=value"),
        ("sqlite:///x.db?foreign_keys", "name=value"),
        ("postgresql://h/d?a=1&a=2", "given twice"),
        ("mysql://h/d?password=a&PWD=b", "more than one password"),
        ("mysql://h1,h2/d", "only a PostgreSQL URL"),
        ("mysql://u:%00@h/d", "NUL"),
        ("mysql://u:\0@h/d", "NUL"),
        ("sqlite:///a%00b", "NUL"),
        ("mysql://u:\ud800@h/d", "Unicode"),
        ("DRIVER={x", "name=value pairs"),
        ("DRIVER=x;=y", "name=value pairs"),
        ("DRIVER=x;uid=a;UID=b", "given twice"),
        ("DRIVER=x;SERVER=h,p", "not a number"),
        ("DRIVER=x;SERVER=h,70000", "out of range"),
        ("DRIVER=x;odbc_connect=y", "another one"),
    ],
)
def test_what_cannot_be_read_is_refused(url: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_url(url)


@pytest.mark.parametrize(
    ("parts", "url"),
    [
        (Parts("sqlite", path=":memory:"), "sqlite://:memory:"),
        (Parts("sqlite", path="/a/b?c%d"), "sqlite:////a/b%3Fc%25d"),
        (
            Parts("postgresql", "u", CANARY, (Host("h1", 1), Host("::1", 2)), "d/e"),
            "postgresql://u:S3CR%25T%3B%7B%7D%27%22%40%2F%23@h1:1,[::1]:2/d%2Fe",
        ),
    ],
)
def test_build_url_gives_the_canonical_form(parts: Parts, url: str) -> None:
    assert build_url(parts) == url
    assert parse_url(url) == parts


def test_a_masked_url_hides_every_secret() -> None:
    parts = parse_url("postgresql://u:pw@h/d?sslpassword=k1&application_name=a&oauth_client_secret=k2")
    masked = "postgresql://u:***@h/d?sslpassword=***&application_name=a&oauth_client_secret=***"
    assert build_url(parts, masked=True) == masked
    assert "k1" not in repr(parts)
    assert "k2" not in repr(parts.options)
    assert "'pw'" not in repr(parts)


@pytest.mark.parametrize(
    ("name", "secret"),
    [("password", True), ("SSLPassword", True), ("ssl_key_passphrase", True), ("AccessToken", True), ("sslkey", False)],
)
def test_secret_options_are_known_by_name(name: str, secret: bool) -> None:
    assert is_secret(name) is secret


@pytest.mark.parametrize(("text", "plain"), [("a%20b", "a b"), ("%e4%BA%ba", "人"), ("%C3", "%C3"), ("%2", "%2")])
def test_unquote_decodes_utf_8_and_leaves_the_rest(text: str, plain: str) -> None:
    assert unquote(text) == plain


@pytest.mark.parametrize(("text", "wrong"), [(None, False), ("", False), ("é", False), ("\0", True), (b"x", True)])
def test_check_text_judges_without_raising(text: object, wrong: bool) -> None:
    assert (check_text(text) is not None) is wrong
