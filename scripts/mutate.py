"""Mutation run: change one thing in a module at a time, and see whether the tests notice.

    NEXUSQL_PURE=1 python scripts/mutate.py nexusql.sql.compile tests/sql --part 0.25

cosmic-ray's operators make the mutants. The tests are collected once; for each mutant a forked child puts its code in
the place of the module's functions and runs the tests until the first fails. What is never noticed is printed as a
diff. Interpreted modules only. `--part` takes a random part of the mutants, always the same for one `--seed`.
"""

import argparse
import difflib
import importlib
import itertools
import os
import random
import select
import signal
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

SECONDS = 60.0  # a mutant that loops is noticed too


def functions(namespace: dict[str, Any], module: str) -> Iterator[types.FunctionType]:
    """The functions and methods that a module's own code defines."""
    for value in namespace.values():
        members = vars(value).values() if isinstance(value, type) and value.__module__ == module else (value,)
        for member in members:
            for found in (member, getattr(member, "fget", None), getattr(member, "__func__", None)):
                if isinstance(found, types.FunctionType) and found.__module__ == module:
                    yield found


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """Each mutant: the operator's name and the changed source."""
    for name in sorted(operator_names()):
        operator: Any = get_operator(name)
        if operator.arguments():  # those that need settings
            continue
        for occurrence in itertools.count():
            changed = mutate_code(source, operator(), occurrence)
            if changed is None:
                break
            yield name, changed


class Runner:
    """A pytest plugin: instead of running the collected tests once, runs them for each mutant in a forked child."""

    def __init__(self, module: str, part: float, seed: int) -> None:
        self.module = module
        self.part = part
        self.seed = seed
        self.survivors: list[str] = []
        self.tried = 0

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run all mutants; True tells pytest that the tests have been run."""
        module = importlib.import_module(self.module)
        path = Path(str(module.__file__))
        source = path.read_text("utf-8")
        chosen = random.Random(self.seed)
        for operator, changed in mutants(source):
            if chosen.random() >= self.part:
                continue
            self.tried += 1
            if self._survives(session, module, changed, path):
                diff = difflib.unified_diff(source.splitlines(), changed.splitlines(), lineterm="", n=0)
                self.survivors.append(f"{operator}\n" + "\n".join(list(diff)[2:]))
                print(f"\nnot noticed: {self.survivors[-1]}", flush=True)
        return True

    def _survives(self, session: pytest.Session, module: types.ModuleType, changed: str, path: Path) -> bool:
        child = os.fork()
        if child == 0:
            os._exit(self._child(session, module, changed, path))
        descriptor = os.pidfd_open(child)
        try:
            if not select.select([descriptor], [], [], SECONDS)[0]:
                os.kill(child, signal.SIGKILL)
            return os.waitpid(child, 0)[1] == 0
        finally:
            os.close(descriptor)

    def _child(self, session: pytest.Session, module: types.ModuleType, changed: str, path: Path) -> int:
        """0 where every test passes."""
        session.config.pluginmanager.unregister(name="terminalreporter")
        try:
            namespace: dict[str, Any] = {"__name__": self.module, "__file__": str(path)}
            exec(compile(changed, str(path), "exec"), namespace)
            ours = {function.__qualname__: function for function in functions(vars(module), self.module)}
            for function in functions(namespace, self.module):
                if function.__qualname__ in ours and not function.__closure__:
                    ours[function.__qualname__].__code__ = function.__code__
                    ours[function.__qualname__].__defaults__ = function.__defaults__
            for index, item in enumerate(session.items):
                following = session.items[index + 1] if index + 1 < len(session.items) else None
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.testsfailed:
                    return 1
        except BaseException:
            return 1
        return 0


def main() -> int:
    """Parse the command line, run, and print the count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module")
    parser.add_argument("tests", nargs="+")
    parser.add_argument("--part", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    options, rest = parser.parse_known_args()
    runner = Runner(options.module, options.part, options.seed)
    started = time.monotonic()
    pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:randomly", *options.tests, *rest], plugins=[runner])
    killed = runner.tried - len(runner.survivors)
    print(f"{options.module}: {runner.tried} mutants, {killed} noticed, {len(runner.survivors)} survived")
    print(f"{time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
