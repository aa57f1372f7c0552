"""What a front end needs of a client: `ChatClient`, which `BroadcastClient` is and a test's fake can be.

All methods but `batches` and `close` return at once; what comes of them arrives as updates.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from broadcast_tui.core.updates import ConnectionState, Update


class ChatClient(Protocol):
    """A connection to a broadcast server that keeps itself up."""

    @property
    def url(self) -> str:
        """Address of the server, without secrets, as shown to people."""
        ...

    @property
    def name(self) -> str:
        """Our name as last asked for or confirmed; empty while there is none."""
        ...

    @property
    def state(self) -> ConnectionState: ...

    @property
    def unsettled(self) -> int:
        """Posts of ours neither acknowledged nor refused yet."""
        ...

    @property
    def rooms(self) -> tuple[str, ...]:
        """Rooms we are in or want to be in, in the order joined; never empty."""
        ...

    def start(self) -> None:
        """Begin connecting, and keep connected until `close`. Needs a running loop; idempotent."""
        ...

    def batches(self) -> AsyncIterator[list[Update]]:
        """Batches of updates, in order, none empty; ends after `close`. For one reader."""
        ...

    def say(self, room: str, text: str) -> str:
        """Queue a post and return its nonce; it is sent now, or when there is a connection again.

        Comes back as PostDelivered and PostArrived with that nonce, or as PostRefused.
        """
        ...

    def rename(self, name: str) -> str:
        """Ask for another name (NameChanged or NameDenied); from REFUSED it also connects again."""
        ...

    def authenticate(self, token: str) -> None:
        """Show another token; from REFUSED it also connects again. Raises TrustError if it is none."""
        ...

    def join(self, room: str, last: int = 50) -> str:
        """Enter a room with its last posts (RoomEntered, or Noticed with the returned ref)."""
        ...

    def leave(self, room: str, reason: str = "") -> str: ...

    def fetch_history(self, room: str, *, before: str = "", around: str = "", limit: int = 50) -> str:
        """Ask for the posts before or around a post id, or the latest (HistoryFetched with the ref)."""
        ...

    def search(self, room: str, query: str, *, before: str = "", limit: int = 20) -> str:
        """Ask for the newest posts that have all words of `query` (SearchFound with the ref)."""
        ...

    def list_members(self, room: str) -> str:
        """Ask who is in a room (MembersListed with the returned ref)."""
        ...

    def list_rooms(self) -> str:
        """Ask for all rooms (RoomsListed with the returned ref)."""
        ...

    def set_topic(self, room: str, topic: str) -> str:
        """Say what a room is about, empty for nothing; everyone in it gets TopicChanged."""
        ...

    def set_away(self, away: bool, text: str = "") -> str:
        """Say that we are away, and why, or back; everyone who sees us gets AwayChanged, we too."""
        ...

    def kick(self, name: str, reason: str = "") -> str:
        """End a person's connections, for admins (Moderated with the ref, or Noticed); as what follows."""
        ...

    def ban(self, who: str, seconds: float = 0.0, reason: str = "") -> str: ...

    def unban(self, who: str) -> str: ...

    def mute(self, name: str, seconds: float = 0.0, reason: str = "") -> str: ...

    def unmute(self, name: str) -> str: ...

    def bans(self) -> str:
        """Ask who is banned or muted (BansListed with the ref)."""
        ...

    def send_typing(self, room: str) -> None:
        """Tell the others that we are typing; rate-limited here and at the server."""
        ...

    def reconnect_now(self) -> None:
        """Do not wait for the rest of the back-off; come back after `disconnect`."""
        ...

    def disconnect(self) -> None:
        """Close the connection until `reconnect_now` (CLOSED); what is said meanwhile is kept."""
        ...

    async def close(self, reason: str = "") -> None:
        """Leave in order: unsent posts get a moment to go out, the others see us leave at once, and why."""
        ...
