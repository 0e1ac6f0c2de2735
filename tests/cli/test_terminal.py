"""The command as a person or a script runs it: at a terminal, into a pipe that closes, interrupted."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import nexusql
import servers
from nexusql import DatabaseManager, MigrationRunner
from nexusql.migrations.lock import Patience
from nexusql.migrations.place import always
from throwaway import Postgres

COMMAND = [sys.executable, "-W", "error", "-m", "nexusql"]
SECONDS = 30.0


class Terminal:
    """A program at a terminal of its own."""

    def __init__(self, *args: str, **environment: str) -> None:
        self.shown = ""
        self._pid, self._file = pty.fork()
        if self._pid == 0:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # else one that the tests were told to ignore stays ignored
            env = {**os.environ, "TERM": "xterm", "COLUMNS": "100", **environment}
            os.execve(COMMAND[0], [*COMMAND, *args], env)

    def wait_for(self, text: str) -> None:
        """Read until a text is shown."""
        deadline = time.monotonic() + SECONDS
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            assert self._read(), self.shown

    def type(self, text: str) -> None:
        """Type on its keyboard."""
        os.write(self._file, text.encode())

    def end(self) -> int:
        """Read to the end; the exit status."""
        while self._read():
            pass
        os.close(self._file)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def _read(self) -> bool:
        ready, _, _ = select.select([self._file], [], [], SECONDS)
        try:
            piece = os.read(self._file, 65536) if ready else b""
        except OSError:  # the program has ended
            return False
        self.shown += piece.decode(errors="replace")
        return bool(piece)


def run(*args: object, **kwargs: object) -> "subprocess.CompletedProcess[str]":
    command = [*COMMAND, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **kwargs)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """A folder whose second file takes its time on PostgreSQL."""
    (tmp_path / "V1__t.sql").write_text("CREATE TABLE t (id INTEGER)")
    (tmp_path / "V2__slow.sql").write_text("INSERT INTO t VALUES (1); SELECT pg_sleep(20);")
    return tmp_path


def test_the_command_and_the_module_are_one() -> None:
    command = Path(sys.executable).with_name("nexusql")
    told = f"nexusql {nexusql.__version__} ({nexusql.IMPLEMENTATION})\n"
    assert run("--version").stdout == told
    if command.exists():
        assert subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout == told


def test_a_session_at_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "V1__t.sql").write_text("CREATE TABLE t (name VARCHAR(20)); INSERT INTO t VALUES ('日本')")
    url = f"sqlite:///{tmp_path}/test.db"
    terminal = Terminal("migrate", "up", url, "--path", str(tmp_path))
    assert terminal.end() == 0, terminal.shown
    assert "applied 1 migration, the last: V1__t" in terminal.shown
    terminal = Terminal("query", url, "SELECT name, 'x' AS wide FROM t")
    assert terminal.end() == 0
    assert "日本" in terminal.shown
    assert "\x1b[" in terminal.shown  # the head of the table is bold


def test_a_password_is_asked_for_and_not_shown() -> None:
    with Postgres() as server:
        with server.cursor() as cursor:
            cursor.execute("CREATE ROLE guarded LOGIN PASSWORD 'S3CR%T '' x'")
        access = server.folder / "data" / "pg_hba.conf"
        access.write_text("host all guarded 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n")
        server.restart()
        url = server.url.replace("root@", "guarded@")
        terminal = Terminal("query", url, "SELECT current_user AS me", "-W", "--format", "csv")
        terminal.wait_for("Password:")
        terminal.type("S3CR%T ' x\n")
        assert terminal.end() == 0, terminal.shown
        assert "guarded" in terminal.shown
        assert "S3CR" not in terminal.shown
        terminal = Terminal("info", url, NEXUSQL_PASSWORD="wrong S3CR")
        assert terminal.end() == 1
        assert "password authentication failed" in terminal.shown
        assert "S3CR" not in terminal.shown
        done = run("info", url, env={**os.environ, "NEXUSQL_PASSWORD": "S3CR%T ' x"})
        assert (done.returncode, "S3CR" in done.stdout + done.stderr) == (0, False)


def test_unlock_asks_before_it_cuts_anybody_off() -> None:
    terminal = Terminal("migrate", "unlock", "sqlite://:memory:")
    terminal.wait_for("Go on?")
    terminal.type("n\n")
    assert terminal.end() == 130
    terminal = Terminal("migrate", "unlock", "sqlite://:memory:")
    terminal.wait_for("Go on?")
    terminal.type("y\n")
    assert terminal.end() == 0
    assert "nobody holds the lock" in terminal.shown


def test_a_pipe_that_closes_ends_the_command_quietly() -> None:
    command = [*COMMAND, "query", "sqlite://:memory:", "SELECT :v AS v", "-p", f"v={'x' * 100_000}", "-f", "csv"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(30) == 141
    process.stderr.close()


def test_without_the_extra_the_module_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; import runpy; runpy.run_module('nexusql', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "the nexusql command needs its extra; install it with: pip install nexusql[cli]\n"


@pytest.mark.parametrize("how", ["keyboard", "signal"])
def test_ctrl_c_undoes_the_file_that_is_running(slow: Path, how: str) -> None:
    servers.require("postgresql")
    with servers.fresh_database("postgresql") as url:
        terminal = Terminal("migrate", "up", url, "--path", str(slow))
        terminal.wait_for("applied migration V1__t.sql")
        time.sleep(0.5)
        if how == "keyboard":
            terminal.type("\x03")
        else:
            os.kill(terminal._pid, signal.SIGINT)
        assert terminal.end() == 130, terminal.shown
        assert "interrupted" in terminal.shown
        assert "Traceback" not in terminal.shown
        (slow / "V2__slow.sql").write_text("INSERT INTO t VALUES (2)")
        with DatabaseManager(url) as db:
            assert len(MigrationRunner(db, slow, strict=True, lock_timeout=10).up()) == 1
            assert db.execute("SELECT id FROM t") == [{"id": 2}]


def test_ctrl_c_while_waiting_for_another_process(slow: Path) -> None:
    servers.require("mysql")
    with servers.fresh_database("mysql") as url, DatabaseManager(url) as other:
        lock = MigrationRunner(other, slow).lock()
        assert lock is not None
        assert lock.acquire(Patience(5), always)
        terminal = Terminal("migrate", "up", url, "--path", str(slow))
        terminal.wait_for("waiting to migrate: the lock is held by session")
        terminal.type("\x03")
        assert terminal.end() == 130
        lock.release()
        assert other.list_tables() == []


def test_output_for_other_programs_is_clean(tmp_path: Path) -> None:
    (tmp_path / "V1__t.sql").write_text("CREATE TABLE t (id INTEGER)")
    done = run("migrate", "up", f"sqlite:///{tmp_path}/test.db", "--path", tmp_path, "--json")
    assert [one["name"] for one in json.loads(done.stdout)] == ["V1__t"]
    assert "applied migration V1__t.sql" in done.stderr


def test_the_url_may_come_from_the_environment(tmp_path: Path) -> None:
    env = {**os.environ, "NEXUSQL_URL": f"sqlite:///{tmp_path}/test.db"}
    done = run("query", "SELECT 1 AS one", "-f", "csv", env=env)
    assert done.stdout.split() == ["one", "1"]
    done = run("migrate", "up", "--packaged", env=env)
    assert done.returncode == 0
    assert "NEXUSQL_URL" in run("migrate", "up", "--help", env=env).stdout
