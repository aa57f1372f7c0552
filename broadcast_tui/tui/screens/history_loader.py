"""Fetches older posts of the displayed room, and pages back to the first unread one."""

from __future__ import annotations

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.session.updates import ConnectionState
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.transcript.row_index import RowAnchor
from broadcast_tui.tui.widgets.message_log import MessageLog

UNREAD_MAX = 1_000
"""Most posts fetched without another request of the user to get to the first unread one."""
UNREAD_PAGE = 200
HISTORY_PAGE = 50
"""Posts fetched when the user scrolls above the oldest post."""


class HistoryLoader:
    """Pages back in the history of the room that `state` displays in `log`.

    The first unread post may be older than all posts that the client holds. The loader then requests
    page after page and scrolls to the first unread post each time, unless the user has scrolled meanwhile.
    """

    def __init__(self, client: ClientRequests, state: AppState, log: MessageLog) -> None:
        self._client = client
        self._state = state
        self._log = log
        self._target_room = ""
        """The room whose first unread post is being fetched; empty if none."""
        self._target_above = 0
        """Unread posts that may remain above the loaded ones when the loader stops."""
        self._last_above = 0
        """Unread posts above the loaded ones when the last page was requested."""
        self._last_anchor: RowAnchor | None = None
        """The position of the log at that time."""

    def open_at_unread(self) -> None:
        """Scroll to the unread line; call this after layout, when the log knows whether it is in view."""
        self._log.start_at_unread_line(self._state.rooms.shown.unread)
        self.seek_unread()
        self._state.rooms.set_at_end(self._log.is_following and not self._target_room)

    def room_changed(self) -> None:
        """Another room is displayed: page back if its unread posts begin above the loaded ones."""
        if self._state.rooms.shown.reading.begins_above:
            self.seek_unread()
            self._state.rooms.set_at_end(self._log.is_following and not self._target_room)

    def go_to_unread(self) -> bool:
        """Scroll to the first unread post and page back further if necessary; false without one."""
        view = self._state.rooms.shown
        target_id = view.reading.target_id
        if target_id is None:
            return False
        if target_id < view.transcript.first_id:
            view.transcript.restore_cleared()
        self._log.navigator.go_to_line(target_id)
        self.seek_unread()
        self._last_anchor = self._log.top_anchor
        return True

    def seek_unread(self) -> None:
        """Request the unread posts above the loaded ones, at most `UNREAD_MAX`."""
        view = self._state.rooms.shown
        if view.reading.begins_above and self._target_room != view.name:
            self._target_room = view.name
            self._target_above = max(0, view.reading.above_count - UNREAD_MAX)
            self._fetch_unread(view)

    def follow(self) -> None:
        """After updates: if a page has arrived, scroll to its first unread post and request the next."""
        view = self._state.rooms.shown
        if not self._target_room or (view.name == self._target_room and view.history_ref):
            return
        if view.name != self._target_room:
            self._target_room = ""
            return
        above_count = view.reading.above_count
        # If the user has scrolled meanwhile, leave the log where it is.
        if self._log.top_anchor == self._last_anchor and view.reading.target_id is not None:
            self._log.start_at(view.reading.target_id, view.unread)
        if self._target_above < above_count < self._last_above:
            self._fetch_unread(view)
        else:
            self._target_room = ""
            self._state.rooms.set_at_end(self._log.is_following)

    def fetch_older(self) -> None:
        """Request the page above the loaded posts."""
        self._fetch(self._state.rooms.shown, HISTORY_PAGE)

    def _fetch_unread(self, view: RoomModel) -> None:
        self._last_above, self._last_anchor = view.reading.above_count, self._log.top_anchor
        self._fetch(view, UNREAD_PAGE)
        if not view.history_ref:
            self._target_room = ""

    def _fetch(self, view: RoomModel, limit: int) -> None:
        """Request the page above the loaded posts, unless a request is pending or the history has ended."""
        is_online = self._state.connection.state is ConnectionState.ONLINE
        oldest = view.oldest_id
        if oldest and not view.history_ref and not view.history_ended and is_online:
            view.history_ref = self._client.fetch_history(view.name, before=oldest, limit=limit)
