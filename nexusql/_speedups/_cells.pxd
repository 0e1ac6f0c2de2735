# cython: boundscheck=False, wraparound=False
# How a record's values are found. They are borrowed until Python code may run.

from cpython.dict cimport PyDict_GetItemWithError, PyDict_Next
from cpython.object cimport PyObject
from cpython.sequence cimport PySequence_Fast_GET_ITEM, PySequence_Fast_GET_SIZE


cdef inline bint borrow(PyObject** cells, dict record, tuple names) except -1:
    """Borrow the values of a record whose first keys are these very objects in this order, which spares look-ups."""
    cdef Py_ssize_t i, position = 0
    cdef PyObject* key
    for i in range(len(names)):
        if not PyDict_Next(record, &position, &key, &cells[i]) or key != <PyObject*>names[i]:
            return False
    return True


cdef inline int find_cells(PyObject** cells, list held, record, tuple names, bint surplus) except -1:
    """Find a record's values: 0 if its shape is another, 1 if they are borrowed, 2 if they are held.

    `held` is a list of nothing but None: to fill it runs no code, while to make it then might collect garbage.
    """
    cdef Py_ssize_t width = len(held), i
    cdef bint exact
    cdef PyObject* value
    if names is None:
        if not isinstance(record, (tuple, list)) or PySequence_Fast_GET_SIZE(record) != width:
            return 0
        for i in range(width):
            cells[i] = <PyObject*>PySequence_Fast_GET_ITEM(record, i)
        return 1
    if not isinstance(record, dict):
        return 0
    exact = type(record) is dict
    fields = record if exact else dict(record)
    if len(<dict>fields) != width and not surplus:
        return 0
    if exact and borrow(cells, <dict>fields, names):
        return 1
    for i in range(width):
        value = PyDict_GetItemWithError(fields, names[i])
        if value == NULL:
            return 0
        cells[i] = value
        held[i] = <object>value
    return 2


cdef inline void hold(PyObject** cells, list held) noexcept:
    cdef Py_ssize_t i
    for i in range(len(held)):
        held[i] = <object>cells[i]
