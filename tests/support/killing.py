"""Processes that migrate, and are killed at a chosen moment.

`Killer` runs this file as a program, which loads nexusql once and forks a child for each attempt. A child counts what
it does that changes the database; before the step of the given number it ends by SIGKILL, without a word to the server.
"""

import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any


class Killer:
    """A context manager; `migrate` gives whether the child was killed, False where it had fewer steps and was done."""

    def __enter__(self) -> "Killer":
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(10) == 0

    def migrate(self, url: str, folder: Path, number: int) -> bool:
        """Migrate without the packaged schema, and be killed before step `number`, counted from 0."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"url": url, "folder": str(folder), "number": number}) + "\n")
        self._process.stdin.flush()
        status = json.loads(self._process.stdout.readline())
        assert status in (0, -signal.SIGKILL), "see stderr"
        return bool(status)


def _main() -> None:
    import nexusql.migrations.start
    from nexusql.connection import Connection

    assert nexusql.migrations.start.__name__
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            _arm(Connection, job["number"])
            os._exit(_migrate(job))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _migrate(job: dict[str, Any]) -> int:
    from nexusql import DatabaseManager

    try:
        with DatabaseManager(job["url"]) as database:
            database.migrate([job["folder"]], apply_schema=False)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _arm(connection: Any, number: int) -> None:
    """Have this process end before step `number`: a commit, or a statement that is no mere question and no note of how
    far the script has come, for such notes count when they are committed."""
    count = 0

    def step() -> None:
        nonlocal count
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1

    run, commit = connection.run, connection.commit

    def counted_run(self: Any, statement: Any, *args: Any, **options: Any) -> Any:
        text = statement.text.lstrip().upper()
        if not text.startswith(("SELECT", "PRAGMA", "SHOW", "SET")) and "MIGRATION_STEPS" not in text:
            step()
        return run(self, statement, *args, **options)

    def counted_commit(self: Any) -> None:
        step()
        commit(self)

    connection.run, connection.commit = counted_run, counted_commit


if __name__ == "__main__":
    _main()
