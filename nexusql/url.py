"""Database URLs to their parts, and back.

``scheme://[user[:password]@][host[:port][,host[:port]..]][/database][?name=value[&name=value..]]``

The parser is nexusql's own: the standard library's leaves a password encoded, shows parts of it in its errors, and
knows no lists of hosts. Passwords come as people paste them, with raw ``# / ? : @ [ %``, so these rules decide:

- The query starts at the first ``?`` after which all is ``name=value`` pairs and before which the host is well-formed.
- The user ends at the last ``@`` in front of the query, the user's name at its first ``:``. An ``@`` in the name of a
  database has therefore to be written ``%40``, and so has one in the query, where it could end a password as well.
- Every ``%XX`` is decoded once, as UTF-8. What is no escape, or gives no UTF-8, stays as it is.
- ``+`` is a blank in the query of a SQL Server URL, where ODBC URLs have it so, and itself everywhere else.

No error of this module shows any part of the URL: where a password begins is just what a broken URL does not tell.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from nexusql import odbc
from nexusql.errors import ConfigError

DIALECTS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
    "mssql": "mssql",
    "duckdb": "duckdb",
    "cloudflare_d1": "cloudflare_d1",
}
MEMORY = ":memory:"

_FILES = frozenset({"sqlite", "duckdb"})
_SECRET_WORDS = (
    *("password", "passwd", "passphrase", "pwd", "secret", "token", "credential", "client_key"),
    *("clientkey", "clientcertificate"),  # ODBC: may name a file and its password
)
_PASSWORD_OPTIONS = frozenset({"password", "passwd", "pwd"})
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# SQLite reads these from its own URI (sqlite.org/uri.html), so they stay in it.
_URI_PARAMETERS = frozenset({"cache", "immutable", "mode", "modeof", "nolock", "psow", "vfs"})

# Patterns are compiled when they are first used: importing this module is part of importing nexusql.
_ESCAPES = "(?:%[0-9A-Fa-f]{2})+"
_OPTION_NAME = "[A-Za-z_](?:[A-Za-z0-9_. -]|%20)*"
_ADDRESS = r"\[(?P<address>[0-9A-Fa-f:.]+(?:%[\w.%-]+)?)\]"
_NAME = r"""(?P<name>(?:[^\s\x00-\x1f\x7f:/?#@\[\]%,;&='"<>{}|^`]|%[0-9A-Fa-f]{2})*)"""
_HOST = f"(?:{_ADDRESS}|{_NAME})(?::(?P<port>[0-9]*))?"


class Host(NamedTuple):
    """One server; None stands for the driver's default. A name that starts with ``/`` is a folder of Unix sockets."""

    name: str | None = None
    port: int | None = None


class Options(dict[str, str]):
    """Options by name; the values of those that are secrets by their name are not shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr({name: "***" if is_secret(name) else value for name, value in self.items()})


@dataclass(slots=True)
class Parts:
    """What a URL says. `path` is the file of an SQLite or DuckDB URL, or ``:memory:``; None for a server."""

    dialect: str
    username: str | None = field(default=None)
    password: str | None = field(default=None, repr=False)
    hosts: tuple[Host, ...] = ()
    database: str | None = None
    path: str | None = None
    options: Options = field(default_factory=Options)


def is_secret(name: str) -> bool:
    """True where an option of this name holds a secret."""
    return any(word in name.lower() for word in _SECRET_WORDS)


def dialect_of(url: object) -> str | None:
    """The database that a URL is for, by its scheme; None where there is none such."""
    if not isinstance(url, str):
        return None
    if odbc.is_odbc(url):
        return "mssql"
    scheme, separator, _ = url.partition("://")
    return DIALECTS.get(scheme.partition("+")[0].lower()) if separator else None


def unsupported(url: object) -> ConfigError:
    """The error for what is no URL of a database that nexusql knows."""
    if isinstance(url, str):
        need = f"must start with one of {', '.join(DIALECTS)}, and ://; a SQLite file is sqlite:///name.db"
    else:
        need = f"must be a str, not {type(url).__name__}"
    return ConfigError(f"Unsupported database URL: it {need}")


def parse_url(url: str) -> Parts:
    """The parts of a URL, or of an ODBC connection string. Raises ConfigError, without any part of the URL."""
    try:
        return _parse(url)
    except ConfigError as error:
        problem = str(error)
    finally:
        del url
    # Raised anew, so that the traceback holds no frame that holds the URL.
    raise ConfigError(problem)


def check_text(text: object) -> str | None:
    """What is wrong with a part of a URL, None where nothing is; it goes on "the database name ..".

    A result and no error, so that no traceback has a frame that holds the text.
    """
    if text is None:
        return None
    if not isinstance(text, str):
        return "is not a str"
    if "\x00" in text:
        return "holds a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode"
    return None


def build_url(parts: Parts, *, masked: bool = False) -> str:
    """The canonical URL of parts: ``parse_url(build_url(parts)) == parts``; each secret is ``***`` if `masked`."""

    def hide(secret: str) -> str:
        return "***" if masked else quote(secret)

    query = "&".join(
        f"{quote(name)}={hide(value) if is_secret(name) else quote(value)}" for name, value in parts.options.items()
    )
    if parts.path is not None:
        return _file_url(parts.dialect, parts.path, query)
    user = ""
    if parts.username is not None or parts.password is not None:
        password = "" if parts.password is None else f":{hide(parts.password)}"
        user = f"{quote(parts.username or '')}{password}@"
    hosts = ",".join(_host_text(host) for host in parts.hosts)
    database = "" if parts.database is None else f"/{quote(parts.database)}"
    return f"{parts.dialect}://{user}{hosts}{database}{'?' if query else ''}{query}"


def quote(text: str) -> str:
    """Percent-encode all but letters, digits and ``-._~``."""
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in text.encode())


def unquote(text: str) -> str:
    """Decode percent-escapes, once; what is no escape or gives no UTF-8 stays."""
    return re.sub(_ESCAPES, _decoded, text)


def _decoded(escapes: "re.Match[str]") -> str:
    try:
        return bytes.fromhex(escapes[0].replace("%", "")).decode()
    except UnicodeDecodeError:
        return escapes[0]


def _parse(url: str) -> Parts:
    dialect = dialect_of(url)
    if dialect is None:
        raise unsupported(url)
    problem = check_text(url)
    if problem:
        raise ConfigError(f"the database URL {problem}")
    if odbc.is_odbc(url):
        return _from_odbc(url)
    if "%00" in url:
        raise ConfigError("the database URL holds a NUL character")
    rest = url.partition("://")[2]
    if dialect in _FILES:
        return _parse_file(dialect, rest)
    return _parse_server(dialect, rest)


# Files


def _parse_file(dialect: str, rest: str) -> Parts:
    """``//path`` and ``///path`` are the same relative path, ``////path`` is an absolute one; none is in memory."""
    text, _, query = rest.partition("?")
    text = text[1:] if text.startswith("/") else text
    options = _read_query(query, plus=False)
    if options is None:
        raise ConfigError("what follows the '?' of the database URL is not name=value pairs")
    if text.startswith("file:"):
        # SQLite's own URI decodes itself and takes its parameters from its own query.
        kept = "&".join(pair for pair in query.split("&") if unquote(pair.partition("=")[0]) in _URI_PARAMETERS)
        path = f"{text}?{kept}" if kept else text
        options = Options((name, value) for name, value in options.items() if name not in _URI_PARAMETERS)
    else:
        path = unquote(text) or MEMORY
        if path.startswith("file:"):
            path = f"./{path}"  # a file of that name after all, for its colon was written %3A
    return Parts(dialect, path=path, options=options)


def _file_url(dialect: str, path: str, query: str) -> str:
    if path.startswith("file:"):
        path, _, own = path.partition("?")
        query = "&".join(filter(None, (own, query)))
        return f"{dialect}:///{path}{'?' if query else ''}{query}"
    text = MEMORY if path == MEMORY else f"/{path.replace('%', '%25').replace('?', '%3F')}"
    return f"{dialect}://{text}{'?' if query else ''}{query}"


# Servers


def _parse_server(dialect: str, rest: str) -> Parts:
    body, options = _split_query(rest, plus=dialect == "mssql")
    user, _, location = body.rpartition("@")
    hosts_text, _, database = location.partition("/")
    if "?" in database:
        raise ConfigError("what follows the '?' of the database URL is not name=value pairs")
    hosts = _read_hosts(hosts_text)
    if hosts is None:
        raise ConfigError("the host or port of the database URL cannot be read; percent-encode special characters")
    username, colon, password = user.partition(":")
    parts = Parts(
        dialect,
        username=unquote(username) or None,
        password=unquote(password) if colon else None,
        hosts=hosts,
        database=unquote(database) or None,
        options=options,
    )
    connection_string = options.pop("odbc_connect", None) if dialect == "mssql" else None
    if connection_string is not None:
        parts = _from_odbc(connection_string)
        parts.options.update(options)
    _take_options(parts)
    _check(parts)
    return parts


def _split_query(rest: str, plus: bool) -> tuple[str, Options]:
    """What is before the query, and the query's options."""
    start = rest.find("?")
    while start >= 0:
        body, query = rest[:start], rest[start + 1 :]
        options = _read_query(query, plus)
        if options is not None and _hosts_after_user(body) is not None:
            if "@" in query and _hosts_after_user(rest) is not None:
                raise ConfigError("an '@' after the '?' of the database URL is ambiguous; percent-encode one of them")
            return body, options
        start = rest.find("?", start + 1)
    return rest, Options()


def _hosts_after_user(text: str) -> tuple[Host, ...] | None:
    return _read_hosts(re.split("[/?]", text.rpartition("@")[2], maxsplit=1)[0])


def _read_query(query: str, plus: bool) -> Options | None:
    """The options of a query, None where it is not name=value pairs."""
    options = Options()
    for pair in query.split("&") if query else ():
        name, separator, value = (pair.replace("+", " ") if plus else pair).partition("=")
        if not separator or not re.fullmatch(_OPTION_NAME, name):
            return None
        name = unquote(name)
        if name in options:
            raise ConfigError("an option of the database URL is given twice")
        options[name] = unquote(value)
    return options


def _read_hosts(text: str) -> tuple[Host, ...] | None:
    """The hosts of a list, None where it is none; ports may still be out of range."""
    hosts = []
    for item in text.split(","):
        found = re.fullmatch(_HOST, item)
        if found is None:
            return None
        name = unquote(found["address"] or found["name"])
        hosts.append(Host(name or None, _port(found["port"])))
    return _named(hosts)


def _named(hosts: list[Host]) -> tuple[Host, ...]:
    """The hosts; none where the only one says nothing."""
    return () if hosts == [Host()] else tuple(hosts)


def _port(text: str | None) -> int | None:
    return int(text[:6]) if text else None


def _host_text(host: Host) -> str:
    name = host.name or ""
    is_address = ":" in name and re.fullmatch(_ADDRESS, f"[{name}]")
    text = "[" + name.replace("%", "%25") + "]" if is_address else quote(name)
    return text if host.port is None else f"{text}:{_port_text(host)}"


def _port_text(host: Host) -> str:
    return "" if host.port is None else str(host.port)


def _take_options(parts: Parts) -> None:
    """Move the options that say what the front of a URL says, as libpq has it: the query wins."""
    options = parts.options
    given = [name for name in options if name.lower() in _PASSWORD_OPTIONS]
    if len(given) > 1:
        raise ConfigError("the options of the database URL hold more than one password")
    for name in given:
        parts.password = options.pop(name)
    if parts.dialect != "postgresql":
        return
    parts.username = options.pop("user", parts.username) or None
    parts.database = options.pop("dbname", parts.database) or None
    if "host" in options or "port" in options:
        names = options.pop("host").split(",") if "host" in options else [host.name or "" for host in parts.hosts]
        ports = options.pop("port").split(",") if "port" in options else [_port_text(host) for host in parts.hosts]
        parts.hosts = _pair_hosts(names or [""], ports)


def _pair_hosts(names: list[str], ports: list[str]) -> tuple[Host, ...]:
    if len(ports) <= 1:
        ports = (ports or [""]) * len(names)
    if len(ports) != len(names):
        raise ConfigError("the database URL has not as many ports as hosts")
    if not all(re.fullmatch("[0-9]*", port) for port in ports):
        raise ConfigError("a port of the database URL is not a number")
    return _named([Host(name or None, _port(port)) for name, port in zip(names, ports, strict=True)])


def _check(parts: Parts) -> None:
    if len(parts.hosts) > 1 and parts.dialect != "postgresql":
        raise ConfigError("only a PostgreSQL URL may name several hosts")
    if any(host.port is not None and not 0 < host.port < 65536 for host in parts.hosts):
        raise ConfigError("a port of the database URL is out of range; it must be from 1 to 65535")


def _from_odbc(text: str) -> Parts:
    """The parts of an ODBC connection string; attributes that have no place of their own are options."""
    attributes = odbc.read_attributes(text)
    parts = Parts("mssql")
    for name, value in attributes.items():
        keyword = name.lower()
        if keyword in ("uid", "user", "user id"):
            parts.username = value or None
        elif keyword in ("pwd", "password"):
            parts.password = value
        elif keyword in ("database", "initial catalog"):
            parts.database = value or None
        elif keyword in ("server", "address", "addr", "data source"):
            parts.hosts = _named([_odbc_host(value)])
        elif keyword == "odbc_connect":
            raise ConfigError("an ODBC connection string cannot hold another one")
        else:
            parts.options[name] = value
    _check(parts)
    return parts


def _odbc_host(value: str) -> Host:
    name, comma, port = value.removeprefix("tcp:").rpartition(",")
    if not comma:
        return Host(port or None)
    if not re.fullmatch(r"\s*[0-9]+\s*", port):
        raise ConfigError("the port in SERVER of the ODBC connection string is not a number")
    return Host(name or None, _port(port.strip()))
