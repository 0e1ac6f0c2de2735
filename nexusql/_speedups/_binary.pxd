# cython: boundscheck=False, wraparound=False, cdivision=True
# Values in COPY's binary format: what the server's receive functions read, for each type of column.
# https://www.postgresql.org/docs/current/sql-copy.html, Binary Format

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.long cimport PyLong_AsLongLongAndOverflow
from cpython.object cimport PyObject, Py_TYPE
from libc.limits cimport INT_MAX
from libc.math cimport isfinite
from libc.string cimport memcpy

from nexusql._speedups._output cimport (
    BOOL, BOOL_INT, BYTES, DATE, DATETIME, FLOAT, INT, STR, Output, PyDateTime_DATE_GET_HOUR,
    PyDateTime_DATE_GET_MICROSECOND, PyDateTime_DATE_GET_MINUTE, PyDateTime_DATE_GET_SECOND,
    PyDateTime_DATE_GET_TZINFO, PyDateTime_DELTA_GET_DAYS, PyDateTime_DELTA_GET_MICROSECONDS,
    PyDateTime_DELTA_GET_SECONDS, PyDateTime_GET_DAY, PyDateTime_GET_MONTH, PyDateTime_GET_YEAR, Types, put, put_mark,
    reserve,
)

# The numbers of codes.py, for C.
cdef enum Wire:
    AS_TEXT
    AS_JSONB
    AS_INT2
    AS_INT4
    AS_INT8
    AS_FLOAT8
    AS_BOOL
    AS_BYTEA
    AS_TIMESTAMP
    AS_TIMESTAMPTZ
    AS_DATE
    AS_UUID

cdef extern from *:
    int PyUnicode_KIND(PyObject*)
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject*)
    const unsigned char* PyUnicode_1BYTE_DATA(PyObject*)

cdef extern from *:
    """
    #define NEXUSQL_DAY (86400LL * 1000000LL)
    /* From 2000 to the years 1 and 10000. */
    #define NEXUSQL_FIRST (-730119LL * NEXUSQL_DAY)
    #define NEXUSQL_LAST (2921940LL * NEXUSQL_DAY)
    """
    const long long NEXUSQL_DAY
    const long long NEXUSQL_FIRST
    const long long NEXUSQL_LAST


cdef inline void big_endian(char* to, unsigned long long value, int size) noexcept:
    cdef int i
    for i in range(size):
        to[i] = <char>(value >> (8 * (size - 1 - i)))


cdef inline int put_number(Output* out, unsigned long long value, int size) except -1:
    """A field of a number of 2, 4 or 8 bytes."""
    cdef char* to = reserve(out, size + 4)
    big_endian(to, size, 4)
    big_endian(to + 4, value, size)
    out.size += size + 4
    return 0


cdef inline int put_nothing(Output* out) except -1:
    return put(out, b"\xff\xff\xff\xff", 4)


cdef inline int begin_field(Output* out, unsigned char wire) except -1:
    """Leave room for the length of a text, behind which jsonb has a version."""
    reserve(out, 4)
    out.size += 4
    if wire == AS_JSONB:
        put_mark(out, 1)
    return 0


cdef inline int end_field(Output* out, Py_ssize_t start) except -1:
    """Write the length of a field that began there."""
    cdef Py_ssize_t size = out.size - start - 4
    if size > INT_MAX:
        raise OverflowError("int too big to convert")
    big_endian(out.data + start, size, 4)
    return 0


cdef inline long long day_number(PyObject* value) noexcept:
    """Days from 2000-01-01 to a date."""
    cdef int month = PyDateTime_GET_MONTH(value)
    # Of a year that begins in March a leap day is the last.
    cdef long long year = PyDateTime_GET_YEAR(value) - (month < 3)
    cdef int before = (153 * ((month + 9) % 12) + 2) // 5
    return 365 * year + year // 4 - year // 100 + year // 400 + before + PyDateTime_GET_DAY(value) - 730426


cdef inline long long moment_number(PyObject* value) noexcept:
    """Microseconds from the beginning of 2000 to a datetime, whatever its zone."""
    cdef long long minutes = PyDateTime_DATE_GET_HOUR(value) * 60 + PyDateTime_DATE_GET_MINUTE(value)
    cdef long long seconds = minutes * 60 + PyDateTime_DATE_GET_SECOND(value)
    return day_number(value) * NEXUSQL_DAY + seconds * 1000000 + PyDateTime_DATE_GET_MICROSECOND(value)


cdef inline bint put_integer(Output* out, long long value, int size) except -1:
    cdef long long limit = 1LL << (8 * size - 1) if size < 8 else 0
    if limit and not -limit <= value < limit:
        return False
    put_number(out, <unsigned long long>value, size)
    return True


cdef inline bint put_real(Output* out, double value) except -1:
    cdef unsigned long long bits
    memcpy(&bits, &value, 8)
    put_number(out, bits, 8)
    return True


