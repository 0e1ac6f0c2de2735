"""TLS of MySQL and MariaDB: the driver's keywords for nexusql's levels, and what is sent over TLS only."""

import ssl
from typing import Any

import pymysql
from pymysql.constants import CR

# Ways of proving who one is that give the password away to whoever reads along: as it is, or as a hash of old that is
# easily undone. https://dev.mysql.com/doc/refman/8.0/en/cleartext-pluggable-authentication.html
READABLE = frozenset({b"dialog", b"mysql_clear_password", b"mysql_old_password"})


def tls_keywords(options: dict[str, str]) -> dict[str, Any]:
    """The driver's TLS keywords for nexusql's, which are taken out; an authority that is named is asked by `require`,
    too."""
    ca, cert, key, password = (options.pop(f"ssl_{name}", None) for name in ("ca", "cert", "key", "key_password"))
    level = options.pop("tls", "verify-full" if ca else "require" if cert else "prefer")
    if level == "off":
        return {"ssl_disabled": True}
    if level == "prefer" and not cert:
        return {}
    context = ssl.create_default_context(cafile=ca)
    # Certificates that MySQL makes for itself do not pass what Python 3.13 checks beyond the standard's minimum.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if level != "verify-full":
        context.check_hostname = False
        if level == "prefer" or ca is None:
            context.verify_mode = ssl.CERT_NONE
    if cert:
        context.load_cert_chain(cert, key, password)
    return {"ssl": context}


def refuse_to_tell(plugin_name: bytes) -> None:
    """Raises the driver's OperationalError where a server on a connection in the clear asks for the password by a way
    that gives it away: it need not be the server that it says it is."""
    if plugin_name in READABLE:
        raise pymysql.err.OperationalError(
            CR.CR_AUTH_PLUGIN_ERR,
            f"the server asks for the password by {plugin_name.decode()}, which could be read on the way; it is "
            "sent over TLS only: set tls=verify-full",
        )
