from __future__ import annotations

import pytest

from broadcast_tui.core.names import VOLATILE_SIGN
from broadcast_tui.tui.model.input.lasting_drafts import lasting_drafts, may_store


@pytest.mark.parametrize(
    "text", ["Hello", "two\nlines", "/me waves", "/msg bob Lunch?", "/topic Release", "//etc", "s/a/b/"]
)
def test_what_the_user_was_writing_is_stored(text: str) -> None:
    assert may_store(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "/token bt_0123456789abcdef",
        "/tokne 0123456789",
        "/nosuch hunter2",
        "/password hunter2",
        "/connect wss://host/#token=bt_0123456789abcdef",
        "/connect wss://ana:hunter2@host",
        "my password: hunter2",
        "passwd=hunter2",
        "the token is bt_0123456789abcdef",
        " not for the history",
    ],
)
def test_secrets_are_not_stored(text: str) -> None:
    assert not may_store(text)


def test_drafts_of_rooms_that_end_with_the_server_are_not_stored() -> None:
    assert lasting_drafts({"lobby": "Hi", f"x{VOLATILE_SIGN}y": "Hi", "dev": "/token x"}) == {"lobby": "Hi"}
