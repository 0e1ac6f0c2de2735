# cython: boundscheck=False, wraparound=False, cdivision=True
"""The encoders compiled: one growing buffer, and no Python object for a value that is written directly.

encoder.py says what the functions promise. A record's values are borrowed until Python code may run, which no direct
writer does: the first converter of a row is called when all of them are held.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.long cimport PyLong_AsLongLongAndOverflow
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject, Py_TYPE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.math cimport isfinite
from libc.string cimport memchr, memcpy, strchr, strlen

from nexusql._speedups._binary cimport (
    AS_JSONB, begin_field, big_endian, end_field, put_binary, put_binary_of_held, put_nothing,
)
from nexusql._speedups._cells cimport find_cells, hold
from nexusql._speedups._output cimport (
    BOOL, BOOL_INT, BYTES, DATE, DATETIME, FLOAT, INT, STR, Output, PyDateTime_DATE_GET_HOUR,
    PyDateTime_DATE_GET_MICROSECOND, PyDateTime_DATE_GET_MINUTE, PyDateTime_DATE_GET_SECOND,
    PyDateTime_DATE_GET_TZINFO, PyDateTime_GET_DAY, PyDateTime_GET_MONTH, PyDateTime_GET_YEAR, Types, put, put_mark,
    reserve, taken,
)

from uuid import UUID

from nexusql._speedups.codes import END, FAULT, FULL, OTHER, UNFIT

try:
    from _datetime import date as DATE_TYPE, datetime as DATETIME_TYPE, timezone as TIMEZONE_TYPE

    FIELDS = True
except ImportError:  # Python 3.12 in an interpreter with its own GIL, where datetimes are written in Python
    from datetime import date as DATE_TYPE, datetime as DATETIME_TYPE, timezone as TIMEZONE_TYPE

    FIELDS = False

UTC = TIMEZONE_TYPE.utc

cdef extern from *:
    """
    /* What follows a backslash in COPY's text (1: nothing may), and what is written twice in a literal. */
    static const unsigned char nexusql_copy[256] = {
        [0] = 1, ['\\t'] = 't', ['\\n'] = 'n', ['\\r'] = 'r', ['\\\\'] = '\\\\'};
    static const unsigned char nexusql_quotes[256] = {['\\''] = '\\''};
    static const unsigned char nexusql_backslashes[256] = {['\\''] = '\\'', ['\\\\'] = '\\\\'};
    """
    const unsigned char* nexusql_copy
    const unsigned char* nexusql_quotes
    const unsigned char* nexusql_backslashes

    char* PyOS_double_to_string(double, char, int, int, int*) except NULL
    const int Py_DTSF_ADD_DOT_0

cdef struct Form:
    bint copy  # COPY's text, else literals
    const unsigned char* escapes  # NULL where nothing is escaped
    Types types


cdef inline char* put_quote(char* to, Form* form) noexcept:
    """Where to go on after the quote that a literal begins and ends with."""
    if form.copy:
        return to
    to[0] = c"'"
    return to + 1


cdef inline bint is_plain(const unsigned char* text, Py_ssize_t size, bint copy) noexcept:
    """Whether nothing is to be escaped; some texts of which that is true are not found. The loops can be vectorised."""
    cdef unsigned char found = 0
    cdef Py_ssize_t i
    if copy:
        for i in range(size):
            found |= (text[i] == c"\\") | (text[i] <= c"\r")
    else:
        for i in range(size):
            found |= (text[i] == c"\\") | (text[i] == c"'")
    return not found


cdef int refuse_nul() except -1:
    raise ValueError("A string literal cannot contain NUL (0x00) characters.")


cdef int put_text(Output* out, Form* form, PyObject* text) except -1:
    cdef Py_ssize_t size, i
    cdef const unsigned char* source = <const unsigned char*>PyUnicode_AsUTF8AndSize(<object>text, &size)
    cdef const unsigned char* escapes = form.escapes
    cdef bint copy = form.copy
    cdef unsigned char c
    cdef char* to
    if escapes == NULL:
        if memchr(source, 0, size) != NULL:
            refuse_nul()
        put(out, <const char*>source, size)
        return 0
    to = put_quote(reserve(out, 2 * size + 2), form)
    if is_plain(source, size, copy):
        memcpy(to, source, size)
        to += size
    else:
        for i in range(size):
            c = source[i]
            if escapes[c] == 0:
                to[0] = c
                to += 1
                continue
            if c == 0:
                refuse_nul()
            to[0] = c"\\" if copy else c
            to[1] = escapes[c]
            to += 2
    out.size = put_quote(to, form) - out.data
    return 0


cdef int put_int(Output* out, long long value) except -1:
    cdef char[20] digits
    cdef int at = 20
    # The magnitude of the smallest number fits the unsigned type only.
    cdef unsigned long long left = -<unsigned long long>value if value < 0 else <unsigned long long>value
    while True:
        at -= 1
        digits[at] = <char>(c"0" + left % 10)
        left //= 10
        if left == 0:
            break
    if value < 0:
        at -= 1
        digits[at] = c"-"
    return put(out, digits + at, 20 - at)


cdef int put_float(Output* out, Form* form, double value) except -1:
    cdef char* text = PyOS_double_to_string(value, c"r", 0, Py_DTSF_ADD_DOT_0, NULL)
    try:
        put(out, text, strlen(text))
        if not form.copy and strchr(text, c"e") == NULL:
            put(out, "e0", 2)
    finally:
        PyMem_Free(text)
    return 0


cdef int put_bytes(Output* out, Form* form, PyObject* value) except -1:
    cdef const unsigned char* source = <const unsigned char*>PyBytes_AS_STRING(<object>value)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(<object>value), i
    cdef const char* digits = "0123456789abcdef"
    cdef char* to
    if not form.copy:
        put(out, "X'", 2)
    elif form.escapes == NULL:
        put(out, "\\x", 2)
    else:
        put(out, "\\\\x", 3)
    to = reserve(out, 2 * size + 1)
    for i in range(size):
        to[0] = digits[source[i] >> 4]
        to[1] = digits[source[i] & 15]
        to += 2
    out.size = put_quote(to, form) - out.data
    return 0


cdef inline char* put_pair(char* to, unsigned int value) noexcept:
    """Where to go on after two digits."""
    to[0] = <char>(c"0" + value // 10)
    to[1] = <char>(c"0" + value % 10)
    return to + 2


cdef inline char* put_part(char* to, char before, unsigned int value) noexcept:
    to[0] = before
    return put_pair(to + 1, value)


cdef int put_date(Output* out, Form* form, PyObject* value, bint with_time) except -1:
    cdef unsigned int year, micro
    cdef char* to
    if not form.types.fields:
        text = str(<object>value)
        return put_text(out, form, <PyObject*>text)
    to = put_quote(reserve(out, 28), form)
    year = PyDateTime_GET_YEAR(value)
    to = put_pair(put_pair(to, year // 100), year % 100)
    to = put_part(to, c"-", PyDateTime_GET_MONTH(value))
    to = put_part(to, c"-", PyDateTime_GET_DAY(value))
    if with_time:
        to = put_part(to, c" ", PyDateTime_DATE_GET_HOUR(value))
        to = put_part(to, c":", PyDateTime_DATE_GET_MINUTE(value))
        to = put_part(to, c":", PyDateTime_DATE_GET_SECOND(value))
        micro = PyDateTime_DATE_GET_MICROSECOND(value)
        if micro:
            to = put_part(to, c".", micro // 10000)
            to = put_pair(put_pair(to, micro // 100 % 100), micro % 100)
    out.size = put_quote(to, form) - out.data
    return 0


cdef inline bint has_zone(Form* form, PyObject* value) except -1:
    if form.types.fields:
        return <object>PyDateTime_DATE_GET_TZINFO(value) is not None
    return (<object>value).tzinfo is not None


cdef int put_null(Output* out, Form* form) except -1:
    if form.copy:
        return put(out, "\\N", 2)
    return put(out, "NULL", 4)


cdef bint put_direct(Output* out, Form* form, PyObject* value, unsigned char mask) except -1:
    """Write a value whose exact type the mask names; False, and nothing written, where its converter must be asked."""
    cdef PyObject* kind = <PyObject*>Py_TYPE(<object>value)
    cdef long long number
    cdef int overflow
    cdef double real
    if <object>value is None:
        put_null(out, form)
    elif kind == <PyObject*>str and mask & STR:
        put_text(out, form, value)
    elif kind == <PyObject*>bool and mask & (BOOL | BOOL_INT):
        reserve(out, 1)
        if form.copy and mask & BOOL:
            put_mark(out, c"t" if <object>value is True else c"f")
        else:
            put_mark(out, c"1" if <object>value is True else c"0")
    elif kind == <PyObject*>int and mask & INT:
        number = PyLong_AsLongLongAndOverflow(<object>value, &overflow)
        if overflow:
            return False
        put_int(out, number)
    elif kind == <PyObject*>float and mask & FLOAT:
        real = PyFloat_AS_DOUBLE(<object>value)
        if not isfinite(real):
            return False
        put_float(out, form, real)
    elif kind == form.types.datetime and mask & DATETIME:
        if has_zone(form, value):
            return False
        put_date(out, form, value, True)
    elif kind == form.types.date and mask & DATE:
        put_date(out, form, value, False)
    elif kind == <PyObject*>bytes and mask & BYTES:
        put_bytes(out, form, value)
    else:
        return False
    return True


cdef int put_converted(Output* out, Form* form, value) except -1:
    """Write what a converter gave."""
    if value is None:
        put_null(out, form)
    elif isinstance(value, str):
        put_text(out, form, <PyObject*>value)
    elif isinstance(value, bytes):
        put(out, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
    else:
        raise TypeError(f"a converter gives None, str or bytes, not {type(value).__name__}")
    return 0


cdef bint put_field(Output* out, Form* form, PyObject* value, unsigned char wire, unsigned char mask) except -1:
    """Write a value in the binary format; False, and nothing written, where more than its exact type must be asked."""
    cdef Py_ssize_t start = out.size
    if <object>value is None:
        put_nothing(out)
        return True
    if wire > AS_JSONB:
        return put_binary(out, &form.types, value, wire, mask)
    begin_field(out, wire)
    if not put_direct(out, form, value, mask):
        out.size = start
        return False
    end_field(out, start)
    return True


cdef int put_converted_field(Output* out, Form* form, value, unsigned char wire) except -1:
    """Write the text that a converter gave in the binary format."""
    cdef Py_ssize_t start = out.size
    if value is None:
        return put_nothing(out)
    if not isinstance(value, str):
        raise TypeError(f"a converter gives None or str, not {type(value).__name__}")
    begin_field(out, wire)
    put_text(out, form, <PyObject*>value)
    return end_field(out, start)


cdef tuple encode(
    first, rows, tuple names, bint surplus, tuple forms, tuple masks, tuple converters, bint copy,
    const unsigned char* escapes, Py_ssize_t max_rows, Py_ssize_t max_bytes, list kept,
):
    """Rows in one of the formats; in COPY's binary one, where `forms` is not None."""
    cdef Types types = Types(
        <PyObject*>DATETIME_TYPE, <PyObject*>DATE_TYPE, <PyObject*>UUID, <PyObject*>UTC, FIELDS
    )
    cdef Form form = Form(copy, escapes, types)
    cdef Output out = Output(NULL, 0, 0)
    cdef Py_ssize_t width = len(masks), count = 0, start = 0, column = -1
    cdef bytes bits = bytes(masks)
    cdef bytes wires = None if forms is None else bytes(forms)
    cdef list held = [None] * width
    cdef bint is_held = False
    cdef int found
    cdef PyObject** cells
    if len(converters) != width or (names is not None and len(names) != width):
        raise ValueError("names, masks and converters differ in length")
    if forms is not None and len(forms) != width:
        raise ValueError("forms and masks differ in length")
    iterator = iter(rows)
    nothing = object()
    record = first
    cells = <PyObject**>PyMem_Malloc(width * sizeof(PyObject*))
    if cells == NULL:
        raise MemoryError
    try:
        while count < max_rows:
            if record is None:
                record = next(iterator, nothing)
                if record is nothing:
                    return taken(&out), count, END, None
            if is_held:
                held = [None] * width
            found = find_cells(cells, held, record, names, surplus)
            if found == 0:
                return taken(&out), count, OTHER, record
            is_held = found == 2
            if not (is_held or form.types.fields):
                hold(cells, held)
                is_held = True
            start = out.size
            reserve(&out, 2)
            if wires is not None:
                big_endian(out.data + start, width, 2)
                out.size += 2
            elif not copy:
                if count:
                    put_mark(&out, c",")
                put_mark(&out, c"(")
            for column in range(width):
                if wires is not None:
                    if put_field(&out, &form, cells[column], wires[column], bits[column]):
                        continue
                else:
                    if column:
                        put_mark(&out, c"\t" if copy else c",")
                    if put_direct(&out, &form, cells[column], bits[column]):
                        continue
                if not is_held:
                    hold(cells, held)
                    is_held = True
                if wires is None:
                    put_converted(&out, &form, converters[column](held[column]))
                elif wires[column] <= AS_JSONB:
                    put_converted_field(&out, &form, converters[column](held[column]), wires[column])
                elif not put_binary_of_held(&out, &form.types, held[column], wires[column], bits[column]):
                    out.size = start
                    return taken(&out), count, UNFIT, record
            column = -1
            if wires is None:
                put_mark(&out, c"\n" if copy else c")")
            if out.size > max_bytes and count:
                out.size = start
                return taken(&out), count, FULL, record
            count += 1
            if kept is not None:
                kept.append(record)
            record = None
        return taken(&out), count, FULL, record
    except Exception as error:
        if column < 0:
            raise
        out.size = start
        return taken(&out), count, FAULT, (record, column, error)
    finally:
        PyMem_Free(out.data)
        PyMem_Free(cells)


def copy_rows(
    first, rows, tuple names, bint surplus, tuple masks not None, tuple converters not None,
    Py_ssize_t max_rows, Py_ssize_t max_bytes, list kept,
):
    return encode(first, rows, names, surplus, None, masks, converters, True, nexusql_copy, max_rows, max_bytes, kept)


def literal_rows(
    first, rows, tuple names, bint surplus, tuple masks not None, tuple converters not None, bint backslashes,
    Py_ssize_t max_rows, Py_ssize_t max_bytes, list kept,
):
    cdef const unsigned char* escapes = nexusql_backslashes if backslashes else nexusql_quotes
    return encode(first, rows, names, surplus, None, masks, converters, False, escapes, max_rows, max_bytes, kept)


def binary_rows(
    first, rows, tuple names, bint surplus, tuple forms not None, tuple masks not None, tuple converters not None,
    Py_ssize_t max_rows, Py_ssize_t max_bytes, list kept,
):
    return encode(first, rows, names, surplus, forms, masks, converters, True, NULL, max_rows, max_bytes, kept)
