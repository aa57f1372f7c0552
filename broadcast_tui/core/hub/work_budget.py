"""Budgets of server time: each request has a price in seconds, which its address pays in advance.

A limit on the number of requests does not bound what they cost: the dearest history page takes a hundred
times as long as a typing notice. So all connections of one address share a budget, a token bucket of seconds.
Prices are upper bounds; what a request depends on (its text, the posts it reads, the people who are notified)
is part of its price. What the work really took is settled after each turn (`WorkBudget.settle`), so that
work without a price is paid too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, assert_never

from broadcast_tui.core.errors import RequestError, rate_limited
from broadcast_tui.core.hub.log_index import LogIndex, current_seq
from broadcast_tui.core.limits import SharedLimits
from broadcast_tui.core.names import DEFAULT_ROOM, are_too_many, check_any_room
from broadcast_tui.core.notes import text_bytes
from broadcast_tui.core.post import Position
from broadcast_tui.core.protocol import commands
from broadcast_tui.core.rate_limit import ADDRESSES_MAX, LruMap, TokenBucket

if TYPE_CHECKING:
    from broadcast_tui.core.hub.history import HistoryRead, SearchRead
    from broadcast_tui.core.hub.peer import Peer
    from broadcast_tui.core.hub.room import Room
    from broadcast_tui.core.hub.rooms import Rooms
    from broadcast_tui.core.notes import Entry

_US = 1e-6
_KIB = 1024

# The prices, in seconds. tests/benchmarks measures what they cover.
ACCEPT_S = 250 * _US
"""Accepting a TCP connection and closing it, with a request that is not valid HTTP."""
TLS_HANDSHAKE_S = 2_000 * _US
"""A TLS handshake, most of which is the signature of the certificate's key."""
REQUEST_S = 350 * _US
"""An HTTP request: parsing it, and the page, the response to a handshake, or the rejection."""
TAKE_OVER_S = 200 * _US
"""Giving a connection to the HTTP library, for its first request."""
REQUEST_KIB_S = 50 * _US
"""Each KiB of the head of a request."""
SCRAPE_S = 5_000 * _US
"""A page of metrics."""
CONNECT_S = 400 * _US
"""The events about a connection that opens and closes, after its handshake."""
FRAME_S = 30 * _US
"""A frame: parsing it, and the reply or the error."""
FRAME_KIB_S = 4 * _US
"""Each KiB of a frame: decoding JSON."""
ASCII_CHAR_S = 0.1 * _US
"""Sanitizing a character of a text in ASCII."""
CHAR_S = 0.25 * _US
"""Sanitizing a character of any other text."""
NAME_CHAR_S = 2 * _US
"""Normalizing a character of a name that is not ASCII, and its skeleton."""
POST_S = 60 * _US
"""Appending and acknowledging a post, and encoding it once."""
NOTE_S = 250 * _US
"""Folding a note into its post, and encoding both once."""
ASKED_S = 12 * _US
"""Checking the name of a person who is asked a question."""
INDEX_KIB_S = 250 * _US
"""Indexing each KiB of a post in the thread that stores all posts. Short words cost the most."""
DELIVERY_S = 2 * _US
"""Writing a post to a connection."""
EVENT_S = 6 * _US
"""Queuing and writing an event, such as a rename, to a connection."""
JOIN_S = 60 * _US
"""Entering a room."""
REPLAY_KIB_S = 3 * _US
"""Each KiB of posts that are replayed from the ring of a room."""
BACKFILL_POST_S = 5 * _US
"""Each post that is read and encoded to fill the ring of a room that was empty."""
BACKFILL_KIB_S = 5 * _US
"""Each KiB of these posts."""
READ_S = 100 * _US
"""A read of the log."""
PAGE_POST_S = 12 * _US
"""Each post of a page of history or search results."""
PAGE_KIB_S = 8 * _US
"""Each KiB of these posts."""
SEARCH_S = 10_000 * _US
"""A search, in a thread of the engine."""
COSTLY_SEARCH_S = 250_000 * _US
"""A search that exceeds its deadline."""
MEMBER_S = 1 * _US
"""Sorting a member of a room into a list."""
LISTED_S = 8 * _US
"""An item of a list of members, rooms or bans."""
DIRECT_S = 100 * _US
"""Opening a room for two, and notifying the other person."""
TOPIC_S = 200 * _US
"""Storing a topic."""
SCAN_S = 3 * _US
"""Comparing a connection with the target of a kick, ban or mute."""
UNKNOWN_POST_BYTES = 16_384
"""Size of a post that has not been read yet: the default maximum."""
RETRY_MIN_S = 0.1
"""Minimum time to wait after a rejected request."""


