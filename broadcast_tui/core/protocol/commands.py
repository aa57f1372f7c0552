"""Frames from client to server: one struct per type. `type` is the tag; unknown keys are ignored."""

from __future__ import annotations

from typing import Annotated

import msgspec

from broadcast_tui.core.names import DEFAULT_ROOM
from broadcast_tui.core.post_state import NoteKind

Token = Annotated[str, msgspec.Meta(max_length=64)]
"""A nonce, ref, client id or post id: a short opaque string."""
RawName = Annotated[str, msgspec.Meta(max_length=512)]
"""The name of a person or room, not validated yet."""
Reason = Annotated[str, msgspec.Meta(max_length=512)]
Choice = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
"""A choice of a question."""


class RoomRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """A room to enter and where to start: after post id `since`, with the `last` N posts, or live."""

    room: RawName
    since: Token = ""
    last: int = 0


class Hello(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="hello"):
    """First frame of a v1 client. Without a `name`, it reads as a guest."""

    name: RawName = ""
    client_id: Token = ""
    token: Annotated[str, msgspec.Meta(max_length=512)] = ""
    rooms: Annotated[tuple[RoomRequest, ...], msgspec.Meta(max_length=64)] = ()
    presence: bool = True
    """Whether the connection is counted, listed and announced as a person; false for programs."""
    notes: bool = False
    """Whether the client understands notes. Otherwise it gets them as posts that describe them."""
    epochs: bool = False
    """Whether the client understands new epochs of a room. Otherwise it gets each as a gap."""


class Question(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question: its `choices`, and when it closes, in seconds; `to` are the people asked.

    Without `to`, the people in the room.
    """

    choices: Annotated[tuple[Choice, ...], msgspec.Meta(min_length=1, max_length=10)]
    until_s: Annotated[float, msgspec.Meta(gt=0, le=2_592_000)]
    to: Annotated[tuple[RawName, ...], msgspec.Meta(max_length=100)] = ()


class Say(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="message"):
    """A post. `sender` sets the name of a plain client; a v1 client sets it in its hello.

    `re` is the id of the post that it replies to; `ask` makes it a question.
    """

    message: str
    sender: RawName | None = None
    room: RawName = DEFAULT_ROOM
    nonce: Token = ""
    re: Token = ""
    ask: Question | None = None


class Note(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="note"):
    """Change the post with the id `re`.

    `note` says how: `edit` (to `message`), `delete` (with a `reason`), `pin` (or, with `on` false, unpin),
    `react` (with the emoji `key`; removed with `on` false), `answer` (with a `choice`).
    """

    note: NoteKind
    re: Token
    room: RawName = DEFAULT_ROOM
    nonce: Token = ""
    message: str = ""
    reason: Reason = ""
    on: bool = True
    key: Token = ""
    choice: Token = ""


class Direct(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="direct"):
    """Open the direct messages with a person: a room for two."""

    name: RawName
    ref: Token = ""


class Join(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="join"):
    room: RawName
    ref: Token = ""
    since: Token = ""
    last: int = 0


class Leave(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="leave"):
    """Leave a room. The `reason` is announced if it is short and no other leave is merged into the line."""

    room: RawName
    ref: Token = ""
    reason: Reason = ""


class FetchHistory(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="history"):
    """Request a page of history `before`, `after` or `around` a post id; by default the `latest`.

    With `root`, only the thread of the post with that id; with `pinned`, the pinned posts.
    """

    room: RawName = DEFAULT_ROOM
    ref: Token = ""
    before: Token = ""
    after: Token = ""
    around: Token = ""
    latest: bool = False
    limit: int = 50
    root: Token = ""
    pinned: bool = False


class ListMembers(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="presence"):
    room: RawName = DEFAULT_ROOM
    ref: Token = ""


class Search(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="search"):
    """Search for the newest posts with all words of `query`; `before` continues with older posts."""

    query: Annotated[str, msgspec.Meta(max_length=512)]
    room: RawName = DEFAULT_ROOM
    ref: Token = ""
    before: Token = ""
    limit: int = 20
    root: Token = ""
    """Search only the thread of the post with this id."""


class ListRooms(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="list"):
    """Request the rooms whose names sort `after` a name; at most `limit`, or as many as fit (0)."""

    ref: Token = ""
    after: RawName = ""
    limit: int = 0


class SetTopic(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="topic"):
    """Set the topic of a room; an empty `topic` removes it."""

    topic: Annotated[str, msgspec.Meta(max_length=4096)]
    room: RawName = DEFAULT_ROOM
    ref: Token = ""


class Rename(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="rename"):
    name: RawName
    ref: Token = ""


class SetAway(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="away"):
    """Set or (`away` false) clear the away status, with an optional message."""

    away: bool = True
    text: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    ref: Token = ""


class Typing(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="typing"):
    """Notice that the person is typing. Volatile: never stored, dropped first."""

    room: RawName = DEFAULT_ROOM


Seconds = Annotated[float, msgspec.Meta(ge=0)]
"""Duration in seconds; 0: permanent."""


class Kick(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="kick"):
    """Close the connections of a person, who may reconnect. For admins only, as all commands below."""

    name: RawName
    reason: Reason = ""
    ref: Token = ""


class Ban(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="ban"):
    """Ban a name, an address or a network."""

    who: RawName
    seconds: Seconds = 0.0
    reason: Reason = ""
    ref: Token = ""


class Unban(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="unban"):
    who: RawName
    ref: Token = ""


class Mute(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="mute"):
    """Stop a person from posting."""

    name: RawName
    seconds: Seconds = 0.0
    reason: Reason = ""
    ref: Token = ""


class Unmute(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="unmute"):
    name: RawName
    ref: Token = ""


class ListBans(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="bans"):
    """Request the bans and mutes in force."""

    ref: Token = ""


Moderate = Kick | Ban | Unban | Mute | Unmute
Command = (
    Hello
    | Say
    | Note
    | Join
    | Leave
    | FetchHistory
    | ListMembers
    | Rename
    | Search
    | ListRooms
    | SetTopic
    | SetAway
    | Typing
    | Direct
    | Moderate
    | ListBans
)
Request = (
    Join
    | Leave
    | FetchHistory
    | ListMembers
    | Rename
    | Search
    | ListRooms
    | SetTopic
    | SetAway
    | Direct
    | Moderate
    | ListBans
)
"""Commands with a `ref` and a reply."""


def publishes_text(command: Command) -> bool:
    """Whether the command publishes text from its sender, or prepares for it."""
    if isinstance(command, Say):  # most commands
        return True
    if isinstance(command, SetAway):
        return command.away and bool(command.text)
    if isinstance(command, Note):
        return command.note is not NoteKind.ANSWER and (
            command.note is not NoteKind.DELETE or bool(command.reason)
        )
    return isinstance(command, SetTopic | Direct)
