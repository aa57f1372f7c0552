"""Names in use on a server: unique by skeleton, held by an owner, kept a moment after the owner is gone.

An owner is a v1 client's `client_id`; plain clients have none, so a plain client can never share a
name that is in use, and gets one back only from its grace.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from broadcast_tui.core.errors import ErrorCode, InvalidNameError
from broadcast_tui.core.limits import SharedLimits


@dataclass(slots=True)
class _Holder:
    name: str
    owner: str
    peers: set[int] = field(default_factory=set)
    until: float = 0.0


class NameRegistry:
    """Who holds which name. A name stays with its owner for `leave_grace_s` after the last connection."""

    def __init__(self, limits: SharedLimits) -> None:
        self._limits = limits
        self._holders: dict[str, _Holder] = {}
        self._away: dict[str, str] = {}

    def claim(
        self, key: str, name: str, owner: str, peer_id: int, now: float, *, by_right: bool = False
    ) -> None:
        """Take the name with skeleton `key` for a connection; `by_right` it is taken from other owners.

        Raises:
            InvalidNameError: somebody else has it (NAME_TAKEN); temporary, since they may leave.
        """
        holder = self._holders.get(key)
        if holder is not None and holder.until and holder.until <= now:
            self._free(key)
            holder = None
        if holder is not None and by_right and holder.owner != owner:
            holder = None
        if holder is not None and (holder.owner != owner or (holder.peers and not owner)):
            same = holder.name.casefold() == name.casefold()
            why = "is taken" if same else f"looks too much like {holder.name}, who is here"
            raise InvalidNameError(
                ErrorCode.NAME_TAKEN, f"The name {name} {why}; choose another one.", temporary=True
            )
        if holder is None:
            holder = self._holders[key] = _Holder(name, owner)
        holder.until = 0.0
        holder.peers.add(peer_id)

    def release(self, key: str, peer_id: int, now: float, *, grace: bool) -> None:
        """A connection no longer uses the name; the last one starts the grace, or frees it at once."""
        holder = self._holders.get(key)
        if holder is None:
            return
        holder.peers.discard(peer_id)
        if not holder.peers:
            if grace:
                holder.until = now + self._limits.current.leave_grace_s
            else:
                self._free(key)

    def expire(self, now: float) -> None:
        """Free the names whose grace is over."""
        for key in [key for key, holder in self._holders.items() if holder.until and holder.until <= now]:
            self._free(key)

    # -- who is away

    @property
    def anyone_away(self) -> bool:
        return bool(self._away)

    def away(self, key: str) -> str | None:
        """Why whoever holds the name is away, empty for no reason; None if they are here."""
        return self._away.get(key)

    def set_away(self, key: str, text: str | None) -> bool:
        """The person with this name is away because of `text`, or with None is back; whether that is news."""
        before = self._away.pop(key, None)
        if text is not None:
            self._away[key] = text
        return before != text

    def keep_away(self, old_key: str, key: str) -> None:
        """Who is away under one name stays so under another."""
        if (text := self._away.get(old_key)) is not None:
            self._away[key] = text

    def _free(self, key: str) -> None:
        del self._holders[key]
        self._away.pop(key, None)
