"""Keys and channels of the cluster in Redis.

All keys with the same tag, the part in braces, are in one slot of a Redis Cluster, so that a script can use
them together.
"""

from __future__ import annotations

import zlib


class Keys:
    """Names of keys and channels.

    Args:
        prefix: Beginning of all keys of the cluster.
        partitions: Number of partitions of the rooms, the same for all nodes.
    """

    def __init__(self, prefix: str = "bt", partitions: int = 1) -> None:
        self.control = f"{{{prefix}:ctl}}"
        """Beginning of the keys of names, nodes, direct rooms, sanctions and tokens."""
        self.everyone = f"{self.control}:all"
        """Channel of all nodes."""
        self.partitions = tuple(f"{{{prefix}{number}}}" for number in range(partitions))
        """Beginnings of the keys of rooms."""

    def partition_of(self, room: str) -> str:
        """Beginning of the keys of a room."""
        return self.partitions[zlib.crc32(room.encode()) % len(self.partitions)]

    def room_channel(self, room: str) -> str:
        """Channel of a room's signals."""
        return f"{self.partition_of(room)}:c:{room}"

    def node_channel(self, node: str) -> str:
        """Channel of a node."""
        return f"{self.control}:to:{node}"

    def inbox(self, owner: str) -> str:
        """Channel of the direct messages of an owner."""
        return f"{self.control}:inbox:{owner}"

    def control_key(self, *parts: str) -> str:
        """A key beside those of names and nodes."""
        return ":".join((self.control, *parts))
