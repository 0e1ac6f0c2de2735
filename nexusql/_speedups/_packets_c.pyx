# cython: boundscheck=False, wraparound=False, cdivision=True
"""The decoder; packets.py says what the functions promise.

Nothing is believed of a length before it has been compared with the bytes there are.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Copy, PyDict_SetItem
from cpython.list cimport PyList_Append
from cpython.object cimport PyObject, PyTypeObject
from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_New, PyTuple_SET_ITEM
from cpython.unicode cimport PyUnicode_AsUTF8, PyUnicode_Decode, PyUnicode_DecodeUTF8
from libc.string cimport memcpy

try:
    from _datetime import datetime_CAPI as DATETIME_API
except ImportError:  # Python 3.12 in an interpreter with its own GIL, where datetimes are written in Python
    DATETIME_API = None

# The numbers of codes.py, for C, and those of the protocol.
cdef enum:
    STR = 1
    INT = 2
    TIMEDELTA = 3
    FLOAT = 4
    BYTES = 32
    DATETIME = 64
    DATE = 128

    NULL_FIELD = 0xFB
    TWO_BYTES = 0xFC
    THREE_BYTES = 0xFD
    EIGHT_BYTES = 0xFE
    NO_LENGTH = 0xFF
    EOF_PACKET = 0xFE
    ERROR_PACKET = 0xFF
    HEADER = 4
    LONGEST_EOF = 8
    CONTINUED = 0xFFFFFF

    MOST_DIGITS = 18  # of a whole number that fits 64 bits, whatever the digits are
    LONGEST_FLOAT = 31
    FEW = 5  # keys that a dict has room for before it grows

    MALFORMED = -1
    IS_NULL = 0
    HAS_VALUE = 1

cdef extern from "datetime.h":
    ctypedef struct PyDateTime_CAPI:
        PyTypeObject* DateType
        PyTypeObject* DateTimeType
        PyTypeObject* DeltaType
        object (*Date_FromDate)(int, int, int, PyTypeObject*)
        object (*DateTime_FromDateAndTime)(int, int, int, int, int, int, int, object, PyTypeObject*)
        object (*Delta_FromDelta)(int, int, int, int, PyTypeObject*)

cdef extern from *:
    double PyOS_string_to_double(const char*, char**, PyObject*) except? -1.0
    object PyLong_FromLongLong(long long)
    object PyFloat_FromDouble(double)

cdef struct Field:
    const unsigned char* data
    Py_ssize_t size


cdef int take_field(const unsigned char** at, const unsigned char* end, Field* field) noexcept:
    """Read the field that begins at `at`, and move that behind it."""
    cdef const unsigned char* here = at[0]
    cdef unsigned long long length
    cdef int width, i
    if here == end:
        return MALFORMED
    length = here[0]
    here += 1
    if length == NULL_FIELD:
        at[0] = here
        return IS_NULL
    if length > NULL_FIELD:
        if length == NO_LENGTH:
            return MALFORMED
        width = 2 if length == TWO_BYTES else 3 if length == THREE_BYTES else 8
        if end - here < width:
            return MALFORMED
        length = 0
        for i in range(width):
            length |= <unsigned long long>here[i] << (8 * i)
        here += width
    if length > <unsigned long long>(end - here):
        return MALFORMED
    field.data = here
    field.size = <Py_ssize_t>length
    at[0] = here + length
    return HAS_VALUE


cdef object called(Field* field, object rule):
    """What the column's rule makes of a field."""
    encoding, convert = rule
    cdef const char* data = <const char*>field.data
    cdef object value
    if encoding is None:
        value = PyBytes_FromStringAndSize(data, field.size)
    else:
        value = PyUnicode_Decode(data, field.size, PyUnicode_AsUTF8(encoding), NULL)
    return value if convert is None else convert(value)


cdef long long digits(const unsigned char* at, Py_ssize_t count) noexcept:
    """The number that so many digits, MOST_DIGITS at most, are, -1 where they are none."""
    cdef long long number = 0
    cdef Py_ssize_t i
    for i in range(count):
        if at[i] < c"0" or at[i] > c"9":
            return -1
        number = number * 10 + (at[i] - c"0")
    return number


