"""The clients that tests/clients drives: releases of ia_modules as they are published, each in a folder of its own.

Run it by the interpreter of the virtual environment that the tests run in; the folders go into that environment, as
clients/ia_modules-0.2.0, and are on nobody's path. ia_modules itself is installed without its dependencies, because it
asks for a release of nexusql from PyPI, and what is to be tested is this one. What its database clients import beside
nexusql and pydantic (which the extra `dev` has) is installed beside it, in the versions that it asks for.
"""

import shutil
import subprocess
import sys
from pathlib import Path

RELEASES = {
    "0.2.0": ("httpx==0.28.1", "python-dateutil==2.9.0.post0"),
    "0.1.3": ("python-dateutil==2.9.0.post0",),
}
FOLDER = Path(sys.prefix) / "clients"
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install")


def install(version: str) -> None:
    """Install a release and what it needs; what a broken attempt has left is removed first."""
    target = FOLDER / f"ia_modules-{version}"
    shutil.rmtree(target, ignore_errors=True)
    into = (*PIP, "--target", str(target))
    subprocess.run([*into, *RELEASES[version]], check=True)
    subprocess.run([*into, "--no-deps", f"ia-modules=={version}"], check=True)


if __name__ == "__main__":
    if sys.prefix == sys.base_prefix:
        sys.exit(
            "scripts/clients.py needs the interpreter of a virtual environment: .venv/bin/python scripts/clients.py"
        )
    for release in RELEASES:
        install(release)
