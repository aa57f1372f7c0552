"""What the server found, in a list over the room; and a post among its neighbours, where it is not held."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import ClassVar

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.server_search import ServerSearch, format_date, snippet_of, words_pattern
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.text.colors import color_index
from broadcast_tui.tui.model.transcript.find import Pattern
from broadcast_tui.tui.model.transcript.navigation import line_of
from broadcast_tui.tui.model.transcript.transcript import Transcript
from broadcast_tui.tui.widgets.log_styles import name_colors
from broadcast_tui.tui.widgets.message_log import MessageLog


class SearchScreen(ModalScreen[None]):
    """The results of `search`. `show_more` and `choose` are called for what the user wants."""

    DEFAULT_CSS = """
    SearchScreen {
        align: center middle;
        background: $background 60%;
        & > #search {
            width: 100%;
            max-width: 100;
            height: 100%;
            max-height: 40;
            border: round $primary;
            border-title-color: $text-primary;
            border-subtitle-color: $text-muted;
            background: $background;
        }
        #search-state { padding: 0 1; color: $text-muted; }
        #search-found {
            height: 1fr;
            border: none;
            padding: 0 0 0 1;
            background: $background;
            scrollbar-size-vertical: 1;
            &:focus { background-tint: $background 0%; }
        }
        .search--match { background: $warning 35%; text-style: underline; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"search--match"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,ctrl+c", "dismiss", "Close", show=False),
        Binding("j", "move('cursor_down')", "Older", show=False),
        Binding("k", "move('cursor_up')", "Newer", show=False),
    ]

    def __init__(
        self, search: ServerSearch, show_more: Callable[[], None], choose: Callable[[Post], None]
    ) -> None:
        super().__init__()
        self._search = search
        self._show_more = show_more
        self._choose = choose

    def compose(self) -> ComposeResult:
        with Vertical(id="search"):
            yield Static("", id="search-state", markup=False)
            yield OptionList(id="search-found", compact=True, markup=False)

    def on_mount(self) -> None:
        self.query_one("#search").border_title = Content(
            f"Search #{visible_line(self._search.room)}: {visible_line(self._search.query)}"
        )
        self.query_one(OptionList).focus()
        self.show_found()

    def show_found(self) -> None:
        """The search has got further: show what there is."""
        search, listed = self._search, self.query_one(OptionList)
        pattern, now = words_pattern(search.query), datetime.now().astimezone()
        colors = name_colors(listed)
        for post in search.posts[listed.option_count :]:
            listed.add_option(Option(self._row(post, pattern, now, colors)))
        if listed.highlighted is None and listed.option_count:
            listed.highlighted = 0
        self.query_one("#search-state", Static).update(Content(self._state()))
        self.query_one("#search").border_subtitle = Content("Enter shows it, Esc closes")

    def _row(self, post: Post, pattern: Pattern | None, now: datetime, colors: Sequence[str]) -> Content:
        sender = visible_line(post.sender)
        text, spans = snippet_of(post.text, pattern)
        shown = Content(text)
        mark = self.get_visual_style("search--match")
        for start, end in spans:
            shown = shown.stylize(mark, start, end)
        head = Content.assemble(
            (sender, colors[color_index(sender)]),
            "  ",
            (format_date(post.at.astimezone(), now), "dim"),
            "\n",
        )
        return Content.assemble(head, shown)

    def _state(self) -> str:
        search = self._search
        if search.error:
            return search.error
        if search.ref and not search.posts:
            return "Searching…"
        if not search.posts:
            return "Nothing found. Every word must be in the post, or begin one of its words."
        count = len(search.posts)
        found = "1 post" if count == 1 else f"{count:,} posts"
        if search.ref:
            return f"{found}, asking for older ones…"
        return f"{found}; go to the last for older ones" if search.more else f"{found}, that is all"

    @on(OptionList.OptionHighlighted)
    def ask_more(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_index == len(self._search.posts) - 1:
            self._show_more()

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        self._choose(self._search.posts[event.option_index])

    def action_move(self, how: str) -> None:
        getattr(self.query_one(OptionList), f"action_{how}")()


class ContextScreen(ModalScreen[None]):
    """A post with those before and after it, apart from the room's own lines."""

    DEFAULT_CSS = """
    ContextScreen {
        align: center middle;
        background: $background 60%;
        & > #around {
            width: 100%;
            max-width: 110;
            height: 100%;
            max-height: 44;
            border: round $primary;
            border-title-color: $text-primary;
            border-subtitle-color: $text-muted;
            background: $background;
        }
        #around-state { padding: 0 1; color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,enter,ctrl+c", "dismiss", "Close", show=False)]

    def __init__(self, search: ServerSearch, post: Post) -> None:
        super().__init__()
        self._search = search
        self._post = post

    def compose(self) -> ComposeResult:
        with Vertical(id="around"):
            yield Static("", id="around-state", markup=False)
            yield MessageLog(id="around-log")

    def on_mount(self) -> None:
        box = self.query_one("#around")
        box.border_title = Content(f"#{visible_line(self._search.room)}, further back")
        box.border_subtitle = Content("Esc goes back to the results")
        self.query_one(MessageLog).focus()
        self.show_around()

    def show_around(self) -> None:
        """The search has got further: show what there is."""
        posts = self._search.around
        state = self.query_one("#around-state", Static)
        state.display = not posts
        state.update(Content(self._search.error or "Asking for the posts around it…"))
        if not posts:
            return
        transcript = Transcript()
        for post in posts:
            transcript.add_post(post.sender, post.text, post.at, post_id=str(post.position))
        log = self.query_one(MessageLog)
        log.show(transcript)
        log.highlights.pattern = words_pattern(self._search.query)
        log.call_after_refresh(log.pick, line_of(transcript, str(self._post.position)))


FOUND_PAGE = 30


CONTEXT_PAGE = 200


FETCH_MAX = 1_000
"""Posts above those held that are fetched to get to one."""


PAGES_MAX = 20
"""Pages asked for, at most, to get to it: those of long posts are short."""


AROUND_POSTS = 60


class SearchController:
    """Opens the screens of a search and sees to what they ask for; `go_to` picks a line of the log."""

    def __init__(
        self, app: App[None], client: ClientRequests, state: AppState, go_to: Callable[[int], object]
    ) -> None:
        self._app = app
        self._client = client
        self._state = state
        self._go_to = go_to
        self._wanted: Post | None = None
        """The post that older ones are fetched for."""
        self._pages_left = 0

    def open(self, query: str) -> None:
        """Search the shown room for `query`."""
        room = self._state.rooms.shown_name
        search = ServerSearch(room, query)
        self._state.search = search
        search.ref = self._client.search(room, query, limit=FOUND_PAGE)
        screen = SearchScreen(search, self._show_more, self._choose)
        self._app.push_screen(screen, lambda _: self._close(search))

    def follow(self) -> None:
        """The state has changed: go on with what waited for that."""
        if self._wanted is not None:
            self._fetch(self._wanted)
        match self._app.screen:
            case SearchScreen() as screen if screen.is_mounted:
                screen.show_found()
            case ContextScreen() as screen if screen.is_mounted:
                screen.show_around()

    def _close(self, search: ServerSearch) -> None:
        if self._state.search is search:
            self._state.search = None

    def _show_more(self) -> None:
        search = self._state.search
        if search is not None and search.more and not search.ref:
            search.ref = self._client.search(
                search.room, search.query, before=search.oldest_id, limit=FOUND_PAGE
            )
            self.follow()

    def _choose(self, post: Post) -> None:
        view = self._state.rooms.get(post.room)
        # It may be among what was cleared from the screen, and older posts go above that.
        view.transcript.restore_cleared()
        held = Position.parse(view.transcript.first_post_id)
        above = held.seq - post.position.seq if held and held.epoch == post.position.epoch else None
        if line_of(view.transcript, str(post.position)) is not None or (
            above is not None and 0 < above <= FETCH_MAX and not view.history_ended
        ):
            self._dismiss()
            self._pages_left = PAGES_MAX
            self._fetch(post)
        else:
            self._show_around(post)

    def _fetch(self, post: Post) -> None:
        """Go to `post` if it is held by now, else ask for the page of posts above those that are."""
        self._wanted = post
        view = self._state.rooms.get(post.room)
        line_id = line_of(view.transcript, str(post.position))
        if line_id is not None or view is not self._state.rooms.shown:
            self._wanted = None
            if line_id is not None:
                self._go_to(line_id)
        elif view.history_ref:
            return
        elif view.history_ended or self._pages_left == 0:
            self._wanted = None
            self._app.notify("This post cannot be shown among those of the room any longer.", markup=False)
        else:
            self._pages_left -= 1
            before = view.transcript.first_post_id
            view.history_ref = self._client.fetch_history(view.name, before=before, limit=CONTEXT_PAGE)

    def _show_around(self, post: Post) -> None:
        search = self._state.search
        if search is not None:
            search.around, search.error = (), ""
            search.around_ref = self._client.fetch_history(
                search.room, around=str(post.position), limit=AROUND_POSTS
            )
            self._app.push_screen(ContextScreen(search, post))

    def _dismiss(self) -> None:
        if isinstance(screen := self._app.screen, ModalScreen):
            screen.dismiss()
