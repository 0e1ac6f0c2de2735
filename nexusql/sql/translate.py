"""A statement as text for one database: what DatabaseManager.translate gives."""

from dataclasses import dataclass, replace

from nexusql.errors import TranslationError
from nexusql.sql.identifiers import quote_identifier
from nexusql.sql.lexical import SessionModes
from nexusql.sql.syntax import Note, Rewrite, Syntax
from nexusql.sql.tokens import locate, tokenize


@dataclass(frozen=True, slots=True)
class Translation:
    """A statement in one database's SQL, its parameters still `:name`, with a receipt for each lossy edit."""

    sql: str
    notes: tuple[Note, ...] = ()

    def __str__(self) -> str:
        return self.sql


def rewritten(sql: str, syntax: Syntax, modes: SessionModes) -> Rewrite:
    """A statement after all rules of a dialect. Raises SQLSyntaxError and TranslationError, told by line and column."""
    rewrite = Rewrite(sql, tokenize(sql, syntax.lexical(modes), modes.version_number), syntax, modes)
    for rule in syntax.rules:
        rule(rewrite)
    return rewrite


def receipts(rewrite: Rewrite) -> tuple[Note, ...]:
    """The notes of a rewritten statement, in the order of its text."""
    ordered = sorted(dict.fromkeys(rewrite.notes), key=lambda note: note[1])
    return tuple(Note(message, *locate(rewrite.source, offset)) for message, offset in ordered)


def translate(sql: str, syntax: Syntax, modes: SessionModes, strict: bool = False) -> Translation:
    """Canonical SQL in the SQL of one database and session; what is native to it stays as it is.

    Raises SQLSyntaxError for text that cannot be read, TranslationError for what cannot be said, and with `strict` for
    what can be said only with a loss.
    """
    rewrite = rewritten(sql, syntax, modes)
    notes = receipts(rewrite)
    if strict and notes:
        told = "; ".join(f"{note.message} (line {note.line}, column {note.column})" for note in notes)
        error = TranslationError(f"not said in {syntax.dialect} without a loss: {told}")
        error.sql = sql
        raise error
    return Translation(rewrite.tokens.text(), notes)


def translate_quoted(sql: str, syntax: Syntax, modes: SessionModes, strict: bool = False) -> Translation:
    """`translate` for text in which `".."` is a name even where the session takes it for a string.

    The names are given in the dialect's own quotes, so that the result reads the same in every session.
    """
    modes = modes._replace(ansi_quotes=True)
    translation = translate(sql, syntax, modes, strict)
    tokens = tokenize(translation.sql, syntax.lexical(modes), modes.version_number)
    for token in tokens:
        if token.kind == '"' and token.text[0] == '"':
            token.text = quote_identifier(token.text[1:-1].replace('""', '"'), syntax)
    return replace(translation, sql=tokens.text())
