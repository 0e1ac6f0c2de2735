"""The decoder behind each PyMySQL whose hooks it has been tried on; a line of versions is its newest."""

import subprocess
import sys
from pathlib import Path

import pytest

import servers
from nexusql.backends.mysql import hooks
from other_pymysql import compare

SQL = (
    "SELECT seq, -seq / 3, seq * 0.1e0, 18446744073709551615, REPEAT('é', seq), CAST(REPEAT('x', seq) AS BINARY),"
    " DATE '2026-01-02', TIMESTAMP '2026-01-02 03:04:05.060000', TIME '-26:00:01', NULL, JSON_ARRAY(seq),"
    " ST_GeomFromText('POINT(1 2)'), CAST(0 AS DATETIME)"
    " FROM (WITH RECURSIVE n(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM n WHERE seq < 600) SELECT * FROM n) AS s"
)


@pytest.mark.long
@pytest.mark.skipif(bool(hooks.WHY_NOT), reason=hooks.WHY_NOT)
@pytest.mark.parametrize("line", ["1.0", "1.1", "1.2", ""])
def test_rows_are_decoded_behind_every_pymysql(line: str, tmp_path: Path) -> None:
    servers.require("mysql")
    wanted = f"PyMySQL=={line}.*" if line else "PyMySQL"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run([*pip, "--target", str(tmp_path), wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{wanted} cannot be had: {done.stderr.strip()[-200:]}")
    version, why_not, count, same = compare(tmp_path, servers.server_url("mysql"), SQL)
    assert (version[: len(line)], why_not, count, same) == (line, "", 600, True)
