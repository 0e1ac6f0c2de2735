"""Run as a program, by a PyMySQL that is first in PYTHONPATH: reads a query by the compiled decoder and by PyMySQL, and
prints its version, why the decoder is not used, and whether both are the same.

compare(folder, url, sql)
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def compare(folder: Path, url: str, sql: str) -> list[Any]:
    """[version, why not, rows, the same] of the PyMySQL in a folder."""
    path = os.pathsep.join(map(str, (folder, HERE, HERE.parents[1])))
    done = subprocess.run(
        [sys.executable, "-W", "error", __file__, url, sql],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def _main(url: str, sql: str) -> None:
    import pymysql

    import servers
    from nexusql.backends.mysql import hooks, rows

    connection = servers.connect_mysql(url)
    with connection.cursor() as cursor:
        cursor.execute(sql)
        expected = list(cursor.fetchall())
    found: list[Any] = []
    rows.ask(connection, sql).read_rows(found, None)
    same = [list(map(repr, row)) for row in found] == [list(map(repr, row)) for row in expected]
    print(json.dumps([pymysql.VERSION_STRING, hooks.WHY_NOT, len(found), same]))


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2])
