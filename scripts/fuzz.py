"""Fuzz the compiled core under sanitizers, and compare what it gives with the interpreted core.

    scripts/fuzz.py 600      for so many seconds
    scripts/fuzz.py FILE     one input again, as it was left by a run with a finding

The core is built apart, in build/fuzz, with AddressSanitizer and UndefinedBehaviorSanitizer; Python itself allocates by
malloc, so that an object used after its end is seen. Inputs come from tests/support/fuzzing.py: with clang and atheris
they are changed until they reach new branches of the C code; where one of the two cannot be had, they are random. clang
is installed from Debian's packages where it is missing and the user is root, atheris from PyPI into build/fuzz. What
cannot be had is said on stderr. The exit status is 0 without a finding.
"""

import importlib
import os
import random
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "fuzz"
SITE = FOLDER / "site"
CORPUS = FOLDER / "corpus"
MODULES = ("scanner", "binder", "records", "encoder", "packets")
COVERAGE = "-fsanitize=fuzzer-no-link"
CHECKS = "-fsanitize=address,undefined -fno-sanitize-recover=all"
COMPILE = f"{CHECKS} -UNDEBUG -fno-omit-frame-pointer -DNEXUSQL_TIGHT_BUFFER"
MOST_BYTES = 2000


class Unavailable(Exception):
    """Something that cannot be had here; the text says what and why."""


def say(text: str) -> None:
    """Tell the person."""
    print(text, file=sys.stderr, flush=True)


def run(command: Sequence[str | Path], **environment: str) -> None:
    """Run a command to its end; raises Unavailable with the end of its output."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Unavailable(f"{' '.join(map(str, command[:4]))} failed ({done.returncode}): {done.stdout.strip()[-600:]}")


def provide_clang() -> str:
    """clang, installed where it is missing; the headers of Debian's own Python with it."""
    has_headers = (Path(sysconfig.get_path("include")) / "Python.h").exists()
    packages = [] if shutil.which("clang") else ["clang"]
    packages += [] if has_headers else ["python3-dev"]
    if packages:
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise Unavailable(f"not installed (Debian and Ubuntu: apt-get install {' '.join(packages)})")
        say(f"fuzz: installing {' '.join(packages)}")
        run(["apt-get", "update", "-q"])
        install = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages]
        run(install, DEBIAN_FRONTEND="noninteractive")
    return "clang"


def provide_atheris() -> Path:
    """atheris in build/fuzz; gives its library of libFuzzer and AddressSanitizer, which is loaded before all else."""
    library = SITE / "asan_with_fuzzer.so"
    if not library.exists():
        say("fuzz: installing atheris into build/fuzz")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run([*pip, "--only-binary", ":all:", "--upgrade", "--target", SITE, "atheris"])
    if not library.exists():
        raise Unavailable("its wheel for this system holds no asan_with_fuzzer.so")
    return library


