"""The room: log, people, status and input around one `AppState`; what the user does goes to the client.

The screen is handed batches of updates by the app and asks the app (by messages) for what is not its own:
another name, the terminal's title, leaving.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import ClassVar

from textual import events, getters, on
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, TextArea

from broadcast_tui.client.contract import ChatClient
from broadcast_tui.core.bookmark import Bookmark
from broadcast_tui.core.text import visible_line
from broadcast_tui.core.updates import ConnectionState, NameDenied, Update
from broadcast_tui.tui.keymap import bind, first_key, shown_key
from broadcast_tui.tui.model.completion import People as Completable
from broadcast_tui.tui.model.notices import Alert, Level
from broadcast_tui.tui.model.slash import Mistake, Run, Say, parse
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.orders import Orders
from broadcast_tui.tui.widgets.composer import Composer
from broadcast_tui.tui.widgets.message_log import MessageLog
from broadcast_tui.tui.widgets.people import People
from broadcast_tui.tui.widgets.status_bar import StatusBar

QUIT_AGAIN_S = 3.0
"""How long after the first Ctrl+C a second one leaves."""


class ChatScreen(Screen[None]):
    """One client's conversation. `receive` is the only way in for what comes from the server."""

    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [  # noqa: RUF012
        (0, "-narrow"),
        (60, "-medium"),
        (90, "-wide"),
    ]
    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [  # noqa: RUF012
        (0, "-low"),
        (8, "-short"),
        (20, "-tall"),
    ]

    BINDINGS: ClassVar[list[BindingType]] = [
        # Those of the footer first, in the order shown.
        bind("app.show-help", "app.show_help"),
        bind("app.open-palette", "app.command_palette"),
        bind("people.toggle-list", "toggle_people"),
        bind("app.quit-chat", "app.quit"),
        bind("app.interrupt", "interrupt"),
        bind("app.leave-empty", "ask_quit"),
        bind("app.reconnect-now", "reconnect_now"),
        bind("log.page-up", "scroll_log('page_up')"),
        bind("log.page-down", "scroll_log('page_down')"),
        bind("log.line-up", "scroll_log('scroll_up')"),
        bind("log.line-down", "scroll_log('scroll_down')"),
        bind("log.go-top", "scroll_log('scroll_home')"),
        bind("log.go-bottom", "go_bottom"),
        bind("log.go-unread", "go_unread"),
        bind("log.previous-mention", "go_mention(True)"),
        bind("log.next-mention", "go_mention(False)"),
    ]

    log_view = getters.query_one("#log", MessageLog)
    people = getters.query_one("#people", People)
    status = getters.query_one("#status", StatusBar)
    composer = getters.query_one("#composer", Composer)

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
        level: Level

    class NoticeTried(Message):
        """The user wants to see a notice."""

    class QuitAsked(Message):
        """The user wants to leave."""

    def __init__(self, client: ChatClient, state: AppState) -> None:
        super().__init__()
        self._client = client
        self._state = state
        self._orders = Orders(client, state, self)
        self._told: tuple[str, int, int, str] = ("", -1, -1, "")
        self._quit_until = 0.0
        self._unread_sought = False
        """Whether the page of history on its way was asked for to get to the first unread post."""

    def compose(self) -> ComposeResult:
        with Horizontal(id="room"):
            yield MessageLog(id="log")
            yield People(id="people")
        yield StatusBar(self._state, self._client.url, id="status")
        yield Composer(self._completable, id="composer")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._state.unread_key = shown_key(first_key("log.go-unread"))
        self._ticks = self.set_interval(1.0, self._tick, pause=True)
        self.watch(self.app, "app_focus", self._focus_changed, init=False)
        self.composer.set_hint(f"Message #{visible_line(self._state.room)}")
        self.composer.focus()
        self.log_view.show(self._state.shown.transcript)
        self.refresh_views(people=True)

    def receive(self, batch: Sequence[Update]) -> None:
        """Take a batch of updates from the client, then show what changed, once."""
        changes = self._state.apply(batch, monotonic(), datetime.now(UTC))
        for room in changes.unlisted:
            self._client.list_members(room)
        for refused in changes.refused:
            if refused.room == self._state.room:
                self.composer.give_back(refused.text)
        if self._unread_sought and not self._state.shown.history_ref:
            self._unread_sought = False
            self.log_view.go_to_line(self._state.shown.reading.target_id or 0)
        if changes.opened:
            self.call_after_refresh(self._open_at_unread)
        self.refresh_views(people=changes.people)
        if changes.denied is not None:
            self.post_message(self.NameNeeded(changes.denied))
        if changes.alerts:
            self.post_message(self.PostsAlerted(changes.alerts))

    def read_marks(self) -> dict[str, Bookmark]:
        """How far each room is read, for the next run."""
        return self._state.read_marks(datetime.now(UTC))

    def fill(self, text: str) -> None:
        """Put the beginning of a command into the input, if nothing is being written there."""
        self.composer.give_back(text)
        self.composer.focus()

    def submit(self, text: str) -> bool:
        """Do what `text` says, as if it had been typed; false if that was nothing we know."""
        match parse(text):
            case Say(text=post):
                self.say(post)
            case Run(command=command, argument=argument):
                return self._orders.carry_out(command, argument)
            case Mistake(text=why):
                self.warn(why)
                return False
        return True

    def ask_to_leave(self) -> None:
        self.post_message(self.QuitAsked())

    def keep_level(self, room: str, level: Level) -> None:
        self.post_message(self.LevelChanged(room, level))

    def try_notice(self) -> None:
        self.post_message(self.NoticeTried())

    def tell(self, text: str) -> None:
        """Put a line of our own into the shown room."""
        self._state.tell(text, datetime.now(UTC))
        self.refresh_views()

    @on(Composer.Submitted)
    def take_submitted(self, event: Composer.Submitted) -> None:
        event.stop()
        if self.submit(event.text):
            self.composer.remember(event.text)
        else:
            self.composer.reject(event.text)

    @on(Composer.PasteCut)
    def tell_paste_cut(self, event: Composer.PasteCut) -> None:
        self.warn(f"The paste was too long; its first {event.kept:,} characters are kept.")

    @on(TextArea.Changed, "#composer")
    def tell_typing(self) -> None:
        text = self.composer.text
        if text.strip() and not text.startswith("/") and self._online:
            self._client.send_typing(self._state.room)

    @on(MessageLog.UnseenChanged)
    def follow_unseen(self, event: MessageLog.UnseenChanged) -> None:
        self._state.unseen = event.count
        self.refresh_views()

    @on(MessageLog.EndChanged)
    def follow_end(self, event: MessageLog.EndChanged) -> None:
        self._state.stand(event.at_end)
        self.refresh_views()

    @on(MessageLog.TopReached)
    def fetch_older(self) -> None:
        view = self._state.shown
        oldest = view.transcript.first_post_id
        if oldest and not view.history_ref and not view.history_ended and self._online:
            view.history_ref = self._client.fetch_history(view.name, before=oldest)

    def on_key(self, event: events.Key) -> None:
        """Typing anywhere goes into the input."""
        if event.is_printable and event.character and not self.composer.has_focus:
            event.stop()
            self.composer.focus()
            self.composer.insert(event.character)

    def action_interrupt(self) -> None:
        """Copy what is selected, else clear the input, else leave when pressed again."""
        selected = self.composer.selected_text or self.get_selected_text()
        if selected:
            self.app.copy_to_clipboard(selected)
            self.notify("Copied", timeout=2, markup=False)
        elif self.composer.text:
            self.composer.stash()
        else:
            self.action_ask_quit()

    def action_ask_quit(self) -> None:
        if self.composer.text:
            raise SkipAction
        if monotonic() < self._quit_until:
            self.ask_to_leave()
            return
        self._quit_until = monotonic() + QUIT_AGAIN_S
        self.notify("Press again to leave the chat", timeout=QUIT_AGAIN_S, markup=False)

    def action_reconnect_now(self) -> None:
        self._client.reconnect_now()

    def action_scroll_log(self, how: str) -> None:
        getattr(self.log_view, f"action_{how}")()

    def action_go_bottom(self) -> None:
        """Go to the newest post; there already, the unread line has served."""
        if self.log_view.is_following:
            self._state.shown.reading.drop_rule()
            self.log_view.refresh_lines()
        self.log_view.follow()

    def action_go_unread(self) -> None:
        reading = self._state.shown.reading
        if reading.target_id is None:
            self.warn("Nothing here is unread.")
            return
        if reading.begins_above:
            self.fetch_older()
            self._unread_sought = bool(self._state.shown.history_ref)
        self.log_view.go_to_line(reading.target_id)

    def action_go_mention(self, back: bool) -> None:
        wrapped = self.log_view.go_to_mention(back=back)
        if wrapped is None:
            self.warn("Nobody has mentioned you in the posts held here.")
        elif wrapped:
            self.warn(
                f"No {'earlier' if back else 'later'} mention; here is the {'last' if back else 'first'}."
            )

    def action_toggle_people(self) -> None:
        """Show the people where the width hides them, and the other way round."""
        hide = bool(self.people.display)
        self.set_class(hide, "-people-off")
        self.set_class(not hide, "-people-on")

    def _open_at_unread(self) -> None:
        """Show the room from its unread line on; laid out, the log knows whether that is in view."""
        self.log_view.start_at_rule(self._state.shown.unread)
        self._state.stand(self.log_view.is_following)
        self.refresh_views()

    @property
    def _online(self) -> bool:
        return self._state.connection.state is ConnectionState.ONLINE

    def _completable(self) -> Completable:
        view = self._state.shown
        return Completable(view.transcript.senders, view.people(), self._state.name)

    def say(self, text: str) -> None:
        """Send a post to the shown room."""
        nonce = self._client.say(self._state.room, text)
        self._state.said(nonce, text, datetime.now(UTC))
        self.log_view.follow()
        self.refresh_views()

    def warn(self, text: str) -> None:
        """Say why something cannot be done."""
        self.app.clear_notifications()
        # Textual 8.2 takes away the toasts but not what held them: later ones would be pushed off the screen.
        self.query("ToastHolder").remove()
        self.notify(visible_line(text), severity="warning", timeout=6, markup=False)

    def _focus_changed(self, focused: bool) -> None:
        self._state.look(focused, datetime.now(UTC))
        self.refresh_views()

    def _tick(self) -> None:
        """A second went by while something counts down."""
        self.status.refresh_facts()
        self._arm_ticks()

    def _arm_ticks(self) -> None:
        waiting = self._state.connection.retry_at is not None
        if waiting or self._state.shown.typing(monotonic()):
            self._ticks.resume()
        else:
            self._ticks.pause()

    def refresh_views(self, *, people: bool = False) -> None:
        """Let the widgets show the state as it is now."""
        state, view = self._state, self._state.shown
        self.log_view.refresh_lines()
        self.status.refresh_facts()
        self._arm_ticks()
        if people:
            self.people.show(view.people(), view.online, state.name)
        now_told = (state.room, state.unread, state.mention_count, state.name)
        if now_told != self._told:
            if state.name != self._told[3]:
                self.post_message(self.NameTaken(state.name))
            self._told = now_told
            self.post_message(self.UnreadChanged(state.room, state.unread, state.mention_count))
