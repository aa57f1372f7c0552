"""Messages between nodes: signals of hubs and messages of the links, encoded as MessagePack.

Invariant: a message of an unknown type is ignored. Nodes of a newer version may send it during an upgrade.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import msgspec

from broadcast_tui.core.hub.cluster import (
    DirectPosted,
    Kicked,
    Member,
    Person,
    RemoteConnection,
    RoomNotice,
    RosterChanged,
    ShareSanction,
    Signal,
    TopicChanged,
    TypingNotice,
)

log = logging.getLogger("broadcast_tui.server")


class NodeStopped(msgspec.Struct, frozen=True, tag="stopped"):
    """The sender has left the cluster, or has a new id."""


class RosterWritten(msgspec.Struct, frozen=True, tag="roster_written"):
    """The sender has written its part of a room's roster again."""

    room: str


class NamesLost(msgspec.Struct, frozen=True, tag="names_lost"):
    """Names that were claimed elsewhere by the owner of a token."""

    owners: dict[str, str]
    """The new owners, by key."""


class ListChanged(msgspec.Struct, frozen=True, tag="list_changed"):
    """The sanctions, tokens or hooks have changed."""

    name: str


class ConnectionsAsked(msgspec.Struct, frozen=True, tag="ask_connections"):
    """A question for the connections that an action of an admin is about."""

    id: int
    who: str


class ConnectionsFound(msgspec.Struct, frozen=True, tag="connections"):
    """The answer of one node."""

    id: int
    connections: tuple[RemoteConnection, ...]


class SanctionAsked(msgspec.Struct, frozen=True, tag="ask_sanction"):
    """A request to apply a change of the bans and mutes."""

    id: int
    change: ShareSanction


class SanctionApplied(msgspec.Struct, frozen=True, tag="sanction"):
    """The answer of one node."""

    id: int


class PersonAsked(msgspec.Struct, frozen=True, tag="ask_person"):
    """A question for the owner of a name, or for an owner."""

    id: int
    key: str
    owner: str = ""


class PersonFound(msgspec.Struct, frozen=True, tag="person"):
    """The answer of one node; None if no connection there has the name."""

    id: int
    person: Person | None


LinkMessage = (
    NodeStopped
    | RosterWritten
    | NamesLost
    | ListChanged
    | ConnectionsAsked
    | ConnectionsFound
    | SanctionAsked
    | SanctionApplied
    | PersonAsked
    | PersonFound
)
ClusterMessage = (
    RosterChanged
    | TypingNotice
    | TopicChanged
    | Kicked
    | RoomNotice
    | DirectPosted
    | NodeStopped
    | RosterWritten
    | NamesLost
    | ListChanged
    | ConnectionsAsked
    | ConnectionsFound
    | SanctionAsked
    | SanctionApplied
    | PersonAsked
    | PersonFound
)


class Envelope(NamedTuple):
    """A message and the node that sent it."""

    node: str
    message: ClusterMessage


_encoder = msgspec.msgpack.Encoder()
_decode = msgspec.msgpack.Decoder(tuple[str, ClusterMessage]).decode
_decode_member = msgspec.msgpack.Decoder(Member).decode


def encode(node: str, message: Signal | LinkMessage) -> bytes:
    """A message for a channel."""
    return _encoder.encode((node, message))


def decode(data: bytes) -> Envelope | None:
    """A message of a channel; None if it is of an unknown type."""
    try:
        return Envelope(*_decode(data))
    except msgspec.MsgspecError:
        log.debug("ignored an unknown message from another node (%d bytes)", len(data))
        return None


def encode_member(member: Member) -> bytes:
    """A member as it is stored, without what is only announced."""
    return _encoder.encode(msgspec.structs.replace(member, reason="", former="", former_name=""))


def decode_member(data: bytes) -> Member | None:
    """A stored member; None if a newer version has stored it in another form."""
    try:
        return _decode_member(data)
    except msgspec.MsgspecError:
        return None
