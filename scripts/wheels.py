"""The packages of a release, built into dist/ and proved: the sdist, a wheel for each Python here, the pure wheel.

All are built from the sdist, by a pip that finds no git. What is in each is looked at; each wheel goes into an
environment of its own, where nothing but nexusql may come with it, and the tests of the sdist run there: those that
need no server, or with NEXUSQL_LONG=1 all that an installed package has. Each extra is installed alone. The build
without a compiler, and the pure wheel on Pyodide where npm is, are tried too.

Pythons are those under pyenv from 3.10 on, else the one that runs this. The exit status is 0 where all holds.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
VERSIONS = ((3, 10), (3, 11), (3, 12), (3, 13), (3, 14))
# The same in [tool.cibuildwheel]: what needs no server, and what that needs; the decoder is compared with PyMySQL.
QUICK = ("tests/speedups", "tests/sql", "tests/unit")
TOOLS = ("pytest>=8.3", "hypothesis>=6.100", "PyMySQL>=1.2.4")
# These are about the checkout: its documents, its scripts, its types and the Makefile.
OF_THE_CHECKOUT = ("tests/project", "tests/typing", "tests/clients")
EXTRAS = {
    "postgresql": "psycopg2",
    "mysql": "pymysql",
    "mssql": "pyodbc",
    "cli": "typer",
    "otel": "opentelemetry.trace",
    "all": "psycopg2, pymysql, pyodbc, typer, opentelemetry.trace",
}
MODULES = 5  # of the compiled core
PYODIDE = ("314.0.7", "3.14")  # its release on npm, and the Python that it is
# There are no processes, no threads, no event loop that blocks, and no clock that is fine enough.
THREADED = ("tests/unit/test_interrupts.py", "tests/unit/test_workers.py")
NOT_ON_PYODIDE = "not (awaiting or gather_takes or milliseconds or linear_time)"
PURE = {"NEXUSQL_PURE": "1"}


class Broken(Exception):
    """Something does not hold that a release promises; the text says what."""


def say(text: str) -> None:
    """Tell the person."""
    print(text, flush=True)


def run(command: Sequence[str | Path], cwd: Path = ROOT, **environment: str) -> str:
    """Run a command to its end and give its output; raises Broken with the end of that where it fails."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("NEXUSQL_", "PYTHON"))}
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=cwd,
        env={**settings, **environment},
    )
    if done.returncode:
        raise Broken(f"{' '.join(map(str, command))} failed ({done.returncode}):\n{done.stdout.strip()[-3000:]}")
    return done.stdout


def demand(holds: object, what: str) -> None:
    """Raise Broken where something does not hold."""
    if not holds:
        raise Broken(what)


def pythons() -> list[Path]:
    """The newest interpreter of each version under pyenv; without pyenv the one that runs this."""
    folder = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found: dict[tuple[int, ...], tuple[int, Path]] = {}
    for python in folder.glob("*/bin/python"):
        match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", python.parts[-3])
        if match and (version := (int(match[1]), int(match[2]))) in VERSIONS:
            found[version] = max(found.get(version, (-1, python)), (int(match[3]), python))
    return [found[version][1] for version in sorted(found)] or [Path(sys.executable)]


