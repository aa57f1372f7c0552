"""The room switcher: find a joined room, or any room of the server, by part of its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from broadcast_tui.core.errors import RequestError
from broadcast_tui.core.names import check_room
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.rooms import rank_rooms
from broadcast_tui.tui.model.state import AppState
from broadcast_tui.tui.screens.login import NameInput

OFFERED_MAX = 100
KEYS = "Enter Go · Esc Close"
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


class SwitcherScreen(ModalScreen[str]):
    """Dismissed with the name of a room, which may be joined, known or new."""

    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-short"), (14, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c,alt+k", "dismiss", "Close", show=False),
        Binding("up,ctrl+p,shift+tab", "move(-1)", "Up", show=False),
        Binding("down,ctrl+n,tab", "move(1)", "Down", show=False),
    ]

    def __init__(self, choices: Sequence[RoomChoice]) -> None:
        super().__init__()
        self._choices = list(choices)
        self._offered: list[RoomChoice] = []
        self._typed_early: list[events.Key] | None = []
        """Keys typed before the input was mounted; None afterwards."""

    def compose(self) -> ComposeResult:
        with Vertical(id="switcher"):
            typed = NameInput(placeholder="Go to room…", id="switcher-typed")
            typed.cursor_blink = False
            yield typed
            rooms = OptionList(id="switcher-rooms", markup=False)
            rooms.can_focus = False
            yield rooms
            yield Static(Content(KEYS), id="switcher-keys")

    def on_mount(self) -> None:
        typed = self.query_one(Input)
        typed.focus()
        self._offer("")
        early, self._typed_early = self._typed_early or [], None
        for event in early:
            typed.post_message(event)

    def take_key(self, event: events.Key) -> None:
        """Type a key into the input, even before that is mounted."""
        key = events.Key(event.key, event.character)
        if self._typed_early is None:
            self.query_one(Input).post_message(key)
        else:
            self._typed_early.append(key)

    def on_key(self, event: events.Key) -> None:
        if self._typed_early is not None:
            event.prevent_default().stop()
            self.take_key(event)

    def set_choices(self, choices: Sequence[RoomChoice]) -> None:
        """Offer other rooms."""
        self._choices = list(choices)
        self._offer(self.query_one(Input).value)

    @on(Input.Changed)
    def offer_matching(self, event: Input.Changed) -> None:
        self._offer(event.value)

    @on(Input.Submitted)
    def choose(self, event: Input.Submitted) -> None:
        at = self.query_one(OptionList).highlighted
        if at is not None:
            self.dismiss(self._offered[at].name)

    @on(OptionList.OptionSelected)
    def choose_clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._offered[event.option_index].name)

    def action_move(self, step: int) -> None:
        rooms = self.query_one(OptionList)
        if step > 0:
            rooms.action_cursor_down()
        else:
            rooms.action_cursor_up()

    def _offer(self, typed: str) -> None:
        by_label = {choice.label.removeprefix("#"): choice for choice in self._choices}
        self._offered = [by_label[label] for label in rank_rooms(typed.strip(), by_label)[:OFFERED_MAX]]
        try:
            new_room = check_room(typed.strip())
        except RequestError:
            new_room = ""
        if new_room and new_room not in by_label:
            self._offered.append(RoomChoice(new_room, f"#{visible_line(new_room)}", "new room"))
        rooms = self.query_one(OptionList)
        rooms.clear_options()
        rooms.add_options(
            Option(Content.assemble(choice.label, (f"  {choice.note}", "dim"))) for choice in self._offered
        )
        rooms.highlighted = 0 if self._offered else None
        hint = KEYS if self._offered else NO_MATCH
        self.query_one("#switcher-keys", Static).update(Content(hint))
