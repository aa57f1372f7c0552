"""Saves read positions every few seconds and at the end, and ignore lists when they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from broadcast_tui.client.storage.bookmarks import Bookmarks
from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.post import Bookmark
from broadcast_tui.tui.model.ignore_list import IgnoreList
from broadcast_tui.tui.model.state import AppState

SAVE_INTERVAL_S = 3.0
"""Longest time between reading and saving: what a crash can lose."""


class BookmarkSaver:
    """Saves the bookmarks of the server at `url` to a file in `directory`."""

    def __init__(
        self, url: str, set_timer: Callable[[float, Callable[[], None]], object], directory: Path
    ) -> None:
        """`set_timer` calls a function once, after a number of seconds."""
        self._set_timer = set_timer
        self._bookmarks = Bookmarks(url, directory)
        self._unsaved_state: AppState | None = None
        """State to save when the timer fires; None if the timer is not running."""

    def load(self) -> Mapping[str, Bookmark]:
        """Load the bookmarks."""
        return self._bookmarks.load()

    def save_soon(self, state: AppState) -> None:
        """Save the read positions in `state` within `SAVE_INTERVAL_S`."""
        if self._unsaved_state is None:
            self._set_timer(SAVE_INTERVAL_S, self._save)
        self._unsaved_state = state

    def close(self, state: AppState) -> None:
        """Save the read positions in `state` and the time the server was left."""
        self._bookmarks.close(state.rooms.current_bookmarks(datetime.now(UTC)))

    def _save(self) -> None:
        state, self._unsaved_state = self._unsaved_state, None
        if state is not None:
            self._bookmarks.save(state.rooms.current_bookmarks(datetime.now(UTC)))


def load_ignored(preferences: Preferences, url: str) -> IgnoreList:
    """The saved ignore list of the server at `url`, without expired entries."""
    return IgnoreList(preferences.ignored.get(url, {}), monotonic(), datetime.now(UTC))


def save_ignored(preferences: Preferences, url: str, ignored: IgnoreList) -> None:
    """Save the ignore list of the server at `url`."""
    preferences.set_ignored(url, ignored.ends(monotonic(), datetime.now(UTC)))
    preferences.save()
