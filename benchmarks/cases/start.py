"""What is paid once: scanning a new statement, importing the package."""

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cases.entry import Entry, Sizes, in_turn
from harness import Case, at_most_over, faster
from nexusql.sql.lexical import SessionModes
from nexusql.sql.syntax import syntax_for
from workload import STATEMENTS


@contextmanager
def scanning() -> Iterator[Case]:
    """Statements that are met for the first time: the compiled scanner and the same source interpreted."""
    rules = int(syntax_for("postgresql").lexical(SessionModes()))
    compiled = importlib.import_module("nexusql._speedups._scanner_c").scan
    interpreted = importlib.import_module("nexusql._speedups.scanner").scan
    contenders = {
        "compiled": lambda: [compiled(text, rules, 0) for text in STATEMENTS],
        "interpreted": lambda: [interpreted(text, rules, 0) for text in STATEMENTS],
    }
    yield Case(contenders, [faster(6, "interpreted", "compiled")], rows=len(STATEMENTS))


@contextmanager
def importing() -> Iterator[Case]:
    """Starting an interpreter, and starting one that imports nexusql."""

    def start(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)

    contenders = {"bare interpreter": start("pass"), "nexusql": start("import nexusql")}
    yield Case(contenders, [at_most_over(0.040, "bare interpreter")])


def entries(sizes: Sizes) -> Iterator[Entry]:
    """Scanning and importing."""
    yield Entry("start", "sqlite", f"Scanning {len(STATEMENTS)} statements", in_turn(scanning), interpreted=False)
    yield Entry("start", "sqlite", "import nexusql", in_turn(importing), interpreted=False)
