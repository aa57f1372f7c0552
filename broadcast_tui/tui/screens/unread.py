"""Reading the shown room: where its log stands, its unread posts, mentions, and what is older than all held.

What the log tells is asked of it anew when it arrives: by then another room may be shown.
"""

from __future__ import annotations

from abc import abstractmethod

from textual import on

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.session.updates import ConnectionState
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.transcript.row_index import RowAnchor
from broadcast_tui.tui.screens.rooms import RoomsScreen
from broadcast_tui.tui.widgets.message_log import MessageLog

SOUGHT_MAX = 1_000
"""Posts fetched, without a further wish, to get to the first unread one."""
SOUGHT_PAGE = 200
HISTORY_PAGE = 50
"""Posts fetched when the user reads above all that are held."""


class UnreadScreen(RoomsScreen):
    """A `RoomsScreen` that knows what of its rooms is unread, and goes there."""

    def __init__(self, client: ClientRequests, state: AppState) -> None:
        super().__init__(client, state)
        self._sought_in = ""
        """Where pages of history are asked for to get to the first unread post."""
        self._sought_until = 0
        """How many unread posts may be left above all that are held."""
        self._sought_above = 0
        """How many there were when the last page was asked for."""
        self._sought_from: RowAnchor | None = None
        """Where the log stood then."""

    # -- for who derives from it

    @abstractmethod
    def warn(self, text: str) -> None:
        """Say why something cannot be done."""

    def open_at_unread(self) -> None:
        """Show the room from its unread line on; laid out, the log knows whether that is in view."""
        self.log_view.start_at_unread_line(self._state.rooms.shown.unread)
        self.seek_unread()
        self._state.rooms.set_at_end(self.log_view.is_following and not self._sought_in)
        self.refresh_views()

    def refresh_rooms(self) -> bool:
        changed = super().refresh_rooms()
        if changed and self._state.rooms.shown.reading.begins_above:
            self.seek_unread()
            self._state.rooms.set_at_end(self.log_view.is_following and not self._sought_in)
        return changed

    def seek_unread(self) -> None:
        """Fetch what is unread above all that is held, up to `SOUGHT_MAX` posts, and go to its beginning."""
        view = self._state.rooms.shown
        if view.reading.begins_above and self._sought_in != view.name:
            self._sought_in = view.name
            self._sought_until = max(0, view.reading.above_count - SOUGHT_MAX)
            self._fetch_sought(view)

    def follow_sought(self) -> None:
        """A page that was asked for may be there: go to its first unread post, and ask for more."""
        view = self._state.rooms.shown
        if not self._sought_in or (view.name == self._sought_in and view.history_ref):
            return
        if view.name != self._sought_in:
            self._sought_in = ""
            return
        above_count = view.reading.above_count
        # Who has scrolled meanwhile reads something else.
        if self.log_view.top_anchor == self._sought_from and view.reading.target_id is not None:
            self.log_view.start_at(view.reading.target_id, view.unread)
        if self._sought_until < above_count < self._sought_above:
            self._fetch_sought(view)
        else:
            self._sought_in = ""
            self._state.rooms.set_at_end(self.log_view.is_following)

    def _fetch_sought(self, view: RoomModel) -> None:
        self._sought_above, self._sought_from = view.reading.above_count, self.log_view.top_anchor
        self._fetch_before_all(view, SOUGHT_PAGE)
        if not view.history_ref:
            self._sought_in = ""

    @property
    def is_online(self) -> bool:
        return self._state.connection.state is ConnectionState.ONLINE

    # -- what the log tells

    @on(MessageLog.UnseenChanged)
    def follow_unseen(self) -> None:
        self._state.rooms.unseen = self.log_view.unseen
        self.refresh_views()

    @on(MessageLog.EndChanged)
    def follow_end(self) -> None:
        self._state.rooms.set_at_end(self.log_view.is_following)
        self.refresh_views()

    @on(MessageLog.TopReached)
    def fetch_older(self) -> None:
        view = self._state.rooms.shown
        if view.transcript.has_cleared:
            view.transcript.bring_back()
            self.refresh_views()
            return
        self._fetch_before_all(view, HISTORY_PAGE)

    def _fetch_before_all(self, view: RoomModel, limit: int) -> None:
        """Ask for the page of posts before all that are held, unless one is on its way."""
        oldest = view.transcript.first_post_id
        if oldest and not view.history_ref and not view.history_ended and self.is_online:
            view.history_ref = self._client.fetch_history(view.name, before=oldest, limit=limit)

    # -- going there

    def action_go_bottom(self) -> None:
        """Go to the newest post; there already, the unread line has served."""
        if self.log_view.is_following:
            self._state.rooms.shown.reading.drop_rule()
            self.log_view.refresh_lines()
        self.log_view.follow()

    def action_go_unread(self) -> None:
        view = self._state.rooms.shown
        target_id = view.reading.target_id
        if target_id is None:
            self.warn("Nothing here is unread.")
            return
        if target_id < view.transcript.first_id:
            view.transcript.bring_back()
        self.log_view.navigator.go_to_line(target_id)
        self.seek_unread()
        self._sought_from = self.log_view.top_anchor

    def action_go_mention(self, back: bool) -> None:
        wrapped = self.log_view.navigator.go_to_mention(back=back)
        if wrapped is None:
            self.warn("Nobody has mentioned you in the posts held here.")
        elif wrapped:
            self.warn(
                f"No {'earlier' if back else 'later'} mention; here is the {'last' if back else 'first'}."
            )
