"""A thread on a screen of its own, with an input for replies."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.tui.keymap import bind
from broadcast_tui.tui.model.input.completion import CompletionContext
from broadcast_tui.tui.model.input.history import InputHistory
from broadcast_tui.tui.model.post_target import PostTarget
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.thread import Thread
from broadcast_tui.tui.model.transcript.selection import Excerpt
from broadcast_tui.tui.widgets.composer import Composer, Submission
from broadcast_tui.tui.widgets.composer_panel import ComposerPanel
from broadcast_tui.tui.widgets.dialog import Dialog, DialogScreen
from broadcast_tui.tui.widgets.message_log import MessageLog

THREAD_MAX = 200
"""Posts of a thread to fetch."""


class ThreadScreen(DialogScreen[None]):
    """The posts of `thread`; closed by Esc.

    Args:
        state: The state of the chat.
        thread: The thread.
        complete: What the input can complete.
        submit: Called with each submitted text; returns whether it was accepted.
        copy: Copies text that was selected.
    """

    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-short"), (20, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", show=False),
        Binding("ctrl+c", "interrupt", "Copy the selection, clear the input, or close", show=False),
        bind("log.page-up", "scroll_log('page_up')"),
        bind("log.page-down", "scroll_log('page_down')"),
        bind("log.line-up", "scroll_log('scroll_up')"),
        bind("log.line-down", "scroll_log('scroll_down')"),
    ]

    def __init__(
        self,
        state: AppState,
        thread: Thread,
        complete: Callable[[], CompletionContext],
        submit: Callable[[Submission], bool],
        copy: Callable[[Excerpt], None],
    ) -> None:
        super().__init__()
        self._state = state
        self._thread = thread
        self._submit = submit
        self._copy = copy
        self._log = MessageLog(id="thread-log")
        self._typed_early: list[events.Key] | None = []
        """Keys typed before the input was mounted; None afterwards."""
        self._note = Static("", id="thread-state", classes="dialog-note", markup=False)
        past = InputHistory(room=thread.view.name)
        self._panel = ComposerPanel(state, complete, past, room=lambda: thread.view)
        self._panel.on_list_moved = self._log.edges.cover

    def compose(self) -> ComposeResult:
        with Dialog(f"Thread in {self._thread.view.label}", ("Esc Back to the room",), id="thread"):
            yield self._note
            yield self._log
            yield self._panel

    def on_mount(self) -> None:
        self._panel.composer.set_hint("Reply to the thread")
        self._panel.composer.focus()
        self._log.show(self._thread.view.transcript)
        self.show_thread()
        early, self._typed_early = self._typed_early or [], None
        for event in early:
            self.take_key(event)

    def show_thread(self) -> None:
        """Show the posts received so far."""
        thread = self._thread
        text = thread.error or ("Loading the thread…" if thread.is_loading else "")
        self._note.display = bool(text)
        self._note.update(Content(text))
        if self._log.rows.set_own_name(self._state.name):
            self._log.refresh()
        self._log.refresh_lines()

    @on(Composer.Submitted)
    def submit_pending(self) -> None:
        composer = self._panel.composer
        for submission in composer.take_submitted():
            if self._submit(submission):
                composer.remember(submission.text)
                self._log.follow()
            else:
                composer.reject(submission)
        self.show_thread()

    def take_key(self, event: events.Key) -> None:
        """Type a key into the input, even before that is mounted."""
        composer = self._panel.composer
        if self._typed_early is None:
            composer.post_message(events.Key(event.key, event.character))
        else:
            self._typed_early.append(event)

    def on_key(self, event: events.Key) -> None:
        if self._typed_early is not None or not self._panel.composer.has_focus:
            event.prevent_default().stop()
            self.take_key(event)

    def action_scroll_log(self, how: str) -> None:
        getattr(self._log, f"action_{how}")()

    def action_interrupt(self) -> None:
        if selected := self._log.highlights.selected():
            self._copy(selected)
        elif self._panel.composer.text:
            self._panel.composer.stash()
        else:
            self.dismiss()


class ThreadController:
    """Opens threads and keeps the open one up to date.

    Args:
        app: The app.
        client: The client.
        state: The state.
        complete: What the input can complete.
        submit: Called with a text that was submitted in a thread.
        copy: Copies text that was selected.
    """

    def __init__(
        self,
        app: App[None],
        client: ClientRequests,
        state: AppState,
        complete: Callable[[], CompletionContext],
        submit: Callable[[Submission], bool],
        copy: Callable[[Excerpt], None],
    ) -> None:
        self._app = app
        self._client = client
        self._state = state
        self._complete = complete
        self._submit = submit
        self._copy = copy

    def open(self, target: PostTarget) -> None:
        """Show the thread of a post, which has an id."""
        position = target.position
        if position is None:
            return
        root = position._replace(seq=target.root or position.seq)
        view, room = RoomModel(target.room), self._state.rooms.get(target.room).transcript
        view.transcript.hide(room.hide_rule)
        view.transcript.hues = room.hues
        thread = Thread(view, root)
        self._state.thread = thread
        view.history_ref = self._client.fetch_history(target.room, root=thread.root_id, limit=THREAD_MAX)
        screen = ThreadScreen(self._state, thread, self._complete, self._submit, self._copy)
        self._app.push_screen(screen, lambda _: self._close(thread))

    def follow(self) -> None:
        """Show what has changed."""
        match self._app.screen:
            case ThreadScreen() as screen if screen.is_mounted:
                screen.show_thread()

    def _close(self, thread: Thread) -> None:
        if self._state.thread is thread:
            self._state.thread = None