def names(archive: Path) -> list[str]:
    """The files in an sdist, without its outermost folder, or in a wheel."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened:
            return opened.namelist()
    with tarfile.open(archive) as opened:
        return [member.name.partition("/")[2] for member in opened if member.isfile()]


def check_sdist(listed: Iterable[str]) -> None:
    """Source, tests and what they read, and nothing that was generated; raises Broken."""
    files = set(listed)
    wanted = {
        *("setup.py", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "Makefile", "tests/conftest.py"),
        *("tests/support/servers.py", "tests/unit/test_url.py", "nexusql/_speedups/scanner.py"),
        *("nexusql/_speedups/_encoder_c.pyx", "nexusql/py.typed", "nexusql/migrations/V001__complete_schema.sql"),
    }
    demand(wanted <= files, f"the sdist is without {sorted(wanted - files)}")
    generated = sorted(
        name for name in files if re.search(r"\.(c|so|pyd|o|pyc)$|(^|/)(__pycache__|\.git|build)/", name)
    )
    demand(not generated, f"the sdist holds what was generated: {generated}")


def check_wheel(listed: Iterable[str], compiled: bool) -> None:
    """The package with its data and its core, and nothing else; raises Broken."""
    files = set(listed)
    wanted = {"nexusql/__init__.py", "nexusql/py.typed", "nexusql/migrations/V001__complete_schema.sql"}
    demand(wanted <= files, f"the wheel is without {sorted(wanted - files)}")
    core = [name for name in files if re.fullmatch(r"nexusql/_speedups/_\w+_c\..*\.(so|pyd)", name)]
    demand(len(core) == (MODULES if compiled else 0), f"the wheel has {len(core)} compiled modules")
    other = sorted(name for name in files if not re.match(r"nexusql(-[^/]+\.dist-info)?/", name))
    other += sorted(name for name in files if re.search(r"\.(c|pyx|pxd|pyc)$", name))
    demand(not other, f"the wheel holds what is no part of the package: {other}")


class Workshop:
    """A folder with all that is made on the way to the proof."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        git = folder / "without-git" / "git"
        git.parent.mkdir()
        git.write_text("#!/bin/sh\necho 'a build must not ask git' >&2\nexit 1\n")
        git.chmod(0o755)
        self.path = f"{git.parent}{os.pathsep}{os.environ['PATH']}"

    def sdist(self) -> Path:
        """Build the sdist, and unpack it for its tests, which shall not find the package beside them."""
        run([sys.executable, "-m", "build", "--sdist", "--outdir", DIST], PATH=self.path)
        (archive,) = DIST.glob("*.tar.gz")
        check_sdist(names(archive))
        shutil.unpack_archive(archive, self.folder)
        self.source = self.folder / archive.name.removesuffix(".tar.gz")
        shutil.rmtree(self.source / "nexusql")
        return archive

    def wheel(self, python: Path, sdist: Path, into: Path, **environment: str) -> tuple[Path, str]:
        """Build a wheel from the sdist; gives it with the output of the build."""
        before = set(into.glob("*.whl"))
        options = ("--verbose", "--no-deps", "--wheel-dir", into)
        output = run([python, "-m", "pip", "wheel", *options, sdist], cwd=self.folder, PATH=self.path, **environment)
        (wheel,) = set(into.glob("*.whl")) - before
        return wheel, output

    def environment(self, python: Path, *requirements: str | Path) -> Path:
        """The interpreter of a clean environment with some requirements."""
        home = Path(tempfile.mkdtemp(prefix="environment-", dir=self.folder))
        run([python, "-m", "venv", home])
        inside = home / "bin" / "python"
        run([inside, "-m", "pip", "--quiet", "install", *requirements], cwd=home)
        return inside

    def prove(self, python: Path, wheel: Path, core: str) -> str:
        """Install a wheel alone, then run the tests against it; gives the last line of their report."""
        inside = self.environment(python, wheel)
        frozen = run([inside, "-m", "pip", "list", "--format=freeze"], cwd=self.folder)
        came = {line.partition("==")[0].lower() for line in frozen.splitlines() if "==" in line}
        demand(came - {"pip", "setuptools", "wheel"} == {"nexusql"}, f"{wheel.name} brought {sorted(came)}")
        long = os.environ.get("NEXUSQL_LONG", "") not in ("", "0")
        needed: Sequence[str] = (f"nexusql[dev] @ {wheel.as_uri()}",) if long else TOOLS
        run([inside, "-m", "pip", "--quiet", "install", *needed], cwd=self.folder)
        chosen = [*QUICK]
        if long:
            chosen = ["-n", "2", "--dist", "worksteal", *(f"--ignore={folder}" for folder in OF_THE_CHECKOUT)]
        servers = {name: value for name, value in os.environ.items() if name.startswith("NEXUSQL_TEST_")}
        report = run(
            [inside.parent / "pytest", "-q", "-p", "no:cacheprovider", *chosen],
            cwd=self.source,
            NEXUSQL_EXPECT=core,
            NEXUSQL_LONG="1" if long else "",
            **servers,
        )
        return report.strip().splitlines()[-1]

    def prove_extras(self, python: Path, wheel: Path) -> None:
        """Each extra installs alone and brings its driver; without it, the error names it."""
        bare = self.environment(python, wheel)
        for extra, module in EXTRAS.items():
            alone = self.environment(python, f"nexusql[{extra}] @ {wheel.as_uri()}")
            run([alone, "-c", f"import nexusql, {module}"], cwd=self.folder)
            say(f"  [{extra}] brings {module}")
        for extra in ("postgresql", "mysql", "mssql"):
            code = (
                f"import nexusql; nexusql.DatabaseManager('{extra}://nobody@127.0.0.1:1/x').connect(raise_errors=True)"
            )
            self.expect(bare, ["-c", code], f"pip install nexusql[{extra}]")
        self.expect(bare, ["-c", "import nexusql; nexusql.OpenTelemetry()"], "install nexusql[otel]")
        self.expect(bare, ["-m", "nexusql", "info"], "pip install nexusql[cli]")

    def expect(self, python: Path, arguments: Sequence[str], text: str) -> None:
        """Demand that a run fails and says something."""
        try:
            output = run([python, *arguments], cwd=self.folder)
        except Broken as broken:
            demand(text in str(broken), f"{arguments} does not say {text!r}: {broken}")
            say(f"  {arguments[-1][:40]}.. names {text!r}")
        else:
            raise Broken(f"{arguments} was to fail: {output}")

    def prove_on_pyodide(self, wheel: Path) -> str:
        """Run tests with a pure wheel on CPython in WebAssembly; gives the last line of their report."""
        home = self.folder / "pyodide"
        packages = home / "packages"
        home.mkdir()
        release, version = PYODIDE
        run(["npm", "install", "--silent", "--no-audit", "--prefix", home, f"pyodide@{release}"], cwd=home)
        pure = ("--platform=any", "--implementation=py", "--abi=none", "--only-binary=:all:")
        into = (f"--target={packages}", "--no-compile", f"--python-version={version}", *pure)
        run([sys.executable, "-m", "pip", "--quiet", "install", *into, wheel, *TOOLS], cwd=home)
        script = shutil.copy(ROOT / "scripts" / "pyodide.mjs", home)
        ignored = [f"--ignore={file}" for file in THREADED]
        tests = ("tests/sql", "tests/unit", "-q", "-k", NOT_ON_PYODIDE, *ignored)
        return run(["node", script, packages, self.source, *tests], cwd=home).strip().splitlines()[-1]

    def prove_without_compiler(self, python: Path, sdist: Path) -> None:
        """Where the compiler fails a pure wheel comes out, with a warning in a frame."""
        into = self.folder / "without-compiler"
        into.mkdir()
        wheel, output = self.wheel(python, sdist, into, CC="false")
        framed = re.search(
            r"^\s*={80,}\n\s*WARNING: .*could not be built.*\n\s*={80,}$", output, re.DOTALL | re.MULTILINE
        )
        demand(framed, f"the build without a compiler does not warn:\n{output[-3000:]}")
        demand(wheel.name.endswith("-py3-none-any.whl"), f"the build without a compiler gave {wheel.name}")
        check_wheel(names(wheel), compiled=False)
        code = (
            "import nexusql\n"
            "with nexusql.DatabaseManager('sqlite://:memory:') as db:\n"
            "    print(nexusql.IMPLEMENTATION, *db.execute('SELECT 1 AS a'))"
        )
        answer = run([self.environment(python, wheel), "-c", code], cwd=self.folder).strip()
        demand(answer == "python {'a': 1}", f"the wheel without a compiled core says {answer!r}")


