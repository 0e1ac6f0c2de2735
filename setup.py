"""Builds the compiled core where that is possible; without it the same source runs interpreted.

`NEXUSQL_PURE=1` leaves the compiled core out. `NEXUSQL_REQUIRE_SPEEDUPS=1` (or cibuildwheel's `CIBUILDWHEEL=1`) makes a
failure to build it an error. Empty and 0 mean off. All else about the package is in pyproject.toml.
"""

import os
import platform
import re
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# Each is compiled under a second name, scanner.py as _scanner_c, so that both can be imported side by side.
MODULES = ("scanner", "binder", "records", "encoder", "packets")

REPOSITORY = "https://github.com/nexusql/nexusql"

DIRECTIVES = {"language_level": 3, "subinterpreters_compatible": "own_gil"}
# With the directive alone a subinterpreter with its own GIL refuses the import.
MACROS: list[tuple[str, str | None]] = [("CYTHON_USE_MODULE_STATE", "1")]
COMPILE_ARGS = [] if sys.platform == "win32" else ["-O3", "-g0"]


class BuildFailed(Exception):
    """The compiled core could not be built."""


class BuildSpeedups(build_ext):
    """Compile with Cython only when extensions are really built, so that an sdist needs neither it nor a compiler."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:
            raise BuildFailed(f"{type(error).__name__}: {error}") from error

    def build_extension(self, ext: Extension) -> None:
        from Cython.Build import cythonize

        build_dir = os.path.join("build", "cython")
        (generated,) = cythonize([ext], build_dir=build_dir, compiler_directives=DIRECTIVES, quiet=True)  # type: ignore[no-untyped-call]
        ext.sources = generated.sources
        super().build_extension(ext)


def flag(name: str) -> bool:
    """Whether an environment variable asks for something."""
    return os.environ.get(name, "") not in ("", "0")


def source(name: str) -> str:
    """What a module is compiled from: its own file, or a twin beside it that is written for the compiler."""
    twin = f"nexusql/_speedups/_{name}_c.pyx"
    return twin if os.path.exists(twin) else f"nexusql/_speedups/{name}.py"


def readme() -> str:
    """README.md for the page on the index, where links and pictures of the repository lead nowhere unless absolute."""
    text = Path("README.md").read_text("utf-8")
    text = re.sub(r"(!\[[^\]]*\]\()(?!https?:)", rf"\1{REPOSITORY}/raw/main/", text)
    return re.sub(r"(?<!!)(\[[^\]]*\]\()(?!https?:|#)", rf"\1{REPOSITORY}/blob/main/", text)


def run_setup(speedups: bool) -> None:
    """Set up with the compiled core or without."""
    extensions = [
        Extension(
            f"nexusql._speedups._{name}_c",
            [source(name)],
            define_macros=MACROS,
            extra_compile_args=COMPILE_ARGS,
        )
        for name in MODULES
    ]
    setup(
        long_description=readme(),
        long_description_content_type="text/markdown",
        cmdclass={"build_ext": BuildSpeedups},
        ext_modules=extensions if speedups else [],
    )


def main() -> None:
    """Build with the compiled core, and without it where that fails and may fail."""
    if flag("NEXUSQL_PURE") or platform.python_implementation() != "CPython":
        run_setup(speedups=False)
        return
    try:
        run_setup(speedups=True)
    except BuildFailed as error:
        if flag("NEXUSQL_REQUIRE_SPEEDUPS") or flag("CIBUILDWHEEL"):
            raise
        frame = "=" * 100
        print(
            f"{frame}\nWARNING: the compiled core of nexusql could not be built:\n    {error}\n"
            "nexusql is built again without it, and will work the same, but slower.\n"
            "Set NEXUSQL_REQUIRE_SPEEDUPS=1 to make this an error, or NEXUSQL_PURE=1 to leave the core out and silence "
            f"this.\n{frame}",
            file=sys.stderr,
        )
        run_setup(speedups=False)


if __name__ == "__main__":
    main()
