"""Removes control characters from bracketed pastes, so that a paste cannot act as typed keys.

Textual 8.2 (measured) reads an ESC inside a paste as the start of a key. The characters after it arrive as
keys before the paste itself, and a line end among them would send a post. Invariant: for any division into
chunks, the output is the input without control characters inside pastes, and only an incomplete end marker
is delayed.
"""

from __future__ import annotations

import re

BEGIN = "\x1b[200~"
END = "\x1b[201~"

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class PasteFilter:
    """Filters terminal input that arrives in chunks of any size."""

    def __init__(self) -> None:
        self._pasting = False
        self._tail = ""
        """Last characters passed on outside a paste, because chunks can divide a start marker."""
        self._pending = ""
        """Possible start of an end marker, not passed on yet."""

    def clean(self, data: str) -> str:
        """Filter a chunk; the result can be empty."""
        output: list[str] = []
        while data:
            data = self._inside(data, output) if self._pasting else self._outside(data, output)
        return "".join(output)

    def _outside(self, data: str, output: list[str]) -> str:
        """Pass on everything up to and including a start marker; returns the rest."""
        recent = self._tail + data
        at = recent.find(BEGIN)
        if at < 0:
            self._tail = recent[-(len(BEGIN) - 1) :]
            output.append(data)
            return ""
        split = at + len(BEGIN) - len(self._tail)
        self._pasting, self._tail = True, ""
        output.append(data[:split])
        return data[split:]

    def _inside(self, data: str, output: list[str]) -> str:
        """Pass on the cleaned paste and its end marker; returns the rest."""
        data, self._pending = self._pending + data, ""
        at = data.find(END)
        if at >= 0:
            self._pasting = False
            output += [_CONTROLS.sub("", data[:at]), END]
            return data[at + len(END) :]
        for size in range(min(len(END) - 1, len(data)), 0, -1):
            if END.startswith(data[-size:]):
                self._pending, data = data[-size:], data[:-size]
                break
        output.append(_CONTROLS.sub("", data))
        return ""
