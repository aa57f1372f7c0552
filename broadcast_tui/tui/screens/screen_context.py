"""What slash commands can do on the chat screen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, cast

from broadcast_tui.client.address import Address
from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.protocol.commands import Question
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.commands.context import ThemeHost
from broadcast_tui.tui.completion_context import completion_context
from broadcast_tui.tui.invites import InviteMaker
from broadcast_tui.tui.model.input.compose_mode import ComposeKind, ComposeMode
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.model.servers import Place, Server, ServerSet
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.text.emoji import with_emoji
from broadcast_tui.tui.screens import chat_messages as messages
from broadcast_tui.tui.widgets.toast import show_warning

if TYPE_CHECKING:
    from broadcast_tui.tui.commands.dispatcher import CommandDispatcher
    from broadcast_tui.tui.screens.chat import ChatScreen
    from broadcast_tui.tui.screens.post_dialogs import PostDialogs
    from broadcast_tui.tui.screens.search import SearchController


class ScreenContext:
    """The `CommandContext` of `screen`. What only the app can do is requested by messages."""

    def __init__(
        self, screen: ChatScreen, client: ClientRequests, state: AppState, make_invite: InviteMaker
    ) -> None:
        self._screen = screen
        self._client = client
        self._state = state
        self._make_invite = make_invite
        self.mode: ComposeMode | None = None
        """The reply or edit that is being submitted."""
        self._reminded_away = False

    @cached_property
    def commands(self) -> CommandDispatcher:
        """Runs slash commands on this screen; created after the first screen."""
        from broadcast_tui.tui.commands.dispatcher import CommandDispatcher

        return CommandDispatcher(self._client, self._state, self)

    @property
    def theme_host(self) -> ThemeHost:
        return cast(ThemeHost, self._screen.app)

    @cached_property
    def search(self) -> SearchController:
        """Searches on the server; created after the first screen."""
        from broadcast_tui.tui.screens.search import SearchController

        conversation = self._screen.conversation
        return SearchController(
            self._screen.app,
            self._client,
            self._state,
            conversation.start_picking,
            conversation.copy,
            lambda: self.post_context,
        )

    @cached_property
    def post_context(self) -> PostDialogs:
        """Carries out actions on posts; created after the first screen."""
        from broadcast_tui.tui.screens.post_dialogs import PostDialogs

        return PostDialogs(
            self._screen.app,
            self._client,
            self._state,
            self,
            self._screen.conversation,
            self.search,
            partial(completion_context, self._state, self.theme_host),
            self._screen.submit,
        )

    @property
    def servers(self) -> ServerSet:
        return self._screen.servers

    def say(self, text: str, *, re: str = "", ask: Question | None = None) -> None:
        """Send a post to the displayed room, or what else the input writes: a reply or an edit."""
        mode, self.mode = self.mode, None
        text = with_emoji(text)
        if mode is not None and mode.kind is ComposeKind.EDIT:
            self.post_context.actions.edit(mode.target, text)
            return
        if mode is not None:
            re = mode.target.ref
        if not re and ask is None and self._state.directs.hold(text):
            return
        nonce = self._client.say(self._state.rooms.shown_name, text, re=re, ask=ask)
        self._state.add_own_post(nonce, text, datetime.now(UTC), re=re)
        self._screen.log_view.follow()
        self.refresh_views()
        if self._state.own_away is None:
            self._reminded_away = False
        elif not self._reminded_away:
            self._reminded_away = True
            self._screen.notify("You are still marked as away; /back changes that", markup=False)

    def warn(self, text: str) -> None:
        """Show a warning."""
        screen = self._screen
        if screen.is_displayed:
            show_warning(screen, text)
        else:
            text = visible_line(f"{screen.servers.name(screen.server)}: {text}")
            screen.app.notify(text, severity="warning", markup=False)

    def print(self, text: str) -> None:
        """Show a line of the client in the displayed room."""
        self._state.print(text, datetime.now(UTC))
        self.refresh_views()

    def refresh_views(self, *, people: bool = False) -> None:
        self._screen.refresh_views(people=people)

    def follow_log(self) -> None:
        """Go to the newest line and drop the selection."""
        self._screen.conversation.follow_log()

    def show_room(self, room: str) -> None:
        """Display a joined room of this server; if another server is displayed, once this one is again."""
        if self._screen.is_displayed:
            self.show_place(Place(self._screen.server, room))
        elif room in self._state.rooms.joined:
            self._state.rooms.show(room, datetime.now(UTC))

    def show_place(self, place: Place) -> None:
        """Display a joined room of any server."""
        self._screen.show_place(place)

    def open_search(self, query: str) -> None:
        """Search the history of the displayed room on the server."""
        self.search.open(query)

    def run_in_thread(self, work: Callable[[], str]) -> None:
        """Run `work` in a thread, then show the line that it returns."""

        def run() -> None:
            self._screen.app.call_from_thread(self.print, work())

        self._screen.run_worker(run, thread=True, group="aside")

    def save_notify_level(self, room: str, level: NotifyLevel) -> None:
        self._screen.post_message(messages.LevelChanged(self._client.url, room, level))

    def save_ignore_list(self) -> None:
        self._screen.post_message(messages.IgnoredChanged(self._screen.server))

    def test_notification(self) -> None:
        self._screen.post_message(messages.TestNotificationRequested(self.print))

    def connect_to(self, address: Address) -> None:
        self._screen.post_message(messages.ConnectRequested(address))

    def leave_server(self, server: Server) -> None:
        self._screen.post_message(messages.LeaveRequested(server))

    def open_invite(self, name: str) -> None:
        from broadcast_tui.tui.screens.invite import show_invite

        screen, room = self._screen, self._state.rooms.shown_name
        work = show_invite(screen.app, self._make_invite, self._client.url, room, name)
        screen.run_worker(work, group="invite")

    def quit_chat(self, reason: str = "") -> None:
        self._screen.post_message(messages.QuitRequested(reason))
