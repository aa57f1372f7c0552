"""The texts of a chunk, packed: a string object takes as much memory as half a usual post."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import overload

RECENT_MAX = 64
"""Texts that are not packed yet, so that adding one does not copy all."""
_ENCODING, _ERRORS = "utf-8", "surrogatepass"


class TextColumn(Sequence[str]):
    """Texts in order, added at the end. All but the last few are parts of one byte string in UTF-8."""

    __slots__ = ("_ends", "_packed", "_recent")

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._packed = b""
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
            return [self[i] for i in range(*index.indices(len(self)))]
        ends = self._ends
        packed_count = len(ends) - 1
        if index < 0:
            index += len(self)
            if index < 0:
                raise IndexError("no such text")
        if index >= packed_count:
            return self._recent[index - packed_count]
        return self._packed[ends[index] : ends[index + 1]].decode(_ENCODING, _ERRORS)

    def append(self, text: str) -> None:
        """Add a text at the end."""
        self._recent.append(text)
        if len(self._recent) >= RECENT_MAX:
            self._pack()

    def copy(self) -> TextColumn:
        """A copy that can be appended to."""
        copied = TextColumn()
        copied._packed, copied._ends, copied._recent = self._packed, self._ends[:], self._recent[:]
        return copied

    def replaced(self, index: int, text: str) -> TextColumn:
        """A copy in which one text is another one; `index` is not negative."""
        changed = self.copy()
        packed_count = len(self._ends) - 1
        if index >= packed_count:
            changed._recent[index - packed_count] = text
            return changed
        start, end = self._ends[index], self._ends[index + 1]
        encoded = text.encode(_ENCODING, _ERRORS)
        added = len(encoded) - (end - start)
        changed._packed = self._packed[:start] + encoded + self._packed[end:]
        changed._ends[index + 1 :] = array("I", [later + added for later in self._ends[index + 1 :]])
        return changed

    def _pack(self) -> None:
        encoded = [text.encode(_ENCODING, _ERRORS) for text in self._recent]
        self._packed = b"".join((self._packed, *encoded))
        for data in encoded:
            self._ends.append(self._ends[-1] + len(data))
        self._recent.clear()
