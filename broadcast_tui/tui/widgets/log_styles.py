"""The styles of the parts of a log row, in the colors of the theme."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.widget import Widget

from broadcast_tui.tui.model.text.code import CodeKind
from broadcast_tui.tui.model.text.colors import palette
from broadcast_tui.tui.themes import HIGH_CONTRAST, MUTED, MUTED_SHARE

PARTS = (
    "time", "rule", "post", "room", "date", "system", "error", "day", "own", "pending", "mention",
    "mention-mark", "badge", "code", "block", "marks",
    "comment", "fold", "note", "own-vote", "unread", "selected", "picked", "pick-mark", "found", "found-here",
)  # fmt: skip


LOG_CSS = (
    f"$muted: {MUTED};"
    """
MessageLog {
    background: $background;
    color: $foreground;
    scrollbar-background: $background;
    scrollbar-background-hover: $background;
    scrollbar-background-active: $background;
    scrollbar-color: $foreground 20%;
    scrollbar-color-hover: $foreground 40%;
    scrollbar-color-active: $foreground 60%;
    & > .message-log--time { color: $muted; }
    & > .message-log--rule { color: $foreground 25%; }
    & > .message-log--post { color: $muted; }
    & > .message-log--room { color: $text-primary; text-style: underline; }
    & > .message-log--date { background: $panel; color: $foreground; }
    & > .message-log--system { color: $muted; }
    & > .message-log--error { color: $text-error; }
    & > .message-log--day { color: $muted; }
    & > .message-log--own { text-style: bold; }
    & > .message-log--pending { color: $muted; text-style: italic; }
    & > .message-log--mention { background: $warning 15%; }
    & > .message-log--mention-mark { color: $text-warning; text-style: bold; }
    & > .message-log--code { background: $foreground 10%; }
    & > .message-log--block { background: $foreground 6%; }
    & > .message-log--marks { color: $muted; }
    & > .message-log--comment { color: $foreground 80%; }
    & > .message-log--fold { color: $muted; text-style: italic; }
    & > .message-log--note { color: $muted; }
    & > .message-log--own-vote { color: $text-accent; text-style: bold; }
    & > .message-log--unread { color: $text-accent; text-style: bold; }
    & > .message-log--badge { background: $primary; color: auto; text-style: bold; }
    & > .message-log--selected { background: $screen-selection-background; color: $foreground; }
    & > .message-log--picked { background: $primary 25%; }
    & > .message-log--pick-mark { background: $primary 25%; color: $text-primary; text-style: bold; }
    & > .message-log--found { background: $warning 35%; text-style: underline; }
    & > .message-log--found-here { background: $warning; color: auto; text-style: bold underline; }
}
"""
)
"""CSS for the log: component classes for all `PARTS`, and the scrollbar."""


_SYNTAX_HUES = {
    CodeKind.KEYWORD: 10,
    CodeKind.STRING: 5,
    CodeKind.NUMBER: 2,
    CodeKind.NAME: 8,
    CodeKind.ADDED: 5,
    CodeKind.REMOVED: 0,
}
"""Indices of the syntax colors in the name palette; comments have the dimmed text color."""


class LogStyles(msgspec.Struct, frozen=True):
    """Rich styles of the parts of a row; each includes its background."""

    text: Style
    time: Style
    rule: Style
    post: Style
    """The sign of a post's first row."""
    room: Style
    """Added to `#room`, which is a link."""
    date: Style
    system: Style
    error: Style
    day: Style
    own: Style
    """Added to the color of the user's own name."""
    pending: Style
    mention: Style
    mention_mark: Style
    names: tuple[Style, ...]
    """The palette, by `color_index`."""
    code: Style
    """Inline code."""
    block: Style
    """A block of code."""
    syntax: dict[CodeKind, Style]
    """Added to the style of the block."""
    marks: Style
    """Markup characters such as `**`."""
    fold: Style
    note: Style
    """Quotes, marks, votes and reactions: text about a post."""
    own_vote: Style
    """A vote or reaction of the user."""
    unread: Style
    badge: Style


def log_styles(
    text: Style, parts: Mapping[str, Style], background: Color, colors: tuple[str, ...]
) -> LogStyles:
    """Build the styles from those of the text, of all `PARTS` and the palette of names."""
    # The terminal's own colors cannot be mixed: a tint would become a full color, maybe an unreadable one.
    mention = parts["mention"] if background.ansi is None else text + Style(bold=True)
    return LogStyles(
        text=text,
        time=parts["time"],
        rule=parts["rule"],
        post=parts["post"],
        room=Style(color=parts["room"].color, underline=True),
        date=parts["date"],
        system=parts["system"],
        error=parts["error"],
        day=parts["day"],
        own=Style(bold=parts["own"].bold),
        pending=parts["pending"],
        mention=mention,
        mention_mark=parts["mention-mark"],
        names=tuple(text + Style(color=color) for color in colors),
        code=parts["code"],
        block=parts["block"],
        syntax={kind: Style(color=colors[hue]) for kind, hue in _SYNTAX_HUES.items()}
        | {CodeKind.COMMENT: Style(color=parts["comment"].color, italic=True)},
        marks=parts["marks"],
        fold=parts["fold"],
        note=parts["note"],
        own_vote=parts["own-vote"],
        unread=parts["unread"],
        badge=parts["badge"],
    )


STRONGER = 0.35
"""How much closer to white or black the colors of names are in a theme with high contrast."""


_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


def muted_color(app: App[None]) -> str:
    """The color of less important text in the log, for the lists beside it.

    Mixed with the background of the list it would be another color, though nobody sees the difference. When
    the log scrolls in a terminal without left and right margins, the lists are written again, and each color
    takes 19 bytes.
    """
    variables = app.theme_variables
    background, foreground = (Color.parse(variables[name]) for name in ("background", "foreground"))
    return background.blend(foreground, MUTED_SHARE).hex


def name_colors(widget: Widget) -> tuple[str, ...]:
    """The palette of names for the background of `widget`, by `color_index`."""
    app, background = widget.app, widget.background_colors[1]
    # The color of the terminal's own background is unknown; the theme says whether it is dark.
    own = _BLACK if app.current_theme.dark else _WHITE
    rgb = background.rgb if background.ansi is None else own
    is_sixteen = app.console.color_system == "standard"
    colors = palette(rgb, sixteen=is_sixteen)
    if app.theme in HIGH_CONTRAST and not is_sixteen:
        strongest = Color.parse("#ffffff" if app.current_theme.dark else "#000000")
        return tuple(Color.parse(color).blend(strongest, STRONGER).hex for color in colors)
    return colors
