"""Where the `nexusql` command begins: without its extra it says so in a line."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    try:
        import typer  # noqa: F401
    except ImportError:
        print("the nexusql command needs its extra; install it with: pip install nexusql[cli]", file=sys.stderr)
        return 2
    from nexusql.cli.app import run

    return run(arguments)
