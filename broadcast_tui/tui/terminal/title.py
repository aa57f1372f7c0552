"""Title of the terminal window: room and unread counts while the chat runs, then the previous title."""

from __future__ import annotations

from collections.abc import Callable

from broadcast_tui.core.text import visible_line
from broadcast_tui.tui import PROGRAM


class TerminalTitle:
    """Sets the title through `write` and restores the previous one (xterm's title stack)."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._pushed = False
        self._restored = False
        """Whether the title belongs to another program, until `show_again`."""
        self._text = ""

    def set(self, place: str, unread: int = 0, mentions: int = 0) -> None:
        """Show the unread counts, `place` and the program: `(2!, 12) #lobby · broadcast-tui`.

        The counts come first because narrow tabs cut the end off. `2!` is the number of mentions; `12` the
        number of all unread posts, left out if all of them are mentions.
        """
        counts = [f"{mentions:,}!"] if mentions else []
        if unread > mentions:
            counts.append(f"{unread:,}")
        prefix = f"({', '.join(counts)}) " if counts else ""
        text = f"{prefix}{visible_line(place)} · {PROGRAM}"
        if self._restored or (text == self._text and self._pushed):
            self._text = text
            return
        if not self._pushed:
            self._write("\x1b[22;0t")
            self._pushed = True
        self._text = text
        self._write(f"\x1b]0;{text}\x07")

    def restore(self) -> None:
        """Restore the title from before the first `set`; further ones are shown by `show_again`."""
        self._restored = True
        if self._pushed:
            self._pushed = False
            self._write("\x1b]0;\x07\x1b[23;0t")

    def show_again(self) -> None:
        """Set the last text again after `restore`."""
        self._restored = False
        if self._text and not self._pushed:
            self._write(f"\x1b[22;0t\x1b]0;{self._text}\x07")
            self._pushed = True
