"""How the parts of a row of the log look, in the colours of the theme."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.style import Style
from textual.color import Color

from broadcast_tui.tui.model.code import CodeKind
from broadcast_tui.tui.model.colour import palette

PARTS = (
    "time", "rule", "system", "error", "day", "own", "pending", "mention", "mention-mark", "badge",
    "code", "block", "marks",
    "comment", "fold",
)  # fmt: skip
_SYNTAX_HUES = {
    CodeKind.KEYWORD: 10,
    CodeKind.STRING: 5,
    CodeKind.NUMBER: 2,
    CodeKind.NAME: 8,
    CodeKind.ADDED: 5,
    CodeKind.REMOVED: 0,
}
"""Where in a palette the colours of code are; comments have that of the text, weaker."""


@dataclass(frozen=True, slots=True)
class LogStyles:
    """How the parts of a row look; each style carries the background it stands on."""

    text: Style
    time: Style
    rule: Style
    system: Style
    error: Style
    day: Style
    own: Style
    pending: Style
    mention: Style
    mention_mark: Style
    names: tuple[Style, ...]
    """The palette, by `colour_index`."""
    code: Style
    """In a line of text."""
    block: Style
    """A block of code."""
    syntax: dict[CodeKind, Style]
    """Put over the style of the block."""
    marks: Style
    """What marks text as something else."""
    fold: Style


def log_styles(text: Style, parts: Mapping[str, Style], background: Color) -> LogStyles:
    """The styles on `background`, from that of the text and those of all `PARTS`."""
    # Colours of a terminal cannot be mixed: a tint would be a full colour that nobody may be able to read on.
    mention = parts["mention"] if background.ansi is None else text + Style(bold=True)
    colours = palette(background.rgb)
    return LogStyles(
        text=text,
        time=parts["time"],
        rule=parts["rule"],
        system=parts["system"],
        error=parts["error"],
        day=parts["day"],
        own=parts["own"],
        pending=parts["pending"],
        mention=mention,
        mention_mark=parts["mention-mark"],
        names=tuple(text + Style(color=colour) for colour in colours),
        code=parts["code"],
        block=parts["block"],
        syntax={kind: Style(color=colours[hue]) for kind, hue in _SYNTAX_HUES.items()}
        | {CodeKind.COMMENT: Style(color=parts["comment"].color, italic=True)},
        marks=parts["marks"],
        fold=parts["fold"],
    )
