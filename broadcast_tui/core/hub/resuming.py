"""Where a connection continues in a room, and what it is told about a new epoch of the room's log.

A client names its position by an id. The id may be from a former epoch: then the posts up to the fork are the
same under new ids, and those above it are lost. A client that does not understand epochs gets a gap instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from broadcast_tui.core.hub.log_index import LogIndex
from broadcast_tui.core.post import Fork, Position
from broadcast_tui.core.protocol import commands, events

LEAD_MAX = 10_000
"""Maximum number of entries by which a client can be ahead of this node.

Another node may have sent entries that this one receives a moment later. A position further ahead is not from
this log.
"""


@dataclass(frozen=True, slots=True)
class Resume:
    """The position at which a connection starts in a room, and the events that explain it."""

    cursor: int
    recovered: bool = True
    """Whether nothing is missing between the client's position and the cursor."""
    events: tuple[events.Epoch | events.Gap, ...] = ()


def resume(
    request: commands.RoomRequest,
    room: str,
    head: int,
    index: LogIndex,
    *,
    replay_max: int,
    is_shared: bool,
    follows_epochs: bool,
) -> Resume:
    """Choose the cursor of a connection that enters a room (protocol rule 3).

    Args:
        head: Newest seq of the room on this node.
        replay_max: Maximum number of newest posts to replay to a client without a valid position.
        is_shared: Whether other nodes may have newer entries, and positions of epochs that are unknown here.
        follows_epochs: Whether the client understands new epochs.
    """
    floor = index.first_seq(room) - 1
    oldest = max(floor, head - replay_max)
    if not request.since:
        return Resume(max(oldest, head - max(0, request.last)))
    epoch, position = index.epoch_of(room), Position.parse(request.since)
    lead_max = LEAD_MAX if is_shared else 0
    if position is not None and position.epoch == epoch and position.seq <= head + lead_max:
        if position.seq >= floor:
            return Resume(position.seq)
        return Resume(floor, False, (_trimmed(room, epoch, position.seq, floor),))
    fork = index.fork_of(room, position.epoch) if position is not None else None
    if position is None or (fork is None and not is_shared):
        return Resume(oldest, False, (events.Gap(room, request.since, f"{epoch}-{oldest}", "epoch"),))
    # Of an epoch that is unknown, or a position that was never reached, nothing is known to be common.
    seq = head if position.epoch == epoch else fork or 0
    return _follow(Fork(room, position.epoch, epoch, seq), position.seq, floor, oldest, follows_epochs)


def _follow(fork: Fork, seq: int, floor: int, oldest: int, follows_epochs: bool) -> Resume:
    """The start of a client at `seq` of a former epoch."""
    if seq > fork.seq or not follows_epochs:
        cursor = max(min(seq, fork.seq), floor) if fork.seq else oldest
        return Resume(cursor, False, (new_epoch(fork, seq, follows_epochs=follows_epochs, end=cursor),))
    renamed = new_epoch(fork, seq, follows_epochs=True)
    if seq >= floor:
        return Resume(seq, True, (renamed,))
    return Resume(floor, False, (renamed, _trimmed(fork.room, fork.epoch, seq, floor)))


def new_epoch(
    fork: Fork, seq: int, *, follows_epochs: bool, end: int | None = None
) -> events.Epoch | events.Gap:
    """The event that tells a v1 client at `seq` of the former epoch about a fork.

    Args:
        end: Seq after which the client gets posts, if not the last one that both epochs have.
    """
    common = min(seq, fork.seq)
    if follows_epochs and seq <= fork.seq:
        return events.Epoch(fork.room, f"{fork.former}-{seq}", f"{fork.epoch}-{seq}")
    end = common if end is None else end
    return events.Gap(
        fork.room, f"{fork.former}-{common + 1}", f"{fork.epoch}-{end}", "epoch", forked=follows_epochs
    )


def _trimmed(room: str, epoch: str, seq: int, floor: int) -> events.Gap:
    return events.Gap(room, f"{epoch}-{seq + 1}", f"{epoch}-{floor}", "trimmed")
