"""The chat without a screen: lines come in, lines go out, nothing is ever drawn over.

For screen readers, dumb terminals and pipes. Commands, names and what is said about them are those of
the full-screen chat: the same state, the same table.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from time import monotonic
from typing import ClassVar

from broadcast_tui.client.address import Address
from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.errors import InvalidNameError
from broadcast_tui.core.names import check_name
from broadcast_tui.core.session.updates import ConnectionChanged, ConnectionState, Update
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.bookmark_saver import load_ignored, save_ignored
from broadcast_tui.tui.commands.context import ThemeHost
from broadcast_tui.tui.commands.dispatcher import CommandDispatcher
from broadcast_tui.tui.commands.parser import CommandInput, InputError, PostInput, parse
from broadcast_tui.tui.model.ignore_list import IgnoreList
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.model.server_search import ServerSearch, found_lines
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.status import undelivered_text
from broadcast_tui.tui.model.transcript.chunks import Line, LineKind
from broadcast_tui.tui.model.transcript.transcript import RoomTranscript


class _NoThemes:
    """There are no colors to choose."""

    theme = ""
    available_themes: ClassVar[Mapping[str, object]] = {}


FOUND_POSTS = 20


CLOSE_TIMEOUT_S = 2.0


SETTLE_TIMEOUT_S = 10.0
"""How long the end of the input waits for answers to what came before it, and leaving a room for posts."""


TICK_S = 1.0
"""How often what time alone brings is looked for."""


class LineChat:
    """One conversation of `client`, whose name is given. `run` ends it in order."""

    def __init__(
        self,
        client: ClientRequests,
        room: str,
        write: Callable[[str], None],
        *,
        echo: bool,
        preferences: Preferences | None = None,
        mentions: tuple[str, ...] = (),
        token_hint: str = "",
    ) -> None:
        """`write` takes one line, or several, without the last line end; may raise BrokenPipeError.

        Without `echo` our own posts are not written: whoever typed them sees them already. Without
        `preferences` nothing is remembered. `mentions` are words that count as our name does; `token_hint`
        says how to give a token where one is wanted.
        """
        self._preferences = preferences
        self._client = client
        self._token_hint = token_hint
        ignored = IgnoreList() if preferences is None else load_ignored(preferences, client.url)
        self._state = AppState(
            name=client.name, room=room, help_key="", unread_key="", ignored=ignored, keywords=mentions
        )
        self._write = write
        self._texts = PlainText(own=echo)
        self._commands = CommandDispatcher(client, self._state, self)
        self.was_refused = False
        """Whether the server would not have us, for a reason that was written."""
        self._wants_name = False
        self._aside: set[asyncio.Task[str]] = set()
        self._leaving = asyncio.Event()
        self._has_left = False
        self._reason = ""
        self._heard = asyncio.Event()

    async def run(self, lines: AsyncIterator[str]) -> None:
        """Chat until `lines` (of what is typed, with their ends) end, or the user leaves."""
        self._client.start()
        hearing = asyncio.create_task(self._hear())
        typing = asyncio.create_task(self._take(lines))
        leaving = asyncio.create_task(self._leaving.wait())
        ticking = asyncio.create_task(self._tick())
        tasks = {hearing, typing, leaving, ticking}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks - {hearing}:
                task.cancel()
            # From here on it is no news that the connection ends.
            self._has_left = True
            with suppress(TimeoutError):
                await asyncio.wait_for(self._client.close(self._reason), CLOSE_TIMEOUT_S)
            # What was said last is still to be heard.
            await hearing
        if lost := self._client.unacknowledged:
            self.warn(f"{undelivered_text(lost)}.")

    # What commands need: see `desk.CommandContext`

    @property
    def theme_host(self) -> ThemeHost:
        return _NoThemes()

    def say(self, text: str) -> None:
        """Send a post to the room."""
        nonce = self._client.say(self._state.room, text)
        self._state.said(nonce, text, datetime.now(UTC))

    def warn(self, text: str) -> None:
        """Say why something cannot be done."""
        self._write(f"!! {visible_line(text)}")

    def refresh_views(self, *, people: bool = False) -> None:
        """Write what is new."""
        state = self._state
        for view in state.rooms.values():
            place = "" if view is state.shown else visible_line(view.name)
            for text in self._texts.news(view.name, view.transcript, place=place):
                self._write(text)

    def follow_log(self) -> None:
        """The newest line is the last one, always."""

    def show_room(self, room: str) -> None:
        """Write to `room`, and read it without its name before each line."""
        state = self._state
        if room in state.rooms:
            state.show(room, datetime.now(UTC))
            state.stand(True)
            if state.shown.entered:  # else that is told, once we are
                state.print(f"This is #{room} now: what you write goes there.", datetime.now(UTC))
        self.refresh_views()

    def open_search(self, query: str) -> None:
        """Ask the server for the newest posts with all words of `query`."""
        room = self._state.room
        ref = self._client.search(room, query, limit=FOUND_POSTS)
        self._state.search = ServerSearch(room, query, ref)

    def _tell_found(self) -> None:
        """Write what was found, once it is."""
        search = self._state.search
        if search is None or search.ref:
            return
        self._state.search = None
        if search.error:
            self.warn(search.error)
        else:
            self._state.print("\n".join(found_lines(search, datetime.now().astimezone())), datetime.now(UTC))

    def run_in_thread(self, work: Callable[[], str]) -> None:
        """Do what takes a while in a thread, then say what came of it."""
        task = asyncio.create_task(asyncio.to_thread(work))
        self._aside.add(task)
        task.add_done_callback(self._done_aside)

    def _done_aside(self, task: asyncio.Task[str]) -> None:
        self._aside.discard(task)
        self._state.print(task.result(), datetime.now(UTC))
        self.refresh_views()
        self._heard.set()

    def save_notify_level(self, room: str, level: NotifyLevel) -> None:
        """Nothing rings here, in this run or the next."""

    def save_ignore_list(self) -> None:
        """Remember for the next run whom we ignore."""
        if self._preferences is not None:
            save_ignored(self._preferences, self._client.url, self._state.ignored)

    def test_notification(self) -> None:
        """Nothing rings here."""
        self.warn("Notifications are not available in plain mode.")

    def connect_to(self, address: Address) -> None:
        """One conversation is with one server."""
        self.warn(f"Leave, and start again: broadcast-tui chat --plain {address.url}")

    def quit_chat(self, reason: str = "") -> None:
        """Leave the chat; the others are told the reason."""
        self._reason = reason
        self._leaving.set()

    # The two directions

    async def _hear(self) -> None:
        async for batch in self._client.batches():
            self._receive(batch)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if self._state.tick(monotonic(), datetime.now(UTC)):
                self.refresh_views()

    def _receive(self, batch: list[Update]) -> None:
        if self._has_left:
            batch = [update for update in batch if not isinstance(update, ConnectionChanged)]
        changes = self._state.apply(batch, monotonic(), datetime.now(UTC))
        self._heard.set()
        for room in changes.unlisted:
            self._client.list_members(room)
        self._tell_found()
        self.refresh_views()
        if changes.denied is not None:
            self._wants_name = True
            self.warn(f"{changes.denied.reason} Type another name.")
        elif self._state.connection.state is ConnectionState.REFUSED:
            self.was_refused = True
            if self._token_hint and any(getattr(update, "unauthorized", False) for update in batch):
                self.warn(self._token_hint)
            self.quit_chat()

    async def _take(self, lines: AsyncIterator[str]) -> None:
        """Do what each line says, once we are in: who pipes lines in does not know when that is."""
        await self._until(lambda: self._state.shown.entered or self._wants_name)
        async for line in lines:
            text = line.rstrip("\r\n")
            if not text.strip():
                continue
            if self._wants_name:
                self._rename(text)
            else:
                await self._do(text)
        await self._wait_until(self._is_settled)

    def _is_settled(self) -> bool:
        """Whether everything that was sent and asked has its answer."""
        return (
            not self._aside
            and not self._state.search
            and not any(view.transcript.pending_count or view.who_ref for view in self._state.rooms.values())
        )

    def _has_delivered(self) -> bool:
        """Whether no post is on its way; without a connection none is."""
        views = self._state.rooms.values()
        is_online = self._state.connection.state is ConnectionState.ONLINE
        return not is_online or not any(view.transcript.pending_count for view in views)

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for answers, but not for ever."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._until(condition), SETTLE_TIMEOUT_S)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._heard.clear()
            await self._heard.wait()

    async def _do(self, text: str) -> None:
        match parse(text):
            case PostInput(text=post):
                self.say(post)
            case CommandInput(command=command, argument=argument):
                if command.name == "part":
                    # Posts to a room that was left are refused, also those said just before.
                    await self._wait_until(self._has_delivered)
                self._commands.execute(command, argument)
            case InputError(text=why):
                self.warn(why)

    def _rename(self, name: str) -> None:
        try:
            self._client.rename(check_name(name))
        except InvalidNameError as refused:
            self.warn(refused.text)
        else:
            self._wants_name = False


_INDENT = "\n      "


class PlainText:
    """Says of each transcript what has come since it was asked last."""

    def __init__(self, zone: tzinfo | None = None, *, own: bool = True) -> None:
        """Times are of `zone` (None: here). Without `own`, our own posts are left out."""
        self._zone = zone
        self._own = own
        self._said: dict[str, tuple[int, int]] = {}
        """Of each room, how often it was laid anew, and up to before which line it was told."""

    def news(self, room: str, transcript: RoomTranscript, *, place: str = "") -> Iterator[str]:
        """The new lines of `room`, each with `place` before it if that is not empty.

        When all are laid anew, to hide or show somebody, only the last one, which says so, is new.
        """
        end = transcript.settled_id
        laid_count, start = self._said.get(room, (transcript.laid_count, 0))
        start = end - 1 if laid_count != transcript.laid_count else max(start, transcript.first_id)
        last = transcript.line(end - 1)
        if last is not None and last.kind is LineKind.PRESENCE:
            end = max(start, end - 1)
        self._said[room] = transcript.laid_count, end
        for line_id in range(start, end):
            line = transcript.line(line_id)
            if line is not None and line.text and (self._own or not line.own):
                yield self._text(line, f"#{place} " if place else "")

    def _text(self, line: Line, place: str) -> str:
        text = line.text.replace("\n", _INDENT)
        match line.kind:
            case LineKind.SYSTEM | LineKind.PRESENCE | LineKind.DAY:
                return f"-- {place}{text}"
            case LineKind.ERROR:
                return f"!! {place}{text}"
        time = f"{datetime.fromtimestamp(line.at, self._zone):%H:%M}"
        mark = "! " if line.mention else ""
        who = f"* {line.sender} " if line.kind is LineKind.ACTION else f"{line.sender}: "
        return f"{time} {place}{mark}{who}{text}"
