"""Texts of which many are equal, such as names, stored as numbers."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

_CODES_MAX = 256
"""Number of different texts from which their numbers take more than a byte."""


class RepeatedTexts(Sequence[str]):
    """Texts in order, each as its index among the different ones: a byte if there are at most 256."""

    __slots__ = ("_codes", "_values")

    def __init__(self, texts: Iterable[str]) -> None:
        texts = list(texts)
        codes = {text: code for code, text in enumerate(dict.fromkeys(texts))}
        self._values = list(codes)
        self._codes = array(_typecode(len(codes)), map(codes.__getitem__, texts))

    def __len__(self) -> int:
        return len(self._codes)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return list(map(self._values.__getitem__, self._codes[index]))
        return self._values[self._codes[index]]

    def __setitem__(self, index: int, text: str) -> None:
        self._codes[index] = self._code(text)

    def __iter__(self) -> Iterator[str]:
        return map(self._values.__getitem__, self._codes)

    def append(self, text: str) -> None:
        """Add a text at the end; slower than to a list if there are many different ones."""
        code = self._code(text)  # which may replace `_codes`
        self._codes.append(code)

    def _code(self, text: str) -> int:
        """The index of `text` among the different texts, to which it is added if it is new."""
        if text in self._values:
            return self._values.index(text)
        self._values.append(text)
        typecode = _typecode(len(self._values))
        if typecode != self._codes.typecode:
            self._codes = array(typecode, self._codes)
        return len(self._values) - 1


def _typecode(count: int) -> str:
    """The type of array for the indices of so many values."""
    return "B" if count <= _CODES_MAX else "I"
