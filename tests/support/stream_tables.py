"""A table for streams to read from, and results that end badly or never."""

from nexusql import DatabaseManager

COUNT = 5000

# Sums to more rows than anybody can wait for; the server sends them as it finds them.
ENDLESS = "SELECT a.i AS i, b.i AS j FROM numbers a CROSS JOIN numbers b CROSS JOIN numbers c"

# A row for each number, until an integer overflows at the last one.
OVERFLOWS = {
    "sqlite": "SELECT i, abs(CASE WHEN i = 4999 THEN -9223372036854775807 - 1 ELSE i END) AS n FROM numbers ORDER BY i",
    "postgresql": "SELECT i, 9223372036854770809 + i AS n FROM numbers ORDER BY i",
    "mysql": "SELECT i, 9223372036854770809 + i AS n FROM numbers ORDER BY i",
    "mssql": "SELECT i, CAST(9223372036854770809 AS BIGINT) + i AS n FROM numbers ORDER BY i",
}


def fill(db: DatabaseManager) -> None:
    """Make the table `numbers (i, t)` with the numbers from 0 below COUNT."""
    db.execute("CREATE TABLE digits (d INTEGER)")
    db.execute("INSERT INTO digits (d) VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)")
    db.execute("CREATE TABLE numbers (i INTEGER PRIMARY KEY, t VARCHAR(20))")
    db.execute(
        "INSERT INTO numbers (i, t) SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d, 'text'"
        " FROM digits a CROSS JOIN digits b CROSS JOIN digits c CROSS JOIN digits e WHERE e.d < 5"
    )
