"""What can go wrong, by code: error codes, WebSocket close codes, and the exceptions that carry them.

BroadcastError
+-- FrameError      a peer sent something that is no frame of the protocol (the peer's fault)
+-- Refused         a well-formed request that the rules deny (the peer's fault, or a limit)
|   +-- InvalidNameError the name asked for cannot be had
+-- EngineError     the place where logs are kept failed (the environment's fault)
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class ErrorCode(StrEnum):
    """Why a request was not done; the `code` of an `error` event."""

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
    HELLO_EXPECTED = "hello_expected"
    TRY_LATER = "try_later"
    DRAINING = "draining"
    UNAUTHORIZED = "unauthorised"
    FORBIDDEN = "forbidden"
    BANNED = "banned"
    MUTED = "muted"
    UNKNOWN_PERSON = "unknown_person"
    INTERNAL = "internal"


class CloseCode(IntEnum):
    """WebSocket close codes in use. 44xx: come back and resume. 45xx: do not come back by yourself."""

    NORMAL = 1000
    GOING_AWAY = 1001
    BINARY = 1003
    ABNORMAL = 1006
    BAD_UTF8 = 1007
    TOO_BIG = 1009
    INTERNAL = 1011
    RESTART = 1012
    OVERLOAD = 1013
    HELLO_TIMEOUT = 4403
    CONNECTION_LIMIT = 4404
    SLOW = 4408
    RATE = 4429
    UNAUTHORIZED = 4500
    PROTOCOL = 4501
    KICKED = 4503
    TOO_MANY_ERRORS = 4505
    REPLACED = 4509


def may_come_back(code: int) -> bool:
    """Whether a client closed with `code` may reconnect by itself (protocol: 45xx says no)."""
    return not 4500 <= code <= 4599


class BroadcastError(Exception):
    """Base of every error of this package; its text is one sentence that a person can act on."""


class FrameError(BroadcastError):
    """Bytes that are no frame of the protocol. The peer's fault; the connection goes on."""

    def __init__(self, code: ErrorCode, text: str, *, nonce: str = "", ref: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.nonce = nonce
        self.ref = ref


class RequestError(BroadcastError):
    """A request that the rules deny.

    `temporary` says whether the same request may succeed later; `retry_after` how many seconds to
    wait first, when that is known.
    """

    def __init__(
        self, code: ErrorCode, text: str, *, temporary: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.temporary = temporary
        self.retry_after = retry_after


class InvalidNameError(RequestError):
    """The name asked for cannot be had: empty, too long, of wrong characters, reserved or taken."""


class EngineError(BroadcastError):
    """The engine could not append or read; the environment's fault. Nothing was acknowledged."""
