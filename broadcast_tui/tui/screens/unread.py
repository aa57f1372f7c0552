"""Reading the shown room: where its log stands, its unread posts, mentions, and what is older than all held.

What the log tells is asked of it anew when it arrives: by then another room may be shown.
"""

from __future__ import annotations

from abc import abstractmethod

from textual import on

from broadcast_tui.client.contract import ChatClient
from broadcast_tui.core.updates import ConnectionState
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.screens.rooms import RoomsScreen
from broadcast_tui.tui.widgets.message_log import MessageLog


class UnreadScreen(RoomsScreen):
    """A `RoomsScreen` that knows what of its rooms is unread, and goes there."""

    def __init__(self, client: ChatClient, state: AppState) -> None:
        super().__init__(client, state)
        self._sought_in = ""
        """Where a page of history was asked for to get to the first unread post."""

    # -- for who derives from it

    @abstractmethod
    def warn(self, text: str) -> None:
        """Say why something cannot be done."""

    def open_at_unread(self) -> None:
        """Show the room from its unread line on; laid out, the log knows whether that is in view."""
        self.log_view.start_at_rule(self._state.shown.unread)
        self._state.stand(self.log_view.is_following)
        self.refresh_views()

    def follow_sought(self) -> None:
        """Go to the first unread post if the page that was asked for to find it is there."""
        view = self._state.rooms.get(self._sought_in)
        if view is None or not view.history_ref:
            if view is self._state.shown:
                self.log_view.go_to_line(view.reading.target_id or 0)
            self._sought_in = ""

    @property
    def is_online(self) -> bool:
        return self._state.connection.state is ConnectionState.ONLINE

    # -- what the log tells

    @on(MessageLog.UnseenChanged)
    def follow_unseen(self) -> None:
        self._state.unseen = self.log_view.unseen
        self.refresh_views()

    @on(MessageLog.EndChanged)
    def follow_end(self) -> None:
        self._state.stand(self.log_view.is_following)
        self.refresh_views()

    @on(MessageLog.TopReached)
    def fetch_older(self) -> None:
        view = self._state.shown
        if view.transcript.has_cleared:
            view.transcript.bring_back()
            self.refresh_views()
            return
        oldest = view.transcript.first_post_id
        if oldest and not view.history_ref and not view.history_ended and self.is_online:
            view.history_ref = self._client.fetch_history(view.name, before=oldest)

    # -- going there

    def action_go_bottom(self) -> None:
        """Go to the newest post; there already, the unread line has served."""
        if self.log_view.is_following:
            self._state.shown.reading.drop_rule()
            self.log_view.refresh_lines()
        self.log_view.follow()

    def action_go_unread(self) -> None:
        view = self._state.shown
        target_id = view.reading.target_id
        if target_id is None:
            self.warn("Nothing here is unread.")
            return
        if target_id < view.transcript.first_id:
            view.transcript.bring_back()
        if view.reading.begins_above:
            self.fetch_older()
            self._sought_in = view.name if view.history_ref else ""
        self.log_view.go_to_line(target_id)

    def action_go_mention(self, back: bool) -> None:
        wrapped = self.log_view.go_to_mention(back=back)
        if wrapped is None:
            self.warn("Nobody has mentioned you in the posts held here.")
        elif wrapped:
            self.warn(
                f"No {'earlier' if back else 'later'} mention; here is the {'last' if back else 'first'}."
            )
