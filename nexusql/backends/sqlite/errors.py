"""The classes of sqlite3's errors as nexusql raises them, by name: see nexusql.backends.errors."""

from nexusql.backends.errors import find
from nexusql.errors import Error


def __getattr__(name: str) -> type[Error]:
    return find(__name__, name)
