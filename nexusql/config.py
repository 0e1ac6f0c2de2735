"""Which database, and how to reach it: DatabaseType and ConnectionConfig."""

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar, overload

from nexusql.errors import ConfigError
from nexusql.url import (
    MEMORY,
    Host,
    Options,
    Parts,
    build_url,
    check_text,
    dialect_of,
    is_secret,
    parse_url,
    unsupported,
)

T = TypeVar("T")

_SWITCH = {"on": "on", "true": "on", "yes": "on", "1": "on", "off": "off", "false": "off", "no": "off", "0": "off"}
_TLS = ("verify-full", "require", "prefer", "off")


class DatabaseType(Enum):
    """The databases that a URL can name."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"
    MYSQL = "mysql"
    MSSQL = "mssql"
    DUCKDB = "duckdb"
    CLOUDFLARE_D1 = "cloudflare_d1"


class Secret(Generic[T]):
    """A value that does not show itself."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "***"


class Concealed(Generic[T]):
    """An attribute stored as a Secret, so that no dump of its object's attributes shows it."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_{name}"

    @overload
    def __get__(self, instance: None, owner: type) -> "Concealed[T]": ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> "Concealed[T] | T":
        if instance is None:
            raise AttributeError(self._name)  # a dataclass takes that for a field without a default
        secret: Secret[T] = vars(instance)[self._name]
        return secret.value

    def __set__(self, instance: object, value: T) -> None:
        vars(instance)[self._name] = Secret(value)


@dataclass(init=False, repr=False)
class ConnectionConfig:
    """One database and how to reach it.

    From a URL or an ODBC connection string (nexusql.url has the rules), or from fields and an empty URL; fields that
    are given win over the URL's. Afterwards the fields hold what is in force, and so do `hosts`, all servers of a
    multi-host PostgreSQL URL, `options`, the URL's query by name (for SQL Server the ODBC attributes), and `path`, the
    file of SQLite or DuckDB or ``:memory:``, which is their `database_name` too.

    The password is in `password` and `database_url` and nowhere else: not in repr, `vars()`, errors or pickles. A
    pickle is made without it, and loading one logs a warning: `dataclasses.replace(config, password=..)` adds it again.
    That call hands every field on, so it changes a password or a port; for another URL make another configuration.
    copy() and deepcopy() keep the password.

    Raises ConfigError, a ValueError, for what cannot be used, without any part of the URL.
    """

    database_type: DatabaseType
    database_url: Concealed[str] = Concealed()
    host: str | None = None
    port: int | None = None
    username: str | None = None
    password: Concealed[str | None] = Concealed()
    database_name: str | None = None
    hosts: tuple[Host, ...] = field(default=(), init=False, compare=False)
    options: Options = field(default_factory=Options, init=False, compare=False)
    path: str | None = field(default=None, init=False, compare=False)

    def __init__(
        self,
        database_type: DatabaseType,
        database_url: str,
        host: str | None = None,
        port: int | None = None,
        username: str | None = None,
        password: str | None = None,
        database_name: str | None = None,
    ) -> None:
        self.database_url = database_url or ""
        self.password = password
        # A traceback that shows local variables must not show these.
        del database_url, password
        self.database_type = database_type
        self.host = host or None
        self.port = port
        self.username = username or None
        self.database_name = database_name or None
        self._resolve()

    @classmethod
    def from_url(cls, database_url: str) -> "ConnectionConfig":
        """The configuration that a URL names. Raises ConfigError where its scheme is none of nexusql's."""
        given = Secret(database_url)
        del database_url
        dialect = dialect_of(given.value)
        if dialect is None:
            raise unsupported(given.value)
        return cls(DatabaseType(dialect), given.value)

    @property
    def masked_url(self) -> str:
        """The URL of what is in force, for logs: each secret in it is ``***``."""
        return build_url(self._parts(), masked=True)

    @property
    def in_memory(self) -> bool:
        """True where the database is an SQLite or DuckDB one that lives in memory."""
        path = self.path or ""
        return path == MEMORY or (path.startswith("file:") and (MEMORY in path or "mode=memory" in path))

    def __repr__(self) -> str:
        known = "hosts" in vars(self)  # not yet, where a frame that refuses the URL is shown
        return f"{type(self).__name__}({self.masked_url if known else '..'!r})"

    def __copy__(self) -> "ConnectionConfig":
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self), options=Options(self.options))
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> "ConnectionConfig":
        return self.__copy__()  # all else is immutable

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in vars(self).items() if not isinstance(value, Secret)}
        parts = self._parts()
        removed = parts.password is not None or any(map(is_secret, parts.options))
        if removed:
            parts.password = None
            parts.options = Options((name, value) for name, value in parts.options.items() if not is_secret(name))
        url = build_url(parts) if removed else self.database_url
        return {**state, "options": parts.options, "database_url": url, "removed": removed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.password = None
        self.database_url = state["database_url"]
        vars(self).update((name, value) for name, value in state.items() if name not in ("database_url", "removed"))
        if state["removed"]:
            import logging  # here, because it would be a fifth of what importing nexusql costs

            message = "%r lost its password when it was pickled; dataclasses.replace() can add it"
            logging.getLogger("nexusql").warning(message, self)

    def _parts(self) -> Parts:
        """What is in force, as a URL's parts."""
        return Parts(
            self.database_type.value,
            username=self.username,
            password=self.password,
            hosts=self.hosts,
            database=None if self.path is not None else self.database_name,
            path=self.path,
            options=self.options,
        )

    def _resolve(self) -> None:
        """Set every field to what is in force: as given, else as the URL says."""
        try:
            self.database_type = DatabaseType(self.database_type)
        except ValueError:
            raise ConfigError("the database type is not one of DatabaseType") from None
        for name in ("database_url", "host", "username", "password", "database_name"):
            problem = check_text(getattr(self, name))
            if problem:
                raise ConfigError(f"{name} {problem}")
        parts = self._parse()
        if parts.dialect != self.database_type.value:
            raise ConfigError(f"the database URL is for {parts.dialect}, not for {self.database_type.value}")
        _check_options(parts)
        self.options = parts.options
        if self.username is None:
            self.username = parts.username
        if self.password is None:
            self.password = parts.password
        if self.database_name is None:
            self.database_name = parts.database if parts.path is None else parts.path
        self.path = None if parts.path is None else self.database_name
        self._resolve_hosts(parts.hosts)

    def _parse(self) -> Parts:
        dialect = self.database_type.value
        if dialect_of(self.database_url) is not None:
            return parse_url(self.database_url)
        if self.database_type in (DatabaseType.SQLITE, DatabaseType.DUCKDB) and "://" not in self.database_url:
            return Parts(dialect, path=self.database_url or MEMORY)
        if not self.database_url:
            return Parts(dialect)
        raise unsupported(self.database_url)

    def _resolve_hosts(self, hosts: tuple[Host, ...]) -> None:
        first, *others = hosts or (Host(),)
        if self.host is not None and self.host != first.name:
            others = []  # another server altogether, not one of the URL's
        port = first.port if self.port is None else _port(self.port)
        self.host, self.port = first.name if self.host is None else self.host, port
        chosen = (Host(self.host, port), *others)
        self.hosts = () if chosen == (Host(),) else chosen


def _port(value: object) -> int:
    """A port that was given as a field; as text it may come from the environment."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:6])
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
        raise ConfigError("the port must be a number from 1 to 65535")
    return value


def _check_options(parts: Parts) -> None:
    """Normalise the options that nexusql itself reads; all others are the backend's to judge."""
    options = parts.options
    if "connect_timeout" in options and not re.fullmatch("-?[0-9]{1,9}", options["connect_timeout"]):
        raise ConfigError("the option connect_timeout must be a whole number of seconds")
    if "tls" in options and options["tls"] not in _TLS:
        raise ConfigError(f"the option tls must be one of {', '.join(_TLS)}")
    if parts.dialect == "sqlite" and "foreign_keys" in options:
        switch = _SWITCH.get(options["foreign_keys"].lower())
        if switch is None:
            raise ConfigError("the option foreign_keys must be on or off")
        options["foreign_keys"] = switch