cdef inline int digit(unsigned char c) noexcept:
    """What a hexadecimal digit stands for, or -1."""
    if c"0" <= c <= c"9":
        return c - c"0"
    c |= 32
    return c - c"a" + 10 if c"a" <= c <= c"f" else -1


cdef inline bint put_uuid_text(Output* out, PyObject* text) except -1:
    """Write a UUID that is written as 8-4-4-4-12 digits."""
    cdef const unsigned char* source
    cdef char[16] number
    cdef int at = 0, i, high, low
    if PyUnicode_GET_LENGTH(text) != 36 or PyUnicode_KIND(text) != 1:
        return False
    source = PyUnicode_1BYTE_DATA(text)
    for i in range(16):
        if i == 4 or i == 6 or i == 8 or i == 10:
            if source[at] != c"-":
                return False
            at += 1
        high = digit(source[at])
        low = digit(source[at + 1])
        if high < 0 or low < 0:
            return False
        number[i] = <char>(high << 4 | low)
        at += 2
    big_endian(reserve(out, 20), 16, 4)
    out.size += 4
    put(out, number, 16)
    return True


cdef inline bint put_binary(
    Output* out, Types* types, PyObject* value, unsigned char wire, unsigned char mask,
) except -1:
    """Write a value whose exact type is the column's; False, and nothing written, for any other. Runs no Python code,
    which `put_binary_of_held` may."""
    cdef PyObject* kind = <PyObject*>Py_TYPE(<object>value)
    cdef PyObject* zone
    cdef long long number
    cdef int overflow
    if kind == <PyObject*>int:
        if not mask & INT:
            return False
        number = PyLong_AsLongLongAndOverflow(<object>value, &overflow)
        if overflow:
            return False
        if AS_INT2 <= wire <= AS_INT8:
            return put_integer(out, number, 2 << (wire - AS_INT2))
        if wire == AS_FLOAT8 and -(1LL << 53) <= number <= 1LL << 53:
            return put_real(out, <double>number)
    elif kind == <PyObject*>float:
        if wire == AS_FLOAT8 and mask & FLOAT and isfinite(PyFloat_AS_DOUBLE(<object>value)):
            return put_real(out, PyFloat_AS_DOUBLE(<object>value))
    elif kind == <PyObject*>bool:
        if wire == AS_BOOL and mask & BOOL:
            return put_integer(out, <object>value is True, 1)
        if AS_INT2 <= wire <= AS_INT8 and mask & BOOL_INT:
            return put_integer(out, <object>value is True, 2 << (wire - AS_INT2))
    elif kind == types.datetime:
        if (wire == AS_TIMESTAMP or wire == AS_TIMESTAMPTZ) and mask & DATETIME and types.fields:
            zone = PyDateTime_DATE_GET_TZINFO(value)
            if zone == types.utc or (zone == <PyObject*>None and wire == AS_TIMESTAMP):
                return put_integer(out, moment_number(value), 8)
    elif kind == types.date:
        if wire == AS_DATE and mask & DATE and types.fields:
            return put_integer(out, day_number(value), 4)
    elif kind == <PyObject*>bytes:
        if wire == AS_BYTEA and mask & BYTES:
            begin_field(out, wire)
            put(out, PyBytes_AS_STRING(<object>value), PyBytes_GET_SIZE(<object>value))
            end_field(out, out.size - PyBytes_GET_SIZE(<object>value) - 4)
            return True
    elif kind == <PyObject*>str:
        return wire == AS_UUID and mask & STR and put_uuid_text(out, value)
    return False


cdef inline bint put_binary_of_held(
    Output* out, Types* types, value, unsigned char wire, unsigned char mask,
) except -1:
    """The same for a UUID, and a datetime whose offset the Python code of its zone tells."""
    cdef PyObject* kind = <PyObject*>Py_TYPE(value)
    cdef PyObject* delta
    cdef long long number
    if kind == types.uuid and wire == AS_UUID:
        data = value.int.to_bytes(16, "big")
        begin_field(out, wire)
        put(out, PyBytes_AS_STRING(data), 16)
        end_field(out, out.size - 20)
        return True
    if kind != types.datetime or not (wire == AS_TIMESTAMP or wire == AS_TIMESTAMPTZ) or not mask & DATETIME:
        return False
    if not types.fields or value.tzinfo is None:
        return False
    offset = value.utcoffset()
    if offset is None:
        return False
    delta = <PyObject*>offset
    number = moment_number(<PyObject*>value) - PyDateTime_DELTA_GET_DAYS(delta) * NEXUSQL_DAY
    number -= PyDateTime_DELTA_GET_SECONDS(delta) * 1000000LL + PyDateTime_DELTA_GET_MICROSECONDS(delta)
    return NEXUSQL_FIRST <= number < NEXUSQL_LAST and put_integer(out, number, 8)
