"""The chat without a screen, for screen readers, dumb terminals and pipes (`chat --plain`).

Reads lines and writes lines. Commands, names and messages are the same as in the full-screen chat, because
both use the same state and the same command table.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from functools import partial
from time import monotonic
from typing import ClassVar

from broadcast_tui.client.address import Address
from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.errors import InvalidNameError
from broadcast_tui.core.names import check_name
from broadcast_tui.core.protocol.commands import Question
from broadcast_tui.core.session.updates import (
    ConnectionChanged,
    ConnectionState,
    DisconnectCause,
    Update,
    Withdrawn,
)
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.bookmark_saver import load_ignored, save_ignored
from broadcast_tui.tui.commands.context import ThemeHost
from broadcast_tui.tui.commands.directs import follow_openings
from broadcast_tui.tui.commands.dispatcher import CommandDispatcher
from broadcast_tui.tui.commands.parser import CommandInput, InputError, PostInput, parse
from broadcast_tui.tui.invites import InviteMaker, invite_lines, link_to
from broadcast_tui.tui.model.ignore_list import IgnoreList
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.model.post_lines import question_line, rejection_text, reply_prefix
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.rooms import RoomSet
from broadcast_tui.tui.model.server_search import ServerSearch, result_lines
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.status import undelivered_text
from broadcast_tui.tui.model.transcript.chunks import Line, LineKind
from broadcast_tui.tui.post_printer import PostPrinter


class _NoThemes:
    """Theme host of a chat without colors."""

    theme = ""
    available_themes: ClassVar[Mapping[str, object]] = {}


SEARCH_RESULTS_MAX = 20
ANSWER_TIMEOUT_S = 10.0
"""Limit for answers that the end of the input waits for, and for posts that leaving a room waits for."""
TICK_S = 1.0
"""Interval of changes that depend on time only, such as the end of an ignore."""
_INDENT = "\n      "


class LineChat:
    """A chat with one server, from `run` to the end of the input or /quit.

    Args:
        client: A client that has a name and is not started.
        room: Room to write to first.
        write: Writes one or more lines, given without the last line end; can raise BrokenPipeError.
        echo: Whether to write our own posts, which are already visible to a user who types them.
        preferences: Saved choices; None to load and save nothing.
        mentions: Words that count as mentions, in addition to the name.
        advice: What the user can do about causes of a rejected connection.
        connect_timeout_s: Time to reach the server; None to keep trying, for a user who can end the chat.
        kiosk: See `AppState.is_kiosk`.
        make_invite: Makes the invites of /invite.
    """

    def __init__(
        self,
        client: ClientRequests,
        room: str,
        write: Callable[[str], None],
        *,
        echo: bool,
        preferences: Preferences | None = None,
        mentions: tuple[str, ...] = (),
        advice: Mapping[DisconnectCause, str] | None = None,
        connect_timeout_s: float | None = None,
        kiosk: bool = False,
        make_invite: InviteMaker = link_to,
    ) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._preferences = preferences
        self._make_invite = make_invite
        self._client = client
        ignored = IgnoreList() if preferences is None else load_ignored(preferences, client.url)
        self._state = AppState(
            RoomSet(room, ignored=ignored, unread_key=""),
            client.name,
            help_key="",
            has_header=False,
            keywords=mentions,
            advice=advice or {},
            is_kiosk=kiosk,
        )
        self._write = write
        self._formatter = LineFormatter(own=echo)
        self._commands = CommandDispatcher(client, self._state, self)
        self._posts = PostPrinter(client, self._state, self._print_in, self.warn, self._report)
        self.has_failed = False
        """Whether the server was not reached or rejected the connection, for a reason that was written, or
        posts were not delivered."""
        self._needs_name = False
        self._threads: set[asyncio.Task[str]] = set()
        self._quitting = asyncio.Event()
        self._is_closing = False
        self._quit_reason = ""
        self._updated = asyncio.Event()

    async def run(self, lines: AsyncIterator[str]) -> None:
        """Chat until `lines`, the input with line ends, is exhausted or the user quits."""
        self._client.start()
        receiving = asyncio.create_task(self._receive_batches())
        typing = asyncio.create_task(self._handle_lines(lines))
        quitting = asyncio.create_task(self._quitting.wait())
        ticking = asyncio.create_task(self._tick())
        tasks = {receiving, typing, quitting, ticking}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks - {receiving}:
                task.cancel()
            # From here on, do not report that the connection ends.
            self._is_closing = True
            await self._client.close(self._quit_reason)
            # Write the posts that arrive until the connection is closed.
            await receiving
        if lost := self._client.unacknowledged:
            self.has_failed = True
            self.warn(f"{undelivered_text(lost)}.")

    # CommandContext

    @property
    def theme_host(self) -> ThemeHost:
        return _NoThemes()

    @property
    def post_context(self) -> PostPrinter:
        return self._posts

    def say(self, text: str, *, re: str = "", ask: Question | None = None) -> None:
        """Send a post to the current room."""
        if not re and ask is None and self._state.directs.hold(text):
            return
        nonce = self._client.say(self._state.rooms.shown_name, text, re=re, ask=ask)
        self._state.add_own_post(nonce, text, datetime.now(UTC), re=re)

    def warn(self, text: str) -> None:
        """Write a warning."""
        self._write(f"!! {visible_line(text)}")

    def refresh_views(self, *, people: bool = False) -> None:
        """Write the new lines of all rooms."""
        state = self._state
        for view in state.rooms.joined.values():
            label = "" if view is state.rooms.shown else view.label
            for text in self._formatter.new_lines(view, state.name, label=label):
                self._write(text)

    def follow_log(self) -> None:
        """Do nothing: the newest line is always the last one."""

    def show_room(self, room: str) -> None:
        """Send posts to `room`, and write its lines without its name."""
        state = self._state
        if room in state.rooms.joined:
            state.rooms.show(room, datetime.now(UTC))
            state.rooms.set_at_end(True)
            if state.rooms.shown.entered:  # otherwise joining it is reported later
                state.print(f"Now in {state.rooms.shown.label}. Your messages go there.", datetime.now(UTC))
        self.refresh_views()

    def open_search(self, query: str) -> None:
        """Search the current room on the server for posts with all words of `query`."""
        room = self._state.rooms.shown_name
        ref = self._client.search(room, query, limit=SEARCH_RESULTS_MAX)
        self._state.search = ServerSearch(room, query, ref)

    def _print_search_results(self) -> None:
        """Print the results of a search once they have arrived."""
        search = self._state.search
        if search is None or search.ref:
            return
        self._state.search = None
        if search.error:
            self.warn(search.error)
        else:
            self._posts.remember(search.posts)
            self._state.print("\n".join(result_lines(search, datetime.now().astimezone())), datetime.now(UTC))

    def run_in_thread(self, work: Callable[[], str]) -> None:
        """Run blocking `work` in a thread, then print the line it returns."""
        task = asyncio.create_task(asyncio.to_thread(work))
        self._threads.add(task)
        task.add_done_callback(self._print_thread_result)

    def _print_thread_result(self, task: asyncio.Task[str]) -> None:
        self._threads.discard(task)
        self._state.print(task.result(), datetime.now(UTC))
        self.refresh_views()
        self._updated.set()

    def save_notify_level(self, room: str, level: NotifyLevel) -> None:
        """Do nothing: there are no notifications in plain mode."""

    def save_ignore_list(self) -> None:
        """Save the ignore list for the next run."""
        if self._preferences is not None:
            save_ignored(self._preferences, self._client.url, self._state.rooms.ignored)

    def test_notification(self) -> None:
        """Write that there are no notifications."""
        self.warn("Notifications are not available in plain mode.")

    def connect_to(self, address: Address) -> None:
        """Write how to connect to another server, which plain mode cannot do in the same run."""
        self.warn(f"To switch servers, quit and run: broadcast-tui chat --plain {address.url}")

    def open_invite(self, name: str) -> None:
        """Print an invite to the current room, or why there is none."""
        room = self._state.rooms.shown_name
        self.run_in_thread(partial(invite_lines, self._make_invite, self._client.url, room, name))

    def quit_chat(self, reason: str = "") -> None:
        """Quit, with `reason` in the leave message."""
        self._quit_reason = reason
        self._quitting.set()

    # Updates from the client

    async def _receive_batches(self) -> None:
        async for batch in self._client.batches():
            start = 0
            for number, update in enumerate(batch):
                if isinstance(update, Withdrawn):
                    self._receive(batch[start:number])  # written before lines are removed
                    start = number
            self._receive(batch[start:])

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if self._state.tick(monotonic(), datetime.now(UTC)):
                self.refresh_views()

    def _receive(self, batch: list[Update]) -> None:
        if self._is_closing:
            batch = [update for update in batch if not isinstance(update, ConnectionChanged)]
        before = self._posts.known(batch)
        changes = self._state.apply(batch, monotonic(), datetime.now(UTC))
        self._posts.handle(batch, before, datetime.now().astimezone())
        for rejected in changes.rejected_notes:
            self.warn(rejection_text(rejected))
            if rejected.text:
                self.warn(f"Your text was: {rejected.text}")
        self._updated.set()
        for room in changes.rooms_to_list:
            self._client.list_members(room)
        follow_openings(self._client, self._state, self, changes.directs)
        self._print_search_results()
        self._commands.follow()
        self.refresh_views()
        if changes.denied is not None and self._state.is_kiosk:
            self.has_failed = True
            self.warn(changes.denied.reason)
            self.quit_chat()
        elif changes.denied is not None:
            self._needs_name = True
            self.warn(f"{changes.denied.reason} Enter another name.")
        elif self._state.connection.state is ConnectionState.REFUSED:
            self.has_failed = True
            self.quit_chat()

    def _report(self, text: str) -> None:
        self._write(f"-- {visible_line(text)}")

    def _print_in(self, room: str, lines: list[str]) -> None:
        """Print lines in a room."""
        if room in self._state.rooms.joined:
            self._state.rooms.get(room).transcript.add_system("\n".join(lines), datetime.now(UTC))

    # Lines from the user

    async def _handle_lines(self, lines: AsyncIterator[str]) -> None:
        """Handle each line, but none before we have joined: a pipe does not wait for that."""
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await self._until(lambda: self._state.rooms.shown.entered or self._needs_name)
        except TimeoutError:
            self.has_failed = True
            self.warn(f"No connection to {self._client.url} within {self._connect_timeout_s:g} s.")
            return
        async for line in lines:
            text = line.rstrip("\r\n")
            if not text.strip():
                continue
            if self._needs_name:
                self._rename(text)
            else:
                await self._handle_line(text)
        await self._wait_until(self._has_all_answers)
        if self._state.directs.is_waiting:
            self.has_failed = True
            self.warn("A direct message was not sent: the server did not reply.")

    def _has_all_answers(self) -> bool:
        """Whether no post, search, member list or thread is pending."""
        return (
            not self._threads
            and not self._state.search
            and not self._state.export
            and not self._posts.is_waiting
            and not self._state.directs.is_waiting
            and not self._state.pending_count
            and not any(view.who_ref for view in self._state.rooms.joined.values())
        )

    def _has_delivered(self) -> bool:
        """Whether no post is in transit; without a connection none is."""
        return not self._state.is_online or not self._state.pending_count

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for `condition`, but `ANSWER_TIMEOUT_S` at most."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._until(condition), ANSWER_TIMEOUT_S)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._updated.clear()
            await self._updated.wait()

    async def _handle_line(self, text: str) -> None:
        # The next line is meant for the conversation that the last one opens.
        await self._wait_until(lambda: not self._state.directs.is_waiting)
        match parse(text, kiosk=self._state.is_kiosk):
            case PostInput(text=post):
                self.say(post)
            case CommandInput(command=command, argument=argument):
                if command.name == "part":
                    # The server rejects posts that reach it after we left, even if written before.
                    await self._wait_until(self._has_delivered)
                self._commands.execute(command, argument)
            case InputError(text=reason):
                self.warn(reason)

    def _rename(self, name: str) -> None:
        try:
            self._client.rename(check_name(name))
        except InvalidNameError as error:
            self.warn(error.text)
        else:
            self._needs_name = False


class LineFormatter:
    """Formats transcript lines as plain text and returns each of them once.

    Args:
        zone: Time zone of the times; None is the local one.
        own: Whether to include our own posts.
    """

    def __init__(self, zone: tzinfo | None = None, *, own: bool = True) -> None:
        self._zone = zone
        self._own = own
        self._progress: dict[str, tuple[int, int]] = {}
        """By room: the transcript's layout count, and the ID after the last line returned."""

    def new_lines(self, room: RoomModel, own_name: str = "", *, label: str = "") -> Iterator[str]:
        """Yield the new lines of `room`, each with `label` in front if that is not empty.

        Below a question that the user, `own_name`, was asked, a line says how to answer it.

        When the transcript was laid out again, because posts are hidden, shown or lost, only the lines added
        since are new. A summary of joins and leaves that can still change is yielded once another
        line follows it.
        """
        transcript = room.transcript
        end = transcript.next_id
        rebuild_count, start = self._progress.get(room.name, (transcript.rebuild_count, 0))
        is_rebuilt = rebuild_count != transcript.rebuild_count
        start = max(transcript.rebuilt_id if is_rebuilt else start, transcript.first_id)
        if transcript.growing_id is not None:
            end = max(start, end - 1)
        self._progress[room.name] = transcript.rebuild_count, end
        for line_id in range(start, end):
            line = transcript.line(line_id)
            if line is not None and line.text and (self._own or not line.own):
                yield self._format(line, f"{label} " if label else "", room, own_name)

    def _format(self, line: Line, prefix: str, room: RoomModel, own_name: str) -> str:
        text = line.text.replace("\n", _INDENT)
        match line.kind:
            case LineKind.SYSTEM | LineKind.PRESENCE | LineKind.DAY:
                return f"-- {prefix}{text}"
            case LineKind.ERROR:
                return f"!! {prefix}{text}"
        time = f"{datetime.fromtimestamp(line.at, self._zone):%H:%M}"
        mark = "! " if line.mention else ""
        who = f"* {line.sender} " if line.kind is LineKind.ACTION else f"{line.sender}: "
        if line.details is None:
            return f"{time} {prefix}{mark}{who}{text}"
        reply = reply_prefix(line, room)
        question = question_line(line, room, own_name)
        return f"{time} {prefix}{mark}{who}{reply}{text}{f'{_INDENT}{question}' if question else ''}"
