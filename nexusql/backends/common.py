"""What the backends have in common: how values are handed out, and savepoints by their standard words."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from nexusql._speedups import extend_dicts
from nexusql.backends.base import Capabilities, Extend, Raw
from nexusql.backends.errors import driver_error
from nexusql.backends.values import Values, dumps
from nexusql.config import ConnectionConfig
from nexusql.errors import DataError, Error, InterfaceError, OperationalError, ParameterError
from nexusql.sql.statement import Statement


class CommonBackend(ABC):
    """The part of nexusql.backends.base.Backend that a database has in its standard form."""

    capabilities = Capabilities()
    no_args: tuple[()] | None = None  # with an empty tuple psycopg2 and PyMySQL would look for % in the text
    fits = False
    extend_dicts: Extend = staticmethod(extend_dicts)
    row_reader = "the driver"
    misfits: frozenset[str] = frozenset()

    def __init__(self, values: Values) -> None:
        self._values = values
        self.adapters = values.adapters
        self.calls_out = values.calls_out

    @abstractmethod
    def execute(self, raw: Raw, text: str, args: Sequence[Any] | None) -> Any:
        """Run driver text."""

    def executor(self, raw: Raw) -> Callable[[str, Any], Any]:
        """`execute` bound to a connection."""
        return partial(self.execute, raw)

    def execute_batch(self, raw: Raw, text: str, rows: Iterable[Sequence[Any]]) -> int:
        """One after the other."""
        return sum(max(self.execute(raw, text, args).rowcount, 0) for args in rows)

    def capabilities_for(self, config: ConnectionConfig) -> Capabilities:
        """The same for every database of this kind."""
        return self.capabilities

    def adapt_other(self, value: Any) -> Any:
        """See Values.adapt_other."""
        return self._values.adapt_other(value)

    def adapt_list(self, items: Sequence[Any]) -> Any:
        """A list as JSON text, its items as the driver takes them."""
        return self._values.json_text([self._values.adapt(item) for item in items], dumps)

    def outlive_cancel(self, raw: Raw) -> None:
        """Nothing: when a cancel has returned, it has had its effect."""
        return

    def cut(self, raw: Raw) -> None:
        """Nothing: there is no socket."""
        return

    def is_misplaced(self, error: Error, raw: Raw) -> bool:
        """Never: there is no choice among servers."""
        return False

    def session_setting(self, statement: Statement) -> str | None:
        """None: a setting belongs to its session."""
        return None

    def fit(self, statement: Statement, args: list[Any], types_of: Callable[[str], Mapping[str, str]]) -> None:
        """Nothing: the driver's values fit."""
        return

    def savepoint(self, raw: Raw, name: str) -> None:
        """Set a savepoint."""
        self.execute(raw, f"SAVEPOINT {name}", None)

    def rollback_to(self, raw: Raw, name: str) -> None:
        """Roll back to a savepoint, which stays."""
        self.execute(raw, f"ROLLBACK TO SAVEPOINT {name}", None)

    def release(self, raw: Raw, name: str) -> None:
        """Forget a savepoint."""
        self.execute(raw, f"RELEASE SAVEPOINT {name}", None)


def unsendable(error: Exception, args: Iterable[Any]) -> int | None:
    """The index of the value that a driver could not send, by the error of Python's that it raised; None for others."""
    if isinstance(error, OverflowError):
        faults = (isinstance(value, int) and not -(1 << 63) <= value < 1 << 63 for value in args)
    elif isinstance(error, UnicodeEncodeError):
        faults = (isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value) for value in args)
    else:
        faults = (isinstance(value, str) and "\0" in value for value in args)
    return next((index for index, fault in enumerate(faults) if fault), None)


def error_of_python(error: Exception, sql: str | None) -> Error:
    """The nexusql error for what is no driver's class: mostly a value that could not be encoded, or a result that could
    not be decoded. The text of such an error may hold the value, so it is not handed on where it does."""
    mapped: Error
    if isinstance(error, UnicodeEncodeError):
        mapped = ParameterError("a str holds half a surrogate pair, which UTF-8 cannot encode")
    elif isinstance(error, UnicodeDecodeError):
        mapped = DataError("a text in the result is not valid UTF-8")
    elif isinstance(error, OverflowError) or (isinstance(error, ValueError) and "NUL" in str(error)):
        mapped = ParameterError(str(error))
    elif isinstance(error, ValueError):
        mapped = (ParameterError if "integer string conversion" in str(error) else DataError)(str(error))
    else:
        return driver_error(OperationalError if isinstance(error, OSError) else InterfaceError, error, sql=sql)
    mapped.sql = sql
    return mapped
