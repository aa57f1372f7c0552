"""Saves unsent texts while they are written, so that they survive the end of the process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic

from broadcast_tui.client.storage.drafts import DraftFile
from broadcast_tui.tui.model.input.lasting_drafts import lasting_drafts

IDLE_S = 1.0
"""Time without a change after which the texts are saved: not between the keys of a word."""


class DraftSaver:
    """Saves the unsent texts for the rooms of one server to `file`.

    Args:
        file: Where they are saved.
        set_timer: Calls a function once, after a number of seconds.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        file: DraftFile,
        set_timer: Callable[[float, Callable[[], None]], object],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._file = file
        self._set_timer = set_timer
        self._clock = clock
        self._collect: Callable[[], Mapping[str, str]] | None = None
        """Returns the texts to save when the timer fires; None if there is nothing to save."""
        self._is_timer_running = False
        self._changed_at = 0.0

    def load(self) -> dict[str, str]:
        """The saved texts by room."""
        return self._file.load()

    def save_soon(self, collect: Callable[[], Mapping[str, str]]) -> None:
        """Save the texts by room that `collect` returns, once this was not called for `IDLE_S`."""
        self._collect, self._changed_at = collect, self._clock()
        if not self._is_timer_running:
            self._start_timer(IDLE_S)

    def close(self, texts: Mapping[str, str]) -> None:
        """Save `texts`, before the chat or the connection ends."""
        self._collect = None
        self._file.save(lasting_drafts(texts))

    def _start_timer(self, delay_s: float) -> None:
        self._is_timer_running = True
        self._set_timer(delay_s, self._save_if_idle)

    def _save_if_idle(self) -> None:
        self._is_timer_running = False
        if self._collect is None:
            return
        left_s = self._changed_at + IDLE_S - self._clock()
        if left_s > 0:
            self._start_timer(left_s)
            return
        self._file.save(lasting_drafts(self._collect()))
        self._collect = None
