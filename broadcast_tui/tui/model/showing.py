"""What of a transcript is shown: which long posts in full, which lines about who came and went."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from broadcast_tui.tui.model.lines import Line, LineKind


class PresenceShown(Enum):
    """About whom lines are shown that say who came and went."""

    SPEAKERS = "those who spoke lately"
    ALL = "everyone"
    NONE = "hidden"

    def next(self) -> PresenceShown:
        """The one that comes after this one, round and round."""
        choices = list(PresenceShown)
        return choices[(choices.index(self) + 1) % len(choices)]

    @property
    def word(self) -> str:
        """Its name in a file; see `presence_of`."""
        return self.name.lower()


def presence_of(word: str) -> PresenceShown:
    """The choice that `word` names; the usual one if it names none."""
    return next((choice for choice in PresenceShown if choice.word == word), PresenceShown.SPEAKERS)


@dataclass(slots=True)
class Showing:
    """Changed by what the user wishes; who changes it counts rows anew."""

    presence: PresenceShown = PresenceShown.SPEAKERS
    unfolded: set[int] = field(default_factory=set)
    """Ids of long posts that are shown in full."""

    def presence_text(self, text: str, brief: str) -> str:
        """What is shown of a line about who came and went; empty: the line is not shown at all."""
        match self.presence:
            case PresenceShown.ALL:
                return text
            case PresenceShown.SPEAKERS:
                return brief
            case PresenceShown.NONE:
                return ""

    def shown_line(self, line: Line) -> Line | None:
        """The line as it is shown, or None if it is not."""
        if line.kind is not LineKind.PRESENCE:
            return line
        text = self.presence_text(line.text, line.brief)
        return line._replace(text=text) if text else None

    def folds(self, line_id: int) -> bool:
        """Whether the post is folded, if it is long."""
        return line_id not in self.unfolded

    def toggle(self, line_id: int) -> None:
        """Fold the post, or unfold it."""
        self.unfolded ^= {line_id}
