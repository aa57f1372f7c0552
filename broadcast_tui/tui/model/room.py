"""What one room looks like to us: its transcript, who is in it, what is unread, who is typing.

Times are arguments: `now` monotonic seconds, `at` UTC. Names are made safe to draw when they come in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from broadcast_tui.core.protocol import events
from broadcast_tui.core.session.updates import (
    GapFound,
    HistoryFetched,
    PostArrived,
    PresenceChanged,
)
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.notifications import Alert, NotifyLevel
from broadcast_tui.tui.model.read_state import Arrival, OlderPost, ReadState
from broadcast_tui.tui.model.text.mentions import mentioning_line, mentions
from broadcast_tui.tui.model.transcript.navigation import first_from, position_of
from broadcast_tui.tui.model.transcript.presence_summary import PresenceSummary
from broadcast_tui.tui.model.transcript.transcript import OlderPost as TranscriptPost
from broadcast_tui.tui.model.transcript.transcript import Transcript

DETAIL_MAX = 100
"""People up to which they are listed by name; above it only their count is shown."""
TYPING_SHOWN_S = 5.0
"""How long one typing notice is shown; they are sent every 3 seconds at most."""

_GAP_REASONS = {
    "lagged": "the connection could not keep up",
    "trimmed": "the server keeps no more than it has sent",
    "epoch": "the server started anew",
}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a room, as a list shows them. `away` is why they are not there; None: they are."""

    name: str
    own: bool = False
    away: str | None = None


