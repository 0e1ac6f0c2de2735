"""The text of a migration file: its checksum, its directives, the statements it is made of."""

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from nexusql.errors import MigrationError
from nexusql.sql.lexical import SessionModes
from nexusql.sql.split import split_script
from nexusql.sql.syntax import Syntax
from nexusql.sql.tokens import locate, tokenize

_DIRECTIVE = re.compile(r"--\s*nexusql:\s*(.*?)\s*", re.IGNORECASE)
_DOWN = re.compile(r"--\s*down\s*", re.IGNORECASE)
_OLDER_DOWN = re.compile(rb"^[ \t]*--[ \t]*down[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
NO_TRANSACTION = "no-transaction"
ACCEPT_LOSS = "accept-loss"


def checksum(text: str) -> str:
    """SHA-256 of a file's text, without a byte order mark, its line ends as LF."""
    return hashlib.sha256(_normalised(text).encode()).hexdigest()


def older_checksum(path: Path) -> str:
    """What nexusql 0.4 has for a file: SHA-256 of its bytes in front of the line `-- down`."""
    return hashlib.sha256(_OLDER_DOWN.split(path.read_bytes(), 1)[0]).hexdigest()


def read_text(path: Path) -> str:
    """A file's text. Raises MigrationError, which names the file, where it cannot be read or is not UTF-8."""
    try:
        return _normalised(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise MigrationError(f"{path.name} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise MigrationError(f"{path.name} is not UTF-8 (at byte {error.start}); save it in that encoding") from None


def _normalised(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


@dataclass(frozen=True, slots=True)
class Piece:
    """One statement of a script: its number from 1, the line on which it begins, its text.

    `start` is where its own text begins, behind the comments that belong to it, and `accepts_loss` tells that one of
    these is the directive which takes what translating the statement loses as known.
    """

    number: int
    line: int
    text: str
    start: int = 0
    accepts_loss: bool = False

    def line_in_file(self, line: int) -> int:
        """A line of the statement, counted from 1, as a line of the file."""
        return self.line - self.text.count("\n", 0, self.start) + line - 1

    @property
    def digest(self) -> str:
        """What tells whether the statement is still the same."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def __str__(self) -> str:
        first = " ".join(self.text[self.start :].split())
        return first if len(first) <= 80 else f"{first[:77]}..."


@dataclass(frozen=True, slots=True)
class Script:
    """A script as one session reads it. `down` is None where it has no such section."""

    pieces: tuple[Piece, ...]
    down: tuple[Piece, ...] | None
    transaction: bool


def read_script(name: str, text: str, syntax: Syntax, modes: SessionModes) -> Script:
    """Cut a file's text into statements, and its undo section off.

    The section begins at a line that is the comment `-- down`. Raises MigrationError, by line, for a directive that is
    unknown, does not stand on a line of its own or is about no statement, and SQLSyntaxError for what cannot be read.
    """
    transaction = True
    cut: int | None = None
    accepted: list[int] = []  # offsets of accept-loss
    for token in tokenize(text, syntax.lexical(modes), modes.version_number):
        if token.kind != "-" or not token.text.startswith("--"):
            continue
        before = text[text.rfind("\n", 0, token.start) + 1 : token.start]
        comment = token.text.strip()
        if not before and _DOWN.fullmatch(comment) and cut is None:
            cut = token.start
        directive = _DIRECTIVE.fullmatch(comment)
        if directive is not None:
            said = directive[1].lower()
            if before.strip():
                raise _misplaced(name, text, token.start, directive[1], "put it on a line of its own")
            if said not in (NO_TRANSACTION, ACCEPT_LOSS):
                line, _ = locate(text, token.start)
                raise MigrationError(
                    f"{name}, line {line}: the directive {directive[1]!r} is unknown; there are {NO_TRANSACTION} and"
                    f" {ACCEPT_LOSS}"
                )
            transaction = transaction and said != NO_TRANSACTION
            if said == ACCEPT_LOSS:
                accepted.append(token.start)
    pieces, reached = _pieces(text, 0, cut, syntax, modes, accepted)
    down = None
    if cut is not None:
        down, reached_down = _pieces(text, cut, None, syntax, modes, accepted)
        reached |= reached_down
    for offset in accepted:
        if offset not in reached:
            raise _misplaced(
                name, text, offset, ACCEPT_LOSS, "put it on a line directly before the statement it is about"
            )
    return Script(pieces, down, transaction)


def _misplaced(name: str, text: str, offset: int, directive: str, advice: str) -> MigrationError:
    line, _ = locate(text, offset)
    return MigrationError(f"{name}, line {line}: the directive {directive!r} has no effect here; {advice}")


def _pieces(
    script: str, begin: int, end: int | None, syntax: Syntax, modes: SessionModes, accepted: Collection[int]
) -> tuple[tuple[Piece, ...], set[int]]:
    """The statements between two offsets of a script, and which of the offsets `accepted` stand in comments of one."""
    pieces = []
    reached: set[int] = set()
    position = begin
    for number, piece in enumerate(split_script(script[begin:end], syntax, modes), 1):
        position = max(script.find(piece, position), position)
        start = position + _first_code(piece, syntax, modes)
        own = {offset for offset in accepted if position <= offset < start}
        reached |= own
        pieces.append(Piece(number, script.count("\n", 0, start) + 1, piece, start - position, bool(own)))
        position += len(piece)
    return tuple(pieces), reached


def _first_code(piece: str, syntax: Syntax, modes: SessionModes) -> int:
    """Where a statement's own text begins, behind the comments that belong to it."""
    tokens = tokenize(piece, syntax.lexical(modes), modes.version_number)
    first = tokens.next(-1)
    return tokens[first].start if first < len(tokens) else 0
