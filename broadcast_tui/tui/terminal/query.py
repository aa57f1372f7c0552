"""Questions to a terminal and its answers: modes, keyboard protocol, attributes, and widths of texts.

Only while no app runs: it would read the answers too. A terminal ignores what it does not understand. Each
group of questions therefore ends with one that every terminal answers (DA1), and is never waited for longer
than a limit.
"""

from __future__ import annotations

import os
import re
import select
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from broadcast_tui.tui.terminal.flow_control import ASK

ATTRIBUTES = "\x1b[c"
"""Request for the primary attributes (DA1); the answer is `CSI ? numbers c`."""
KEYBOARD = "\x1b[?u"
"""Request for the flags of the kitty keyboard protocol; the answer is `CSI ? flags u`."""
SYNCHRONIZED_OUTPUT, FOCUS_EVENTS, SAFE_PASTE = 2026, 1004, 2004
"""Numbers of private modes."""
CLIPBOARD_ATTRIBUTE = 52
"""In the primary attributes: the terminal's clipboard can be written (OSC 52)."""
ANSWER_S = 2.0
"""Longest wait for the answers to one group of questions."""

_MODE = re.compile(r"\x1b\[\?(\d+);(\d+)\$y")
_KEYBOARD = re.compile(r"\x1b\[\?(\d+)u")
_ATTRIBUTES = re.compile(r"\x1b\[\?([\d;]*)c")
_POSITION = re.compile(r"\x1b\[\d+;(\d+)R")

Exchange = Callable[[str, re.Pattern[str]], str]
"""Writes a text and returns what is read until the pattern matches, or until the limit."""


@dataclass(frozen=True, slots=True)
class TerminalAnswers:
    """What a terminal has answered."""

    answers: bool = False
    """Whether it answers at all; without it, nothing else is known."""
    modes: dict[int, bool] = field(default_factory=dict)
    """Whether it has a private mode, by number; without those that it did not answer about."""
    keyboard: bool = False
    """Whether it has the kitty keyboard protocol."""
    attributes: frozenset[int] = frozenset()
    widths: dict[str, int] = field(default_factory=dict)
    """Columns that it used for each sample; without those that it did not answer about."""


def ask_terminal(exchange: Exchange, samples: Sequence[str]) -> TerminalAnswers:
    """Ask about everything; draws the samples one by one at the start of the row, and erases them."""
    modes = "".join(f"\x1b[?{mode}$p" for mode in (SYNCHRONIZED_OUTPUT, FOCUS_EVENTS, SAFE_PASTE))
    # Some terminals show what they do not understand.
    answer = exchange(f"{modes}{KEYBOARD}{ATTRIBUTES}\r\x1b[K", _ATTRIBUTES)
    found = _ATTRIBUTES.search(answer)
    if found is None:
        return TerminalAnswers()
    widths: dict[str, int] = {}
    for sample in samples:
        position = _POSITION.search(exchange(f"\r{sample}{ASK}\r\x1b[K", _POSITION))
        if position is None:
            break
        widths[sample] = int(position[1]) - 1
    return TerminalAnswers(
        True,
        # 0: unknown mode, 4: permanently reset (DEC STD 070).
        {int(mode): state not in ("0", "4") for mode, state in _MODE.findall(answer)},
        _KEYBOARD.search(answer) is not None,
        frozenset(int(number) for number in found[1].split(";") if number),
        widths,
    )


@contextmanager
def raw_terminal(limit_s: float = ANSWER_S) -> Iterator[Exchange]:
    """The controlling terminal, without echo, for `ask_terminal`; its settings are restored at the end.

    Raises OSError if there is none, or if this process is in the background.
    """
    if sys.platform == "win32":
        raise OSError("not available on Windows")
    import termios
    import tty

    descriptor = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    try:
        if os.tcgetpgrp(descriptor) != os.getpgrp():
            raise OSError("in the background")
        before = termios.tcgetattr(descriptor)
        try:
            tty.setcbreak(descriptor)  # Ctrl+C still ends the program

            def exchange(text: str, end: re.Pattern[str]) -> str:
                os.write(descriptor, text.encode())
                return _read_until(descriptor, end, limit_s)

            yield exchange
        finally:
            # Answers that come too late, and keys typed in the meantime, must not reach the shell.
            termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
    except termios.error as error:
        raise OSError(str(error)) from error
    finally:
        os.close(descriptor)


def _read_until(descriptor: int, end: re.Pattern[str], limit_s: float) -> str:
    data, deadline = b"", time.monotonic() + limit_s
    while end.search(data.decode("ascii", "replace")) is None:
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not select.select([descriptor], [], [], left_s)[0]:
            break
        if not (read := os.read(descriptor, 4096)):
            break
        data += read
    return data.decode("ascii", "replace")
