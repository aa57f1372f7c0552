"""The conversation: log, bars and composer, with everything the user does while reading.

Reading, picking, finding and copying need only the log, the bars and the composer. Their key bindings are
here, so they work wherever the focus is inside the conversation.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import ClassVar, Protocol

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget

from broadcast_tui.tui.keymap import active_key, bind
from broadcast_tui.tui.model.post_target import PostTarget, in_thread, target_of_line
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.text.links import links_in
from broadcast_tui.tui.model.transcript.find import pattern_of
from broadcast_tui.tui.model.transcript.layout import presence_of
from broadcast_tui.tui.model.transcript.log_options import LOG_SETTINGS, log_options
from broadcast_tui.tui.model.transcript.navigation import post_from, post_id_of
from broadcast_tui.tui.model.transcript.selection import Excerpt, stamped_post, whole_post
from broadcast_tui.tui.screens.history_loader import HistoryLoader
from broadcast_tui.tui.terminal.clipboard import browse, browser_tool, copy
from broadcast_tui.tui.widgets.composer import Composer
from broadcast_tui.tui.widgets.composer_panel import ComposerPanel
from broadcast_tui.tui.widgets.empty_state import EmptyState
from broadcast_tui.tui.widgets.find_bar import FindBar
from broadcast_tui.tui.widgets.find_controller import FindController
from broadcast_tui.tui.widgets.message_log import MessageLog
from broadcast_tui.tui.widgets.post_bar import PostAction, PostBar, Selected
from broadcast_tui.tui.widgets.question_bar import QuestionBar
from broadcast_tui.tui.widgets.room_header import RoomHeader
from broadcast_tui.tui.widgets.toast import show_toast, show_warning

BARE = "-bare"
"""Class of the screen while only the text of the log is displayed."""

_UPWARDS = ("page_up", "scroll_up", "scroll_home")


class _CoveredHorizontal(Horizontal):
    """A container whose children cover it. Textual would render it for each frame, line by line."""

    BLANK = True


class _CoveredVertical(Vertical):
    """A container whose children cover it."""

    BLANK = True


class PostActor(Protocol):
    """What carries out actions on posts."""

    def act(self, action: PostAction, target: PostTarget) -> bool:
        """Carry out an action; returns whether it was possible."""
        ...

    def answer_newest(self) -> None:
        """Answer the newest open question."""
        ...


class Conversation(Vertical):
    """The log `#log` between two side panels, a bar below it, and the composer.

    Args:
        state: The state to display.
        log: The log.
        history: Fetches older posts for the log.
        panel: The composer.
        empty: Shown below the log of a room without messages.
        left: The panel to the left of the log.
        right: The panel to the right of the log.
    """

    BLANK = True
    DEFAULT_CSS = """
    Conversation {
        height: 1fr;
        & > #room { height: 1fr; }
        #talk { width: 1fr; height: 1fr; }
        #log { width: 1fr; height: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("log.page-up", "scroll_log('page_up')"),
        bind("log.page-down", "scroll_log('page_down')"),
        bind("log.line-up", "scroll_log('scroll_up')"),
        bind("log.line-down", "scroll_log('scroll_down')"),
        bind("log.go-top", "scroll_log('scroll_home')"),
        bind("log.go-bottom", "go_bottom"),
        bind("log.go-unread", "go_unread"),
        bind("log.previous-mention", "go_mention(True)"),
        bind("log.next-mention", "go_mention(False)"),
        bind("log.unfold-post", "unfold_post"),
        bind("log.show-presence", "show_presence"),
        bind("log.pick-post", "pick_post"),
        bind("log.answer-question", "answer_question"),
        bind("log.find-text", "find_text"),
        bind("log.show-bare", "toggle_bare"),
        bind("log.toggle-mouse", "toggle_mouse"),
    ]

    class SearchRequested(Message):
        """`query` has no match in the log; the server may have one."""

        def __init__(self, query: str) -> None:
            super().__init__()
            self.query = query

    class MouseRequested(Message):
        """The terminal should report the mouse to the app (`report`) or keep it for its own selection."""

        def __init__(self, report: bool) -> None:
            super().__init__()
            self.report = report

    def __init__(
        self,
        state: AppState,
        log: MessageLog,
        history: HistoryLoader,
        panel: ComposerPanel,
        *,
        empty: EmptyState,
        left: Widget,
        right: Widget,
    ) -> None:
        super().__init__()
        self.log_view = log
        # The panel at the right has the number of people too.
        self.header = RoomHeader(lambda: not right.display, id="topic")
        self.empty = empty
        self.question_bar = QuestionBar(id="question")
        self.post_bar = PostBar(self._selected, self._perform, self.type_key, id="pick")
        self.find_bar = FindBar(id="find")
        self.finder = FindController(log, self._show_count, self._find_finished)
        self._state = state
        self._history = history
        self._panel = panel
        panel.on_list_moved = log.edges.cover
        self.get_actor: Callable[[], PostActor | None] = lambda: None
        """Returns what carries out actions on posts; set once the screen is mounted."""
        self._sides = left, right
        self._wants_mouse = True
        """Whether the app gets the mouse while the whole screen is displayed."""
        self.answer_key = ""
        """The key that answers the open question, as displayed; empty if there is none."""
        self._last_opened = ("", 0)
        """The text of the post whose link was opened last, and the number of links opened from it."""

    def compose(self) -> ComposeResult:
        left, right = self._sides
        with _CoveredHorizontal(id="room"):
            yield left
            with _CoveredVertical(id="talk"):
                yield self.header
                yield self.question_bar
                yield self.log_view
                yield self.empty
                yield self.post_bar
                yield self.find_bar
            yield right
        yield self._panel

    def on_mount(self) -> None:
        self._stop_watching = self._state.settings.watch(self._apply_setting)
        for name in LOG_SETTINGS:
            self._apply_setting(name)

    def on_unmount(self) -> None:
        self._stop_watching()

    def _apply_setting(self, name: str) -> None:
        """Show the log as a setting says."""
        settings, log = self._state.settings, self.log_view
        match name:
            case "joins":
                log.folding.show_presence(presence_of(settings[name]))
            case "reactions":
                log.folding.show_reactions(settings.is_on(name))
            case "folding":
                log.folding.fold_long_posts(settings.is_on(name))
            case "time" | "names" | "markdown":
                log.folding.options = log_options(settings)
                log.set_bare(self.is_bare)

    @property
    def composer(self) -> Composer:
        return self._panel.composer

    @property
    def is_bare(self) -> bool:
        """Whether only the text of the log is displayed, for the terminal's own selection."""
        return self.screen.has_class(BARE)

    def refresh_header(self) -> None:
        """Show topic, pinned posts and open question of the displayed room."""
        room = self._state.rooms.shown
        self.header.show(room)
        is_empty = self.empty.show(room)
        # A class on their parent would make Textual compute the styles of everything in it again.
        for widget in (self.log_view, self.empty):
            widget.set_class(is_empty, "-empty")
        self.question_bar.show(room.notes.open_question(self._state.name), self.answer_key)

    def follow_log(self) -> None:
        """Go to the newest line and drop the selection."""
        self.screen.clear_selection()
        self.log_view.follow()

    def focus_default(self) -> None:
        """Focus what gets the keys: the composer or, in the bare view, the conversation itself."""
        if self.is_bare:
            self.focus()
        else:
            self.composer.focus()

    # Keys that nothing else handles

    async def type_key(self, event: events.Key) -> None:
        """Type or edit in the composer, wherever the focus is."""
        if event.is_printable and event.character:
            event.stop()
            self.leave_bare()
            self.composer.focus()
            self.composer.insert(event.character)
        elif not self.composer.has_focus and await self.composer.run_edit_key(event.key):
            event.stop()
            self.leave_bare()
            self.composer.focus()

    def paste(self, event: events.Paste) -> None:
        """Paste into the composer, wherever the focus is."""
        if not self.composer.has_focus:
            event.stop()
            self.leave_bare()
            self.composer.focus()
            self.composer.post_message(events.Paste(event.text))

    # Reading

    def action_scroll_log(self, how: str) -> None:
        transcript = self._state.rooms.shown.transcript
        if transcript.has_cleared and self.log_view.scroll_y <= 0 and how in _UPWARDS:
            transcript.restore_cleared()
            self.log_view.follow()
        getattr(self.log_view, f"action_{how}")()

    def action_go_bottom(self) -> None:
        """Esc: drop the selection, leave the bare view, go to the newest post, or drop the unread line."""
        if self.screen.selections:
            self.screen.clear_selection()
        elif self.is_bare:
            self.leave_bare()
        else:
            if self.log_view.is_following:
                self._state.rooms.shown.reading.drop_unread_line()
                self.log_view.refresh_lines()
            self.log_view.follow()

    def action_go_unread(self) -> None:
        if not self._history.go_to_unread():
            show_warning(self, "No unread posts in this room")

    def action_go_mention(self, back: bool) -> None:
        wrapped = self.log_view.navigator.go_to_mention(back=back)
        if wrapped is None:
            show_warning(self, "No mentions of you in the loaded posts")
        elif wrapped:
            way, end = ("earlier", "last") if back else ("later", "first")
            show_warning(self, f"No {way} mention; jumped to the {end} one")

    def action_unfold_post(self) -> None:
        if not self.log_view.folding.unfold_next():
            show_toast(self, "No long post in view", 2)

    def action_show_presence(self) -> None:
        choice = presence_of(self._state.settings["joins"]).next()
        self._state.settings.set("joins", choice.word)
        show_toast(self, f"Join and leave lines: {choice.value}", 2)

    # Bare view

    def action_toggle_bare(self) -> None:
        if self.is_bare:
            self.leave_bare()
        else:
            self.screen.add_class(BARE)
            self.log_view.set_bare(True)
            self.post_message(self.MouseRequested(False))
            # The composer is hidden, but the keys of the log still need a focus inside the conversation.
            self.can_focus = True
            self.focus()

    def leave_bare(self) -> None:
        """Show the whole screen again."""
        if self.is_bare:
            self.screen.remove_class(BARE)
            self.can_focus = False
            self.log_view.set_bare(False)
            self.post_message(self.MouseRequested(self._wants_mouse))
            self.call_after_refresh(self.composer.focus)

    def action_toggle_mouse(self) -> None:
        """Let the terminal handle the mouse, or the app again."""
        self._wants_mouse = not self._wants_mouse
        self.post_message(self.MouseRequested(self._wants_mouse and not self.is_bare))
        if self._wants_mouse:
            show_toast(self, "Mouse on")
        else:
            key = active_key(self.app, "log.toggle-mouse")
            show_toast(self, f"Mouse off: the terminal selects text; {key} turns it on")

    # Picking

    def action_pick_post(self) -> None:
        if not self.is_bare and not self.start_picking():
            self.notify("There is no post to pick yet", severity="warning", timeout=4, markup=False)

    def start_picking(self, line_id: int | None = None) -> bool:
        """Pick the post of a line, or the newest one in view; false if there is none."""
        log = self.log_view
        line_id = log.navigator.newest_post_in_view() if line_id is None else line_id
        if line_id is None:
            return False
        log.pick(line_id)
        self.post_bar.open(matches=self.finder.state is not None)
        return True

    def _perform(self, action: PostAction) -> None:
        """Carry out an action on the selected post."""
        log = self.log_view
        line = log.highlights.picked_line
        if line is None:
            # Another room is displayed, or the line was trimmed.
            self.end()
            return
        match action:
            case (
                PostAction.OLDER
                | PostAction.NEWER
                | PostAction.PAGE_UP
                | PostAction.PAGE_DOWN
                | PostAction.FIRST
                | PostAction.LAST
            ):
                self._pick_other(line.id, action)
            case PostAction.MATCH_OLDER | PostAction.MATCH_NEWER:
                self.finder.step(older=action is PostAction.MATCH_OLDER)
                self.refresh_bar()
            case PostAction.COPY:
                self.copy(whole_post(line))
            case PostAction.COPY_STAMPED:
                self.copy(stamped_post(line, log.transcript.zone))
            case PostAction.OPEN:
                self._open_link(line.text)
            case (
                PostAction.REPLY
                | PostAction.THREAD
                | PostAction.REACT
                | PostAction.ANSWER
                | PostAction.EDIT
                | PostAction.DELETE
                | PostAction.PIN
            ):
                target = target_of_line(self._state.rooms.shown, line.id)
                actor = self.get_actor()
                if target is None or actor is None or not actor.act(action, target):
                    self.post_bar.stay()
            case PostAction.INSPECT:
                from broadcast_tui.tui.screens.inspect import InspectScreen

                post_id = post_id_of(log.transcript, line.id)
                self.app.push_screen(InspectScreen(line, post_id, log.transcript.zone))
            case PostAction.LEAVE:
                self.end()

    @on(QuestionBar.AnswerRequested)
    def action_answer_question(self) -> None:
        if (actor := self.get_actor()) is not None:
            actor.answer_newest()

    @property
    def picked_post(self) -> PostTarget | None:
        """The selected post; None if none is selected, or it was rejected."""
        line_id = self.log_view.highlights.picked
        if line_id is None or not self.post_bar.display:
            return None
        return target_of_line(self._state.rooms.shown, line_id)

    def _selected(self) -> Selected | None:
        """The selected post for the bar with the possible actions."""
        line = self.log_view.highlights.picked_line
        if line is None:
            return None
        room = self._state.rooms.shown
        target = target_of_line(room, line.id)
        has_thread = target is not None and in_thread(room, target)
        can_answer = target is not None and target.can_answer(self._state.name)
        return Selected(target, has_thread, bool(links_in(line.text)), can_answer)

    def refresh_bar(self) -> None:
        """Show the actions that are possible now for the selected post."""
        if self.post_bar.display:
            self.post_bar.refresh()

    @on(PostBar.Blurred)
    @on(FindBar.Blurred)
    def close_blurred(self, event: PostBar.Blurred | FindBar.Blurred) -> None:
        event.stop()
        if event.bar.display:
            self._close_bars()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Stop picking and finding when the log, which takes no focus, is clicked."""
        if event.widget is self.log_view:
            self.end()

    def end(self) -> None:
        """Stop picking and finding, if either was going on; the keys go to the composer again."""
        was_busy = bool(self.post_bar.display or self.find_bar.display)
        self._close_bars()
        if was_busy:
            self.focus_composer()

    def focus_composer(self) -> None:
        """Focus the composer at once, unlike `focus`: the next key is for it."""
        self.screen.set_focus(self.composer, scroll_visible=False)

    def _close_bars(self) -> None:
        """Remove the bars and the highlights; the position of the log stays."""
        self.finder.end()
        self.log_view.pick(None)
        self.post_bar.close()
        self.find_bar.close()

    def _pick_other(self, line_id: int, action: PostAction) -> None:
        """Pick another post; past the oldest request more posts, past the newest follow the end."""
        log = self.log_view
        transcript = log.transcript
        match action:
            case PostAction.OLDER:
                to = post_from(transcript, line_id - 1, -1) if line_id > transcript.first_id else None
            case PostAction.NEWER:
                to = post_from(transcript, line_id + 1, 1) if line_id + 1 < transcript.next_id else None
            case PostAction.PAGE_UP | PostAction.PAGE_DOWN:
                to = log.navigator.post_one_page_from(line_id, -1 if action is PostAction.PAGE_UP else 1)
            case PostAction.FIRST:
                to = post_from(transcript, transcript.first_id, 1)
            case _:
                to = post_from(transcript, transcript.next_id - 1, -1)
        if to is not None:
            log.pick(to)
            self.refresh_bar()
        if to in (None, line_id) and action in (PostAction.OLDER, PostAction.PAGE_UP, PostAction.FIRST):
            self.post_message(MessageLog.TopReached(log))
        if to in (None, line_id) and action in (PostAction.NEWER, PostAction.PAGE_DOWN, PostAction.LAST):
            log.follow()

    # Copying and opening links

    def copy_selected(self) -> bool:
        """Copy the selected text, wherever it is; false without a selection."""
        selected = self.log_view.highlights.selected()
        if text := self.composer.selected_text or ("" if selected else self.screen.get_selected_text()):
            selected = Excerpt(text, 0, False)
        if selected:
            self.copy(selected)
        return bool(selected)

    def copy(self, excerpt: Excerpt) -> None:
        """Copy, then show how much was copied and by which program."""

        async def copy_and_report() -> None:
            show_toast(self, await self._copy(excerpt))

        self.run_worker(copy_and_report(), group="copy")

    async def _copy(self, excerpt: Excerpt) -> str:
        return await copy(excerpt, self.app.copy_to_clipboard, programs=not self._state.is_kiosk)

    def _open_link(self, text: str) -> None:
        """Open the first link of a post; called again for the same post, the next one."""
        links = links_in(text)
        if not links:
            show_toast(self, "This post has no link that can be opened")
            return
        last, count = self._last_opened
        number = count % len(links) if last == text else 0
        self._last_opened = (text, number + 1)
        place = ""
        if len(links) > 1:
            key = active_key(self.app, "pick.open-link")
            place = f" ({number + 1}/{len(links)}{f', {key} again for the next' if key else ''})"
        self.run_worker(self._browse(links[number], place), group="open")

    async def _browse(self, url: str, place: str) -> None:
        """Open `url`; `place` is shown after it and says which of several links it is."""
        tool = None if self._state.is_kiosk else browser_tool(os.environ)
        if tool is not None and await browse(tool, url):
            show_toast(self, f"Opened {url}{place}")
        else:
            show_toast(self, f"No browser available. {await self._copy(Excerpt(url, 0, True))}{place}")

    # Finding

    def action_find_text(self) -> None:
        """Open the find bar; if it is open, go to the next older match."""
        self.leave_bare()
        if self.find_bar.display:
            self.finder.step(older=True)
            return
        self._close_bars()
        self.finder.begin()
        self.find_bar.open()

    @on(FindBar.Changed)
    def find(self, event: FindBar.Changed) -> None:
        event.stop()
        # A key that steps or ends may have been handled before this message: use the current text.
        if self.find_bar.display:
            self.finder.set_query(self.find_bar.text.value)

    @on(FindBar.Stepped)
    def find_next(self, event: FindBar.Stepped) -> None:
        event.stop()
        self.finder.set_query(event.query)
        self.finder.step(older=event.older)

    @on(FindBar.Ended)
    def end_find(self, event: FindBar.Ended) -> None:
        event.stop()
        if event.stay and pattern_of(event.query) is not None:
            self.finder.set_query(event.query)
            self.finder.finish()
            return
        origin = self.finder.origin
        self._close_bars()
        self.log_view.navigator.go_to(origin)
        self.composer.focus()

    def _find_finished(self, line_id: int | None) -> None:
        """Continue with picking at a match, or else with a search on the server."""
        if line_id is not None:
            self.find_bar.close()
            self.start_picking(line_id)
            return
        query, origin = self.finder.query, self.finder.origin
        self._close_bars()
        self.log_view.navigator.go_to(origin)
        self.composer.focus()
        self.post_message(self.SearchRequested(query))

    def _show_count(self, count: str) -> None:
        self.find_bar.show_count(count)
        self.post_bar.show_count(count)
