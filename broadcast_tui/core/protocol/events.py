"""Frames from server to client. One struct a type; keys may be added to a type, never taken away.

Plain clients are sent `Message` and `System` only; a v1 client gets the same bytes for those two.
"""

from __future__ import annotations

import msgspec


class Message(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="message"):
    """A post at its place in the log; `nonce` is its author's, so that its author knows it again."""

    message: str
    sender: str
    timestamp: str
    id: str
    room: str
    nonce: str = ""


class System(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="system"):
    """A line of the server's own. `event` is join, leave, rename, welcome, notice, online or error."""

    event: str
    message: str
    timestamp: str
    room: str = ""
    name: str = ""
    names: tuple[str, ...] = ()
    """All the names of a merged line; empty when `name` says it."""
    online: int | None = None
    code: str = ""
    temporary: bool = False
    retry_after: float | None = None
    reason: str = ""
    """Why one person left, as they say."""


class RoomState(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a room stands for a client that enters it; `missed` counts the posts about to be replayed."""

    room: str
    head: str
    recovered: bool
    missed: int
    online: int
    topic: str = ""


class LimitsInfo(msgspec.Struct, frozen=True):
    """What a client should know of the server's ceilings; 0 means unlimited."""

    message_bytes: int
    rate: float
    burst: int
    page: int
    rooms: int


class Welcome(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="welcome"):
    name: str
    node: str
    time: str
    ping: float
    limits: LimitsInfo
    rooms: tuple[RoomState, ...]


class Synced(msgspec.Struct, frozen=True, tag_field="type", tag="synced"):
    """The replay of `room` is over; what follows is live."""

    room: str
    id: str


class Ack(msgspec.Struct, frozen=True, tag_field="type", tag="ack"):
    """The post with `nonce` is in the log; `dup` if it already was before this resend."""

    nonce: str
    id: str
    room: str
    timestamp: str
    dup: bool


class Error(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="error"):
    """What could not be done. `nonce` or `ref` name the frame it answers."""

    code: str
    message: str
    temporary: bool = msgspec.field(default=False)
    retry_after: float | None = None
    nonce: str = ""
    ref: str = ""


class History(msgspec.Struct, frozen=True, tag_field="type", tag="history"):
    """A page, ascending; `more` if the log goes on in the direction asked for."""

    ref: str
    room: str
    items: tuple[Message, ...]
    more: bool


class Joined(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="joined"):
    ref: str
    room: str
    head: str
    recovered: bool
    missed: int
    online: int
    topic: str = ""


class Left(msgspec.Struct, frozen=True, tag_field="type", tag="left"):
    ref: str
    room: str


class MemberInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """`away` says why somebody is away, empty for no reason; None (left out): they are here."""

    name: str
    connections: int
    away: str | None = None


class Presence(msgspec.Struct, frozen=True, tag_field="type", tag="presence"):
    """Who is in `room`: `online` people, of them `members` by name, sorted; fewer if `truncated`."""

    ref: str
    room: str
    online: int
    members: tuple[MemberInfo, ...]
    truncated: bool


class Found(msgspec.Struct, frozen=True, tag_field="type", tag="search"):
    """Posts a search found, ascending; `more` if there may be older ones."""

    ref: str
    room: str
    items: tuple[Message, ...]
    more: bool


class RoomInfo(msgspec.Struct, frozen=True):
    room: str
    online: int
    topic: str


class RoomList(msgspec.Struct, frozen=True, tag_field="type", tag="list"):
    """Rooms that have people, posts or a topic, sorted by name; fewer if `truncated`."""

    ref: str
    rooms: tuple[RoomInfo, ...]
    truncated: bool


class Topic(msgspec.Struct, frozen=True, tag_field="type", tag="topic"):
    """A room's topic was set, by `name`; `ref` in the answer to who set it."""

    room: str
    topic: str
    name: str
    ref: str = ""


class Away(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="away"):
    """Somebody went `away`, or is back; `text` says why. `ref` in the answer to who said so."""

    name: str
    away: bool
    text: str = ""
    ref: str = ""


class Renamed(msgspec.Struct, frozen=True, tag_field="type", tag="renamed"):
    ref: str
    name: str


class Gap(msgspec.Struct, frozen=True, tag_field="type", tag="gap"):
    """Posts `start` to `end` (both included) will not be sent; `reason` is lagged, trimmed or epoch."""

    room: str
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    reason: str


class Drain(msgspec.Struct, frozen=True, tag_field="type", tag="drain"):
    """The server is about to close all connections over `spread` seconds; come back after."""

    reason: str
    spread: float


class Typing(msgspec.Struct, frozen=True, tag_field="type", tag="typing"):
    room: str
    name: str


class Moderated(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="moderated"):
    """An admin's `action` (kick, ban, mute, unban, unmute) on `who` is done."""

    ref: str
    action: str
    who: str
    connections: int = 0
    """How many connections it was about."""
    addresses: tuple[str, ...] = ()
    """Where they came from."""
    until: str = ""
    """When it is over; empty: never, or at once."""


class BanInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A ban or mute in force (`action`), of a name or a network (`kind`), by an admin."""

    action: str
    kind: str
    who: str
    by: str
    reason: str = ""
    until: str = ""
    """When it is over; empty: never."""


class BanList(msgspec.Struct, frozen=True, tag_field="type", tag="bans"):
    """Bans and mutes in force, oldest first; only the newest if `truncated`."""

    ref: str
    items: tuple[BanInfo, ...]
    truncated: bool


Event = (
    Message
    | System
    | Welcome
    | Synced
    | Ack
    | Error
    | History
    | Joined
    | Left
    | Presence
    | Renamed
    | Found
    | RoomList
    | Topic
    | Away
    | Gap
    | Drain
    | Typing
    | Moderated
    | BanList
)
