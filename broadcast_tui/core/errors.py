"""Error codes, WebSocket close codes, and the exceptions that contain them.

BroadcastError
+-- FrameError             invalid bytes or an invalid frame (the peer's fault)
+-- RequestError           a valid request that was denied (the peer's fault, or a limit)
|   +-- InvalidNameError   the name is invalid, reserved or taken
+-- EngineError            the engine failed (the environment's fault)
    +-- SearchTooCostlyError   a search exceeded its deadline (the query's fault)
"""

from __future__ import annotations

import math
from enum import IntEnum, StrEnum


class ErrorCode(StrEnum):
    """The `code` of an `error` event."""

    BAD_JSON = "bad_json"
    BAD_FRAME = "bad_frame"
    BAD_UTF8 = "bad_utf8"
    BINARY = "binary"
    UNKNOWN_TYPE = "unknown_type"
    TOO_LONG = "too_long"
    EMPTY = "empty"
    BAD_NAME = "bad_name"
    NAME_TAKEN = "name_taken"
    NAME_RESERVED = "name_reserved"
    BAD_ROOM = "bad_room"
    NOT_IN_ROOM = "not_in_room"
    TOO_MANY_ROOMS = "too_many_rooms"
    BAD_POSITION = "bad_position"
    RATE_LIMITED = "rate_limited"
    SEARCH_TOO_COSTLY = "search_too_costly"
    HELLO_EXPECTED = "hello_expected"
    TRY_LATER = "try_later"
    DRAINING = "draining"
    UNAUTHORIZED = "unauthorised"
    FORBIDDEN = "forbidden"
    BANNED = "banned"
    MUTED = "muted"
    UNKNOWN_PERSON = "unknown_person"
    NO_SUCH_POST = "no_such_post"
    TOO_MANY_NOTES = "too_many_notes"
    ASK_CLOSED = "ask_closed"
    INTERNAL = "internal"


class CloseCode(IntEnum):
    """WebSocket close codes in use. 44xx: reconnect and resume. 45xx: do not reconnect automatically."""

    GOING_AWAY = 1001
    BINARY = 1003
    ABNORMAL = 1006
    BAD_UTF8 = 1007
    TOO_BIG = 1009
    """Sent by websockets."""
    INTERNAL = 1011
    RESTART = 1012
    TRY_AGAIN_LATER = 1013
    HELLO_TIMEOUT = 4403
    TIMED_OUT = 4408
    TOO_MANY_REQUESTS = 4429
    UNAUTHORIZED = 4500
    KICKED = 4503
    TOO_MANY_ERRORS = 4505
    REPLACED = 4509


def may_reconnect(code: int) -> bool:
    """Whether a client closed with `code` may reconnect automatically: all except 45xx."""
    return not 4500 <= code <= 4599


class BroadcastError(Exception):
    """Base class of all errors of this package. Its text is a sentence for users."""


class FrameError(BroadcastError):
    """Invalid bytes or an invalid frame: the peer's fault. The connection stays open.

    `nonce` and `ref` are those of the frame, if they could be read.
    """

    def __init__(self, code: ErrorCode, text: str, *, nonce: str = "", ref: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.nonce = nonce
        self.ref = ref


class RequestError(BroadcastError):
    """A valid request that was denied.

    `temporary` tells whether the same request may succeed later, and `retry_after` is the time to wait in
    seconds, if known.
    """

    def __init__(
        self, code: ErrorCode, text: str, *, temporary: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.temporary = temporary
        self.retry_after = retry_after


def rate_limited(text: str, wait_s: float) -> RequestError:
    """The error of a request over a rate limit that may be repeated after `wait_s` seconds.

    Rounded up: a client that waits exactly as long must not be rejected again.
    """
    retry_after = math.ceil(wait_s * 1e3) / 1e3
    return RequestError(ErrorCode.RATE_LIMITED, text, temporary=True, retry_after=retry_after)


class InvalidNameError(RequestError):
    """The requested name is empty, too long, reserved or taken, or contains invalid characters."""


class EngineError(BroadcastError):
    """The engine failed to append or read: the environment's fault. Nothing was acknowledged."""


class SearchTooCostlyError(EngineError):
    """A search exceeded its deadline. The same search of the same log fails again."""

    def __init__(self) -> None:
        super().__init__("This search takes too long. Use longer or less common words.")
