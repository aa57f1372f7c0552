"""One server of the chat: its client, its state, and the screen that shows it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from time import monotonic

import msgspec

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.session.updates import NameDenied, Update
from broadcast_tui.tui.bookmark_saver import BookmarkSaver
from broadcast_tui.tui.draft_saver import DraftSaver
from broadcast_tui.tui.missing import request_missing
from broadcast_tui.tui.model.servers import Server
from broadcast_tui.tui.model.state import Changes
from broadcast_tui.tui.screens.chat import ChatScreen
from broadcast_tui.tui.token_prompt import TokenPrompter


class ConnectedServer(msgspec.Struct, eq=False):
    """One server of the chat."""

    server: Server
    client: ClientRequests
    tokens: TokenPrompter
    bookmarks: BookmarkSaver
    drafts: DraftSaver | None = None
    """Saves unsent texts; None in a kiosk."""
    screen: ChatScreen | None = None
    """Its screen, which is created when the server is displayed for the first time."""
    denied: NameDenied | None = None
    """The name was rejected and the user was not asked for another one yet."""

    def save(self) -> None:
        """Save the read positions and the unsent texts, before the chat or this connection ends."""
        self.bookmarks.close(self.server.state)
        if self.drafts is not None and self.screen is not None and self.screen.is_ready:
            self.drafts.close(self.screen.unsent(at_end=True))

    def save_drafts_soon(self) -> None:
        """Save the unsent texts once the user stops typing."""
        if self.drafts is not None and self.screen is not None and self.screen.is_ready:
            self.drafts.save_soon(self.screen.unsent)

    def apply(self, updates: Iterable[Update]) -> Changes:
        """Apply updates to the state and show the changes if the server is displayed."""
        if self.screen is not None and self.screen.is_ready:
            return self.screen.receive(updates)
        state = self.server.state
        changes = state.apply(updates, monotonic(), datetime.now(UTC))
        request_missing(self.client, state, changes)
        for error in changes.errors:
            state.print(error, datetime.now(UTC), error=True)  # for the time when it is displayed
        for opening in changes.directs:
            if not opening.is_joined:
                self.client.join(opening.room)
        return changes
