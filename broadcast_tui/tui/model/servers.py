"""The servers of the chat: names, and how to find, count and display the rooms of all of them.

Each server has an `AppState` of its own, so rooms with the same name on two servers never mix. Rooms are
numbered from 1, server by server in the order connected, and within a server in join order.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.room import RoomModel
from broadcast_tui.tui.model.rooms import (
    adjacent_room,
    find_room,
    most_urgent,
    rank_rooms,
    room_by_number,
)
from broadcast_tui.tui.model.state import AppState


class Server:
    """A server at `url`, which has no secrets, and everything the chat knows about it."""

    def __init__(self, url: str, state: AppState) -> None:
        self.url = url
        self.state = state


class Place(NamedTuple):
    """A joined room of a server."""

    server: Server
    room: str

    @property
    def model(self) -> RoomModel:
        return self.server.state.rooms.get(self.room)


class ServerSet:
    """The servers in the order connected; never empty. One of them is displayed."""

    def __init__(self, servers: list[Server]) -> None:
        self.all = servers
        self.shown = servers[0]
        self.has_focus = True
        """Whether the terminal has the focus."""
        self._left: Place | None = None
        """The room displayed before the last change to another server; None after one within a server."""
        self._jumped_from: Place | None = None
        """The room displayed before the first jump to an urgent room."""
        for server in servers[1:]:
            server.state.rooms.has_focus = False

    # Servers

    @property
    def is_single(self) -> bool:
        return len(self.all) == 1

    def add(self, server: Server) -> None:
        """Add a server that is not displayed."""
        server.state.rooms.has_focus = False
        self.all.append(server)

    def remove(self, server: Server) -> None:
        """Remove a server that is not displayed."""
        self.all.remove(server)
        if self._left is not None and self._left.server is server:
            self._left = None
        if self._jumped_from is not None and self._jumped_from.server is server:
            self._jumped_from = None

    def at(self, url: str) -> Server | None:
        """The server with this address."""
        return next((server for server in self.all if server.url == url), None)

    def label(self, server: Server) -> str:
        """The name of a server, safe to draw; empty if it is the only one."""
        return "" if self.is_single else self.name(server)

    def name(self, server: Server) -> str:
        """The name of a server, safe to draw: its host, with the port if another one has the same host."""
        names = [_host(other.url) for other in self.all]
        name = _host(server.url)
        return visible_line(name if Counter(names)[name] == 1 else host_of(server.url))

    def find(self, typed: str) -> Server | None:
        """The server whose name or address is `typed`, or the best match of these letters."""
        by_name = {self.name(server): server for server in self.all}
        exact = by_name.get(typed) or self.at(typed)
        matching = rank_rooms(typed, by_name) if typed else []
        return exact or (by_name[matching[0]] if matching else None)

    def next_to(self, server: Server) -> Server:
        """The server before this one, or else after it; there are at least two."""
        at = self.all.index(server)
        return self.all[at - 1] if at else self.all[1]

    # Rooms

    @property
    def places(self) -> list[Place]:
        """All joined rooms, in the order of their numbers."""
        return [Place(server, room) for server in self.all for room in server.state.rooms.joined]

    @property
    def shown_place(self) -> Place:
        return self.place_of(self.shown)

    def place_of(self, server: Server) -> Place:
        """The displayed room of a server, or the one that is displayed with it."""
        return Place(server, server.state.rooms.shown_name)

    def by_number(self, number: int) -> Place | None:
        """The room with this number."""
        return room_by_number(self.places, number)

    def adjacent(self, step: int) -> Place:
        """The room `step` places after the displayed one, cyclically."""
        return adjacent_room(self.places, self.shown_place, step)

    def find_room(self, typed: str) -> Place | None:
        """The room with this number, or the best match of these letters.

        Rooms of the displayed server come first. `work/dev` and `dev work` match a room of the server `work`.
        """
        own = {label_in(place): place for place in self.places if place.server is self.shown}
        if typed not in own and typed.isascii() and typed.isdecimal():
            return self.by_number(int(typed)) if len(typed) < 4 else None
        if (found := find_room(typed, list(own))) is not None:
            return own[found]
        server, _, room = typed.rpartition("/")
        named = {
            f"{label_in(place)} {self.name(place.server)}": place
            for place in self.places
            if not server or rank_rooms(server, [self.name(place.server)])
        }
        ranked = rank_rooms(room, named)
        return named[ranked[0]] if ranked else None

    def qualified(self, place: Place) -> str:
        """A room as in `find_room`: `lobby`, or `work/lobby` if another server is displayed."""
        label = label_in(place)
        return label if place.server is self.shown else f"{self.name(place.server)}/{label}"

    # What is displayed

    def show(self, place: Place, at: datetime) -> None:
        """Display a joined room. The caller then reports its scroll position with `RoomSet.set_at_end`."""
        before = self.shown_place
        if place == before:
            return
        rooms = place.server.state.rooms
        if place.server is before.server:
            self._left = None
        else:
            before.server.state.rooms.set_focused(False, at)
            self._left = before
        rooms.show(place.room, at)
        self.shown = place.server
        if place.server is not before.server and self.has_focus:
            rooms.resume(at)
        self._jumped_from = None

    def previous(self) -> Place | None:
        """The room displayed before this one."""
        rooms = self.shown.state.rooms
        place = self._left or Place(self.shown, rooms.previous)
        return place if place.room in place.server.state.rooms.joined else None

    def show_urgent(self, at: datetime) -> bool:
        """Show a room with a mention, else one with unread posts, else the room where the jumps started.

        Returns:
            False if there is no such room.
        """
        origin, here = self._jumped_from, self.shown_place
        urgent = self._most_urgent()
        target = urgent or origin
        if target is None or target == here or target not in self.places:
            return False
        self.show(target, at)
        self._jumped_from = (origin or here) if urgent else None
        return True

    def _most_urgent(self) -> Place | None:
        """The room to visit next: with mentions, else with unread posts and not muted; own server first."""
        here = self.shown_place
        others = [place for place in self.places if place != here]
        others.sort(key=lambda place: place.server is not here.server)
        room = most_urgent(place.model for place in others)
        return next((place for place in others if place.model is room), None)

    def set_focused(self, focused: bool, at: datetime) -> None:
        """Record that the terminal gained or lost the focus."""
        self.has_focus = focused
        self.shown.state.rooms.set_focused(focused, at)

    # Counts

    @property
    def unread(self) -> int:
        """Unseen posts: those in the displayed room, and those that need attention in other rooms."""
        hidden = (place.model for place in self.places if place.server is not self.shown)
        return self.shown.state.rooms.unread + sum(room.urgent_count for room in hidden)

    @property
    def mention_count(self) -> int:
        """Unread posts that mention the user."""
        return sum(server.state.rooms.mention_count for server in self.all)

    @property
    def queued(self) -> int:
        """Own posts that wait for a connection."""
        return sum(server.state.queued for server in self.all)


def label_in(place: Place) -> str:
    """How a room is called in lists: `lobby`, or `@bob` for direct messages."""
    return place.model.label.removeprefix("#")


def single_server(url: str, state: AppState) -> ServerSet:
    """A set of one server."""
    return ServerSet([Server(url, state)])


def host_of(server: str) -> str:
    """The host and port of an address, or the address itself if it has none."""
    try:
        return urlsplit(server).netloc.rpartition("@")[2] or server
    except ValueError:
        return server


def _host(url: str) -> str:
    """The host of an address, or the address itself if it has none."""
    try:
        return urlsplit(url).hostname or url
    except ValueError:
        return url
