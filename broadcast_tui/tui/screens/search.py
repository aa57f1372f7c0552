"""Search on the server: the list of results, and the context of a result that is not loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import ClassVar

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.keymap import active_key, bind
from broadcast_tui.tui.model.post_target import target_of_post
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.server_search import ServerSearch, format_date, snippet_of, words_pattern
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.text.colors import NameHues
from broadcast_tui.tui.model.transcript.find import Pattern
from broadcast_tui.tui.model.transcript.log_options import TimeFormat
from broadcast_tui.tui.model.transcript.navigation import line_of
from broadcast_tui.tui.model.transcript.post_details import details_of
from broadcast_tui.tui.model.transcript.selection import Excerpt
from broadcast_tui.tui.model.transcript.transcript import Transcript
from broadcast_tui.tui.themes import MUTED
from broadcast_tui.tui.widgets.conversation import PostActor
from broadcast_tui.tui.widgets.dialog import Dialog, DialogList, DialogScreen
from broadcast_tui.tui.widgets.log_styles import name_colors
from broadcast_tui.tui.widgets.message_log import MessageLog
from broadcast_tui.tui.widgets.post_bar import PostAction


class SearchScreen(DialogScreen[None]):
    """The results of `search`.

    Args:
        search: The search, with the results so far.
        show_more: Called to request older results.
        choose: Called with the result that the user selects.
        hues: The colors of the names in the room.
        time_format: How times are shown.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"search--match"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,ctrl+c", "dismiss", "Close", show=False),
        Binding("j", "move('cursor_down')", "Older", show=False),
        Binding("k", "move('cursor_up')", "Newer", show=False),
    ]

    def __init__(
        self,
        search: ServerSearch,
        show_more: Callable[[], None],
        choose: Callable[[Post], None],
        hues: NameHues,
        time_format: TimeFormat,
    ) -> None:
        super().__init__()
        self._hues = hues
        self._time_format = time_format
        self._search = search
        self._show_more = show_more
        self._choose = choose

    def compose(self) -> ComposeResult:
        label, query = self._search.label, visible_line(self._search.query)
        title = f"Search {label}: {query}" if query else f"Pinned in {label}"
        with Dialog(title, ("Enter Show", "Esc Close"), id="search"):
            yield Static("", id="search-state", classes="dialog-note", markup=False)
            yield DialogList(id="search-found")

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()
        self.show_found()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._show_in_new_colors())

    def _show_in_new_colors(self) -> None:
        """The rows contain colors of the theme."""
        listed = self.query_one(OptionList)
        highlighted = listed.highlighted
        listed.clear_options()
        self.show_found()
        listed.highlighted = highlighted

    def show_found(self) -> None:
        """Show the results received so far."""
        search, listed = self._search, self.query_one(OptionList)
        pattern, now = words_pattern(search.query), datetime.now().astimezone()
        colors = name_colors(listed)
        for post in search.posts[listed.option_count :]:
            listed.add_option(Option(self._row(post, pattern, now, colors)))
        if listed.highlighted is None and listed.option_count:
            listed.highlighted = 0
        self.query_one("#search-state", Static).update(Content(self._state()))

    def _row(self, post: Post, pattern: Pattern | None, now: datetime, colors: Sequence[str]) -> Content:
        sender = visible_line(post.sender)
        text, spans = snippet_of(post.text, pattern)
        shown = Content(text)
        mark = self.get_visual_style("search--match")
        for start, end in spans:
            shown = shown.stylize(mark, start, end)
        head = Content.assemble(
            (sender, colors[self._hues.of(sender)]),
            "  ",
            (format_date(post.at.astimezone(), now, self._time_format), MUTED),
            "\n",
        )
        return Content.assemble(head, shown)

    def _state(self) -> str:
        search = self._search
        if search.error:
            return search.error
        if search.ref and not search.posts:
            return "Searching…" if search.query else "Loading…"
        if not search.query:
            return "" if search.posts else "No pinned messages. /pin pins one."
        if not search.posts:
            return "No results. A post matches if it contains all words, or words that begin with them."
        count = len(search.posts)
        found = "1 result" if count == 1 else f"{count:,} results"
        if search.ref:
            return f"{found}, loading older results…"
        return f"{found}, scroll down for older results" if search.more else found

    @on(OptionList.OptionHighlighted)
    def load_more(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_index == len(self._search.posts) - 1:
            self._show_more()

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        self._choose(self._search.posts[event.option_index])

    def action_move(self, how: str) -> None:
        getattr(self.query_one(OptionList), f"action_{how}")()


class ContextScreen(DialogScreen[None]):
    """A post with the posts before and after it, in a log of its own.

    Args:
        search: The search, with the posts around the result.
        post: The result.
        act: Called with an action on it.
        copy: Copies text that was selected.
        hues: The colors of the names in the room.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "Close", show=False),
        Binding("ctrl+c", "interrupt", "Copy the selection, or close", show=False),
        bind("pick.reply-post", "act('reply')"),
        bind("pick.show-thread", "act('thread')"),
        bind("pick.react-post", "act('react')"),
        bind("pick.answer-question", "act('answer')"),
        bind("pick.edit-post", "act('edit')"),
        bind("pick.delete-post", "act('delete')"),
        bind("pick.pin-post", "act('pin')"),
    ]

    def __init__(
        self,
        search: ServerSearch,
        post: Post,
        act: Callable[[PostAction], None],
        copy: Callable[[Excerpt], None],
        hues: NameHues,
    ) -> None:
        super().__init__()
        self._hues = hues
        self._act = act
        self._copy = copy
        self._search = search
        self._post = post

    def compose(self) -> ComposeResult:
        hints = [f"{active_key(self.app, id)} {label}" for id, label in HINTS]
        with Dialog(f"{self._search.label} history", (*hints, "Esc Back"), id="context"):
            yield Static("", id="context-state", classes="dialog-note", markup=False)
            log = MessageLog(id="context-log")
            # Unlike in the chat, no composer has the focus here: the keys scroll the log.
            log.can_focus = True
            yield log

    def on_mount(self) -> None:
        self.query_one(MessageLog).focus()
        self.show_context()

    def action_act(self, action: str) -> None:
        self._act(PostAction(action))

    def action_interrupt(self) -> None:
        if selected := self.query_one(MessageLog).highlights.selected():
            self._copy(selected)
        else:
            self.dismiss()

    def show_context(self) -> None:
        """Show the results received so far."""
        posts = self._search.around
        state = self.query_one("#context-state", Static)
        state.display = not posts
        state.update(Content(self._search.error or "Loading the posts around it…"))
        if not posts:
            return
        transcript = Transcript()
        transcript.hues = self._hues
        for post in posts:
            transcript.add_post(
                post.sender, post.text, post.at, post_id=str(post.position), details=details_of(post)
            )
        log = self.query_one(MessageLog)
        log.show(transcript)
        log.highlights.pattern = words_pattern(self._search.query)
        log.call_after_refresh(log.pick, line_of(transcript, str(self._post.position)))


HINTS = (("pick.react-post", "React"), ("pick.reply-post", "Reply"))
"""Actions that the context of a result mentions."""


RESULTS_PAGE = 30


HISTORY_PAGE = 200


FETCH_MAX = 1_000
"""Most posts fetched above the loaded ones to reach a result."""


PAGES_MAX = 20
"""Most pages requested to reach it: pages of long posts contain few posts."""


CONTEXT_POSTS = 60


class SearchController:
    """Opens the screens of a search and fetches what they need.

    Args:
        app: The app.
        client: The client.
        state: The state; it receives the results.
        go_to: Picks a line of the log.
        copy: Copies text that was selected.
    """

    def __init__(
        self,
        app: App[None],
        client: ClientRequests,
        state: AppState,
        go_to: Callable[[int], object],
        copy: Callable[[Excerpt], None],
        get_actor: Callable[[], PostActor],
    ) -> None:
        self._app = app
        self._client = client
        self._state = state
        self._go_to = go_to
        self._copy = copy
        self._get_actor = get_actor
        self._target: Post | None = None
        """The result that older posts are fetched for."""
        self._pages_left = 0

    def open(self, query: str) -> None:
        """Search the displayed room for `query`."""
        room = self._state.rooms.shown
        search = ServerSearch(room.name, query, label=room.label)
        self._state.search = search
        search.ref = self._client.search(room.name, query, limit=RESULTS_PAGE)
        self._list(search, room, self._show_more)

    def open_pins(self) -> None:
        """List the pinned posts of the displayed room."""
        room = self._state.rooms.shown
        search = ServerSearch(room.name, "", label=room.label)
        self._state.search = search
        search.ref = self._client.fetch_history(room.name, pinned=True)
        self._list(search, room, lambda: None)

    def _list(self, search: ServerSearch, room: RoomModel, show_more: Callable[[], None]) -> None:
        time_format = TimeFormat(self._state.settings["time"])
        screen = SearchScreen(search, show_more, self._choose, room.transcript.hues, time_format)
        self._app.push_screen(screen, lambda _: self._close(search))

    def follow(self) -> None:
        """After updates: go on fetching, and show new results."""
        if self._target is not None:
            self._fetch(self._target)
        match self._app.screen:
            case SearchScreen() as screen if screen.is_mounted:
                screen.show_found()
            case ContextScreen() as screen if screen.is_mounted:
                screen.show_context()

    def _close(self, search: ServerSearch) -> None:
        if self._state.search is search:
            self._state.search = None

    def _show_more(self) -> None:
        search = self._state.search
        if search is not None and search.more and not search.ref:
            search.ref = self._client.search(
                search.room, search.query, before=search.oldest_id, limit=RESULTS_PAGE
            )
            self.follow()

    def _choose(self, post: Post) -> None:
        view = self._state.rooms.get(post.room)
        # The post may be among the cleared lines, and older posts are added above those.
        view.transcript.restore_cleared()
        first = Position.parse(view.transcript.first_post_id)
        above = first.seq - post.position.seq if first and first.epoch == post.position.epoch else None
        if line_of(view.transcript, str(post.position)) is not None or (
            above is not None and 0 < above <= FETCH_MAX and not view.history_ended
        ):
            self._dismiss()
            self._pages_left = PAGES_MAX
            self._fetch(post)
        else:
            self._show_context(post)

    def _fetch(self, post: Post) -> None:
        """Go to `post` if it is loaded by now, else request the page above the loaded posts."""
        self._target = post
        view = self._state.rooms.get(post.room)
        line_id = line_of(view.transcript, str(post.position))
        if line_id is not None or view is not self._state.rooms.shown:
            self._target = None
            if line_id is not None:
                self._go_to(line_id)
        elif view.history_ref:
            return
        elif view.history_ended or self._pages_left == 0:
            self._target = None
            self._app.notify("This post is no longer available in the room's history.", markup=False)
        else:
            self._pages_left -= 1
            before = view.transcript.first_post_id
            view.history_ref = self._client.fetch_history(view.name, before=before, limit=HISTORY_PAGE)

    def _show_context(self, post: Post) -> None:
        search = self._state.search
        if search is not None:
            search.around, search.error = (), ""
            search.around_ref = self._client.fetch_history(
                search.room, around=str(post.position), limit=CONTEXT_POSTS
            )
            hues = self._state.rooms.get(search.room).transcript.hues
            self._app.push_screen(
                ContextScreen(search, post, lambda action: self._act(action, post), self._copy, hues)
            )

    def _act(self, action: PostAction, post: Post) -> None:
        """Close the dialogs, then carry out an action on a result that is not loaded."""
        self._dismiss()
        self._dismiss()
        self._get_actor().act(action, target_of_post(post, self._state.name))

    def _dismiss(self) -> None:
        if isinstance(screen := self._app.screen, DialogScreen):
            screen.dismiss()
