"""A small hash in Redis that all nodes know, with a version that increases with each change."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from broadcast_tui.server.cluster.commands import CommandQueue
from broadcast_tui.server.cluster.keys import Keys
from broadcast_tui.server.cluster.scripts import CHANGE_HASH, READ_HASH


class SharedHash:
    """The hash with a name."""

    def __init__(self, commands: CommandQueue, keys: Keys, name: str) -> None:
        self.name = name
        self._commands = commands
        self._keys = keys

    async def read(self) -> tuple[str, dict[str, bytes]]:
        """The version and the fields. Raises UnavailableError."""
        version, found = await self._commands.probe(READ_HASH, self._keys.control, self.name)
        fields = {field.decode(): value for field, value in zip(found[::2], found[1::2], strict=True)}
        return version.decode(), fields

    async def change(
        self, fields: Mapping[str, bytes], removed: Collection[str] = (), *, expected: str = ""
    ) -> str:
        """Set and remove fields, if the version is the expected one.

        Returns the new version; an empty string if it is another one. Raises UnavailableError.
        """
        words = [word for item in fields.items() for word in item]
        version: bytes = await self._commands.probe(
            CHANGE_HASH, self._keys.control, self.name, expected, len(removed), *removed, *words
        )
        return version.decode()
