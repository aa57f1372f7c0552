"""Holds what everyone saw against what is in the log: nothing lost, nothing twice, one order for all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from broadcast_tui.core.post import Position


@dataclass(frozen=True)
class Seen:
    """A post as a reader was given it."""

    position: Position
    nonce: str
    text: str


@dataclass(frozen=True)
class Hole:
    """Posts that a reader was told it would not get; None: an unknown number."""

    count: int | None


@dataclass
class Reader:
    """What one client was given in one room, in order, after position `start`."""

    name: str
    room: str
    start: int = 0
    given: list[Seen | Hole] = field(default_factory=list)


@dataclass
class Publisher:
    """What one client said, by nonce, and what it was told of it."""

    name: str
    said: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Room and text."""
    acknowledged: list[tuple[str, str]] = field(default_factory=list)
    """Nonce and post id, as often as it was told."""
    refused: list[str] = field(default_factory=list)
    unacknowledged: int = 0


@dataclass
class History:
    """The end of a story: `log` has the posts of each room, as the engine keeps them."""

    log: dict[str, list[Seen]]
    publishers: list[Publisher]
    readers: list[Reader]


def faults(history: History) -> list[str]:
    """What is wrong with a history, a sentence each; empty if all is well."""
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
        found.append(f"the numbers of {room} are not 1 to {len(posts)}, each once")
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
        found.append(f"{publisher.unacknowledged} posts of {publisher.name} are unsettled")
    found += [f"{nonce} of {publisher.name} was refused" for nonce in publisher.refused]
    kept = {post.nonce: (room, post) for room, posts in log.items() for post in posts}
    for nonce, (room, text) in publisher.said.items():
        in_log = kept.get(nonce)
        if in_log is None:
            found.append(f"{nonce} of {publisher.name} is lost")
        elif (in_log[0], in_log[1].text) != (room, text):
            found.append(f"{nonce} of {publisher.name} is in the log with another room or text")
    times = Counter(nonce for nonce, _ in publisher.acknowledged)
    found += [f"{nonce} was acknowledged {count} times" for nonce, count in times.items() if count > 1]
    for nonce, post_id in publisher.acknowledged:
        in_log = kept.get(nonce)
        if in_log is None or str(in_log[1].position) != post_id:
            found.append(f"{nonce} was acknowledged as {post_id}, which is not where it is in the log")
    return found


def _faults_of_reader(reader: Reader, log: list[Seen]) -> list[str]:
    found = []
    who = f"{reader.name} in {reader.room}"
    at: int | None = reader.start
    """Seq up to which everything was given or announced; None after a hole of unknown size."""
    last = reader.start
    for given in reader.given:
        if isinstance(given, Hole):
            at = None if at is None or given.count is None else at + given.count
            continue
        seq = given.position.seq
        if seq <= last:
            found.append(f"{who} was given {given.position} after number {last}")
            continue
        if at is not None and seq != at + 1:
            found.append(f"{who} was given number {seq} after {at}, and no hole of that size was announced")
        if not 1 <= seq <= len(log) or log[seq - 1] != given:
            found.append(f"{who} was given {given}, which is not what the log has there")
        at = last = seq
    if at is not None and at != len(log):
        found.append(f"{who} stands at number {at}, and the log at {len(log)}")
    return found
