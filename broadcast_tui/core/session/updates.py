"""What a client session tells its user (a screen, a script): the only way out of `core.session`.

Every update is a frozen value; they come in order, in batches. Text in them is as the server sent
it: cleaned there, to be cleaned again by whoever shows it.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import assert_never

import msgspec

from broadcast_tui.core.clock import Instant, parse_time
from broadcast_tui.core.post import Post
from broadcast_tui.core.protocol import events
from broadcast_tui.core.protocol.codec import post_of


class ConnectionState(StrEnum):
    CONNECTING = "connecting"
    ONLINE = "online"
    WAITING = "waiting"
    """Lost; will be tried again in `ConnectionChanged.retry_in_s`."""
    REFUSED = "refused"
    """The server said no and trying again would not help; `reason` says why."""
    CLOSED = "closed"
    """Closed by the user of the client."""


class ConnectionChanged(msgspec.Struct, frozen=True):
    """The connection went to `state`. `retry_in_s` seconds until the next try, with WAITING only.

    `unauthorised`, with REFUSED only: for want of a valid token; another one may help.
    """

    state: ConnectionState
    reason: str = ""
    retry_in_s: float | None = None
    unauthorized: bool = False


class Welcomed(msgspec.Struct, frozen=True):
    """The server took us in as `name`; `rooms` are those we are in."""

    name: str
    node: str
    rooms: tuple[str, ...]
    message_bytes: int
    """Longest post the server takes, in bytes of UTF-8; 0: unlimited."""


class NameDenied(msgspec.Struct, frozen=True):
    """The server refused a name: ours at hello (then the state is REFUSED), or the one of a rename."""

    name: str
    code: str
    reason: str


class NameChanged(msgspec.Struct, frozen=True):
    """The server now knows us as `name`."""

    name: str


class RoomEntered(msgspec.Struct, frozen=True):
    """We are in `room`; `missed` posts come next as a replay, until `CaughtUp`."""

    room: str
    online: int
    missed: int
    topic: str = ""


class RoomLeft(msgspec.Struct, frozen=True):
    room: str


class CaughtUp(msgspec.Struct, frozen=True):
    """Nothing is missing any more in `room`: what follows is live."""

    room: str


class PostArrived(msgspec.Struct, frozen=True, gc=False):
    """The next post of its room: in order, each once. `live` is False for replayed ones.

    `own` says that this session wrote it; then `post.nonce` is what `say` returned.
    """

    post: Post
    live: bool
    own: bool


class PostDelivered(msgspec.Struct, frozen=True):
    """The server has our post `nonce` safe, as number `post_id` of the room."""

    room: str
    nonce: str
    post_id: str
    at: datetime


class PostRejected(msgspec.Struct, frozen=True):
    """Our post `nonce` was refused for good; `text` is given back, to be corrected and sent again."""

    room: str
    nonce: str
    code: str
    reason: str
    text: str


class GapFound(msgspec.Struct, frozen=True):
    """`count` posts of `room` (None: unknown) are lost to us: reason is lagged, trimmed or epoch."""

    room: str
    count: int | None
    reason: str


class HistoryFetched(msgspec.Struct, frozen=True):
    """A page answering `ref`, ascending; `more` if there is more in that direction."""

    room: str
    ref: str
    posts: tuple[Post, ...]
    more: bool


class PresenceChanged(msgspec.Struct, frozen=True):
    """People came or went: `event` is join, leave, rename or online (the count alone); `text` says it.

    `names` are those it is about; empty for unnamed clients and for counts. For a rename: old, new.
    """

    room: str
    event: str
    names: tuple[str, ...]
    online: int
    text: str
    at: datetime
    reason: str = ""
    """Why the one who left did so."""


class SearchFound(msgspec.Struct, frozen=True):
    """Answer to `search`: posts ascending; `more` if there may be older ones."""

    room: str
    ref: str
    posts: tuple[Post, ...]
    more: bool


class Moderated(msgspec.Struct, frozen=True):
    """Answer to kick, ban, mute, unban or unmute: it is done; it was about so many connections."""

    ref: str
    action: str
    who: str
    connections: int
    addresses: tuple[str, ...]
    until: datetime | None
    """When it is over; None: never, or at once."""


class Ban(msgspec.Struct, frozen=True):
    """A ban or mute (`action`) of `who`, a name or a network, by an admin; `until` None: for good."""

    action: str
    who: str
    by: str
    reason: str
    until: datetime | None


class BansListed(msgspec.Struct, frozen=True):
    """Answer to `bans`: those in force, oldest first; `truncated` if there are older ones."""

    ref: str
    bans: tuple[Ban, ...]
    truncated: bool


class Noticed(msgspec.Struct, frozen=True):
    """A line for the user that is no post: a notice of the server, or an `error` without a post.

    `ref` is set when it answers a request of ours.
    """

    text: str
    error: bool = False
    code: str = ""
    ref: str = ""


Update = (
    ConnectionChanged
    | Welcomed
    | NameDenied
    | NameChanged
    | RoomEntered
    | RoomLeft
    | CaughtUp
    | PostArrived
    | PostDelivered
    | PostRejected
    | GapFound
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
"""Events that a session only passes on are updates as they are."""


def update_from_event(event: events.Found | events.Moderated | events.BanList, when: Instant) -> Update:
    """Convert an answer: parse its times and posts."""
    match event:
        case events.Found():
            posts = tuple(post_of(item, when) for item in event.items)
            return SearchFound(event.room, event.ref, posts, event.more)
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
    """Convert a system line: a change of presence, or a notice."""
    if event.online is None or not is_presence(event):
        return Noticed(event.message, event.event == "error", event.code)
    names = event.names or ((event.name,) if event.name else ())
    at = parse_time(event.timestamp, when)
    return PresenceChanged(event.room, event.event, names, event.online, event.message, at, event.reason)
