"""Updates of a client session: its only output, read by a screen or a script.

Each update is immutable. Updates arrive in order and in batches. Their text is as the server sent it: the
server has sanitized it, and code that displays it sanitizes it again.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import assert_never

import msgspec

from broadcast_tui.core.clock import Instant, parse_time
from broadcast_tui.core.notes import Note
from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.core.protocol import events


class ConnectionState(StrEnum):
    """State of a client's connection."""

    CONNECTING = "connecting"
    ONLINE = "online"
    WAITING = "waiting"
    """Lost; the client reconnects in `ConnectionChanged.retry_in_s` seconds."""
    REFUSED = "refused"
    """Rejected, and reconnecting would not help; `reason` says why."""
    CLOSED = "closed"
    """Closed by the user of the client."""


class DisconnectCause(StrEnum):
    """Cause of a disconnect, if the user can do something about it."""

    OTHER = "other"
    UNAUTHORIZED = "unauthorized"
    """A token is missing or invalid."""
    UNENCRYPTED_TOKEN = "unencrypted_token"
    """The client did not send the token, because the connection is not encrypted."""
    UNTRUSTED_CERTIFICATE = "untrusted_certificate"
    """No trusted authority signed the server's certificate."""
    UNUSABLE = "unusable"
    """The client does not connect, because the address, TLS or protocol is wrong; nobody has rejected it."""
    KICKED = "kicked"
    """An admin has closed the connection, without a ban; the reason says who."""


CONNECTION_LOST = "connection lost"
"""Reason of a disconnect about which nothing else is known."""


class ConnectionChanged(msgspec.Struct, frozen=True):
    """The state of the connection has changed.

    `retry_in_s` is set with WAITING, `cause` with REFUSED.
    """

    state: ConnectionState
    reason: str = ""
    retry_in_s: float | None = None
    cause: DisconnectCause = DisconnectCause.OTHER


class Welcomed(msgspec.Struct, frozen=True):
    """The server has accepted the session under `name`, in `rooms`."""

    name: str
    node: str
    rooms: tuple[str, ...]
    message_bytes: int
    """Maximum length of a post, in bytes of UTF-8; 0: unlimited."""


class NameDenied(msgspec.Struct, frozen=True):
    """The server rejected a name: in `hello`, then the state is REFUSED, or in `rename`."""

    name: str
    code: str
    reason: str


class NameChanged(msgspec.Struct, frozen=True):
    """This session now has the name `name`."""

    name: str


class RoomEntered(msgspec.Struct, frozen=True):
    """This session has entered `room`. A replay of `missed` posts follows, then `CaughtUp`."""

    room: str
    online: int
    missed: int
    topic: str = ""
    pinned: tuple[Position, ...] = ()
    """The pinned posts, in ascending order."""
    asks: tuple[Position, ...] = ()
    """The newest open questions, in ascending order."""


class RoomLeft(msgspec.Struct, frozen=True):
    """This session has left `room`."""

    room: str


class RoomRewound(msgspec.Struct, frozen=True):
    """What was shown of `room` is void: it begins again with `RoomEntered`. Only replays do this."""

    room: str


class CaughtUp(msgspec.Struct, frozen=True):
    """The replay of `room` is complete; the posts that follow are live."""

    room: str


class PostArrived(msgspec.Struct, frozen=True, gc=False):
    """The next post of its room, in order and once. `live` is false in a replay.

    `own` is true if this session sent it; then `post.nonce` is the value that `say` returned.
    """

    post: Post
    live: bool
    own: bool


class PostDelivered(msgspec.Struct, frozen=True):
    """The server has stored the own post with this nonce, under the id `post_id`."""

    room: str
    nonce: str
    post_id: str
    at: datetime
    has_arrived: bool = False
    """Whether `PostArrived` with this id came before, perhaps not marked as own."""


class PostRejected(msgspec.Struct, frozen=True):
    """The server rejected the own post with this nonce; `text` is its text, for the user to edit."""

    room: str
    nonce: str
    code: str
    reason: str
    text: str
    re: str = ""
    """Id of the post that it replies to, or the nonce of that post if it was never stored; empty for none."""


class NoteArrived(msgspec.Struct, frozen=True, gc=False):
    """The next note of its room, in order and once: `apply_note` applies it to the post that it is about.

    That post may not be loaded. `live` is false in a replay; `own` is true if this session sent it.
    """

    note: Note
    live: bool
    own: bool


class NoteDelivered(msgspec.Struct, frozen=True):
    """The server has stored the own note with this nonce. Its effect arrives with `NoteArrived`."""

    room: str
    nonce: str
    re: str
    """Id of the post that it changes; its nonce if the post itself was not sent yet (see `text`)."""
    kind: NoteKind
    text: str = ""
    """New text of an own post that was not sent yet: it was edited at once, or deleted and is not sent."""


class NoteRejected(msgspec.Struct, frozen=True):
    """The server rejected the own note with this nonce, which has changed nothing.

    `text` is the text of an edit, for the user to try again.
    """

    room: str
    nonce: str
    re: str
    """Id of the post that it was to change; the nonce of that post if it was never stored."""
    kind: NoteKind
    code: str
    reason: str
    text: str = ""


class DirectOpened(msgspec.Struct, frozen=True):
    """Direct messages with `other` are in `room`, which this session has to join.

    `ref` is set if this session opened them; otherwise the other person did, now or while we were away.
    """

    room: str
    other: str
    durable: bool
    """Whether they outlast the server's process."""
    note: str = ""
    """A sentence about what the other person cannot do; usually empty."""
    ref: str = ""
    head: Position | None = None
    """Position of the last entry; None if there is none."""


