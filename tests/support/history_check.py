"""Checks what clients received against the log: nothing lost, nothing duplicated, the same order for all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from broadcast_tui.core.post import Position


@dataclass(frozen=True)
class Seen:
    """A post as a client received it. `nonce` is empty unless the client sent it."""

    position: Position
    nonce: str
    text: str


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


@dataclass
class Publisher:
    """The posts of one client by nonce, and their acknowledgments."""

    name: str
    posted: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Room and text."""
    acknowledged: list[tuple[str, str]] = field(default_factory=list)
    """Nonce and post id of each acknowledgment."""
    rejected: list[str] = field(default_factory=list)
    unacknowledged: int = 0


@dataclass
class History:
    """The result of a run: `log` has the stored posts of each room."""

    log: dict[str, list[Seen]]
    publishers: list[Publisher]
    readers: list[Reader]


def faults(history: History) -> list[str]:
    """The faults of a history, one sentence each."""
    found: list[str] = []
    for room, posts in history.log.items():
        found += _faults_of_log(room, posts)
    for publisher in history.publishers:
        found += _faults_of_publisher(publisher, history.log)
    for reader in history.readers:
        found += _faults_of_reader(reader, history.log.get(reader.room, []))
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
    found += [f"{nonce} of {publisher.name} was rejected" for nonce in publisher.rejected]
    stored = {post.nonce: (room, post) for room, posts in log.items() for post in posts}
    for nonce, (room, text) in publisher.posted.items():
        in_log = stored.get(nonce)
        if in_log is None:
            found.append(f"{nonce} of {publisher.name} is lost")
        elif (in_log[0], in_log[1].text) != (room, text):
            found.append(f"{nonce} of {publisher.name} is in the log with another room or text")
    times = Counter(nonce for nonce, _ in publisher.acknowledged)
    found += [f"{nonce} was acknowledged {count} times" for nonce, count in times.items() if count > 1]
    for nonce, post_id in publisher.acknowledged:
        in_log = stored.get(nonce)
        if in_log is None or str(in_log[1].position) != post_id:
            found.append(f"{nonce} was acknowledged as {post_id}, which is not where it is in the log")
    return found


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
    return same_nonce and (received.position, received.text) == (stored.position, stored.text)
