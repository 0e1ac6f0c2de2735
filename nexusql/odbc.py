"""ODBC connection strings: ``DRIVER={ODBC Driver 18 for SQL Server};SERVER=host,1433;UID=user;PWD={a;b}}c}``.

A value in braces may hold anything, a closing brace doubled; a bare one ends at the next semicolon (ODBC Programmer's
Reference, SQLDriverConnect).
"""

import re
from collections.abc import Mapping

from nexusql.errors import ConfigError

_ATTRIBUTE = (
    r"\s*(?P<name>[A-Za-z_][A-Za-z0-9_. -]*?)\s*=\s*(?:\{(?P<braced>(?:[^}]|\}\})*)\}\s*|(?P<bare>[^;{][^;]*|))(?:;|$)"
)


def is_odbc(text: str) -> bool:
    """True where a text is an ODBC connection string rather than a URL: it starts with DRIVER=."""
    return re.match(r"\s*driver\s*=", text, re.IGNORECASE) is not None


def read_attributes(text: str) -> dict[str, str]:
    """The attributes of a connection string by name, as they are spelt. Raises ConfigError without any of them."""
    attributes: dict[str, str] = {}
    seen: set[str] = set()
    pattern = re.compile(_ATTRIBUTE)
    position = 0
    while text[position:].strip(" \t\r\n;"):
        found = pattern.match(text, position)
        if found is None:
            raise ConfigError("the ODBC connection string is not name=value pairs with ';' between them")
        name, braced = found["name"], found["braced"]
        if name.lower() in seen:
            raise ConfigError("an attribute of the ODBC connection string is given twice")
        seen.add(name.lower())
        attributes[name] = found["bare"].strip() if braced is None else braced.replace("}}", "}")
        position = found.end()
    return attributes


def write_attributes(attributes: Mapping[str, str], *, doubles: bool = True) -> str:
    """A connection string that holds exactly these attributes, whatever is in their values. Raises ConfigError for a
    name that is none, and for NUL, at which drivers stop reading.

    A driver that does not know of doubled braces would read what follows one as further attributes: without `doubles` a
    value with a brace is written bare, and refused where only braces could hold it.
    """
    pieces = []
    for name, value in attributes.items():
        if not re.fullmatch("[A-Za-z_][A-Za-z0-9_. -]*", name) or "\x00" in value:
            raise ConfigError("an attribute of the ODBC connection string cannot be written")
        if doubles or "}" not in value:
            pieces.append(f"{name}={{{value.replace('}', '}}')}}}")
        elif re.fullmatch(r"[^\s;{][^;]*(?<!\s)", value):
            pieces.append(f"{name}={value}")
        else:
            raise ConfigError(
                f"{name} has a closing brace and what only braces can hold, which this driver cannot be told"
            )
    return ";".join(pieces) + ";"
