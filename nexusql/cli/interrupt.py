"""Ctrl-C while a driver waits for its server: psycopg2 and sqlite3 notice it only when their statement has ended."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nexusql.manager import DatabaseManager


@contextmanager
def ended_by_ctrl_c(database: DatabaseManager) -> Iterator[None]:
    """Have the running statements of a manager end when SIGINT arrives, so that KeyboardInterrupt is raised soon.

    The interpreter's own handler runs in the main thread once that is back from the driver; the number of the signal is
    written to a socket at once, and another thread reads it there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    watcher = threading.Thread(target=_watch, args=(reading, database), daemon=True)
    watcher.start()
    before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        writing.close()
        watcher.join()
        reading.close()


def _watch(reading: socket.socket, database: DatabaseManager) -> None:
    while number := reading.recv(1):
        if number[0] == signal.SIGINT:
            _end_statements(database)


def _end_statements(database: DatabaseManager) -> None:
    engine = database._connection
    if engine is None:
        return
    for connection in engine.pool.leased():
        connection.cancel()
