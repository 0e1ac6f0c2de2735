"""PostgreSQL's errors as data: SQLSTATEs (https://www.postgresql.org/docs/current/errcodes-appendix.html), and what
libpq says when no session comes about, for then the driver passes no SQLSTATE on."""

from nexusql.errors import (
    CheckViolation,
    CommitUncertain,
    ConnectionLost,
    DatabaseError,
    DataError,
    DeadlockDetected,
    Error,
    ForeignKeyViolation,
    IntegrityError,
    InternalError,
    LockTimeout,
    NotNullViolation,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    QueryTimeout,
    SerializationFailure,
    SQLSyntaxError,
    TransactionAborted,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)

READ_ONLY = "25006"  # the transaction, or the server

BY_SQLSTATE: dict[str, type[Error]] = {
    "23502": NotNullViolation,
    "23503": ForeignKeyViolation,
    "23505": UniqueViolation,
    "23514": CheckViolation,
    READ_ONLY: OperationalError,
    "25P02": TransactionAborted,
    "25P03": ConnectionLost,  # idle_in_transaction_session_timeout
    "40001": SerializationFailure,
    "40003": CommitUncertain,
    "40P01": DeadlockDetected,
    "42601": SQLSyntaxError,
    "42703": UndefinedColumn,
    "42P01": UndefinedTable,
    "55P03": LockTimeout,
    "57014": QueryTimeout,
    "57P01": ConnectionLost,  # admin_shutdown
    "57P02": ConnectionLost,  # crash_shutdown
    "57P03": ConnectionLost,  # cannot_connect_now
    "57P04": ConnectionLost,  # database_dropped
    "57P05": ConnectionLost,  # idle_session_timeout
}

# By the first two characters; what is in neither table is of the class that the driver has for it.
BY_CLASS: dict[str, type[Error]] = {
    "08": ConnectionLost,
    "0A": NotSupportedError,
    "22": DataError,
    "23": IntegrityError,
    "25": ProgrammingError,  # not in this state of a transaction
    "26": OperationalError,  # a prepared statement is gone, as behind a pooler
    "28": OperationalError,
    "3D": ProgrammingError,
    "40": OperationalError,
    "42": ProgrammingError,
    "44": IntegrityError,  # a view's WITH CHECK OPTION
    "53": OperationalError,
    "54": OperationalError,
    "55": OperationalError,
    "57": OperationalError,
    "58": OperationalError,
    "P0": DatabaseError,  # RAISE in PL/pgSQL
    "XX": InternalError,
}

# What a server says in English when it refuses a session.
REFUSALS: tuple[tuple[str, str], ...] = (
    ("password authentication failed", "28P01"),
    ("no password supplied", "28P01"),
    ("no pg_hba.conf entry", "28000"),
    ('" is not permitted to log in', "28000"),
    ("too many clients already", "53300"),
    ("too many connections for", "53300"),
    ("remaining connection slots are reserved", "53300"),
    ("the database system is", "57P03"),
)
MISSING: tuple[tuple[str, str], ...] = (('role "', "28000"), ('database "', "3D000"))
