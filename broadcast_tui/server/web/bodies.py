"""Bodies of requests and responses of the HTTP API."""

from __future__ import annotations

from typing import Annotated

import msgspec

from broadcast_tui.core.protocol import events

TOKEN_CHARS_MAX = 64
"""Maximum length of an `Idempotency-Key` and of an id."""


class NewPost(msgspec.Struct, frozen=True):
    """A post to publish; `reply_to` is the id of the post that it answers."""

    message: str
    reply_to: Annotated[str, msgspec.Meta(max_length=TOKEN_CHARS_MAX)] = ""


class Published(msgspec.Struct, frozen=True):
    """A post that is stored under `id`; `dup` if an earlier request with the same key has stored it."""

    id: str
    room: str
    dup: bool


class RoomPage(msgspec.Struct, frozen=True):
    """Rooms, sorted by name; if `truncated`, there are more after the last one."""

    rooms: tuple[events.RoomInfo, ...]
    truncated: bool


class Failure(msgspec.Struct, frozen=True):
    """Why a request failed; `code` is one of the WebSocket protocol, or a word of HTTP."""

    code: str
    message: str
