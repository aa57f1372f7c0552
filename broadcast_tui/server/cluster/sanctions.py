"""Bans and mutes of all nodes, in Redis."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import msgspec

from broadcast_tui.core.hub.sanctions import Sanction
from broadcast_tui.server.cluster.commands import UnavailableError
from broadcast_tui.server.cluster.shared_hash import SharedHash
from broadcast_tui.server.sanction_store import SanctionFileError

log = logging.getLogger("broadcast_tui.server")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Sanction).decode


class RedisSanctions:
    """The sanctions in a hash. A node saves what it has changed, and loads what others have changed.

    Args:
        changed: Called when the sanctions were changed, for the other nodes.
    """

    def __init__(self, stored: SharedHash, changed: Callable[[str], None]) -> None:
        self._hash = stored
        self._changed = changed
        self._known: dict[str, bytes] = {}
        """The fields that this node understands, as it writes them.

        Others may have been written by a newer version. They are not removed.
        """
        self.version = ""
        """The version that this node knows."""

    async def load(self, has_unsaved: Callable[[], bool] = lambda: False) -> list[Sanction] | None:
        """Read all sanctions; None if this node has unsaved ones, which are saved first.

        Raises UnavailableError.
        """
        version, fields = await self._hash.read()
        if has_unsaved():
            return None
        self.version = version
        sanctions = []
        for field, data in fields.items():
            try:
                sanctions.append(_decode(data))
            except msgspec.MsgspecError:
                log.warning("ignored an invalid ban or mute in Redis: %r", field)
        self._known = _fields(sanctions)
        return sanctions

    async def save(self, sanctions: Sequence[Sanction]) -> None:
        """Store what this node has changed. Raises SanctionFileError."""
        fields = _fields(sanctions)
        changed = {field: data for field, data in fields.items() if self._known.get(field) != data}
        removed = [field for field in self._known if field not in fields]
        if not (changed or removed):
            return
        try:
            version = await self._hash.change(changed, removed)
        except UnavailableError as error:
            raise SanctionFileError("Cannot save the bans in Redis: it cannot be reached.") from error
        if int(version) == int(self.version or 0) + 1:
            self.version = version
        self._known = fields
        self._changed(self._hash.name)


def _fields(sanctions: Sequence[Sanction]) -> dict[str, bytes]:
    return {f"{sanction.action} {sanction.kind} {sanction.key}": _encode(sanction) for sanction in sanctions}
