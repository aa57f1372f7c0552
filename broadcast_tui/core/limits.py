"""Limits of the protocol and of admission: each is declared once, with its default and unit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ServerLimits:
    """Limits over all connections and rooms. Each is an option of `serve`."""

    max_buffer_bytes: int = 67_108_864
    """Maximum size of the recent posts of all rooms that are buffered for delivery, in bytes; 0: unlimited.

    The least recently used rooms give back their buffers first.
    """
    max_rooms_total: int = 10_000
    """Maximum number of rooms with people, posts or a topic; 0: unlimited."""
    max_rooms_per_ip: int = 200
    """Maximum number of existing rooms that were created from one address (IPv6: per /64); 0: unlimited.

    Loopback clients are exempt. Rooms from before a restart count for nobody.
    """
    room_rate: int = 30
    """New rooms per address, per minute, with as many at once; 0: unlimited."""


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """Limits of one connection, and of the server time for all connections of an address.

    Each is an option of `serve`.
    """

    message_rate: float = 10.0
    """Sustained rate of posts, per second; 0: unlimited, also in bytes."""
    message_burst: int = 30
    """Posts that may be sent at once after a pause; 0: unlimited."""
    byte_rate: float = 131_072.0
    """Sustained rate of posts, in bytes per second; 0: unlimited."""
    byte_burst: int = 1_048_576
    """Bytes of posts that may be sent at once after a pause; 0: unlimited."""
    max_message_bytes: int = 16_384
    """Maximum length of a post, in bytes of UTF-8; 0: unlimited."""
    max_frame_bytes: int = 131_072
    """Maximum length of a frame or fragmented message, in bytes; 0: unlimited.

    A longer one closes the connection with 1009. Raised to what the longest post may need, and
    unlimited if posts are.
    """
    max_rooms_per_peer: int = 32
    """Maximum number of rooms at once; 0: unlimited."""
    max_errors: int = 50
    """Invalid frames within a minute before the connection is closed with 4505; 0: unlimited."""
    max_refusals: int = 200
    """Rejected requests within a minute that did not wait for the end of `retry_after`; 0: unlimited.

    One more closes the connection with 4429, or 1013 if the server is overloaded.
    """
    history_rate: float = 10.0
    """Sustained rate of history and list requests, per second, with twice as many at once; 0: unlimited."""
    work_rate: float = 0.1
    """Server time for the requests of one address, in seconds per second; 0: unlimited.

    Loopback clients are exempt, as from the limits on new connections.
    """
    work_burst_s: float = 0.5
    """Server time that the requests of one address may take at once, in seconds; 0: unlimited."""


@dataclass(frozen=True, kw_only=True)
class Limits(ConnectionLimits, ServerLimits):
    """All limits of the protocol: those of a connection and of the server, and intervals of the hub.

    Not slotted, since a class cannot have two bases with slots.
    """

    error_window_s: float = 60.0
    hello_timeout_s: float = 10.0
    """Maximum time from the handshake to the hello of a v1 client."""
    leave_grace_s: float = 5.0
    """Time for which a person stays listed after losing the connection, so that a reconnect is silent."""
    presence_detail_max: int = 100
    """Maximum number of people in a room for which joins and leaves are sent by name.

    Above it, only counts.
    """
    presence_burst: int = 10
    presence_rate: float = 5.0
    """Sustained rate of presence lines of a room, per second, after `presence_burst` lines."""
    presence_count_interval_s: float = 1.0
    """Minimum time between two counts of a large room."""
    presence_list_max: int = 500
    """Maximum length of the lists of members, rooms and bans."""
    replay_posts: int = 1_000
    """Maximum number of posts replayed on entering a room without a position."""
    history_page_max: int = 200
    """Maximum number of posts in a page of history or search results."""
    ring_posts: int = 1_000
    """Encoded posts that a room keeps in memory; a connection further behind gets a `gap`."""
    ring_bytes: int = 1_048_576
    """The same in bytes."""
    idle_room_s: float = 60.0
    """Time for which a room that everyone has left keeps its ring."""
    typing_interval_s: float = 3.0
    """Minimum time between two typing notices of a connection; further ones are dropped."""
    typing_members_max: int = 50
    """Maximum number of people in a room for which typing notices are relayed."""
    control_frames: int = 256
    """Maximum number of replies and notices queued for a blocked connection before it is dropped."""
    ping_interval_s: float = 25.0
    """Silence of a connection after which it is pinged."""
    ping_timeout_s: float = 10.0
    """Time to answer a ping, or to complete a frame, before the connection is dropped."""
    stall_timeout_s: float = 12.0
    """Time for which a connection may read nothing before it is dropped."""


@dataclass(slots=True)
class SharedLimits:
    """The current limits, shared by the parts of a hub, so that a change reaches all of them.

    Each part stores this object and reads `current` on each use; it never stores `current` or a value from
    it.
    """

    current: Limits
    version: int = 0
    """Number of changes, for parts that derive state from the limits."""

    def replace(self, limits: Limits) -> None:
        """Change the limits."""
        self.current = limits
        self.version += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionLimits:
    """Limits on new connections. Loopback clients are exempt from limits per address.

    Each is an option of `serve`.
    """

    max_connections: int | None = None
    """Maximum number of connections [default: as many as open files allow]; 0: unlimited."""
    max_connections_per_ip: int = 32
    """Maximum number of connections per address (IPv6: per /64); 0: unlimited."""
    max_new_per_minute: int = 60
    """Sustained rate of new connections per address, per minute, with as many at once; 0: unlimited."""
    handshake_timeout_s: float = 5.0
    """Maximum duration of a handshake, in seconds; 0: unlimited."""
    max_half_open: int = 1_000
    """Maximum number of unfinished handshakes; when exceeded, the oldest is dropped; 0: unlimited."""
    max_half_open_per_ip: int = 20
    """Maximum number of unfinished handshakes per address; 0: unlimited."""
    origins: tuple[str, ...] = ()
    """Origins of other web pages that may connect, such as `https://chat.example.org`; `*`: any."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of proxies whose `X-Forwarded-For` is trusted, such as `127.0.0.1` or `10.0.0.0/8`."""
    exempt_loopback: bool = True
    """Whether loopback clients are exempt from limits per address; those of a trusted proxy never are."""
