"""The room switcher: find a joined room, or any room of the server, by part of its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec
from textual.binding import Binding, BindingType
from textual.content import Content

from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.names import check_room
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.rooms import rank_rooms
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.screens.filter_list import FilterListScreen

OFFERED_MAX = 100
HINTS = ("↑↓ Choose", "Enter Go", "Esc Close")
NO_MATCH = "No matching room"


class RoomChoice(msgspec.Struct, frozen=True):
    """A room with its `label` and a `note` about it. Both are safe to draw."""

    name: str
    label: str
    note: str = ""


def choices_of(state: AppState) -> list[RoomChoice]:
    """The joined rooms, most urgent first, then the server's other rooms; the displayed room is last."""
    ours = [view for view in state.rooms.joined.values() if view is not state.rooms.shown]
    ours.sort(key=lambda view: (-view.mention_count, -view.unread))
    choices = [
        RoomChoice(view.name, view.label, f"{view.unread:,} unread" if view.unread else "joined")
        for view in ours
    ]
    for name, (online, topic) in state.known_rooms.items():
        if name not in state.rooms.joined:
            choices.append(RoomChoice(name, f"#{name}", f"{online:,} here  {visible_line(topic)}".rstrip()))
    return [*choices, RoomChoice(state.rooms.shown_name, state.rooms.shown.label, "current")]


class SwitcherScreen(FilterListScreen):
    """Dismissed with the name of a room, which may be joined, known or new."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("alt+k", "dismiss", "Close", show=False)]

    def __init__(self, choices: Sequence[RoomChoice]) -> None:
        super().__init__("switcher", title="Rooms", placeholder="Go to room…", hints=HINTS, no_match=NO_MATCH)
        self._choices = list(choices)

    def set_choices(self, choices: Sequence[RoomChoice]) -> None:
        """Offer other rooms."""
        self._choices = list(choices)
        self.offer_again()

    def matching(self, typed: str) -> Sequence[tuple[str, Content]]:
        """The rooms that match, and the typed room if it is new."""
        by_label = {choice.label.removeprefix("#"): choice for choice in self._choices}
        offered = [by_label[label] for label in rank_rooms(typed, by_label)[:OFFERED_MAX]]
        try:
            new_room = check_room(typed)
        except RequestError:
            new_room = ""
        if new_room and new_room not in by_label:
            offered.append(RoomChoice(new_room, f"#{visible_line(new_room)}", "new room"))
        return [
            (choice.name, Content.assemble(choice.label, (f"  {choice.note}", "$text-muted")))
            for choice in offered
        ]
