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

# Why a call stopped.
FULL = 0  # at a limit
END = 1  # the iterator has ended
OTHER = 2  # at a record of another shape
FAULT = 3  # at a value that cannot be written
