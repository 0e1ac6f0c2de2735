"""The numbers that the encoders and the binder share with their callers."""

# How a column's values of these exact types are written without its converter.
STR = 1
INT = 2
FLOAT = 4
BOOL = 8
BOOL_INT = 16
BYTES = 32
DATETIME = 64
DATE = 128

# How a column's values stand in COPY's binary format.
AS_TEXT = 0
AS_JSONB = 1
AS_INT2 = 2
AS_INT4 = 3
AS_INT8 = 4
AS_FLOAT8 = 5
AS_BOOL = 6
AS_BYTEA = 7
AS_TIMESTAMP = 8
AS_TIMESTAMPTZ = 9
AS_DATE = 10
AS_UUID = 11

# Why a call stopped.
FULL = 0  # at a limit
END = 1  # the iterator has ended
OTHER = 2  # at a record of another shape
FAULT = 3  # at a value that cannot be written
UNFIT = 4  # at a value that this format cannot hold for its column
