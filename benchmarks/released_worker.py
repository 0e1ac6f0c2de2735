"""The other end of peers/released.py; runs with nexusql 0.4.0, not with this checkout's."""

import gc
import pickle
import sys
import time
from typing import Any

from nexusql import DatabaseManager


def run(db: Any, job: str, sql: str, data: Any) -> object:
    """Do one job once; gives the number of rows."""
    if job == "read":
        return len(db.execute(sql, data))
    if job == "stream":
        return sum(1 for _ in db.stream(sql, data))
    with db.transaction():
        for row in data:
            db.execute(sql, row)
    return len(data)


def main(url: str) -> None:
    """Answer (number of calls, job, SQL, parameters or rows) with (mean seconds, what the last call gave)."""
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    db = DatabaseManager(url)
    db.connect()
    while True:
        try:
            number, job, sql, data = pickle.load(sys.stdin.buffer)
        except EOFError:
            break
        given = None
        gc.collect()
        started = time.perf_counter()
        for _ in range(number):
            given = run(db, job, sql, data)
        pickle.dump(((time.perf_counter() - started) / number, given), answers)
        answers.flush()
    db.disconnect()


if __name__ == "__main__":
    main(sys.argv[1])
