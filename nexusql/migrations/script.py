"""The text of a migration file: its checksum, its directives, the statements it is made of."""

import hashlib
import re
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

    The section begins at a line that is the comment `-- down`. Raises MigrationError for an unknown directive, and
    SQLSyntaxError, by line, for what cannot be read.
    """
    transaction = True
    cut: int | None = None
    for token in tokenize(text, syntax.lexical(modes), modes.version_number):
        if token.kind != "-" or not token.text.startswith("--"):
            continue
        alone = text.rfind("\n", 0, token.start) + 1 == token.start
        comment = token.text.strip()
        if alone and _DOWN.fullmatch(comment) and cut is None:
            cut = token.start
        directive = _DIRECTIVE.fullmatch(comment) if alone else None
        if directive is not None:
            said = directive[1].lower()
            if said not in (NO_TRANSACTION, ACCEPT_LOSS):
                line, _ = locate(text, token.start)
                raise MigrationError(
                    f"{name}, line {line}: the directive {directive[1]!r} is unknown; there are {NO_TRANSACTION} and"
                    f" {ACCEPT_LOSS}"
                )
            transaction = transaction and said != NO_TRANSACTION
    pieces = _pieces(text[:cut], syntax, modes, 0)
    down = None if cut is None else _pieces(text[cut:], syntax, modes, text.count("\n", 0, cut))
    return Script(pieces, down, transaction)


def _pieces(text: str, syntax: Syntax, modes: SessionModes, lines_before: int) -> tuple[Piece, ...]:
    pieces = []
    position = 0
    for number, piece in enumerate(split_script(text, syntax, modes), 1):
        found = text.find(piece, position)
        if found >= 0:
            position = found
        start = _first_code(piece, syntax, modes)
        line = lines_before + text.count("\n", 0, position + start) + 1
        directives = map(_DIRECTIVE.fullmatch, piece[:start].splitlines())
        accepts_loss = any(found is not None and found[1].lower() == ACCEPT_LOSS for found in directives)
        pieces.append(Piece(number, line, piece, start, accepts_loss))
        position += len(piece) if found >= 0 else 0
    return tuple(pieces)


def _first_code(piece: str, syntax: Syntax, modes: SessionModes) -> int:
    """Where a statement's own text begins, behind the comments that belong to it."""
    tokens = tokenize(piece, syntax.lexical(modes), modes.version_number)
    first = tokens.next(-1)
    return tokens[first].start if first < len(tokens) else 0
