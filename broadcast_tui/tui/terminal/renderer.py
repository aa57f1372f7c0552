"""Writes the screen to the terminal in place of Textual: only differences, and only when it is ready.

When the log scrolls by one row, Textual 8.2 writes every visible row again. Here its updates go into a
`ScreenDiff`, and `FlowControl` decides when the differences are written. A frame that has to wait is not
lost: the next one includes it. Rows of the focused widget do not wait, so that keys are echoed at once.

This uses private parts of Textual (`App._display` and its arguments). If they are not as expected, or if
`BROADCAST_TUI_OUTPUT=textual` is set, Textual writes the screen itself, as it does on Windows.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Iterable, Mapping
from time import monotonic

from rich.color import ColorSystem
from rich.console import COLOR_SYSTEMS
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App
from textual.driver import Driver
from textual.strip import Strip

from broadcast_tui.tui.terminal.cells import CellStyle, GlyphTable, Row
from broadcast_tui.tui.terminal.driver import ChatDriver, driver_of
from broadcast_tui.tui.terminal.flow_control import ASK, FlowControl
from broadcast_tui.tui.terminal.row_strip import RowStrip
from broadcast_tui.tui.terminal.screen_diff import ScreenDiff

OUTPUT_VARIABLE = "BROADCAST_TUI_OUTPUT"
"""Environment variable; with `textual`, Textual writes the screen, for terminals that misbehave."""
RETRY_S = 0.02
"""Interval of attempts to write a frame that has to wait."""
STYLES_MAX = 20_000
ECHO_ROWS_MAX = 10
"""Height of a focused widget up to which its rows do not wait."""
ECHO_QUEUE_MAX = 4
"""Queued writes up to which rows of the focused widget are still written."""
SYNC_CHARACTERS = 400
"""Length up to which a frame is written without a request to draw it at once: it arrives in one piece."""
SYNC_START, SYNC_END = "\x1b[?2026h", "\x1b[?2026l"

log = logging.getLogger("broadcast_tui.tui")


def is_enabled(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Whether this module writes the screen rather than Textual."""
    return environment.get(OUTPUT_VARIABLE, "").strip().lower() != "textual" and platform != "win32"


