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
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import ClassVar

from rich.console import RenderableType
from textual import events, messages, on, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen
from textual.widgets import TextArea

from broadcast_tui.client.address import Address
from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.client.storage.credentials import Credentials, PendingCredentials
from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.names import DEFAULT_ROOM, is_direct
from broadcast_tui.core.session.updates import DisconnectCause
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui import PROGRAM, themes
from broadcast_tui.tui.bookmark_saver import save_ignored
from broadcast_tui.tui.commands.palette import palette_commands
from broadcast_tui.tui.commands.registry import NOT_AVAILABLE
from broadcast_tui.tui.connected_server import ConnectedServer
from broadcast_tui.tui.connected_servers import ConnectedServers
from broadcast_tui.tui.invites import InviteMaker, link_to
from broadcast_tui.tui.keymap import active_key, bind, shown_key
from broadcast_tui.tui.keymap_config import clashes
from broadcast_tui.tui.local_server import LocalServer, LocalServerPrompts
from broadcast_tui.tui.model.rooms import is_lasting
from broadcast_tui.tui.model.servers import Place
from broadcast_tui.tui.model.settings import Fixed
from broadcast_tui.tui.model.update_slice import UpdateSlice
from broadcast_tui.tui.name_prompt import NamePrompter
from broadcast_tui.tui.preload import load_dialogs
from broadcast_tui.tui.quit import QuitFlow
from broadcast_tui.tui.saved_settings import load_settings, save_setting
from broadcast_tui.tui.saved_state import SavedState
from broadcast_tui.tui.screens import chat_messages
from broadcast_tui.tui.screens.palette import Palette
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
from broadcast_tui.tui.widgets.conversation import Conversation
from broadcast_tui.tui.widgets.dialog import load_dialog_styles
from broadcast_tui.tui.widgets.message_log import MessageLog
from broadcast_tui.tui.widgets.toast import show_toast, show_warning


