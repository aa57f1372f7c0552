"""The post inspector: sender, exact time, id, link targets and hidden characters of one post."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Static

from broadcast_tui.tui.model.text.hidden_characters import HiddenCharacter, hidden_characters, split_hidden
from broadcast_tui.tui.model.text.links import titled_links
from broadcast_tui.tui.model.transcript.chunks import Line, LineKind
from broadcast_tui.tui.model.transcript.post_details import PostDetails
from broadcast_tui.tui.widgets.dialog import Dialog, DialogScreen


def inspection(line: Line, post_id: str, zone: tzinfo | None) -> list[tuple[str, str]]:
    """Properties of a post as pairs of label and value; the sender's value is filled in by the screen."""
    utc = datetime.fromtimestamp(line.at, UTC)
    here = utc.astimezone(zone)
    offset = f"{here:%z}"
    facts = [
        ("From", ""),
        ("Local time", f"{here:%A} {here.day} {here:%B %Y, %H:%M:%S} (UTC{offset[:3]}:{offset[3:5]})"),
        ("UTC", f"{utc:%Y-%m-%d %H:%M:%S}"),
        ("ID", post_id or "not sent yet"),
    ]
    facts += [("Link", f"{title.strip()} → {host}") for title, host in titled_links(line.text)]
    if line.kind is LineKind.ACTION:
        facts.append(("Kind", "an action (/me)"))
    return facts + (_facts_of_state(line.details) if line.details is not None else [])


def _facts_of_state(details: PostDetails) -> list[tuple[str, str]]:
    """What people have done with a post, and who."""
    state = details.state
    facts = [("Edited", state.edited)] if state.edited else []
    facts += [("Pinned by", state.pinned.by)] if state.pinned else []
    for key, votes in (*details.reactions.items(), *state.tally.items()):
        more = votes.count - len(votes.names)
        facts.append((key, ", ".join((*votes.names, f"{more:,} more") if more > 0 else votes.names)))
    return facts


class InspectScreen(DialogScreen[None]):
    """Closed by Esc, Enter, i or q."""

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
        with Dialog("Post", ("Esc Close",), id="inspect", page=True):
            yield Static(facts)
            yield Static(revealed(line.text), classes="inspect-text")
            yield Static(_found(hidden_characters(f"{line.sender}\n{line.text}")), classes="inspect-found")

    def on_mount(self) -> None:
        self.query_one("#inspect").focus()

    def action_scroll(self, lines: int) -> None:
        self.query_one("#inspect").scroll_relative(y=lines, animate=False)


def revealed(text: str) -> Content:
    """`text` with hidden characters replaced by their codes."""
    return Content.assemble(
        *(
            (piece.text, "$text-error bold reverse") if piece.odd else piece.text
            for piece in split_hidden(text)
        )
    )


def revealed_text(text: str) -> Text:
    """The same as `revealed`, for a Rich table."""
    return Text.assemble(*((piece.text, "reverse" if piece.odd else "") for piece in split_hidden(text)))


def _found(characters: list[HiddenCharacter]) -> Content:
    """One row per kind of hidden character."""
    if not characters:
        return Content("No hidden or look-alike characters")
    rows = [
        f"{character.code}  {character.about}{f' × {character.count:,}' if character.count > 1 else ''}"
        for character in characters
    ]
    return Content("\n".join(rows))
