"""The chat: rooms, log, people, status and input around one `AppState`; what one does goes to the client.

The screen is handed batches of updates by the app and asks the app (by messages) for what is not its own:
another name, the terminal's title, remembering rooms, another server, leaving.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import ClassVar

from textual import getters, on
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Footer, Static, TextArea

from broadcast_tui.client.address import Address
from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.session.updates import NameDenied, Update
from broadcast_tui.tui.commands.context import ThemeHost
from broadcast_tui.tui.commands.dispatcher import CommandDispatcher
from broadcast_tui.tui.commands.parser import CommandInput, InputError, PostInput, parse
from broadcast_tui.tui.keymap import bind, key_in_force
from broadcast_tui.tui.model.input.completion import CompletionContext as Completable
from broadcast_tui.tui.model.input.history import InputHistory
from broadcast_tui.tui.model.notifications import Alert, NotifyLevel
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.path_completion import complete_path
from broadcast_tui.tui.screens.reading import ReadingScreen
from broadcast_tui.tui.widgets.composer import Composer
from broadcast_tui.tui.widgets.composer_panel import ComposerPanel
from broadcast_tui.tui.widgets.conversation import Conversation
from broadcast_tui.tui.widgets.member_list import MemberList
from broadcast_tui.tui.widgets.room_list import RoomList
from broadcast_tui.tui.widgets.status_bar import StatusBar

QUIT_AGAIN_S = 3.0
"""How long after the first Ctrl+C a second one leaves."""


class ChatScreen(ReadingScreen):
    """One client's conversation. `receive` is the only way in for what comes from the server."""

    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [  # noqa: RUF012
        (0, "-narrow"),
        (60, "-medium"),
        (100, "-wide"),
    ]
    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [  # noqa: RUF012
        (0, "-low"),
        (8, "-short"),
        (20, "-tall"),
    ]

    BINDINGS: ClassVar[list[BindingType]] = [
        # Those of the footer first, in the order shown.
        bind("app.show-help", "app.show_help"),
        bind("room.switch", "switch_room"),
        bind("people.toggle-list", "toggle_people"),
        bind("app.quit-chat", "app.quit"),
        bind("app.open-palette", "app.command_palette"),
        bind("app.interrupt", "interrupt"),
        bind("app.leave-empty", "ask_quit"),
        bind("app.reconnect-now", "reconnect_now"),
        bind("room.next", "step_room(1)"),
        bind("room.previous", "step_room(-1)"),
        bind("room.go-urgent", "go_to_urgent"),
        bind("room.go-last", "go_to_last"),
        *(bind(f"room.go-{n}", f"go_to_room({n})") for n in range(1, 10)),
        bind("room.toggle-list", "toggle_rooms"),
    ]

    people = getters.query_one("#people", MemberList)
    status = getters.query_one("#status", StatusBar)

    @dataclass
    class NameNeeded(Message):
        """The server will not have us under `denied.name`."""

        denied: NameDenied

    @dataclass
    class NameTaken(Message):
        """The server knows us as `name`."""

        name: str

    @dataclass
    class UnreadChanged(Message):
        """`count` posts wait to be read, `mentions` of which mention us; `room` is shown."""

        room: str
        count: int
        mentions: int

    @dataclass
    class PostsAlerted(Message):
        """`alerts` came where the user does not look."""

        alerts: list[Alert]

    @dataclass
    class LevelChanged(Message):
        """The user wants other notices of `room`."""

        room: str
        level: NotifyLevel

    class IgnoredChanged(Message):
        """The user ignores other people now."""

    @dataclass
    class NoticeTried(Message):
        """The user wants to see a notice, and to be told on `screen` how it went."""

        screen: ChatScreen

    @dataclass
    class ConnectAsked(Message):
        """The user wants to go to another server."""

        address: Address

    @dataclass
    class QuitAsked(Message):
        """The user wants to leave, and the others to be told the reason."""

        reason: str

    def __init__(self, client: ClientRequests, state: AppState, past: InputHistory | None = None) -> None:
        super().__init__(client, state)
        self._commands = CommandDispatcher(client, state, self)
        self._past = InputHistory(room=state.rooms.shown_name) if past is None else past
        self._told: tuple[str, int, int, str] = ("", -1, -1, "")
        self._quit_until = 0.0
        self._quit_key = 0
        """Which of the keys that came to the input asked to leave."""
        self._drawn_topic = ""
        self._away_recalled = False

    def compose(self) -> ComposeResult:
        with Horizontal(id="room"):
            yield RoomList(id="rooms")
            with Vertical(id="talk"):
                yield Static(id="topic", markup=False)
                yield Conversation(id="reading")
            yield MemberList(id="people")
        status = StatusBar(self._state, self._client.url, id="status")
        yield ComposerPanel(self._state, self._completable, self._past, status)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._state.rooms.unread_key = key_in_force(self.app, "log.go-unread")
        self._state.help_key = key_in_force(self.app, "app.show-help")
        self._ticks = self.set_interval(1.0, self._tick, pause=True)
        self.watch(self.app, "app_focus", self._focus_changed, init=False)
        self.composer.focus()
        self.refresh_views(people=True)

    def receive(self, batch: Sequence[Update]) -> None:
        """Take a batch of updates from the client, then show what changed, once."""
        changes = self._state.apply(batch, monotonic(), datetime.now(UTC))
        for room in changes.unlisted:
            self._client.list_members(room)
        for refused in changes.refused:
            if not self.composer.give_back(refused.text, refused.room):
                self.warn(f"Not sent: {refused.reason} The text is kept, Up brings it back.")
        self.follow_sought()
        if changes.opened:
            self.call_after_refresh(self.open_at_unread)
        self.refresh_views(people=changes.people)
        if changes.rooms_listed:
            self.offer_known_rooms()
        self.follow_search()
        if changes.denied is not None:
            self.post_message(self.NameNeeded(changes.denied))
        if changes.alerts:
            self.post_message(self.PostsAlerted(changes.alerts))

    def fill(self, text: str) -> None:
        """Put the beginning of a command into the input, if nothing is being written there."""
        if not self.composer.text.strip():
            self.composer.put(text)
        self.composer.focus()

    def submit(self, text: str) -> bool:
        """Do what `text` says, as if it had been typed; false if that was nothing we know."""
        match parse(text):
            case PostInput(text=post):
                self.say(post)
            case CommandInput(command=command, argument=argument):
                return self._commands.execute(command, argument)
            case InputError(text=why):
                self.warn(why)
                return False
        return True

    def quit_chat(self, reason: str = "") -> None:
        self.post_message(self.QuitAsked(reason))

    def connect_to(self, address: Address) -> None:
        self.post_message(self.ConnectAsked(address))

    @property
    def theme_host(self) -> ThemeHost:
        return self.app

    def run_in_thread(self, work: Callable[[], str]) -> None:
        """Do `work` in a thread; the line it returns is shown when it is done."""
        self.run_worker(partial(self._work_aside, work), thread=True, group="aside")

    def _work_aside(self, work: Callable[[], str]) -> None:
        line = work()
        self.app.call_from_thread(self.tell, line)

    def save_notify_level(self, room: str, level: NotifyLevel) -> None:
        self.post_message(self.LevelChanged(room, level))

    def save_ignore_list(self) -> None:
        self.post_message(self.IgnoredChanged())

    def test_notification(self) -> None:
        self.post_message(self.NoticeTried(self))

    def tell(self, text: str) -> None:
        """Put a line of our own into the shown room."""
        self._state.print(text, datetime.now(UTC))
        self.refresh_views()

    @on(Composer.Submitted)
    def take_submitted(self, event: Composer.Submitted) -> None:
        event.stop()
        self.finish_submitted()

    @on(ComposerPanel.Warned)
    def tell_warned(self, event: ComposerPanel.Warned) -> None:
        self.warn(event.text)

    @on(TextArea.Changed, "#composer")
    def tell_typing(self) -> None:
        text = self.composer.text
        if text:
            self._quit_until = 0.0
        self.status.refresh_facts()
        if text.strip() and not text.startswith("/") and self.is_online and not self.composer.is_restored:
            self._client.send_typing(self._state.rooms.shown_name)

    def action_interrupt(self) -> None:
        """Copy what is selected, else clear the input, else leave when pressed again."""
        if self.copy_selected():
            return
        if self.composer.text:
            self._quit_until = 0.0
            self.composer.stash()
        else:
            self.action_ask_quit()

    def action_ask_quit(self) -> None:
        if self.composer.text:
            raise SkipAction
        # No other key may have come between.
        if monotonic() < self._quit_until and self.composer.key_count <= self._quit_key + 1:
            self.quit_chat()
            return
        self._quit_until, self._quit_key = monotonic() + QUIT_AGAIN_S, self.composer.key_count
        self.notify_now("Press again to leave the chat", QUIT_AGAIN_S)

    def action_reconnect_now(self) -> None:
        self._client.reconnect_now()

    def action_toggle_people(self) -> None:
        """Show the people where the width hides them, and the other way round."""
        hide = bool(self.people.display)
        self.set_class(hide, "-people-off")
        self.set_class(not hide, "-people-on")

    def _completable(self) -> Completable:
        state, view = self._state, self._state.rooms.shown
        return Completable(
            view.transcript.senders,
            view.people(),
            state.name,
            addressed=tuple(reversed(view.addressed)),
            rooms=tuple(
                dict.fromkeys((*state.rooms.joined, *reversed(state.rooms.left), *state.known_rooms))
            ),
            themes=tuple(sorted(self.app.available_themes)),
            files=complete_path,
        )

    def say(self, text: str) -> None:
        """Send a post to the shown room."""
        nonce = self._client.say(self._state.rooms.shown_name, text)
        self._state.said(nonce, text, datetime.now(UTC))
        self.log_view.follow()
        self.refresh_views()
        if self._state.own_away is None:
            self._away_recalled = False
        elif not self._away_recalled:
            self._away_recalled = True
            self.notify("The others see you as away; /back tells them you are here", markup=False)

    def warn(self, text: str) -> None:
        """Say why something cannot be done."""
        self.notify_now(text, 6, "warning")

    def _focus_changed(self, focused: bool) -> None:
        self._state.rooms.set_focused(focused, datetime.now(UTC))
        self.refresh_views()

    def _tick(self) -> None:
        """A second went by while something counts down."""
        if self._state.tick(monotonic(), datetime.now(UTC)):
            self.log_view.follow()
        self.status.refresh_facts()
        self._arm_ticks()

    def _arm_ticks(self) -> None:
        waiting = self._state.connection.retry_at is not None or self._state.rooms.ignored.is_timed
        if waiting or self._state.rooms.shown.typing(monotonic()):
            self._ticks.resume()
        else:
            self._ticks.pause()

    def refresh_views(self, *, people: bool = False) -> None:
        """Let the widgets show the state as it is now."""
        state, view = self._state, self._state.rooms.shown
        people |= self.refresh_rooms()
        self.log_view.refresh_lines()
        self.status.refresh_facts()
        self._arm_ticks()
        if people:
            self.people.show(state.member_list(), view.online)
        self._show_topic(view.topic)
        self._tell_app()

    def _show_topic(self, topic: str) -> None:
        if topic != self._drawn_topic:
            self._drawn_topic = topic
            header = self.query_one("#topic", Static)
            header.update(Content(topic), layout=False)
            header.set_class(bool(topic), "-set")

    def _tell_app(self) -> None:
        """Tell the app what it needs to know of the state, if that changed."""
        state = self._state
        now_told = (state.rooms.shown_name, state.rooms.unread, state.rooms.mention_count, state.name)
        if now_told != self._told:
            if state.name != self._told[3]:
                self.post_message(self.NameTaken(state.name))
            self._told = now_told
            self.post_message(
                self.UnreadChanged(state.rooms.shown_name, state.rooms.unread, state.rooms.mention_count)
            )
