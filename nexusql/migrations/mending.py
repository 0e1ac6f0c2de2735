"""What changes the history alone: baseline and repair; and the end of a lock that somebody keeps."""

from nexusql.errors import MigrationError
from nexusql.migrations.files import Kind
from nexusql.migrations.history import BASELINE, Entry, History
from nexusql.migrations.place import Place, is_packaged
from nexusql.migrations.state import TO_RUN, Item, State


def baseline(place: Place, limit: tuple[int, ...], description: str | None) -> list[str]:
    """See MigrationRunner.baseline."""
    with place.locked():
        place.create_history()
        with place.session() as leased:
            chosen = [
                item
                for item in place.items(leased, place.folder())
                if item.kind is Kind.VERSIONED and item.state in TO_RUN and item.version <= limit
            ]
            if not chosen:
                raise MigrationError(f"no file up to version {'.'.join(map(str, limit))} is pending")
            history = place.history(leased)
            with leased.transaction():
                for item in chosen:
                    assert item.file is not None
                    told = description or item.description
                    history.add(Entry(item.name, item.file.name, told, None, item.checksum, BASELINE))
    return [item.name for item in chosen]


def repair(place: Place, *, missing: bool, restart: bool) -> list[str]:
    """See MigrationRunner.repair."""
    done: list[str] = []
    with place.locked():
        place.create_history()
        with place.session() as leased:
            history = place.history(leased)
            items = place.items(leased, place.folder())
            begun = sorted({name for name, _ in history.all_steps()}) if restart else []
            with leased.transaction():
                for item in items:
                    done += _mend(history, item, missing)
                for name in begun:
                    history.forget_steps(name)
                    done.append(f"{name} will begin at its first statement")
    return done


def _mend(history: History, item: Item, missing: bool) -> list[str]:
    # A packaged file that an older release has run is not accepted as it is: what it would add is missing.
    unsigned = item.state is State.UNSIGNED and item.file is not None and not is_packaged(item.file)
    if (unsigned or item.state is State.CHANGED) and item.checksum is not None:
        history.sign(item.name, item.checksum)
        return [f"{item.name} has the checksum {item.checksum} now"]
    if item.state is State.RENAMED and item.entry is not None and item.file is not None:
        history.rename(item.entry.version, item.name, item.file.name)
        return [f"{item.entry.version} is {item.name} now"]
    if item.state in (State.MISSING, State.FUTURE) and missing:
        history.remove(item.name)
        return [f"{item.name} is forgotten"]
    return []


def unlock(place: Place) -> str | None:
    """See MigrationRunner.unlock."""
    lock = place.lock()
    if lock is None:
        return None
    found = lock.describe_holder()
    if found is None:
        return None
    lock.end_holder(found[0])
    return found[1]
