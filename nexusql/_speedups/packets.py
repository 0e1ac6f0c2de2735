"""The decoder: rows from the packets of MySQL's text protocol. Only `_packets_c.pyx` has one: interpreted, it would be
no faster than the driver, which then reads the rows itself.

A row is a packet: three bytes of length, one of sequence, and its fields, each behind its length, or 0xFB for NULL
(https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html).

`kinds` has a byte a column: STR, BYTES, INT, FLOAT, DATETIME, DATE and TIMEDELTA are decoded directly where a field has
the form that a server gives it. For any other field, and for CALLED, the column's rule holds, a pair (encoding,
converter): the bytes are decoded, and the converter is called, unless these are None. A row becomes a dict by `names`,
of two equal ones the last wins, or a tuple where `names` is None.
"""

from collections.abc import Callable
from typing import Any

Rules = tuple[tuple[str | None, Callable[[Any], Any] | None], ...]
Names = tuple[str, ...] | None

# decode_rows(block, sequence, kinds, rules, names, out, most): append to `out` the rows, `most` at most, with which a
# block of bytes begins; how many bytes they take. It ends at whatever is no whole packet with a row, and raises nothing
# for it: the end of the result, an error, a packet cut off, continued or out of sequence, a field without a value.
decode_rows: Callable[[bytes, int, bytes, Rules, Names, list[Any], int], int] | None = None

# decode_row(payload, kinds, rules, names): the row of one packet, None where it has not exactly these columns; raises
# what the converters raise.
decode_row: Callable[[bytes, bytes, Rules, Names], Any] | None = None
