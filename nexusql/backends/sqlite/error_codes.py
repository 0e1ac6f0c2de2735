"""SQLite's errors as data: result codes (https://www.sqlite.org/rescode.html) and, where there is only one code for all
or the interpreter is too old to tell it (before 3.11), the texts of the library."""

from nexusql.errors import (
    CheckViolation,
    ConnectionLost,
    DataError,
    Error,
    ForeignKeyViolation,
    IntegrityError,
    LockTimeout,
    NotNullViolation,
    ParameterError,
    ProgrammingError,
    SQLSyntaxError,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)

BY_EXTENDED_CODE: dict[int, type[Error]] = {
    275: CheckViolation,
    787: ForeignKeyViolation,
    1299: NotNullViolation,
    1555: UniqueViolation,  # primary key
    2067: UniqueViolation,
    2579: UniqueViolation,  # rowid
    3091: DataError,  # a STRICT table
}

BY_PRIMARY_CODE: dict[int, type[Error]] = {
    5: LockTimeout,  # SQLITE_BUSY, by another connection
    6: LockTimeout,  # SQLITE_LOCKED, in the same process
    18: DataError,  # SQLITE_TOOBIG
    19: IntegrityError,
    20: DataError,  # SQLITE_MISMATCH
    25: ParameterError,  # SQLITE_RANGE
}

# Looked at in order. SQLite has one code for nearly all that is wrong with a statement, and reports a foreign key with
# ON DELETE RESTRICT as a failed trigger; the module's own errors have no code.
BY_TEXT: tuple[tuple[str, type[Error]], ...] = (
    ("FOREIGN KEY constraint failed", ForeignKeyViolation),
    ("UNIQUE constraint failed", UniqueViolation),
    ("NOT NULL constraint failed", NotNullViolation),
    ("CHECK constraint failed", CheckViolation),
    ("database is locked", LockTimeout),
    ("database table is locked", LockTimeout),
    ("database schema is locked", LockTimeout),
    ("no such table", UndefinedTable),
    ("no such view", UndefinedTable),
    ("no such column", UndefinedColumn),
    ("has no column named", UndefinedColumn),
    ("syntax error", SQLSyntaxError),
    ("unrecognized token", SQLSyntaxError),
    ("incomplete input", SQLSyntaxError),
    ("null character", SQLSyntaxError),
    ("malformed JSON", DataError),
    ("integer overflow", DataError),
    ("datatype mismatch", DataError),
    ("cannot store", DataError),
    ("Could not decode to UTF-8", DataError),
    ("already exists", ProgrammingError),
    ("no such function", ProgrammingError),
    ("one statement at a time", ProgrammingError),
    ("closed database", ConnectionLost),
    ("binding parameter", ParameterError),
    ("Incorrect number of bindings", ParameterError),
)
