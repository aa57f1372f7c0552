"""The room switcher: find a joined room, or any room of the server, by part of its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input

from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.names import check_room
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.rooms import is_close, near_rooms, rank_rooms
from broadcast_tui.tui.model.servers import Place, Server, ServerSet
from broadcast_tui.tui.screens.filter_list import FilterListScreen
from broadcast_tui.tui.themes import MUTED
from broadcast_tui.tui.widgets.dialog import Dialog

OFFERED_MAX = 100
HINTS = ("↑↓ Choose", "Enter Go", "Esc Close")
NEW_HINTS = ("↑↓ Choose", "Alt+Enter New room", "Enter Go", "Esc Close")
"""The hints while the typed name is that of a new room."""
NEW_ROOM = "new room"
NO_MATCH = "No matching room"


class RoomChoice(msgspec.Struct, frozen=True):
    """A room with its `label` and a `note` about it. Both are safe to draw."""

    value: str
    """Identifies server and room; see `chosen`."""
    label: str
    note: str = ""
    server: str = ""
    """Name of its server; empty if there is only one."""
    own: bool = True
    """Whether it is on the displayed server."""

    @property
    def about(self) -> str:
        return " · ".join(filter(None, (self.server, self.note)))


def choices_of(servers: ServerSet) -> list[RoomChoice]:
    """The joined rooms, most urgent first, then the servers' other rooms; the displayed room is last.

    Within these groups, the rooms of the displayed server come first.
    """
    here = servers.shown_place
    ours = [place for place in servers.places if place != here]
    ours.sort(
        key=lambda place: (-place.model.mention_count, -place.model.unread, place.server is not here.server)
    )
    choices = [
        _choice(servers, place, f"{place.model.unread:,} unread" if place.model.unread else "joined")
        for place in ours
    ]
    for server in sorted(servers.all, key=lambda server: server is not here.server):
        for room, (online, topic) in server.state.known_rooms.items():
            if room not in server.state.rooms.joined:
                note = f"{online:,} here  {visible_line(topic)}".rstrip()
                value = _value(servers, server, room)
                own = server is here.server
                choices.append(RoomChoice(value, f"#{room}", note, servers.label(server), own))
    return [*choices, _choice(servers, here, "current")]


def _choice(servers: ServerSet, place: Place, note: str) -> RoomChoice:
    value = _value(servers, place.server, place.room)
    own = place.server is servers.shown
    return RoomChoice(value, place.model.label, note, servers.label(place.server), own)


def _value(servers: ServerSet, server: Server, room: str) -> str:
    return f"{servers.all.index(server)} {room}"


def chosen(value: str, servers: ServerSet) -> tuple[Server, str]:
    """The server and the room that a value identifies; a new room is on the displayed server."""
    index, _, room = value.partition(" ")
    return servers.all[int(index)] if index else servers.shown, room


class SwitcherScreen(FilterListScreen):
    """Dismissed with the value of a room, which may be joined, known or new; see `chosen`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("alt+k", "dismiss", "Close", show=False),
        Binding("alt+enter,shift+enter", "go_to_typed", "New room", show=False),
    ]

    def __init__(self, choices: Sequence[RoomChoice]) -> None:
        super().__init__("switcher", title="Rooms", placeholder="Go to room…", hints=HINTS, no_match=NO_MATCH)
        self._choices = list(choices)

    def set_choices(self, choices: Sequence[RoomChoice]) -> None:
        """Offer other rooms."""
        self._choices = list(choices)
        self.offer_again()

    def action_go_to_typed(self) -> None:
        """Go to the room with exactly the typed name, which may be new."""
        if room := _room_name(self.query_one(Input).value.strip()):
            known = self._own_choice(room)
            self.dismiss(f" {room}" if known is None else known.value)

    def matching(self, typed: str) -> Sequence[tuple[str, Content]]:
        """The rooms that match, or else those with similar names, and the typed room if it is new.

        The new room is below the rooms with a word that starts with the text, or else below the best match:
        Enter does not create a room because of a typing error.
        """
        by_label = {
            f"{choice.label.removeprefix('#')} {choice.server}".rstrip(): choice for choice in self._choices
        }
        labels = rank_rooms(typed, by_label)[:OFFERED_MAX] or near_rooms(typed, by_label)
        offered = [by_label[label] for label in labels]
        new_room = _room_name(typed)
        if new_room and self._own_choice(new_room) is None:
            close = sum(is_close(typed, label) for label in labels)
            note = f"{NEW_ROOM} · Alt+Enter" if offered else NEW_ROOM
            offered.insert(close or 1, RoomChoice(f" {new_room}", f"#{visible_line(new_room)}", note))
            hints = NEW_HINTS if len(offered) > 1 else HINTS
        else:
            hints = HINTS
        self.query_one(Dialog).set_hints(*hints)
        return [
            (choice.value, Content.assemble(choice.label, (f"  {choice.about}", MUTED))) for choice in offered
        ]

    def _own_choice(self, room: str) -> RoomChoice | None:
        """The room with this name on the displayed server, if there is one."""
        return next((choice for choice in self._choices if choice.own and choice.label == f"#{room}"), None)


def _room_name(typed: str) -> str:
    """The name of a room as typed, or empty if there can be no such room."""
    try:
        return check_room(typed)
    except RequestError:
        return ""
