"""Frames from client to server. One struct a type; `type` is the tag, unknown keys are ignored."""

from __future__ import annotations

import msgspec

from broadcast_tui.core.limits import DEFAULT_ROOM


class RoomRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A room to enter, and from where: after `since`, or with the `last` N posts, or live only."""

    room: str
    since: str = ""
    last: int = 0


class Hello(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="hello"):
    """First frame of a v1 client. An empty `name` reads without taking part."""

    name: str = ""
    client_id: str = ""
    token: str = ""
    rooms: tuple[RoomRequest, ...] = ()


class Say(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="message"):
    """A post. `sender` names a plain client; a v1 client's name comes from its hello."""

    message: str
    sender: str | None = None
    room: str = DEFAULT_ROOM
    nonce: str = ""


class Join(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="join"):
    room: str
    ref: str = ""
    since: str = ""
    last: int = 0


class Leave(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="leave"):
    room: str
    ref: str = ""


class FetchHistory(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="history"):
    """A page of the log: `before`, `after` or `around` a post id, else the `latest`."""

    room: str = DEFAULT_ROOM
    ref: str = ""
    before: str = ""
    after: str = ""
    around: str = ""
    latest: bool = False
    limit: int = 50


class ListMembers(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="presence"):
    room: str = DEFAULT_ROOM
    ref: str = ""


class Rename(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="rename"):
    name: str
    ref: str = ""


class Typing(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="typing"):
    """Volatile: has no id, is never stored, is dropped first."""

    room: str = DEFAULT_ROOM


Command = Hello | Say | Join | Leave | FetchHistory | ListMembers | Rename | Typing
