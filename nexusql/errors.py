"""Every error and warning that nexusql raises.

The tree is PEP 249's, refined where a caller acts on the difference::

    Error
      InterfaceError
        NotConnectedError (also RuntimeError), TransactionClosed, ConfigError (also ValueError)
      DatabaseError
        DataError
        OperationalError
          ConnectionLost, CommitUncertain, PoolTimeout, QueryTimeout
          SerializationFailure, DeadlockDetected, LockTimeout, TransactionAborted
        IntegrityError
          UniqueViolation, ForeignKeyViolation, NotNullViolation, CheckViolation
        InternalError
        ProgrammingError
          ParameterError (also ValueError), SQLSyntaxError, UndefinedTable, UndefinedColumn, TranslationError
        NotSupportedError
        MigrationError
          ChecksumMismatch, MigrationLocked, MigrationFailed

An error that comes from a driver is also an instance of the driver's own class (see nexusql.backends.errors), so that
``except psycopg2.errors.UniqueViolation`` and ``except nexusql.errors.UniqueViolation`` both hold.
"""


class Error(Exception):
    """Base of all errors; `sqlstate` and `code` are the server's, `sql` is the statement without its values.

    `partial` is the BulkResult of what had been stored when an error ended a bulk write that reports row by row.
    """

    sqlstate: str | None = None
    code: int | str | None = None
    sql: str | None = None
    partial: object = None


class InterfaceError(Error):
    """The library was called in a way it cannot serve."""


class NotConnectedError(InterfaceError, RuntimeError):
    """A statement was run before connect() or after disconnect()."""


class TransactionClosed(InterfaceError):
    """A statement was meant for a transaction that has already ended."""


class ConfigError(InterfaceError, ValueError):
    """A URL, an option or an identifier is not usable."""


class DatabaseError(Error):
    """The database refused."""


class DataError(DatabaseError):
    """A value does not fit its column or its type."""


class OperationalError(DatabaseError):
    """The database, the network or a resource failed."""


class ConnectionLost(OperationalError):
    """The connection broke; nothing of the statement or the open transaction was stored."""


class CommitUncertain(OperationalError):
    """The connection broke while committing: whether the work is stored is unknown, so it is never retried."""


class PoolTimeout(OperationalError):
    """No connection became free in time."""


class QueryTimeout(OperationalError):
    """The statement ran longer than it was allowed to."""


class SerializationFailure(OperationalError):
    """The transaction conflicts with a concurrent one; run all of it again."""


class DeadlockDetected(OperationalError):
    """The server chose this transaction as the victim of a deadlock; run all of it again."""


class LockTimeout(OperationalError):
    """A lock was not granted in time."""


class TransactionAborted(OperationalError):
    """The transaction can no longer be committed, because a statement in it failed."""


class IntegrityError(DatabaseError):
    """A constraint does not hold."""


class UniqueViolation(IntegrityError):
    """A key is there already."""


class ForeignKeyViolation(IntegrityError):
    """A referenced row is missing, or a row is still referenced."""


class NotNullViolation(IntegrityError):
    """A required column was given NULL."""


class CheckViolation(IntegrityError):
    """A CHECK constraint does not hold."""


class InternalError(DatabaseError):
    """The database met an inconsistency of its own."""


class ProgrammingError(DatabaseError):
    """The statement is wrong."""


class ParameterError(ProgrammingError, ValueError):
    """A parameter is missing, surplus, or of a type that cannot be bound; raised before anything is sent."""


class SQLSyntaxError(ProgrammingError):
    """The statement cannot be read."""


class UndefinedTable(ProgrammingError):
    """The table does not exist."""


class UndefinedColumn(ProgrammingError):
    """The column does not exist."""


class TranslationError(ProgrammingError):
    """The statement cannot be said in this database's SQL without losing something."""


class NotSupportedError(DatabaseError):
    """This database, or this release, does not offer it."""


class MigrationError(DatabaseError):
    """A migration cannot be applied."""


class ChecksumMismatch(MigrationError):
    """An applied migration file was changed."""


class MigrationLocked(MigrationError):
    """Another process holds the migration lock."""


class MigrationFailed(MigrationError):
    """A statement of a migration failed."""


class NexusqlWarning(UserWarning):
    """Base of all warnings."""


class TranslationWarning(NexusqlWarning):
    """A statement was translated with a loss; Translation.notes has the receipt."""


class ParameterWarning(NexusqlWarning):
    """A given parameter stands only where the server reads text; it is not bound there."""


class DuplicateColumnWarning(NexusqlWarning):
    """A result has two columns of one name; a dict keeps the last."""


class PerformanceWarning(NexusqlWarning):
    """A bulk write took a slower way than its database offers; the text says why."""


class StreamWarning(NexusqlWarning, ResourceWarning):
    """A stream was left open and has been closed."""


class TransactionWarning(NexusqlWarning, ResourceWarning):
    """A transaction was left open and has been rolled back."""
