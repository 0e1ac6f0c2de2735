"""An authority of a test's own, made by openssl, and the certificates that a server shows one after the other."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from throwaway import MariaDB, Postgres, Server

LONG_AGO = ("20200101000000Z", "20200201000000Z")
NOW = ("20200101000000Z", "20480101000000Z")
FAR_OFF = ("20470101000000Z", "20480101000000Z")

_CONFIGURATION = """
[ca]
default_ca = authority
[authority]
database = index.txt
new_certs_dir = .
default_md = sha256
policy = any
unique_subject = no
rand_serial = yes
[any]
commonName = supplied
"""


class Certificates:
    """A folder with ca.pem and other.pem, which are authorities, one private key, key.pem, and certificates for it:

    right.pem, misnamed.pem (for another host), expired.pem, early.pem (not valid yet), own.pem (signed by itself), and
    client.pem (for the user `certified`).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "index.txt").touch()
        (folder / "authority.cnf").write_text(_CONFIGURATION)
        for name in ("ca", "other"):
            self._openssl("req", "-x509", *self._new_key(f"{name}.key"), "-days", "2", "-subj", f"/CN={name}")
            shutil.move(folder / "made.pem", folder / f"{name}.pem")
        own = ["-days", "2", "-subj", "/CN=own", "-addext", "subjectAltName=IP:127.0.0.1"]
        self._openssl("req", "-x509", *self._new_key("key.pem"), *own)
        shutil.move(folder / "made.pem", folder / "own.pem")
        self._sign("right", "IP:127.0.0.1", NOW)
        self._sign("misnamed", "DNS:db.example", NOW)
        self._sign("expired", "IP:127.0.0.1", LONG_AGO)
        self._sign("early", "IP:127.0.0.1", FAR_OFF)
        self._sign("client", "DNS:client.example", NOW, subject="certified")

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def _new_key(self, name: str) -> list[str]:
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        return [*kind, "-keyout", name, "-out", "made.pem"]

    def _sign(self, name: str, host: str, validity: tuple[str, str], subject: str = "server") -> None:
        self._openssl("req", "-new", "-key", "key.pem", "-subj", f"/CN={subject}", "-out", "request.csr")
        (self.folder / "names").write_text(f"subjectAltName={host}\n")
        authority = ["ca", "-batch", "-notext", "-config", "authority.cnf", "-cert", "ca.pem", "-keyfile", "ca.key"]
        dates = ["-startdate", validity[0], "-enddate", validity[1]]
        self._openssl(*authority, *dates, "-extfile", "names", "-in", "request.csr", "-out", f"{name}.pem")

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@contextmanager
def made_certificates() -> Iterator[Certificates]:
    """The folder, deleted at the end."""
    with tempfile.TemporaryDirectory(prefix="nexusql-tls-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield Certificates(folder)


class TlsServer:
    """A throw-away server that offers TLS and does not insist on it. It has the users `guarded`, whose password is
    SECRET, and `certified`, who needs a certificate. A context manager."""

    SECRET = "S3cret of the wire"

    def __init__(self, kind: str, certificates: Certificates) -> None:
        self._certificates = certificates
        self._wears = "right"
        self._worn = certificates / f"{kind}-worn.pem"
        self._key = certificates / f"{kind}.key"
        shutil.copy(certificates / "key.pem", self._key)
        self._key.chmod(0o600)
        shutil.copy(certificates / "right.pem", self._worn)
        self.server: Server
        files = (str(self._worn), str(self._key), str(certificates / "ca.pem"))
        if kind == "postgresql":
            rules = certificates / "hba.conf"
            rules.write_text(
                "hostssl all certified 127.0.0.1/32 cert\n"
                "host all guarded 127.0.0.1/32 password\n"
                "host all root 127.0.0.1/32 trust\n"
            )
            cert, key, ca = files
            self.server = Postgres(ssl="on", ssl_cert_file=cert, ssl_key_file=key, ssl_ca_file=ca, hba_file=str(rules))
        else:
            cert, key, ca = files
            self.server = MariaDB(ssl_cert=cert, ssl_key=key, ssl_ca=ca, max_allowed_packet=64 << 20)
        if os.geteuid() == 0:
            owner = pwd.getpwnam(self.server.user)
            os.chown(self._key, owner.pw_uid, owner.pw_gid)

    def __enter__(self) -> "TlsServer":
        self.server.__enter__()
        with self.server.cursor() as cursor:
            if self.server.kind == "postgresql":
                cursor.execute(f"CREATE ROLE guarded LOGIN PASSWORD '{self.SECRET}'")
                cursor.execute("CREATE ROLE certified LOGIN")
            else:
                cursor.execute(f"CREATE USER guarded@'127.0.0.1' IDENTIFIED BY '{self.SECRET}'")
                cursor.execute("GRANT ALL ON test.* TO guarded@'127.0.0.1'")
                cursor.execute("CREATE USER certified@'127.0.0.1' REQUIRE SUBJECT '/CN=certified'")
                cursor.execute("GRANT ALL ON test.* TO certified@'127.0.0.1'")
        return self

    def __exit__(self, *_: object) -> None:
        self.server.remove()

    def wear(self, name: str) -> None:
        """Show this certificate from now on."""
        if name == self._wears:
            return
        self._wears = name
        shutil.copy(self._certificates / f"{name}.pem", self._worn)
        with self.server.cursor() as cursor:
            if self.server.kind == "mysql":
                cursor.execute("FLUSH SSL")
                return
            cursor.execute("SELECT pg_conf_load_time(), pg_reload_conf()")
            before = cursor.fetchone()[0]
        while True:  # until a new session has been started by a server that has read its files again
            with self.server.cursor() as cursor:
                cursor.execute("SELECT pg_conf_load_time()")
                if cursor.fetchone()[0] != before:
                    return