class WorkBudget:
    """Seconds of server time that the requests of one address may take.

    Args:
        limits: Limits with the rate and the burst; without limits, the budget is unlimited.
    """

    __slots__ = ("_bucket", "_limits", "_limits_version", "priced_s")

    def __init__(self, limits: SharedLimits | None = None) -> None:
        self._limits = limits
        self._limits_version = 0
        self._bucket = self._new_bucket()
        self.priced_s = 0.0
        """Prices paid since the last `settle`."""

    def _new_bucket(self) -> TokenBucket:
        """A bucket of milliseconds, since a bucket holds at least one token."""
        if self._limits is None:
            return TokenBucket(0.0, 1.0)
        self._limits_version = self._limits.version
        limits = self._limits.current
        if not limits.work_burst_s:
            return TokenBucket(0.0, 1.0)
        return TokenBucket(1e3 * limits.work_rate, 1e3 * limits.work_burst_s)

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit. Otherwise prices need not be computed."""
        if self._limits is None:
            return False
        if self._limits.version != self._limits_version:
            self._bucket = self._new_bucket()
        return not self._bucket.is_unlimited

    def spend(self, price_s: float, now: float) -> None:
        """Pay for a request.

        Raises:
            RequestError: RATE_LIMITED if the budget does not suffice; nothing has been paid.
        """
        wait_s = self._bucket.take(now, 1e3 * price_s)
        if wait_s > 0:
            wait_s = max(RETRY_MIN_S, wait_s)
            text = f"The requests from your address take too much time. Wait {wait_s:.1f} s and try again."
            raise rate_limited(text, wait_s)
        self.priced_s += price_s

    def charge(self, price_s: float, now: float) -> None:
        """Pay for work that cannot be refused, such as reading a frame; the budget may become negative."""
        self._bucket.charge(now, 1e3 * price_s)
        self.priced_s += price_s

    def refund(self, price_s: float) -> None:
        """Return part of a price, if a request turned out to cost less."""
        self._bucket.refund(1e3 * max(0.0, price_s))

    def settle(self, elapsed_s: float, now: float) -> None:
        """Pay for the time that a turn took beyond the prices paid in it."""
        excess_s = elapsed_s - self.priced_s
        self.priced_s = 0.0
        if excess_s > 0:
            self._bucket.charge(now, 1e3 * excess_s)

    def debt_wait_s(self, now: float) -> float:
        """Seconds until a negative budget is balanced; 0.0 if it is not negative."""
        return self._bucket.wait_s(now, 0.0)

    def is_exhausted(self, now: float) -> bool:
        """Whether the debt has reached half of its maximum, so that not even a rejection is affordable."""
        if not self.is_limited or self._limits is None:
            return False
        limits = self._limits.current
        return self.debt_wait_s(now) * limits.work_rate >= limits.work_burst_s / 2


UNLIMITED = WorkBudget()
"""The budget of exempt connections."""


class WorkBudgets:
    """The budgets of addresses, by rate-limit key. They outlast the connections."""

    def __init__(self, limits: SharedLimits) -> None:
        self._budgets = LruMap(lambda _: WorkBudget(limits), ADDRESSES_MAX)

    def __len__(self) -> int:
        return len(self._budgets)

    def of(self, key: str) -> WorkBudget:
        """The budget of an address; an empty key is exempt."""
        return self._budgets.use(key) if key else UNLIMITED


def frame_price_s(size_bytes: int) -> float:
    """The price of receiving a frame."""
    return FRAME_S + size_bytes / _KIB * FRAME_KIB_S


def request_price_s(head_bytes: int) -> float:
    """The price of an HTTP request, of which a WebSocket handshake is one."""
    return REQUEST_S + head_bytes / _KIB * REQUEST_KIB_S


def page_price_s(post_count: int, text_bytes: int) -> float:
    """The price of a page of posts."""
    return READ_S + post_count * PAGE_POST_S + text_bytes / _KIB * PAGE_KIB_S


class PriceList:
    """Computes the prices of commands. They depend on the rooms and on the log."""

    def __init__(self, rooms: Rooms, index: LogIndex, limits: SharedLimits, peers: dict[int, Peer]) -> None:
        self._rooms = rooms
        self._index = index
        self._limits = limits
        self._peers = peers

    def price_s(self, peer: Peer, command: commands.Command) -> float:
        """The price of a command, besides that of its frame."""
        match command:
            case commands.Say():
                return _text_s(command.message) + self._say_s(peer, command)
            case commands.Hello():
                return self._hello_s(peer, command)
            case commands.Join():
                return self._enter_s(peer, commands.RoomRequest(command.room, command.since, command.last))
            case commands.Leave():
                return _text_s(command.reason) + self._events_s(self._rooms_of(peer, command.room))
            case commands.FetchHistory():
                return self._page_s(command.limit)
            case commands.Search():
                return _text_s(command.query) + SEARCH_S + self._page_s(command.limit)
            case commands.ListMembers():
                online = sum(room.presence.online for room in self._rooms_of(peer, command.room))
                return online * MEMBER_S + self._list_s(online)
            case commands.ListRooms():
                return self._list_s(command.limit or self._limits.current.presence_list_max)
            case commands.Rename():
                return _name_s(command.name) + self._events_s(self._rooms_of(peer))
            case commands.SetTopic():
                return TOPIC_S + _text_s(command.topic) + self._events_s(self._rooms_of(peer, command.room))
            case commands.SetAway():
                return _text_s(command.text) + self._details_s(self._rooms_of(peer))
            case commands.Typing():
                return self._details_s(self._rooms_of(peer, command.room))
            case commands.ListBans():
                return self._list_s(self._limits.current.presence_list_max)
            case commands.Kick() | commands.Ban() | commands.Unban() | commands.Mute() | commands.Unmute():
                return len(self._peers) * SCAN_S
            case commands.Note():
                receivers = sum(len(room.subscriptions) for room in self._rooms_of(peer, command.room))
                text = command.message + command.reason + command.key + command.choice
                return _text_s(text) + NOTE_S + len(text) / _KIB * INDEX_KIB_S + receivers * DELIVERY_S
            case commands.Direct():
                return DIRECT_S + _name_s(command.name)
            case _:
                assert_never(command)

    def _hello_s(self, peer: Peer, hello: commands.Hello) -> float:
        requests = hello.rooms or (commands.RoomRequest(DEFAULT_ROOM),)
        rooms_max = self._limits.current.max_rooms_per_peer
        if peer.welcomed or are_too_many((request.room for request in requests), rooms_max):
            return 0.0  # rejected
        return _name_s(hello.name) + sum(self._enter_s(peer, request) for request in requests)

    def _say_s(self, peer: Peer, say: commands.Say) -> float:
        name_s = _name_s(say.sender) if say.sender and not peer.v1 and not peer.name else 0.0
        receivers = sum(len(room.subscriptions) for room in self._rooms_of(peer, say.room))
        index_s = len(say.message) / _KIB * INDEX_KIB_S
        ask_s = self._ask_s(peer, say)
        return POST_S + index_s + name_s + ask_s + receivers * DELIVERY_S

    def _ask_s(self, peer: Peer, say: commands.Say) -> float:
        """The price of a question: its choices, and the names of those asked, or of all in the room."""
        if say.ask is None:
            return 0.0
        named_s = sum(ASKED_S + _name_s(name) for name in say.ask.to)
        online = sum(room.presence.online for room in self._rooms_of(peer, say.room))
        return NOTE_S + sum(map(_text_s, say.ask.choices)) + named_s + online * MEMBER_S

    def _enter_s(self, peer: Peer, request: commands.RoomRequest) -> float:
        """The price of entering a room, with its replay."""
        price_s = JOIN_S + _name_s(request.room)
        try:
            name = check_any_room(request.room)
        except RequestError:
            return price_s
        room = self._rooms.find(name)
        if room is not None:
            price_s += self._details_s((room,))
        limits = self._limits.current
        last_seq, first_seq = self._index.last_seq(name), self._index.first_seq(name)
        stored = min(last_seq - first_seq + 1, limits.ring_posts)
        wanted = min(stored, self._missed(request, last_seq) if request.since else max(0, request.last))
        if wanted <= 0:
            return price_s
        in_ring = len(room.ring) if room is not None else 0
        if wanted > in_ring and (room is None or not room.backfilling):
            missing = wanted - in_ring
            missing_bytes = min(missing * UNKNOWN_POST_BYTES, limits.ring_bytes)
            price_s += missing * BACKFILL_POST_S + missing_bytes / _KIB * BACKFILL_KIB_S
        ring_bytes = room.ring.size_bytes if room is not None and in_ring >= wanted else limits.ring_bytes
        return price_s + min(wanted * UNKNOWN_POST_BYTES, ring_bytes) / _KIB * REPLAY_KIB_S

    def _missed(self, request: commands.RoomRequest, last_seq: int) -> int:
        """The number of posts after the position of a client that returns."""
        position = Position.parse(request.since)
        seq = current_seq(position, request.room, self._index) if position is not None else None
        return last_seq if seq is None else max(0, last_seq - seq)

    def unused_s(self, read: HistoryRead | SearchRead, entries: Sequence[Entry]) -> float:
        """The part of the price of a page that its entries did not need."""
        return self._page_s(read.limit) - page_price_s(len(entries), sum(map(text_bytes, entries)))

    def _page_s(self, limit: int) -> float:
        count = max(1, min(limit, self._limits.current.history_page_max))
        return page_price_s(count, min(count * UNKNOWN_POST_BYTES, 262_144))

    def _list_s(self, count: int) -> float:
        return READ_S + max(0, min(count, self._limits.current.presence_list_max)) * LISTED_S

    def _rooms_of(self, peer: Peer, name: str | None = None) -> Iterable[Room]:
        """The rooms of a connection, or the one with a name, if it is in it."""
        if name is None:
            return [subscription.room for subscription in peer.subscriptions.values()]
        subscription = peer.subscriptions.get(name)
        # Another spelling is rare and costs at most one event for each room of the connection.
        return self._rooms_of(peer) if subscription is None else (subscription.room,)

    def _events_s(self, rooms: Iterable[Room]) -> float:
        """The price of an event to everyone in rooms."""
        return sum(len(room.subscriptions) for room in rooms) * EVENT_S

    def _details_s(self, rooms: Iterable[Room]) -> float:
        """The price of an event that is sent in small rooms only."""
        count_max = self._limits.current.presence_detail_max
        return sum(min(len(room.subscriptions), 2 * count_max) for room in rooms) * EVENT_S


def _text_s(text: str) -> float:
    """The price of sanitizing a text."""
    return len(text) * (ASCII_CHAR_S if text.isascii() else CHAR_S)


def _name_s(name: str) -> float:
    """The price of checking and comparing a name, of which at most 256 characters are normalized."""
    return len(name) * ASCII_CHAR_S if name.isascii() else min(len(name), 256) * NAME_CHAR_S