def main() -> None:
    """Build and prove everything; raises Broken at the first thing that does not hold."""
    shutil.rmtree(DIST, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="nexusql-wheels-") as folder:
        shop = Workshop(Path(folder))
        sdist = shop.sdist()
        say(f"{sdist.name}: {len(names(sdist))} files, nothing generated, built without git")
        found = pythons()
        built = [
            (python, shop.wheel(python, sdist, DIST, NEXUSQL_REQUIRE_SPEEDUPS="1")[0], "cython") for python in found
        ]
        built.append((found[-1], shop.wheel(found[-1], sdist, DIST, **PURE)[0], "python"))
        demand(built[-1][1].name.endswith("-py3-none-any.whl"), f"the pure wheel is named {built[-1][1].name}")
        say(run([sys.executable, "-m", "twine", "check", "--strict", *sorted(DIST.iterdir())]).strip())
        for python, wheel, core in built:
            check_wheel(names(wheel), compiled=core == "cython")
            if core == "cython" and sys.platform == "linux":
                shown = " ".join(run([sys.executable, "-m", "auditwheel", "show", wheel]).split())
                tag = re.search(r'platform tag: "([^"]+)"', shown)
                demand(tag and "linux" in tag[1], f"auditwheel says of {wheel.name}: {shown}")
                say(f"{wheel.name}: consistent with {tag[1] if tag else ''}")
            say(f"{wheel.name}: {shop.prove(python, wheel, core)}")
        shop.prove_extras(found[-1], built[-2][1])
        shop.prove_without_compiler(found[-1], sdist)
        say("without a compiler: a pure wheel that works, and a warning in a frame")
        if shutil.which("npm"):
            say(f"Pyodide {PYODIDE[0]}: {shop.prove_on_pyodide(built[-1][1])}")
        else:
            say("NOT TRIED on Pyodide: npm is not here")


if __name__ == "__main__":
    try:
        main()
    except Broken as broken:
        sys.exit(f"BROKEN: {broken}")
