"""A chat whose server others join by the QR code that it shows at the start."""

from __future__ import annotations

from broadcast_tui.qr_code import qr_rows
from tests.e2e.conftest import Open
from tests.support.ports import unused_port


def test_chat_starts_with_an_invite(open_terminal: Open) -> None:
    port = unused_port()
    link = f"http://127.0.0.1:{port}/rooms/lobby"
    rows = [row.strip() for row in qr_rows(link) if row.strip()]
    ana = open_terminal(
        *("chat", "--serve", "--qr", "--host", "127.0.0.1", "--port", str(port), "--name", "ana"),
        columns=120,
        rows=40,
    )
    ana.wait_for("Invite", link, *rows)
    ana.type("\x1b")
    ana.wait_gone(rows[0])
    bob = open_terminal("chat", link, "--name", "bob", home="bob", columns=40, rows=10)
    bob.wait_for("2 here")
    bob.enter("/invite")
    bob.wait_for("The QR code needs 67 columns")
    bob.type("q")
    bob.wait_gone("The QR code needs")
    bob.enter("hello by the link")
    ana.wait_for("hello by the link")
    bob.enter("/quit")
    assert bob.wait_exit() == 0
    ana.wait_for("1 here")
    ana.type("\x11")
    assert ana.wait_exit() == 0
