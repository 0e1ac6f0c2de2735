# cython: boundscheck=False, wraparound=False, cdivision=True
# The buffer that rows are written into, the types that values are told by, and the fields of dates.

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Realloc
from cpython.object cimport PyObject
from libc.string cimport memcpy

# The numbers of codes.py, for C.
cdef enum Mask:
    STR = 1
    INT = 2
    FLOAT = 4
    BOOL = 8
    BOOL_INT = 16
    BYTES = 32
    DATETIME = 64
    DATE = 128

cdef extern from *:
    """
    #include "datetime.h"

    /* A sanitizer sees a byte too many only where the buffer ends at what was asked for. */
    #ifdef NEXUSQL_TIGHT_BUFFER
    #define NEXUSQL_GROWTH 1
    #else
    #define NEXUSQL_GROWTH 2
    #endif
    """
    const Py_ssize_t NEXUSQL_GROWTH

    int PyDateTime_GET_YEAR(PyObject*)
    int PyDateTime_GET_MONTH(PyObject*)
    int PyDateTime_GET_DAY(PyObject*)
    int PyDateTime_DATE_GET_HOUR(PyObject*)
    int PyDateTime_DATE_GET_MINUTE(PyObject*)
    int PyDateTime_DATE_GET_SECOND(PyObject*)
    int PyDateTime_DATE_GET_MICROSECOND(PyObject*)
    PyObject* PyDateTime_DATE_GET_TZINFO(PyObject*)
    int PyDateTime_DELTA_GET_DAYS(PyObject*)
    int PyDateTime_DELTA_GET_SECONDS(PyObject*)
    int PyDateTime_DELTA_GET_MICROSECONDS(PyObject*)

cdef struct Output:
    char* data
    Py_ssize_t size
    Py_ssize_t room

cdef struct Types:
    PyObject* datetime
    PyObject* date
    PyObject* uuid
    PyObject* utc  # the zone
    bint fields  # whether the fields of dates can be read from C


cdef inline char* reserve(Output* out, Py_ssize_t more) except NULL:
    """The end of what is written, with room for so many bytes and for three marks between values or rows."""
    cdef Py_ssize_t needed = out.size + more + 3
    cdef char* data
    if needed > out.room:
        data = <char*>PyMem_Realloc(out.data, needed * NEXUSQL_GROWTH)
        if data == NULL:
            raise MemoryError
        out.data = data
        out.room = needed * NEXUSQL_GROWTH
    return out.data + out.size


cdef inline int put(Output* out, const char* text, Py_ssize_t size) except -1:
    memcpy(reserve(out, size), text, size)
    out.size += size
    return 0


cdef inline void put_mark(Output* out, char mark) noexcept:
    """Write a byte that `reserve` has left room for."""
    out.data[out.size] = mark
    out.size += 1


cdef inline bytes taken(Output* out):
    return PyBytes_FromStringAndSize(out.data, out.size)
