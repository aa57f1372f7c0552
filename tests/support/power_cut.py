"""Power cuts of SQLite: records what is written to its files, and rebuilds them as a cut would leave them.

A wrapper around SQLite's file system layer (https://www.sqlite.org/vfs.html) logs every write and sync of
this process. After a cut, a file has all writes before its last sync, and any part of the later ones.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random


def _load_library() -> ctypes.CDLL | None:
    """The C API of the library that the module `sqlite3` uses; None where it is not exported."""
    try:
        import _sqlite3

        library = ctypes.CDLL(_sqlite3.__file__)
        library.sqlite3_vfs_find.restype = ctypes.c_void_p
    except (ImportError, AttributeError, OSError):
        return None
    return library


_library = _load_library()
IS_SUPPORTED = _library is not None
SQLITE_OK = 0

_Open = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
)
"""The name is an address, since SQLite uses the string as long as the file is open."""
_Delete = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)
_Write = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64)
_Truncate = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64)
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class _Vfs(ctypes.Structure):
    """`sqlite3_vfs`, version 3."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("iVersion", "szOsFile", "mxPathname")),
        *(("pNext", ctypes.c_void_p), ("zName", ctypes.c_char_p), ("pAppData", ctypes.c_void_p)),
        *(("xOpen", _Open), ("xDelete", _Delete)),
        *((f"x{number}", ctypes.c_void_p) for number in range(14)),
    )


class _Methods(ctypes.Structure):
    """`sqlite3_io_methods`, version 3."""

    _fields_ = (
        *(("iVersion", ctypes.c_int), ("xClose", ctypes.c_void_p), ("xRead", ctypes.c_void_p)),
        *(("xWrite", _Write), ("xTruncate", _Truncate), ("xSync", _Sync)),
        *((f"x{number}", ctypes.c_void_p) for number in range(13)),
    )


class _File(ctypes.Structure):
    """`sqlite3_file`."""

    _fields_ = (("pMethods", ctypes.POINTER(_Methods)),)


@dataclass(frozen=True, slots=True)
class Write:
    path: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    path: str


@dataclass(frozen=True, slots=True)
class Delete:
    path: str


Operation = Write | Truncate | Sync | Delete


class Recorder:
    """Everything that SQLite did to its files, in order, as `operations`."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._paths: dict[int, str] = {}
        self._methods: dict[int, _Methods] = {}
        self._callbacks: list[object] = []

    def install(self) -> Callable[[], None]:
        """Make SQLite use this recorder for new connections; returns a function that undoes it."""
        assert _library is not None
        original = _Vfs.from_address(_library.sqlite3_vfs_find(None))
        vfs = _Vfs()
        ctypes.pointer(vfs)[0] = original
        vfs.zName = b"recorder"
        vfs.pNext = None

        def open_file(_: int, name: int | None, file: int, flags: int, out_flags: int) -> int:
            status = original.xOpen(ctypes.addressof(original), name, file, flags, out_flags)
            if status == SQLITE_OK and name is not None:
                self._record(ctypes.string_at(name).decode(), file)
            return int(status)

        def delete_file(_: int, name: bytes, sync_directory: int) -> int:
            self.operations.append(Delete(name.decode()))
            return int(original.xDelete(ctypes.addressof(original), name, sync_directory))

        vfs.xOpen, vfs.xDelete = _Open(open_file), _Delete(delete_file)
        self._callbacks += [vfs, vfs.xOpen, vfs.xDelete]
        _library.sqlite3_vfs_register(ctypes.byref(vfs), 1)
        return lambda: self._uninstall(vfs)

    @staticmethod
    def _uninstall(vfs: _Vfs) -> None:
        assert _library is not None
        _library.sqlite3_vfs_unregister(ctypes.byref(vfs))

    def _record(self, path: str, file_address: int) -> None:
        """Record the writes to an open file: replace its methods by those that also log."""
        self._paths[file_address] = path
        file = _File.from_address(file_address)
        address = ctypes.addressof(file.pMethods.contents)
        if address not in self._methods:
            self._methods[address] = self._recording(file.pMethods.contents)
        file.pMethods = ctypes.pointer(self._methods[address])

    def _recording(self, original: _Methods) -> _Methods:
        methods = _Methods()
        ctypes.pointer(methods)[0] = original

        def write(file: int, data: int, size: int, offset: int) -> int:
            self.operations.append(Write(self._paths[file], offset, ctypes.string_at(data, size)))
            return int(original.xWrite(file, data, size, offset))

        def truncate(file: int, size: int) -> int:
            self.operations.append(Truncate(self._paths[file], size))
            return int(original.xTruncate(file, size))

        def sync(file: int, flags: int) -> int:
            status = int(original.xSync(file, flags))
            self.operations.append(Sync(self._paths[file]))
            return status

        methods.xWrite, methods.xTruncate, methods.xSync = _Write(write), _Truncate(truncate), _Sync(sync)
        self._callbacks += [methods.xWrite, methods.xTruncate, methods.xSync]
        return methods


@contextmanager
def recorded() -> Iterator[Recorder]:
    """Records SQLite in this process for the length of a test. Close all connections before the end."""
    recorder = Recorder()
    uninstall = recorder.install()
    try:
        yield recorder
    finally:
        uninstall()


def files_after_cut(operations: Sequence[Operation], rng: Random, survival: float) -> dict[str, bytes]:
    """The files by path after a cut that follows `operations`.

    Args:
        survival: Probability that a write that has not been synced is on the disk anyway.
    """
    synced: dict[str, bytearray] = {}
    unsynced: dict[str, list[Write | Truncate]] = {}
    for operation in operations:
        match operation:
            case Write() | Truncate():
                unsynced.setdefault(operation.path, []).append(operation)
            case Sync():
                content = synced.setdefault(operation.path, bytearray())
                for change in unsynced.pop(operation.path, []):
                    _apply(content, change)
            case Delete():
                synced.pop(operation.path, None)
                unsynced.pop(operation.path, None)
    for path, changes in unsynced.items():
        content = synced.setdefault(path, bytearray())
        for change in changes:
            if rng.random() < survival:
                _apply(content, change)
    return {path: bytes(content) for path, content in synced.items()}


def _apply(content: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        del content[change.size :]
        return
    content.extend(bytes(max(0, change.offset - len(content))))
    content[change.offset : change.offset + len(change.data)] = change.data
