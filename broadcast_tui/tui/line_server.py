"""One server of the chat without a screen: its state, its commands, and what it writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from time import monotonic
from typing import ClassVar, Protocol

from broadcast_tui.client.address import Address
from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.errors import InvalidNameError
from broadcast_tui.core.names import check_name
from broadcast_tui.core.protocol.commands import Question
from broadcast_tui.core.session.updates import (
    ConnectionChanged,
    ConnectionState,
    NameChanged,
    NameDenied,
    Update,
    Withdrawn,
)
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.bookmark_saver import save_ignored
from broadcast_tui.tui.commands.context import ThemeHost
from broadcast_tui.tui.commands.directs import follow_openings
from broadcast_tui.tui.commands.dispatcher import CommandDispatcher
from broadcast_tui.tui.commands.parser import CommandInput, InputError, PostInput, parse
from broadcast_tui.tui.invites import InviteMaker, invite_lines
from broadcast_tui.tui.line_formatter import LineFormatter
from broadcast_tui.tui.missing import request_missing
from broadcast_tui.tui.model.notifications import NotifyLevel
from broadcast_tui.tui.model.post_lines import rejection_text
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.server_search import ServerSearch, result_lines
from broadcast_tui.tui.model.servers import Place, Server, ServerSet
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.text.emoji import with_emoji
from broadcast_tui.tui.model.transcript.log_options import TimeFormat
from broadcast_tui.tui.post_printer import PostPrinter


class _NoThemes:
    """Theme host of a chat without colors."""

    theme = ""
    available_themes: ClassVar[Mapping[str, object]] = {}

    def __init__(self, state: AppState) -> None:
        self._state = state

    def action_open_settings(self) -> None:
        lines = self._state.settings.lines(plain=True)
        self._state.print("\n".join((*lines, "/set NAME VALUE changes one.")), datetime.now(UTC))


SEARCH_RESULTS_MAX = 20


class LineHost(Protocol):
    """What a server needs of the chat that it belongs to."""

    @property
    def servers(self) -> ServerSet: ...

    def write(self, text: str) -> None:
        """Write one or more lines, given without the last line end."""
        ...

    def show_place(self, place: Place) -> None:
        """Send posts to a joined room of any server."""
        ...

    def connect_to(self, address: Address) -> None:
        """Connect to another server as well."""
        ...

    def leave_server(self, server: Server) -> None:
        """Disconnect from a server."""
        ...

    def quit_chat(self, reason: str = "") -> None:
        """Quit, with `reason` in the leave message."""
        ...

    def updated(self) -> None:
        """The state of a server has changed."""
        ...

    def refused(self, server: LineServer) -> None:
        """A server has rejected the connection; the reason was written."""
        ...


class LineServer:
    """The `CommandContext` of a server.

    Args:
        client: A client that has a name and is not started.
        state: Its state.
        host: The chat.
        echo: Whether to write our own posts, which are already visible to a user who types them.
        preferences: Saved choices; None to save nothing.
        make_invite: Makes the invites of /invite.
    """

    def __init__(
        self,
        client: ClientRequests,
        state: AppState,
        host: LineHost,
        *,
        echo: bool,
        preferences: Preferences | None,
        make_invite: InviteMaker,
    ) -> None:
        self.client = client
        self.state = state
        self.server = Server(client.url, state)
        state.server_label = lambda: self.servers.label(self.server)
        self.denied: NameDenied | None = None
        """The rejected name, while the next line is another one."""
        self.is_closing = False
        """Whether to write no more about the connection."""
        self._host = host
        self._preferences = preferences
        self._make_invite = make_invite
        self._formatter = LineFormatter(own=echo, settings=state.settings)
        self._commands = CommandDispatcher(client, state, self)
        self._posts = PostPrinter(client, state, self._print_in, self.warn, self._report)
        self._threads: set[asyncio.Task[str]] = set()

    # CommandContext

    @property
    def theme_host(self) -> ThemeHost:
        return _NoThemes(self.state)

    @property
    def post_context(self) -> PostPrinter:
        return self._posts

    @property
    def servers(self) -> ServerSet:
        return self._host.servers

    def say(self, text: str, *, re: str = "", ask: Question | None = None) -> None:
        """Send a post to the current room."""
        text = with_emoji(text)
        if not re and ask is None and self.state.directs.hold(text):
            return
        nonce = self.client.say(self.state.rooms.shown_name, text, re=re, ask=ask)
        self.state.add_own_post(nonce, text, datetime.now(UTC), re=re)

    def warn(self, text: str) -> None:
        """Write a warning."""
        self._host.write(f"!! {self._prefix}{visible_line(text)}")

    def refresh_views(self, *, people: bool = False) -> None:
        """Write the new lines of all rooms."""
        for room in self.state.rooms.joined.values():
            for text in self._formatter.new_lines(room, self.state.name, label=self._label(room)):
                self._host.write(text)

    def follow_log(self) -> None:
        """Do nothing: the newest line is always the last one."""

    def show_room(self, room: str) -> None:
        """Send posts to `room`, and write its lines without its name."""
        if not self._is_shown:
            self.state.rooms.show(room, datetime.now(UTC))
        elif room in self.state.rooms.joined:
            self.show_place(Place(self.server, room))
        else:
            self.refresh_views()

    def show_place(self, place: Place) -> None:
        """Send posts to a joined room of any server."""
        self._host.show_place(place)

    def open_search(self, query: str) -> None:
        """Search the current room on the server for posts with all words of `query`."""
        room = self.state.rooms.shown_name
        ref = self.client.search(room, query, limit=SEARCH_RESULTS_MAX)
        self.state.search = ServerSearch(room, query, ref)

    def run_in_thread(self, work: Callable[[], str]) -> None:
        """Run blocking `work` in a thread, then print the line it returns."""
        task = asyncio.create_task(asyncio.to_thread(work))
        self._threads.add(task)
        task.add_done_callback(self._print_thread_result)

    def save_notify_level(self, room: str, level: NotifyLevel) -> None:
        """Do nothing: there are no notifications in plain mode."""

    def save_ignore_list(self) -> None:
        """Save the ignore list for the next run."""
        if self._preferences is not None:
            save_ignored(self._preferences, self.client.url, self.state.rooms.ignored)

    def test_notification(self) -> None:
        """Write that there are no notifications."""
        self.warn("Notifications are not available in plain mode.")

    def connect_to(self, address: Address) -> None:
        """Connect to another server as well."""
        self._host.connect_to(address)

    def leave_server(self, server: Server) -> None:
        """Disconnect from a server that is not the only one."""
        self._host.leave_server(server)

    def open_invite(self, name: str) -> None:
        """Print an invite to the current room, or why there is none."""
        room = self.state.rooms.shown_name
        self.run_in_thread(partial(invite_lines, self._make_invite, self.client.url, room, name))

    def quit_chat(self, reason: str = "") -> None:
        """Quit, with `reason` in the leave message."""
        self._host.quit_chat(reason)

    # For the chat

    @property
    def has_all_answers(self) -> bool:
        """Whether no post, search, member list or thread is pending."""
        state = self.state
        return (
            not self._threads
            and not state.search
            and not state.export
            and not self._posts.is_waiting
            and not state.directs.is_waiting
            and not state.pending_count
            and not any(room.who_ref for room in state.rooms.joined.values())
        )

    @property
    def has_delivered(self) -> bool:
        """Whether no post is in transit; without a connection none is."""
        return not self.state.is_online or not self.state.pending_count

    async def receive_batches(self) -> None:
        """Apply the updates of the client, and write what they change, until the client is closed."""
        async for batch in self.client.batches():
            start = 0
            for number, update in enumerate(batch):
                if isinstance(update, Withdrawn):
                    self._receive(batch[start:number])  # written before lines are removed
                    start = number
            self._receive(batch[start:])

    def tick(self) -> None:
        """Apply changes that depend on time only."""
        if self.state.tick(monotonic(), datetime.now(UTC)):
            self.refresh_views()

    def print_shown(self) -> None:
        """After `servers` has changed: write which room is shown, unless joining it is reported later."""
        if self.state.rooms.shown.entered:
            name = self.servers.label(self.server)
            where = f" on {name}" if name else ""
            text = f"Now in {self.state.rooms.shown.label}{where}. Your messages go there."
            self.state.print(text, datetime.now(UTC))
        self.refresh_views()
        self.ask_if_denied()

    def ask_if_denied(self) -> None:
        """Ask for another name if the server has rejected the user's."""
        if self.denied is not None:
            self.warn(f"{self.denied.reason} Enter another name.")

    def rename(self, name: str) -> None:
        """Use another name after one was rejected."""
        try:
            self.client.rename(check_name(name))
        except InvalidNameError as error:
            self.warn(error.text)
        else:
            self.denied = None

    def execute(self, text: str) -> None:
        """Send a post, or execute a command."""
        match parse(text, kiosk=self.state.is_kiosk):
            case PostInput(text=post):
                self.say(post)
            case CommandInput(command=command, argument=argument):
                self._commands.execute(command, argument)
            case InputError(text=reason):
                self.warn(reason)

    @property
    def _is_shown(self) -> bool:
        return self.servers.shown is self.server

    @property
    def _prefix(self) -> str:
        """The name of the server and a colon, if it is not the one that posts go to."""
        return "" if self._is_shown else f"{self.servers.name(self.server)}: "

    def _label(self, room: RoomModel) -> str:
        """What is written before the lines of a room: its name, with that of its server if there are several.

        Empty for the room that posts go to.
        """
        if room is self.state.rooms.shown and self._is_shown:
            return ""
        server = self.servers.label(self.server)
        return f"{server}/{room.label}" if server else room.label

    def _print_thread_result(self, task: asyncio.Task[str]) -> None:
        self._threads.discard(task)
        self.state.print(task.result(), datetime.now(UTC))
        self.refresh_views()
        self._host.updated()

    def _print_search_results(self) -> None:
        """Print the results of a search once they have arrived."""
        search = self.state.search
        if search is None or search.ref:
            return
        self.state.search = None
        if search.error:
            self.warn(search.error)
        else:
            self._posts.remember(search.posts)
            time_format = TimeFormat(self.state.settings["time"])
            lines = result_lines(search, datetime.now().astimezone(), time_format)
            self.state.print("\n".join(lines), datetime.now(UTC))

    def _receive(self, batch: list[Update]) -> None:
        if self.is_closing:
            batch = [update for update in batch if not isinstance(update, ConnectionChanged)]
        before = self._posts.known(batch)
        changes = self.state.apply(batch, monotonic(), datetime.now(UTC))
        self._posts.handle(batch, before, datetime.now().astimezone())
        if self._preferences is not None and any(isinstance(update, NameChanged) for update in batch):
            self._preferences.name = self.state.name
            self._preferences.save()
        for error in changes.errors:
            self.warn(error)
        for rejected in changes.rejected_notes:
            self.warn(rejection_text(rejected))
            if rejected.text:
                self.warn(f"Your text was: {rejected.text}")
        self._host.updated()
        request_missing(self.client, self.state, changes)
        follow_openings(self.client, self.state, self, changes.directs)
        self._print_search_results()
        self._commands.follow()
        self.refresh_views()
        if changes.denied is not None and self.state.is_kiosk:
            self.warn(changes.denied.reason)
            self._host.refused(self)
        elif changes.denied is not None:
            self.denied = changes.denied
            if self._is_shown:
                self.ask_if_denied()
        elif self.state.connection.state is ConnectionState.REFUSED and self.denied is None:
            self._host.refused(self)

    def _report(self, text: str) -> None:
        self._host.write(f"-- {self._prefix}{visible_line(text)}")

    def _print_in(self, room: str, lines: list[str]) -> None:
        """Print lines in a room."""
        if room in self.state.rooms.joined:
            self.state.rooms.get(room).transcript.add_system("\n".join(lines), datetime.now(UTC))