@dataclass(slots=True)
class RoomModel:
    """One room."""

    name: str
    transcript: Transcript = field(default_factory=Transcript)
    members: set[str] = field(default_factory=set)
    listed: bool = False
    """Whether `members` is known; false until asked, and in large rooms."""
    list_asked: bool = False
    """Whether the list was asked for since the room was entered or became small enough."""
    online: int = 0
    topic: str = ""
    topic_by: str = ""
    """Who set the topic, where we saw it."""
    topic_at: datetime | None = None
    reading: ReadState = field(init=False)
    level: NotifyLevel = NotifyLevel.MENTIONS
    """Which posts ring while nobody looks."""
    entered: bool = False
    greeting_due: bool = False
    """Whether the line that says we are here is still to come: it follows the backlog."""
    history_ref: str = ""
    """The page of history that was asked for and has not come yet."""
    history_ended: bool = False
    who_ref: str = ""
    """The list of members that /who asked for."""
    _comings: PresenceSummary = field(default_factory=PresenceSummary)
    """What the last line about people who came and went says, and its id."""
    _comings_id: int = -1
    addressed: dict[str, None] = field(default_factory=dict)
    """Who spoke to us, the last one last: they are likeliest to be answered."""
    _typing: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reading = ReadState(self.transcript)

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
        return self.level is NotifyLevel.OFF

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
        """Put a post at the end; returns it if it is live, somebody else's, and nobody is `there`.

        `there`: the room is looked at, `at_end`: so is the end of its log.
        """
        post = update.post
        sender = visible_line(post.sender)
        self._typing.pop(sender, None)
        own = update.own or _is_own(sender, own_name)
        hidden = not own and self.transcript.is_hidden(sender)
        mention = not own and mentions(post.text, own_name, keywords)
        if mention and sender:
            self.addressed.pop(sender, None)
            self.addressed[sender] = None
        line_id = self.transcript.add_post(
            post.sender,
            post.text,
            post.at,
            own=own,
            mention=mention,
            post_id=str(post.position),
            nonce=post.nonce if update.own else "",
        )
        arrival = Arrival(line_id, post.position, own or hidden, mention, update.live)
        self.reading.arrived(arrival, there=there, at_end=at_end)
        if own or hidden or there or not update.live:
            return None
        told = mentioning_line(post.text, own_name, keywords) if mention else post.text
        return Alert(self.name, post.sender, told, mention)

    def hide(self, hides: Callable[[str], bool] | None) -> None:
        """Hide the posts of whom `hides` says so (None: nobody); what is unread still begins where it did."""
        reading, transcript = self.reading, self.transcript
        rebuild_count = transcript.rebuild_count
        rule, first = (
            position_of(transcript, transcript.unread_line_id),
            position_of(transcript, reading.first_id),
        )
        transcript.hide(hides)
        if transcript.rebuild_count != rebuild_count:
            transcript.unread_line_id = first_from(transcript, rule)
            reading.first_id = first_from(transcript, first)

    def topic_changed(self, update: events.Topic, at: datetime) -> None:
        """Take another topic, with a line that says so."""
        self.topic, self.topic_by, self.topic_at = visible_line(update.topic), visible_line(update.name), at
        about = f"set the topic: {self.topic}" if self.topic else "cleared the topic"
        self.transcript.add_system(f"{self.topic_by} {about}", at)

    def prepended(self, update: HistoryFetched, own_name: str, keywords: Sequence[str] = ()) -> bool:
        """Put a page of older posts on top; false if nobody asked for it."""
        if not update.ref or update.ref != self.history_ref:
            return False
        self.history_ref = ""
        self.history_ended = not update.more
        older: list[TranscriptPost] = []
        page: list[OlderPost] = []
        for post in update.posts:
            sender = visible_line(post.sender)
            own = _is_own(sender, own_name)
            mention = not own and mentions(post.text, own_name, keywords)
            older.append((post.sender, post.text, post.at, own, mention, str(post.position)))
            page.append(OlderPost(post.position, own or self.transcript.is_hidden(sender), mention))
        is_held = self.transcript.prepend_posts(older) > 0
        self.reading.prepended(page if is_held else [], ended=self.history_ended)
        return True

    def missed(self, update: GapFound, at: datetime) -> None:
        self.reading.lost(update.count)
        count = "Some" if update.count is None else f"{update.count:,}"
        posts = "post is" if update.count == 1 else "posts are"
        reason = _GAP_REASONS.get(update.reason) or visible_line(update.reason)
        self.transcript.add_system(f"{count} {posts} missing here: {reason}.", at)

    def people_changed(self, update: PresenceChanged, own_name: str) -> None:
        """Follow who came, went or took another name, with a dim line about others than us."""
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
        self._tell_comings(update, others)

    def _tell_comings(self, update: PresenceChanged, names: tuple[str, ...]) -> None:
        """Let the last line say it too, if it is one of these, or else a new one."""
        transcript = self.transcript
        line_id = self._comings_id
        if line_id != transcript.next_id - 1 or self._comings.is_full:
            self._comings, line_id = PresenceSummary(), -1
        match update.event, names:
            case "join", (_, *_):
                self._comings.came(names)
            case "leave", (_, *_):
                self._comings.went(names, visible_line(update.reason))
            case "rename", (before, now):
                self._comings.renamed(before, now)
            case _:
                self._comings.unnamed(visible_line(update.text))
        told = self._comings.told()
        brief = self._comings.told(transcript.posted_recently)
        if line_id < 0 or not transcript.replace_presence(line_id, told, brief, update.at):
            self._comings_id = transcript.add_presence(told, brief, update.at)

    def people_listed(self, update: events.Presence, own_name: str, at: datetime) -> None:
        """Take the list as it stands; print it too if /who asked for it."""
        self.online = update.online
        self.members = set(filter(None, (visible_line(member.name) for member in update.members)))
        self.listed = not update.truncated
        if update.ref and update.ref == self.who_ref:
            self.who_ref = ""
            self.transcript.add_system(who_line(update, own_name), at)


def _is_own(sender: str, own_name: str) -> bool:
    """Whether a post is ours though another connection wrote it; no two people have the same name."""
    return bool(own_name) and sender == own_name


def who_line(update: events.Presence, own_name: str) -> str:
    """What /who prints: the count, then the names, sorted."""
    away = {visible_line(member.name) for member in update.members if member.away is not None}
    names = sorted({visible_line(member.name) for member in update.members} - {""}, key=str.casefold)
    listed = ", ".join(
        f"{name}{' (you)' if name == own_name else ''}{' (away)' if name in away else ''}" for name in names
    )
    unlisted = update.online - len(names)
    more = f" and {unlisted:,} more" if update.truncated and unlisted > 0 else ""
    return f"{update.online:,} here: {listed}{more}" if listed else f"{update.online:,} here"
