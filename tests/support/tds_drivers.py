"""The ODBC drivers that SQL Server is reached by: Microsoft's, which the package mssql-python-odbc brings, and FreeTDS
(Debian: tdsodbc)."""

import ctypes
import importlib.util
import platform
import sys
from functools import cache
from pathlib import Path
from urllib.parse import quote

import pyodbc
import pytest

import servers
from tds_server import PASSWORD, Server

MICROSOFT, FREETDS = "microsoft", "freetds"
DRIVERS = (MICROSOFT, FREETDS)


@cache
def library() -> tuple[str | None, str]:
    """(the file of Microsoft's driver or None, why there is none)."""
    found = importlib.util.find_spec("mssql_python_odbc")
    if found is None or found.origin is None:
        return None, "the package mssql-python-odbc is not installed"
    places = Path(found.origin).parent.glob(f"libs/linux/*/{platform.machine()}/lib/libmsodbcsql*")
    file = next(iter(sorted(map(str, places))), None)
    if file is None:
        return None, "the package mssql-python-odbc has no driver for this platform"
    try:
        ctypes.CDLL(file)
    except OSError as error:
        return None, f"Microsoft's ODBC driver cannot be loaded: {error}"
    return file, file


def named(driver: str) -> str:
    """What a connection string calls a driver. Skips the test where it is missing, or fails it where
    NEXUSQL_REQUIRE_SERVERS=1 and it could be there."""
    if driver == FREETDS:
        name = "FreeTDS" if "FreeTDS" in pyodbc.drivers() else None
        reason, available = "the ODBC driver FreeTDS is not installed (Debian: tdsodbc)", sys.platform == "linux"
    else:
        name, reason = library()
        available = sys.platform == "linux" and platform.machine() == "x86_64"
    if name is None:
        if available and servers.flag("NEXUSQL_REQUIRE_SERVERS"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return name


def url(server: Server, driver: str, *, password: str = PASSWORD, tls: str | None = "off", more: str = "") -> str:
    """The URL of the stand-in by a driver."""
    chosen = f"driver={quote(named(driver), safe='')}" + (f"&tls={tls}" if tls else "")
    return f"mssql://sa:{quote(password, safe='')}@127.0.0.1:{server.port}/sales?{chosen}{more}"
