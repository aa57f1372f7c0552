"""Compiled form of `broadcast_tui.server.batch_send.send_each`, without a Python call for each socket."""

cdef extern from "sys/socket.h" nogil:
    ssize_t send(int descriptor, const void *data, size_t size, int flags)
    int MSG_DONTWAIT


def send_each(list filenos not None, bytes data not None):
    cdef const char *start = data
    cdef Py_ssize_t size = len(data), sent
    cdef int fileno
    cdef Py_ssize_t index
    incomplete = []
    for index in range(len(filenos)):
        fileno = filenos[index]
        sent = send(fileno, start, size, MSG_DONTWAIT) if fileno >= 0 else 0
        if sent < size:
            incomplete.append((index, max(sent, 0)))
    return incomplete
