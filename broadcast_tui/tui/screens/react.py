"""The reaction dialog: find an emoji by part of its name, or choose one that was used before."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from broadcast_tui.tui.model.text.emoji import emoji_named, emoji_of, name_of
from broadcast_tui.tui.screens.filter_list import FilterListScreen
from broadcast_tui.tui.themes import MUTED


class ReactScreen(FilterListScreen):
    """Dismissed with an emoji.

    Args:
        offered: Emoji to offer before anything is typed, the likeliest first.
        given: The emoji that the user has reacted with; choosing one removes it.
    """

    def __init__(self, offered: Sequence[str], given: Sequence[str]) -> None:
        super().__init__(
            "react",
            title="Reactions",
            placeholder="React with :name: …",
            hints=("↑↓ Choose", "Enter React", "Esc Close"),
            no_match="No such emoji",
        )
        self._offered = list(dict.fromkeys((*given, *offered)))
        self._given = frozenset(given)

    def matching(self, typed: str) -> Sequence[tuple[str, Content]]:
        """The offered emoji, those with the typed name, or the typed emoji itself."""
        if not typed:
            return [self._entry(emoji, name_of(emoji)) for emoji in self._offered]
        found = [self._entry(emoji, name) for name, emoji in emoji_named(typed.strip(":"))]
        if not found and (emoji := emoji_of(typed)):
            found = [self._entry(emoji, name_of(emoji))]
        return found

    def _entry(self, emoji: str, name: str) -> tuple[str, Content]:
        note = f":{name}:" if name else ""
        if emoji in self._given:
            note = f"{note} remove".strip()
        return emoji, Content.assemble(f"{emoji}  ", (note, MUTED))
