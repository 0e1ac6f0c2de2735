"""The decoder: rows from the packets of MySQL's text protocol. Only `_packets_c.pyx` has one; where the core is
interpreted, the driver's own path reads rows no slower.

A row is a packet (three bytes of length, one of sequence), and in it a length before each field, or 0xFB for NULL
(https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_row.html). `kinds` has
a byte a column: STR, BYTES, INT, FLOAT, DATETIME, DATE and TIMEDELTA are decoded directly where a field has the form
that a server gives it. For any other field, and for CALLED, the column's rule holds, a pair (encoding, converter),
either of which may be None: the bytes are decoded, and the converter is called. A row becomes a dict by `names`, the
last of two equal ones wins, or a tuple where `names` is None.
"""

from collections.abc import Callable
from typing import Any

Rules = tuple[tuple[str | None, Callable[[Any], Any] | None], ...]
Names = tuple[str, ...] | None

# decode_rows(block, sequence, kinds, rules, names, out, most): append to `out` the rows, `most` of them, that are whole
# packets at the beginning of `block`; the number of bytes they take. It stops at whatever is no such row: the end of the
# result, an error, a packet cut off or continued or out of sequence, a field that has no value. No such thing raises.
decode_rows: Callable[[bytes, int, bytes, Rules, Names, list[Any], int], int] | None = None

# decode_row(payload, kinds, rules, names): the row of one packet, None where it has not exactly these columns. Raises
# what converters raise.
decode_row: Callable[[bytes, bytes, Rules, Names], Any] | None = None