class GapFound(msgspec.Struct, frozen=True):
    """`count` posts of `room` (None: unknown) cannot be fetched; `reason` is lagged, trimmed or epoch."""

    room: str
    count: int | None
    reason: str


class EpochChanged(msgspec.Struct, frozen=True):
    """The log of `room` has a new epoch: its posts up to `seq` are the same, under ids of the new epoch.

    Those above are lost; if some of them have arrived, `Withdrawn` follows. The server may send them again.
    """

    room: str
    former: str
    """The epoch before."""
    epoch: str
    seq: int

    def follow(self, position: Position) -> Position | None:
        """The position in the new epoch; None if it is lost. That of another epoch does not change."""
        if position.epoch != self.former:
            return position
        return Position(self.epoch, position.seq) if position.seq <= self.seq else None

    def follow_id(self, post_id: str) -> str:
        """The id of a post in the new epoch; the same one if it is lost, or not from the former epoch."""
        position = Position.parse(post_id)
        return str(self.follow(position) or position) if position is not None else post_id


class Withdrawn(msgspec.Struct, frozen=True):
    """The server has lost the last `count` posts and notes of `room` that have arrived.

    The next ones follow from `position` on, perhaps with the same text.
    """

    room: str
    position: Position
    """In the current epoch, of the first one that is gone."""
    count: int
    nonces: tuple[str, ...] = ()
    """Own posts that the server had acknowledged and lost before they arrived."""


class HistoryFetched(msgspec.Struct, frozen=True):
    """A page of history: the answer to `ref`, in ascending order; `more` if the log continues that way.

    The posts include all notes about them that have arrived.
    """

    room: str
    ref: str
    posts: tuple[Post, ...]
    more: bool
    start: Position | None = None
    """Position of the first entry, perhaps a note, before which older posts are requested; None if empty."""
    notes: tuple[Note, ...] = ()
    """The notes in the page, for their times: what they have changed is part of the posts."""


class PresenceChanged(msgspec.Struct, frozen=True):
    """Users joined, left or changed names: `event` is join, leave, rename, or online for the count alone.

    `names` are the users' names, empty for guests and for counts; for a rename, the old and the new name.
    `text` describes the event.
    """

    room: str
    event: str
    names: tuple[str, ...]
    online: int
    text: str
    at: datetime
    reason: str = ""
    """Reason that the user gave for leaving."""


class SearchFound(msgspec.Struct, frozen=True):
    """Answer to `search`: posts in ascending order; `more` if older ones may match."""

    room: str
    ref: str
    posts: tuple[Post, ...]
    more: bool


class Moderated(msgspec.Struct, frozen=True):
    """A kick, ban, mute, unban or unmute has been carried out; it affected this many connections."""

    ref: str
    action: str
    who: str
    connections: int
    addresses: tuple[str, ...]
    until: datetime | None
    """When it expires; None if it does not, or for an action without duration."""


class Ban(msgspec.Struct, frozen=True):
    """A ban or mute (`action`) of `who`, a name or a network, by an admin; permanent if `until` is None."""

    action: str
    who: str
    by: str
    reason: str
    until: datetime | None


class BansListed(msgspec.Struct, frozen=True):
    """Answer to `bans`: active bans and mutes, oldest first; `truncated` if older ones are left out."""

    ref: str
    bans: tuple[Ban, ...]
    truncated: bool


class Noticed(msgspec.Struct, frozen=True):
    """A line for the user that is not a post: a notice of the server, or an error that concerns no post.

    `ref` is set if it answers a request of this session.
    """

    text: str
    error: bool = False
    code: str = ""
    ref: str = ""
    retry_after_s: float | None = None
    """Seconds after which a request that was rejected temporarily can be repeated; None: do not repeat it."""


Update = (
    ConnectionChanged
    | Welcomed
    | NameDenied
    | NameChanged
    | RoomEntered
    | RoomLeft
    | RoomRewound
    | CaughtUp
    | PostArrived
    | PostDelivered
    | PostRejected
    | NoteArrived
    | NoteDelivered
    | NoteRejected
    | DirectOpened
    | GapFound
    | EpochChanged
    | Withdrawn
    | HistoryFetched
    | PresenceChanged
    | SearchFound
    | Moderated
    | BansListed
    | Noticed
    | events.Presence
    | events.RoomList
    | events.Topic
    | events.Away
    | events.Typing
)
"""An event that a session passes through unchanged is an update as well."""


def update_from_event(event: events.Moderated | events.BanList, when: Instant) -> Update:
    """Convert an answer to an update, and parse its times."""
    match event:
        case events.Moderated():
            until = _parse_until(event.until, when)
            return Moderated(event.ref, event.action, event.who, event.connections, event.addresses, until)
        case events.BanList():
            bans = tuple(
                Ban(ban.action, ban.who, ban.by, ban.reason, _parse_until(ban.until, when))
                for ban in event.items
            )
            return BansListed(event.ref, bans, event.truncated)
        case _:
            assert_never(event)


def _parse_until(until: str, when: Instant) -> datetime | None:
    return parse_time(until, when) if until else None


def is_presence(event: events.System) -> bool:
    """Whether a system line is about people who join, leave or are renamed, or about their number."""
    return event.event in ("join", "leave", "rename", "online") and event.online is not None


def update_from_notice(event: events.System, when: Instant) -> PresenceChanged | Noticed:
    """Convert a system event to a change of presence or a notice."""
    if event.online is None or not is_presence(event):
        return Noticed(event.message, event.event == "error", event.code)
    names = event.names or ((event.name,) if event.name else ())
    at = parse_time(event.timestamp, when)
    return PresenceChanged(event.room, event.event, names, event.online, event.message, at, event.reason)
