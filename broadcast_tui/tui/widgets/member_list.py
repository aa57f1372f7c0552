"""The member list beside the log, with names in the same colors as in the log."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from broadcast_tui.tui.model.room import Person
from broadcast_tui.tui.model.text.colors import NameHues
from broadcast_tui.tui.model.text.wrapping import clip
from broadcast_tui.tui.widgets.log_styles import muted_color, name_colors


class MemberList(VerticalScroll, can_focus=False):
    """The members of a room, or only their number if the server does not list them.

    Members who are away are dimmed and marked. A click on somebody else posts `PersonChosen`.
    """

    DEFAULT_CSS = """
    MemberList {
        width: 20;
        padding: 0 1;
        scrollbar-size-vertical: 1;
        & > Static { width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
        & > #people-heading { margin-bottom: 1; }
    }
    """

    class PersonChosen(Message):
        """Somebody else in the list was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._people: tuple[Person, ...] | None = ()
        self._online: int | None = None
        self._hues = NameHues()
        self._drawn_width = -1

    def compose(self) -> ComposeResult:
        yield Static(id="people-heading", markup=False)
        yield Static(id="people-names", markup=False)

    def on_mount(self) -> None:
        # Unlike watchers of the theme, it is called after the new styles apply.
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw())
        self._draw()

    def show(self, people: Sequence[Person] | None, online: int | None, hues: NameHues) -> None:
        """Show `people`, in this order (names safe to draw; None: not listed), of `online` in total.

        `online` is None while that is not known. `hues` are those of the room.
        """
        shown = None if people is None else tuple(people)
        if (shown, online, hues) != (self._people, self._online, self._hues):
            self._people, self._online, self._hues = shown, online, hues
            self._draw()

    def on_resize(self) -> None:
        if self.scrollable_content_region.width != self._drawn_width:
            self._draw()

    def on_click(self, event: events.Click) -> None:
        event.stop()
        names = self.query_one("#people-names")
        row = event.screen_y - names.region.y
        people = self._people or ()
        if 0 <= row < len(people) and not people[row].own:
            self.post_message(self.PersonChosen(people[row].name))

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        colors, muted = name_colors(self), muted_color(self.app)
        people = self._people or ()
        width = self._drawn_width = self.scrollable_content_region.width
        # In a larger room, the hues are for those who write.
        hue_of = self._hues.of if len(people) <= len(colors) else self._hues.peek
        lines = [_line(person, colors[hue_of(person.name)], muted, width) for person in people]
        away_count = sum(person.away is not None for person in people)
        heading = "Not connected" if self._online is None else f"{self._online:,} here"
        heading += f", {away_count:,} away" if away_count else ""
        self.query_one("#people-heading", Static).update(Content.assemble((heading, muted)), layout=False)
        listing = self.query_one("#people-names", Static)
        listing.update(Content("\n").join(lines) if lines else Content(""))


def _line(person: Person, color: str, muted: str, width: int) -> Content:
    mark = (" (you)" if person.own else "") + (" (away)" if person.away is not None else "")
    name = clip(person.name, max(1, width - cell_len(mark))) if width > 0 else person.name
    return Content.assemble((name, color if person.away is None else muted), (mark, muted))
