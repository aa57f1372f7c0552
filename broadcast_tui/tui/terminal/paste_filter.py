"""Keeps what is pasted together: control characters are taken out of bracketed pastes as they come in.

Textual 8.2 (measured) reads an ESC within a paste as the start of a key: the next characters arrive as keys
before the paste itself, and a line end among them would send it. Invariant: whatever the chunks, the
output is the input but for control characters between the brackets; only an unfinished bracket is held back.
"""

from __future__ import annotations

import re

BEGIN = "\x1b[200~"
END = "\x1b[201~"

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class PasteFilter:
    """A filter over what a terminal sends, in chunks of any size."""

    def __init__(self) -> None:
        self._pasting = False
        self._before = ""
        """The last characters passed on outside a paste: a bracket may be cut in two by chunks."""
        self._held = ""
        """What may be the beginning of the closing bracket."""

    def clean(self, data: str) -> str:
        """What to pass on for `data`; may be empty."""
        passed: list[str] = []
        while data:
            data = self._within(data, passed) if self._pasting else self._outside(data, passed)
        return "".join(passed)

    def _outside(self, data: str, passed: list[str]) -> str:
        """Pass on up to and with an opening bracket; returns what comes after it."""
        seen = self._before + data
        at = seen.find(BEGIN)
        if at < 0:
            self._before = seen[-(len(BEGIN) - 1) :]
            passed.append(data)
            return ""
        split = at + len(BEGIN) - len(self._before)
        self._pasting, self._before = True, ""
        passed.append(data[:split])
        return data[split:]

    def _within(self, data: str, passed: list[str]) -> str:
        """Pass on what is pasted, cleaned, and the closing bracket; returns what comes after it."""
        data, self._held = self._held + data, ""
        at = data.find(END)
        if at >= 0:
            self._pasting = False
            passed += [_CONTROLS.sub("", data[:at]), END]
            return data[at + len(END) :]
        for size in range(min(len(END) - 1, len(data)), 0, -1):
            if END.startswith(data[-size:]):
                self._held, data = data[-size:], data[:-size]
                break
        passed.append(_CONTROLS.sub("", data))
        return ""
