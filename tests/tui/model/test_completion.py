from __future__ import annotations

from broadcast_tui.tui.model.completion import Completer, People, candidates
from broadcast_tui.tui.model.slash import COMMANDS

HERE = People(speakers=("bob", "alan", "gone"), here=("alan", "alice", "Albert", "ana", "bob"), own="ana")


def texts(text: str, people: People = HERE) -> tuple[str, ...]:
    found = candidates(text, len(text), people)
    return found.texts if found else ()


def test_recent_speakers_come_first_then_the_others_by_name_and_oneself_last() -> None:
    assert texts("a") == ("alan: ", "Albert: ", "alice: ", "ana: ")


def test_who_has_left_is_not_offered() -> None:
    assert texts("go") == ()


def test_in_a_large_room_speakers_are_all_that_is_known() -> None:
    assert texts("go", People(speakers=("gone",), here=None, own="ana")) == ("gone: ",)


def test_the_colon_is_for_the_start_of_a_message() -> None:
    assert texts("hello al") == ("alan ", "Albert ", "alice ")
    assert texts("one\nbo") == ("bob ",)


def test_an_at_sign_stays() -> None:
    assert texts("@bo") == ("@bob ",)


def test_leading_decorations_need_not_be_typed() -> None:
    assert texts("mo", People(here=("_mona_",))) == ("_mona_: ",)


def test_an_empty_input_offers_the_last_speaker() -> None:
    assert texts("")[0] == "bob: "
    assert texts("hello ") == ()


def test_commands_complete_at_the_start_only() -> None:
    assert texts("/he") == ("/help ",)
    assert texts("/") == tuple(f"/{command.name} " for command in COMMANDS)
    assert texts("/exi") == ("/exit ",)
    assert texts("so /he") == ()
    assert texts("//he") == ()


def test_help_completes_commands() -> None:
    assert texts("/help ni") == ("nick ",)


def test_tab_goes_round_and_back() -> None:
    completer = Completer()
    state = completer.step("al", 2, HERE)
    assert state == ("alan: ", 6)
    state = completer.step(*state, HERE)
    assert state == ("Albert: ", 8)
    state = completer.step(*state, HERE)
    assert state == ("alice: ", 7)
    state = completer.step(*state, HERE)
    assert state == ("alan: ", 6)
    assert completer.step(*state, HERE, back=True) == ("alice: ", 7)


def test_shift_tab_begins_at_the_end() -> None:
    assert Completer().step("al", 2, HERE, back=True) == ("alice: ", 7)


def test_what_follows_the_cursor_stays_with_one_blank_between() -> None:
    completer = Completer()
    state = completer.step("hey al how", 6, HERE)
    assert state == ("hey alan how", 9)
    assert completer.step(*state, HERE) == ("hey Albert how", 11)


def test_typing_on_accepts_the_completion() -> None:
    completer = Completer()
    assert completer.step("bo", 2, HERE) == ("bob: ", 5)
    assert completer.step("bob: al", 7, HERE) == ("bob: alan ", 10)
    assert completer.step("zz", 2, HERE) is None
