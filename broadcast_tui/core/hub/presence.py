"""Presence in a room: its members, as people rather than connections, and coalesced join and leave lines.

In a cluster, the members of a room are those with a connection or in their grace period on any node: the
node's own part, and a part for each other node.

Invariants: a person with two connections counts once, wherever they are. A person whose last connection broke
stays a member for the grace period, on the node of that connection; if the node is gone, on all others.
Simultaneous changes are merged into one
line. In large rooms only counts are sent, so that N joins cost O(N) frames.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec.structs import replace

from broadcast_tui.core.limits import SharedLimits
from broadcast_tui.core.rate_limit import TokenBucket

if TYPE_CHECKING:
    from broadcast_tui.core.hub.cluster import Member

NOT_AWAY = (0, None)
"""Away status of a person who has never set one: its version, and no message."""
AwayState = tuple[int, str | None]
"""Version and message of an away status. Of two, the one with the higher version is newer."""


@dataclass(frozen=True, slots=True)
class PresenceLine:
    """A line about joins or leaves.

    `keys` are the members concerned, `names` the names of those that have one.
    """

    event: str
    text: str
    names: tuple[str, ...]
    online: int
    keys: frozenset[str]
    reason: str = ""
    """Reason for leaving, if the line is about one person."""


class RoomPresence:
    """Members of one room, by key. An unnamed member has a unique key and an empty name.

    Args:
        changed: Called with the key of each member whose part on this node has changed, and the reason for
            leaving.
    """

    def __init__(self, limits: SharedLimits, changed: Callable[[str, str], None] | None = None) -> None:
        self._limits = limits
        self._changed = changed
        self._names: dict[str, str] = {}
        """The members on all nodes, with the names that are shown."""
        self._connections: dict[str, int] = {}
        """Connections on this node."""
        self._remote: dict[str, dict[str, Member]] = {}
        """The members on other nodes, by key and node."""
        self._versions: dict[str, int] = {}
        """Versions of the parts of other nodes."""
        self._lost_nodes: dict[str, float] = {}
        """Other nodes that have left, with the end of the grace period of their members."""
        self._grace_until: dict[str, float] = {}
        self._joined: dict[str, str] = {}
        self._left: dict[str, str] = {}
        self._reasons: dict[str, str] = {}
        self._told: set[str] = set()
        """Those of the joined and left members whom clients know to be here, or gone, from a rename."""
        self._returned: set[str] = set()
        """Members whose leave was not announced, since they or others with their name came back."""
        self._count_sent_at: float | None = None
        self._announced_online = 0
        self.limits_changed()

    def limits_changed(self) -> None:
        """Apply the current limits to the rate of lines, with a full bucket."""
        limits = self._limits.current
        self._bucket = TokenBucket(limits.presence_rate, limits.presence_burst)

    @property
    def online(self) -> int:
        """Number of people in the room, including those in their grace period."""
        return len(self._names)

    @property
    def pending(self) -> bool:
        """Whether there are changes to announce or grace periods to expire."""
        return bool(self._joined or self._left or self._grace_until or self._lost_nodes)

    def members(self, limit: int) -> list[tuple[str, int]]:
        """(name, number of connections) of at most `limit` named members, sorted case-insensitively."""
        named = ((name, self._connection_count(key)) for key, name in self._names.items() if name)
        return sorted(named, key=lambda member: (member[0].casefold(), member[0]))[:limit]

    def names(self, max_count: int, *, without: str = "") -> tuple[list[str], int]:
        """The names of all members that have one, sorted, and their number; no names if it is larger.

        Args:
            max_count: Maximum number of names.
            without: Name of a member who is left out.
        """
        named = [name for name in self._names.values() if name and name != without]
        names = sorted(named, key=str.casefold) if len(named) <= max_count else []
        return names, len(named)

    def add(self, key: str, name: str) -> None:
        """Add a connection of a member; a new member is announced."""
        self._connections[key] = self._connections.get(key, 0) + 1
        self._grace_until.pop(key, None)
        self._appear(key, name)
        self.touch(key)

    def remove(self, key: str, now: float, *, grace: bool, reason: str = "") -> None:
        """Remove a connection of a member.

        The last one ends the membership, with `grace` after the grace period.

        Args:
            reason: Sanitized reason, announced if no other leave is merged into the line.
        """
        remaining = self._connections.get(key, 0) - 1
        if remaining > 0:
            self._connections[key] = remaining
            self.touch(key)
            return
        self._connections.pop(key, None)
        if grace and self._limits.current.leave_grace_s > 0:
            self._grace_until[key] = now + self._limits.current.leave_grace_s
        else:
            self._drop(key, reason)
        self.touch(key, reason)

    def rekey(self, old_key: str, key: str, name: str) -> bool:
        """Change a member's key and name.

        Returns False if that made it another member, as with several connections.
        """
        is_same = True
        if key == old_key:
            self._names[key] = name
        elif self._connections.get(old_key, 0) != 1 or old_key in self._remote or key in self._names:
            self.remove(old_key, 0.0, grace=False)
            self.add(key, name)
            is_same = False
        else:
            del self._connections[old_key]
            self._connections[key] = 1
            self._move(old_key, key, name)
        self._tell_rename(old_key, key)
        return is_same

    def take_return(self, key: str) -> bool:
        """Whether the last leave of a member was not announced, so that clients know an old away status.

        False if that was asked before.
        """
        is_returned = key in self._returned
        self._returned.discard(key)
        return is_returned

    # -- the parts of several nodes

    def touch(self, key: str, reason: str = "") -> None:
        """Report that a member's part on this node has changed."""
        if self._changed is not None:
            self._changed(key, reason)

    def is_local(self, key: str) -> bool:
        """Whether a member has a part on this node."""
        return key in self._connections or key in self._grace_until

    def local_part(self, key: str) -> tuple[str, int, bool]:
        """Name, connections, and whether it is in its grace period, of a member's part on this node.

        In its grace period, it has one connection; no connections if there is no part.
        """
        count = self._connections.get(key, 0)
        in_grace = not count and key in self._grace_until
        return self._names.get(key, ""), count or int(in_grace), in_grace

    def name_of(self, key: str) -> str:
        """The name of a member; empty if there is none."""
        return self._names.get(key, "")

    @property
    def local_keys(self) -> Collection[str]:
        """The keys of the members of this node."""
        return {*self._connections, *self._grace_until}

    @property
    def has_remote(self) -> bool:
        """Whether there are members on other nodes."""
        return bool(self._remote)

    @property
    def nodes(self) -> Collection[str]:
        """The other nodes with a known part."""
        return self._versions.keys()

    def __contains__(self, key: str) -> bool:
        """Whether there is a member with a key."""
        return key in self._names

    def remote_away(self, key: str) -> AwayState:
        """The newest away status of a member on other nodes; on lost ones only if there are no others."""
        parts = self._remote.get(key, {})
        live = [part for node, part in parts.items() if node not in self._lost_nodes]
        states = ((part.away_version, part.away) for part in live or parts.values())
        return max(states, key=away_order, default=NOT_AWAY)

    def is_next(self, node: str, version: int) -> bool:
        """Whether a version follows the known one of a node's part, which it then replaces."""
        if version != self._versions.get(node, 0) + 1:
            return False
        self._versions[node] = version
        return True

    def change_part(self, node: str, member: Member) -> None:
        """Apply a change of a member on another node."""
        key, name = member.key, member.name
        if member.former and member.former != key:
            self._rename_part(node, member)
        if not member.connections:
            self._remove_part(node, key, member.reason)
            return
        is_renamed = member.former == key
        parts = self._remote.setdefault(key, {})
        parts[node] = member
        self._appear(key, name)
        if self.is_local(key):
            # All nodes choose the same of two spellings.
            shown = name if is_renamed else min(name, self._names[key])
            if shown != self._names[key]:
                self._names[key] = shown
                self.touch(key)
        else:
            self._show_remote_name(key)
            if is_renamed:
                self._names[key] = name
        if member.former or member.former_name:
            self._tell_rename(member.former, key)

    def part_keys(self, node: str) -> set[str]:
        """The keys of the members on another node."""
        return {key for key, parts in self._remote.items() if node in parts}

    def set_version(self, node: str, version: int) -> None:
        """Set the version of a part that was read; 0 if the node has none."""
        self._lost_nodes.pop(node, None)
        if version:
            self._versions[node] = version
        else:
            self._versions.pop(node, None)

    def lose_node(self, node: str, now: float) -> None:
        """Start the grace period of the members on a node that has left, after which they leave."""
        self._versions.pop(node, None)
        for key in self.part_keys(node):
            part = self._remote[key][node]
            self._remote[key][node] = replace(part, in_grace=True)
        self._lost_nodes[node] = now + self._limits.current.leave_grace_s

    def forget_lines(self) -> None:
        """Announce none of the changes so far."""
        self._clear_changes()

    def _clear_changes(self) -> None:
        self._joined, self._left, self._reasons, self._told = {}, {}, {}, set()
        self._announced_online = self.online

    def _rename_part(self, node: str, member: Member) -> None:
        """Remove the part of a node under the former key of a member."""
        former, key = member.former, member.key
        parts = self._remote.get(former, {})
        is_whole = len(parts) == 1 and node in parts and not self.is_local(former)
        if is_whole and key not in self._names:
            del self._remote[former]
            self._move(former, key, member.name)
        else:
            self._remove_part(node, former)

    def _remove_part(self, node: str, key: str, reason: str = "") -> None:
        parts = self._remote.get(key)
        if parts is None or parts.pop(node, None) is None:
            return
        if not parts:
            del self._remote[key]
            self._drop(key, reason)
        elif not self.is_local(key):
            self._show_remote_name(key)

    def _show_remote_name(self, key: str) -> None:
        self._names[key] = min(part.name for part in self._remote[key].values())

    # -- time

    def expire(self, now: float) -> None:
        """Remove the members whose grace period has ended."""
        for key in [key for key, until in self._grace_until.items() if until <= now]:
            del self._grace_until[key]
            self._drop(key)
            self.touch(key)
        for node in [node for node, until in self._lost_nodes.items() if until <= now]:
            del self._lost_nodes[node]
            for key in self.part_keys(node):
                self._remove_part(node, key)

    def flush(self, now: float) -> list[PresenceLine]:
        """Remove and return the lines to send now, leaves before joins.

        Empty if nothing changed or it is too soon.
        """
        if not (self._joined or self._left):
            return []
        if max(self.online, self._announced_online) > self._limits.current.presence_detail_max:
            return self._flush_count(now)
        if self._bucket.take(now) > 0:
            return []
        lines = [
            self._line(event, members)
            for event, members in (("leave", self._left), ("join", self._joined))
            if members
        ]
        self._clear_changes()
        return lines

    def _flush_count(self, now: float) -> list[PresenceLine]:
        interval_s = self._limits.current.presence_count_interval_s
        if self._count_sent_at is not None and now - self._count_sent_at < interval_s:
            return []
        self._count_sent_at = now
        self._clear_changes()
        return [PresenceLine("online", online_text(self.online), (), self.online, frozenset())]

    def _line(self, event: str, members: dict[str, str]) -> PresenceLine:
        names = tuple(name for name in members.values() if name)
        reason = self._reasons.get(next(iter(members)), "") if event == "leave" and len(members) == 1 else ""
        suffix = f": {reason}" if reason else ""
        text = f"{_subject(names, len(members), event)} {_verb(event, len(members))} the chat{suffix}."
        return PresenceLine(
            event, f"{text} {online_text(self.online)}", names, self.online, frozenset(members), reason
        )

    def _appear(self, key: str, name: str) -> None:
        """Add a member, who is announced, unless there is one with this key."""
        if key in self._names:
            return
        self._names[key] = name
        if not self._cancel_leave(key):
            self._joined[key] = name

    def _cancel_leave(self, key: str) -> bool:
        """Announce no leave of a member who is here again; returns whether clients know of none."""
        is_told = key in self._told
        self._told.discard(key)
        self._reasons.pop(key, None)
        if self._left.pop(key, None) is None or is_told:
            return False
        self._returned.add(key)
        return True

    def _move(self, old_key: str, key: str, name: str) -> None:
        """Give a member another key, which no member has."""
        del self._names[old_key]
        self._names[key] = name
        if old_key in self._joined:
            del self._joined[old_key]
            self._joined[key] = name
        self._told.discard(old_key)
        self._returned.discard(old_key)
        self._cancel_leave(key)

    def _tell_rename(self, old_key: str, key: str) -> None:
        """Note that clients learn from the line about a rename who is here and who is gone."""
        if old_key in self._left:
            self._told.add(old_key)
        if key in self._joined:
            self._joined[key] = self._names[key]
            self._told.add(key)

    def _drop(self, key: str, reason: str = "") -> None:
        """Remove a member, who is announced, unless a part of it is left."""
        if self.is_local(key):
            return
        if key in self._remote:
            self._show_remote_name(key)
            return
        name = self._names.pop(key, None)
        if name is None:
            return
        is_told = key in self._told
        self._told.discard(key)
        self._returned.discard(key)
        if self._joined.pop(key, None) is None or is_told:
            self._left[key] = name
            self._reasons[key] = reason

    def _connection_count(self, key: str) -> int:
        count = self._connections.get(key, 0)
        if key in self._remote:
            count += sum(part.connections for part in self._remote[key].values() if not part.in_grace)
        return count


def away_order(state: AwayState) -> tuple[int, str]:
    """A key by which a newer away status is larger. Nodes that set one at the same time agree on one."""
    version, text = state
    return version, "" if text is None else f" {text}"


def online_text(online: int) -> str:
    """The sentence about the number of people online that ends presence lines."""
    return f"{online} client(s) online."


def _verb(event: str, count: int) -> str:
    return f"{'has' if count == 1 else 'have'} {'joined' if event == 'join' else 'left'}"


def _subject(names: Iterable[str], count: int, event: str) -> str:
    """`ana, bob and 3 others`, or `A new client` and `2 clients` if nobody has a name."""
    shown = [*names][:2]
    others = count - len(shown)
    new = "new " if event == "join" else ""
    if not shown:
        return f"A {new}client" if count == 1 else f"{count} {new}clients"
    if not others:
        return " and ".join(shown)
    return f"{', '.join(shown)} and {others} other{'s' if others > 1 else ''}"
