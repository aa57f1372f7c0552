"""What a v1 client shows of the log of a room, by the rules of docs/protocol.md, and what breaks them.

A log can get another epoch when the storage of a cluster is replaced. Its posts are then where they were,
under other ids, or they are gone and announced as such; `LogView` follows both.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from broadcast_tui.core.post import Position
from tests.support.history_check import label_of

Frame = dict[str, Any]


@dataclass
class Shown:
    """An entry that a client shows: its number in the current epoch, its label, and the text of a post."""

    seq: int
    label: str
    text: str | None = ""
    """None if a change of it was withdrawn or missed, so that only the server knows it."""
    changed: int = 0
    """The number of the last note that changed it."""


@dataclass
class LogView:
    """The entries that one client shows of one room, and the faults in what it received."""

    who: str
    room: str
    position: Position | None = None
    shown: list[Shown] = field(default_factory=list)
    skipped: list[range] = field(default_factory=list)
    """Numbers that a gap has announced as missing."""
    counts: Counter[str] = field(default_factory=Counter)
    """Epochs, gaps by reason, and withdrawn entries."""
    faults: list[str] = field(default_factory=list)

    def enter(self, state: Frame) -> None:
        """Handle the room's state in `welcome`."""
        head = position_of(state["head"])
        if self.position is None:
            self.position = Position(head.epoch, head.seq - state["missed"])
        elif state["recovered"] and self.position.epoch != head.epoch:
            # The server knows this position under another id; an `epoch` frame may follow and say so.
            self.position = Position(head.epoch, self.position.seq)
            self.counts["epochs at a resume"] += 1

    def receive(self, frame: Frame) -> None:
        """Handle a frame about the room: a message, note, gap, or epoch."""
        match frame["type"]:
            case "message" | "note":
                self._append(frame)
            case "gap":
                self._skip(frame)
            case "epoch":
                self._rename(position_of(frame["from"]), position_of(frame["to"]))

    def _append(self, frame: Frame) -> None:
        at, position = position_of(frame["id"]), self.position
        if position is not None and at.epoch != position.epoch:
            self._fault(f"received {at} at {position}, and no new epoch was announced")
        elif position is not None and at.seq != position.seq + 1:
            self._fault(f"received {at} at {position}, and no gap was announced")
        self.position = at
        label = entry_label(frame)
        text = frame["message"] if frame["type"] == "message" else ""
        self.shown.append(Shown(at.seq, label, text, frame.get("as", 0)))
        change = frame.get("now") or {}
        if frame["type"] == "note" and "message" in change:
            target = position_of(frame["re"]).seq
            for shown in self.shown:
                if shown.seq == target:
                    shown.text, shown.changed = change["message"], at.seq

    def _rename(self, former: Position, new: Position) -> None:
        self.counts["epochs"] += 1
        if self.position not in (former, new) or former.seq != new.seq:
            self._fault(f"the epoch changed from {former} to {new} at {self.position}")
        self.position = new

    def _skip(self, frame: Frame) -> None:
        reason, start, end = frame["reason"], position_of(frame["from"]), position_of(frame["to"])
        self.counts[f"gaps {reason}"] += 1
        if reason == "epoch":
            kept = [shown for shown in self.shown if shown.seq < start.seq]
            self.counts["withdrawn"] += len(self.shown) - len(kept)
            self.shown = kept
            for shown in kept:
                if shown.changed >= start.seq:
                    shown.text, shown.changed = None, 0
            self.skipped = [range(gap.start, min(gap.stop, start.seq)) for gap in self.skipped]
            first = start.seq
        else:
            first = start.seq if self.position is None else self.position.seq + 1
            for shown in self.shown:
                shown.text = None
        self.skipped.append(range(first, end.seq + 1))
        self.position = end

    def _fault(self, text: str) -> None:
        self.faults.append(f"{self.who} in {self.room}: {text}")

    def faults_against(self, log: list[Shown], epoch: str) -> list[str]:
        """All faults, including those in what is shown at the end, compared with the log as it is then."""
        found = list(self.faults)
        who = f"{self.who} in {self.room}"
        head = log[-1].seq if log else 0
        if self.position is None or (self.position.epoch, self.position.seq) != (epoch, head):
            found.append(f"{who} is at {self.position}, and the log at {epoch}-{head}")
        numbers = Counter(shown.seq for shown in self.shown)
        found += [f"{who} shows number {seq} {count} times" for seq, count in numbers.items() if count > 1]
        if [shown.seq for shown in self.shown] != sorted(numbers):
            found.append(f"{who} shows entries in another order than their numbers")
        stored = {entry.seq: entry for entry in log}
        for shown in self.shown:
            entry = stored.get(shown.seq)
            if entry is None or entry.label != shown.label or shown.text not in (entry.text, None):
                found.append(f"{who} shows {shown}, and the log has {entry}")
        first = self.shown[0].seq if self.shown else head + 1
        missing = [
            entry.seq
            for entry in log
            if entry.seq > first
            and entry.seq not in numbers
            and not any(entry.seq in gap for gap in self.skipped)
        ]
        if missing:
            found.append(f"{who} lacks {len(missing)} entries without a gap, the first is {missing[0]}")
        return found


def position_of(text: str) -> Position:
    """The position with this id."""
    position = Position.parse(text)
    assert position is not None, text
    return position


def entry_label(frame: Frame) -> str:
    """The label of a message or note: it stays the same in all epochs and after edits."""
    if frame["type"] == "note":
        return f"{frame['note']} {position_of(frame['re']).seq}"
    return label_of(frame["message"])


def shown_of(items: list[Frame]) -> list[Shown]:
    """The log in pages of history."""
    return [
        Shown(
            position_of(item["id"]).seq,
            entry_label(item),
            item["message"] if item["type"] == "message" else "",
        )
        for item in items
    ]


def faults_of_log(room: str, log: list[Shown], posted: set[str]) -> list[str]:
    """Faults in the log itself: missing numbers, doubled posts, and posts that nobody has sent."""
    found = []
    seqs = [entry.seq for entry in log]
    if seqs and seqs != list(range(seqs[0], seqs[0] + len(seqs))):
        found.append(f"{room} has holes or another order")
    labels = Counter(entry.label for entry in log if entry.text)
    found += [f"{label!r} is {count} times in {room}" for label, count in labels.items() if count > 1]
    found += [f"{label!r} is in {room}, and nobody has sent it" for label in labels if label not in posted]
    return found
