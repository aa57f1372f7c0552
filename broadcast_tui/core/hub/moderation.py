"""Moderation: the actions of admins, and the checks that enforce bans and mutes.

Invariants: only admins moderate, and never another admin. A ban closes the person's connections at once. Each
action adds a line to the audit log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import assert_never

from broadcast_tui.core.clock import Instant, format_duration, timestamp
from broadcast_tui.core.errors import CloseCode, ErrorCode, InvalidNameError, RequestError
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.hub.broadcaster import Broadcaster
from broadcast_tui.core.hub.effects import Effects
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.sanctions import (
    Action,
    Sanction,
    Sanctions,
    end_time,
    network_fault,
    parse_network,
)
from broadcast_tui.core.names import GUEST, name_key
from broadcast_tui.core.network import contains_loopback
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.text import clean_post, log_safe, visible_line

REASON_BYTES = 512
LEAVE_REASON_CHARS = 120
"""Maximum length of the reason for leaving a room."""
STEP_PEERS = 128
"""Connections that a step of `Moderation.enforce_steps` checks."""
_PAST_TENSE = {"kick": "kicked", "ban": "banned", "mute": "muted", "unban": "unbanned", "unmute": "unmuted"}


class Moderation:
    """Imposes and enforces sanctions.

    Args:
        peers: All connections by id.
        close: Closes a connection with a code and a reason.
    """

    def __init__(
        self,
        peers: Mapping[int, Peer],
        broadcaster: Broadcaster,
        effects: Effects,
        close: Callable[[Peer, CloseCode, str], None],
    ) -> None:
        self.sanctions = Sanctions()
        self.protects_loopback = True
        """Whether loopback addresses cannot be banned: they are certainly clients on this machine."""
        self._peers = peers
        self._broadcaster = broadcaster
        self._effects = effects
        self._close = close

    # -- enforcement

    def check_name(self, peer: Peer, key: str, client_id: str, when: Instant) -> None:
        """Raise InvalidNameError (BANNED) if a name or client id is banned; admins are exempt."""
        if peer.role is Role.ADMIN:
            return
        ban = self.sanctions.find_by_person("ban", key, client_id, when.at)
        if ban is not None:
            raise InvalidNameError(ErrorCode.BANNED, ban.describe(when.at) + ".")

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
        match command:
            case commands.Kick():
                self._kick(admin, command, when)
            case commands.Ban():
                self._ban(admin, command, when)
            case commands.Mute():
                targets = self._targets(command.name)
                if not targets and (parse_network(command.name) is not None or network_fault(command.name)):
                    raise RequestError(
                        ErrorCode.BAD_NAME, "Only people can be muted. Ban an address instead."
                    )
                sanction = self._name_sanction("mute", admin, command.name, targets, command, when)
                self._add(sanction)
                self._report(admin, command.ref, "mute", sanction.shown, targets, when, sanction)
            case commands.Unban():
                self._lift(admin, "ban", command.who, command.ref, when)
            case commands.Unmute():
                self._lift(admin, "mute", command.name, command.ref, when)
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

    def _kick(self, admin: Peer, kick: commands.Kick, when: Instant) -> None:
        targets = self._targets(kick.name)
        if not targets:
            raise unknown_person(kick.name)
        shown, reason = targets[0].sender, _clean_reason(kick.reason)
        for target in targets:
            self._close(target, CloseCode.KICKED, f"You were kicked{': ' + reason if reason else ''}")
        self._report(admin, kick.ref, "kick", shown, targets, when, reason=reason)

    def _ban(self, admin: Peer, ban: commands.Ban, when: Instant) -> None:
        network = parse_network(ban.who)
        min_prefix = 16 if network is not None and network.version == 6 else 8
        if network is None:
            targets = self._targets(ban.who)
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
            only_this = Sanctions([sanction])
            targets = [
                p for p in self._peers.values() if only_this.find_by_address(host_of(p), when.at) is not None
            ]
            _check_no_admins(targets)
        self._add(sanction)
        for target in targets:
            self._close(target, CloseCode.KICKED, sanction.describe(when.at))
        self._report(admin, ban.ref, "ban", sanction.shown, targets, when, sanction)

    def _name_sanction(
        self,
        action: Action,
        admin: Peer,
        name: str,
        targets: list[Peer],
        command: commands.Ban | commands.Mute,
        when: Instant,
    ) -> Sanction:
        """A sanction of a name, whether it is in use or not.

        Raises RequestError if there is nothing to identify it.
        """
        key = name_key(name)
        if not key:
            raise unknown_person(name)
        shown = targets[0].sender if targets else visible_line(name.strip())[:32]
        clients = tuple(sorted({target.client_id for target in targets} - {""}))
        if targets and not targets[0].name and not clients:
            host = host_of(targets[0])
            text = f"Cannot {action} {shown}: guests have no name. Kick them or ban the address {host}."
            raise RequestError(ErrorCode.BAD_NAME, text)
        end = end_time(command.seconds, when.at)
        return Sanction(
            action, "name", key, shown, admin.sender, when.at, end, _clean_reason(command.reason), clients
        )

    def _lift(self, admin: Peer, action: Action, who: str, ref: str, when: Instant) -> None:
        muted = self._muted(when)
        if not self.sanctions.lift(action, who):
            if action == "ban":
                _check_no_network_fault(who)
            state = "banned" if action == "ban" else "muted"
            raise RequestError(ErrorCode.UNKNOWN_PERSON, f"{visible_line(who)[:64]} is not {state}.")
        self._effects.sanctions_changed = True
        unmuted = muted - self._muted(when)
        self._report(admin, ref, f"un{action}", visible_line(who)[:64], list(unmuted), when)

    def _add(self, sanction: Sanction) -> None:
        self.sanctions.add(sanction)
        self._effects.sanctions_changed = True

    def _muted(self, when: Instant) -> set[Peer]:
        return {
            peer
            for peer in self._peers.values()
            if self.sanctions.find_by_person("mute", peer.key, peer.client_id, when.at) is not None
        }

    def _targets(self, name: str) -> list[Peer]:
        """The connections of the person with a name, guests included.

        Raises RequestError (FORBIDDEN) for an admin.
        """
        key, guest = name_key(name), name.strip().casefold()
        found = [
            peer
            for peer in self._peers.values()
            if (peer.key == key if peer.name else peer.sender == guest and peer.welcomed)
        ]
        _check_no_admins(found)
        return found

    def _report(
        self,
        admin: Peer,
        ref: str,
        action: str,
        who: str,
        targets: list[Peer],
        when: Instant,
        sanction: Sanction | None = None,
        reason: str = "",
    ) -> None:
        """Reply to the admin, notify the rooms of the targets, and add a line to the audit log."""
        hosts = tuple(sorted({host_of(target) for target in targets}))
        until = sanction.until if sanction is not None else None
        reason = sanction.reason if sanction is not None else reason
        until_text = timestamp(until) if until is not None else ""
        self._broadcaster.reply(admin, events.Moderated(ref, action, who, len(targets), hosts, until_text))
        remaining_s = sanction.remaining_s(when.at) if sanction is not None else None
        details = (
            f" for {format_duration(remaining_s, round_up=True)}" if remaining_s is not None else ""
        ) + (f": {reason}" if reason else "")
        verb = _PAST_TENSE[action]
        self._effects.audit_lines.append(
            log_safe(f"{admin.label} {verb} {who} ({len(targets)} connection(s)){details}", 400)
        )
        closed = targets if action in ("kick", "ban") else ()
        rooms = {s.room.name: s.room for target in targets for s in target.subscriptions.values()}
        for room in rooms.values():
            line = events.System(
                "notice", f"{admin.sender} {verb} {who}{details}.", timestamp(when.at), room.name
            )
            self._broadcaster.broadcast(room, line, but=frozenset({admin, *closed}))


def host_of(peer: Peer) -> str:
    """The address of a connection, without its port."""
    return peer.address.rpartition(":")[0] or peer.address


def _require_admin(peer: Peer) -> None:
    if peer.role is not Role.ADMIN:
        raise RequestError(ErrorCode.FORBIDDEN, "Only admins can do that.")


def _check_no_admins(targets: list[Peer]) -> None:
    for target in targets:
        if target.role is Role.ADMIN:
            raise RequestError(ErrorCode.FORBIDDEN, f"Cannot moderate {target.sender}: admins are exempt.")


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
