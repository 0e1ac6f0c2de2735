"""What the benchmarks compare nexusql with: the packages of the extra `bench`, and nexusql 0.4.0 in an environment of
its own, .venv-peers/nexusql-0.4.0.

Run it by the interpreter of the virtual environment that it is to install into. mysqlclient is compiled, for which
Debian's packages are installed where they are missing and the user is root. What cannot be had is said plainly on
stderr and left out of the benchmarks; the exit status is 0 all the same.
"""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RELEASED = ROOT / ".venv-peers" / "nexusql-0.4.0"
PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check", "install")
# What mysqlclient is compiled with: one of these, and the packages that bring one.
LIBRARIES = ("libmariadb", "mariadb", "mysqlclient")
DEBIAN = ("pkg-config", "gcc", "libmariadb-dev")


def say(text: str) -> None:
    """Tell the person."""
    print(text, file=sys.stderr, flush=True)


def succeeds(command: Sequence[str | Path], **environment: str) -> bool:
    """Run a command to its end; where it fails the end of its output is said."""
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    if done.returncode:
        say(f"{' '.join(map(str, command))} failed:\n{done.stdout.strip()[-600:]}")
    return done.returncode == 0


def wanted() -> list[str]:
    """The requirements of the extra `bench`, but for nexusql's own."""
    requirements = importlib.metadata.requires("nexusql") or []
    of_bench = [text.partition(";")[0].strip() for text in requirements if re.search(r"extra == .bench.", text)]
    return [text for text in of_bench if not text.startswith("nexusql")]


def has_library(name: str) -> bool:
    """Whether pkg-config is there and knows a library."""
    return bool(shutil.which("pkg-config")) and not subprocess.run(["pkg-config", "--exists", name]).returncode


def prepare_mysqlclient() -> None:
    """See to the library that mysqlclient is compiled with."""
    if importlib.util.find_spec("MySQLdb") or any(map(has_library, LIBRARIES)):
        return
    packages = " ".join(DEBIAN)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        say(f"mysqlclient needs a compiler and the client library (Debian and Ubuntu: apt-get install {packages})")
        return
    say(f"installing {packages}, to compile mysqlclient")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    if succeeds(["apt-get", "update", "-q"], **quiet):
        succeeds(["apt-get", "install", "-q", "-y", "--no-install-recommends", *DEBIAN], **quiet)


def install(requirements: Sequence[str]) -> None:
    """Install all at once, or where that fails one by one, so that one does not keep the others away."""
    if succeeds([sys.executable, *PIP, *requirements]):
        return
    for requirement in requirements:
        if not succeeds([sys.executable, *PIP, requirement]):
            say(f"NOT INSTALLED, the benchmarks are without it: {requirement}")


def install_released() -> None:
    """nexusql 0.4.0 with its drivers, in its own environment."""
    python = RELEASED / "bin" / "python"
    if python.exists():
        return
    venv.create(RELEASED, with_pip=True)
    if not succeeds([python, *PIP, "nexusql[postgresql,mysql]==0.4.0"]):
        shutil.rmtree(RELEASED)
        say("NOT INSTALLED, the benchmarks are without it: nexusql 0.4.0")


if __name__ == "__main__":
    prepare_mysqlclient()
    install(wanted())
    install_released()
