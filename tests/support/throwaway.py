"""Database servers of a test's own, on a free port and in a folder of their own: to be killed, frozen and restarted.

    with Postgres() as server:
        db = DatabaseManager(server.url)
        server.kill()
        server.start()

They are as fast as they may be without losing what was committed when they are killed. Where the tests run as root they
run as their own users, because PostgreSQL refuses root.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

import servers

START_SECONDS = 60.0


def _state(pid: int) -> str:
    """A process's state as /proc has it: R, S, T for stopped, .."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _lives(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return _state(pid) not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A server's process and its data. `url` names an empty database in it. A context manager."""

    kind = ""
    user = ""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"nexusql-{self.kind}-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Server":
        try:
            self.create()
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.remove()

    @property
    def url(self) -> str:
        """Where it is, whether it runs or not."""
        raise NotImplementedError

    @property
    def pid(self) -> int:
        """The process that listens."""
        assert self._process is not None
        return self._process.pid

    def create(self) -> None:
        """Make the data folder."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """What starts it in the foreground."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it and wait until it answers."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            with open(self.folder / "log", "ab") as log:
                self._process = subprocess.Popen(
                    self._as_user(self.command(), dies_with_us=True), stdout=log, stderr=log, stdin=subprocess.DEVNULL
                )
            if self._answers(deadline):
                return
            # After kill -9 the old server's children may hold its shared memory for a moment; then a start fails.
            if time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"{self.kind} does not start: {self.log_tail()}", pytrace=False)
            time.sleep(0.1)

    def _answers(self, deadline: float) -> bool:
        """Wait for an answer, for the end of the process, or for the deadline."""
        assert self._process is not None
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                self.connect().close()
                return True
            except Exception:  # whatever it is that says "not yet"
                time.sleep(0.05)
        return False

    def connect(self) -> Any:
        """A connection of the bare driver, in autocommit."""
        return servers.CONNECT[self.kind](self.url)

    @contextlib.contextmanager
    def cursor(self) -> Iterator[Any]:
        """A cursor on a connection of its own."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def log_tail(self) -> str:
        """The end of what it has printed."""
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def pids(self) -> list[int]:
        """The server's process and its children."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [self.pid, *map(int, children.read_text().split())] if children.exists() else [self.pid]

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """kill -9: no goodbye to anybody. Afterwards the sockets of its children are closed, too."""
        if self.is_running:
            assert self._process is not None
            pids = self.pids()
            self.signal(signal.SIGKILL)
            self._process.wait()
            deadline = time.monotonic() + START_SECONDS
            while any(_lives(pid) for pid in pids) and time.monotonic() < deadline:
                time.sleep(0.002)

    def freeze(self) -> None:
        """SIGSTOP for all of it: connections stay, nothing answers; the kernel goes on taking new ones."""
        self.signal(signal.SIGSTOP)
        deadline = time.monotonic() + START_SECONDS
        while any(_state(pid) not in "Tt" for pid in self.pids()) and time.monotonic() < deadline:
            time.sleep(0.005)

    def thaw(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    def restart(self) -> None:
        """Kill and start."""
        self.kill()
        self.start()

    def signal(self, number: int) -> None:
        """Send a signal to the server and its children."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def remove(self) -> None:
        """Kill it and delete its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _as_user(self, command: list[str], *, dies_with_us: bool = False) -> list[str]:
        """The command as the server's user where we are root."""
        prefix = ["setpriv"]
        if dies_with_us:
            prefix.append("--pdeathsig=KILL")
        if os.geteuid() == 0:
            prefix += [f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        return [*prefix, *command] if len(prefix) > 1 else command

    def _own_folder(self) -> None:
        if os.geteuid() == 0:
            entry = pwd.getpwnam(self.user)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(self._as_user(command), capture_output=True, text=True, check=False, cwd=self.folder)
        if done.returncode:
            pytest.fail(f"{command[0]}: {done.stderr or done.stdout}", pytrace=False)


def _binary(name: str, *folders: str) -> str:
    """The path of an installed binary; the test is skipped, or fails under NEXUSQL_REQUIRE_SERVERS, without it."""
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin"]))
    if found is None:
        message = f"{name} is not installed"
        if servers.flag("NEXUSQL_REQUIRE_SERVERS"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    return found


class Postgres(Server):
    """A PostgreSQL server; `settings` are its parameters, as in postgresql.conf."""

    kind = "postgresql"
    user = "postgres"

    def __init__(self, **settings: str | int) -> None:
        folders = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
        self._initdb = _binary("initdb", *folders)
        self._postgres = _binary("postgres", *folders)
        super().__init__()
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "16MB",
            "max_connections": 60,
            "autovacuum": "off",
            "jit": "off",
            **settings,
        }

    @property
    def url(self) -> str:
        return f"postgresql://root@127.0.0.1:{self.port}/postgres"

    def create(self) -> None:
        self._own_folder()
        data = str(self.folder / "data")
        self._run(
            [
                self._initdb,
                "--pgdata",
                data,
                "--username=root",
                "--auth=trust",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
            ]
        )

    def command(self) -> list[str]:
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        return [self._postgres, "-D", str(self.folder / "data"), "-p", str(self.port), *settings]


class Standby(Postgres):
    """A hot standby of a running PostgreSQL server: it answers questions and takes no writes, until it is promoted."""

    def __init__(self, primary: Postgres, **settings: str | int) -> None:
        self._basebackup = _binary("pg_basebackup")
        super().__init__(wal_retrieve_retry_interval="100ms", **settings)  # it looks for its end no more often
        self._primary = primary

    def create(self) -> None:
        self._own_folder()
        self._run(
            [
                *(self._basebackup, "--host=127.0.0.1", f"--port={self._primary.port}", "--username=root"),
                *(f"--pgdata={self.folder / 'data'}", "--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
            ]
        )

    def promote(self) -> None:
        """Make it a server of its own, and wait until it is."""
        with self.cursor() as cursor:
            cursor.execute("SELECT pg_promote()")
            assert cursor.fetchone() == (True,)


class MariaDB(Server):
    """A MariaDB server; `settings` are its variables."""

    kind = "mysql"
    user = "mysql"

    def __init__(self, **settings: str | int) -> None:
        self._install = _binary("mariadb-install-db")
        self._mariadbd = _binary("mariadbd")
        super().__init__()
        self._settings = {
            "bind_address": "127.0.0.1",
            "innodb_buffer_pool_size": "16M",
            "innodb_log_file_size": "8M",
            "innodb_flush_log_at_trx_commit": 2,  # survives the end of the process, if not of the machine
            "innodb_flush_method": "nosync",
            "performance_schema": "OFF",
            "skip_name_resolve": "ON",
            "max_connections": 60,
            **settings,
        }

    @property
    def url(self) -> str:
        return f"mysql://root@127.0.0.1:{self.port}/test"

    @property
    def _own_tmpdir(self) -> str:
        """MariaDB begins with removing temporary tables from this folder; in a shared one, those of other servers."""
        return f"--tmpdir={self.folder}"

    def create(self) -> None:
        self._own_folder()
        self._run(
            [
                *(self._install, "--no-defaults", f"--datadir={self.folder / 'data'}", "--skip-test-db"),
                self._own_tmpdir,
                *(
                    "--auth-root-authentication-method=normal",
                    "--innodb-buffer-pool-size=16M",
                    "--innodb-log-file-size=8M",
                ),
            ]
        )
        init = self.folder / "init.sql"
        init.write_text(
            "CREATE DATABASE IF NOT EXISTS test CHARACTER SET utf8mb4;\n"
            "CREATE USER IF NOT EXISTS root@'127.0.0.1';\n"
            "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        init.chmod(0o644)

    def command(self) -> list[str]:
        settings = [f"--{name.replace('_', '-')}={value}" for name, value in self._settings.items()]
        folder = self.folder
        return [
            *(self._mariadbd, "--no-defaults", f"--datadir={folder / 'data'}", f"--port={self.port}", self._own_tmpdir),
            *(f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}", f"--init-file={folder / 'init.sql'}"),
            *settings,
        ]


SERVERS = {"postgresql": Postgres, "mysql": MariaDB}
