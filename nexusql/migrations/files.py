"""The files of a migration folder: what their names say, and what is wrong with them.

Names follow Flyway's rules (https://documentation.red-gate.com/flyway/flyway-concepts/migrations): a prefix, a version,
two underscores, a description. https://github.com/flyway/flyway, MigrationVersion.java, has how versions compare.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from nexusql.errors import MigrationError

logger = logging.getLogger("nexusql.migrations")

BACKENDS = ("sqlite", "postgresql", "mysql", "mssql")
_NEARLY = {"postgres": "postgresql", "pg": "postgresql", "mariadb": "mysql", "sqlite3": "sqlite", "sqlserver": "mssql"}
_NAME = re.compile(r"(?P<prefix>[VU])(?P<version>\d+(?:[._]\d+)*)__(?P<description>.+)|R__(?P<repeated>.+)", re.DOTALL)
EXPECTED = "V<version>__<description>.sql, U<version>__<description>.sql or R__<description>.sql"


class Kind(str, Enum):
    """What a file is for."""

    VERSIONED = "versioned"
    REPEATABLE = "repeatable"
    UNDO = "undo"
    UNNAMED = "unnamed"  # follows no pattern; only clients of older releases have such files


def parse_version(text: str) -> tuple[int, ...]:
    """A version as numbers that compare: 1, 1.0 and 01 are the same, and 2 comes before 10. Raises MigrationError."""
    if not re.fullmatch(r"[0-9]+(?:[._][0-9]+)*", text):
        raise MigrationError(f"{text!r} is no version: numbers, with dots or underscores between them")
    numbers = [int(part) for part in re.split("[._]", text)]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


@dataclass(frozen=True, slots=True)
class File:
    """A file by its name. `stem` is its name in the history: without backend and ending, the same on every database."""

    path: Path
    kind: Kind
    stem: str
    version: tuple[int, ...] = ()
    description: str = ""
    backend: str | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name


def read_name(path: Path) -> File:
    """What a file's name says. Raises MigrationError, which says what is wrong with it."""
    stem = path.name[: -len(".sql")]
    backend: str | None = None
    down = False
    while True:
        rest, dot, last = stem.rpartition(".")
        if dot and last in BACKENDS and backend is None:
            stem, backend = rest, last
        elif dot and last == "down" and not down:
            stem, down = rest, True
        else:
            break
    if dot and last.lower() in _NEARLY:
        raise MigrationError(f"{path.name}: the ending for this backend is .{_NEARLY[last.lower()]}.sql")
    found = _NAME.fullmatch(stem)
    if found is None or (down and found["prefix"] != "V"):
        raise MigrationError(f"{path.name} is not named {EXPECTED}{_hint(path.name)}")
    if found["repeated"]:
        return File(path, Kind.REPEATABLE, stem, (), _words(found["repeated"]), backend)
    kind = Kind.UNDO if down or found["prefix"] == "U" else Kind.VERSIONED
    return File(path, kind, stem, parse_version(found["version"]), _words(found["description"]), backend)


def version_of(stem: str) -> tuple[int, ...] | None:
    """The version in a name of the history, or None where it has none."""
    found = _NAME.fullmatch(stem)
    return parse_version(found["version"]) if found and found["prefix"] == "V" else None


def describe(stem: str) -> str:
    """The description in a name of the history; where it follows no pattern, the name."""
    found = _NAME.fullmatch(stem)
    return _words(found["description"] or found["repeated"]) if found else stem


def _words(text: str) -> str:
    return text.replace("_", " ").strip()


def _hint(name: str) -> str:
    if re.match(r"[vur]\d*_", name):
        return "; the first letter is a capital"
    if re.match(r"R\d", name):
        return "; a repeatable file has no version"
    if re.match(r"[VU]\d+(?:[._]\d+)*_[^_]", name):
        return "; two underscores stand before the description"
    if re.match(r"[VUR][\d._]*__?\.", name):
        return "; a description is missing"
    return ""


@dataclass(slots=True)
class Folder:
    """The files of a folder for one backend, in the order in which they run; `undo` by version."""

    path: Path
    versioned: list[File] = field(default_factory=list)
    repeatable: list[File] = field(default_factory=list)
    unnamed: list[File] = field(default_factory=list)
    undo: dict[tuple[int, ...], File] = field(default_factory=dict)
    misnamed: list[str] = field(default_factory=list)  # what is wrong with the names of `unnamed`

    @property
    def files(self) -> list[File]:
        """All that is run forwards, in order."""
        return [*self.versioned, *self.repeatable, *self.unnamed]


def read_folder(path: Path, backend: str) -> Folder:
    """The files of a folder, each that has one for this backend replaced by that. Folders inside it are not read.

    Raises MigrationError where there is no such folder, where two files have the same version or description, and
    where a file cannot be one: a broken link, a folder that is named like a file.
    """
    if not path.is_dir():
        raise MigrationError(f"there is no folder {path}")
    folder = Folder(path)
    found: dict[tuple[Kind, tuple[int, ...] | str], list[File]] = {}
    for entry in _entries(path):
        try:
            file = read_name(entry)
        except MigrationError as error:
            folder.misnamed.append(str(error))
            folder.unnamed.append(File(entry, Kind.UNNAMED, entry.name[: -len(".sql")], (), entry.name))
            continue
        if file.backend in (None, backend):
            key: tuple[int, ...] | str = file.description if file.kind is Kind.REPEATABLE else file.version
            found.setdefault((file.kind, key), []).append(file)
    for (kind, key), files in found.items():
        file = _chosen(files, backend)
        if kind is Kind.UNDO:
            assert isinstance(key, tuple)
            folder.undo[key] = file
        else:
            (folder.versioned if kind is Kind.VERSIONED else folder.repeatable).append(file)
    folder.versioned.sort(key=lambda file: file.version)
    folder.repeatable.sort(key=lambda file: file.description)
    return folder


def _entries(path: Path) -> Iterator[Path]:
    for entry in sorted(path.iterdir()):
        if entry.suffix.lower() != ".sql":
            continue
        if entry.name.startswith("."):
            logger.warning("%s is hidden, so it is no migration", entry.name)
            continue
        if not entry.is_file():
            what = "a folder" if entry.is_dir() else "no file that can be read: a broken link?"
            raise MigrationError(f"{entry.name} is {what}")
        yield entry


def _chosen(files: list[File], backend: str) -> File:
    """The one for this backend, else the one for all of them."""
    for wanted in (backend, None):
        same = [file for file in files if file.backend == wanted]
        if len(same) > 1:
            names = " and ".join(file.name for file in same)
            what = "description" if same[0].kind is Kind.REPEATABLE else "version"
            raise MigrationError(f"{names} have the same {what}; rename one of them")
        if same:
            return same[0]
    raise AssertionError("a file is for this backend or for all")
