"""The chat without a screen, for screen readers, dumb terminals and pipes (`chat --plain`).

Reads lines and writes lines. Commands, names and messages are the same as in the full-screen chat, because
both use the same state and the same command table.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

from broadcast_tui.client.address import Address
from broadcast_tui.client.requests import ClientRequests
from broadcast_tui.client.storage.preferences import Preferences
from broadcast_tui.core.errors import BroadcastError
from broadcast_tui.core.session.updates import DisconnectCause
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.bookmark_saver import load_ignored
from broadcast_tui.tui.commands.parser import CommandInput, parse
from broadcast_tui.tui.invites import InviteMaker, link_to
from broadcast_tui.tui.line_server import LineServer
from broadcast_tui.tui.model.ignore_list import IgnoreList
from broadcast_tui.tui.model.rooms import RoomSet
from broadcast_tui.tui.model.servers import Place, Server, ServerSet
from broadcast_tui.tui.model.settings import Fixed
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.model.status import undelivered_text
from broadcast_tui.tui.saved_settings import load_settings, save_setting

ANSWER_TIMEOUT_S = 10.0
"""Limit for answers that the end of the input waits for, and for posts that leaving a room waits for."""
TICK_S = 1.0
"""Interval of changes that depend on time only, such as the end of an ignore."""


class LineChat:
    """A chat from `run` to the end of the input or /quit, at first with one server.

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
        elsewhere: Creates a client for another server and a name; without it, /connect is rejected.
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
        elsewhere: Callable[[Address, str], ClientRequests] | None = None,
        fixed: Mapping[str, Fixed] | None = None,
    ) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._preferences = preferences
        self._settings = load_settings(preferences, fixed or {})
        if preferences is not None:
            self._settings.watch(partial(save_setting, preferences, self._settings))
        self._make_invite = make_invite
        self._make_client = elsewhere
        self._mentions = mentions
        self._advice = advice or {}
        self._is_kiosk = kiosk
        self._echo = echo
        self.write = write
        first = self._line_server(client, room)
        self.servers = ServerSet([first.server])
        self._all = [first]
        self.has_failed = False
        """Whether the server was not reached or rejected the connection, for a reason that was written, or
        posts were not delivered."""
        self._quitting = asyncio.Event()
        self._is_closing = False
        self._quit_reason = ""
        self._updated = asyncio.Event()
        self._receiving: dict[LineServer, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def run(self, lines: AsyncIterator[str]) -> None:
        """Chat until `lines`, the input with line ends, is exhausted or the user quits."""
        for server in self._all:
            self._start(server)
        typing = asyncio.create_task(self._handle_lines(lines))
        quitting = asyncio.create_task(self._quitting.wait())
        ticking = asyncio.create_task(self._tick())
        tasks = {typing, quitting, ticking}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            # From here on, do not report that the connection ends.
            self._is_closing = True
            for server in self._all:
                server.is_closing = True
            await asyncio.gather(*(server.client.close(self._quit_reason) for server in self._all))
            # Write the posts that arrive until the connections are closed.
            await asyncio.gather(*self._receiving.values(), *self._leaving)
        if lost := sum(server.client.unacknowledged for server in self._all):
            self.has_failed = True
            self.warn(f"{undelivered_text(lost)}.")

    def add_server(self, address: Address) -> None:
        """Connect to another server as well, before or during `run`."""
        self._open(address)

    def warn(self, text: str) -> None:
        """Write a warning."""
        self.write(f"!! {visible_line(text)}")

    # LineHost

    def show_place(self, place: Place) -> None:
        """Send posts to a joined room of any server, and write its lines without its name."""
        self.servers.show(place, datetime.now(UTC))
        place.server.state.rooms.set_at_end(True)
        self._shown.print_shown()

    def connect_to(self, address: Address) -> None:
        """Connect to another server as well, or go to it."""
        room, existing = address.explicit_room, self.servers.at(address.url)
        if existing is not None and not room:
            self.warn("Already connected to this server. Use /join to enter a room.")
        server = self._of(existing) if existing is not None else self._open(address)
        if server is None:
            return
        rooms = server.state.rooms
        if room and room not in rooms.joined:
            rooms.enter(room)
            server.client.join(room)
        self.show_place(Place(server.server, room or rooms.shown_name))

    def leave_server(self, server: Server) -> None:
        """Disconnect from a server, which is not the only one."""
        leaving, name = self._of(server), self.servers.name(server)
        if server is self.servers.shown:
            self.show_place(self.servers.place_of(self.servers.next_to(server)))
        self.servers.remove(server)
        self._all.remove(leaving)
        server.state.close()
        leaving.is_closing = True
        self._leaving.add(task := asyncio.create_task(self._close(leaving, name)))
        task.add_done_callback(self._leaving.discard)
        self._save_servers()

    def quit_chat(self, reason: str = "") -> None:
        """Quit, with `reason` in the leave message."""
        self._quit_reason = reason
        self._quitting.set()

    def updated(self) -> None:
        """The state of a server has changed."""
        self._updated.set()

    def refused(self, server: LineServer) -> None:
        """A server has rejected the connection. The chat ends unless there are others."""
        self.has_failed = True
        if len(self._all) == 1:
            self.quit_chat()

    # Servers

    @property
    def _shown(self) -> LineServer:
        return self._of(self.servers.shown)

    def _of(self, server: Server) -> LineServer:
        return next(each for each in self._all if each.server is server)

    def _line_server(self, client: ClientRequests, room: str) -> LineServer:
        preferences = self._preferences
        ignored = IgnoreList() if preferences is None else load_ignored(preferences, client.url)
        state = AppState(
            RoomSet(room, ignored=ignored, unread_key=""),
            client.name,
            help_key="",
            has_header=False,
            keywords=self._mentions,
            advice=self._advice,
            is_kiosk=self._is_kiosk,
            settings=self._settings,
        )
        return LineServer(
            client, state, self, echo=self._echo, preferences=preferences, make_invite=self._make_invite
        )

    def _open(self, address: Address) -> LineServer | None:
        """Add a server; None, after a warning, if that is not possible."""
        if self._make_client is None:
            self.warn("This chat cannot connect to other servers.")
            return None
        try:
            client = self._make_client(address, self._shown.client.name)
        except BroadcastError as error:
            self.warn(str(error))
            return None
        server = self._line_server(client, address.room)
        self._all.append(server)
        self.servers.add(server.server)
        if self._receiving:
            self._start(server)
        self._save_servers()
        return server

    def _start(self, server: LineServer) -> None:
        server.client.start()
        task = self._receiving[server] = asyncio.create_task(server.receive_batches())
        task.add_done_callback(self._handle_end)

    def _handle_end(self, task: asyncio.Task[None]) -> None:
        """End the chat if the updates of a server cannot be written."""
        if not task.cancelled() and task.exception() is not None:
            self._quitting.set()

    async def _close(self, server: LineServer, name: str) -> None:
        await server.client.close()
        await self._receiving.pop(server)
        if lost := server.client.unacknowledged:
            self.has_failed = True
            self.warn(f"{undelivered_text(lost)} to {name}.")
        else:
            self.write(f"-- Disconnected from {name}. /connect returns.")

    def _save_servers(self) -> None:
        """Save the servers for the next run."""
        if self._preferences is not None:
            self._preferences.servers = tuple(server.client.url for server in self._all)
            self._preferences.save()

    # Lines from the user

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            for server in self._all:
                server.tick()

    async def _handle_lines(self, lines: AsyncIterator[str]) -> None:
        """Handle each line, but none before we have joined: a pipe does not wait for that."""
        first = self._shown
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await self._until(lambda: first.state.rooms.shown.entered or first.denied is not None)
        except TimeoutError:
            self.has_failed = True
            self.warn(f"No connection to {first.client.url} within {self._connect_timeout_s:g} s.")
            return
        async for line in lines:
            text = line.rstrip("\r\n")
            if not text.strip():
                continue
            if self._shown.denied is not None:
                self._shown.rename(text)
            else:
                await self._handle_line(text)
        await self._wait_until(lambda: all(server.has_all_answers for server in self._all))
        if any(server.state.directs.is_waiting for server in self._all):
            self.has_failed = True
            self.warn("A direct message was not sent: the server did not reply.")

    async def _handle_line(self, text: str) -> None:
        server = self._shown
        # The next line is meant for the conversation that the last one opens.
        await self._wait_until(lambda: not server.state.directs.is_waiting)
        parsed = parse(text, kiosk=self._is_kiosk)
        if isinstance(parsed, CommandInput) and parsed.command.name == "part":
            # The server rejects posts that reach it after we left, even if written before.
            await self._wait_until(lambda: server.has_delivered)
        server.execute(text)

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for `condition`, but `ANSWER_TIMEOUT_S` at most."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._until(condition), ANSWER_TIMEOUT_S)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._updated.clear()
            await self._updated.wait()
