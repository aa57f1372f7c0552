"""Writes down how far rooms are read: every few seconds at most, and in the end."""

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

KEEP_READ_S = 3.0
"""How much of what was read may be forgotten by a crash."""


class BookmarkSaver:
    """Keeps the bookmarks of one server after another in a file in `directory`."""

    def __init__(self, set_timer: Callable[[float, Callable[[], None]], object], directory: Path) -> None:
        """`set_timer` calls something after so many seconds."""
        self._set_timer = set_timer
        self._directory = directory
        self._bookmarks: Bookmarks | None = None
        self._state: AppState | None = None
        """What is to be kept once the timer is over; None: it does not run."""

    def open(self, url: str, before: AppState) -> Mapping[str, Bookmark]:
        """The bookmarks of the server at `url`; those of the one `before` are kept first."""
        self.close(before)
        self._bookmarks, self._state = Bookmarks(url, self._directory), None
        return self._bookmarks.load()

    def keep_soon(self, state: AppState) -> None:
        """Keep what is read in `state`, within `KEEP_READ_S`."""
        if self._state is None:
            self._set_timer(KEEP_READ_S, self._keep)
        self._state = state

    def close(self, state: AppState) -> None:
        """Keep what is read in `state`, and that it was left now."""
        if self._bookmarks is not None:
            self._bookmarks.close(state.read_marks(datetime.now(UTC)))

    def _keep(self) -> None:
        state, self._state = self._state, None
        if state is not None and self._bookmarks is not None:
            self._bookmarks.save(state.read_marks(datetime.now(UTC)))


def recall_ignored(preferences: Preferences, url: str) -> IgnoreList:
    """Whom we ignored on the server at `url`; those whose time is over are left out."""
    return IgnoreList(preferences.ignored.get(url, {}), monotonic(), datetime.now(UTC))


def keep_ignored(preferences: Preferences, url: str, ignored: IgnoreList) -> None:
    """Write down whom we ignore on the server at `url` from now on."""
    preferences.remember_ignored(url, ignored.ends(monotonic(), datetime.now(UTC)))
    preferences.save()
