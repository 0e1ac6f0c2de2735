"""Many processes that migrate one database at the same moment.

`start_together` runs this file as a program: it loads nexusql once, forks, and lets all children begin at once.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

SECONDS = 240


def start_together(url: str, folders: Sequence[Path], count: int, *, apply_schema: bool) -> tuple[list[int], str]:
    """Exit statuses of `count` processes that call migrate() at once, and what they wrote on stderr."""
    job = {"url": url, "folders": list(map(str, folders)), "count": count, "apply_schema": apply_schema}
    command = [sys.executable, "-W", "error", __file__, json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    statuses: list[int] = json.loads(done.stdout)
    return statuses, done.stderr


def _main(job: dict[str, Any]) -> None:
    from nexusql import DatabaseManager
    from nexusql.backends import backend_for

    # Loaded now, and the driver too, so that forked children share them.
    import_module("nexusql.migrations.start")
    backend_for(DatabaseManager(job["url"]).config)
    ready, go = os.pipe()
    children = []
    for _ in range(job["count"]):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(ready, 1)  # ends when the parent closes its end
            # On a busy machine a server takes its time to accept so many at once.
            os._exit(_migrate(DatabaseManager(job["url"], connect_timeout=60, pool_timeout=60), job))
        children.append(child)
    os.close(go)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    print(json.dumps(statuses))


def _migrate(database: Any, job: dict[str, Any]) -> int:
    try:
        database.migrate(job["folders"], apply_schema=job["apply_schema"])
        database.close()
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