cdef object whole(Field* field, object rule):
    cdef bint negative = field.size > 0 and field.data[0] == c"-"
    cdef Py_ssize_t count = field.size - negative
    cdef long long number
    if 0 < count <= MOST_DIGITS:
        number = digits(field.data + negative, count)
        if number >= 0:
            return PyLong_FromLongLong(-number if negative else number)
    return called(field, rule)


cdef object real(Field* field, object rule):
    cdef char text[LONGEST_FLOAT + 1]
    cdef Py_ssize_t i
    cdef unsigned char c
    if field.size > LONGEST_FLOAT:
        return called(field, rule)
    for i in range(field.size):
        c = field.data[i]
        if not (c"0" <= c <= c"9" or c == c"." or c == c"-" or c == c"e" or c == c"+"):
            return called(field, rule)
    memcpy(text, field.data, field.size)
    text[field.size] = 0
    try:
        return PyFloat_FromDouble(PyOS_string_to_double(text, NULL, NULL))
    except ValueError:
        return called(field, rule)


cdef int fraction(const unsigned char* at, const unsigned char* end) noexcept:
    """Microseconds from what follows the seconds: nothing, or a point and up to six digits; -1 where it is neither."""
    cdef Py_ssize_t count = end - at - 1
    cdef int micros, i
    if at == end:
        return 0
    if at[0] != c"." or count < 1 or count > 6:
        return -1
    micros = <int>digits(at + 1, count)
    if micros >= 0:
        for i in range(6 - count):
            micros *= 10
    return micros


cdef object moment(Field* field, object rule, const PyDateTime_CAPI* api):
    """DATETIME and TIMESTAMP as a server writes them, 2026-01-02 03:04:05.678900, or DATE, 2026-01-02."""
    cdef const unsigned char* at = field.data
    cdef int year, month, day, hour, minute, second, micros
    if api == NULL or field.size < 10 or at[4] != c"-" or at[7] != c"-":
        return called(field, rule)
    year, month, day = <int>digits(at, 4), <int>digits(at + 5, 2), <int>digits(at + 8, 2)
    if year < 1 or month < 1 or day < 1:
        return called(field, rule)
    try:
        if field.size == 10:
            return api.Date_FromDate(year, month, day, api.DateType)
        if field.size < 19 or at[10] != c" " or at[13] != c":" or at[16] != c":":
            return called(field, rule)
        hour, minute, second = <int>digits(at + 11, 2), <int>digits(at + 14, 2), <int>digits(at + 17, 2)
        micros = fraction(at + 19, at + field.size)
        if hour < 0 or minute < 0 or second < 0 or micros < 0:
            return called(field, rule)
        return api.DateTime_FromDateAndTime(
            year, month, day, hour, minute, second, micros, None, api.DateTimeType
        )
    except ValueError:  # no day of the calendar
        return called(field, rule)


cdef object span(Field* field, object rule, const PyDateTime_CAPI* api):
    """TIME as a server writes it, -838:59:59.000000."""
    cdef const unsigned char* at = field.data
    cdef const unsigned char* end = at + field.size
    cdef int sign = 1, width, hours, minutes, seconds, micros
    if at != end and at[0] == c"-":
        sign = -1
        at += 1
    if api == NULL or end - at < 8:
        return called(field, rule)
    width = 2 if at[2] == c":" else 3
    if end - at < width + 6 or at[width] != c":" or at[width + 3] != c":":
        return called(field, rule)
    hours, minutes = <int>digits(at, width), <int>digits(at + width + 1, 2)
    seconds, micros = <int>digits(at + width + 4, 2), fraction(at + width + 6, end)
    if hours < 0 or minutes < 0 or seconds < 0 or micros < 0:
        return called(field, rule)
    seconds += hours * 3600 + minutes * 60
    return api.Delta_FromDelta(0, sign * seconds, sign * micros, 1, api.DeltaType)


