"""Textual's terminal driver with safe pastes, Alt keys, a mouse switch and an output that can be paused.

`ChatDriver` is the only place that uses private parts of Textual's drivers. Textual 8.2 has no public API
for any of this; `tests/tui/test_textual_seams.py` lists the parts and fails when one of them changes.
"""

from __future__ import annotations

import os
import re
import selectors
import sys
import threading
import time
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from queue import Empty
from string import ascii_lowercase, digits

from textual import _ansi_sequences, constants
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.driver import Driver
from textual.message import Message

from broadcast_tui.tui.terminal.direct_output import DirectOutput
from broadcast_tui.tui.terminal.paste_filter import PasteFilter

if sys.platform == "win32":
    from textual.drivers.windows_driver import WindowsDriver as PlatformDriver
else:
    from textual.drivers.linux_driver import LinuxDriver as PlatformDriver

READ_BYTES = 4096
SIZE_MAX = (2_000, 1_000)
"""Maximum size in cells; a larger terminal is used in part."""
POLL_S = 0.1
"""How often the input thread looks for a lone Escape and for the end of the application mode."""

RESTORE = "\x18\x1b[?2026l\x1b[?69l\x1b[r\x1b[m" + "".join(
    [*(f"\x1b[?{mode}l" for mode in (1000, 1003, 1015, 1006, 1004, 2004, 2048)), "\x1b[?7h", "\x1b[<u"]
)
RESTORE += "\x1b[?1049l\x1b[?25h\x1b]0;\x07\x1b[23;0t"
"""Cancels an unfinished sequence and undoes all modes of the application mode, and the title."""

RESET_PEN = "\x1b[m"

ASK_MARGINS = "\x1b[?69$p"
"""Request for the state of the mode for left and right margins (DECRQM of DECLRMM)."""
_MARGINS = re.compile(r"\x1b\[\?69;(\d)\$y")
_AVAILABLE = {"1", "2"}
"""States of a mode that is set or reset, and not permanently so (DEC STD 070)."""


class _Key(Enum):
    """Keys that Textual has no name for in terminals without the kitty protocol."""

    ALT_ENTER = "alt+enter"
    ALT_BACKSPACE = "alt+backspace"


_ALT_SIGNS = {"slash": "/", "full_stop": ".", "underscore": "_", "minus": "-"}
_AltKey = Enum("_AltKey", {key: f"alt+{key}" for key in (*ascii_lowercase, *digits, *_ALT_SIGNS)})  # type: ignore[misc]


def register_alt_keys() -> None:
    """Add Alt with Enter, Backspace, a letter, a digit or a sign to Textual's table of key sequences.

    Textual 8.2 reads Alt+Enter as Enter and Alt+Backspace as Ctrl+W. For the others it has at most a
    character that an input inserts, and recognizes them only if no other key follows at once. Sequences
    that Textual maps to a key of its own (Alt+B is Ctrl+Left) are unchanged.
    """
    table: object = _ansi_sequences.ANSI_SEQUENCES_KEYS
    if isinstance(table, dict):
        table.setdefault("\x1b\r", (_Key.ALT_ENTER,))
        table["\x1b\x7f"] = (_Key.ALT_BACKSPACE,)
        for key in _AltKey:
            sequence = f"\x1b{_ALT_SIGNS.get(key.name, key.name)}"
            if not isinstance(table.get(sequence), tuple):
                table[sequence] = (key,)


