"""Every ceiling of the protocol in one frozen value; 0 means unlimited where an operator may set it."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_ROOM = "lobby"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Ceilings that hub, server and welcome share. Rates are per connection."""

    message_rate: float = 10.0
    """Posts a second a connection may send for long; 0: unlimited."""
    message_burst: int = 30
    """Posts a connection may send at once after a pause; 0: unlimited."""
    max_message_bytes: int = 16_384
    """Longest post, in bytes of UTF-8; 0: unlimited."""
    max_rooms_per_peer: int = 32
    max_room_chars: int = 48
    max_errors: int = 50
    """Bad frames within `error_window_s` before the connection is closed with 4505."""
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
    """History and presence requests a second a connection may make for long; burst is twice that."""
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