class TerminalRenderer:
    """Writes the screen of `app`. `show` accepts the updates that `App._display` receives."""

    def __init__(self, app: App[None], environment: Mapping[str, str] = os.environ) -> None:
        self._app = app
        # GNU screen, and terminals with its name, erase with the terminal's default background.
        self._erases_colored = not environment.get("TERM", "").startswith("screen")
        self._works = is_enabled(environment)
        self._glyphs = GlyphTable()
        self._style_keys: dict[Style | None, str] = {}
        self._screen: ScreenDiff | None = None
        self._flow_control = FlowControl()
        self._start_count = 0
        self.synchronizes = False
        """Whether the terminal supports synchronized output."""
        self._retry: asyncio.TimerHandle | None = None

    def show(self, update: object) -> bool:
        """Show an update of the compositor; returns false if Textual has to write it."""
        driver = driver_of(self._app)
        if not self._works or driver is None or driver.is_inline:
            return False
        if not isinstance(update, ChopsUpdate | LayoutUpdate):
            self.invalidate()
            return False
        try:
            self._follow_driver(driver)
            self._put(update)
            self._flush()
        except (AttributeError, KeyError, TypeError, ValueError):
            log.exception("unexpected Textual version; from now on Textual writes to the terminal itself")
            self._works = False
            return False
        return True

    def invalidate(self) -> None:
        """Write the whole screen again as soon as possible, because its content is unknown."""
        self._flow_control.restart()
        if self._screen is not None:
            self._screen.invalidate()
            self._flush_soon()

    def handle_answer(self) -> None:
        """Handle a cursor position report, the answer of the terminal to `ASK`."""
        self._flow_control.handle_answer()
        if self._retry is not None:
            self._flush()

    async def finish(self, timeout_s: float) -> None:
        """Stop asking and wait for a pending answer, which would appear as input in the shell."""
        self._flow_control.stop_asking()
        deadline = monotonic() + timeout_s
        while self._flow_control.is_asking and monotonic() < deadline:
            await asyncio.sleep(0.01)

    # Input: updates of the compositor

    def _follow_driver(self, driver: Driver) -> None:
        """Write everything again after the driver was restarted, which leaves the screen blank."""
        if isinstance(driver, ChatDriver) and driver.start_count != self._start_count:
            self._start_count = driver.start_count
            self.invalidate()

    def _put(self, update: ChopsUpdate | LayoutUpdate) -> None:
        width, height = self._app.screen.outer_size
        if self._glyphs.is_full or len(self._style_keys) >= STYLES_MAX:
            self._glyphs, self._screen = GlyphTable(), None
            self._style_keys.clear()
            self._app.screen.refresh()
        if self._screen is None or (self._screen.width, self._screen.height) != (width, height):
            self._screen = ScreenDiff(width, height, self._glyphs, erases_colored=self._erases_colored)
        if isinstance(update, LayoutUpdate):
            self._put_all(self._screen, update)
        else:
            self._put_chops(self._screen, update)

    def _put_all(self, screen: ScreenDiff, update: LayoutUpdate) -> None:
        for y, strips in enumerate(update.strips, update.region.y):
            x = update.region.x
            for strip in strips:
                piece = self._row(strip)
                screen.put(y, x, piece)
                x += len(piece.text)

    def _put_chops(self, screen: ScreenDiff, update: ChopsUpdate) -> None:
        for y, start, stop in update.spans:
            for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                if strip is not None and x <= stop and end > start:
                    screen.put(y, x, self._row(strip).cut(min(end, stop) - x))

    def _row(self, strip: Strip) -> Row:
        if not isinstance(strip, RowStrip):
            return self._cells(strip)
        if strip.cells is None or strip.cells[0] is not self._glyphs:
            strip.cells = (self._glyphs, self._cells(strip))
        return strip.cells[1]

    def _cells(self, strip: Strip) -> Row:
        style_keys, glyphs = self._style_keys, self._glyphs
        texts: list[str] = []
        keys: list[str] = []
        for text, style, _ in strip:
            key = style_keys.get(style)
            if key is None:
                key = style_keys[style] = glyphs.intern(self._cell_style(style))
            row = glyphs.row(text, key)
            texts.append(row.text)
            keys.append(row.styles)
        return Row("".join(texts), "".join(keys))

    def _cell_style(self, style: Style | None) -> CellStyle:
        if style is None:
            return CellStyle()
        system = COLOR_SYSTEMS.get(self._app.console.color_system or "", ColorSystem.TRUECOLOR)
        link = f"id={style.link_id};{style.link}" if style.link else ""
        return CellStyle.parse(Strip.render_ansi(style, system), link)

    # Output

    def _flush_soon(self) -> None:
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(RETRY_S, self._flush)

    def _flush(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        app, screen, driver = self._app, self._screen, driver_of(self._app)
        if screen is None or driver is None or not app.is_running or app._closed:
            return
        queued = driver.queued_write_count if isinstance(driver, ChatDriver) else 0
        if self._flow_control.can_send(monotonic(), queued):
            self._write(driver, screen, None)
            return
        if queued <= ECHO_QUEUE_MAX:
            self._write(driver, screen, self._echo_rows())
        self._flush_soon()

    def _echo_rows(self) -> Iterable[int]:
        """The rows of the focused widget, which are written even if the rest has to wait."""
        focused = self._app.focused
        if focused is None or focused.region.height > ECHO_ROWS_MAX:
            return ()
        return range(focused.region.y, focused.region.bottom)

    def _write(self, driver: Driver, screen: ScreenDiff, only: Iterable[int] | None) -> None:
        x, y = self._app.cursor_position
        cursor = (max(0, min(x, screen.width - 1)), max(0, min(y, screen.height - 1)))
        screen.has_margins = isinstance(driver, ChatDriver) and driver.has_margins
        text = screen.changes(cursor, only)
        if not text:
            return
        if self.synchronizes and len(text) > SYNC_CHARACTERS:
            text = f"{SYNC_START}{text}{SYNC_END}"
        if self._flow_control.send(len(text), monotonic()):
            text += ASK
        driver.write(text)
        driver.flush()
