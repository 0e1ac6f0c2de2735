"""The classes of pyodbc's errors as nexusql raises them, by name: see nexusql.backends.errors."""

from nexusql.backends.errors import find


def __getattr__(name: str) -> type[Exception]:
    return find(__name__, name)
