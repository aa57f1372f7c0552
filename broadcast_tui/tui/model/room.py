"""What one room looks like to us: its transcript, who is in it, what is unread, who is typing.

Times are arguments: `now` monotonic seconds, `at` UTC. Names are made safe to draw when they come in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from broadcast_tui.core.text import visible_line
from broadcast_tui.core.updates import (
    GapFound,
    HistoryFetched,
    MembersListed,
    PostArrived,
    PresenceChanged,
)
from broadcast_tui.tui.model.mention import mentioning_line, mentions
from broadcast_tui.tui.model.notices import Alert, Level
from broadcast_tui.tui.model.reading import Arrival, Reading
from broadcast_tui.tui.model.transcript import Transcript

DETAIL_MAX = 100
"""People up to which they are listed by name; above it only their count is shown."""
TYPING_SHOWN_S = 5.0
"""How long one typing notice is shown; they are sent every 3 seconds at most."""

_GAP_REASONS = {
    "lagged": "the connection could not keep up",
    "trimmed": "the server keeps no more than it has sent",
    "epoch": "the server started anew",
}


@dataclass(slots=True)
class RoomView:
    """One room."""

    name: str
    transcript: Transcript = field(default_factory=Transcript)
    members: set[str] = field(default_factory=set)
    listed: bool = False
    """Whether `members` is known; false until asked, and in large rooms."""
    list_asked: bool = False
    """Whether the list was asked for since the room was entered or became small enough."""
    online: int = 0
    entered: bool = False
    history_ref: str = ""
    """The page of history that was asked for and has not come yet."""
    history_ended: bool = False
    who_ref: str = ""
    """The list of members that /who asked for."""
    reading: Reading = field(init=False)
    level: Level = Level.MENTIONS
    """Which posts ring while nobody looks."""
    _typing: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reading = Reading(self.transcript)

    @property
    def unread(self) -> int:
        """Posts of others not seen yet."""
        return self.reading.count

    @property
    def mention_count(self) -> int:
        """Those of them that mention us."""
        return self.reading.mentions

    @property
    def muted(self) -> bool:
        """Whether what is unread here does not ask for attention; mentions do, but they do not ring."""
        return self.level is Level.OFF

    @property
    def urgent_count(self) -> int:
        """Unread posts that ask for attention while another room is shown."""
        return self.mention_count if self.muted else self.unread

    def people(self) -> list[str] | None:
        """Names of who is here, in the order shown, or None where only the count is known."""
        if not self.listed or self.online > DETAIL_MAX:
            return None
        return sorted(self.members, key=str.casefold)

    def wants_list(self) -> bool:
        """Whether to ask for the members now; true once for each time they are unknown."""
        if self.online > DETAIL_MAX:
            self.listed = self.list_asked = False
        if not self.entered or self.list_asked or self.online > DETAIL_MAX:
            return False
        self.list_asked = True
        return True

    def typing(self, now: float) -> list[str]:
        """Who is typing, in the order they began; those who stopped are forgotten."""
        for name in [name for name, until in self._typing.items() if until <= now]:
            del self._typing[name]
        return list(self._typing)

    def saw_typing(self, name: str, own: str, now: float) -> None:
        name = visible_line(name)
        if name and name != own:
            self._typing[name] = now + TYPING_SHOWN_S

    def arrived(
        self, update: PostArrived, own_name: str, keywords: Sequence[str] = (), *, there: bool, at_end: bool
    ) -> Alert | None:
        """Put a post at the end; returns it if it is live and somebody else's.

        `there`: the room is looked at, `at_end`: so is the end of its log.
        """
        post = update.post
        sender = visible_line(post.sender)
        self._typing.pop(sender, None)
        own = update.own or _is_own(sender, own_name)
        mention = not own and mentions(post.text, own_name, keywords)
        line_id = self.transcript.add_post(
            post.sender,
            post.text,
            post.at,
            own=own,
            mention=mention,
            post_id=str(post.position),
            nonce=post.nonce if update.own else "",
        )
        arrival = Arrival(line_id, post.position, own, mention, update.live)
        self.reading.arrived(arrival, there=there, at_end=at_end)
        if own or not update.live:
            return None
        told = mentioning_line(post.text, own_name, keywords) if mention else post.text
        return Alert(self.name, post.sender, told, mention)

    def prepended(self, update: HistoryFetched, own_name: str, keywords: Sequence[str] = ()) -> bool:
        """Put a page of older posts on top; false if nobody asked for it."""
        if not update.ref or update.ref != self.history_ref:
            return False
        self.history_ref = ""
        self.history_ended = not update.more
        self.transcript.prepend_posts(
            [
                (
                    post.sender,
                    post.text,
                    post.at,
                    own := _is_own(visible_line(post.sender), own_name),
                    not own and mentions(post.text, own_name, keywords),
                    str(post.position),
                )
                for post in update.posts
            ]
        )
        self.reading.prepended()
        return True

    def missed(self, update: GapFound, at: datetime) -> None:
        self.reading.lost(update.count)
        count = "Some" if update.count is None else f"{update.count:,}"
        posts = "post is" if update.count == 1 else "posts are"
        reason = _GAP_REASONS.get(update.reason) or visible_line(update.reason)
        self.transcript.add_system(f"{count} {posts} missing here: {reason}.", at)

    def people_changed(self, update: PresenceChanged, own_name: str) -> None:
        """Follow who came, went or took another name, with one dim line about others than us."""
        self.online = update.online
        names = tuple(filter(None, map(visible_line, update.names)))
        match update.event:
            case "join":
                self.members.update(names)
            case "leave":
                self.members.difference_update(names)
                for name in names:
                    self._typing.pop(name, None)
            case "rename" if len(names) == 2:
                self.members.discard(names[0])
                self.members.add(names[1])
            case "online":
                return
        others = tuple(name for name in names if name != own_name)
        if names and (not others or (update.event == "rename" and own_name in names)):
            return
        line = presence_line(update.event, others) or visible_line(update.text)
        self.transcript.add_system(line, update.at)

    def people_listed(self, update: MembersListed, own_name: str, at: datetime) -> None:
        """Take the list as it stands; print it too if /who asked for it."""
        self.online = update.online
        self.members = set(filter(None, map(visible_line, update.names)))
        self.listed = not update.truncated
        if update.ref and update.ref == self.who_ref:
            self.who_ref = ""
            self.transcript.add_system(who_line(sorted(self.members, key=str.casefold), update, own_name), at)


def _is_own(sender: str, own_name: str) -> bool:
    """Whether a post is ours though another connection wrote it; no two people have the same name."""
    return bool(own_name) and sender == own_name


def joined_names(names: Sequence[str], shown: int = 3) -> str:
    """`ana`, `ana and bob`, `ana, bob and 3 others`; at least one name."""
    if len(names) == 1:
        return names[0]
    if len(names) <= shown:
        return f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{', '.join(names[: shown - 1])} and {len(names) - shown + 1} others"


def presence_line(event: str, names: Sequence[str]) -> str:
    """The dim line about people who came or went; empty where only the server's own words will do."""
    if not names:
        return ""
    match event:
        case "join":
            return f"{joined_names(names)} joined"
        case "leave":
            return f"{joined_names(names)} left"
        case "rename" if len(names) == 2:
            return f"{names[0]} is now {names[1]}"
    return ""


def who_line(names: Sequence[str], update: MembersListed, own_name: str) -> str:
    """What /who prints: the count, then the names."""
    listed = ", ".join(f"{name} (you)" if name == own_name else name for name in names)
    unlisted = update.online - len(names)
    more = f" and {unlisted:,} more" if update.truncated and unlisted > 0 else ""
    return f"{update.online:,} here: {listed}{more}" if listed else f"{update.online:,} here"