class PasteSafeParser(XTermParser):
    """Textual's input parser behind a `PasteFilter`."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._paste_filter = PasteFilter()
        self.has_margins = False
        """Whether the terminal has answered to `ASK_MARGINS` that it has left and right margins."""

    def feed(self, data: str) -> Iterable[Message]:
        cleaned = self._paste_filter.clean(data)
        # A paste contains no ESC any more. An answer in two parts is missed, which is harmless.
        if answer := _MARGINS.search(cleaned):
            self.has_margins = answer[1] in _AVAILABLE
        # An empty string would mean the end of the input to Textual's parser.
        return super().feed(cleaned) if cleaned or not data else ()


class ChatDriver(PlatformDriver):
    """Driver of the chat's terminal.

    On Windows it is based on Textual's Windows driver, whose input has no bracketed pastes to filter.
    """

    def __init__(
        self, app: App[None], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        register_alt_keys()
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._is_silent = False
        self.on_suspend: Callable[[], object] = lambda: None
        """Called while the terminal is still in application mode; Textual's own signal comes too late."""
        self.start_count = 0
        """How often application mode was started; each start shows a blank screen."""
        self._parser: PasteSafeParser | None = None
        assert self._file is not None, "a chat needs a standard error"
        self._output = DirectOutput(self._file)
        self._file = self._output  # type: ignore[assignment]

    def _get_terminal_size(self) -> tuple[int, int]:
        width, height = super()._get_terminal_size()
        return min(width, SIZE_MAX[0]), min(height, SIZE_MAX[1])

    # Input

    def run_input_thread(self) -> None:
        """Read the terminal until application mode ends, as `LinuxDriver` does, with `PasteSafeParser`."""
        self._parser = parser = PasteSafeParser(constants.DEBUG)
        decode = getincrementaldecoder("utf-8")().decode
        is_last = False
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not is_last:
                is_last = self.exit_event.is_set()
                if selector.select(POLL_S):
                    data = os.read(self.fileno, READ_BYTES)
                    if not data:  # the terminal is gone; at its end, select() returns at once
                        break
                    if text := decode(data):
                        self._process_messages(parser.feed(text))
                self._process_messages(parser.tick())

    def _process_messages(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self.process_message(message)

    def send_message(self, message: Message) -> None:
        # Textual creates a task and a future for each message.
        self._loop.call_soon_threadsafe(self._app.post_message, message)

    def set_mouse_reporting(self, enabled: bool) -> None:
        """Report the mouse to the app, or leave it to the terminal; a suspension does not change it."""
        # Textual's methods do nothing unless this flag says that there is a mouse.
        self._mouse = True
        if enabled:
            self._enable_mouse_support()
        else:
            self._disable_mouse_support()
        self._mouse = enabled

    # Output

    def start_application_mode(self) -> None:
        self.start_count += 1
        self._output.open()
        super().start_application_mode()  # type: ignore[no-untyped-call]
        # Apple's terminal displays a part of such a request, as Textual notes about another mode.
        if sys.platform != "win32" and os.environ.get("TERM_PROGRAM") != "Apple_Terminal":
            self.write(ASK_MARGINS)

    def stop_application_mode(self) -> None:
        """Restore the terminal for others; the last frame has left its colors on the pen."""
        self.write(RESET_PEN)
        super().stop_application_mode()

    def suspend_application_mode(self) -> None:
        self.on_suspend()
        super().suspend_application_mode()

    def close(self) -> None:
        super().close()
        self._output.close()

    def write(self, data: str) -> None:
        if not self._is_silent and (queued := self._output.write_now(data)) is not None:
            super().write(queued)

    @property
    def has_margins(self) -> bool:
        """Whether the terminal has left and right margins (DECLRMM)."""
        return self._parser is not None and self._parser.has_margins

    @property
    def queued_write_count(self) -> int:
        """Number of writes that the terminal's file has not accepted yet."""
        return 0 if self._writer_thread is None else self._writer_thread._queue.qsize()

    @contextmanager
    def silenced(self) -> Iterator[None]:
        """Discard all writes: Textual 8.2 continues to draw while it is suspended, and then blocks."""
        self._is_silent = True
        try:
            yield
        finally:
            self._is_silent = False

    def restore_terminal(self) -> None:
        """Restore the terminal at once, without the event loop and the writer thread, which may hang.

        Nothing is drawn after that.
        """
        self._is_silent = True
        if sys.platform == "win32":
            return
        import termios

        with suppress(termios.error, OSError):
            if self.attrs_before is not None:
                termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)
        if sys.__stderr__ is None:
            return
        with suppress(OSError, ValueError):
            output = sys.__stderr__.fileno()
            os.set_blocking(output, False)  # the terminal may not read
            os.write(output, RESTORE.encode())
            os.set_blocking(output, True)

    def discard_output(self) -> None:
        """Discard what is still written after the terminal has gone, so that no writer blocks.

        Textual's writer thread ends at the first error. Without a reader its queue fills up, and the next
        write blocks forever.
        """
        threading.Thread(target=self._drain, name="terminal-gone", daemon=True).start()

    def _drain(self) -> None:
        while True:
            writer = self._writer_thread
            if writer is not None and not writer.is_alive():
                with suppress(Empty):
                    writer._queue.get(timeout=0.05)
            else:
                time.sleep(0.05)


def ignore_size_variables() -> None:
    """Remove COLUMNS and LINES from the environment; call it before the app is created.

    They would fix the size, here and in an editor, whatever the terminal's real size is.
    """
    for variable in ("COLUMNS", "LINES"):
        os.environ.pop(variable, None)


def chat_driver_class() -> type[Driver] | None:
    """Driver class for `App(driver_class=…)`; None if TEXTUAL_DRIVER selects another one."""
    return None if constants.DRIVER else ChatDriver


def driver_of(app: App[None]) -> Driver | None:
    """The driver of `app`, None before it runs; a `ChatDriver` unless headless or chosen by the user."""
    return app._driver
