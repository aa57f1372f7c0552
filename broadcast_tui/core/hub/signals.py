"""Handling of what other nodes notify this one of: members of rooms, notices, topics, kicks, direct messages.

Invariant: to the connections of this node, what happens on another node looks as if it had happened here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from broadcast_tui.core.clock import Instant, timestamp
from broadcast_tui.core.hub.away import AwayStatus
from broadcast_tui.core.hub.broadcaster import Broadcaster
from broadcast_tui.core.hub.cluster import (
    DirectPosted,
    Kicked,
    Member,
    RoomNotice,
    RosterChanged,
    Signal,
    TopicChanged,
    TypingNotice,
)
from broadcast_tui.core.hub.directs import DirectRooms
from broadcast_tui.core.hub.moderation import Moderation
from broadcast_tui.core.hub.presence import RoomPresence
from broadcast_tui.core.hub.room import Room
from broadcast_tui.core.hub.rooms import Rooms
from broadcast_tui.core.hub.rosters import Rosters
from broadcast_tui.core.names import name_key
from broadcast_tui.core.protocol import events


class Signals:
    """Applies signals of other nodes to the rooms and connections of this one."""

    def __init__(
        self,
        rooms: Rooms,
        rosters: Rosters,
        broadcaster: Broadcaster,
        away: AwayStatus,
        moderation: Moderation,
        directs: DirectRooms,
    ) -> None:
        self._rooms = rooms
        self._rosters = rosters
        self._broadcaster = broadcaster
        self._away = away
        self._moderation = moderation
        self._directs = directs

    def receive(self, signal: Signal, when: Instant) -> None:
        """Handle a signal from another node."""
        match signal:
            case RosterChanged():
                if self._rosters.presence_of(signal.room).is_next(signal.node, signal.version):
                    self._change_members(signal.room, signal.node, signal.members, when)
            case TypingNotice():
                if (room := self._rooms.by_name.get(signal.room)) is not None:
                    self._broadcaster.broadcast_typing(room, signal.key, signal.name)
            case TopicChanged():
                if (room := self._rooms.by_name.get(signal.room)) is not None:
                    self._broadcaster.broadcast_topic(room, signal.topic, signal.name)
            case Kicked():
                self._moderation.kicked(signal)
            case RoomNotice():
                self._broadcast_notice(signal, when)
            case DirectPosted():
                self._directs.posted(signal)
            case _:
                assert_never(signal)

    def roster_loaded(
        self, room: str, node: str, version: int, members: Sequence[Member], when: Instant
    ) -> None:
        """Replace the part of another node; a version of 0 means that it has none."""
        presence = self._rosters.presence_of(room)
        presence.set_version(node, version)
        gone = presence.part_keys(node) - {member.key for member in members}
        self._change_members(room, node, [*_leaving(gone), *members], when)

    def node_left(self, node: str, when: Instant) -> None:
        """Remove the members on a node from all rooms, unless they return to another node soon."""
        for name in self._rosters.open_rooms:
            presence, room = self._rosters.presence_of(name), self._rooms.by_name.get(name)
            if node not in presence.nodes:
                continue
            if room is None:
                self.roster_loaded(name, node, 0, (), when)
            else:
                presence.lose_node(node, when.now)
                self._broadcaster.presence_rooms.add(room)

    def _change_members(self, name: str, node: str, members: Iterable[Member], when: Instant) -> None:
        """Apply changes of another node's part; announce them, unless no connection is in the room."""
        presence, room = self._rosters.presence_of(name), self._rooms.by_name.get(name)
        if room is None:
            for member in members:
                presence.change_part(node, member)
            presence.forget_lines()
            return
        for member in members:
            self._change_member(room, presence, node, member, when)
        self._broadcaster.flush_presence(room, when)

    def _change_member(
        self, room: Room, presence: RoomPresence, node: str, member: Member, when: Instant
    ) -> None:
        key = member.key
        is_new = key not in presence
        before = self._away.of(presence, key)
        old_key = name_key(member.former_name) if member.former_name else member.former
        known = self._away.known_after_rename(presence, old_key, key)
        presence.change_part(node, member)
        if member.former_name and member.former_name != member.name:
            self._broadcaster.broadcast_rename(room, None, member.former_name, member.name, when)
        elif member.former and not member.former_name:
            self._broadcaster.broadcast_first_name(room, None, member.name, when)
        if member.former or member.former_name:
            if self._away.adopt(room, key):
                known = self._away.of(presence, key)
            self._away.renamed(room, key, known)
            if member.former_name and old_key != key:
                self._away.old_name_remains([room], old_key)
        elif key in presence:
            self._away.part_changed(room, key, before, is_new=is_new)

    def _broadcast_notice(self, notice: RoomNotice, when: Instant) -> None:
        for name in notice.rooms:
            if (room := self._rooms.by_name.get(name)) is not None:
                line = events.System("notice", notice.text, timestamp(when.at), name)
                closing = frozenset(peer for peer in room.subscriptions if peer.closing is not None)
                self._broadcaster.broadcast(room, line, but=closing)


def _leaving(keys: Iterable[str]) -> Iterable[Member]:
    return (Member(key, connections=0) for key in keys)
