"""The texts of a chunk, packed: a string object takes as much memory as half a usual post.

The texts of older chunks are compressed as well, to less than a third. Reading one decompresses those of its
chunk, which takes 0.1 ms; a few decompressed ones are cached, because the next text to be read is usually in
the same chunk.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import overload

RECENT_MAX = 64
"""Texts that are not packed yet, so that adding one does not copy all."""
CACHED_MAX = 8
"""Columns whose texts are cached. A screen shows parts of two chunks, and quotes posts of others."""
_ENCODING, _ERRORS = "utf-8", "surrogatepass"
_LEVEL = zlib.Z_BEST_SPEED
"""Level 6 saves a further 4 % of the texts and takes four times as long."""


class TextColumn(Sequence[str]):
    """Texts in order, added at the end. All but the last few are parts of one byte string in UTF-8."""

    __slots__ = ("_ends", "_is_compressed", "_packed", "_recent")

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._packed = b""
        self._is_compressed = False
        """Whether `_packed` is compressed."""
        self._ends = array("I", (0,))
        """The end of each packed text, after that of an empty one before them."""
        self._recent: list[str] = []
        for text in texts:
            self.append(text)

    def __len__(self) -> int:
        return len(self._ends) - 1 + len(self._recent)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return self._texts(start, stop) if step == 1 else [self[i] for i in range(start, stop, step)]
        ends = self._ends
        packed_count = len(ends) - 1
        if index < 0:
            index += len(self)
            if index < 0:
                raise IndexError("no such text")
        if index >= packed_count:
            return self._recent[index - packed_count]
        return self._plain()[ends[index] : ends[index + 1]].decode(_ENCODING, _ERRORS)

    def append(self, text: str) -> None:
        """Add a text at the end."""
        self._recent.append(text)
        if len(self._recent) >= RECENT_MAX:
            self._pack()

    def compress(self) -> None:
        """Compress the texts. They read as before, and packing more decompresses them."""
        if not self._is_compressed or self._recent:
            self._pack()
            self._packed = zlib.compress(self._packed, _LEVEL)
            self._is_compressed = True

    def copy(self) -> TextColumn:
        """A copy that can be appended to."""
        copied = TextColumn()
        copied._packed, copied._is_compressed = self._packed, self._is_compressed
        copied._ends, copied._recent = self._ends[:], self._recent[:]
        return copied

    def replaced(self, index: int, text: str) -> TextColumn:
        """A copy in which one text is another one, compressed if this one is; `index` is not negative."""
        changed = self.copy()
        packed_count = len(self._ends) - 1
        if index >= packed_count:
            changed._recent[index - packed_count] = text
            return changed
        packed = self._plain()
        start, end = self._ends[index], self._ends[index + 1]
        encoded = text.encode(_ENCODING, _ERRORS)
        added = len(encoded) - (end - start)
        changed._packed, changed._is_compressed = packed[:start] + encoded + packed[end:], False
        changed._ends[index + 1 :] = array("I", [later + added for later in self._ends[index + 1 :]])
        if self._is_compressed:
            changed.compress()
        return changed

    def _texts(self, start: int, stop: int) -> list[str]:
        """The texts from `start` to before `stop`, faster than one by one."""
        packed, packed_count = self._plain(), len(self._ends) - 1
        spans = pairwise(self._ends[start : min(stop, packed_count) + 1])
        texts = [packed[begin:end].decode(_ENCODING, _ERRORS) for begin, end in spans]
        if stop > packed_count:
            texts += self._recent[max(0, start - packed_count) : stop - packed_count]
        return texts

    def _plain(self) -> bytes:
        return _decompressed(self._packed) if self._is_compressed else self._packed

    def _pack(self) -> None:
        encoded = [text.encode(_ENCODING, _ERRORS) for text in self._recent]
        self._packed, self._is_compressed = b"".join((self._plain(), *encoded)), False
        for data in encoded:
            self._ends.append(self._ends[-1] + len(data))
        self._recent.clear()


@lru_cache(maxsize=CACHED_MAX)
def _decompressed(packed: bytes) -> bytes:
    return zlib.decompress(packed)
