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
