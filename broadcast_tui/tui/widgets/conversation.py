"""The log with what is done while reading it: posts are picked and copied, text is found.

It does what concerns the log and the clipboard alone, and tells by messages what the rest of the screen
has to do with.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from time import monotonic

from textual import events, getters, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.timer import Timer

from broadcast_tui.tui.model.text.links import links_in
from broadcast_tui.tui.model.transcript.chunks import Line
from broadcast_tui.tui.model.transcript.find import FindState, pattern_of
from broadcast_tui.tui.model.transcript.navigation import post_from, post_id_of
from broadcast_tui.tui.model.transcript.row_index import RowAnchor
from broadcast_tui.tui.model.transcript.selection import Excerpt, stamped_post, whole_post
from broadcast_tui.tui.terminal.clipboard import browse, browser_tool, copy
from broadcast_tui.tui.widgets.find_bar import FindBar
from broadcast_tui.tui.widgets.message_log import MessageLog
from broadcast_tui.tui.widgets.post_bar import PostAction, PostBar

SLICE_S = 0.006
"""How long a slice of a search may hold up everything else."""
SLICE_PAUSE_S = 0.006
NEWS_PAUSE_S = 0.25
"""How often what has arrived is searched, once all else is."""


class Conversation(Vertical):
    """A `MessageLog`, called `#log`, and below it the bar of what is being done."""

    DEFAULT_CSS = """
    Conversation { width: 1fr; height: 1fr; }
    Conversation > MessageLog { height: 1fr; }
    """

    log_view = getters.query_one("#log", MessageLog)
    pick_bar = getters.query_one(PostBar)
    find_bar = getters.query_one(FindBar)

    class Ended(Message):
        """Nothing is picked or looked for any longer: the keys belong to others again."""

    @dataclass
    class AnswerAsked(Message):
        """The user wants to answer `name`."""

        name: str

    @dataclass
    class InspectAsked(Message):
        """The user wants to know all about the post of `line`, which has the id `post_id` if any."""

        line: Line
        post_id: str

    @dataclass
    class ServerAsked(Message):
        """`query` is not here: the server may have it."""

        query: str

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._finder: FindState | None = None
        self._query = ""
        self._staying = False
        """Whether Enter was pressed, and there is no match yet to stay at."""
        self._stand: RowAnchor | None = None
        """Where the log stood before the search."""
        self._start_id = 0
        self._next_slice: Timer | None = None
        self._opened = ("", 0)
        """The links that were opened last: of which text, and how many."""

    def compose(self) -> ComposeResult:
        yield MessageLog(id="log")
        yield PostBar(id="pick")
        yield FindBar(id="find")

    # Picking

    def start_picking(self, line_id: int | None = None) -> bool:
        """Pick the post of a line, or the newest in view; false if there is none."""
        log = self.log_view
        line_id = log.navigator.newest_post_in_view() if line_id is None else line_id
        if line_id is None:
            return False
        log.pick(line_id)
        self.pick_bar.open(matches=self._finder is not None)
        return True

    @on(PostBar.Asked)
    def do_asked(self, event: PostBar.Asked) -> None:
        event.stop()
        log, wish = self.log_view, event.wish
        line = log.highlights.picked_line
        if line is None:
            # Another room is shown, or the line was trimmed.
            self._end()
            self.post_message(self.Ended())
            return
        match wish:
            case (
                PostAction.OLDER
                | PostAction.NEWER
                | PostAction.PAGE_UP
                | PostAction.PAGE_DOWN
                | PostAction.FIRST
                | PostAction.LAST
            ):
                self._move(line.id, wish)
            case PostAction.MATCH_OLDER | PostAction.MATCH_NEWER:
                self._step(older=wish is PostAction.MATCH_OLDER)
            case PostAction.COPY:
                self.copy(whole_post(line))
            case PostAction.COPY_STAMPED:
                self.copy(stamped_post(line, log.transcript.zone))
            case PostAction.OPEN:
                self._open_link(line.text)
            case PostAction.ANSWER:
                self._end()
                self.post_message(self.AnswerAsked(line.sender))
            case PostAction.INSPECT:
                self.post_message(self.InspectAsked(line, post_id_of(log.transcript, line.id)))
            case PostAction.LEAVE:
                self._end()
                self.post_message(self.Ended())

    @on(PostBar.Left)
    @on(FindBar.Left)
    def stop(self, event: PostBar.Left | FindBar.Left) -> None:
        event.stop()
        if event.bar.display:
            self._end()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A press on the log, which takes no focus of its own, is the end of picking and finding."""
        if event.widget is self.log_view and self.end():
            self.post_message(self.Ended())

    def _move(self, line_id: int, wish: PostAction) -> None:
        log = self.log_view
        transcript = log.transcript
        match wish:
            case PostAction.OLDER:
                to = post_from(transcript, line_id - 1, -1) if line_id > transcript.first_id else None
            case PostAction.NEWER:
                to = post_from(transcript, line_id + 1, 1) if line_id + 1 < transcript.settled_id else None
            case PostAction.PAGE_UP | PostAction.PAGE_DOWN:
                to = log.navigator.post_one_page_from(line_id, -1 if wish is PostAction.PAGE_UP else 1)
            case PostAction.FIRST:
                to = post_from(transcript, transcript.first_id, 1)
            case _:
                to = post_from(transcript, transcript.settled_id - 1, -1)
        if to is not None:
            log.pick(to)
        if to in (None, line_id) and wish in (PostAction.OLDER, PostAction.PAGE_UP, PostAction.FIRST):
            self.post_message(MessageLog.TopReached(log))
        if to in (None, line_id) and wish in (PostAction.NEWER, PostAction.PAGE_DOWN, PostAction.LAST):
            log.follow()

    def end(self) -> bool:
        """Be done with picking and finding, wherever the log stands now; whether there was any of it."""
        was_busy = bool(self.pick_bar.display or self.find_bar.display)
        self._end()
        return was_busy

    def _end(self) -> None:
        """Be as before anything was picked or looked for, but for where the log stands."""
        if self._next_slice is not None:
            self._next_slice.stop()
        self._finder, self._next_slice, self._staying = None, None, False
        self.log_view.highlights.pattern = None
        self.log_view.pick(None)
        self.pick_bar.close()
        self.find_bar.close()

    # Copying and opening

    def copy(self, excerpt: Excerpt) -> None:
        """Copy, and tell how much and how."""

        async def copied() -> None:
            self._tell(await copy(excerpt, self.app.copy_to_clipboard))

        self.run_worker(copied(), group="copy")

    def _open_link(self, text: str) -> None:
        links = links_in(text)
        if not links:
            self._tell("No link in this post that can be opened")
            return
        last, count = self._opened
        number = count % len(links) if last == text else 0
        self._opened = (text, number + 1)
        self.run_worker(self._browse(links[number]), group="open")

    async def _browse(self, url: str) -> None:
        tool = browser_tool(os.environ)
        if tool is not None and await browse(tool, url):
            self._tell(f"Opened {url}")
        else:
            copied = await copy(Excerpt(url, 0, True), self.app.copy_to_clipboard)
            self._tell(f"No browser can be opened from here. {copied}")

    def _tell(self, text: str) -> None:
        self.app.clear_notifications()
        self.notify(text, timeout=4, markup=False)

    # Finding

    def start_finding(self) -> None:
        """Ask what to find; already asked, look further up."""
        if self.find_bar.display:
            self._step(older=True)
            return
        self._end()
        log = self.log_view
        self._stand, self._start_id = log.top_anchor, log.navigator.last_line_in_view()
        self._query = ""
        self.find_bar.open()

    @on(FindBar.Changed)
    def look_for(self, event: FindBar.Changed) -> None:
        event.stop()
        # A key that steps or ends may have come before what was typed earlier.
        query = self.find_bar.text.value
        if self.find_bar.display and query != self._query:
            self._find(query)

    def _find(self, query: str) -> None:
        self._query = query
        pattern = pattern_of(query)
        log = self.log_view
        log.highlights.pattern = pattern
        log.pick(None)
        self._finder = pattern and FindState(log.transcript, pattern, self._start_id)
        self._search_on()

    @on(FindBar.Stepped)
    def step_found(self, event: FindBar.Stepped) -> None:
        event.stop()
        if event.query != self._query:
            self._find(event.query)
        self._step(older=event.older)

    @on(FindBar.Ended)
    def end_search(self, event: FindBar.Ended) -> None:
        event.stop()
        if not event.stay or pattern_of(event.query) is None:
            self._end()
            self.log_view.navigator.go_to(self._stand)
            self.post_message(self.Ended())
            return
        if event.query != self._query:
            self._find(event.query)
        self._staying = True
        self._search_on()

    def _stay(self, finder: FindState) -> None:
        """Be done with typing: go on picking where the search has led to, or else at the server."""
        self._staying = False
        if finder.current is not None:
            self.find_bar.close()
            self.start_picking(finder.current)
            return
        query = self._query
        self._end()
        self.log_view.navigator.go_to(self._stand)
        self.post_message(self.ServerAsked(query))

    def _step(self, *, older: bool) -> None:
        if self._finder is not None and self._finder.is_outdated:
            self._search_on()
        if self._finder is not None and self._finder.step(older=older) is not None:
            self.log_view.pick(self._finder.current)
            self._tell_count(_count_of(self._finder))

    def _search_on(self) -> None:
        """Search for a slice of time, show what came of it, and see to the next slice."""
        if self._next_slice is not None:
            self._next_slice.stop()
            self._next_slice = None
        finder = self._finder
        if finder is None or finder.transcript is not self.log_view.transcript:
            self._finder = None
            self._tell_count("")
            return
        if finder.is_outdated:
            finder = self._finder = self._anew(finder)
        shown, until = finder.current, monotonic() + SLICE_S
        complete = finder.search_some(lambda: monotonic() >= until)
        if finder.current is not None and finder.current != shown:
            self.log_view.pick(finder.current)
        self._tell_count(_count_of(finder))
        if self._staying and (complete or finder.current is not None):
            self._stay(finder)
        if self._finder is not None:
            pause_s = NEWS_PAUSE_S if complete else SLICE_PAUSE_S
            self._next_slice = self.set_timer(pause_s, self._search_on)

    def _anew(self, before: FindState) -> FindState:
        """A search like the one before, from where that has led to: all lines have other ids."""
        log = self.log_view
        log.highlights.follow_renumbering()
        self._stand = None
        self._start_id = log.transcript.settled_id if log.highlights.picked is None else log.highlights.picked
        return FindState(log.transcript, before.pattern, self._start_id)

    def _tell_count(self, count: str) -> None:
        self.find_bar.tell(count)
        self.pick_bar.tell(count)


def _count_of(finder: FindState) -> str:
    """How a search goes, in short."""
    if finder.count:
        return f"{finder.number:,}/{finder.count:,}{'' if finder.is_complete else '…'}"
    return "none · Enter asks the server" if finder.is_complete else "…"
