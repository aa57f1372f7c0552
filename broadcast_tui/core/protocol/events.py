"""Frames from server to client: one struct per type. Keys may be added to a type, never removed.

Plain clients receive only `Message` and `System`; v1 clients receive the same bytes for both.
"""

from __future__ import annotations

import msgspec

from broadcast_tui.core.post_state import Ask, Deletion, NoteKind, Pin, Votes


class Message(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="message"):
    """A post with its position in the log. Only the author gets the `nonce`, but not in replays.

    A reply has `re`, the id of the post that it answers, and `root`, the id of the first one of its thread.
    The rest is what notes have changed up to the seq `as`. Votes and `waiting` contain the first 20 names.
    """

    message: str
    sender: str
    timestamp: str
    id: str
    room: str
    nonce: str = ""
    re: str = ""
    root: str = ""
    edited: str = ""
    """Timestamp of the last edit."""
    deleted: Deletion | None = None
    pinned: Pin | None = None
    reactions: dict[str, Votes] = {}
    ask: Ask | None = None
    tally: dict[str, Votes] = {}
    waiting: tuple[str, ...] = ()
    closed: str = ""
    folded: int = msgspec.field(default=0, name="as")


class NoteState(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of a post after a note, in the part that this kind of note changes.

    An `edit` changes `message` and `edited`, a `delete` `deleted`, a `pin` `pinned`, a `react` `reactions`,
    an `answer` `tally`, `of`, `waiting` and `closed`. Of a deleted post, only `deleted` is left.
    """

    message: str = ""
    edited: str = ""
    deleted: Deletion | None = None
    pinned: Pin | None = None
    reactions: dict[str, Votes] = {}
    tally: dict[str, Votes] = {}
    of: int = 0
    waiting: tuple[str, ...] = ()
    closed: str = ""


class Note(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="note"):
    """A note in the log: `by` changed the post `re`, which is now as in `now`.

    A note about reactions or answers summarizes those of several people and has no `by`. `now` is missing if
    the post is no longer stored.
    """

    id: str
    room: str
    note: NoteKind
    re: str
    by: str
    timestamp: str
    now: NoteState | None = None
    nonce: str = ""


class System(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="system"):
    """A line from the server.

    `event` is join, leave, rename, welcome, notice, online or error; for plain clients also note or direct.
    """

    event: str
    message: str
    timestamp: str
    room: str = ""
    name: str = ""
    names: tuple[str, ...] = ()
    """All names of a merged line; empty if `name` is set."""
    online: int | None = None
    code: str = ""
    temporary: bool = False
    retry_after: float | None = None
    reason: str = ""
    """The reason that a person gave for leaving."""


class RoomState(msgspec.Struct, frozen=True, omit_defaults=True):
    """The state of a room for a client that enters it; `missed` is the number of entries to be replayed."""

    room: str
    head: str
    recovered: bool
    missed: int
    online: int
    topic: str = ""
    pinned: tuple[str, ...] = ()
    """Ids of the pinned posts, in ascending order."""
    asks: tuple[str, ...] = ()
    """Ids of the newest open questions, in ascending order."""


class LimitsInfo(msgspec.Struct, frozen=True):
    """The server's limits for clients; 0: unlimited."""

    message_bytes: int
    rate: float
    burst: int
    page: int
    rooms: int


class DirectInfo(msgspec.Struct, frozen=True):
    """A room for direct messages, `with` one person; `durable` if it outlasts the server's process."""

    room: str
    other: str = msgspec.field(name="with")
    head: str
    durable: bool


class Welcome(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="welcome"):
    name: str
    node: str
    time: str
    ping: float
    limits: LimitsInfo
    rooms: tuple[RoomState, ...]
    directs: tuple[DirectInfo, ...] = ()
    """Direct messages with other people, by their names."""


class Synced(msgspec.Struct, frozen=True, tag_field="type", tag="synced"):
    """The replay of `room` is complete; further posts are live."""

    room: str
    id: str


class Ack(msgspec.Struct, frozen=True, tag_field="type", tag="ack"):
    """The post with `nonce` is stored; `dup` if it was stored before this resend."""

    nonce: str
    id: str
    room: str
    timestamp: str
    dup: bool


class Error(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="error"):
    """A request failed. `nonce` or `ref` identify the frame."""

    code: str
    message: str
    temporary: bool = msgspec.field(default=False)
    retry_after: float | None = None
    nonce: str = ""
    ref: str = ""


class History(msgspec.Struct, frozen=True, tag_field="type", tag="history"):
    """A page of history in ascending order; `more` if the log continues in the requested direction."""

    ref: str
    room: str
    items: tuple[Message | Note, ...]
    more: bool


class Joined(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="joined"):
    ref: str
    room: str
    head: str
    recovered: bool
    missed: int
    online: int
    topic: str = ""
    pinned: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()


class Left(msgspec.Struct, frozen=True, tag_field="type", tag="left"):
    ref: str
    room: str


class MemberInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A person in a room. `away` is their away message, perhaps empty; omitted if they are not away."""

    name: str
    connections: int
    away: str | None = None


class Presence(msgspec.Struct, frozen=True, tag_field="type", tag="presence"):
    """The `online` people in `room`; `members` are those with a name, sorted, incomplete if `truncated`."""

    ref: str
    room: str
    online: int
    members: tuple[MemberInfo, ...]
    truncated: bool


class Found(msgspec.Struct, frozen=True, tag_field="type", tag="search"):
    """Search results in ascending order; `more` if older posts may match."""

    ref: str
    room: str
    items: tuple[Message, ...]
    more: bool


class RoomInfo(msgspec.Struct, frozen=True):
    room: str
    online: int
    topic: str


class RoomList(msgspec.Struct, frozen=True, tag_field="type", tag="list"):
    """Rooms with people, posts or a topic, sorted by name; if `truncated`, there are more after the last."""

    ref: str
    rooms: tuple[RoomInfo, ...]
    truncated: bool


class Topic(msgspec.Struct, frozen=True, tag_field="type", tag="topic"):
    """The topic of a room was set by `name`; with `ref`, the reply to its author."""

    room: str
    topic: str
    name: str
    ref: str = ""


class Away(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="away"):
    """A person is `away` or back, with an optional message; with `ref`, the reply to that person."""

    name: str
    away: bool
    text: str = ""
    ref: str = ""


class Direct(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="direct"):
    """Direct messages `with` a person are in `room`; with `ref`, the reply to the one who opened them.

    `note` says in a sentence what the person cannot do, if anything.
    """

    room: str
    other: str = msgspec.field(name="with")
    head: str
    durable: bool
    note: str = ""
    ref: str = ""


class Renamed(msgspec.Struct, frozen=True, tag_field="type", tag="renamed"):
    ref: str
    name: str


class Gap(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="gap"):
    """Posts `from` to `to` (inclusive) will not be sent. `reason` is lagged, trimmed or epoch.

    With `forked`, the posts from `from` on are lost, and `to` is the position in the new epoch.
    """

    room: str
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    reason: str
    forked: bool = False


class Epoch(msgspec.Struct, frozen=True, tag_field="type", tag="epoch"):
    """The log of `room` has a new epoch: the position `from` is now `to`. Nothing before it has changed."""

    room: str
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")


class Drain(msgspec.Struct, frozen=True, tag_field="type", tag="drain"):
    """The server will close all connections over the next `spread` seconds; reconnect afterwards."""

    reason: str
    spread: float


class Typing(msgspec.Struct, frozen=True, tag_field="type", tag="typing"):
    room: str
    name: str


class Moderated(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="moderated"):
    """An admin's `action` (kick, ban, mute, unban, unmute) on `who` succeeded."""

    ref: str
    action: str
    who: str
    connections: int = 0
    """Number of affected connections."""
    addresses: tuple[str, ...] = ()
    """Their addresses."""
    until: str = ""
    """Timestamp of its end; empty if it is permanent or has no duration."""


class BanInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A ban or mute (`action`) of a name or an address (`kind`)."""

    action: str
    kind: str
    who: str
    by: str
    reason: str = ""
    until: str = ""
    """Timestamp of its end; empty if it is permanent."""


class BanList(msgspec.Struct, frozen=True, tag_field="type", tag="bans"):
    """Bans and mutes in force, oldest first; only the newest if `truncated`."""

    ref: str
    items: tuple[BanInfo, ...]
    truncated: bool


Event = (
    Message
    | Note
    | System
    | Welcome
    | Synced
    | Ack
    | Error
    | History
    | Joined
    | Left
    | Direct
    | Presence
    | Renamed
    | Found
    | RoomList
    | Topic
    | Away
    | Gap
    | Epoch
    | Drain
    | Typing
    | Moderated
    | BanList
)