cdef object decoded(Field* field, int kind, object rule, const PyDateTime_CAPI* api):
    """The value of a field."""
    if kind == STR:
        return PyUnicode_DecodeUTF8(<const char*>field.data, field.size, NULL)
    if kind == INT:
        return whole(field, rule)
    if kind == FLOAT:
        return real(field, rule)
    if kind == DATETIME or (kind == DATE and field.size == 10):
        return moment(field, rule, api)
    if kind == TIMEDELTA:
        return span(field, rule, api)
    if kind == BYTES:
        return PyBytes_FromStringAndSize(<const char*>field.data, field.size)
    return called(field, rule)


cdef object made(
    const unsigned char* at,
    const unsigned char* end,
    bytes kinds,
    tuple rules,
    tuple names,
    dict before,
    const PyDateTime_CAPI* api,
):
    """The row of a packet, None where it has not exactly these columns; `before` is another such dict, or empty."""
    cdef const unsigned char* kind = <const unsigned char*>PyBytes_AS_STRING(kinds)
    cdef Py_ssize_t width = PyBytes_GET_SIZE(kinds), i
    cdef Field field
    cdef int found
    cdef object value
    cdef object row
    if names is None:
        row = PyTuple_New(width)
    elif width > FEW:
        row = PyDict_Copy(before)  # which allocates only once
    else:
        row = {}
    for i in range(width):
        found = take_field(&at, end, &field)
        if found == MALFORMED:
            return None
        value = None
        if found == HAS_VALUE:
            value = decoded(&field, kind[i], <object>PyTuple_GET_ITEM(rules, i), api)
        if names is None:
            Py_INCREF(value)  # which the tuple takes over
            PyTuple_SET_ITEM(row, i, value)
        else:
            PyDict_SetItem(row, <object>PyTuple_GET_ITEM(names, i), value)
    return row if at == end else None


cdef const PyDateTime_CAPI* checked(bytes kinds, tuple rules, tuple names) except? NULL:
    """The interface to datetimes, NULL where there is none. Raises ValueError where the columns differ in number."""
    cdef Py_ssize_t width = PyBytes_GET_SIZE(kinds)
    if len(rules) != width or (names is not None and len(names) != width):
        raise ValueError("kinds, rules and names differ in length")
    if DATETIME_API is None:
        return NULL
    return <const PyDateTime_CAPI*>PyCapsule_GetPointer(DATETIME_API, "datetime.datetime_CAPI")


def decode_rows(
    bytes block not None,
    int sequence,
    bytes kinds not None,
    tuple rules not None,
    tuple names,
    out,
    Py_ssize_t most,
):
    """Append the rows that a block begins with; the bytes they take."""
    cdef const unsigned char* begin = <const unsigned char*>PyBytes_AS_STRING(block)
    cdef const unsigned char* end = begin + PyBytes_GET_SIZE(block)
    cdef const unsigned char* at = begin
    cdef const PyDateTime_CAPI* api = checked(kinds, rules, names)
    cdef Py_ssize_t count = 0
    cdef Py_ssize_t length
    cdef dict before = {}
    cdef object row
    while count < most and end - at > HEADER:
        length = at[0] | at[1] << 8 | at[2] << 16
        if at[3] != sequence or length == 0 or length == CONTINUED or length > end - at - HEADER:
            break
        if at[HEADER] == ERROR_PACKET or (at[HEADER] == EOF_PACKET and length <= LONGEST_EOF):
            break
        at += HEADER
        try:
            row = made(at, at + length, kinds, rules, names, before, api)
        except Exception:  # decode_row raises it again
            row = None
        if row is None:
            at -= HEADER
            break
        PyList_Append(out, row)
        if names is not None:
            before = <dict>row
        at += length
        sequence = (sequence + 1) & 0xFF
        count += 1
    return at - begin


def decode_row(bytes payload not None, bytes kinds not None, tuple rules not None, tuple names):
    """The row of one packet."""
    cdef const unsigned char* begin = <const unsigned char*>PyBytes_AS_STRING(payload)
    cdef const PyDateTime_CAPI* api = checked(kinds, rules, names)
    return made(begin, begin + PyBytes_GET_SIZE(payload), kinds, rules, names, {}, api)
