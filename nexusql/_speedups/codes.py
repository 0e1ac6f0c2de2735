"""The numbers that the encoders, the binder and the decoder share with their callers."""

# How a column's values of these exact types are written without its converter.
STR = 1
INT = 2
FLOAT = 4
BOOL = 8
BOOL_INT = 16
BYTES = 32
DATETIME = 64
DATE = 128

# What else a column of a row packet can be decoded to; neither is a bit of a mask.
CALLED = 0  # whatever its converter gives
TIMEDELTA = 3

# Why a call stopped.
FULL = 0  # at a limit
END = 1  # the iterator has ended
OTHER = 2  # at a record of another shape
FAULT = 3  # at a value that cannot be written
