"""Checks what clients received against the log: nothing lost, nothing duplicated, the same order for all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from broadcast_tui.core.post import Position
from broadcast_tui.core.post_state import NoteKind
from tests.support.note_check import Change, View, expected_views


@dataclass(frozen=True)
class Seen:
    """A post or note as a client received it. `nonce` is empty unless the client sent it."""

    position: Position
    nonce: str
    label: str
    """The start of a post, which edits do not change; or the kind of a note and the seq of its post."""


@dataclass(frozen=True)
class Gap:
    """A gap announced to a client: the number of missing posts, or None if unknown."""

    count: int | None


@dataclass
class Reader:
    """What one client received in one room, in order, after position `start`."""

    name: str
    room: str
    start: int = 0
    received: list[Seen | Gap] = field(default_factory=list)
    views: dict[Position, View] = field(default_factory=dict)
    """The posts at the end."""


@dataclass
class Publisher:
    """The posts and notes of one client, and their acknowledgments."""

    name: str
    posted: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Room and text of each post, by nonce."""
    changes: list[Change] = field(default_factory=list)
    """Its notes in the order sent."""
    acknowledged: list[tuple[str, str]] = field(default_factory=list)
    """Nonce and post id of each acknowledgment; for a note, the id of the post that it is about."""
    rejected: list[tuple[str, str]] = field(default_factory=list)
    """Nonce and reason of each rejection."""
    unacknowledged: int = 0


@dataclass
class History:
    """The result of a run: `log` has the stored entries of each room, and `views` its posts at the end."""

    log: dict[str, list[Seen]]
    publishers: list[Publisher]
    readers: list[Reader]
    views: dict[str, dict[Position, View]] = field(default_factory=dict)


def label_of(text: str) -> str:
    """The label of a post: its first two words."""
    return " ".join(text.split()[:2])


def faults(history: History) -> list[str]:
    """The faults of a history, one sentence each."""
    found: list[str] = []
    for room, posts in history.log.items():
        found += _faults_of_log(room, posts)
    for publisher in history.publishers:
        found += _faults_of_publisher(publisher, history.log)
        found += _faults_of_changes(publisher, history.log)
    for room, views in history.views.items():
        found += _faults_of_views(room, views, history)
    for reader in history.readers:
        found += _faults_of_reader(reader, history.log.get(reader.room, []))
        found += [
            f"{reader.name} in {reader.room} has {view} at {position}, and the log has something else"
            for position, view in reader.views.items()
            if history.views[reader.room].get(position) != view
        ]
    return found


def _faults_of_log(room: str, posts: list[Seen]) -> list[str]:
    found = []
    if [post.position.seq for post in posts] != list(range(1, len(posts) + 1)):
        found.append(f"{room} does not have the numbers 1 to {len(posts)} once each")
    if len({post.position.epoch for post in posts}) > 1:
        found.append(f"{room} has more than one epoch")
    found += [
        f"{nonce} is {count} times in {room}"
        for nonce, count in Counter(post.nonce for post in posts).items()
        if count > 1 and nonce
    ]
    return found


def _faults_of_publisher(publisher: Publisher, log: dict[str, list[Seen]]) -> list[str]:
    found = []
    if publisher.unacknowledged:
        found.append(f"{publisher.unacknowledged} posts of {publisher.name} are unacknowledged")
    found += [f"{nonce} of {publisher.name} was rejected: {why}" for nonce, why in publisher.rejected]
    stored = _by_nonce(log)
    for nonce, (room, text) in publisher.posted.items():
        in_log = stored.get(nonce)
        if in_log is None:
            found.append(f"{nonce} of {publisher.name} is lost")
        elif (in_log[0], in_log[1].label) != (room, label_of(text)):
            found.append(f"{nonce} of {publisher.name} is in the log with another room or text")
    times = Counter(nonce for nonce, _ in publisher.acknowledged)
    found += [f"{nonce} was acknowledged {count} times" for nonce, count in times.items() if count > 1]
    changes = {change.nonce for change in publisher.changes}
    for nonce, post_id in publisher.acknowledged:
        in_log = stored.get(nonce)
        if nonce not in changes and (in_log is None or str(in_log[1].position) != post_id):
            found.append(f"{nonce} was acknowledged as {post_id}, which is not where it is in the log")
    return found


def _by_nonce(log: dict[str, list[Seen]]) -> dict[str, tuple[str, Seen]]:
    return {entry.nonce: (room, entry) for room, entries in log.items() for entry in entries if entry.nonce}


def _faults_of_changes(publisher: Publisher, log: dict[str, list[Seen]]) -> list[str]:
    """Every note must be acknowledged for its own post, and an edit be in the log.

    An edit that is acknowledged for a nonce has changed a post that was not sent yet.
    """
    found = []
    stored, acknowledged = _by_nonce(log), dict(publisher.acknowledged)
    for change in publisher.changes:
        target = stored[change.re][1].position if change.re in stored else Position.parse(change.re)
        who = f"{change.kind} {change.nonce} of {publisher.name}"
        entry, re = stored.get(change.nonce), acknowledged.get(change.nonce)
        if change.kind is NoteKind.EDIT and entry is None and re == change.re and re in stored:
            continue
        if re != str(target):
            found.append(f"{who} was not acknowledged for {target}")
        if change.kind is NoteKind.EDIT and (entry is None or target is None):
            found.append(f"{who} is lost")
        elif entry is not None and target is not None:
            expected = change.room, f"{change.kind} {target.seq}"
            found += [f"{who} is in the log for another post"] * ((entry[0], entry[1].label) != expected)
    return found


def _faults_of_views(room: str, views: dict[Position, View], history: History) -> list[str]:
    """The posts must be as all changes leave them."""
    stored = _by_nonce(history.log)
    posted = {
        stored[nonce][1].position: text
        for publisher in history.publishers
        for nonce, (posted_in, text) in publisher.posted.items()
        if posted_in == room and nonce in stored
    }
    changes = [
        (publisher.name, [change for change in publisher.changes if change.room == room])
        for publisher in history.publishers
    ]

    def position_of(re: str) -> Position | None:
        return stored[re][1].position if re in stored else Position.parse(re)

    expected = expected_views(posted, changes, position_of)
    return [
        f"{room} has {views.get(position)} at {position}, expected {view}"
        for position, view in expected.items()
        if views.get(position) != view
    ]


def _faults_of_reader(reader: Reader, log: list[Seen]) -> list[str]:
    found = []
    who = f"{reader.name} in {reader.room}"
    at: int | None = reader.start
    """Seq up to which everything received or announced; None after a gap of unknown size."""
    last = reader.start
    for received in reader.received:
        if isinstance(received, Gap):
            at = None if at is None or received.count is None else at + received.count
            continue
        seq = received.position.seq
        if seq <= last:
            found.append(f"{who} received {received.position} after number {last}")
            continue
        if at is not None and seq != at + 1:
            found.append(f"{who} received number {seq} after {at}, and no gap of that size was announced")
        if not 1 <= seq <= len(log) or not _is_same(received, log[seq - 1]):
            found.append(f"{who} received {received}, which is not what the log has there")
        at = last = seq
    if at is not None and at != len(log):
        found.append(f"{who} received up to number {at}, and the log has {len(log)}")
    return found


def _is_same(received: Seen, stored: Seen) -> bool:
    """Whether a reader received what is in the log; only authors receive nonces."""
    same_nonce = received.nonce in ("", stored.nonce)
    return same_nonce and (received.position, received.label) == (stored.position, stored.label)