class ChatApp(App[None]):
    """The app: connects the client, the chat screen, the saved preferences and the terminal.

    Args:
        client_factory: Creates the client for a name.
        name: Name to join with in this run; without it, the name that the user has chosen before.
        suggested_name: Name to offer a user who has not chosen one yet.
        ask_name: Whether to ask for a name although the user has chosen one before.
        room: Room to show; if the client is not in it, the client's first room.
        server: Address to display before there is a client.
        elsewhere: Creates a client for another server and a name; without it, /connect is rejected.
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
        others: Servers to connect to as well, by `elsewhere`.
        shown_server: URL of the one of them to display; empty: the client's.
        fixed: Settings that do not come from the preferences.
    """

    CSS_PATH = "app.tcss"
    TITLE = PROGRAM
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("app.show-help", "show_help"),
        bind("app.open-palette", "command_palette"),
        bind("app.open-settings", "open_settings"),
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
        others: Sequence[Address] = (),
        shown_server: str = "",
        fixed: Mapping[str, Fixed] | None = None,
    ) -> None:
        ignore_size_variables()
        super().__init__(driver_class=chat_driver_class())
        drop_colors(self)
        for own_theme in themes.OWN_THEMES:
            self.register_theme(own_theme)
        self._keys = dict(keys or {})
        self.set_keymap(self._keys)
        self._make_client = client_factory
        self._make_client_elsewhere = elsewhere
        self._initial_name = name
        self._room = room
        self._server = server
        self._preferences = preferences if preferences is not None else Preferences.load()
        self._names = NamePrompter(self, self._preferences, name, suggested_name, must_ask=ask_name)
        fixed = dict(fixed or {})
        if theme:
            fixed.setdefault("theme", Fixed(theme, "an option"))
        self._settings = load_settings(self._preferences, fixed, sorted(self.available_themes))
        themes.set_first_theme(self, (self._settings["theme"], themes.default_theme(os.environ)))
        self._settings.set("theme", self.theme)
        self._server_prompts = LocalServerPrompts(self, local_server, server)
        self.is_kiosk = kiosk
        self._show_invite = show_invite
        self._others = list(others)
        self._shown_server = shown_server
        self._first_credentials = (
            credentials if credentials is not None else PendingCredentials(Credentials(), server)
        )
        self._has_token = has_token
        self._saved = SavedState(
            self, self._preferences, self._settings, mentions, advice or {}, is_kiosk=kiosk
        )
        self._connections = ConnectedServers(self, self._saved, make_invite, self._ask_if_due)
        self._signals = Signals(
            lambda number, meaning: self._leave(128 + number, f"{PROGRAM}: {meaning}"),
            self._handle_terminal_gone,
            self._handle_hang,
        )
        self._terminal_title = TerminalTitle(self._write_to_terminal)
        self._renderer = TerminalRenderer(self)
        self._quit = QuitFlow(self, self._server_prompts, self._renderer)
        self._notifier = Notifier(self._write_to_terminal, os.environ)

    def on_mount(self) -> None:
        self._settings.watch(self._setting_changed)
        self.watch(self, "theme", self._theme_changed, init=False)
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
        self.call_after_refresh(load_dialog_styles, self)
        if not self.is_headless:
            self.call_after_refresh(load_dialogs)
            self.call_after_refresh(tune_garbage_collector)

    def _start(self, name: str) -> None:
        """Start the chat as `name`."""
        connection = self._saved.open(self._make_client(name), self._first_credentials, self._room)
        self._connections.add(connection)
        self._connections.display(connection.server)
        self._receive(connection)
        if self._show_invite and (screen := connection.screen) is not None:
            self._show_invite = False
            screen.call_after_refresh(screen.context.open_invite, "")
        self._connect_others(name)

    @work(group="network")
    async def _receive(self, connection: ConnectedServer) -> None:
        """Pass the updates of a client on until the client is closed."""
        client, state = connection.client, connection.server.state
        # Loading the network modules takes a while: show the screen first.
        (connection.screen or self).call_after_refresh(client.start)
        async for batch in client.batches():
            pending = deque(batch)
            while pending:
                if self._quit.has_begun:
                    return  # a flood must not delay the end
                updates = UpdateSlice(pending, monotonic)
                changes = self._connections.apply(connection, updates)
                is_displayed = connection is self._connections.shown
                if changes.alerts:
                    self._notifier.notify(changes.alerts)
                if changes.denied is not None:
                    connection.denied = changes.denied
                if is_displayed:
                    self._server_prompts.offer_start(state, client)
                    self._ask_if_due(connection)
                if not self.is_kiosk:
                    connection.tokens.handle(updates.taken, client, is_displayed=is_displayed)
                connection.bookmarks.save_soon(state)
                # Give the keyboard its turn, also during a flood.
                await asyncio.sleep(0)

    def _ask_if_due(self, connection: ConnectedServer) -> None:
        """Ask what the server needs to know, now that it is displayed."""
        denied, connection.denied = connection.denied, None
        if denied is not None and self.is_kiosk:
            self._leave(1, f"{PROGRAM}: {visible_line(denied.reason)}")
        elif denied is not None:
            place = f"{connection.server.url} #{connection.server.state.rooms.shown_name}"
            self._names.ask_other(place, denied.name, denied.reason, connection.client.rename)
        if not self.is_kiosk:
            connection.tokens.ask_if_due(connection.client)

    @on(chat_messages.NameTaken)
    def save_new_name(self, event: chat_messages.NameTaken) -> None:
        self._connect_others(event.name)
        self._names.handle_name(event.url, event.name)

    @on(chat_messages.RoomsChanged)
    def save_rooms(self, event: chat_messages.RoomsChanged) -> None:
        """Save the rooms for the next run; the shown one is saved with them and at the end."""
        # Quitting leaves the rooms one by one, and the next run must still join them.
        if self._quit.has_begun:
            return
        # The server lists direct messages again.
        rooms = tuple(room for room in event.rooms if not is_direct(room))
        if not rooms:
            return
        before = self._preferences.rooms.get(event.url)
        self._preferences.set_rooms(event.url, rooms, event.shown)
        if before is None or before.joined != rooms:
            self._preferences.save()

    @on(chat_messages.ConnectRequested)
    def connect_to(self, event: chat_messages.ConnectRequested) -> None:
        """Connect to another server as well, or go to it."""
        address, previous = event.address, self._connections.shown
        room = address.explicit_room
        if previous is None or self._make_client_elsewhere is None:
            self.notify("This chat cannot connect to other servers.", severity="warning", markup=False)
        elif (existing := self._connections.at(address.url)) is not None:
            if not room:
                self.notify("Already connected to this server. Use /join to enter a room.", markup=False)
            shown = existing.server.state.rooms.shown_name
            self._connections.join(Place(existing.server, room or shown))
        elif (connection := self._connect(address, previous.client.name)) is not None:
            self._connections.save()
            self._connections.join(Place(connection.server, connection.server.state.rooms.shown_name))

    def _connect_others(self, name: str) -> None:
        """Connect to the servers that the app was given, once the user's name is known."""
        if not name or not self._others:
            return
        others, self._others = self._others, []
        for address in others:
            if self._connections.at(address.url) is None:
                self._connect(address, name)
        self._connections.save()
        shown = self._connections.at(self._shown_server)
        if shown is not None and shown is not self._connections.shown:
            self._connections.join(Place(shown.server, shown.server.state.rooms.shown_name))

    def _connect(self, address: Address, name: str) -> ConnectedServer | None:
        """Connect to a server; None, after an error, if its address has a problem."""
        assert self._make_client_elsewhere is not None
        try:
            client = self._make_client_elsewhere(address, name)
        except BroadcastError as error:
            self.notify(visible_line(str(error)), severity="error", markup=False)
            return None
        credentials = PendingCredentials(Credentials(), address.url, address.token, address.pin)
        room = self._preferences.rooms_on(address.url, address.explicit_room).shown
        connection = self._saved.open(client, credentials, room)
        self._connections.add(connection)
        self._receive(connection)
        return connection

    @on(chat_messages.LeaveRequested)
    def leave_server(self, event: chat_messages.LeaveRequested) -> None:
        """Disconnect from a server, and remove its rooms."""
        connections = self._connections
        if len(connections.all) == 1 or event.server not in connections.servers.all:
            return
        self.run_worker(connections.leave(connections.of(event.server)), group="leaving")

    @on(chat_messages.UnreadChanged)
    def show_unread(self, event: chat_messages.UnreadChanged) -> None:
        self._terminal_title.set(event.label, event.count, event.mentions)
        for connection in self._connections.all:
            connection.bookmarks.save_soon(connection.server.state)

    @on(TextArea.Changed, "#composer")
    def save_drafts_soon(self) -> None:
        if (connection := self._connections.shown) is not None:
            connection.save_drafts_soon()

    @on(chat_messages.TestNotificationRequested)
    def try_notice(self, event: chat_messages.TestNotificationRequested) -> None:
        event.report(self._notifier.test())

    @on(chat_messages.LevelChanged)
    def save_level(self, event: chat_messages.LevelChanged) -> None:
        if is_lasting(event.room):
            self._preferences.set_level(event.url, event.room, event.level.value)
            self._preferences.save()

    @on(chat_messages.IgnoredChanged)
    def save_ignored_people(self, event: chat_messages.IgnoredChanged) -> None:
        save_ignored(self._preferences, event.server.url, event.server.state.rooms.ignored)

    @on(Conversation.MouseRequested)
    def set_mouse_reporting(self, event: Conversation.MouseRequested) -> None:
        if isinstance(driver := driver_of(self), ChatDriver):
            driver.set_mouse_reporting(event.report)

    @on(chat_messages.QuitRequested)
    async def quit_for_reason(self, event: chat_messages.QuitRequested) -> None:
        await self.action_quit(event.reason)

    async def action_quit(self, reason: str = "") -> None:
        """Quit in order; asks first if something would be lost, unless this is the second request."""
        self._quit.reason = reason
        queued = self._connections.servers.queued if self._connections.all else 0
        await self._quit.confirm(queued, self._connections.clients, lambda message: self._leave(0, message))

    def action_show_help(self) -> None:
        from broadcast_tui.tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self._keys, kiosk=self.is_kiosk))

    def action_open_settings(self) -> None:
        from broadcast_tui.tui.screens.settings import SettingsScreen

        if self._connections.shown is not None and not isinstance(self.screen, ModalScreen):
            self.push_screen(SettingsScreen(self._settings))

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette())

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
        if self._connections.all and not self._quit.has_begun:
            self._save_preferences()
        self._quit.begin(self._connections.clients, code, message)

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
            self._connections.save_states()
        with suppress(Exception):
            self._save_preferences()

    def _save_preferences(self) -> None:
        self._preferences.emoji = self._saved.recent_reactions.used
        shown = self._connections.shown
        is_one_of_several = shown is not None and len(self._connections.all) > 1
        self._preferences.shown_server = shown.server.url if shown is not None and is_one_of_several else ""
        self._preferences.save()

    def _handle_resume(self) -> None:
        self._terminal_title.show_again()
        self.screen.refresh(layout=True)

    def _theme_changed(self, theme: str) -> None:
        """Another theme was chosen: in the settings, by command, or in Textual's list of themes."""
        self._settings.set("theme", theme)

    def _setting_changed(self, name: str) -> None:
        if name == "theme":
            self.theme = self._settings[name]
        save_setting(self._preferences, self._settings, name)

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Show a compositor update with our renderer; Textual shows what the renderer does not accept."""
        can_write = self.is_running and not self._closed and not self.is_headless
        # Textual 8.2 drops updates while something is changed in a batch, although nothing paints them again.
        if renderable is None or not can_write or not self._renderer.show(renderable):
            super()._display(screen, renderable)
        else:
            self.post_display_hook()
        if screen.outer_size != self.size:
            # Textual 8.2 reports a screen's size to it after each layout, and that can replace a newer one.
            screen.post_message(events.Resize(self.size, self.size))

    def on_text_selected(self) -> None:
        """Show how to copy text of a log that was selected with the mouse."""
        if any(log.highlights.selected() for log in self.screen.query(MessageLog)):
            show_toast(self.screen, f"{active_key(self, 'app.interrupt')} copies the selection")

    @property
    def _background_screens(self) -> list[Screen[object]]:
        """Screens that show through the current one. Textual 8.2 paints one behind an opaque screen, too."""
        return super()._background_screens if self.screen.styles.background.a < 1 else []

    def on_resize(self) -> None:
        self._renderer.invalidate()
        # Textual waits 8 ms for another size. Those that come during a layout are merged anyway.
        self.call_next(self._check_resize)

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
        self._connections.save_states()
        await super()._shutdown()
        self._signals.restore()

    def _print_error_renderables(self) -> None:
        self._exit_renderables.clear()
        self._quit.report(self._connections.clients)


def tune_garbage_collector() -> None:
    """Exclude the objects created so far from collection, so that a full one takes less than 1 ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5000, 20, 50)
