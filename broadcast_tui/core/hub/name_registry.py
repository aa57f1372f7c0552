"""Names in use on a server, unique by skeleton, with a grace period after the last connection.

The owner of a name is a token or a v1 client's `client_id`. Plain clients have neither: they never share a
name, and can claim one again only during its grace period.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from broadcast_tui.core.errors import ErrorCode, InvalidNameError
from broadcast_tui.core.hub.cluster import ReleasedName
from broadcast_tui.core.hub.presence import AwayState, away_order
from broadcast_tui.core.limits import SharedLimits

STEP_NAMES = 256
"""Names that a step of `NameRegistry.expire_steps` frees."""


@dataclass(slots=True)
class _Holder:
    name: str
    owner: str
    peers: set[int] = field(default_factory=set)
    """All its connections."""
    counted: set[int] = field(default_factory=set)
    """Those that make the person present."""
    until: float = 0.0
    """End of the grace period; 0.0 outside of one."""


class NameRegistry:
    """Owners of names, and their away status.

    A name stays reserved for `leave_grace_s` after its last connection, and the person stays away for as long
    after their last counted one.
    """

    def __init__(self, limits: SharedLimits) -> None:
        self._limits = limits
        self._holders: dict[str, _Holder] = {}
        self._away: dict[str, str] = {}
        self._away_versions: dict[str, int] = {}
        """Numbers of changes of away statuses, also of those that were cleared."""

    def claim(
        self,
        key: str,
        name: str,
        owner: str,
        peer_id: int,
        now: float,
        *,
        take_over: bool = False,
        is_counted: bool = True,
        is_granted: bool = False,
    ) -> Collection[int]:
        """Claim the name with skeleton `key` for a connection; with `take_over` even if it has another owner.

        Returns the connections of another owner that have lost it.

        Args:
            is_counted: Whether the connection makes the person present.
            is_granted: Whether the cluster has granted the claim, which it then decides alone.

        Raises:
            InvalidNameError: NAME_TAKEN; temporary, since its owner may leave.
        """
        holder = self._holders.get(key)
        if holder is not None and holder.until and holder.until <= now:
            self._end_grace(key)
            holder = self._holders.get(key)
        lost: Collection[int] = ()
        if holder is not None and (take_over or is_granted) and holder.owner != owner:
            lost, holder = holder.peers, None
        if holder is not None and not is_granted and (holder.owner != owner or (holder.peers and not owner)):
            raise name_taken(name, holder.name)
        if holder is None:
            holder = self._holders[key] = _Holder(name, owner)
        holder.peers.add(peer_id)
        if is_counted:
            holder.counted.add(peer_id)
            holder.until = 0.0
        return lost

    def release(self, key: str, peer_id: int, now: float, *, grace: bool) -> ReleasedName | None:
        """Remove a connection from a name. The last one frees it, with `grace` after the grace period.

        The last counted connection ends the person's away status in the same way. Returns the name if this
        was its last connection.
        """
        holder = self._holders.get(key)
        if holder is None:
            return None
        was_last = holder.peers == {peer_id}
        self._release(holder, key, peer_id, now, grace=grace)
        if not was_last:
            return None
        return ReleasedName(key, holder.owner, max(0.0, holder.until - now) if holder.until else 0.0)

    def _release(self, holder: _Holder, key: str, peer_id: int, now: float, *, grace: bool) -> None:
        was_counted = peer_id in holder.counted
        holder.peers.discard(peer_id)
        holder.counted.discard(peer_id)
        if holder.counted or (holder.peers and not was_counted):
            return
        if grace:
            holder.until = now + self._limits.current.leave_grace_s
        elif was_counted or not holder.until:
            self._end_grace(key)

    def lose(self, key: str) -> Collection[int]:
        """Remove a name that has another owner elsewhere. Returns the connections that had it."""
        holder = self._holders.pop(key, None)
        self._forget_away(key)
        return holder.peers if holder is not None else ()

    def connections(self, key: str) -> Collection[int]:
        """The connections of the person with a name. Do not modify it."""
        holder = self._holders.get(key)
        return holder.peers if holder is not None else ()

    def expire_steps(self, now: float) -> Iterator[None]:
        """Free the names whose grace period has ended, in short steps."""
        due = [key for key, holder in self._holders.items() if holder.until and holder.until <= now]
        for number, key in enumerate(due):
            if number % STEP_NAMES == 0:
                yield
            # Another connection may have claimed it meanwhile.
            if (holder := self._holders.get(key)) is not None and holder.until and holder.until <= now:
                self._end_grace(key)

    # -- away status

    @property
    def anyone_away(self) -> bool:
        """Whether at least one person is away."""
        return bool(self._away)

    def away(self, key: str) -> str | None:
        """Away message of the person with a name, empty without a message; None if they are not away."""
        return self._away.get(key)

    def set_away(self, key: str, text: str | None) -> bool:
        """Set the away message of the person with a name, or clear it with None.

        Returns whether it changed.
        """
        before = self._away.pop(key, None)
        if text is not None:
            self._away[key] = text
        if before != text:
            self._away_versions[key] = self._away_versions.get(key, 0) + 1
        return before != text

    def away_state(self, key: str) -> AwayState:
        """Version and message of the away status of a person, for other nodes."""
        return self._away_versions.get(key, 0), self._away.get(key)

    def adopt_away(self, key: str, state: AwayState) -> bool:
        """Set the away status of a person of this node to that of another node, if it is newer.

        Returns whether the message has changed or was cleared or set.
        """
        holder = self._holders.get(key)
        own = self.away_state(key)
        if holder is None or not (holder.counted or holder.until) or away_order(state) <= away_order(own):
            return False
        version, text = state
        self.set_away(key, text)
        self._away_versions[key] = version
        return text != own[1]

    def copy_away(self, old_key: str, key: str) -> None:
        """Copy the away status of one name to another, as for a rename."""
        if (text := self._away.get(old_key)) is not None:
            self.set_away(key, text)

    def _end_grace(self, key: str) -> None:
        """End the away status of a person who is gone, and free the name if no connection has it."""
        self._forget_away(key)
        self._holders[key].until = 0.0
        if not self._holders[key].peers:
            del self._holders[key]

    def _forget_away(self, key: str) -> None:
        self._away.pop(key, None)
        self._away_versions.pop(key, None)


def name_taken(name: str, other: str) -> InvalidNameError:
    """The error of a claim of a name with the same skeleton as another one, which is in use."""
    same = other.casefold() == name.casefold()
    reason = "is taken" if same else f"looks too similar to {other}, who is online"
    text = f"The name {name} {reason}. Choose another name."
    return InvalidNameError(ErrorCode.NAME_TAKEN, text, temporary=True)
