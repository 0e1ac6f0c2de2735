"""All that is measured, by topic."""

from cases import awaiting, bulk, growth, memory, models, observing, reading, start
from cases.entry import Entry, Sizes

TOPICS = {
    "bind": "One statement",
    "read": "Many rows at once",
    "stream": "Many rows as a stream",
    "into": "Rows as instances of a class",
    "bulk": "Bulk writes",
    "batches": "Small batches",
    "awaiting": "Awaited calls and group commit",
    "observing": "What observers cost",
    "growth": "Growth",
    "memory": "Memory",
    "start": "What is paid once",
}


def entries(sizes: Sizes) -> list[Entry]:
    """Every entry, in the order of TOPICS."""
    return [
        entry
        for module in (reading, models, bulk, awaiting, observing, growth, memory, start)
        for entry in module.entries(sizes)
    ]
