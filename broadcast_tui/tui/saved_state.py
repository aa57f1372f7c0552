"""Creates the state and the screen of a server, with what earlier runs have saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from textual.app import App

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.client.storage.credentials import PendingCredentials
from broadcast_tui.client.storage.drafts import DraftFile
from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.session.updates import DisconnectCause
from broadcast_tui.tui.bookmark_saver import BookmarkSaver, load_ignored
from broadcast_tui.tui.connected_server import ConnectedServer
from broadcast_tui.tui.draft_saver import DraftSaver
from broadcast_tui.tui.input_history_file import InputHistoryFile
from broadcast_tui.tui.keymap import active_key
from broadcast_tui.tui.model.input.history import InputHistory
from broadcast_tui.tui.model.notifications import NotifyLevel, levels_of
from broadcast_tui.tui.model.reactions import RecentReactions
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.rooms import RoomSet
from broadcast_tui.tui.model.servers import Server
from broadcast_tui.tui.model.settings import Settings
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.token_prompt import TokenPrompter
from broadcast_tui.tui.widgets.composer import clean_paste


class SavedState:
    """The saved state of all servers.

    Args:
        app: The app, for its keys, timers and notices.
        preferences: Saved choices.
        settings: The settings, which are those of all servers.
        mentions: Words that count as mentions, in addition to the name.
        advice: What the user can do about causes of a rejected connection.
        is_kiosk: See `AppState.is_kiosk`.
    """

    def __init__(
        self,
        app: App[None],
        preferences: Preferences,
        settings: Settings,
        mentions: tuple[str, ...],
        advice: Mapping[DisconnectCause, str],
        *,
        is_kiosk: bool,
    ) -> None:
        self._app = app
        self._preferences = preferences
        self._settings = settings
        self._mentions = mentions
        self._advice = advice
        self._is_kiosk = is_kiosk
        self.recent_reactions = RecentReactions(preferences.emoji)

    def open(self, client: ClientRequests, credentials: PendingCredentials, room: str) -> ConnectedServer:
        """The server of a client. `room` is displayed first, if the client is in it."""
        preferences = self._preferences
        bookmarks = BookmarkSaver(client.url, self._app.set_timer, preferences.path.parent)
        rooms = RoomSet(
            room if room in client.rooms else client.rooms[0],
            {room: RoomModel(room) for room in client.rooms},
            ignored=load_ignored(preferences, client.url),
            levels=levels_of(preferences.levels_at(client.url)),
            default_level=NotifyLevel(self._settings["notify"]),
            bookmarks=bookmarks.load(),
            unread_key=active_key(self._app, "log.go-unread"),
        )
        state = AppState(
            rooms,
            client.name,
            help_key=active_key(self._app, "app.show-help"),
            reconnect_key=active_key(self._app, "app.reconnect-now"),
            settings=self._settings,
            recent_reactions=self.recent_reactions,
            keywords=self._mentions,
            advice=self._advice,
            is_kiosk=self._is_kiosk,
        )
        self._history.add_server(client.url)
        tokens = TokenPrompter(self._app, credentials)
        drafts = None
        if not self._is_kiosk:
            drafts = DraftSaver(DraftFile(client.url, preferences.path.parent), self._app.set_timer)
        return ConnectedServer(Server(client.url, state), client, tokens, bookmarks, drafts)

    def history_of(self, connected: ConnectedServer) -> InputHistory:
        """The input history for the rooms of a server, with the drafts of earlier runs."""
        past = self._history.on_server(connected.server.url, connected.server.state.rooms.shown_name)
        saved = {} if connected.drafts is None else connected.drafts.load()
        past.saved_drafts = {room: clean_paste(text) for room, text in saved.items()}
        return past

    def save_servers(self, urls: Iterable[str]) -> None:
        """Save the servers to connect to in the next run."""
        self._preferences.servers = tuple(urls)
        self._preferences.save()

    @cached_property
    def _history(self) -> InputHistory:
        file = InputHistoryFile(self._preferences.path.parent)
        history = InputHistory(file.load(), save=file.append)
        if file.notice:
            self._app.notify(file.notice, severity="warning", markup=False)
        return history
