"""Cancel requests of PostgreSQL: https://www.postgresql.org/docs/current/libpq-cancel.html.

psycopg2's own call keeps the interpreter to itself while it waits for the server, so that one that says nothing would
stop the whole process. Here libpq is called past it, and other threads go on.
"""

import ctypes
from functools import cache
from typing import Any

import psycopg2
from psycopg2 import _psycopg

from nexusql.backends.base import Raw

LONGEST_MESSAGE = 256


@cache
def _libpq() -> Any:
    """The libpq that psycopg2 has loaded; None where it is built in and out of reach."""
    try:
        libpq = ctypes.CDLL(_psycopg.__file__)
        libpq.PQgetCancel.restype = ctypes.c_void_p
        libpq.PQgetCancel.argtypes = (ctypes.c_void_p,)
        libpq.PQcancel.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)
        libpq.PQfreeCancel.argtypes = (ctypes.c_void_p,)
        libpq.PQfreeCancel.restype = None
    except (AttributeError, OSError):
        return None
    return libpq


class CancelKey:
    """What a session's statements are cancelled by, from any thread, whatever becomes of the session meanwhile."""

    def __init__(self, raw: Raw) -> None:
        libpq = _libpq()
        self._key = None if libpq is None else libpq.PQgetCancel(raw.pgconn_ptr)

    def send(self, raw: Raw) -> None:
        """Ask the server to stop what the session runs; for as long as that takes. Raises the driver's error."""
        if self._key is None:
            raw.cancel()
            return
        message = ctypes.create_string_buffer(LONGEST_MESSAGE)
        if not _libpq().PQcancel(self._key, message, LONGEST_MESSAGE):
            raise psycopg2.OperationalError(message.value.decode(errors="replace"))

    def __del__(self) -> None:
        if self._key is not None:
            _libpq().PQfreeCancel(self._key)
