"""`doctor --keys`: shows as which key each key press arrives, and what it does in the chat."""

from __future__ import annotations

import os
import select
import signal
import sys
from codecs import getincrementaldecoder
from collections.abc import Iterator

from broadcast_tui.cli.errors import ExitCode, UsageError
from broadcast_tui.core.text import visible_line

INTRODUCTION = "Press keys to see as what they arrive. Ctrl+C ends."
BEGIN = "\x1b[>1u"
"""As the chat does: unambiguous codes for keys, where the terminal has kitty's keyboard protocol."""
END = "\x1b[<u"
POLL_S = 0.1
"""How long an Escape can be the start of another key."""


def show_keys() -> int:
    """Print a line for each key press until Ctrl+C or the end of the input; returns the exit status.

    Raises UsageError without a terminal.
    """
    if sys.platform == "win32" or not sys.stdin.isatty() or not sys.stdout.isatty():
        raise UsageError("--keys needs a terminal.")
    import termios
    import tty

    # Exit through `finally`, which restores the terminal.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        os.write(sys.stdout.fileno(), f"{INTRODUCTION}\r\n{BEGIN}".encode())
        for line in _lines(descriptor):
            os.write(sys.stdout.fileno(), f"{line}\r\n".encode(errors="replace"))
    finally:
        os.write(sys.stdout.fileno(), END.encode())
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
    return ExitCode.OK


def _lines(descriptor: int) -> Iterator[str]:
    from textual.events import Key

    from broadcast_tui.tui.terminal.driver import PasteSafeParser, register_alt_keys

    register_alt_keys()
    parser, decode = PasteSafeParser(), getincrementaldecoder("utf-8")("replace").decode
    data = ""
    while True:
        if select.select([descriptor], [], [], POLL_S)[0]:
            if not (read := os.read(descriptor, 1024)):
                return
            text = decode(read)
        else:
            text = ""
        # Character by character, to know which of them belong to which key.
        for char in text or ("",):
            data += char
            for message in parser.feed(char) if char else parser.tick():
                if isinstance(message, Key):
                    yield describe(message.key, data)
                    data = ""
                    if message.key == "ctrl+c":
                        return


def describe(key: str, data: str) -> str:
    """`Alt+K  (ESC k)  Find a room by part of its name`: a key, what the terminal sent, and its action."""
    from broadcast_tui.tui.keymap import KEYS, shown_key

    actions = [row.text for row in KEYS if key in row.keys.split(",") and not row.id.startswith("replay.")]
    sent = " ".join("ESC" if char == "\x1b" else repr(char)[1:-1] for char in data)
    shown = f"({visible_line(sent)})" if sent else ""
    return f"{shown_key(key):<14}  {shown:<16}  {visible_line(actions[0] if actions else '')}".rstrip()
