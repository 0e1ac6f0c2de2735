"""nexusql's errors for the drivers': instances of both classes, so that old and new `except` clauses hold.

A class is made once for each pair that occurs, and is found by name in the `errors` module of its backend's folder:
`UniqueViolation` is nexusql's UniqueViolation and psycopg2's; a name that only one side has (`InsufficientPrivilege`,
`ConnectionLost`) stands for it and what it goes with on the other side, mostly the class of its PEP 249 category; any
other pair has both names, `ConnectionLost_AdminShutdown`.
"""

from collections.abc import Mapping
from copy import copy
from importlib import import_module
from typing import Any, NamedTuple

from nexusql import errors
from nexusql.errors import Error


class Driver(NamedTuple):
    """Where the classes made for a driver's errors live, where its own are found, the finest first, and which of
    nexusql's classes meet another of the driver's than that of their PEP 249 category."""

    home: str
    modules: tuple[str, ...]
    meets: Mapping[str, str] = {}

    def find(self, name: str) -> type[Exception] | None:
        """The driver's error class of that name, None where it has none; imports the driver."""
        for module in self.modules:
            found = getattr(import_module(module), name, None)
            if isinstance(found, type) and issubclass(found, Exception):
                return found
        return None


# By the top-level package of the classes a driver raises; what is not of a driver is an error of Python's own.
_DRIVERS = {
    "sqlite3": Driver(
        "nexusql.backends.sqlite.errors",
        ("sqlite3",),
        dict.fromkeys(("SQLSyntaxError", "UndefinedTable", "UndefinedColumn"), "OperationalError"),
    ),
    "psycopg2": Driver(
        "nexusql.backends.postgresql.errors",
        ("psycopg2.errors", "psycopg2.extensions", "psycopg2"),
        {
            "SQLSyntaxError": "SyntaxError",
            "QueryTimeout": "QueryCanceled",
            "LockTimeout": "LockNotAvailable",
            "TransactionAborted": "InFailedSqlTransaction",
        },
    ),
    "pymysql": Driver(
        "nexusql.backends.mysql.errors",
        ("pymysql.err",),
        dict.fromkeys(("UndefinedColumn", "CheckViolation"), "OperationalError"),
    ),
    "pyodbc": Driver("nexusql.backends.mssql.errors", ("pyodbc",)),
}
_PYTHON = Driver(__name__, ("builtins",))
_HOMES = {driver.home: driver for driver in (*_DRIVERS.values(), _PYTHON)}

_pairs: dict[tuple[type[Error], type[Exception]], type[Error]] = {}


class Raised(Error):
    """What the paired classes share: a copy keeps its cause, and a pickle names the two classes of the pair."""

    @property
    def diag(self) -> Any:
        """psycopg2's Diagnostics; they are the cause's, because a pickle has none. AttributeError for other drivers."""
        holder: Any = self.__cause__ if hasattr(self.__cause__, "diag") else super()
        return holder.diag

    def __reduce__(self) -> tuple[Any, ...]:
        _, theirs, ours = type(self).__bases__
        reduced: Any = super().__reduce__()  # the driver's: an OSError's has more than its args
        attributes = {name: value for name, value in vars(self).items() if _is_plain(value)}
        return _rebuild, (ours, theirs, reduced[1], _server_fields(self), attributes)

    def __copy__(self) -> Error:
        rebuild, arguments = self.__reduce__()
        twin: Error = rebuild(*arguments)
        vars(twin).update(vars(self))
        twin.__cause__ = self.__cause__
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Error:
        return self.__copy__()


