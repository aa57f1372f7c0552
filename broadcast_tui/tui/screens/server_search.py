"""Searches a room at the server, and leads to what was found there.

A post that is held, or not far above, is gone to in the log; older posts are fetched for that. One further
back is shown with its neighbours, so that the log never has a hole.
"""

from __future__ import annotations

from collections.abc import Callable

from textual.app import App
from textual.screen import ModalScreen

from broadcast_tui.client.contract import ChatClient
from broadcast_tui.core.post import Position, Post
from broadcast_tui.tui.model.picking import line_of
from broadcast_tui.tui.model.search import ServerSearch
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.screens.search import AroundScreen, SearchScreen

FOUND_PAGE = 30
HISTORY_PAGE = 200
FETCH_MAX = 1_000
"""Posts above those held that are fetched to get to one."""
PAGES_MAX = 20
"""Pages asked for, at most, to get to it: those of long posts are short."""
AROUND_POSTS = 60


class Searcher:
    """Opens the screens of a search and sees to what they ask for; `go_to` picks a line of the log."""

    def __init__(
        self, app: App[None], client: ChatClient, state: AppState, go_to: Callable[[int], object]
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
        room = self._state.room
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
            case AroundScreen() as screen if screen.is_mounted:
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
        view = self._state.view(post.room)
        # It may be among what was cleared from the screen, and older posts go above that.
        view.transcript.bring_back()
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
        view = self._state.view(post.room)
        line_id = line_of(view.transcript, str(post.position))
        if line_id is not None or view is not self._state.shown:
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
            view.history_ref = self._client.fetch_history(view.name, before=before, limit=HISTORY_PAGE)

    def _show_around(self, post: Post) -> None:
        search = self._state.search
        if search is not None:
            search.around, search.error = (), ""
            search.around_ref = self._client.fetch_history(
                search.room, around=str(post.position), limit=AROUND_POSTS
            )
            self._app.push_screen(AroundScreen(search, post))

    def _dismiss(self) -> None:
        if isinstance(screen := self._app.screen, ModalScreen):
            screen.dismiss()
