"""MySQL's and MariaDB's errors as data: numbers of the servers (https://dev.mysql.com/doc/mysql-errors/8.0/en/,
https://mariadb.com/kb/en/mariadb-error-code-reference/) and of the client."""

from nexusql.errors import (
    CheckViolation,
    ConnectionLost,
    DataError,
    DeadlockDetected,
    Error,
    ForeignKeyViolation,
    IntegrityError,
    LockTimeout,
    NotNullViolation,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    QueryTimeout,
    SerializationFailure,
    SQLSyntaxError,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
)

_CODES: dict[type[Error], tuple[int, ...]] = {
    # 1761: a foreign key's cascade would break a unique key. 1859: while an index is being made.
    UniqueViolation: (1022, 1062, 1169, 1557, 1586, 1761, 1859),
    ForeignKeyViolation: (1216, 1217, 1451, 1452, 1834),
    # 1364: the column has no default. 1263: in LOAD DATA.
    NotNullViolation: (1048, 1263, 1364),
    CheckViolation: (3819, 4025),
    IntegrityError: (1215, 1369),  # 1369: a view's WITH CHECK OPTION
    # Truncated, out of range, not a date, division by zero, not valid JSON, not valid in the character set.
    DataError: (
        *(1153, 1260, 1264, 1265, 1292, 1300, 1301, 1365, 1366, 1367, 1406, 1411, 1416, 1441, 1525, 1690),
        *(3140, 3141, 3142, 3143, 3144, 3146, 3147, 3156, 3903, 4038, 4079),
    ),
    UndefinedTable: (1051, 1109, 1146, 1347, 4091, 4092),
    UndefinedColumn: (1054, 1072, 1091),
    SQLSyntaxError: (1064, 1149),
    ProgrammingError: (1050, 1060, 1061, 1065, 1066, 1136, 1222, 1241, 1304, 1305),
    NotSupportedError: (1235, 1289),
    LockTimeout: (1205, 3572),  # 3572: NOWAIT on MySQL
    DeadlockDetected: (1213, 1614),
    SerializationFailure: (1020,),  # "record has changed since last read", with innodb_snapshot_isolation
    QueryTimeout: (1969, 3024),  # MariaDB's max_statement_time, MySQL's max_execution_time
    OperationalError: (1040, 1044, 1045, 1049, 1203, 1206, 1226, 1290, 1317, 1792, 1836, 2002, 2003, 2005, 2026),
    # Shut down, killed, broken in transit, or silent for too long.
    ConnectionLost: (
        *(1053, 1077, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 2006, 2013, 2014, 2027, 2045, 2055, 4031),
        0,  # PyMySQL's InterfaceError(0, ''): closed already
    ),
}
BY_CODE: dict[int, type[Error]] = {code: kind for kind, codes in _CODES.items() for code in codes}

# After these InnoDB has undone all of the transaction; after a lock wait only the statement, unless the server is told
# otherwise, so that a commit would store a part: nexusql's policy is to undo all then too.
DOOMING = frozenset({1020, 1205, 1206, 1213, 1614})

# The statement was refused and the server hangs up, which the driver notices only at the next one.
HANGS_UP = frozenset({1153})
