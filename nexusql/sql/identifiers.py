"""Identifiers that nexusql itself writes into SQL: tables, columns, savepoints."""

from nexusql.errors import ConfigError
from nexusql.sql.syntax import Syntax


def quote_identifier(name: str, syntax: Syntax) -> str:
    """The name as a quoted identifier of a dialect, which stands for exactly this name.

    Raises ConfigError for a name that is empty, holds NUL or half a surrogate pair, or is longer than the dialect's
    limit: PostgreSQL cuts a longer one off without an error, so that two tables become one.
    """
    if not isinstance(name, str):
        raise ConfigError(f"an identifier is a str, not {type(name).__name__}")
    if not name:
        raise ConfigError("an identifier is empty")
    if "\x00" in name:
        raise ConfigError(f"the identifier {_shown(name)} holds a NUL character")
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise ConfigError(f"the identifier {_shown(name)} is not valid Unicode") from None
    unit = "bytes" if syntax.max_identifier_in_bytes else "characters"
    if unit == "characters":
        length = len(name)
    if length > syntax.max_identifier:
        raise ConfigError(
            f"the identifier {_shown(name)} has {length} {unit}; {syntax.dialect} allows {syntax.max_identifier}"
        )
    closing = syntax.quote
    opening = "[" if closing == "]" else closing
    return f"{opening}{name.replace(closing, closing * 2)}{closing}"


def _shown(name: str) -> str:
    return repr(name if len(name) <= 40 else f"{name[:40]}..")
