"""All there is to know of one post: when, who, its id, and its text with what is hidden in it."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from broadcast_tui.tui.model.text.hidden_characters import HiddenCharacter, hidden_characters, split_hidden
from broadcast_tui.tui.model.text.links import titled_links
from broadcast_tui.tui.model.transcript.chunks import Line, LineKind


def inspection(line: Line, post_id: str, zone: tzinfo | None) -> list[tuple[str, str]]:
    """The facts of a post, but for its text: what each is, and it."""
    utc = datetime.fromtimestamp(line.at, UTC)
    here = utc.astimezone(zone)
    offset = f"{here:%z}"
    facts = [
        ("From", ""),
        ("Here", f"{here:%A} {here.day} {here:%B %Y, %H:%M:%S} (UTC{offset[:3]}:{offset[3:5]})"),
        ("UTC", f"{utc:%Y-%m-%d %H:%M:%S}"),
        ("Id", post_id or "none yet"),
    ]
    facts += [("Link", f"{title.strip()} → {host}") for title, host in titled_links(line.text)]
    if line.kind is LineKind.ACTION:
        facts.append(("Kind", "an action (/me)"))
    return facts


class InspectScreen(ModalScreen[None]):
    """Closed by Esc, i or q."""

    DEFAULT_CSS = """
    InspectScreen {
        align: center middle;
        background: $background 60%;
        & > #inspect {
            width: 100%;
            max-width: 80;
            height: auto;
            max-height: 100%;
            padding: 0 2;
            border: round $primary;
            border-title-color: $text-primary;
            border-subtitle-color: $text-muted;
            background: $background;
            scrollbar-size-vertical: 1;
        }
        .inspect-text { margin-top: 1; }
        .inspect-found { margin-top: 1; color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,i,q,enter", "dismiss", "Close", show=False),
        Binding("up,k", "scroll(-1)", "Up", show=False),
        Binding("down,j", "scroll(1)", "Down", show=False),
    ]

    def __init__(self, line: Line, post_id: str, zone: tzinfo | None = None) -> None:
        super().__init__()
        self._line = line
        self._post_id = post_id
        self._zone = zone

    def compose(self) -> ComposeResult:
        line = self._line
        facts = Table.grid(padding=(0, 2, 0, 0))
        for what, value in inspection(line, self._post_id, self._zone):
            facts.add_row(Text(what, "bold"), revealed_text(line.sender) if what == "From" else Text(value))
        with VerticalScroll(id="inspect"):
            yield Static(facts)
            yield Static(revealed(line.text), classes="inspect-text")
            yield Static(_found(hidden_characters(f"{line.sender}\n{line.text}")), classes="inspect-found")

    def on_mount(self) -> None:
        page = self.query_one("#inspect")
        page.border_title = "Post"
        page.border_subtitle = "Esc closes"
        page.focus()

    def action_scroll(self, lines: int) -> None:
        self.query_one("#inspect").scroll_relative(y=lines, animate=False)


def revealed(text: str) -> Content:
    """`text` with hidden characters as codes."""
    return Content.assemble(
        *(
            (piece.text, "$text-error bold reverse") if piece.odd else piece.text
            for piece in split_hidden(text)
        )
    )


def revealed_text(text: str) -> Text:
    """As `revealed`, for a table."""
    return Text.assemble(*((piece.text, "reverse" if piece.odd else "") for piece in split_hidden(text)))


def _found(oddities: list[HiddenCharacter]) -> Content:
    """One row for each kind of hidden character."""
    if not oddities:
        return Content("No hidden characters, no look-alike letters.")
    rows = [
        f"{oddity.code}  {oddity.about}{f' × {oddity.count:,}' if oddity.count > 1 else ''}"
        for oddity in oddities
    ]
    return Content("\n".join(rows))
