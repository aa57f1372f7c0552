"""Moderation: the actions of admins, and the checks that enforce bans and mutes.

In a cluster, an action is about the connections of all nodes: the other nodes are asked for theirs first.

Invariants: only admins moderate, and never another admin. A ban closes the person's connections at once. Each
action adds a line to the audit log.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from broadcast_tui.core.clock import Instant, format_duration, timestamp
from broadcast_tui.core.errors import CloseCode, ErrorCode, InvalidNameError, RequestError
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.hub.broadcaster import Broadcaster
from broadcast_tui.core.hub.cluster import (
    Answers,
    Cluster,
    FindConnections,
    Kicked,
    RemoteConnection,
    RoomNotice,
    ShareSanction,
)
from broadcast_tui.core.hub.effects import AuditLine, Effects
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.room import Room
from broadcast_tui.core.hub.sanctions import (
    Action,
    Sanction,
    Sanctions,
    end_time,
    network_fault,
    parse_network,
)
from broadcast_tui.core.names import GUEST, name_key
from broadcast_tui.core.network import Network, contains_loopback, parse_ip
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.text import clean_post, log_safe, visible_line

REASON_BYTES = 512
LEAVE_REASON_CHARS = 120
"""Maximum length of the reason for leaving a room."""
STEP_PEERS = 128
"""Connections that a step of `Moderation.enforce_steps` checks."""
_PAST_TENSE = {"kick": "kicked", "ban": "banned", "mute": "muted", "unban": "unbanned", "unmute": "unmuted"}


@dataclass(frozen=True)
class _Targets:
    """The connections of all nodes that an action is about."""

    peers: tuple[Peer, ...] = ()
    """Those of this node."""
    remote: tuple[RemoteConnection, ...] = ()

    def all(self) -> list[RemoteConnection]:
        return [*map(_connection_of, self.peers), *self.remote]

    def __len__(self) -> int:
        return len(self.peers) + len(self.remote)


class Moderation:
    """Imposes and enforces sanctions.

    Args:
        peers: All connections by id.
        close: Closes a connection with a code and a reason.
        rooms: The rooms of this node by name.
    """

    def __init__(
        self,
        peers: Mapping[int, Peer],
        broadcaster: Broadcaster,
        effects: Effects,
        close: Callable[[Peer, CloseCode, str], None],
        rooms: Mapping[str, Room],
        cluster: Cluster,
    ) -> None:
        self.sanctions = Sanctions()
        self.protects_loopback = True
        """Whether loopback addresses cannot be banned: they are certainly clients on this machine."""
        self._peers = peers
        self._broadcaster = broadcaster
        self._effects = effects
        self._close = close
        self._rooms = rooms
        self._cluster = cluster

    # -- enforcement

    def check_name(self, peer: Peer, key: str, client_id: str, when: Instant) -> None:
        """Raise InvalidNameError (BANNED) if a name or client id is banned; admins are exempt."""
        if peer.role is Role.ADMIN:
            return
        ban = self.sanctions.find_by_person("ban", key, client_id, when.at)
        if ban is not None:
            raise InvalidNameError(
                ErrorCode.BANNED, ban.describe(when.at) + ".", retry_after=ban.remaining_s(when.at)
            )

    def check_not_muted(self, peer: Peer, when: Instant, name: str = "") -> None:
        """Raise RequestError (MUTED) if the person, or the `name` that they ask for, is muted."""
        mute = self.mute_of(peer, when)
        if mute is None and name:
            mute = self.sanctions.find_by_person("mute", name_key(name), "", when.at)
        if mute is not None:
            raise RequestError(
                ErrorCode.MUTED, mute.describe(when.at) + ".", retry_after=mute.remaining_s(when.at)
            )

    def check_name_of_muted(self, name: str, client_id: str, when: Instant) -> None:
        """Raise RequestError (MUTED) if a muted client asks for a name that is not muted itself.

        The name would be announced, and could be used as a message.
        """
        mute = self.sanctions.find_by_person("mute", "", client_id, when.at)
        if mute is None or self.sanctions.find_by_person("mute", name_key(name), "", when.at) is not None:
            return
        how = "without a name" if mute.shown.startswith(GUEST) else f"as {mute.shown}"
        raise RequestError(
            ErrorCode.MUTED,
            f"{mute.describe(when.at)}. Connect {how} to read.",
            retry_after=mute.remaining_s(when.at),
        )

    def leave_reason(self, peer: Peer, reason: str, when: Instant) -> str:
        """The sanitized reason for leaving a room.

        Empty if the person may not post or it has no visible text.
        """
        if peer.role is Role.READER or self.mute_of(peer, when) is not None:
            return ""
        try:
            return _clean_reason(reason[:LEAVE_REASON_CHARS])
        except RequestError:
            return ""

    def mute_of(self, peer: Peer, when: Instant) -> Sanction | None:
        """The mute of a person; None if they are not muted."""
        return self.sanctions.find_by_person("mute", peer.key, peer.client_id, when.at)

    def enforce_steps(self, when: Instant) -> Iterator[None]:
        """Close the connections of everyone who is banned, in short steps."""
        for number, peer in enumerate(list(self._peers.values())):
            if number % STEP_PEERS == 0:
                yield
            ban = self.sanctions.find_by_address(host_of(peer), when.at) or self.sanctions.find_by_person(
                "ban", peer.key, peer.client_id, when.at
            )
            if ban is not None and peer.role is not Role.ADMIN:
                self._close(peer, CloseCode.KICKED, ban.describe(when.at))

    # -- actions of admins

    def execute(self, admin: Peer, command: commands.Moderate, when: Instant) -> None:
        """Perform an admin's action and reply.

        Raises:
            RequestError: FORBIDDEN, or the target is unknown or cannot be moderated.
        """
        _require_admin(admin)
        who = command.who if isinstance(command, commands.Ban | commands.Unban) else command.name
        needs = self._cluster.needs(FindConnections(who))

        def perform(answers: Answers, when: Instant) -> None:
            self._perform(admin, command, answers.connections, when)

        self._cluster.prepare(admin, command, needs, perform, when)

    def _perform(
        self, admin: Peer, command: commands.Moderate, remote: Sequence[RemoteConnection], when: Instant
    ) -> None:
        match command:
            case commands.Kick():
                self._kick(admin, command, remote, when)
            case commands.Ban():
                self._ban(admin, command, remote, when)
            case commands.Mute():
                targets = self._people(command.name, remote)
                if not targets and (parse_network(command.name) is not None or network_fault(command.name)):
                    raise RequestError(
                        ErrorCode.BAD_NAME, "Only people can be muted. Ban an address instead."
                    )
                sanction = self._name_sanction("mute", admin, command.name, targets, command, when)
                self._add(sanction)
                reply = self._report(admin, command.ref, "mute", sanction.shown, targets, when, sanction)
                self._reply(admin, command, reply, ShareSanction("mute", command.name, sanction), when)
            case commands.Unban():
                self._lift(admin, command, "ban", command.who, remote, when)
            case commands.Unmute():
                self._lift(admin, command, "mute", command.name, remote, when)
            case _:
                assert_never(command)

    def send_bans(self, admin: Peer, query: commands.ListBans, count_max: int, when: Instant) -> None:
        """Reply with the newest bans and mutes. Raises RequestError (FORBIDDEN)."""
        _require_admin(admin)
        sanctions = self.sanctions.all(when.at)
        infos = tuple(
            events.BanInfo(
                sanction.action,
                sanction.kind,
                sanction.shown,
                sanction.by,
                sanction.reason,
                timestamp(sanction.until) if sanction.until is not None else "",
            )
            for sanction in sanctions[-count_max:]
        )
        self._broadcaster.reply(admin, events.BanList(query.ref, infos, len(infos) < len(sanctions)))

    def _kick(
        self, admin: Peer, kick: commands.Kick, remote: Sequence[RemoteConnection], when: Instant
    ) -> None:
        targets = self._people(kick.name, remote)
        if not targets:
            raise unknown_person(kick.name)
        shown, reason = targets.all()[0].sender, _clean_reason(kick.reason)
        text = f"{admin.sender} kicked you{': ' + reason if reason else ''}"
        self._close_all(targets, kick.name, text)
        reply = self._report(admin, kick.ref, "kick", shown, targets, when, reason=reason)
        self._broadcaster.reply(admin, reply)

    def _ban(self, admin: Peer, ban: commands.Ban, remote: Sequence[RemoteConnection], when: Instant) -> None:
        network = parse_network(ban.who)
        min_prefix = 16 if network is not None and network.version == 6 else 8
        if network is None:
            targets = self._people(ban.who, remote)
            if not targets:
                _check_no_network_fault(ban.who)
            sanction = self._name_sanction("ban", admin, ban.who, targets, ban, when)
        elif (self.protects_loopback and contains_loopback(network)) or network.prefixlen < min_prefix:
            raise RequestError(
                ErrorCode.BAD_FRAME, f"Cannot ban {network}: it is too large or includes the server itself."
            )
        else:
            end = end_time(ban.seconds, when.at)
            sanction = Sanction(
                "ban",
                "address",
                str(network),
                str(network),
                admin.sender,
                when.at,
                end,
                _clean_reason(ban.reason),
            )
            targets = self._in_network(network, remote)
        self._add(sanction)
        self._close_all(targets, ban.who, sanction.describe(when.at), is_network=network is not None)
        if self._cluster.is_shared:
            # As on the other nodes, which get the ban itself later.
            for _ in self.enforce_steps(when):
                pass
        reply = self._report(admin, ban.ref, "ban", sanction.shown, targets, when, sanction)
        self._reply(admin, ban, reply, ShareSanction("ban", ban.who, sanction), when)

    def _close_all(self, targets: _Targets, who: str, reason: str, *, is_network: bool = False) -> None:
        """Close the connections of an action, on all nodes."""
        for target in targets.peers:
            self._close(target, CloseCode.KICKED, reason)
        if targets.remote:
            self._cluster.send(Kicked(who, reason, is_network))

    # -- connections on several nodes

    def find_connections(self, who: str) -> list[RemoteConnection]:
        """The connections of this node that an action of an admin on another node may be about."""
        network = parse_network(who)
        found = dict.fromkeys(self._peers_of(who))
        if network is not None:
            found |= dict.fromkeys(self._peers_in(network))
        return [_connection_of(peer) for peer in found]

    def kicked(self, signal: Kicked) -> None:
        """Close connections that an admin on another node has kicked or banned."""
        network = parse_network(signal.who) if signal.is_network else None
        for peer in self._peers_in(network) if network is not None else self._peers_of(signal.who):
            if peer.role is not Role.ADMIN:
                self._close(peer, CloseCode.KICKED, signal.reason)

    def _people(self, name: str, remote: Sequence[RemoteConnection]) -> _Targets:
        """The connections of the person with a name, guests included.

        Raises RequestError (FORBIDDEN) for an admin.
        """
        key, guest = name_key(name), _guest(name)
        others = (other for other in remote if _is_person(other.key, other.sender, key, guest))
        return _checked(_Targets(tuple(self._peers_of(name)), tuple(others)))

    def _in_network(self, network: Network, remote: Sequence[RemoteConnection]) -> _Targets:
        """The connections from a network. Raises RequestError (FORBIDDEN) if one is of an admin."""
        others = (other for other in remote if _is_in(other.host, network))
        return _checked(_Targets(tuple(self._peers_in(network)), tuple(others)))

    def _peers_of(self, name: str) -> list[Peer]:
        key, guest = name_key(name), _guest(name)
        return [
            peer
            for peer in self._peers.values()
            if (peer.name or peer.welcomed) and _is_person(peer.key, peer.sender, key, guest)
        ]

    def _peers_in(self, network: Network) -> list[Peer]:
        return [peer for peer in self._peers.values() if _is_in(host_of(peer), network)]

    # -- sanctions

    def _name_sanction(
        self,
        action: Action,
        admin: Peer,
        name: str,
        targets: _Targets,
        command: commands.Ban | commands.Mute,
        when: Instant,
    ) -> Sanction:
        """A sanction of a name, whether it is in use or not.

        Raises RequestError if there is nothing to identify it.
        """
        key = name_key(name)
        if not key:
            raise unknown_person(name)
        found = targets.all()
        shown = found[0].sender if found else visible_line(name.strip())[:32]
        clients = tuple(sorted({target.client_id for target in found} - {""}))
        if found and _is_guest(found[0].key) and not clients:
            host = found[0].host
            text = f"Cannot {action} {shown}: guests have no name. Kick them or ban the address {host}."
            raise RequestError(ErrorCode.BAD_NAME, text)
        end = end_time(command.seconds, when.at)
        return Sanction(
            action, "name", key, shown, admin.sender, when.at, end, _clean_reason(command.reason), clients
        )

    def _lift(
        self,
        admin: Peer,
        command: commands.Unban | commands.Unmute,
        action: Action,
        who: str,
        remote: Sequence[RemoteConnection],
        when: Instant,
    ) -> None:
        muted = self._muted(remote, when)
        if not self.sanctions.lift(action, who):
            if action == "ban":
                _check_no_network_fault(who)
            state = "banned" if action == "ban" else "muted"
            raise RequestError(ErrorCode.UNKNOWN_PERSON, f"{visible_line(who)[:64]} is not {state}.")
        self._effects.sanctions_changed = True
        still_muted = self._muted(remote, when)
        unmuted = _Targets(
            tuple(peer for peer in muted.peers if peer not in still_muted.peers),
            tuple(other for other in muted.remote if other not in still_muted.remote),
        )
        reply = self._report(admin, command.ref, f"un{action}", visible_line(who)[:64], unmuted, when)
        self._reply(admin, command, reply, ShareSanction(action, who, None), when)

    def apply_shared(self, change: ShareSanction, when: Instant) -> None:
        """Apply a change of the sanctions on another node, which saves it."""
        if change.sanction is None:
            self.sanctions.lift(change.action, change.who)
            return
        with contextlib.suppress(RequestError):
            self.sanctions.add(change.sanction)
            for _ in self.enforce_steps(when):
                pass

    def _reply(
        self,
        admin: Peer,
        command: commands.Moderate,
        reply: events.Moderated,
        change: ShareSanction,
        when: Instant,
    ) -> None:
        """Reply to an admin when a change is in force on all nodes."""
        needs = self._cluster.needs(change)
        self._cluster.prepare(
            admin, command, needs, lambda _, when: self._broadcaster.reply(admin, reply), when
        )

    def _add(self, sanction: Sanction) -> None:
        self.sanctions.add(sanction)
        self._effects.sanctions_changed = True

    def _muted(self, remote: Sequence[RemoteConnection], when: Instant) -> _Targets:
        """The connections of this node, and those of others among `remote`, that are muted."""

        def is_muted(connection: Peer | RemoteConnection) -> bool:
            key, client_id = connection.key, connection.client_id
            return self.sanctions.find_by_person("mute", key, client_id, when.at) is not None

        return _Targets(tuple(filter(is_muted, self._peers.values())), tuple(filter(is_muted, remote)))

    def _report(
        self,
        admin: Peer,
        ref: str,
        action: str,
        who: str,
        targets: _Targets,
        when: Instant,
        sanction: Sanction | None = None,
        reason: str = "",
    ) -> events.Moderated:
        """Notify the rooms of the targets, and add a line to the audit log.

        Returns the reply to the admin.
        """
        found = targets.all()
        hosts = tuple(sorted({target.host for target in found}))
        until = sanction.until if sanction is not None else None
        reason = sanction.reason if sanction is not None else reason
        until_text = timestamp(until) if until is not None else ""
        remaining_s = sanction.remaining_s(when.at) if sanction is not None else None
        details = (
            f" for {format_duration(remaining_s, round_up=True)}" if remaining_s is not None else ""
        ) + (f": {reason}" if reason else "")
        verb = _PAST_TENSE[action]
        line = log_safe(f"{admin.label} {verb} {who} ({len(targets)} connection(s)){details}", 400)
        fields: dict[str, str | float] = {"event": action, "target": who, "count": len(targets)}
        fields |= {"user": admin.name, "address": host_of(admin), "connection": admin.id, "reason": reason}
        if remaining_s is not None:
            fields["seconds"] = math.ceil(remaining_s)
        self._effects.audit_lines.append(AuditLine(line, fields))
        text = f"{admin.sender} {verb} {who}{details}."
        closed = targets.peers if action in ("kick", "ban") else ()
        room_names = sorted({room for target in found for room in target.rooms})
        for name in room_names:
            if (room := self._rooms.get(name)) is not None:
                notice = events.System("notice", text, timestamp(when.at), name)
                self._broadcaster.broadcast(room, notice, but=frozenset({admin, *closed}))
        if room_names:
            self._cluster.send(RoomNotice(tuple(room_names), text))
        return events.Moderated(ref, action, who, len(targets), hosts, until_text)


def host_of(peer: Peer) -> str:
    """The address of a connection, without its port."""
    return peer.address.rpartition(":")[0] or peer.address


def _require_admin(peer: Peer) -> None:
    if peer.role is not Role.ADMIN:
        raise RequestError(ErrorCode.FORBIDDEN, "Only admins can do that.")


def _checked(targets: _Targets) -> _Targets:
    """The connections. Raises RequestError (FORBIDDEN) if one of them is of an admin."""
    for target in targets.all():
        if target.role is Role.ADMIN:
            raise RequestError(ErrorCode.FORBIDDEN, f"Cannot moderate {target.sender}: admins are exempt.")
    return targets


def _connection_of(peer: Peer) -> RemoteConnection:
    """A connection of this node, as other nodes see it."""
    return RemoteConnection(
        peer.sender, peer.key, peer.client_id, host_of(peer), peer.role, tuple(peer.subscriptions)
    )


def _is_guest(key: str) -> bool:
    """Whether a presence key is that of a connection without a name."""
    return key.startswith("\0")


def _guest(name: str) -> str:
    """The sender name of a guest, as an admin may write it."""
    return name.strip().casefold()


def _is_person(key: str, sender: str, wanted_key: str, guest: str) -> bool:
    """Whether a connection is of the person with a name, or the guest."""
    return sender == guest if _is_guest(key) else key == wanted_key


def _is_in(host: str, network: Network) -> bool:
    address = parse_ip(host)
    return address is not None and address.version == network.version and address in network


def _check_no_network_fault(who: str) -> None:
    """Raise RequestError (BAD_FRAME) for an invalid address or network, which is not a name either."""
    if fault := network_fault(who):
        raise RequestError(ErrorCode.BAD_FRAME, fault)


def unknown_person(name: str) -> RequestError:
    """The error of a request about a person who is not known."""
    return RequestError(
        ErrorCode.UNKNOWN_PERSON, f"No such user: {visible_line(name)[:64] or '(empty name)'}."
    )


def _clean_reason(reason: str) -> str:
    """A sanitized reason as one line, without a final period, which the sentences around it add."""
    return " ".join(clean_post(reason, REASON_BYTES).split()).rstrip(".") if reason.strip() else ""
