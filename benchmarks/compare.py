"""Compare nexusql with bare drivers and other libraries, all in one run: ``python benchmarks/compare.py [--write]``.

Contenders take turns; what is printed is the median time of a call and its ratio to nexusql's. `--write` measures the
interpreted core too, in a process of its own, and writes RESULTS.md and its plots beside this file, and docs/speed.svg.
`--check` fails where a goal is missed.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))

import nexusql  # noqa: E402
import plot  # noqa: E402
import report  # noqa: E402
import servers  # noqa: E402
import summary  # noqa: E402
from cases import TOPICS, entries  # noqa: E402
from cases.entry import Sizes  # noqa: E402
from peers import absent  # noqa: E402
from place import INTERPRETED  # noqa: E402
from report import Measured  # noqa: E402

PACKAGES = (
    "psycopg2-binary",
    "psycopg",
    "asyncpg",
    "PyMySQL",
    "mysqlclient",
    "msgspec",
    "pydantic",
    "peewee",
    "SQLAlchemy",
    "sqlspec",
    "pyarrow",
)
# What decides how long a commit takes.
DURABILITY = {
    "sqlite": "SELECT 'journal_mode WAL, synchronous FULL'",
    "postgresql": "SELECT 'fsync ' || current_setting('fsync') || ', synchronous_commit '"
    " || current_setting('synchronous_commit')",
    "mysql": "SELECT CONCAT('innodb_flush_log_at_trx_commit ', @@innodb_flush_log_at_trx_commit)",
}
EXPLANATION = """\
`make bench` writes this page. Contenders take turns in one process, each round begins with another one, and what is
shown is the median of a call with its quartiles; nexusql 0.4.0 runs in a process of its own and takes its turn there.
All read rows into dicts and write rows from dicts, unless a name says otherwise. Each write of many rows is one
transaction, into a table that is emptied before and has a serial key and no other index; all write equally durably,
with the settings above. asyncpg runs its event loop anew for each call, which costs it about 20 µs. The line of a
server's floor is what the database needs for data that is ready-made in its own form.
"""


def environment() -> list[str]:
    """What the figures were measured with."""
    packages = []
    for name in PACKAGES:
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"{name} not installed")
    databases = []
    for kind in servers.KINDS:
        found = servers.look_at(kind)[0]
        databases.append(f"{found} ({durability(kind)})" if found else f"{kind} not reached")
    return [
        f"nexusql {nexusql.__version__}, implementation: {nexusql.IMPLEMENTATION}",
        f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores",
        ", ".join(databases),
        ", ".join(packages),
        *absent(),
    ]


def durability(kind: str) -> str:
    """The settings of a database that decide how long a commit takes."""
    with servers.fresh_database(kind) as url, nexusql.DatabaseManager(url) as db:
        return str(db.fetch_value(DURABILITY[kind]))


def run(only: str, rounds: int) -> list[Measured]:
    """Measure the entries whose topic or title contains a text, and print each."""
    results = []
    for entry in entries(Sizes()):
        wanted = only.lower() in f"{entry.topic}: {entry.title}".lower()
        if not wanted or (INTERPRETED and not entry.interpreted):
            continue
        if not servers.reachable(entry.kind):
            print(f"{entry.title}: not measured, {entry.kind} was not reached\n", flush=True)
            continue
        result = entry.run(max(1, round(rounds * entry.share)))
        results.append(Measured(entry.topic, entry.title, entry.series, entry.at, result))
        verdicts = [f"{verdict.goal}: {verdict.measured}, {verdict.state}" for verdict in result.verdicts]
        print("\n".join([f"## {entry.title}", "", *report.table(result), "", *verdicts]), flush=True)
    return results


def run_interpreted(only: str, rounds: int) -> list[Measured]:
    """The same with the interpreted core, in another process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "results.json"
        command = [sys.executable, __file__, "--only", only, "--rounds", str(rounds), "--json", str(file)]
        changed = {"NEXUSQL_PURE": "1", "NEXUSQL_REQUIRE_SPEEDUPS": ""}
        subprocess.run(command, env={**os.environ, **changed}, check=True)
        return report.from_json(file.read_text("utf-8"))


def write(results: Sequence[Measured], interpreted: Sequence[Measured]) -> None:
    """Write RESULTS.md, its plots, and the summary of it in docs/."""
    plot.bars(results, HERE / "results.svg")
    plot.lines(results, HERE / "growth.svg")
    lines = ["# Benchmarks", "", *(f"- {line}" for line in environment()), "", EXPLANATION]
    lines += ["## Goals", "", *report.goals(results), "", "With the interpreted core:", "", *report.goals(interpreted)]
    lines += ["", "![Times as multiples of nexusql's](results.svg)", "", "![Time of a row, and memory](growth.svg)", ""]
    lines += report.sections(results, TOPICS)
    lines += ["## The interpreted core", "", "NEXUSQL_PURE=1, beside the bare drivers.", ""]
    lines += report.sections(interpreted, TOPICS, "###")
    page = "\n".join(lines)
    (HERE / "RESULTS.md").write_text(page, "utf-8")
    summary.PICTURE.write_text(summary.draw(page), "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; gives 1 where `--check` finds a goal missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write RESULTS.md and its plots")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a goal is missed")
    parser.add_argument("--only", default="", help="only what has this text in its topic or title")
    parser.add_argument("--rounds", type=int, default=25, help="turns of each contender, where a call is short")
    parser.add_argument("--pure", action="store_true", help="the interpreted core alone")
    parser.add_argument("--json", type=Path, help="write the results to this file, as JSON")
    options = parser.parse_args(arguments)

    print("\n".join(environment()), end="\n\n", flush=True)
    results = [] if options.pure else run(options.only, options.rounds)
    interpreted = run_interpreted(options.only, options.rounds) if options.pure or options.write else []
    if options.json:
        options.json.write_text(report.to_json(results), "utf-8")
    if options.write:
        write(results, interpreted)
    missed = report.missed([*results, *interpreted])
    print("\n".join(missed) or "Every goal holds.")
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    sys.exit(main())
