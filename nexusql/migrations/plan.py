"""What would be run, without running it: each statement as a database gets it, and what its translation loses."""

from dataclasses import dataclass
from typing import Any

from nexusql.errors import Error
from nexusql.migrations.files import BACKENDS, File, read_folder
from nexusql.migrations.place import Place
from nexusql.migrations.script import read_script, read_text
from nexusql.sql.lexical import SessionModes
from nexusql.sql.syntax import Syntax, syntax_for
from nexusql.sql.translate import translate


@dataclass(frozen=True, slots=True)
class PlannedStatement:
    """One statement: its number and line in the file, the text that the database gets, and receipts for lossy edits.

    `accepted` has the receipts where the file accepts them, `notes` else. `error` says why there is no such text.
    """

    number: int
    line: int
    sql: str
    notes: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One file for one backend; `transaction` tells whether it is run in one. `error` says why it cannot be read."""

    name: str
    file: str
    backend: str
    transaction: bool
    statements: tuple[PlannedStatement, ...] = ()
    error: str | None = None

    @property
    def problems(self) -> list[str]:
        """What keeps the file from being run."""
        found = [f"line {statement.line}: {statement.error}" for statement in self.statements if statement.error]
        return [self.error, *found] if self.error else found

    def as_dict(self) -> dict[str, Any]:
        """The file as JSON has it."""
        return {
            "name": self.name,
            "file": self.file,
            "backend": self.backend,
            "transaction": self.transaction,
            "error": self.error,
            "statements": [
                {
                    "number": statement.number,
                    "line": statement.line,
                    "sql": statement.sql,
                    "notes": list(statement.notes),
                    "accepted": list(statement.accepted),
                    "error": statement.error,
                }
                for statement in self.statements
            ],
        }


def plan(place: Place, every_backend: bool, limit: tuple[int, ...] | None) -> list[PlannedFile]:
    """See MigrationRunner.plan."""
    own = place.engine.config.database_type.value
    with place.session(writes=False) as leased:
        items = place.pending(place.checked(leased, place.folder()), limit)
        modes = {own: leased.connection.modes}
    names = [item.name for item in items]
    planned = []
    for backend in BACKENDS if every_backend else (own,):
        syntax = syntax_for(backend)
        if not syntax.rules:  # nothing is translated for it in this release
            continue
        files = {file.stem: file for file in read_folder(place.path, backend).files}
        transactional = place.engine.capabilities.transactional_ddl if backend == own else backend != "mysql"
        planned += [
            plan_file(files[name], backend, syntax, modes.get(backend, SessionModes()), transactional)
            for name in names
            if name in files
        ]
    return planned


def plan_file(file: File, backend: str, syntax: Syntax, modes: SessionModes, transactional: bool) -> PlannedFile:
    """One file as one backend gets it."""
    try:
        script = read_script(file.name, read_text(file.path), syntax, modes)
    except Error as error:
        return PlannedFile(file.stem, file.name, backend, False, (), str(error))
    statements = []
    for piece in script.pieces:
        try:
            translation = translate(piece.text, syntax, modes)
        except Error as error:
            statements.append(PlannedStatement(piece.number, piece.line, piece.text, error=str(error)))
            continue
        notes = tuple(
            f"{note.message} (line {piece.line_in_file(note.line)}, column {note.column})" for note in translation.notes
        )
        receipts = ((), notes) if piece.accepts_loss else (notes, ())
        statements.append(PlannedStatement(piece.number, piece.line, translation.sql, *receipts))
    return PlannedFile(file.stem, file.name, backend, script.transaction and transactional, tuple(statements))
