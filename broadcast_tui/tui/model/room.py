"""Model of one room: transcript, members, unread posts, typing users.

Times are arguments: `now` in monotonic seconds, `at` in UTC. Names are sanitized when they arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import msgspec

from broadcast_tui.core.names import VOLATILE_SIGN, is_direct
from broadcast_tui.core.post import Post
from broadcast_tui.core.post_state import NO_STATE
from broadcast_tui.core.protocol import events
from broadcast_tui.core.session.updates import (
    EpochChanged,
    GapFound,
    HistoryFetched,
    NoteArrived,
    PostArrived,
    PresenceChanged,
    Withdrawn,
)
from broadcast_tui.core.text import visible_line
from broadcast_tui.tui.model.notifications import Alert, NotifyLevel
from broadcast_tui.tui.model.read_state import Arrival, OlderPost, ReadState
from broadcast_tui.tui.model.room_notes import RoomNotes
from broadcast_tui.tui.model.text.collation import collation_key
from broadcast_tui.tui.model.text.mentions import mentioning_line, mentions
from broadcast_tui.tui.model.transcript.navigation import first_from, position_of
from broadcast_tui.tui.model.transcript.post_details import details_of
from broadcast_tui.tui.model.transcript.presence_lines import PresenceLines
from broadcast_tui.tui.model.transcript.records import OlderPost as TranscriptPost
from broadcast_tui.tui.model.transcript.transcript import Transcript

DETAIL_MAX = 100
"""Largest room whose members are listed by name; above it only their number is known."""
MEMBERS_MAX = 2_000
"""Maximum number of members stored by name; with more, only their number is known."""
TYPING_MAX = 50
"""Maximum number of typing users; further ones are ignored."""
ADDRESSED_MAX = 64
TYPING_SHOWN_S = 5.0
"""How long a typing notice is shown; clients send one every 3 seconds at most."""

_GAP_REASONS = {
    "lagged": "the connection was too slow",
    "trimmed": "the server no longer has them",
    "epoch": "the server restarted without its history",
}


def label_of(room: str) -> str:
    """How a room is shown whose other person is not known: `#lobby`, or `@ana+bob` for direct messages."""
    return visible_line(room.partition(VOLATILE_SIGN)[0]) if is_direct(room) else f"#{visible_line(room)}"


class Person(msgspec.Struct, frozen=True):
    """An entry of the member list. `away` is the reason (may be empty); None: not away."""

    name: str
    own: bool = False
    away: str | None = None


class RoomModel:
    """One room."""

    def __init__(
        self,
        name: str,
        transcript: Transcript | None = None,
        *,
        level: NotifyLevel = NotifyLevel.MENTIONS,
    ) -> None:
        self.name = name
        self.is_direct = is_direct(name)
        """Whether the room is for direct messages. Each post of the other person counts as a mention."""
        self.transcript = transcript if transcript is not None else Transcript()
        self.members: set[str] = set()
        self.listed = False
        """Whether `members` is complete; false before the list arrives, and in large rooms."""
        self.list_asked = False
        """Whether the list has been requested since the room was entered or became small enough."""
        self.list_pending = False
        """Whether the answer to that request is pending."""
        self.online = 0
        self.topic = ""
        self.topic_by = ""
        """Who set the topic, if that happened while connected."""
        self.topic_at: datetime | None = None
        self.reading = ReadState(self.transcript)
        self.notes = RoomNotes(self.transcript)
        self.level = level
        """Which posts trigger notifications."""
        self.other = ""
        """The other person, if the room is for direct messages."""
        self.is_replaced = False
        """Whether direct messages with the same name are now in another room."""
        self.alerts_of_replay = False
        """Whether posts of the pending replay trigger notifications: it was opened because of them."""
        self.entered = False
        self.greeting_due = False
        """Whether the line about joining is pending: it follows the backlog."""
        self.history_ref = ""
        """Ref of the pending history request; empty if there is none."""
        self.history_ended = False
        self._page_start = ("", "")
        """Id of the first entry of the last page, and of the oldest stored post at that time."""
        self.who_ref = ""
        """Ref of the list requested by /who; empty if there is none."""
        self.addressed: dict[str, None] = {}
        """Users who mentioned the user, the most recent last: the likeliest to be answered."""
        self._typing: dict[str, float] = {}
        self._presence_lines = PresenceLines(self.transcript)

    @property
    def label(self) -> str:
        """How the room is shown: `#lobby`, or `@bob` for direct messages."""
        if not self.other:
            return label_of(self.name)
        return f"@{self.other}{' (old)' if self.is_replaced else ''}"

    @property
    def unread(self) -> int:
        """Unseen posts of others."""
        return self.reading.count

    @property
    def mention_count(self) -> int:
        """Unseen posts that mention the user."""
        return self.reading.mentions

    @property
    def muted(self) -> bool:
        """Whether unread posts do not ask for attention. Mentions are counted, without a notification."""
        return self.level is NotifyLevel.OFF

    @property
    def urgent_count(self) -> int:
        """Unread posts that ask for attention while another room is shown."""
        return self.mention_count if self.muted else self.unread

    @property
    def oldest_id(self) -> str:
        """Id of the entry before which history can be fetched; empty if there is none."""
        start, oldest = self._page_start
        first = self.transcript.first_post_id
        # A page may begin with notes, or consist of them.
        return start if start and first == oldest else first

    def people(self) -> list[str] | None:
        """Member names in display order; None if only their number is known."""
        if not self.listed or max(self.online, len(self.members)) > DETAIL_MAX:
            return None
        return sorted(self.members, key=collation_key)

    def known_names(self) -> Iterable[str]:
        """Names of people who are in the room or have posted."""
        return (*filter(None, [self.other]), *self.members, *self.transcript.senders)

    def request_list(self) -> bool:
        """Whether the member list must be requested now; returns true once each time it is unknown."""
        if self.online > DETAIL_MAX:
            self.listed = self.list_asked = False
        if not self.entered or self.list_asked or self.list_pending or self.online > DETAIL_MAX:
            return False
        self.list_asked = self.list_pending = True
        return True

    def typing(self, now: float) -> list[str]:
        """Users who are typing, in the order they started; expired entries are removed."""
        for name in [name for name, until in self._typing.items() if until <= now]:
            del self._typing[name]
        return list(self._typing)

    def set_typing(self, name: str, own: str, now: float) -> None:
        name = visible_line(name)
        if name and name != own and (name in self._typing or len(self._typing) < TYPING_MAX):
            self._typing[name] = now + TYPING_SHOWN_S

    def arrived(
        self, update: PostArrived, own_name: str, keywords: Sequence[str] = (), *, there: bool, at_end: bool
    ) -> Alert | None:
        """Add a live or replayed post.

        Args:
            there: The user is viewing the room.
            at_end: The end of its log is visible.

        Returns:
            An alert for a live post from another user while the room is not viewed, else None.
        """
        post = update.post
        sender = visible_line(post.sender)
        self._typing.pop(sender, None)
        own = update.own or _is_own(sender, own_name)
        hidden = not own and self.transcript.is_hidden(sender)
        details, is_deleted = None, False
        if post.state is not NO_STATE or post.re:
            details, is_deleted = details_of(post, self.transcript.hide_rule), bool(post.state.deleted)
            self.notes.posted(post)
        mention = not own and not is_deleted and mentions(post.text, own_name, keywords)
        if mention and sender:
            self._addressed_by(sender)
        line_id = self.transcript.add_post(
            post.sender,
            post.text,
            post.at,
            own=own,
            mention=mention,
            post_id=str(post.position),
            nonce=post.nonce if update.own else "",
            details=details,
        )
        is_urgent = mention or self.is_direct
        arrival = Arrival(line_id, post.position, own or hidden or is_deleted, is_urgent, update.live)
        self.reading.arrived(arrival, there=there, at_end=at_end)
        if own or hidden or there or is_deleted or not (update.live or self.alerts_of_replay):
            return None
        text = mentioning_line(post.text, own_name, keywords) if mention else post.text
        return Alert(self.name, post.sender, text, is_urgent)

    def note_arrived(
        self, update: NoteArrived, own_name: str, keywords: Sequence[str] = (), *, there: bool, at_end: bool
    ) -> Alert | None:
        """Apply a live or replayed note; arguments as for `arrived`.

        Returns:
            An alert for a live edit of another user that newly mentions the user, else None.
        """
        note, reading = update.note, self.reading
        reading.note_arrived(note.position, live=update.live)
        before = self.notes.arrived(
            note,
            is_paging=bool(self.history_ref),
            is_mention=lambda text: mentions(text, own_name, keywords),
        )
        if before is None or before.own or before.line_id is None:
            return None
        after = self.notes.post(str(before.post.position))
        if after is None or after.post.state.deleted is not None:
            was_urgent = before.mention or self.is_direct
            reading.post_deleted(before.line_id, before.post.position, mention=was_urgent)
            return None
        if before.mention == after.mention or self.is_direct:
            return None
        if before.mention:
            reading.mention_removed(before.line_id, before.post.position)
            return None
        self._addressed_by(after.post.sender)
        reading.mention_added(before.line_id, before.post.position, seen=update.live and there and at_end)
        if there or not update.live:
            return None
        text = mentioning_line(after.post.text, own_name, keywords)
        return Alert(self.name, after.post.sender, text, True)

    def _addressed_by(self, sender: str) -> None:
        self.addressed.pop(sender, None)
        self.addressed[sender] = None
        if len(self.addressed) > ADDRESSED_MAX:
            del self.addressed[next(iter(self.addressed))]

    def hide(self, rule: Callable[[str], bool] | None) -> None:
        """Hide the posts of senders that `rule` accepts (None: nobody). Keeps the unread position."""
        reading, transcript = self.reading, self.transcript
        rebuild_count = transcript.rebuild_count
        unread_line, first = (
            position_of(transcript, transcript.unread_line_id),
            position_of(transcript, reading.first_id),
        )
        transcript.hide(rule)
        if transcript.rebuild_count != rebuild_count:
            transcript.unread_line_id = first_from(transcript, unread_line)
            reading.first_id = first_from(transcript, first)

    def follow(self, change: EpochChanged) -> None:
        """Follow the log to a new epoch."""
        self.transcript.follow(change)
        self.notes.follow(change)
        self.reading.follow(change)
        start, oldest = self._page_start
        self._page_start = change.follow_id(start), change.follow_id(oldest)

    def withdraw(self, update: Withdrawn) -> str:
        """Remove the posts that the server has lost; returns the line about it."""
        reading, transcript = self.reading, self.transcript
        unread_line, first = (
            position_of(transcript, transcript.unread_line_id),
            position_of(transcript, reading.first_id),
        )
        pending = transcript.pending_count
        lost = transcript.withdraw(update.position, update.nonces)
        for position, line in lost:
            is_urgent = line.mention or self.is_direct
            reading.post_lost(line.id, position, own=line.own, mention=is_urgent)
        transcript.unread_line_id = first_from(transcript, unread_line)
        reading.first_id = first_from(transcript, first)
        return lost_line(len(lost) + pending - transcript.pending_count)

    def topic_changed(self, update: events.Topic, at: datetime) -> str:
        """Set the topic; returns the line about it."""
        self.topic, self.topic_by, self.topic_at = visible_line(update.topic), visible_line(update.name), at
        about = f"set the topic to: {self.topic}" if self.topic else "cleared the topic"
        return f"{self.topic_by} {about}"

    def prepended(self, update: HistoryFetched, own_name: str, keywords: Sequence[str] = ()) -> bool:
        """Add a page of older posts; returns false if it was not requested.

        Any other page updates the posts that are loaded.
        """
        if not update.ref or update.ref != self.history_ref:
            self.merge(update.posts, own_name, keywords)
            return False
        self.history_ref = ""
        self.history_ended = not update.more
        older: list[TranscriptPost] = []
        page: list[OlderPost] = []
        for post in self.notes.take_page(update.posts):
            sender = visible_line(post.sender)
            own, is_deleted = _is_own(sender, own_name), post.state.deleted is not None
            mention = not own and not is_deleted and mentions(post.text, own_name, keywords)
            details = details_of(post, self.transcript.hide_rule)
            if details is not None:
                self.notes.posted(post)
            older.append(
                TranscriptPost(post.sender, post.text, post.at, own, mention, str(post.position), details)
            )
            unread = not (own or is_deleted or self.transcript.is_hidden(sender))
            page.append(OlderPost(post.position, not unread, mention or self.is_direct))
        is_added = self.transcript.prepend_posts(older) > 0
        if update.start is not None:
            self._page_start = str(update.start), self.transcript.first_post_id
        self.reading.prepended(page if is_added else [], ended=self.history_ended)
        return True

    def merge(self, posts: Iterable[Post], own_name: str, keywords: Sequence[str] = ()) -> None:
        """Update the loaded posts among `posts`, which are as the server has them now."""
        self.notes.merge(posts, lambda text: mentions(text, own_name, keywords))

    def people_changed(self, update: PresenceChanged, own_name: str) -> None:
        """Apply joins, leaves and renames, and add a line about users other than oneself.

        In a room for direct messages, only renames get a line: the status line says whether the other person
        is there.
        """
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
                if self.other == names[0]:
                    self.other = names[1]
            case "online":
                return
        if len(self.members) > MEMBERS_MAX:
            self.members.clear()
            self.listed = False
        others = tuple(name for name in names if name != own_name and not self.transcript.is_hidden(name))
        if names and (not others or (update.event == "rename" and others != names)):
            return
        if not self.is_direct or update.event == "rename":
            self._presence_lines.add(update, others)

    def people_listed(self, update: events.Presence, own_name: str, at: datetime) -> None:
        """Replace the member list; print it if /who requested it."""
        self.online = update.online
        self.members = set(filter(None, (visible_line(member.name) for member in update.members)))
        self.listed = not update.truncated
        self.list_pending = False
        if update.ref and update.ref == self.who_ref:
            self.who_ref = ""
            self.transcript.add_system(who_line(update, own_name), at)


def _is_own(sender: str, own_name: str) -> bool:
    """Whether a post is the user's own, sent from another connection. Names are unique."""
    return bool(own_name) and sender == own_name


def gap_line(update: GapFound) -> str:
    """The line about lost posts."""
    count = "Some" if update.count is None else f"{update.count:,}"
    posts = "post is" if update.count == 1 else "posts are"
    reason = _GAP_REASONS.get(update.reason) or visible_line(update.reason)
    return f"{count} {posts} missing here: {reason}."


def lost_line(count: int) -> str:
    """The line about posts that the server has lost after they were received."""
    if not count:
        return "The server lost the latest changes of messages."
    if count == 1:
        return "The server lost 1 message. It was removed."
    return f"The server lost {count:,} messages. They were removed."


def who_line(update: events.Presence, own_name: str) -> str:
    """The output of /who: the count, then the names, sorted."""
    away = {visible_line(member.name) for member in update.members if member.away is not None}
    names = sorted({visible_line(member.name) for member in update.members} - {""}, key=collation_key)
    listed = ", ".join(
        f"{name}{' (you)' if name == own_name else ''}{' (away)' if name in away else ''}" for name in names
    )
    unlisted = update.online - len(names)
    more = f" and {unlisted:,} more" if update.truncated and unlisted > 0 else ""
    return f"{update.online:,} here: {listed}{more}" if listed else f"{update.online:,} here"
