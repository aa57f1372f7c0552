"""The full-screen chat: asks for a name, shows the rooms and restores the terminal at the end.

Run `ChatApp(client_factory).run()`, then `sys.exit(app.return_code)`: 0 after quitting, 1 after a crash or,
in a kiosk, if the server rejects the name, 128 + n after signal n. A line on standard error explains any
other status than 0.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from time import monotonic
from typing import ClassVar

from rich.console import RenderableType
from textual import events, messages, on, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from broadcast_tui.client.address import Address
from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.client.storage.credentials import Credentials, PendingCredentials
from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.limits import DEFAULT_ROOM
from broadcast_tui.core.names import is_direct
from broadcast_tui.core.session.updates import DisconnectCause
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui import PROGRAM, themes
from broadcast_tui.tui.bookmark_saver import BookmarkSaver, load_ignored, save_ignored
from broadcast_tui.tui.commands.palette import palette_commands
from broadcast_tui.tui.commands.registry import NOT_AVAILABLE
from broadcast_tui.tui.input_history_file import InputHistoryFile
from broadcast_tui.tui.invites import InviteMaker, link_to
from broadcast_tui.tui.keymap import bind, shown_key
from broadcast_tui.tui.keymap_config import clashes
from broadcast_tui.tui.local_server import LocalServer, LocalServerPrompts
from broadcast_tui.tui.model.input.history import InputHistory
from broadcast_tui.tui.model.notifications import levels_of
from broadcast_tui.tui.model.reactions import RecentReactions
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.rooms import RoomSet, is_lasting
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.status import undelivered_text
from broadcast_tui.tui.model.transcript.layout import presence_of
from broadcast_tui.tui.model.update_slice import UpdateSlice
from broadcast_tui.tui.name_prompt import NamePrompter
from broadcast_tui.tui.quit import QUIT_TIMEOUT_S, QuitFlow
from broadcast_tui.tui.screens.chat import ChatScreen
from broadcast_tui.tui.screens.help import HelpScreen
from broadcast_tui.tui.terminal.driver import ChatDriver, chat_driver_class, driver_of, ignore_size_variables
from broadcast_tui.tui.terminal.no_color import drop_colors
from broadcast_tui.tui.terminal.notifications import Notifier
from broadcast_tui.tui.terminal.renderer import TerminalRenderer
from broadcast_tui.tui.terminal.signals import (
    TERMINAL_GONE,
    Signals,
    exit_now,
    ignore_stop_keys,
    report_crash,
)
from broadcast_tui.tui.terminal.title import TerminalTitle
from broadcast_tui.tui.token_prompt import TokenPrompter
from broadcast_tui.tui.widgets.conversation import Conversation
from broadcast_tui.tui.widgets.toast import show_warning


class ChatApp(App[None]):
    """The app: connects the client, the chat screen, the saved preferences and the terminal.

    Args:
        client_factory: Creates the client for a name.
        name: Name to join with in this run; without it, the name that the user has chosen before.
        suggested_name: Name to offer a user who has not chosen one yet.
        ask_name: Whether to ask for a name although the user has chosen one before.
        room: Room to show; if the client is not in it, the client's first room.
        server: Address to display before there is a client.
        elsewhere: Creates a client for another server and a name; without it /connect is rejected.
        preferences: Saved choices; by default those of this user.
        theme: Theme for this run; it takes precedence over the saved one.
        keys: The user's own keys by binding id, as `checked_keys` returns them.
        local_server: Server to offer if nothing listens; None if none can be started.
        credentials: Token and pin to save once they have worked.
        has_token: Whether the client has a token, which contains the name.
        mentions: Words that count as mentions, in addition to the name.
        advice: What the user can do about causes of a rejected connection.
        kiosk: Whether the user must not reach into this machine; they have `name` and no other.
        make_invite: Makes the invites of /invite.
        show_invite: Whether to start with an invite.
    """

    CSS_PATH = "app.tcss"
    TITLE = PROGRAM
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("app.show-help", "show_help"),
        bind("app.open-palette", "command_palette"),
        bind("app.quit-chat", "quit", priority=True),
        bind("app.suspend-process", "suspend_process", priority=True),
        bind("app.redraw-screen", "redraw_screen", priority=True),
    ]

    def __init__(
        self,
        client_factory: Callable[[str], ClientRequests],
        *,
        name: str = "",
        suggested_name: str = "",
        ask_name: bool = False,
        room: str = DEFAULT_ROOM,
        server: str = "",
        elsewhere: Callable[[Address, str], ClientRequests] | None = None,
        preferences: Preferences | None = None,
        theme: str = "",
        keys: Mapping[str, str] | None = None,
        local_server: LocalServer | None = None,
        credentials: PendingCredentials | None = None,
        has_token: bool = False,
        mentions: tuple[str, ...] = (),
        advice: Mapping[DisconnectCause, str] | None = None,
        kiosk: bool = False,
        make_invite: InviteMaker = link_to,
        show_invite: bool = False,
    ) -> None:
        ignore_size_variables()
        super().__init__(driver_class=chat_driver_class())
        drop_colors(self)
        for own_theme in themes.OWN_THEMES:
            self.register_theme(own_theme)
        self._theme_for_run = theme
        self._keys = dict(keys or {})
        self.set_keymap(self._keys)
        self._make_client = client_factory
        self._make_client_elsewhere = elsewhere
        self._initial_name = name
        self._room = room
        self._server = server
        self._preferences = preferences if preferences is not None else Preferences.load()
        self._names = NamePrompter(self, self._preferences, name, suggested_name, must_ask=ask_name)
        self._server_prompts = LocalServerPrompts(self, local_server, server)
        self._mentions = mentions
        self._advice = advice or {}
        self.is_kiosk = kiosk
        self._make_invite = make_invite
        self._show_invite = show_invite
        self._state = AppState(RoomSet(room))
        self._token_prompter = TokenPrompter(
            self, credentials if credentials is not None else PendingCredentials(Credentials(), server)
        )
        self._has_token = has_token
        self._client: ClientRequests | None = None
        self._signals = Signals(self._handle_signal, self._handle_terminal_gone, self._handle_hang)
        self._terminal_title = TerminalTitle(self._write_to_terminal)
        self._renderer = TerminalRenderer(self)
        self._quit = QuitFlow(self, self._server_prompts, self._renderer)
        self._notifier = Notifier(self._write_to_terminal, os.environ)
        self._bookmark_saver = BookmarkSaver(self.set_timer, self._preferences.path.parent)

    def on_mount(self) -> None:
        candidates = (self._theme_for_run, self._preferences.theme, themes.default_theme(os.environ))
        self.theme = next(theme for theme in candidates if theme in self.available_themes)
        self.watch(self, "theme", self._save_theme, init=False)
        if isinstance(driver := driver_of(self), ChatDriver):
            driver.on_suspend = self._terminal_title.restore
        self.app_resume_signal.subscribe(self, lambda _: self._handle_resume())
        self._signals.install()
        if self.is_kiosk:
            ignore_stop_keys()  # Textual's driver has handled one of them since
        self._terminal_title.set(f"#{self._room}")
        if self._preferences.notice:
            self.notify(visible_line(self._preferences.notice), severity="warning", markup=False)
        for clash in clashes(self._keys):
            self.notify(f"{clash}. See [keys] in the config file.", severity="warning", markup=False)
        if self._has_token:
            self._start(self._initial_name)
        else:
            self._names.choose(f"{self._server} #{self._room}".strip(), self._start)
        self.call_after_refresh(self._tune_garbage_collector)

    def _start(self, name: str) -> None:
        """Start the chat as `name`."""
        self._client = self._make_client(name)
        self._chat(self._client, self._make_screen(self._client, name))

    def _make_screen(self, client: ClientRequests, name: str) -> ChatScreen:
        """Create the screen for `client` with the state saved by earlier runs."""
        self._names.enter_server()
        bookmarks = self._bookmark_saver.open(client.url, self._state)
        rooms = RoomSet(
            self._room if self._room in client.rooms else client.rooms[0],
            {room: RoomModel(room) for room in client.rooms},
            ignored=load_ignored(self._preferences, client.url),
            levels=levels_of(self._preferences.levels_at(client.url)),
            bookmarks=bookmarks,
        )
        self._state = AppState(
            rooms,
            name,
            presence=presence_of(self._preferences.presence),
            reactions=self._preferences.reactions,
            recent_reactions=RecentReactions(self._preferences.emoji),
            keywords=self._mentions,
            advice=self._advice,
            is_kiosk=self.is_kiosk,
        )
        file = InputHistoryFile(self._preferences.path.parent)
        history = InputHistory(file.load(), save=file.append, room=self._state.rooms.shown_name)
        if file.notice:
            self.notify(file.notice, severity="warning", markup=False)
        return ChatScreen(client, self._state, history, self._make_invite)

    @work(exclusive=True, group="network")
    async def _chat(self, client: ClientRequests, screen: ChatScreen) -> None:
        """Pass the client's batches to the screen until the client is closed."""
        if isinstance(self.screen, ChatScreen):
            await self.switch_screen(screen)
        else:
            await self.push_screen(screen)
        # Loading the network modules takes a while: show the screen first.
        screen.call_after_refresh(client.start)
        if self._show_invite:
            self._show_invite = False
            screen.open_invite("")
        async for batch in client.batches():
            pending = deque(batch)
            while pending:
                if self._quit.has_begun:
                    return  # a flood must not delay the end
                updates = UpdateSlice(pending, monotonic)
                screen.receive(updates)
                self._server_prompts.offer_start(self._state, client)
                if not self.is_kiosk:
                    self._token_prompter.handle(updates.taken, client)
                self._bookmark_saver.save_soon(self._state)
                # Give the keyboard its turn, also during a flood.
                await asyncio.sleep(0)

    @on(ChatScreen.NameRequired)
    def ask_other_name(self, event: ChatScreen.NameRequired) -> None:
        if self.is_kiosk:
            self._leave(1, f"{PROGRAM}: {visible_line(event.denied.reason)}")
        elif self._client is not None:
            place = f"{self._client.url} #{self._room}"
            self._names.ask_other(place, event.denied.name, event.denied.reason, self._client.rename)

    @on(ChatScreen.NameTaken)
    def save_new_name(self, event: ChatScreen.NameTaken) -> None:
        self._names.handle_name(event.name)

    @on(ChatScreen.RoomsChanged)
    def save_rooms(self, event: ChatScreen.RoomsChanged) -> None:
        """Save the rooms for the next run; the shown one is saved with them and at the end."""
        # Quitting leaves the rooms one by one, and the next run must still join them.
        if self._client is None or self._quit.has_begun:
            return
        # The server lists direct messages again.
        rooms = tuple(room for room in event.rooms if not is_direct(room))
        if not rooms:
            return
        before = self._preferences.rooms.get(self._client.url)
        self._preferences.set_rooms(self._client.url, rooms, event.shown)
        if before is None or before.joined != rooms:
            self._preferences.save()

    @on(ChatScreen.ConnectRequested)
    def go_elsewhere(self, event: ChatScreen.ConnectRequested) -> None:
        """Switch to another server."""
        if self._client is None or self._make_client_elsewhere is None:
            self.notify("This chat cannot switch servers.", severity="warning", markup=False)
        elif event.address.url == self._client.url:
            self.notify("Already connected to this server. Use /join to enter a room.", markup=False)
        else:
            self._room = self._preferences.rooms_on(event.address.url, event.address.explicit_room).shown
            self.run_worker(self._change_server(self._client, event.address), group="leaving")

    async def _change_server(self, previous: ClientRequests, address: Address) -> None:
        assert self._make_client_elsewhere is not None
        try:
            self._client = self._make_client_elsewhere(address, previous.name)
        except BroadcastError as error:
            self.notify(visible_line(str(error)), severity="error", markup=False)
            return
        self._token_prompter = TokenPrompter(
            self, PendingCredentials(Credentials(), address.url, address.token, address.pin)
        )
        await previous.close(timeout_s=QUIT_TIMEOUT_S)
        if lost := previous.unacknowledged:
            self.notify(f"{undelivered_text(lost)}. Press Ctrl+Up to edit and resend.", severity="warning")
        self._chat(self._client, self._make_screen(self._client, previous.name))

    @on(ChatScreen.UnreadChanged)
    def show_unread(self, event: ChatScreen.UnreadChanged) -> None:
        self._terminal_title.set(self._state.rooms.get(event.room).label, event.count, event.mentions)
        self._bookmark_saver.save_soon(self._state)

    @on(ChatScreen.PostsAlerted)
    def ring(self, event: ChatScreen.PostsAlerted) -> None:
        self._notifier.notify(event.alerts)

    @on(ChatScreen.TestNotificationRequested)
    def try_notice(self, event: ChatScreen.TestNotificationRequested) -> None:
        event.screen.print(self._notifier.test())

    @on(ChatScreen.LevelChanged)
    def save_level(self, event: ChatScreen.LevelChanged) -> None:
        if self._client is not None and is_lasting(event.room):
            self._preferences.set_level(self._client.url, event.room, event.level.value)
            self._preferences.save()

    @on(ChatScreen.IgnoredChanged)
    def save_ignored_people(self) -> None:
        if self._client is not None:
            save_ignored(self._preferences, self._client.url, self._state.rooms.ignored)

    @on(Conversation.ReactionsChosen)
    def save_reactions(self, event: Conversation.ReactionsChosen) -> None:
        self._preferences.reactions = event.shown
        self._preferences.save()

    @on(Conversation.PresenceChosen)
    def save_presence(self, event: Conversation.PresenceChosen) -> None:
        self._preferences.presence = event.choice.word
        self._preferences.save()

    @on(Conversation.MouseRequested)
    def set_mouse_reporting(self, event: Conversation.MouseRequested) -> None:
        if isinstance(driver := driver_of(self), ChatDriver):
            driver.set_mouse_reporting(event.report)

    @on(ChatScreen.QuitRequested)
    async def quit_for_reason(self, event: ChatScreen.QuitRequested) -> None:
        await self.action_quit(event.reason)

    async def action_quit(self, reason: str = "") -> None:
        """Quit in order; asks first if something would be lost, unless this is the second request."""
        self._quit.reason = reason
        await self._quit.confirm(self._state, self._client, lambda message: self._leave(0, message))

    def action_show_help(self) -> None:
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self._keys, kiosk=self.is_kiosk))

    def action_suspend_process(self) -> None:
        if self.is_kiosk:
            show_warning(self.screen, NOT_AVAILABLE)
        else:
            super().action_suspend_process()

    def action_redraw_screen(self) -> None:
        self._renderer.invalidate()
        self.screen.refresh(layout=True)

    def get_system_commands(self, screen: Screen[None]) -> Iterable[SystemCommand]:
        return palette_commands(self, screen)

    def get_key_display(self, binding: Binding) -> str:
        """Short form of a key for the footer: `F1`, `^Q`."""
        return shown_key(binding.key).replace("Ctrl+", "^")

    def _leave(self, code: int, message: str = "") -> None:
        """Close the client, then exit with status `code` and `message` on standard error."""
        if self._client is not None and not self._quit.has_begun:
            self._save_preferences()
        self._quit.begin(self._client, code, message)

    def _handle_signal(self, number: int, meaning: str) -> None:
        self._leave(128 + number, f"{PROGRAM}: {meaning}")

    def _handle_terminal_gone(self) -> None:
        if isinstance(driver := driver_of(self), ChatDriver):
            driver.discard_output()

    def _handle_hang(self, number: int, meaning: str) -> None:
        """Exit without the event loop, which does not react to a signal."""
        if isinstance(driver := driver_of(self), ChatDriver):
            driver.restore_terminal()
        exit_now(128 + number, f"{PROGRAM}: {meaning}; the chat did not respond", self._save_state)

    def _save_state(self) -> None:
        with suppress(Exception):
            self._bookmark_saver.close(self._state)
        with suppress(Exception):
            self._save_preferences()

    def _save_preferences(self) -> None:
        self._preferences.emoji = self._state.recent_reactions.used
        self._preferences.save()

    def _handle_resume(self) -> None:
        self._terminal_title.show_again()
        self.screen.refresh(layout=True)

    def _save_theme(self, theme: str) -> None:
        self._preferences.theme = theme
        self._preferences.save()

    def _tune_garbage_collector(self) -> None:
        """Exclude the objects created so far from collection, so that a full one takes less than 1 ms."""
        if not self.is_headless:
            gc.collect()
            gc.freeze()
            gc.set_threshold(5000, 20, 50)

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Show a compositor update with our renderer; Textual shows what the renderer does not accept."""
        can_write = self.is_running and not self._closed and not self.is_headless
        if renderable is None or self._batch_count or not can_write or not self._renderer.show(renderable):
            super()._display(screen, renderable)
        else:
            self.post_display_hook()

    def on_resize(self) -> None:
        self._renderer.invalidate()

    def on_cursor_position(self, event: events.CursorPosition) -> None:
        self._renderer.handle_answer()

    @on(messages.TerminalSupportsSynchronizedOutput)
    def synchronize_output(self) -> None:
        self._renderer.synchronizes = True

    def _write_to_terminal(self, data: str) -> None:
        if (driver := driver_of(self)) is not None and not self.is_headless:
            driver.write(data)

    def _handle_exception(self, error: Exception) -> None:
        """Report a crash in one line; Textual would print pages, after seconds of a blank screen."""
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
            directory = None if self.is_kiosk else self._preferences.path.parent
            self._quit.message = report_crash(error, directory)
        self._close_messages_no_wait()

    def panic(self, *renderables: RenderableType) -> None:
        """Exit without Textual's traceback: the terminal can no longer be read."""
        self._return_code = self._return_code or 1
        self._quit.message = self._quit.message or f"{PROGRAM}: {TERMINAL_GONE}"
        self._close_messages_no_wait()

    async def _shutdown(self) -> None:
        self._terminal_title.restore()
        self._bookmark_saver.close(self._state)
        await super()._shutdown()
        self._signals.restore()

    def _print_error_renderables(self) -> None:
        self._exit_renderables.clear()
        self._quit.report(self._client)
