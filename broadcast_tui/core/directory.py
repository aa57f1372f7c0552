"""Names in use on a server: unique by skeleton, held by an owner, kept a moment after the owner is gone.

An owner is a v1 client's `client_id`; plain clients have none, so a plain client can never share a
name that is in use, and gets one back only from its grace.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from broadcast_tui.core.errors import ErrorCode, NameRefused


@dataclass(slots=True)
class _Holder:
    name: str
    owner: str
    peers: set[int] = field(default_factory=set)
    until: float = 0.0


class Directory:
    """Who holds which name. `grace_s` seconds a name stays with its owner after the last connection."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._holders: dict[str, _Holder] = {}

    def claim(self, key: str, name: str, owner: str, peer_id: int, now: float) -> None:
        """Take the name with skeleton `key` for a connection.

        Raises:
            NameRefused: somebody else has it (NAME_TAKEN); temporary, since they may leave.
        """
        holder = self._holders.get(key)
        if holder is not None and holder.until and holder.until <= now:
            holder = None
        if holder is not None and (holder.owner != owner or (holder.peers and not owner)):
            same = holder.name.casefold() == name.casefold()
            why = "is taken" if same else f"looks too much like {holder.name}, who is here"
            raise NameRefused(
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
                holder.until = now + self._grace_s
            else:
                del self._holders[key]

    def expire(self, now: float) -> None:
        """Free the names whose grace is over."""
        for key in [key for key, holder in self._holders.items() if holder.until and holder.until <= now]:
            del self._holders[key]
