"""`ClientRequests`: the interface of a chat client, used by the TUI and implemented once more by tests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from typing import ClassVar

from broadcast_tui.core.post_state import NoteKind
from broadcast_tui.core.protocol import commands
from broadcast_tui.core.session.updates import ConnectionState, Update

LEAVE_TIMEOUT_S = 2.0
"""Default limit for `ClientRequests.close`."""


class ClientRequests(ABC):
    """A connection to a broadcast server that reconnects by itself, and the requests it can send.

    A request returns at once with a ref. Its answer arrives in `batches` as an update with that ref, or
    as `Noticed` with it if the request failed or there is no connection. No request raises or blocks.
    """

    read_only: ClassVar[str] = ""
    """Why nothing can be sent; empty if posts can be sent."""
    hint: ClassVar[str] = ""
    """Text of the empty input in place of the name of the room; empty if it shows that name."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Address of the server without secrets, for display."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The requested or confirmed name of the user; empty if there is none."""

    @property
    @abstractmethod
    def state(self) -> ConnectionState: ...

    @property
    @abstractmethod
    def rooms(self) -> tuple[str, ...]:
        """Rooms the client is in, or will enter once connected, in the order joined; never empty."""

    @property
    @abstractmethod
    def unacknowledged(self) -> int:
        """Number of own posts and notes that were neither acknowledged nor rejected."""

    @abstractmethod
    def start(self) -> None:
        """Connect, and stay connected until `close`. Needs a running event loop; idempotent."""

    @abstractmethod
    def batches(self) -> AsyncIterator[list[Update]]:
        """Iterate over updates in order, in batches that are never empty; ends after `close`. One reader."""

    @abstractmethod
    def reconnect_now(self) -> None:
        """Skip the rest of the reconnect delay, or resume after `disconnect`."""

    @abstractmethod
    def disconnect(self) -> None:
        """Close the connection until `reconnect_now`; posts written meanwhile are sent then."""

    @abstractmethod
    async def close(self, reason: str = "", timeout_s: float = LEAVE_TIMEOUT_S) -> None:
        """Close for good: wait for unacknowledged posts, then leave all rooms with `reason`.

        The wait takes at most half of `timeout_s`; at the end of `timeout_s` the connection is aborted.
        """

    @abstractmethod
    def say(self, room: str, text: str, *, re: str = "", ask: commands.Question | None = None) -> str:
        """Queue a post and return its nonce. It is sent now, or after the next reconnect.

        The outcome is `PostDelivered` and `PostArrived`, or `PostRejected`, each with the nonce.

        Args:
            re: Post that it replies to: its id, or the nonce of an own post.
            ask: Makes the post a question with these choices.
        """

    @abstractmethod
    def send_note(self, room: str, re: str, kind: NoteKind, *, text: str = "", on: bool = True) -> str:
        """Queue a change of a post and return the nonce of the change. It is sent as a post is.

        The outcome is `NoteDelivered` or `NoteRejected` with the nonce, the effect is `NoteArrived`. A post
        that was not sent yet is edited or deleted at once.

        Args:
            re: Id of the post, or the nonce of an own post.
            text: The new text of an edit, the reason of a deletion, a reaction, or the choice of an answer.
            on: False removes a pin or reaction.
        """

    @abstractmethod
    def send_typing(self, room: str) -> None:
        """Notify the others in a room that the user is typing. Rate-limited."""

    @abstractmethod
    def authenticate(self, token: str) -> None:
        """Use another token from now on; reconnect if the server had refused the old one.

        Raises:
            TrustError: The token is malformed.
        """

    @abstractmethod
    def _request(self, build: Callable[[str], commands.Request]) -> str:
        """Send the request that `build` makes from a new ref, and return the ref."""

    def rename(self, name: str) -> str:
        """Request another name: `NameChanged` or `NameDenied`. From REFUSED it also reconnects."""
        return self._request(lambda ref: commands.Rename(name, ref))

    def join(self, room: str, last: int = 50) -> str:
        """Enter a room with its `last` posts: `RoomEntered`."""
        return self._request(lambda ref: commands.Join(room, ref, last=last))

    def leave(self, room: str, reason: str = "") -> str:
        """Leave a room, with a reason shown to the others: `RoomLeft`. Its unsent posts are rejected."""
        return self._request(lambda ref: commands.Leave(room, ref, reason))

    def fetch_history(
        self,
        room: str,
        *,
        before: str = "",
        around: str = "",
        limit: int = 50,
        root: str = "",
        pinned: bool = False,
    ) -> str:
        """Request the posts before or around a post id, or the latest: `HistoryFetched`.

        With `root`, only the thread that begins with the post of this id; with `pinned`, the pinned posts.
        """
        latest = not (before or around)
        return self._request(
            lambda ref: commands.FetchHistory(
                room, ref, before, around=around, latest=latest, limit=limit, root=root, pinned=pinned
            )
        )

    def search(self, room: str, query: str, *, before: str = "", limit: int = 20, root: str = "") -> str:
        """Request the newest posts that contain all words of `query`: `SearchFound`.

        With `root`, only those of the thread that begins with the post of this id.
        """
        return self._request(lambda ref: commands.Search(query, room, ref, before, limit, root))

    def direct(self, name: str) -> str:
        """Request the room for direct messages with a person: `DirectOpened`; then `join` it."""
        return self._request(lambda ref: commands.Direct(name, ref))

    def list_members(self, room: str) -> str:
        """Request the members of a room: `events.Presence`."""
        return self._request(lambda ref: commands.ListMembers(room, ref))

    def list_rooms(self, after: str = "") -> str:
        """Request a page of the rooms whose names sort after a name: `events.RoomList`."""
        return self._request(lambda ref: commands.ListRooms(ref, after))

    def set_topic(self, room: str, topic: str) -> str:
        """Set the topic of a room, or clear it with an empty one; its members get `events.Topic`."""
        return self._request(lambda ref: commands.SetTopic(topic, room, ref))

    def set_away(self, away: bool, text: str = "") -> str:
        """Set or clear the away status, with a reason; people who share a room get `events.Away`."""
        return self._request(lambda ref: commands.SetAway(away, text, ref))

    def kick(self, name: str, reason: str = "") -> str:
        """Close all connections of a person: `Moderated`. For admins, as are the following requests."""
        return self._request(lambda ref: commands.Kick(name, reason, ref))

    def ban(self, who: str, seconds: float = 0.0, reason: str = "") -> str:
        """Ban a name, an address or a network for a time, or permanently (0)."""
        return self._request(lambda ref: commands.Ban(who, seconds, reason, ref))

    def unban(self, who: str) -> str:
        return self._request(lambda ref: commands.Unban(who, ref))

    def mute(self, name: str, seconds: float = 0.0, reason: str = "") -> str:
        """Prevent a person from posting for a time, or permanently (0)."""
        return self._request(lambda ref: commands.Mute(name, seconds, reason, ref))

    def unmute(self, name: str) -> str:
        return self._request(lambda ref: commands.Unmute(name, ref))

    def bans(self) -> str:
        """Request the bans and mutes in force: `BansListed`."""
        return self._request(commands.ListBans)