def provide_gcc() -> tuple[str, list[Path]]:
    """A compiler with sanitizers, and their libraries."""
    compiler = shutil.which("gcc")
    if compiler is None:
        raise Unavailable("gcc is not installed (Debian and Ubuntu: apt-get install gcc)")
    libraries = []
    for name in ("libasan.so", "libubsan.so"):
        found = subprocess.run(
            [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        if not os.path.isabs(found):
            raise Unavailable(f"gcc comes without {name}")
        libraries.append(Path(found).resolve())
    return "gcc", libraries


def build(compiler: str, more: str = "") -> Path:
    """Build the package with a sanitized core; gives the folder to import it from.

    The sanitizers' functions are found when the modules are loaded: linking their libraries too would double them.
    """
    target = FOLDER / compiler
    say(f"fuzz: building the core with {compiler} {CHECKS} {more}")
    run(
        [
            *(sys.executable, "setup.py", "-q"),
            *("build_py", "--build-lib", target),
            *("build_ext", "--build-lib", target, "--build-temp", FOLDER / f"{compiler}-objects"),
        ],
        CC=f"{compiler} {COMPILE} {more}",
        LDSHARED=f"{compiler} -shared",
        NEXUSQL_PURE="",
        NEXUSQL_REQUIRE_SPEEDUPS="1",
    )
    return target


def prepare() -> tuple[Path, list[Path], bool]:
    """(folder of the sanitized package, libraries to load first, whether coverage guides the inputs)."""
    try:
        compiler = provide_clang()
        library = provide_atheris()
        return build(compiler, COVERAGE), [library], True
    except Unavailable as reason:
        say(f"fuzz: NOT GUIDED BY COVERAGE, the inputs are random: {reason}")
    compiler, libraries = provide_gcc()
    return build(compiler), libraries, False


def load(package: Path) -> Callable[[bytes], None]:
    """The comparison of one input on the sanitized core."""
    import fuzzing

    interpreted = {name: importlib.import_module(f"nexusql._speedups.{name}") for name in MODULES}
    compiled = {name: importlib.import_module(f"nexusql._speedups._{name}_c") for name in MODULES}
    for module in compiled.values():
        if package not in Path(str(module.__file__)).parents:
            raise SystemExit(f"{module.__file__} was loaded, which is not the sanitized module in {package}")
    return lambda data: fuzzing.check(data, interpreted, compiled)


def guided(check: Callable[[bytes], None], seconds: int) -> None:
    """Inputs that coverage leads to; libFuzzer ends the process. https://llvm.org/docs/LibFuzzer.html#options"""
    import atheris

    CORPUS.mkdir(exist_ok=True)
    chance = random.Random(1)
    for number in range(300):
        (CORPUS / f"seed-{number}").write_bytes(chance.randbytes(chance.randrange(MOST_BYTES // 4)))
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MOST_BYTES}",
        "-timeout=60",
        "-rss_limit_mb=6000",
        "-print_final_stats=1",
        f"-artifact_prefix={FOLDER}/finding-",
    ]
    atheris.Setup([sys.argv[0], *options, str(CORPUS)], check)
    atheris.Fuzz()


def unguided(check: Callable[[bytes], None], seconds: int) -> None:
    """Random inputs, other ones in each run."""
    chance = random.Random()
    latest = FOLDER / "finding-latest"
    deadline = time.monotonic() + seconds
    count = 0
    while time.monotonic() < deadline:
        data = chance.randbytes(chance.randrange(MOST_BYTES))
        # A sanitizer ends the process, so that the input must be there before.
        latest.write_bytes(data)
        check(data)
        count += 1
    latest.unlink(missing_ok=True)
    say(f"fuzz: {count} inputs")


def drive(package: str, what: str, is_guided: bool) -> None:
    """What the sanitized process does."""
    check = load(Path(package))
    if not what.isdigit():
        check(Path(what).read_bytes())
    elif is_guided:
        guided(check, int(what))
    else:
        unguided(check, int(what))


def main(arguments: list[str]) -> int:
    """Do what the command line says; gives the exit status."""
    match arguments:
        case ["drive", package, what, how]:
            drive(package, what, how == "guided")
            return 0
        case [what] if what.isdigit() or Path(what).is_file():
            FOLDER.mkdir(parents=True, exist_ok=True)
        case _:
            say(str(__doc__))
            return 2
    try:
        folder, libraries, is_guided = prepare()
    except Unavailable as reason:
        say(f"fuzz: NOTHING WAS FUZZED: {reason}")
        return 2
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join(map(str, libraries)),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=64",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": os.pathsep.join(map(str, (folder, ROOT / "tests" / "support", SITE))),
        "NEXUSQL_PURE": "",
        "NEXUSQL_REQUIRE_SPEEDUPS": "1",
    }
    command = [sys.executable, __file__, "drive", str(folder), what, "guided" if is_guided else "random"]
    status = subprocess.run(command, env=environment, check=False).returncode
    say("fuzz: A FINDING, told above; its input is in build/fuzz" if status else "fuzz: no finding")
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
