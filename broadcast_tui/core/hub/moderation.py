"""Keeping order: what admins may do to others, and what those others then may not.

Invariants: only admins moderate, and never each other; whoever is banned is out at once and stays out; each
act leaves a line in `audit` for the shell to log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import assert_never

from broadcast_tui.core.clock import Instant, format_duration, timestamp
from broadcast_tui.core.errors import CloseCode, ErrorCode, InvalidNameError, RequestError
from broadcast_tui.core.hub.auth import Role
from broadcast_tui.core.hub.broadcaster import Broadcaster
from broadcast_tui.core.hub.peer import Peer
from broadcast_tui.core.hub.sanctions import Action, Sanction, Sanctions, is_here, parse_network, until
from broadcast_tui.core.names import name_key
from broadcast_tui.core.protocol import commands, events
from broadcast_tui.core.text import clean_post, log_safe, visible_line

REASON_BYTES = 512
LAST_WORDS_MAX = 120
"""Characters of the reason that somebody gives for leaving."""


class Moderation:
    """The sanctions of a server and the acts that make them.

    Args:
        peers: All connections by id.
        end: Ends a connection with a code and a reason.
    """

    def __init__(
        self, peers: Mapping[int, Peer], herald: Broadcaster, end: Callable[[Peer, CloseCode, str], None]
    ) -> None:
        self.sanctions = Sanctions()
        self.audit: list[str] = []
        """Lines for the log, safe for it, since the shell last took them."""
        self._peers = peers
        self._herald = herald
        self._end = end

    # -- what the sanctioned may not

    def check_name(self, peer: Peer, key: str, client_id: str, when: Instant) -> None:
        """Raises InvalidNameError (BANNED) if `peer` wants a name, or is a client, that is banned."""
        if peer.role is Role.ADMIN:
            return
        banned = self.sanctions.of_person("ban", key, client_id, when.at)
        if banned is not None:
            raise InvalidNameError(ErrorCode.BANNED, banned.sentence(when.at) + ".")

    def check_not_muted(self, peer: Peer, when: Instant) -> None:
        """Raises Refused (MUTED) for someone who may only read."""
        muted = self.mute_of(peer, when)
        if muted is not None:
            raise RequestError(
                ErrorCode.MUTED, muted.sentence(when.at) + ".", retry_after=muted.left_s(when.at)
            )

    def leave_reason(self, peer: Peer, reason: str, when: Instant) -> str:
        """Why someone leaves, as one short clean line; empty if they may not speak or it has no text."""
        if peer.role is Role.READER or self.mute_of(peer, when) is not None:
            return ""
        try:
            return _cleaned(reason[:LAST_WORDS_MAX])
        except RequestError:
            return ""

    def mute_of(self, peer: Peer, when: Instant) -> Sanction | None:
        """Why someone may only read; None if they may write."""
        return self.sanctions.of_person("mute", peer.key, peer.client_id, when.at)

    def enforce(self, when: Instant) -> int:
        """End the connections of all who are banned by now; returns how many."""
        count = 0
        for peer in self._peers.values():
            banned = self.sanctions.of_address(host_of(peer), when.at) or self.sanctions.of_person(
                "ban", peer.key, peer.client_id, when.at
            )
            if banned is not None and peer.role is not Role.ADMIN:
                self._end(peer, CloseCode.KICKED, banned.sentence(when.at))
                count += 1
        return count

    # -- what admins may

    def carry_out(self, admin: Peer, command: commands.Moderate, when: Instant) -> None:
        """Do it and answer, or refuse."""
        _require_admin(admin)
        match command:
            case commands.Kick():
                self._kick(admin, command, when)
            case commands.Ban():
                self._ban(admin, command, when)
            case commands.Mute():
                targets = self._targets(command.name)
                sanction = self._about("mute", admin, command.name, targets, command, when)
                self.sanctions.add(sanction)
                self._done(admin, command.ref, "mute", sanction.shown, targets, when, sanction)
            case commands.Unban():
                self._lift(admin, "ban", command.who, command.ref, when)
            case commands.Unmute():
                self._lift(admin, "mute", command.name, command.ref, when)
            case _:
                assert_never(command)

    def send_bans(self, admin: Peer, query: commands.ListBans, most: int, when: Instant) -> None:
        """Answer with the newest bans and mutes, at most `most`, or refuse."""
        _require_admin(admin)
        kept = self.sanctions.all(when.at)
        views = tuple(
            events.BanInfo(
                one.action,
                one.kind,
                one.shown,
                one.by,
                one.reason,
                timestamp(one.until) if one.until is not None else "",
            )
            for one in kept[-most:]
        )
        self._herald.answer(admin, events.BanList(query.ref, views, len(views) < len(kept)))

    def _kick(self, admin: Peer, kick: commands.Kick, when: Instant) -> None:
        targets = self._targets(kick.name)
        if not targets:
            raise _nobody(kick.name)
        shown, reason = targets[0].sender, _cleaned(kick.reason)
        for target in targets:
            self._end(target, CloseCode.KICKED, f"You were kicked{': ' + reason if reason else ''}")
        self._done(admin, kick.ref, "kick", shown, targets, when, reason=reason)

    def _ban(self, admin: Peer, ban: commands.Ban, when: Instant) -> None:
        network = parse_network(ban.who)
        if network is None:
            targets = self._targets(ban.who)
            sanction = self._about("ban", admin, ban.who, targets, ban, when)
        elif is_here(network) or network.prefixlen < (8 if network.version == 4 else 16):
            raise RequestError(
                ErrorCode.BAD_FRAME, f"{network} is this machine or half the world; ban a smaller network."
            )
        else:
            ends = until(ban.seconds, when.at)
            sanction = Sanction(
                "ban",
                "address",
                str(network),
                str(network),
                admin.sender,
                when.at,
                ends,
                _cleaned(ban.reason),
            )
            within = Sanctions([sanction])
            targets = [p for p in self._peers.values() if within.of_address(host_of(p), when.at) is not None]
            _spare_admins(targets)
        self.sanctions.add(sanction)
        for target in targets:
            self._end(target, CloseCode.KICKED, sanction.sentence(when.at))
        self._done(admin, ban.ref, "ban", sanction.shown, targets, when, sanction)

    def _about(
        self,
        action: Action,
        admin: Peer,
        name: str,
        targets: list[Peer],
        command: commands.Ban | commands.Mute,
        when: Instant,
    ) -> Sanction:
        """The sanction about a name, whether somebody has it now or not."""
        key = name_key(name)
        if not key:
            raise _nobody(name)
        shown = targets[0].sender if targets else visible_line(name.strip())[:32]
        clients = tuple(sorted({target.client_id for target in targets} - {""}))
        if targets and not targets[0].name and not clients:
            text = f"{shown} has no name to {action}; ban the address {host_of(targets[0])}, or kick."
            raise RequestError(ErrorCode.BAD_NAME, text)
        ends = until(command.seconds, when.at)
        return Sanction(
            action, "name", key, shown, admin.sender, when.at, ends, _cleaned(command.reason), clients
        )

    def _lift(self, admin: Peer, action: Action, who: str, ref: str, when: Instant) -> None:
        muted = self._muted(when)
        if not self.sanctions.lift(action, who):
            did = "banned" if action == "ban" else "muted"
            raise RequestError(ErrorCode.UNKNOWN_PERSON, f"{visible_line(who)[:64]} is not {did}.")
        freed = muted - self._muted(when)
        self._done(admin, ref, f"un{action}", visible_line(who)[:64], list(freed), when)

    def _muted(self, when: Instant) -> set[Peer]:
        return {
            peer
            for peer in self._peers.values()
            if self.sanctions.of_person("mute", peer.key, peer.client_id, when.at) is not None
        }

    def _targets(self, name: str) -> list[Peer]:
        """The connections of whoever is called so, guests included. Refuses if one of them is an admin."""
        key, guest = name_key(name), name.strip().casefold()
        found = [
            peer
            for peer in self._peers.values()
            if (peer.key == key if peer.name else peer.sender == guest and peer.welcomed)
        ]
        _spare_admins(found)
        return found

    def _done(
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
        """Answer the admin, tell the rooms, leave a line for the log."""
        hosts = tuple(sorted({host_of(target) for target in targets}))
        ends = sanction.until if sanction is not None else None
        reason = sanction.reason if sanction is not None else reason
        at = timestamp(ends) if ends is not None else ""
        self._herald.answer(admin, events.Moderated(ref, action, who, len(targets), hosts, at))
        left_s = sanction.left_s(when.at) if sanction is not None else None
        how = (f" for {format_duration(left_s, round_up=True)}" if left_s is not None else "") + (
            f": {reason}" if reason else ""
        )
        did = _DID[action]
        self.audit.append(log_safe(f"{admin.label} {did} {who} ({len(targets)} connection(s)){how}", 400))
        ended = targets if action in ("kick", "ban") else ()
        rooms = {s.room.name: s.room for target in targets for s in target.subscriptions.values()}
        for room in rooms.values():
            line = events.System("notice", f"{admin.sender} {did} {who}{how}.", timestamp(when.at), room.name)
            self._herald.broadcast(room, line, but=frozenset({admin, *ended}))


_DID = {"kick": "kicked", "ban": "banned", "mute": "muted", "unban": "unbanned", "unmute": "unmuted"}


def host_of(peer: Peer) -> str:
    """Address of a connection, without its port."""
    return peer.address.rpartition(":")[0] or peer.address


def _require_admin(peer: Peer) -> None:
    if peer.role is not Role.ADMIN:
        raise RequestError(ErrorCode.FORBIDDEN, "Admins only: you may not do this here.")


def _spare_admins(targets: list[Peer]) -> None:
    for target in targets:
        if target.role is Role.ADMIN:
            raise RequestError(ErrorCode.FORBIDDEN, f"{target.sender} is an admin too.")


def _nobody(name: str) -> RequestError:
    return RequestError(ErrorCode.UNKNOWN_PERSON, f"Nobody here is called {visible_line(name)[:64] or 'so'}.")


def _cleaned(reason: str) -> str:
    """A reason as one clean line, without the full stop that the sentences about it bring."""
    return " ".join(clean_post(reason, REASON_BYTES).split()).rstrip(".") if reason.strip() else ""
