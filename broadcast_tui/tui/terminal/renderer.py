"""Writes the screen to the terminal, instead of Textual: only what differs, and only when it can be taken.

Textual 8.2 sends each visible row again for each row that scrolls. Here its updates are put into a
`ScreenDiff` and `FlowControl` says when what changed is written; a frame that may not go yet is not lost, the
next one has it. Rows of the widget with the focus may overtake, so that keys are echoed at once.

This stands on private parts of Textual (`App._display` and what it is given). If those are not as
expected, or `BROADCAST_TUI_OUTPUT=textual` is set, Textual writes itself, as it does on Windows.
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
from broadcast_tui.tui.terminal.screen_diff import ScreenDiff

OUTPUT_VARIABLE = "BROADCAST_TUI_OUTPUT"
"""Environment variable; `textual` leaves the writing to Textual, for a terminal that misbehaves."""
RETRY_S = 0.02
"""How soon to look again whether a frame may go out."""
STYLES_MAX = 20_000
OVERTAKING_ROWS_MAX = 10
OVERTAKING_WAITING_MAX = 4
SYNC_START, SYNC_END = "\x1b[?2026h", "\x1b[?2026l"

log = logging.getLogger("broadcast_tui.tui")


def is_wanted(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Whether this module is to write to the terminal."""
    return environment.get(OUTPUT_VARIABLE, "").strip().lower() != "textual" and platform != "win32"


class TerminalRenderer:
    """The terminal of `app`. `show` takes what `App._display` is given."""

    def __init__(self, app: App[None], environment: Mapping[str, str] = os.environ) -> None:
        self._app = app
        # GNU screen and those that call themselves so erase with the terminal's own background.
        self._erases_colored = not environment.get("TERM", "").startswith("screen")
        self._works = is_wanted(environment)
        self._glyphs = GlyphTable()
        self._style_keys: dict[Style | None, str] = {}
        self._screen: ScreenDiff | None = None
        self._flow_control = FlowControl()
        self._start_count = 0
        self.synchronizes = False
        """Whether the terminal supports synchronized output."""
        self._retry: asyncio.TimerHandle | None = None

    @property
    def works(self) -> bool:
        """Whether frames are written here rather than by Textual."""
        return self._works

    def show(self, update: object) -> bool:
        """Take over an update of the compositor; false if Textual is to write it."""
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
            log.exception("this Textual is not the one known; it writes to the terminal itself from here on")
            self._works = False
            return False
        return True

    def invalidate(self) -> None:
        """The terminal may show anything: write everything at the next chance."""
        self._flow_control.restart()
        if self._screen is not None:
            self._screen.invalidate()
            self._flush_soon()

    def handle_answer(self) -> None:
        """The terminal has said where its cursor stands."""
        self._flow_control.handle_answer()
        if self._retry is not None:
            self._flush()

    async def finish(self, limit_s: float) -> None:
        """Ask nothing more, and wait for an answer that is under way: it would be typed into the shell."""
        self._flow_control.stop_asking()
        until = monotonic() + limit_s
        while self._flow_control.is_asking and monotonic() < until:
            await asyncio.sleep(0.01)

    # What Textual hands over

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

    # What goes out

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
        waiting = driver.queued_write_count if isinstance(driver, ChatDriver) else 0
        if self._flow_control.may_send(monotonic(), waiting):
            self._write(driver, screen, None)
            return
        if waiting <= OVERTAKING_WAITING_MAX:
            self._write(driver, screen, self._overtaking())
        self._flush_soon()

    def _overtaking(self) -> Iterable[int]:
        """The rows that are written whatever waits: where somebody types."""
        focused = self._app.focused
        if focused is None or focused.region.height > OVERTAKING_ROWS_MAX:
            return ()
        return range(focused.region.y, focused.region.bottom)

    def _write(self, driver: Driver, screen: ScreenDiff, only: Iterable[int] | None) -> None:
        x, y = self._app.cursor_position
        cursor = (max(0, min(x, screen.width - 1)), max(0, min(y, screen.height - 1)))
        text = screen.changes(cursor, only)
        if not text:
            return
        if self.synchronizes and text.count("\x1b[") > 12:
            text = f"{SYNC_START}{text}{SYNC_END}"
        if self._flow_control.send(len(text), monotonic()):
            text += ASK
        driver.write(text)
        driver.flush()
