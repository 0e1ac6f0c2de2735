"""SQL Server's errors as data: its own numbers
(https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors), and SQLSTATEs of
ODBC for what the driver says itself (https://learn.microsoft.com/sql/odbc/reference/appendixes/appendix-a-odbc-error-codes).
"""

from nexusql.errors import (
    ConnectionLost,
    DataError,
    DeadlockDetected,
    Error,
    ForeignKeyViolation,
    IntegrityError,
    InterfaceError,
    LockTimeout,
    NotNullViolation,
    NotSupportedError,
    OperationalError,
    ParameterError,
    ProgrammingError,
    QueryTimeout,
    SerializationFailure,
    SQLSyntaxError,
    TransactionAborted,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)

_CODES: dict[type[Error], tuple[int, ...]] = {
    UniqueViolation: (2601, 2627, 1505),  # an index, a constraint, an index that is being made
    NotNullViolation: (515,),
    ForeignKeyViolation: (547,),  # or a CHECK: told by its text
    IntegrityError: (550,),  # a view's WITH CHECK OPTION
    # Division by zero, does not fit, cannot be converted, not valid JSON, a domain error of a function.
    DataError: (
        *(220, 232, 235, 241, 242, 244, 245, 248, 257, 295, 296, 2628, 3621, 3623, 8114, 8115, 8134, 8152, 8169),
        *(206, 517, 529, 535, 537, 1007, 9810, 9812, 9813, 9828, 9829, 13608, 13609, 13610, 8023, 8017, 16902),
    ),
    UndefinedTable: (208, 3701, 53701, 4902, 1088, 1767, 267),
    UndefinedColumn: (207, 4104, 1911, 4924, 1769, 1770),
    SQLSyntaxError: (102, 103, 105, 113, 132, 156, 170, 319, 10713),
    ProgrammingError: (
        *(107, 109, 110, 120, 121, 130, 137, 144, 145, 147, 157, 164, 174, 189, 195, 201, 205, 209, 213, 264, 271),
        *(273, 306, 334, 402, 421, 544, 1033, 1046, 1785, 1776, 1779, 1781, 1913, 2705, 2714, 2716, 2812, 3726, 3728),
        *(3729, 4121, 4922, 4925, 5074, 8101, 8106, 8117, 8120, 8156, 8159, 8672, 8116, 10744, 15151, 15248, 15225),
        512,  # a subquery with several rows
    ),
    LockTimeout: (1222,),
    DeadlockDetected: (1205,),
    SerializationFailure: (3960, 3961, 3951, 41302, 41305, 41325, 41301, 41839),
    TransactionAborted: (3930, 3931, 3998),  # in a transaction that can only be rolled back
    # No right to it, no login, no such database, the server is full, a setting that is missing, killed while it ran.
    OperationalError: (
        *(229, 230, 262, 297, 300, 911, 916, 1105, 1204, 1934, 3902, 3903, 3906, 3952, 4060, 8623, 8645, 8651, 9002),
        *(10928, 10929, 15247, 17809, 18452, 18456, 18461, 18486, 18487, 18488, 40197, 40501, 40613, 40615),
    ),
    NotSupportedError: (33557097,),  # a server that only speaks the protocol
    # Shut down, killed, broken in transit. 596: the session is being killed. 20003 to 20047 are FreeTDS's own.
    ConnectionLost: (596, 6005, 6006, 10053, 10054, 10060, 17892, 20003, 20004, 20006, 20017, 20047),
}
BY_CODE: dict[int, type[Error]] = {code: kind for kind, codes in _CODES.items() for code in codes}

BY_SQLSTATE: dict[str, type[Error]] = {
    "01002": ConnectionLost,
    "07002": ParameterError,
    "08001": OperationalError,
    "08002": InterfaceError,
    "08003": ConnectionLost,
    "08004": OperationalError,
    "08007": ConnectionLost,
    "08S01": ConnectionLost,
    "08S02": ConnectionLost,
    "22001": DataError,
    "22003": DataError,
    "22007": DataError,
    "22008": DataError,
    "22012": DataError,
    "22018": DataError,
    "23000": IntegrityError,
    "28000": OperationalError,
    "40001": SerializationFailure,
    "42000": ProgrammingError,
    "42S01": ProgrammingError,
    "42S02": UndefinedTable,
    "42S21": ProgrammingError,
    "42S22": UndefinedColumn,
    "HY008": OperationalError,
    "HYC00": NotSupportedError,
    "HYT00": QueryTimeout,
    "HYT01": ConnectionLost,
    "IM002": InterfaceError,
    "IM003": InterfaceError,
}

# With no number behind them they tell nothing, not even whether there still is a connection: FreeTDS has no other word
# for one that was reset.
VAGUE = frozenset({"01000", "HY000"})

# The server has rolled back all of the transaction; which it also says by XACT_STATE(), where it can still be asked.
DOOMING = frozenset({1205, 3930, 3931, 3960, 3961, 3998})
