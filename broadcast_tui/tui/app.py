"""The chat program: asks for a name, shows the room, and gives the terminal back however it ends.

`ChatApp(client_factory).run()`, then `sys.exit(app.return_code)`: 0 after leaving, 1 after a crash,
128 + n after signal n; whatever is not 0 is explained by one line on standard error.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Iterable, Mapping
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
from broadcast_tui.core.errors import BroadcastError, InvalidNameError
from broadcast_tui.core.limits import DEFAULT_ROOM
from broadcast_tui.core.names import check_name
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui import PROGRAM, themes
from broadcast_tui.tui.bookmark_saver import BookmarkSaver, keep_ignored, recall_ignored
from broadcast_tui.tui.commands.palette import palette_commands
from broadcast_tui.tui.history_file import HistoryFile
from broadcast_tui.tui.keymap import bind, shown_key
from broadcast_tui.tui.keymap_config import clashes
from broadcast_tui.tui.local_server import LocalServer, LocalServerPrompts
from broadcast_tui.tui.model.input.history import InputHistory
from broadcast_tui.tui.model.notifications import levels_of
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.status import undelivered_text
from broadcast_tui.tui.model.transcript.layout import presence_of
from broadcast_tui.tui.quit import QuitFlow, close_in_time
from broadcast_tui.tui.screens.chat import ChatScreen
from broadcast_tui.tui.screens.help import HelpScreen
from broadcast_tui.tui.screens.login import LoginScreen
from broadcast_tui.tui.terminal.driver import ChatDriver, chat_driver_class, driver_of
from broadcast_tui.tui.terminal.no_color import drop_colors
from broadcast_tui.tui.terminal.notifications import Notifier
from broadcast_tui.tui.terminal.renderer import TerminalRenderer
from broadcast_tui.tui.terminal.signals import TERMINAL_GONE, Signals, report_crash
from broadcast_tui.tui.terminal.title import TerminalTitle
from broadcast_tui.tui.token_prompt import TokenPrompter

SLICE_UPDATES = 500
"""Updates taken in at once: about 5 ms of work, then keys get their turn."""


class ChatApp(App[None]):
    """The app.

    Args:
        client_factory: Makes the client for a name.
        room: The room to show; one of the client's rooms, or by default the first of them.
        server: The address as shown before there is a client.
        elsewhere: Makes a client for another server and a name; without it /connect is refused.
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
        room: str = DEFAULT_ROOM,
        server: str = "",
        elsewhere: Callable[[Address, str], ClientRequests] | None = None,
        preferences: Preferences | None = None,
        theme: str = "",
        keys: Mapping[str, str] | None = None,
        local_server: LocalServer | None = None,
        keeper: PendingCredentials | None = None,
        has_token: bool = False,
        mentions: tuple[str, ...] = (),
    ) -> None:
        """`theme` counts for this run, before the one chosen last; `keys` by id, as checked.

        `mentions` are words that count as our name does. `local_server` may be started where nobody
        answers; None: there cannot be one.
        """
        super().__init__(driver_class=chat_driver_class())
        drop_colors(self)
        for ours in themes.OURS:
            self.register_theme(ours)
        self._wanted_theme = theme
        self._keys = dict(keys or {})
        self.set_keymap(self._keys)
        self._make_client = client_factory
        self._make_elsewhere = elsewhere
        self._wanted_name = name
        self._room = room
        self._server = server
        self._preferences = preferences if preferences is not None else Preferences.load()
        self._hosting = LocalServerPrompts(self, local_server, server)
        self._mentions = mentions
        self._state = AppState(room=room)
        self._tokens = TokenPrompter(
            self, keeper if keeper is not None else PendingCredentials(Credentials(), server)
        )
        self._has_token = has_token
        self._client: ClientRequests | None = None
        self._signals = Signals(self._signalled, self._outlive_terminal)
        self._terminal_title = TerminalTitle(self._write_to_terminal)
        self._terminal = TerminalRenderer(self)
        self._leaving = QuitFlow(self, self._hosting, self._terminal)
        self._notifier = Notifier(self._write_to_terminal, os.environ)
        self._read_keeper = BookmarkSaver(self.set_timer, self._preferences.path.parent)

    def on_mount(self) -> None:
        chosen = (self._wanted_theme, self._preferences.theme, themes.fitting(os.environ))
        self.theme = next(theme for theme in chosen if theme in self.available_themes)
        self.watch(self, "theme", self._remember_theme, init=False)
        self.app_suspend_signal.subscribe(self, lambda _: self._terminal_title.restore())
        self.app_resume_signal.subscribe(self, lambda _: self._resumed())
        self._signals.install()
        self._terminal_title.set(f"#{self._room}")
        if self._preferences.notice:
            self.notify(visible_line(self._preferences.notice), severity="warning", markup=False)
        for clash in clashes(self._keys):
            self.notify(f"{clash}; see [keys] in the config file.", severity="warning", markup=False)
        self._begin()
        self.call_after_refresh(self._settle_memory)

    def _begin(self) -> None:
        """Enter under the name given, or ask for one."""
        if self._has_token:
            self._start(self._wanted_name)
            return
        if not self._wanted_name:
            self._ask_name(self._preferences.name, "", self._enter)
            return
        try:
            self._enter(check_name(self._wanted_name))
        except InvalidNameError as refused:
            self._ask_name(self._wanted_name, refused.text, self._enter)

    def _ask_name(self, name: str, reason: str, answer: Callable[[str | None], None]) -> None:
        place = f"{self._server} #{self._room}".strip()
        self.push_screen(LoginScreen(place, name, reason), answer)

    def _enter(self, name: str | None) -> None:
        """Begin chatting as `name`."""
        if name:
            self._start(name)

    def _start(self, name: str) -> None:
        self._client = self._make_client(name)
        self._chat(self._client, self._make_screen(self._client, name))

    def _make_screen(self, client: ClientRequests, name: str) -> ChatScreen:
        """The screen for `client`, which goes on where an earlier run was; what was before is kept."""
        bookmarks = self._read_keeper.open(client.url, self._state)
        self._state = AppState(
            name=name,
            room=self._room if self._room in client.rooms else client.rooms[0],
            rooms={room: RoomModel(room) for room in client.rooms},
            levels=levels_of(self._preferences.levels_at(client.url)),
            ignored=recall_ignored(self._preferences, client.url),
            presence=presence_of(self._preferences.presence),
            bookmarks=bookmarks,
            keywords=self._mentions,
        )
        kept = HistoryFile(self._preferences.path.parent)
        past = InputHistory(kept.load(), keep=kept.append, room=self._state.room)
        if kept.notice:
            self.notify(kept.notice, severity="warning", markup=False)
        return ChatScreen(client, self._state, past)

    @work(exclusive=True, group="network")
    async def _chat(self, client: ClientRequests, screen: ChatScreen) -> None:
        """Carry batches from the client to the screen, each as one change."""
        if isinstance(self.screen, ChatScreen):
            await self.switch_screen(screen)
        else:
            await self.push_screen(screen)
        # Loading what a connection needs takes a while: the screen is there before.
        screen.call_after_refresh(client.start)
        async for batch in client.batches():
            for start in range(0, len(batch), SLICE_UPDATES):
                screen.receive(batch[start : start + SLICE_UPDATES])
                self._hosting.follow(self._state, client)
                self._tokens.follow(batch[start : start + SLICE_UPDATES], client)
                self._read_keeper.keep_soon(self._state)
                # A flood never lets the keyboard wait.
                await asyncio.sleep(0)

    @on(ChatScreen.NameNeeded)
    def ask_other_name(self, event: ChatScreen.NameNeeded) -> None:
        def again(name: str | None) -> None:
            if name and self._client is not None:
                self._client.rename(name)

        if not isinstance(self.screen, LoginScreen):
            self._ask_name(event.denied.name, event.denied.reason, again)

    @on(ChatScreen.NameTaken)
    def remember_name(self, event: ChatScreen.NameTaken) -> None:
        if event.name and event.name != self._preferences.name:
            self._preferences.name = event.name
            self._preferences.save()

    @on(ChatScreen.RoomsChanged)
    def remember_rooms(self, event: ChatScreen.RoomsChanged) -> None:
        """Keep the rooms for next time; which one is shown is written with them, and in the end."""
        # Leaving the chat leaves the rooms one by one; that is not what is wished for next time.
        if self._client is None or self._leaving.has_begun:
            return
        before = self._preferences.rooms.get(self._client.url)
        self._preferences.remember_rooms(self._client.url, event.rooms, event.shown)
        if before is None or before.joined != event.rooms:
            self._preferences.save()

    @on(ChatScreen.ConnectAsked)
    def go_elsewhere(self, event: ChatScreen.ConnectAsked) -> None:
        """Leave this server for another one."""
        if self._client is None or self._make_elsewhere is None:
            self.notify("This chat stays with its server", severity="warning", markup=False)
        elif event.address.url == self._client.url:
            self.notify("You are on this server already; /join enters a room", markup=False)
        else:
            self._room = self._preferences.rooms_on(event.address.url, event.address.wanted_room).shown
            self.run_worker(self._change_server(self._client, event.address), group="leaving")

    async def _change_server(self, before: ClientRequests, address: Address) -> None:
        assert self._make_elsewhere is not None
        try:
            self._client = self._make_elsewhere(address, before.name)
        except BroadcastError as error:
            self.notify(visible_line(str(error)), severity="error", markup=False)
            return
        self._tokens = TokenPrompter(
            self, PendingCredentials(Credentials(), address.url, address.token, address.pin)
        )
        await close_in_time(before)
        if lost := before.unacknowledged:
            self.notify(f"{undelivered_text(lost)}; Up brings back what you wrote.", severity="warning")
        self._chat(self._client, self._make_screen(self._client, before.name))

    @on(ChatScreen.UnreadChanged)
    def show_unread(self, event: ChatScreen.UnreadChanged) -> None:
        self._terminal_title.set(f"#{event.room}", event.count, event.mentions)
        self._read_keeper.keep_soon(self._state)

    @on(ChatScreen.PostsAlerted)
    def ring(self, event: ChatScreen.PostsAlerted) -> None:
        self._notifier.ring(event.alerts)

    @on(ChatScreen.NoticeTried)
    def try_notice(self, event: ChatScreen.NoticeTried) -> None:
        event.screen.tell(self._notifier.test())

    @on(ChatScreen.LevelChanged)
    def remember_level(self, event: ChatScreen.LevelChanged) -> None:
        if self._client is not None:
            self._preferences.set_level(self._client.url, event.room, event.level.value)
            self._preferences.save()

    @on(ChatScreen.IgnoredChanged)
    def remember_ignored(self) -> None:
        if self._client is not None:
            keep_ignored(self._preferences, self._client.url, self._state.ignored)

    @on(ChatScreen.PresenceChosen)
    def remember_presence(self, event: ChatScreen.PresenceChosen) -> None:
        self._preferences.presence = event.choice.word
        self._preferences.save()

    @on(ChatScreen.MouseAsked)
    def hold_mouse(self, event: ChatScreen.MouseAsked) -> None:
        if isinstance(driver := driver_of(self), ChatDriver):
            driver.set_mouse_reporting(event.hold)

    @on(ChatScreen.QuitAsked)
    async def quit_for_reason(self, event: ChatScreen.QuitAsked) -> None:
        await self.action_quit(event.reason)

    async def action_quit(self, reason: str = "") -> None:
        """Leave in order; what would be lost is asked about first, unless this is the second time."""
        self._leaving.reason = reason
        await self._leaving.ask(self._state, self._client, lambda words: self._leave(0, words))

    def action_show_help(self) -> None:
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self._keys))

    def action_redraw_screen(self) -> None:
        self._terminal.forget()
        self.screen.refresh(layout=True)

    def get_system_commands(self, screen: Screen[None]) -> Iterable[SystemCommand]:
        return palette_commands(self, screen)

    def get_key_display(self, binding: Binding) -> str:
        """Keys of the footer, short: `F1`, `^Q`."""
        return shown_key(binding.key).replace("Ctrl+", "^")

    def _leave(self, code: int, words: str = "") -> None:
        """Close the client, then end with status `code` and `words` on standard error."""
        if self._client is not None and not self._leaving.has_begun:
            self._preferences.save()
        self._leaving.begin(self._client, code, words)

    def _signalled(self, number: int, words: str) -> None:
        self._leave(128 + number, f"{PROGRAM}: {words}")

    def _outlive_terminal(self) -> None:
        if isinstance(driver := driver_of(self), ChatDriver):
            driver.discard_output()

    def _resumed(self) -> None:
        self._terminal_title.show_again()
        self.screen.refresh(layout=True)

    def _remember_theme(self, theme: str) -> None:
        self._preferences.theme = theme
        self._preferences.save()

    def _settle_memory(self) -> None:
        """What the start left behind is never looked at again: full collections stay below 1 ms."""
        if not self.is_headless:
            gc.collect()
            gc.freeze()
            gc.set_threshold(5000, 20, 50)

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        """Textual's way out, by way of ours; what `post_display_hook` gives is given here too."""
        running = self.is_running and not self._closed and not self.is_headless
        if renderable is None or self._batch_count or not running or not self._terminal.show(renderable):
            super()._display(screen, renderable)
        else:
            self.post_display_hook()

    def on_resize(self) -> None:
        self._terminal.forget()

    def on_cursor_position(self, event: events.CursorPosition) -> None:
        self._terminal.answered()

    @on(messages.TerminalSupportsSynchronizedOutput)
    def synchronize_output(self) -> None:
        self._terminal.synchronizes = True

    def _write_to_terminal(self, data: str) -> None:
        if (driver := driver_of(self)) is not None and not self.is_headless:
            driver.write(data)

    def _handle_exception(self, error: Exception) -> None:
        """A crash is told in one line; Textual would print pages, after seconds of blank screen."""
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
            self._leaving.words = report_crash(error, self._preferences.path.parent)
        self._close_messages_no_wait()

    def panic(self, *renderables: RenderableType) -> None:
        """The terminal can be read no longer: there is nobody to show pages to."""
        self._return_code = self._return_code or 1
        self._leaving.words = self._leaving.words or f"{PROGRAM}: {TERMINAL_GONE}"
        self._close_messages_no_wait()

    async def _shutdown(self) -> None:
        self._terminal_title.restore()
        self._read_keeper.close(self._state)
        await super()._shutdown()
        self._signals.restore()

    def _print_error_renderables(self) -> None:
        self._exit_renderables.clear()
        self._leaving.tell(self._client)
