"""Where each migration stands: what the folder has, compared with what the history says. No I/O."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from nexusql.migrations.files import File, Folder, Kind, describe, version_of
from nexusql.migrations.history import BASELINE, Entry, Step


class State(str, Enum):
    """Where one migration stands."""

    APPLIED = "applied"
    BASELINE = "baseline"  # counts as applied, but was never run here
    PENDING = "pending"
    OUT_OF_ORDER = "out of order"  # pending, below one that is applied
    OUTDATED = "outdated"  # a repeatable file that has changed
    INTERRUPTED = "interrupted"  # some of its statements have run
    UNSIGNED = "without checksum"  # applied by an older release
    CHANGED = "changed"  # applied, and edited afterwards
    RENAMED = "renamed"  # applied under another name
    MISSING = "missing"  # applied, and its file is gone
    FUTURE = "future"  # applied, and newer than every file here


TO_RUN = frozenset({State.PENDING, State.OUT_OF_ORDER, State.OUTDATED, State.INTERRUPTED})
IN_PLACE = frozenset({State.APPLIED, State.BASELINE, State.UNSIGNED, State.CHANGED})

# What old databases have from files that are no more; V001 of the packaged schema holds their tables.
RETIRED = frozenset({"V002__hitl_schema"})


@dataclass(frozen=True, slots=True)
class Item:
    """One migration: its file, its row in the history, either may be None; and for `interrupted` how far it came."""

    name: str
    description: str
    kind: Kind
    state: State
    file: File | None = None
    entry: Entry | None = None
    checksum: str | None = None
    undo: bool = False
    steps: tuple[Step, ...] = ()

    @property
    def version(self) -> tuple[int, ...]:
        """The version, () where it has none."""
        return self.file.version if self.file else version_of(self.name) or ()

    def as_dict(self) -> dict[str, Any]:
        """The item as JSON has it."""
        entry = self.entry
        at: Any = entry.applied_at if entry else None
        return {
            "version": ".".join(map(str, self.version)) or None,
            "name": self.name,
            "description": self.description,
            "kind": self.kind.value,
            "state": self.state.value,
            "file": self.file.name if self.file else None,
            "applied_at": at.isoformat(" ") if hasattr(at, "isoformat") else at,
            "checksum": entry.checksum if entry else None,
            "file_checksum": self.checksum,
            "undoable": self.undo,
            "statements_done": sum(step.state == "done" for step in self.steps) if self.steps else None,
        }


def judge(
    folder: Folder,
    checksums: Mapping[str, str],
    entries: Sequence[Entry],
    steps: Iterable[tuple[str, Step]],
    undoable: frozenset[str],
    foreign: frozenset[str],
) -> list[Item]:
    """Every migration of a folder and of the history, in the order in which they run.

    `checksums` has one for each file, by its stem; `undoable` are the stems that can be undone. Rows in `foreign`
    belong to another folder that shares the history.
    """
    rows = {entry.version: entry for entry in entries}
    stems = {file.stem for file in folder.files}
    begun: dict[str, list[Step]] = {}
    for script, step in steps:
        begun.setdefault(script, []).append(step)
    renamed = _renamed(folder, checksums, entries, stems)
    reached = max((file.version for file in folder.versioned if file.stem in rows), default=())
    items = []
    for file in folder.files:
        entry = rows.get(file.stem) or renamed.get(file.stem)
        own = checksums[file.stem]
        state = _state(file, entry, own)
        if state is State.PENDING and file.kind is Kind.VERSIONED and file.version < reached:
            state = State.OUT_OF_ORDER
        ran = tuple(begun.get(file.name, ()))
        if ran and state in TO_RUN:
            state = State.INTERRUPTED
        description = file.description or describe(file.stem)
        items.append(Item(file.stem, description, file.kind, state, file, entry, own, file.stem in undoable, ran))
    newest = max((file.version for file in folder.versioned), default=())
    known = stems | foreign | RETIRED | {entry.version for entry in renamed.values()}
    gone = [_gone(entry, newest) for entry in entries if entry.version not in known]
    return sorted([*items, *gone], key=_order)


def _state(file: File, entry: Entry | None, checksum: str) -> State:
    if entry is None:
        return State.PENDING
    if entry.version != file.stem:
        return State.RENAMED
    if entry.checksum is None:
        return State.UNSIGNED
    if entry.checksum != checksum:
        return State.OUTDATED if file.kind is Kind.REPEATABLE else State.CHANGED
    return State.BASELINE if entry.origin == BASELINE else State.APPLIED


def _renamed(
    folder: Folder, checksums: Mapping[str, str], entries: Sequence[Entry], stems: set[str]
) -> dict[str, Entry]:
    """Rows whose file has another description now: the same version, the same text."""
    rows = {(version_of(entry.version), entry.checksum): entry for entry in entries if entry.version not in stems}
    applied = {entry.version for entry in entries}
    return {
        file.stem: rows[file.version, checksums[file.stem]]
        for file in folder.versioned
        if file.stem not in applied and (file.version, checksums[file.stem]) in rows
    }


def _gone(entry: Entry, newest: tuple[int, ...]) -> Item:
    version = version_of(entry.version)
    kind = Kind.VERSIONED if version else Kind.REPEATABLE if entry.version.startswith("R__") else Kind.UNNAMED
    state = State.FUTURE if version and newest and version > newest else State.MISSING
    return Item(entry.version, entry.description or describe(entry.version), kind, state, None, entry)


def _order(item: Item) -> tuple[int, tuple[int, ...], str]:
    place = (Kind.VERSIONED, Kind.REPEATABLE, Kind.UNNAMED).index(item.kind)
    return place, item.version if item.kind is Kind.VERSIONED else (), item.name


def as_pending(item: Item) -> Item:
    """A renamed migration as one that has not been run: names of other folders may look like that."""
    return replace(item, state=State.PENDING, entry=None)
