from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.model.input.history import Entry, InputHistory, is_private


def filled(*entries: str) -> InputHistory:
    history = InputHistory()
    for entry in entries:
        history.add(entry)
    return history


def test_up_goes_back_and_down_restores_the_draft() -> None:
    history = filled("one", "two")
    assert history.older("dra") == "two"
    assert history.older("two") == "one"
    assert history.older("one") is None
    assert history.newer("one") == "two"
    assert history.newer("two") == "dra"
    assert history.newer("dra") is None


def test_adjacent_entries_differ_and_blank_texts_are_not_stored() -> None:
    assert len(filled("one", "one", " ", "", "two", "one")) == 3


def test_edits_of_a_recalled_entry_last_until_something_is_sent() -> None:
    history = filled("one", "two")
    assert history.older("") == "two"
    assert history.older("two!") == "one"
    assert history.newer("one") == "two!"
    history.add("sent")
    assert history.older("") == "sent"
    assert history.older("sent") == "two"


def test_only_the_newest_entries_are_stored() -> None:
    history = InputHistory(limit=2)
    for entry in "abc":
        history.add(entry)
    assert history.older("") == "c"
    assert history.older("c") == "b"
    assert history.older("b") is None


def test_each_room_has_its_own_history_and_draft() -> None:
    history = filled("one")
    history.enter("ops")
    history.add("two")
    history.enter("")
    assert history.older("here") == "one"
    history.enter("ops")
    assert history.older("there") == "two"
    assert history.older("two") is None
    history.enter("")
    assert history.newer("one") == "here"
    history.enter("ops")
    assert history.newer("two") == "there"


def test_a_walk_through_all_rooms_never_shows_the_same_twice_in_a_row() -> None:
    history = InputHistory([Entry("a", "x"), Entry("a", "y"), Entry("b", "y"), Entry("a", "z")], room="a")
    walk = []
    shown: str | None = "draft"
    while (shown := history.older(shown or "", everywhere=True)) is not None:
        walk.append(shown)
    assert walk == ["z", "y", "x"]
    assert history.newer("x") == "y"


def test_an_unsent_text_is_found_and_does_not_move_the_position() -> None:
    history = filled("one")
    assert history.older("draft") == "one"
    history.add_unsent("refused")
    assert history.newer("one!") == "refused"
    assert history.newer("refused") == "draft"
    history.add_unsent("elsewhere", "ops")
    history.enter("ops")
    assert history.older("") == "elsewhere"


def test_sent_texts_are_saved_and_unsent_ones_are_not() -> None:
    saved: list[Entry] = []
    history = InputHistory(save=saved.append, room="lobby")
    history.add("sent")
    history.add("sent")
    history.add_unsent("cleared")
    history.add(" private")
    history.add("/nick ana")
    assert saved == [Entry("lobby", "sent"), Entry("lobby", "/nick ana")]
    assert history.older("") == "/nick ana"
    assert history.older("") == "cleared"


PRIVATE = [
    " anything", "\tanything", "/connect ws://h --token abc", "/connect wss://h/?token=abc", "/connect ws://u:p@h",
    "/CONNECT ws://h abc", "/connect ws://h#abc", "/login ana pw", "/password x", "/foo token=abc",
    "/topic key: abc",
]  # fmt: skip
PUBLIC = [
    "anything",
    "/connect ws://h:8765/lobby",
    "/connect h",
    "/nick ana",
    "//login x",
    "my token=abc",
    "/",
    "/me x",
]


def test_secrets_are_never_stored() -> None:
    assert [text for text in PRIVATE if not is_private(text)] == []
    assert [text for text in PUBLIC if is_private(text)] == []
    assert len(filled(*PRIVATE)) == 0


ROOMS = st.sampled_from(["a", "b"])


@given(
    st.lists(st.tuples(ROOMS, st.text(max_size=2)), max_size=8),
    st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30),
    st.lists(st.tuples(ROOMS, st.text(max_size=2)), max_size=2),
    st.text(max_size=5),
)
def test_the_draft_is_never_lost(
    entries: list[tuple[str, str]],
    walk: list[tuple[bool, bool]],
    aside: list[tuple[str, str]],
    draft: str,
) -> None:
    history = InputHistory(limit=5)
    for room, text in entries:
        history.enter(room)
        history.add(text)
    history.enter("a")
    shown = draft
    for up, everywhere in walk:
        move = history.older if up else history.newer
        moved = move(shown, everywhere=everywhere)
        shown = shown if moved is None else moved
    for room, text in aside:
        history.add_unsent(text, room)
    while (moved := history.newer(shown)) is not None:
        shown = moved
    assert shown == draft


def test_rooms_of_the_same_name_on_two_servers_have_their_own_entries() -> None:
    saved: list[Entry] = []
    old = Entry("lobby", "of an older version")
    home = InputHistory([old], save=saved.append, room="lobby", server="ws://home")
    home.add("alone")
    assert saved.pop() == Entry("lobby", "alone")
    work = home.on_server("ws://work", "lobby")
    home.add("home")
    work.add("work")
    assert saved == [Entry("lobby", "home", "ws://home"), Entry("lobby", "work", "ws://work")]
    assert [work.older(""), work.older(""), work.older("")] == ["work", "of an older version", None]
    assert [home.older(""), home.older(""), home.older("")] == ["home", "alone", "of an older version"]
    work.end_browsing()
    assert [work.older("", everywhere=True) for _ in range(3)] == ["work", "home", "alone"]


def test_the_limit_is_on_the_entries_of_all_servers() -> None:
    home = InputHistory(room="lobby", limit=3, server="ws://home")
    work = home.on_server("ws://work", "lobby")
    for number in range(4):
        home.add(f"home {number}")
    assert work.older("", everywhere=True) == "home 3"
    work.add("work")
    assert [entry.text for entry in home.entries] == ["home 2", "home 3", "work"]
    assert [home.older("") for _ in range(3)] == ["home 3", "home 2", None]
