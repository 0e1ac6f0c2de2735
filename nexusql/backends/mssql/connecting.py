"""How a session on SQL Server is opened: which ODBC driver, by what connection string, in what state.

Keywords are those of Microsoft's driver (https://learn.microsoft.com/sql/connect/odbc/dsn-connection-string-attribute)
and of FreeTDS (https://www.freetds.org/userguide/OdbcConnAttr.html).
"""

import re
from collections.abc import Iterable

import pyodbc

from nexusql.backends.mssql.session import MssqlSession
from nexusql.backends.mssql.values import convert_results
from nexusql.backends.mssql.wire import opened
from nexusql.backends.options import seconds
from nexusql.config import ConnectionConfig
from nexusql.errors import ConfigError, InterfaceError
from nexusql.odbc import write_attributes

# Sessions are kept by nexusql's own pool; one that comes from the driver manager's would have a stranger's settings.
pyodbc.pooling = False

# The best first.
DRIVERS = ("ODBC Driver 18 for SQL Server", "ODBC Driver 17 for SQL Server", "FreeTDS")
# FreeTDS may have longer texts cut off (https://www.freetds.org/userguide/freetdsconf.html, text size).
SET_UP = "SET XACT_ABORT OFF; SET NOCOUNT OFF; SET IMPLICIT_TRANSACTIONS OFF; SET TEXTSIZE 2147483647"

# What may stand in a connection string beside server, database, user and password, by the names in lower case.
_ATTRIBUTES = {
    name.lower(): name
    for name in (
        *("Driver", "Encrypt", "TrustServerCertificate", "HostNameInCertificate", "ServerCertificate", "ServerSPN"),
        *("APP", "WSID", "Language", "Regional", "AnsiNPW", "QuotedId", "AutoTranslate", "PacketSize", "LongAsMax"),
        *("ApplicationIntent", "MultiSubnetFailover", "TransparentNetworkIPResolution", "IpAddressPreference"),
        *("Failover_Partner", "ConnectRetryCount", "ConnectRetryInterval", "KeepAlive", "KeepAliveInterval"),
        *("Trusted_Connection", "Authentication", "ColumnEncryption", "KeyStoreAuthentication", "KeyStorePrincipalId"),
        *("KeyStoreSecret", "ClientCertificate", "ClientKey", "MARS_Connection", "UseFMTONLY", "RetryExec"),
        *("TDS_Version", "ClientCharset", "Encryption", "CAFile", "CheckSSLHostname"),
    )
}
OPTIONS = (*sorted(_ATTRIBUTES), "connect_timeout", "query_timeout", "tls")
_LOOPBACK = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1|\(local\)|\.", re.IGNORECASE)

_TLS = {
    "verify-full": {"Encrypt": "yes", "TrustServerCertificate": "no"},
    "require": {"Encrypt": "yes", "TrustServerCertificate": "yes"},
    "prefer": {"Encrypt": "no", "TrustServerCertificate": "yes"},
    "off": {"Encrypt": "no"},
}
_TLS_OF_FREETDS = {"require": "require", "prefer": "request", "off": "off"}


def open_session(config: ConnectionConfig, timeout: float) -> MssqlSession:
    """Connect in autocommit. Raises ConfigError for options that are unknown or contradict each other, InterfaceError
    where there is no ODBC driver, and the driver's errors."""
    text, query_timeout = connection_string(config, pyodbc.drivers())
    odbc, wire = opened(lambda: pyodbc.connect(text, autocommit=True, timeout=max(1, round(timeout))), _port(config))
    try:
        if query_timeout:
            odbc.timeout = query_timeout
        convert_results(odbc)
        session = MssqlSession(odbc, wire)
        session.run(SET_UP, None)
    except BaseException:
        odbc.close()
        raise
    return session


def connection_string(config: ConnectionConfig, installed: Iterable[str]) -> tuple[str, int]:
    """The ODBC connection string of a configuration, the driver first in it, and the time-out of queries in seconds, 0
    for none. Raises ConfigError and InterfaceError."""
    given = {name.lower(): (name, value) for name, value in config.options.items()}
    if len(given) < len(config.options):
        raise ConfigError("an option of the database URL is given twice, in two spellings")
    lowered = {name: value for name, (_, value) in given.items()}
    unknown = sorted(name for low, (name, _) in given.items() if low not in OPTIONS)
    if unknown:
        raise ConfigError(f"mssql has no option {', '.join(unknown)}; known are {', '.join(OPTIONS)}")
    level = lowered.pop("tls", None)
    lowered.pop("connect_timeout", None)
    query_timeout = round(seconds("query_timeout", lowered.pop("query_timeout"))) if "query_timeout" in lowered else 0
    driver = _driver(lowered.pop("driver", None), installed)
    attributes = {"DRIVER": driver, **_server(config, driver)}
    if config.database_name:
        attributes["DATABASE"] = config.database_name
    if config.username:
        attributes["UID"] = config.username
    if config.password is not None:
        attributes["PWD"] = config.password
    attributes.update((_ATTRIBUTES[name], value) for name, value in lowered.items())
    attributes.update(_tls(config, driver, level, lowered))
    if not config.username and "Authentication" not in attributes and not _is_freetds(driver):
        attributes.setdefault("Trusted_Connection", "yes")
    return write_attributes(attributes, doubles=not _is_freetds(driver)), query_timeout


def _is_freetds(driver: str) -> bool:
    return "freetds" in driver.lower() or "tdsodbc" in driver.lower()


def _driver(named: str | None, installed: Iterable[str]) -> str:
    """The driver that is named, or the best of those that are installed."""
    if named:
        return named
    known = list(installed)
    for driver in DRIVERS:
        if driver in known:
            return driver
    there = f"installed are {', '.join(known)}" if known else "none at all is installed"
    raise InterfaceError(
        f"no ODBC driver for SQL Server was found ({there}); install Microsoft's msodbcsql18"
        " (https://learn.microsoft.com/sql/connect/odbc) or FreeTDS (Debian and Ubuntu: tdsodbc), or name another in"
        " the URL: ?driver=.."
    )


def _port(config: ConnectionConfig) -> int | None:
    """The server's port; None for an instance, whose name stands for one."""
    return config.port or (None if "\\" in (config.host or "") else 1433)


def _server(config: ConnectionConfig, driver: str) -> dict[str, str]:
    host = config.host or "localhost"
    if _is_freetds(driver):
        number = _port(config)
        port = {} if number is None else {"PORT": str(number)}
        return {"SERVER": host, **port, "TDS_Version": "7.4", "ClientCharset": "UTF-8"}
    return {"SERVER": host if config.port is None else f"{host},{config.port}"}


def _tls(config: ConnectionConfig, driver: str, level: str | None, given: dict[str, str]) -> dict[str, str]:
    """The attributes for `tls=`. Without it the driver's own default holds, except that a certificate which a server on
    this machine has made for itself is accepted."""
    own = sorted({"encrypt", "trustservercertificate", "encryption"} & given.keys())
    if level is None:
        loopback = _LOOPBACK.fullmatch((config.host or "localhost").partition("\\")[0])
        trusts = loopback and not own and not _is_freetds(driver)
        return {"TrustServerCertificate": "yes"} if trusts else {}
    if own:
        raise ConfigError(f"the option tls and the driver's own {', '.join(own)} are both given; use one of them")
    if not _is_freetds(driver):
        return _TLS[level]
    if level not in _TLS_OF_FREETDS:
        raise ConfigError(f"the driver {driver} cannot be told to verify certificates; use Microsoft's for tls={level}")
    return {"Encryption": _TLS_OF_FREETDS[level]}
