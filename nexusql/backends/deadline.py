"""Bounds on calls of drivers that have none of their own: a driver's blocking call cannot be interrupted from outside,
but it can be left to a thread of its own, and its socket can be shut under it."""

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

from nexusql.backends.errors import forget_frames

T = TypeVar("T")


class _Attempt(Generic[T]):
    """One call in a thread of its own, and who gets what comes of it: the waiter, or nobody if that one has gone."""

    def __init__(self, call: Callable[[], T], discard: Callable[[T], Any]) -> None:
        self._call = call
        self._discard = discard
        self._turn = threading.Lock()
        self._given_up = False
        self.done = threading.Event()
        self.results: list[T] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        """Call, and keep the outcome, or discard it when nobody waits any more."""
        try:
            result = self._call()
        except BaseException as error:  # handed to the waiter, whatever it is
            # A traceback would keep frames alive that hold a password among their variables.
            self.error = forget_frames(error)
        else:
            with self._turn:
                wanted = not self._given_up
                if wanted:
                    self.results.append(result)
            if not wanted:
                self._discard(result)
        self.done.set()

    def give_up(self) -> None:
        """Leave what may still come to be discarded."""
        with self._turn:
            self._given_up = True
            abandoned, self.results = self.results, []
        for result in abandoned:
            self._discard(result)


def within(seconds: float, call: Callable[[], T], discard: Callable[[T], Any]) -> T:
    """The result of `call()`, run in a thread of its own so that the wait ends in `seconds`, name look-ups included.

    What comes too late is handed to `discard`. Errors of `call` are raised here without the frames they passed. Raises
    TimeoutError.
    """
    attempt = _Attempt(call, discard)
    try:
        threading.Thread(target=attempt.run, name="nexusql-connect", daemon=True).start()
        attempt.done.wait(seconds)
        if attempt.error is not None:
            raise attempt.error
        if attempt.results:
            return attempt.results.pop()
        raise TimeoutError(f"no answer within {seconds:g} s")
    finally:
        attempt.give_up()


@contextmanager
def cut_after(seconds: float, fileno: int) -> Iterator[None]:
    """Shut the socket of a descriptor down when the body takes longer than `seconds`, so that it fails instead of
    waiting for a peer that is silent."""
    # A descriptor of its own, so that whoever gets the number next, once the driver has closed it, keeps his socket.
    with duplicate(fileno) as own:
        timer = threading.Timer(seconds, shut, (own,))
        timer.daemon = True
        with suppress(RuntimeError):  # the interpreter is ending, and starts no more threads
            timer.start()
        try:
            yield
        finally:
            timer.cancel()
            if timer.ident is not None:
                timer.join()


def cut(fileno: int) -> None:
    """Shut the socket of a descriptor down, so that whoever waits on it fails."""
    with suppress(OSError), duplicate(fileno) as own:
        shut(own)


def duplicate(fileno: int, family: int = socket.AF_INET) -> socket.socket:
    """A socket on a descriptor of its own, of which addresses can be had where `family` is the right one; -1 asks the
    system for it. Raises OSError where the other descriptor is closed, or no socket."""
    own = socket.dup(fileno)
    try:
        # Said to be non-blocking, it is left as it is; else the constructor would change the socket for all of its
        # descriptors, where there is a default time-out (https://docs.python.org/3/library/socket.html).
        return socket.socket(family, socket.SOCK_STREAM | getattr(socket, "SOCK_NONBLOCK", 0), 0, own)
    except OSError:
        socket.close(own)
        raise


def shut(sock: socket.socket) -> None:
    """Shut a socket down, for all of its descriptors."""
    with suppress(OSError):  # the peer has closed it
        sock.shutdown(socket.SHUT_RDWR)


def readiness(fileno: int) -> Callable[[], bool]:
    """A function that tells, at once, whether a descriptor has something to be read, its end included."""
    if not hasattr(select, "poll"):  # Windows
        return lambda: bool(select.select([fileno], [], [], 0)[0])
    poller = select.poll()
    poller.register(fileno, select.POLLIN)
    poll = poller.poll
    return lambda: bool(poll(0))
