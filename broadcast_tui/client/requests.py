"""What may be asked of a server: each request goes out at once, its answer comes as an update with its ref.

None waits, none fails: without a connection the answer is Noticed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Protocol

from broadcast_tui.core.protocol import commands
from broadcast_tui.core.session.session import ClientSession
from broadcast_tui.core.session.updates import ConnectionState, Update


class ClientRequests:
    """The requests of a client around `session`. All return the ref of their answer."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    @abstractmethod
    def _dispatch(self) -> None:
        """The session has something to write, or to tell."""

    def join(self, room: str, last: int = 50) -> str:
        """Enter a room with its last posts."""
        return self._asked(self._session.join(room, last))

    def leave(self, room: str, reason: str = "") -> str:
        """Leave a room, and tell the others why; posts to it that were not sent yet come back as refused."""
        return self._asked(self._session.leave(room, reason))

    def fetch_history(self, room: str, *, before: str = "", around: str = "", limit: int = 50) -> str:
        """Ask for the page of posts before or around a post id, or the latest."""
        return self._asked(self._session.fetch_history(room, before, limit, around))

    def list_members(self, room: str) -> str:
        """Ask who is in a room."""
        return self._asked(self._session.ask(lambda ref: commands.ListMembers(room, ref)))

    def search(self, room: str, query: str, *, before: str = "", limit: int = 20) -> str:
        """Ask for the newest posts that have all words of `query` (SearchFound with the ref)."""
        return self._asked(self._session.ask(lambda ref: commands.Search(query, room, ref, before, limit)))

    def list_rooms(self) -> str:
        """Ask for all rooms (RoomsListed with the ref)."""
        return self._asked(self._session.ask(commands.ListRooms))

    def set_topic(self, room: str, topic: str) -> str:
        """Say what a room is about; everyone in it gets TopicChanged."""
        return self._asked(self._session.ask(lambda ref: commands.SetTopic(topic, room, ref)))

    def set_away(self, away: bool, text: str = "") -> str:
        """Say that we are away, and why, or back; everyone who sees us gets AwayChanged, we too."""
        return self._asked(self._session.ask(lambda ref: commands.SetAway(away, text, ref)))

    def kick(self, name: str, reason: str = "") -> str:
        """End a person's connections; for admins (Moderated with the ref, or Noticed), as what follows."""
        return self._asked(self._session.ask(lambda ref: commands.Kick(name, reason, ref)))

    def ban(self, who: str, seconds: float = 0.0, reason: str = "") -> str:
        """Keep out a name, an address or a network, for a time or (0) for good."""
        return self._asked(self._session.ask(lambda ref: commands.Ban(who, seconds, reason, ref)))

    def unban(self, who: str) -> str:
        return self._asked(self._session.ask(lambda ref: commands.Unban(who, ref)))

    def mute(self, name: str, seconds: float = 0.0, reason: str = "") -> str:
        """Let a person read and no more, for a time or (0) for good."""
        return self._asked(self._session.ask(lambda ref: commands.Mute(name, seconds, reason, ref)))

    def unmute(self, name: str) -> str:
        return self._asked(self._session.ask(lambda ref: commands.Unmute(name, ref)))

    def bans(self) -> str:
        """Ask who is banned or muted (BansListed with the ref)."""
        return self._asked(self._session.ask(commands.ListBans))

    def _asked(self, ref: str) -> str:
        self._dispatch()
        return ref


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
    def unacknowledged(self) -> int:
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

        Comes back as PostDelivered and PostArrived with that nonce, or as PostRejected.
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
