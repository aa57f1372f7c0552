"""The options of `serve` that bound what strangers may do and help whoever runs it: one declaration each.

Flag, environment variable, key of the file, help and README's table are made from these fields.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Group, Parameter, Token
from cyclopts.validators import Number

from broadcast_tui.core.limits import AdmissionLimits, Limits

_CONNECTION = Limits()
_ADMISSION = AdmissionLimits()
"""Defaults of the options are those of the limits."""


def whole_number(_type: object, tokens: Sequence[Token]) -> int:
    """An option's number, without a fraction. Raises ValueError."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"{tokens[0].value!r} is no whole number") from None


Port = Annotated[int, Parameter(converter=whole_number, validator=Number(gte=0, lte=65535))]
Count = Annotated[int, Parameter(converter=whole_number, validator=Number(gte=0))]
Rate = Annotated[float, Parameter(validator=Number(gte=0, lt=math.inf))]
Texts = Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)]


@Parameter(name="*", group=Group("Limits of a connection", sort_key=1))
@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """What one connection may do; 0: unlimited."""

    message_rate: Rate = _CONNECTION.message_rate
    """Posts a second a connection may send for long; 0: unlimited, in bytes too."""
    message_burst: Count = _CONNECTION.message_burst
    """Posts a connection may send at once after a pause; 0: unlimited."""
    byte_rate: Rate = _CONNECTION.byte_rate
    """Bytes of posts a second a connection may send for long; 0: unlimited."""
    byte_burst: Count = _CONNECTION.byte_burst
    """Bytes of posts a connection may send at once after a pause; 0: unlimited."""
    max_message_bytes: Count = _CONNECTION.max_message_bytes
    """Longest post, in bytes of UTF-8; 0: unlimited."""
    max_frame_bytes: Count = _CONNECTION.max_frame_bytes
    """Longest frame; raised to what the longest post may need; 0: unlimited."""
    max_rooms: Count = _CONNECTION.max_rooms_per_peer
    """Rooms a connection may be in at once; 0: unlimited."""
    max_errors: Count = _CONNECTION.max_errors
    """Bad frames a minute before a connection is closed; 0: unlimited."""
    history_rate: Rate = _CONNECTION.history_rate
    """Requests a second for history, searches and lists, twice as many at once; 0: unlimited."""

    def limits(self) -> Limits:
        return Limits(
            message_rate=self.message_rate,
            message_burst=self.message_burst,
            byte_rate=self.byte_rate,
            byte_burst=self.byte_burst,
            max_message_bytes=self.max_message_bytes,
            max_frame_bytes=self.max_frame_bytes,
            max_rooms_per_peer=self.max_rooms,
            max_errors=self.max_errors,
            history_rate=self.history_rate,
        )


@Parameter(name="*", group=Group("Limits on who comes in", sort_key=2))
@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionOptions:
    """Who is let in at all; those on this machine are exempt from what counts by address."""

    max_connections: Count | None = _ADMISSION.max_connections
    """Most connections in all [default: as many as open files allow]; 0: unlimited."""
    max_connections_per_ip: Count = _ADMISSION.max_connections_per_ip
    """Most connections from one address (IPv6: one /64); 0: unlimited."""
    max_new_per_minute: Count = _ADMISSION.max_new_per_minute
    """New connections a minute from one address; 0: unlimited."""
    handshake_timeout: Rate = _ADMISSION.handshake_timeout_s
    """Seconds a client may take to ask for a WebSocket; 0: for ever."""
    max_half_open: Count = _ADMISSION.max_half_open
    """Connections that have not asked yet; one more costs the oldest its place; 0: unlimited."""
    max_half_open_per_ip: Count = _ADMISSION.max_half_open_per_ip
    """The same from one address; 0: unlimited."""
    origin: Texts = _ADMISSION.origins
    """A web page that may connect besides the server's own, such as https://chat.example.org; * for any."""
    trusted_proxy: Texts = _ADMISSION.trusted_proxies
    """A proxy whose X-Forwarded-For is believed: an address or network such as 10.0.0.0/8."""

    def limits(self) -> AdmissionLimits:
        return AdmissionLimits(
            max_connections=self.max_connections,
            max_connections_per_ip=self.max_connections_per_ip,
            max_new_per_minute=self.max_new_per_minute,
            handshake_timeout_s=self.handshake_timeout,
            max_half_open=self.max_half_open,
            max_half_open_per_ip=self.max_half_open_per_ip,
            origins=self.origin,
            trusted_proxies=self.trusted_proxy,
        )
