"""What a client session tells its user (a screen, a script): the only way out of `core.session`.

Every update is a frozen value; they come in order, in batches. Text in them is as the server sent
it: cleaned there, to be cleaned again by whoever shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from broadcast_tui.core.post import Post


class ConnectionState(StrEnum):
    CONNECTING = "connecting"
    ONLINE = "online"
    WAITING = "waiting"
    """Lost; will be tried again in `ConnectionChanged.retry_in_s`."""
    REFUSED = "refused"
    """The server said no and trying again would not help; `reason` says why."""
    CLOSED = "closed"
    """Closed by the user of the client."""


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """The connection went to `state`. `retry_in_s` seconds until the next try, with WAITING only.

    `unauthorised`, with REFUSED only: for want of a valid token; another one may help.
    """

    state: ConnectionState
    reason: str = ""
    retry_in_s: float | None = None
    unauthorised: bool = False


@dataclass(frozen=True, slots=True)
class Welcomed:
    """The server took us in as `name`; `rooms` are those we are in."""

    name: str
    node: str
    rooms: tuple[str, ...]
    message_bytes: int
    """Longest post the server takes, in bytes of UTF-8; 0: unlimited."""


@dataclass(frozen=True, slots=True)
class NameDenied:
    """The server refused a name: ours at hello (then the state is REFUSED), or the one of a rename."""

    name: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class NameChanged:
    """The server now knows us as `name`."""

    name: str


@dataclass(frozen=True, slots=True)
class RoomEntered:
    """We are in `room`; `missed` posts come next as a replay, until `CaughtUp`."""

    room: str
    online: int
    missed: int
    topic: str = ""


@dataclass(frozen=True, slots=True)
class RoomLeft:
    room: str


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """Nothing is missing any more in `room`: what follows is live."""

    room: str


class PostArrived(msgspec.Struct, frozen=True, gc=False):
    """The next post of its room: in order, each once. `live` is False for replayed ones.

    `own` says that this session wrote it; then `post.nonce` is what `say` returned.
    """

    post: Post
    live: bool
    own: bool


@dataclass(frozen=True, slots=True)
class PostDelivered:
    """The server has our post `nonce` safe, as number `post_id` of the room."""

    room: str
    nonce: str
    post_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PostRefused:
    """Our post `nonce` was refused for good; `text` is given back, to be corrected and sent again."""

    room: str
    nonce: str
    code: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class GapFound:
    """`count` posts of `room` (None: unknown) are lost to us: reason is lagged, trimmed or epoch."""

    room: str
    count: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class HistoryFetched:
    """A page answering `ref`, ascending; `more` if there is more in that direction."""

    room: str
    ref: str
    posts: tuple[Post, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class PresenceChanged:
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


@dataclass(frozen=True, slots=True)
class MembersListed:
    """Answer to `list_members`: names sorted; `truncated` if there are more."""

    room: str
    ref: str
    online: int
    names: tuple[str, ...]
    truncated: bool
    away: tuple[tuple[str, str], ...] = ()
    """Those of `names` who are away, each with why (empty: no reason given)."""


@dataclass(frozen=True, slots=True)
class SearchFound:
    """Answer to `search`: posts ascending; `more` if there may be older ones."""

    room: str
    ref: str
    posts: tuple[Post, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class RoomsListed:
    """Answer to `list_rooms`: (room, online, topic), sorted by name; `truncated` if there are more."""

    ref: str
    rooms: tuple[tuple[str, int, str], ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class TopicChanged:
    """`name` said what `room` is about; empty for nothing."""

    room: str
    topic: str
    name: str


@dataclass(frozen=True, slots=True)
class AwayChanged:
    """`name`, who may be us, went `away` for the reason `text` (may be empty), or is back."""

    name: str
    away: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class TypingSeen:
    room: str
    name: str


@dataclass(frozen=True, slots=True)
class Moderated:
    """Answer to kick, ban, mute, unban or unmute: it is done; it was about so many connections."""

    ref: str
    action: str
    who: str
    connections: int
    addresses: tuple[str, ...]
    until: datetime | None
    """When it is over; None: never, or at once."""


@dataclass(frozen=True, slots=True)
class Ban:
    """A ban or mute (`action`) of `who`, a name or a network, by an admin; `until` None: for good."""

    action: str
    who: str
    by: str
    reason: str
    until: datetime | None


@dataclass(frozen=True, slots=True)
class BansListed:
    """Answer to `bans`: those in force, oldest first; `truncated` if there are older ones."""

    ref: str
    bans: tuple[Ban, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class Noticed:
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
    | PostRefused
    | GapFound
    | HistoryFetched
    | PresenceChanged
    | MembersListed
    | SearchFound
    | RoomsListed
    | TopicChanged
    | AwayChanged
    | TypingSeen
    | Moderated
    | BansListed
    | Noticed
)
