"""The chat program: asks for a name, shows the room, and gives the terminal back however it ends.

`ChatApp(client_factory).run()`, then `sys.exit(app.return_code)`: 0 after leaving, 1 after a crash,
128 + n after signal n; whatever is not 0 is explained by one line on standard error.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import ClassVar

from rich.console import RenderableType
from textual import on, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from broadcast_tui.client.bookmarks import Bookmarks
from broadcast_tui.client.contract import ChatClient
from broadcast_tui.client.preferences import Preferences
from broadcast_tui.core.errors import NameRefused
from broadcast_tui.core.limits import DEFAULT_ROOM
from broadcast_tui.core.names import check_name
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.keymap import bind, shown_key
from broadcast_tui.tui.model.notices import levels_of
from broadcast_tui.tui.model.slash import COMMANDS, Argument
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.notifier import Notifier
from broadcast_tui.tui.screens.chat import ChatScreen
from broadcast_tui.tui.screens.help import HelpScreen
from broadcast_tui.tui.screens.login import LoginScreen
from broadcast_tui.tui.terminal import PROGRAM, Title, guard_pastes, outlive, report_crash, teach_keys

CLOSE_TIMEOUT_S = 2.0
"""How long leaving in order may take: the last posts go out, the others see us leave."""

TERMINAL_GONE = "the terminal is gone"
KEEP_READ_S = 3.0
"""How much of what was read may be forgotten by a crash."""
SLICE_UPDATES = 500
"""Updates taken in at once: about 5 ms of work, then keys get their turn."""

_SIGNALS = {"SIGTERM": "terminated", "SIGHUP": TERMINAL_GONE}

teach_keys()
guard_pastes()


class ChatApp(App[None]):
    """The app. `client_factory` makes the client for a name, `server` is its address as shown before that."""

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
        client_factory: Callable[[str], ChatClient],
        *,
        name: str = "",
        room: str = DEFAULT_ROOM,
        server: str = "",
        preferences: Preferences | None = None,
    ) -> None:
        super().__init__()
        self._make_client = client_factory
        self._wanted_name = name
        self._room = room
        self._server = server
        self._preferences = preferences if preferences is not None else Preferences.load()
        self._client: ChatClient | None = None
        self._leaving = False
        self._handlers_before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
        self._last_words = ""
        self._terminal_title = Title(self._write_to_terminal)
        self._notifier = Notifier(self._write_to_terminal, os.environ)
        self._bookmarks: Bookmarks | None = None
        self._chat_screen: ChatScreen | None = None
        self._keeping = False

    def on_mount(self) -> None:
        if self._preferences.theme in self.available_themes:
            self.theme = self._preferences.theme
        self.watch(self, "theme", self._remember_theme, init=False)
        self.app_suspend_signal.subscribe(self, lambda _: self._terminal_title.give_back())
        self.app_resume_signal.subscribe(self, lambda _: self._resumed())
        self._catch_signals()
        self._terminal_title.set(f"#{self._room}")
        if self._preferences.notice:
            self.notify(visible_line(self._preferences.notice), severity="warning", markup=False)
        self._begin()
        self.call_after_refresh(self._settle_memory)

    def _begin(self) -> None:
        """Enter under the name given, or ask for one."""
        if not self._wanted_name:
            self._ask_name(self._preferences.name, "", self._enter)
            return
        try:
            self._enter(check_name(self._wanted_name))
        except NameRefused as refused:
            self._ask_name(self._wanted_name, refused.text, self._enter)

    def _ask_name(self, name: str, reason: str, answer: Callable[[str | None], None]) -> None:
        place = f"{self._server} #{self._room}".strip()
        self.push_screen(LoginScreen(place, name, reason), answer)

    def _enter(self, name: str | None) -> None:
        """Begin chatting as `name`."""
        if not name:
            return
        self._client = self._make_client(name)
        self._chat(self._client, self._make_screen(self._client, name))

    def _make_screen(self, client: ChatClient, name: str) -> ChatScreen:
        """The screen for `client`, which goes on where an earlier run was; what was before is kept."""
        self._close_bookmarks()
        self._bookmarks = Bookmarks(client.url, self._preferences.path.parent)
        state = AppState(
            name=name,
            room=self._room,
            levels=levels_of(self._preferences.levels_at(client.url)),
            bookmarks=self._bookmarks.load(),
        )
        self._chat_screen = ChatScreen(client, state)
        return self._chat_screen

    @work(exclusive=True, group="network")
    async def _chat(self, client: ChatClient, screen: ChatScreen) -> None:
        """Carry batches from the client to the screen, each as one change."""
        await self.push_screen(screen)
        client.start()
        async for batch in client.batches():
            for start in range(0, len(batch), SLICE_UPDATES):
                screen.receive(batch[start : start + SLICE_UPDATES])
                self._keep_read_soon()
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

    @on(ChatScreen.UnreadChanged)
    def show_unread(self, event: ChatScreen.UnreadChanged) -> None:
        self._terminal_title.set(f"#{event.room}", event.count, event.mentions)
        self._keep_read_soon()

    @on(ChatScreen.PostsAlerted)
    def ring(self, event: ChatScreen.PostsAlerted) -> None:
        self._notifier.ring(event.alerts)

    @on(ChatScreen.NoticeTried)
    def try_notice(self) -> None:
        words = self._notifier.test()
        if self._chat_screen is not None:
            self._chat_screen.tell(words)

    @on(ChatScreen.LevelChanged)
    def remember_level(self, event: ChatScreen.LevelChanged) -> None:
        if self._client is not None:
            self._preferences.set_level(self._client.url, event.room, event.level.value)
            self._preferences.save()

    @on(ChatScreen.QuitAsked)
    async def action_quit(self) -> None:
        """Leave in order; asked twice, leave at once."""
        self._leave(0)

    def action_show_help(self) -> None:
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen())

    def action_redraw_screen(self) -> None:
        self.screen.refresh(layout=True)

    def get_system_commands(self, screen: Screen[None]) -> Iterable[SystemCommand]:
        """What the palette offers: the slash commands, and what has no command."""
        yield SystemCommand("Theme", "Choose other colours", self.action_change_theme)
        yield SystemCommand("Keys and commands", "Show the help page", self.action_show_help)
        yield SystemCommand("Screenshot", "Save the screen as an SVG picture", self.deliver_screenshot)
        if not isinstance(screen, ChatScreen):
            return
        yield SystemCommand("People", "Show or hide who is here", screen.action_toggle_people)
        yield SystemCommand("Reconnect", "Do not wait for the next try", screen.action_reconnect_now)
        for command in COMMANDS:
            typed = f"/{command.name}"
            if command.argument is Argument.REQUIRED:
                yield SystemCommand(command.usage, command.help, lambda typed=typed: screen.fill(f"{typed} "))
            else:
                yield SystemCommand(command.usage, command.help, lambda typed=typed: screen.submit(typed))

    def get_key_display(self, binding: Binding) -> str:
        """Keys of the footer, short: `F1`, `^Q`."""
        return shown_key(binding.key).replace("Ctrl+", "^")

    def _leave(self, code: int, words: str = "") -> None:
        """Close the client, then end with status `code` and `words` on standard error."""
        self._last_words = self._last_words or words
        if self._leaving or self._client is None:
            self.exit(return_code=code)
            return
        self._leaving = True
        self.run_worker(self._close_and_exit(self._client, code), group="leaving")

    async def _close_and_exit(self, client: ChatClient, code: int) -> None:
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(client.close(), CLOSE_TIMEOUT_S)
        finally:
            self.exit(return_code=code)

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()

        def ended(number: int, words: str) -> None:
            if words == TERMINAL_GONE and self._driver is not None:
                outlive(self._driver)
            loop.call_soon_threadsafe(self._leave, 128 + number, f"{PROGRAM}: {words}")

        for name, words in _SIGNALS.items():
            number = getattr(signal, name, None)
            # Windows has not all of them, and threads other than the main one get none.
            with suppress(ValueError, OSError):
                if number is not None:
                    handler = partial(ended, number, words)
                    self._handlers_before[number] = signal.signal(
                        number, lambda *_, handler=handler: handler()
                    )

    def _release_signals(self) -> None:
        while self._handlers_before:
            with suppress(ValueError, OSError):
                signal.signal(*self._handlers_before.popitem())

    def _resumed(self) -> None:
        self._terminal_title.show_again()
        self.screen.refresh(layout=True)

    def _remember_theme(self, theme: str) -> None:
        self._preferences.theme = theme
        self._preferences.save()

    def _keep_read_soon(self) -> None:
        """Write down how far rooms are read, every few seconds at most."""
        if not self._keeping:
            self._keeping = True
            self.set_timer(KEEP_READ_S, self._keep_read)

    def _keep_read(self) -> None:
        self._keeping = False
        if self._bookmarks is not None and self._chat_screen is not None:
            self._bookmarks.save(self._chat_screen.read_marks())

    def _close_bookmarks(self) -> None:
        if self._bookmarks is not None and self._chat_screen is not None:
            self._bookmarks.close(self._chat_screen.read_marks())

    def _settle_memory(self) -> None:
        """What the start left behind is never looked at again: full collections stay below 1 ms."""
        if not self.is_headless:
            gc.collect()
            gc.freeze()
            gc.set_threshold(5000, 20, 50)

    def _write_to_terminal(self, data: str) -> None:
        if self._driver is not None and not self.is_headless:
            self._driver.write(data)

    def _handle_exception(self, error: Exception) -> None:
        """A crash is told in one line; Textual would print pages, after seconds of blank screen."""
        self._return_code = 1
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
            self._last_words = report_crash(error, self._preferences.path.parent)
        self._close_messages_no_wait()

    def panic(self, *renderables: RenderableType) -> None:
        """The terminal can be read no longer: there is nobody to show pages to."""
        self._return_code = self._return_code or 1
        self._last_words = self._last_words or f"{PROGRAM}: {TERMINAL_GONE}"
        self._close_messages_no_wait()

    async def _shutdown(self) -> None:
        self._terminal_title.give_back()
        self._close_bookmarks()
        await super()._shutdown()
        self._release_signals()

    def _print_error_renderables(self) -> None:
        self._exit_renderables.clear()
        if self._last_words and sys.__stderr__ is not None:
            # After SIGHUP there is nobody left to tell.
            with suppress(OSError, ValueError):
                print(self._last_words, file=sys.__stderr__, flush=True)
            self._last_words = ""
