"""Makes the files of a new migration."""

import re
from pathlib import Path

from nexusql.errors import MigrationError
from nexusql.migrations.files import Kind, parse_version, read_folder

LEAST_DIGITS = 3


def new_file(
    folder: Path, description: str, *, undo: bool = False, repeatable: bool = False, version: str | None = None
) -> list[Path]:
    """Create a file with the next version of a folder, which is made if need be, and with `undo` one that undoes it.

    Raises MigrationError for a description without a letter or a digit, or a version that there is already.
    """
    words = re.sub(r"\W+", "_", description).strip("_")
    if not words:
        raise MigrationError("a description has letters or digits")
    if repeatable and (undo or version is not None):
        raise MigrationError("a repeatable file has no version and nothing that undoes it")
    folder.mkdir(parents=True, exist_ok=True)
    if repeatable:
        return [_create(folder / f"R__{words}.sql", f"-- {description}\n")]
    number = _next_version(folder) if version is None else version
    stem = f"V{number}__{words}"
    files = [_create(folder / f"{stem}.sql", f"-- {description}\n")]
    if undo:
        files.append(_create(folder / f"U{number}__{words}.sql", f"-- undo: {description}\n"))
    return files


def _next_version(folder: Path) -> str:
    files = read_folder(folder, "").versioned
    highest = max((file.version[0] for file in files), default=0)
    digits = max((len(file.stem[1:].split("__")[0].split(".")[0].split("_")[0]) for file in files), default=0)
    return str(highest + 1).zfill(max(digits, LEAST_DIGITS) if files else LEAST_DIGITS)


def _create(path: Path, text: str) -> Path:
    if path.name.startswith("V"):
        version = parse_version(path.stem[1:].split("__")[0])
        taken = [
            f.name for f in read_folder(path.parent, "").versioned if f.kind is Kind.VERSIONED and f.version == version
        ]
        if taken:
            raise MigrationError(f"{taken[0]} has this version already")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise MigrationError(f"{path.name} is there already") from None
    return path
