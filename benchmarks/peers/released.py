"""nexusql 0.4.0, the release before this one: a process in an environment of its own, which scripts/peers.py makes."""

import pickle
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import SelfTimed
from peers.base import Peer, Ways, plain
from workload import Query, Record, Table

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-peers" / "nexusql-0.4.0" / "bin" / "python"
WORKER = ROOT / "benchmarks" / "released_worker.py"
# It writes row by row; of many rows it gets some, and its time is multiplied.
MANY, SHARE = 1_000, 10


class Remote(SelfTimed):
    """A job of the other process; a call takes a message there and back, its own timing does not."""

    def __init__(self, process: "subprocess.Popen[bytes]", job: Sequence[Any], share: int = 1) -> None:
        self.process, self.job, self.share = process, job, share

    def __call__(self) -> object:
        return self._ask(1)[1]

    def seconds(self, number: int) -> float:
        return self._ask(number)[0] * self.share

    def _ask(self, number: int) -> tuple[float, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        pickle.dump((number, *self.job), self.process.stdin)
        self.process.stdin.flush()
        answer: tuple[float, Any] = pickle.load(self.process.stdout)
        return answer


class Released(Peer):
    """nexusql 0.4.0; it has no bulk write, so rows are written one by one in a transaction."""

    name = "nexusql 0.4.0"
    module = "nexusql"

    def __init__(self, kind: str, url: str) -> None:
        self.kind = kind
        self.process = subprocess.Popen([PYTHON, "-I", WORKER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    @classmethod
    def missing(cls) -> str:
        return "" if PYTHON.exists() else f"{cls.name} is not installed"

    def one(self, query: Query) -> Ways:
        return {"nexusql 0.4.0": Remote(self.process, ("read", query.sql, query.params))}

    def everything(self, query: Query) -> Ways:
        return {"nexusql 0.4.0": Remote(self.process, ("read", query.sql, query.params))}

    def stream(self, query: Query) -> Ways:
        return {"nexusql 0.4.0": Remote(self.process, ("stream", query.sql, query.params))}

    def insert(self, table: Table, rows: Sequence[Record]) -> Ways:
        name, share = "nexusql 0.4.0, row by row", 1
        if len(rows) > MANY:
            name, share = f"{name} (1 in {SHARE})", SHARE
        few = plain(table, rows[: len(rows) // share])
        return {name: Remote(self.process, ("write", table.insert(":{0}"), few), share)}

    def close(self) -> None:
        with self.process:  # closes the pipes, which ends it, and waits
            pass
