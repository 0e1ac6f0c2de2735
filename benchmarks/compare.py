"""Compare nexusql with bare drivers and other libraries, all in one run: ``python benchmarks/compare.py [--write]``.

Contenders take turns; what is printed is the median time of a call and its ratio to the first contender's.
`--write` also writes RESULTS.md and results.svg beside this file; `--check` fails where a goal is missed.
"""

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))

import nexusql  # noqa: E402
import servers  # noqa: E402
from cases import CASES  # noqa: E402
from harness import Result, measure  # noqa: E402
from plot import draw  # noqa: E402

PACKAGES = ("psycopg2-binary", "PyMySQL", "msgspec", "pydantic", "peewee", "SQLAlchemy", "sqlspec")


def shown(seconds: float) -> str:
    """A time in the unit that reads best."""
    return f"{seconds * 1e6:,.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:,.1f} ms"


def environment() -> list[str]:
    """What the figures were measured with."""
    packages = []
    for name in PACKAGES:
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"{name} not installed")
    reached = [servers.look_at(kind)[0] or f"{kind} not reached" for kind in servers.KINDS]
    return [
        f"nexusql {nexusql.__version__}, implementation: {nexusql.IMPLEMENTATION}",
        f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores",
        ", ".join(reached),
        ", ".join(packages),
    ]


def table(result: Result) -> str:
    """One case as a Markdown table."""
    lines = [f"## {result.case.title}", "", "| | median | ratio |", "|---|---:|---:|"]
    for name, median in result.medians.items():
        lines.append(f"| {name} | {shown(median)} | {result.ratios[name]:.2f} |")
    if result.verdict:
        lines += ["", result.verdict]
    return "\n".join([*lines, ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; gives 1 where `--check` finds a goal missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write RESULTS.md and results.svg")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a goal is missed")
    parser.add_argument("--only", default="", help="only cases whose title contains this text")
    parser.add_argument("--rounds", type=int, default=25, help="turns of each contender")
    options = parser.parse_args(arguments)

    report = ["# Benchmarks", "", *(f"- {line}" for line in environment())]
    report += ["", "Ratios are to the first line of each table. `make bench` writes this page.", ""]
    print("\n".join(report), flush=True)
    results = []
    for kind, open_case in CASES:
        if not servers.reachable(kind):
            report.append(f"Not measured on {kind}: it was not reached.\n")
            print(report[-1], flush=True)
            continue
        with open_case() as case:
            if options.only.lower() not in case.title.lower():
                continue
            result = measure(case, options.rounds)
        results.append(result)
        report.append(table(result))
        print(report[-1], flush=True)
    if options.write:
        (HERE / "results.svg").write_text(draw(results), "utf-8")
        (HERE / "RESULTS.md").write_text("\n".join([*report, "![The same as bars](results.svg)", ""]), "utf-8")
    missed = [result.verdict for result in results if "MISSED" in result.verdict]
    print("\n".join(missed) or "Every goal holds.")
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
