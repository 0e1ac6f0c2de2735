"""The options of a URL, checked: what a backend does not know is refused, for a misspelt option fails silently."""

from collections.abc import Collection

from nexusql.config import ConnectionConfig
from nexusql.errors import ConfigError


def checked_options(config: ConnectionConfig, known: Collection[str]) -> dict[str, str]:
    """The options of a configuration. Raises ConfigError naming those that are not in `known`, never their values."""
    unknown = sorted(set(config.options) - set(known))
    if unknown:
        raise ConfigError(
            f"{config.database_type.value} has no option {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )
    return dict(config.options)


def whole_number(name: str, text: str) -> int:
    """The value of a numeric option. Raises ConfigError."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ConfigError(f"the option {name} must be a whole number")
    return int(text)


def one_of(name: str, text: str, choices: Collection[str]) -> str:
    """The value of an option as it stands in `choices`, whatever its case. Raises ConfigError."""
    for choice in choices:
        if text.lower() == choice.lower():
            return choice
    raise ConfigError(f"the option {name} must be one of {', '.join(choices)}")


def seconds(name: str, text: str) -> float:
    """The value of an option in seconds, more than none. Raises ConfigError."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 31_536_000:
        raise ConfigError(f"the option {name} must be a number of seconds")
    return value
