"""The page's session: gaps, new epochs, reconnecting; compared with that of the terminal client."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime

import pytest

from broadcast_tui.core.post import Position, Post
from broadcast_tui.core.session.room_cursor import RoomCursor
from broadcast_tui.core.session.updates import EpochChanged, GapFound, Withdrawn
from tests.e2e.conftest import IN_BROWSER, HistoryServer, unlimited_server
from tests.support.browser import PHONE, Browser
from tests.support.browser_person import (
    HOOKED,
    equals,
    imported,
    person,
    post,
    say,
    sees,
    sees_only,
    v1_client,
)

pytestmark = IN_BROWSER
RECONNECT = "window.dispatchEvent(new Event('online'))"
MISSED = 1300
"""More posts than a server replays: the page has to fetch the rest."""


server = pytest.fixture(unlimited_server)


async def test_what_a_replay_does_not_hold_is_fetched(browser: Browser, server: HistoryServer) -> None:
    socket = v1_client(server.url, "tim")
    post(socket, "before")
    async with person(browser, server.port, "ana", before=HOOKED) as ana:
        await sees(ana, "before")
        await ana.run("disconnect()")
        for number in range(MISSED):
            post(socket, f"missed {number}")
        await ana.run("reconnect()")
        post(socket, "after")
        await ana.until("[...document.querySelectorAll('.text')].at(-1).textContent", equals("after"))
        shown = await ana.run("Array.from(document.querySelectorAll('.text'), e => e.textContent)")
        assert shown == ["before", *(f"missed {number}" for number in range(MISSED)), "after"]
        assert await ana.run("document.querySelectorAll('.line.gap').length") == 0
        assert ana.problems == []
    socket.close()


async def test_a_hole_is_shown(browser: Browser, server: HistoryServer) -> None:
    socket = v1_client(server.url, "tim")
    epoch, seq = post(socket, "before").split("-")
    async with person(browser, server.port, "ana", before=HOOKED) as ana:
        await sees(ana, "before")
        frame = {
            "type": "message",
            "room": "lobby",
            "sender": "tim",
            "timestamp": "2025-08-30T10:30:40+00:00",
        }
        # The server's history does not have the three before it either.
        await ana.run(f"inject({json.dumps({**frame, 'id': f'{epoch}-{int(seq) + 4}', 'message': 'far'})})")
        gap = "3 messages are missing here: the server does not have them any more."
        await sees_only(ana, ".text, .gap", "before", gap, "far")
        trimmed = {"type": "gap", "room": "lobby", "reason": "trimmed"}
        trimmed |= {"from": f"{epoch}-{int(seq) + 5}", "to": f"{epoch}-{int(seq) + 5}"}
        await ana.run(f"inject({json.dumps(trimmed)})")
        one = "1 message is missing here: the server does not have it any more."
        await sees_only(ana, ".text, .gap", "before", gap, "far", one)
        assert ana.problems == []
    socket.close()


async def test_positions_start_again_in_a_new_epoch(browser: Browser, server: HistoryServer) -> None:
    async with person(browser, server.port, "ana", size=PHONE, before=HOOKED) as ana:
        for number in range(3):
            await say(ana, f"old {number}")
        await sees(ana, "old 0", "old 1", "old 2")
        server.kill()
        for file in server.file.parent.glob(f"{server.file.name}*"):
            file.unlink()
        await say(ana, "waits")
        server.start()
        await ana.run(RECONNECT)
        gap = "Messages are missing here: the server does not have them any more."
        await sees_only(ana, ".post:not(.pending) .text, .gap", "old 0", "old 1", "old 2", gap, "waits")
        socket = v1_client(server.url, "tim")
        post(socket, "new")
        await sees(ana, "old 0", "old 1", "old 2", "waits", "new")
        # Nothing can be done with posts of a log that is gone.
        assert await ana.run("document.querySelectorAll('.post .more').length") == 2
        await ana.run("[...document.querySelectorAll('.more')].at(-1).click()")
        await ana.click("dialog .chips button")
        await ana.until("document.querySelector('.post:last-child .chips')?.textContent", equals("👍 1"))
        assert await ana.run("document.querySelectorAll('.post .chips').length") == 1
        assert await ana.run("document.querySelectorAll('.unread').length") == 0
        socket.close()


async def test_lost_posts_are_withdrawn_after_a_fork(browser: Browser, server: HistoryServer) -> None:
    async with person(browser, server.port, "ana", before=HOOKED) as ana:
        socket = v1_client(server.url, "tim")
        epoch, seq = post(socket, "kept").split("-")
        post(socket, "lost")
        await sees(ana, "kept", "lost")
        # The room goes on in the epoch `new`, without the second post.
        forked = {"type": "gap", "room": "lobby", "reason": "epoch", "forked": True}
        forked |= {"from": f"{epoch}-{int(seq) + 1}", "to": f"new-{seq}"}
        await ana.run(f"inject({json.dumps(forked)})")
        lost = "The server has lost messages. Those that are missing here were withdrawn."
        await sees_only(ana, ".post .text, .gap", "kept", lost)
        frame = {
            "type": "message",
            "room": "lobby",
            "sender": "tim",
            "timestamp": "2025-08-30T10:30:40+00:00",
        }
        await ana.run(f"inject({json.dumps({**frame, 'id': f'new-{int(seq) + 1}', 'message': 'next'})})")
        await sees_only(ana, ".post .text, .gap", "kept", lost, "next")
        # Nothing is lost in the epoch `newer`: positions continue, under other ids.
        followed = {
            "type": "epoch",
            "room": "lobby",
            "from": f"new-{int(seq) + 1}",
            "to": f"newer-{int(seq) + 1}",
        }
        await ana.run(f"inject({json.dumps(followed)})")
        note: dict[str, object] = {
            "type": "note",
            "note": "edit",
            "by": "tim",
            "room": "lobby",
            "re": f"newer-{seq}",
        }
        note |= {"id": f"newer-{int(seq) + 2}", "timestamp": frame["timestamp"]}
        note |= {"now": {"message": "kept and edited", "edited": frame["timestamp"]}}
        await ana.run(f"inject({json.dumps(note)})")
        await sees_only(ana, ".post .text, .gap", "kept and edited", lost, "next")
        assert ana.problems == []
        socket.close()


DELAYS = """async ({ Connection }) => {
  const delays = [];
  const session = {
    refusal: null, drainSpread: 0, retryAfter: 0, rooms: new Map(), connected() {}, disconnected() {},
  };
  const timers = [];
  const { setTimeout, WebSocket } = window;
  window.WebSocket = class {
    constructor() { timers.push(() => this.onclose({ code: 1006, reason: "" })); }
    close() {}
  };
  window.setTimeout = (run, delay) => { delays.push(delay); timers.push(run); };
  try {
    new Connection(session, () => {}).open();
    while (delays.length < 8) timers.shift()();
  } finally {
    Object.assign(window, { setTimeout, WebSocket });
  }
  return delays;
}"""


async def test_a_draining_server_is_asked_more_and_more_rarely(
    browser: Browser, server: HistoryServer
) -> None:
    async with person(browser, server.port, "ana") as ana:
        delays = await ana.run(f"{imported('connection.js')}.then({DELAYS})")
        assert delays[0] == 0  # as the server asked
        for number, delay in enumerate(delays[1:], 1):
            ceiling_ms = min(30_000, 500 * 2**number)
            assert ceiling_ms / 2 <= delay <= ceiling_ms


REPLAY = """({ Cursor }) => OPERATIONS.map((run) => {
  const cursor = new Cursor();
  return run.map(([name, ...arguments]) => {
    if (name === "entered") cursor.enteredAt(...arguments);
    else if (name === "disconnected") cursor.disconnected();
    const released = ["entered", "disconnected"].includes(name) ? [] : cursor[name](...arguments) ?? [];
    const text = (item) => item.gap ? `gap ${item.count} ${item.reason}` : item.withdrawn
      ? `withdrawn ${item.withdrawn}` : `${item.position.epoch}-${item.position.seq}`;
    const at = cursor.position ? `${cursor.position.epoch}-${cursor.position.seq}` : "";
    return [released.map(text), at, cursor.filling];
  });
})"""


def position(epoch: str, seq: int) -> dict[str, object]:
    return {"epoch": epoch, "seq": seq}


def entry(epoch: str, seq: int) -> Post:
    return Post("lobby", Position(epoch, seq), "tim", "x", datetime(2025, 1, 1, tzinfo=UTC))


def released_as_text(items: list[Post | GapFound | Withdrawn | EpochChanged]) -> list[str]:
    texts = []
    for item in items:
        match item:
            case GapFound():
                texts.append(f"gap {'null' if item.count is None else item.count} {item.reason}")
            case Withdrawn():
                texts.append(f"withdrawn {item.position.seq}")
            case EpochChanged():
                pass  # the page follows it before
            case _:
                texts.append(f"{item.position.epoch}-{item.position.seq}")
    return texts


def random_run(random_: random.Random) -> tuple[list[list[object]], list[list[object]]]:
    """What happens to a cursor, for the page, and what the terminal client's cursor does."""
    cursor = RoomCursor("lobby", 50)
    operations: list[list[object]] = []
    results: list[list[object]] = []
    for _ in range(random_.randrange(1, 30)):
        at = cursor.position or Position("a", 10)
        epoch = at.epoch if random_.random() < 0.9 else random_.choice("ab")
        seq = max(0, at.seq + random_.randrange(-3, 6))
        released: list[Post | GapFound | Withdrawn | EpochChanged] = []
        match random_.choice(
            ("entered", "received", "received", "received", "gap", "fork", "filled", "disconnected")
        ):
            case "entered":
                missed = random_.randrange(5)
                operations.append(["entered", position(epoch, seq), missed])
                cursor.entered_at(Position(epoch, seq), missed)
            case "received":
                operations.append(["received", {"position": position(epoch, seq)}])
                released += cursor.received(entry(epoch, seq))  # type: ignore[arg-type]
            case "gap":
                reason = random_.choice(("lagged", "trimmed", "epoch"))
                operations.append(["gap", position(epoch, seq), reason])
                released += cursor.gap(Position(epoch, seq), reason)
            case "fork":
                new, end = random_.choice("cd"), max(0, seq + random_.randrange(-2, 3))
                change = EpochChanged("lobby", epoch, new, seq)
                operations.append(["fork", {"former": epoch, "epoch": new, "seq": seq}, end])
                released += cursor.fork(change, end)
            case "filled" if cursor.position is not None:
                seqs = sorted(max(0, at.seq + random_.randrange(-1, 5)) for _ in range(random_.randrange(4)))
                operations.append(["filled", [{"position": position(epoch, each)} for each in seqs]])
                released += cursor.filled([entry(epoch, each) for each in seqs])  # type: ignore[arg-type]
            case _:
                operations.append(["disconnected"])
                cursor.disconnected()
        shown = "" if cursor.position is None else f"{cursor.position.epoch}-{cursor.position.seq}"
        results.append([released_as_text(released), shown, cursor.filling])
    return operations, results


async def test_the_cursor_is_that_of_the_terminal(browser: Browser, server: HistoryServer, seed: int) -> None:
    random_ = random.Random(seed)
    runs = [random_run(random_) for _ in range(400)]
    async with person(browser, server.port, "ana") as ana:
        script = REPLAY.replace("OPERATIONS", json.dumps([operations for operations, _ in runs]))
        found = await ana.run(f"{imported('cursor.js')}.then({script})")
    for (operations, expected), result in zip(runs, found, strict=True):
        assert result == expected, (seed, operations)
    texts = str([results for _, results in runs])
    assert all(word in texts for word in ("gap null epoch", "trimmed", "withdrawn", "True"))