def driver_error(
    ours: type[Error],
    original: Exception,
    *,
    sqlstate: str | None = None,
    code: int | str | None = None,
    sql: str | None = None,
) -> Error:
    """The error to raise for a driver's: an `ours` that is also a type(original), with its text, args and attributes.

    `original` becomes its `__cause__` and loses its traceback, as all that it came from does: the driver's own frames
    hold the password while it connects, and values while it runs a statement. An error that is nexusql's already is
    given back as it is.
    """
    if isinstance(original, Error):
        return original
    reduced: Any = original.__reduce__()
    error = _rebuild(ours, type(original), reduced[1], _server_fields(original), vars(original))
    error.sqlstate, error.code, error.sql = sqlstate, code, sql
    error.__cause__ = forget_frames(original)
    return error


def forget_frames(error: BaseException) -> BaseException:
    """The error without its traceback, and without those of all errors that led to it."""
    seen: set[int] = set()
    chain: list[BaseException | None] = [error]
    while chain:
        link = chain.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            link.__traceback__ = None
            chain += [link.__cause__, link.__context__]
    return error


def without_frames(error: Error) -> Error:
    """A copy to be kept: the frames of the original hold whatever the callers held, maybe who keeps it."""
    twin = copy(error)
    twin.__cause__ = error.__cause__
    return twin


def pair(ours: type[Error], theirs: type[Exception]) -> type[Error]:
    """The class of errors that are both, made when it is first asked for."""
    if issubclass(ours, theirs):
        return ours
    made = _pairs.get((ours, theirs))
    if made is None:
        driver = _DRIVERS.get(theirs.__module__.partition(".")[0], _PYTHON)
        namespace = {"__module__": driver.home, "__doc__": ours.__doc__}
        made = _pairs.setdefault((ours, theirs), type(_name(driver, ours, theirs), (Raised, theirs, ours), namespace))
    return made


def find(home: str, name: str) -> type[Error]:
    """The class of a name in the `errors` module `home`; what its `__getattr__` gives."""
    parts = None if name.startswith("_") else _parts(_HOMES[home], name)
    if parts is None:
        raise AttributeError(f"module {home!r} has no attribute {name!r}")
    return pair(*parts)


def __getattr__(name: str) -> type[Error]:
    return find(__name__, name)


def _parts(driver: Driver, name: str) -> tuple[type[Error], type[Exception]] | None:
    """The pair that a name stands for."""
    first, both, second = name.partition("_")
    ours, theirs = _ours(first), driver.find(second if both else first)
    if not both and ours is not None and theirs is None:
        names = [driver.meets.get(name, ""), *(base.__name__ for base in ours.__mro__)]
        theirs = next(filter(None, map(driver.find, names)), None)
    elif not both and theirs is not None and ours is None:
        names = [*(mine for mine, met in driver.meets.items() if met == name), *(b.__name__ for b in theirs.__mro__)]
        ours = next(filter(None, map(_ours, names)), None)
    return None if ours is None or theirs is None else (ours, theirs)


def _name(driver: Driver, ours: type[Error], theirs: type[Exception]) -> str:
    for name in (ours.__name__, theirs.__name__):
        if _parts(driver, name) == (ours, theirs):
            return name
    return f"{ours.__name__}_{theirs.__name__}"


def _ours(name: str) -> type[Error] | None:
    found = getattr(errors, name, None)
    return found if isinstance(found, type) and issubclass(found, Error) else None


def _rebuild(
    ours: type[Error],
    theirs: type[Exception],
    args: tuple[Any, ...],
    server_fields: dict[str, str],
    attributes: dict[str, Any],
) -> Error:
    error = pair(ours, theirs)(*args)
    if server_fields:
        error.__setstate__(server_fields)  # psycopg2's, which sets what can only be read
    vars(error).update(attributes)
    return error


def _server_fields(error: BaseException) -> dict[str, str]:
    """The fields that psycopg2 keeps outside an error's attributes."""
    fields = {name: getattr(error, name, None) for name in ("pgcode", "pgerror")}
    return {name: value for name, value in fields.items() if value is not None}


def _is_plain(value: object) -> bool:
    """True where a value can be pickled and sent anywhere; a notes list can."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (str, bytes, int, float))
