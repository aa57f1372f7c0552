"""Every ceiling of the protocol in one frozen value; 0 means unlimited where an operator may set it."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_ROOM = "lobby"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Ceilings that hub, server and welcome share. Rates are per connection."""

    message_rate: float = 10.0
    """Posts a second a connection may send for long; 0: unlimited, as bytes are then."""
    message_burst: int = 30
    """Posts a connection may send at once after a pause; 0: unlimited."""
    byte_rate: float = 131_072.0
    """Bytes of posts a second a connection may send for long; 0: unlimited."""
    byte_burst: int = 1_048_576
    """Bytes of posts a connection may send at once after a pause; 0: unlimited."""
    max_message_bytes: int = 16_384
    """Longest post, in bytes of UTF-8; 0: unlimited."""
    max_frame_bytes: int = 131_072
    """Longest frame or message in fragments, beyond which the connection is closed with 1009; raised to what
    the longest post may need; 0: unlimited, as it is when posts are."""
    max_rooms_per_peer: int = 32
    """Rooms a connection may be in at once; 0: unlimited."""
    max_room_chars: int = 48
    max_errors: int = 50
    """Bad frames within `error_window_s` before the connection is closed with 4505; 0: unlimited."""
    error_window_s: float = 60.0
    hello_timeout_s: float = 10.0
    leave_grace_s: float = 5.0
    """How long a person whose last connection broke stays listed, so that a reconnect is silent."""
    presence_detail_max: int = 100
    """People in a room up to which joins and leaves are told by name; above it only counts are sent."""
    presence_burst: int = 10
    presence_rate: float = 5.0
    """Presence lines a second a room sends after a burst of `presence_burst`."""
    presence_count_interval_s: float = 1.0
    presence_list_max: int = 500
    replay_posts: int = 1_000
    replay_bytes: int = 1_048_576
    history_page_max: int = 200
    history_rate: float = 10.0
    """History and presence requests a second a connection may make for long, twice as many at once; 0:
    unlimited."""
    ring_posts: int = 1_000
    ring_bytes: int = 1_048_576
    """Encoded posts a room keeps ready for delivery; a reader further behind gets a `gap`."""
    typing_interval_s: float = 3.0
    """Least time between two typing notices of one connection; further ones are dropped."""
    typing_members_max: int = 50
    """People in a room above which typing notices are not passed on."""
    control_frames: int = 256
    """Answers and notices waiting for one connection before it counts as slow (4408)."""
    ping_interval_s: float = 25.0
    ping_timeout_s: float = 10.0
    stall_timeout_s: float = 12.0
    """How long a connection that takes nothing of what is sent to it is kept."""


@dataclass(slots=True)
class SharedLimits:
    """The limits in force, shared by the parts of a hub, so that a change reaches all of them.

    A part keeps this object and reads `current` each time. It never keeps `current` or a value from it.
    """

    current: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionLimits:
    """Who is let in at all. Clients on this machine are exempt from what counts by address."""

    max_connections: int | None = None
    """Most connections in all; None: as many as the process may have open files; 0: unlimited."""
    max_connections_per_ip: int = 32
    """Most connections from one address (IPv6: one /64); 0: unlimited."""
    max_new_per_minute: int = 60
    """New connections a minute from one address for long, as many at once after a pause; 0: unlimited."""
    handshake_timeout_s: float = 5.0
    """How long a client may take to ask for a WebSocket; 0: for ever."""
    max_half_open: int = 1_000
    """Connections that have not asked yet; one more costs the oldest of them its place; 0: unlimited."""
    max_half_open_per_ip: int = 20
    """The same from one address; 0: unlimited."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks whose `X-Forwarded-For` is believed, such as `127.0.0.1` or `10.0.0.0/8`."""
    origins: tuple[str, ...] = ()
    """Web pages that may connect besides the server's own, such as `https://chat.example.org`."""
    exempt_loopback: bool = True
