"""Values for SQL Server: what pyodbc is given for each type, and what its columns give back."""

import struct
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyodbc

from nexusql.backends.values import Adapters, Values, clock_text, finite, finite_decimal, naive_time, to_utc
from nexusql.errors import ParameterError

DIGITS = 38  # of a decimal
_LARGEST = 10**DIGITS
_LONG = 2**63

# Types that ODBC does not know (https://learn.microsoft.com/sql/relational-databases/native-client-odbc-date-time).
SQL_SS_UDT = -151
SQL_SS_TIMESTAMPOFFSET = -155
_OFFSET = struct.Struct("<6hI2h")


class MssqlValues(Values):
    """As pyodbc has it; refused is what the server would store as something else without a word."""

    def native(self) -> Adapters:
        """See Values.native."""
        return {
            **super().native(),
            bool: None,
            int: _integer,
            float: finite,
            Decimal: _decimal,
            date: None,
            datetime: to_utc,
            time: _time_text,
            timedelta: clock_text,
        }


def _integer(value: int) -> Any:
    if -_LONG <= value < _LONG:
        return value
    if -_LARGEST < value < _LARGEST:
        return Decimal(value)
    raise ParameterError(f"an int of more than {DIGITS} digits cannot be bound")


def _decimal(value: Decimal) -> Decimal:
    _, digits, exponent = finite_decimal(value).as_tuple()
    assert isinstance(exponent, int)
    if max(len(digits) + exponent, 0) + max(-exponent, 0) > DIGITS:
        raise ParameterError(f"a Decimal of more than {DIGITS} digits cannot be bound: the server would cut it off")
    return value


def _time_text(value: time) -> str:
    # The driver would bind a time without its microseconds.
    return naive_time(value).isoformat()


def is_ascii(value: object) -> bool:
    """True for a text that reads the same in every code page."""
    return isinstance(value, str) and value.isascii()


def convert_results(odbc: pyodbc.Connection) -> None:
    """Have columns of DATETIMEOFFSET give aware datetimes, those of UNIQUEIDENTIFIER texts as other databases write
    them, and those of the server's own classes their bytes."""
    odbc.add_output_converter(SQL_SS_TIMESTAMPOFFSET, moment_with_offset)
    odbc.add_output_converter(pyodbc.SQL_GUID, uuid_text)
    odbc.add_output_converter(SQL_SS_UDT, lambda data: data)


def moment_with_offset(data: bytes | None) -> datetime | None:
    """A SQL_SS_TIMESTAMPOFFSET_STRUCT as an aware datetime; of its seven digits of a second six are kept."""
    if data is None:
        return None
    year, month, day, hour, minute, second, nanoseconds, hours, minutes = _OFFSET.unpack(data)
    zone = timezone(timedelta(hours=hours, minutes=minutes))
    return datetime(year, month, day, hour, minute, second, nanoseconds // 1000, zone)


def uuid_text(data: bytes | None) -> str | None:
    """A GUID as text, in lower case."""
    return None if data is None else str(UUID(bytes_le=data))
