"""Who takes part, on which database. What is not installed is left out, with a line that says so."""

from peers.base import Peer
from peers.libraries import Peewee, SqlAlchemy, Sqlspec
from peers.mysql import MySqlClient, PyMySql
from peers.ours import Nexusql
from peers.postgresql import Asyncpg, Psycopg2, Psycopg3
from peers.released import Released
from peers.sqlite import Sqlite3

DRIVERS: dict[str, tuple[type[Peer], ...]] = {
    "sqlite": (Sqlite3,),
    "postgresql": (Psycopg2, Psycopg3, Asyncpg),
    "mysql": (PyMySql, MySqlClient),
}
LIBRARIES: tuple[type[Peer], ...] = (Peewee, Sqlspec, SqlAlchemy, Released)


def taking_part(kind: str, interpreted: bool, libraries: bool = True) -> list[type[Peer]]:
    """Who is there, the driver that nexusql uses first; beside the interpreted core that driver alone."""
    first, *others = DRIVERS[kind]
    peers: list[type[Peer]] = [first, Nexusql]
    if not interpreted:
        peers += [*others, *(LIBRARIES if libraries else ())]
    return [peer for peer in peers if not peer.missing()]


def absent() -> list[str]:
    """What is said of those who are not there."""
    peers = {peer for drivers in DRIVERS.values() for peer in drivers} | set(LIBRARIES)
    return sorted(reason for peer in peers if (reason := peer.missing()))
