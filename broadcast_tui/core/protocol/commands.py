"""Frames from client to server. One struct a type; `type` is the tag, unknown keys are ignored."""

from __future__ import annotations

from typing import Annotated

import msgspec

from broadcast_tui.core.limits import DEFAULT_ROOM

Token = Annotated[str, msgspec.Meta(max_length=64)]
"""A nonce, ref, client id or post id: opaque, short."""
RawName = Annotated[str, msgspec.Meta(max_length=512)]
"""A name of a person or room before its rules are applied."""
Reason = Annotated[str, msgspec.Meta(max_length=512)]


class RoomRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A room to enter, and from where: after `since`, or with the `last` N posts, or live only."""

    room: RawName
    since: Token = ""
    last: int = 0


class Hello(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="hello"):
    """First frame of a v1 client. An empty `name` reads without taking part."""

    name: RawName = ""
    client_id: Token = ""
    token: Annotated[str, msgspec.Meta(max_length=512)] = ""
    rooms: Annotated[tuple[RoomRequest, ...], msgspec.Meta(max_length=64)] = ()


class Say(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="message"):
    """A post. `sender` names a plain client; a v1 client's name comes from its hello."""

    message: str
    sender: RawName | None = None
    room: RawName = DEFAULT_ROOM
    nonce: Token = ""


class Join(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="join"):
    room: RawName
    ref: Token = ""
    since: Token = ""
    last: int = 0


class Leave(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="leave"):
    """`reason` is told to the others, if it is short and no other line is merged with it."""

    room: RawName
    ref: Token = ""
    reason: Reason = ""


class FetchHistory(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="history"):
    """A page of the log: `before`, `after` or `around` a post id, else the `latest`."""

    room: RawName = DEFAULT_ROOM
    ref: Token = ""
    before: Token = ""
    after: Token = ""
    around: Token = ""
    latest: bool = False
    limit: int = 50


class ListMembers(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="presence"):
    room: RawName = DEFAULT_ROOM
    ref: Token = ""


class Search(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="search"):
    """Posts that have all words of `query`, the newest first found; older ones with `before`."""

    query: Annotated[str, msgspec.Meta(max_length=512)]
    room: RawName = DEFAULT_ROOM
    ref: Token = ""
    before: Token = ""
    limit: int = 20


class ListRooms(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="list"):
    ref: Token = ""


class SetTopic(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="topic"):
    """What a room is about; empty for nothing in particular."""

    topic: Annotated[str, msgspec.Meta(max_length=4096)]
    room: RawName = DEFAULT_ROOM
    ref: Token = ""


class Rename(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="rename"):
    name: RawName
    ref: Token = ""


class SetAway(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="away"):
    """We are away (or, with `away` false, back); `text` says why, empty for no reason."""

    away: bool = True
    text: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    ref: Token = ""


class Typing(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="typing"):
    """Volatile: has no id, is never stored, is dropped first."""

    room: RawName = DEFAULT_ROOM


Seconds = Annotated[float, msgspec.Meta(ge=0)]
"""How long; 0: for good."""


class Kick(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="kick"):
    """End the connections of a person, who may come back. For admins, as all that follow."""

    name: RawName
    reason: Reason = ""
    ref: Token = ""


class Ban(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="ban"):
    """Keep out whoever has a name, or comes from an address or network."""

    who: RawName
    seconds: Seconds = 0.0
    reason: Reason = ""
    ref: Token = ""


class Unban(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="unban"):
    who: RawName
    ref: Token = ""


class Mute(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="mute"):
    """Let a person read and no more."""

    name: RawName
    seconds: Seconds = 0.0
    reason: Reason = ""
    ref: Token = ""


class Unmute(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="unmute"):
    name: RawName
    ref: Token = ""


class ListBans(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="bans"):
    """Who is banned or muted."""

    ref: Token = ""


Moderate = Kick | Ban | Unban | Mute | Unmute
Command = (
    Hello
    | Say
    | Join
    | Leave
    | FetchHistory
    | ListMembers
    | Rename
    | Search
    | ListRooms
    | SetTopic
    | SetAway
    | Typing
    | Moderate
    | ListBans
)
Request = (
    Join
    | Leave
    | FetchHistory
    | ListMembers
    | Rename
    | Search
    | ListRooms
    | SetTopic
    | SetAway
    | Moderate
    | ListBans
)
"""Commands that carry a `ref` and are answered."""


def publishes_text(command: Command) -> bool:
    """Whether others are to read words of whoever sent it."""
    if isinstance(command, SetAway):
        return command.away and bool(command.text)
    return isinstance(command, Say | SetTopic)
