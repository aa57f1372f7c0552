from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.commands.registry import COMMANDS
from broadcast_tui.tui.model.input.completion import Completer, CompletionContext, candidates, hint
from broadcast_tui.tui.model.input.suggestions import Suggestion

HERE = CompletionContext(
    speakers=("bob", "alan", "gone"), here=("alan", "alice", "Albert", "ana", "bob"), own="ana"
)


def texts(text: str, people: CompletionContext = HERE) -> tuple[str, ...]:
    found = candidates(text, len(text), people)
    return found.texts if found else ()


def test_recent_speakers_come_first_then_the_others_by_name_and_oneself_last() -> None:
    assert texts("a") == ("alan: ", "Albert: ", "alice: ", "ana: ")


def test_users_who_left_are_suggested_after_an_at_sign_only() -> None:
    assert texts("go") == ()
    assert texts("@go") == ("@gone ",)
    assert texts("@")[-1] == "@gone "
    offered = hint("hey @go", 7, lambda: HERE)
    assert offered is not None
    assert offered.rows == (Suggestion("@gone", "left"),)


def test_only_speakers_are_suggested_in_a_large_room() -> None:
    assert texts("go", CompletionContext(speakers=("gone",), here=None, own="ana")) == ("gone: ",)


def test_a_colon_follows_a_name_only_at_the_start() -> None:
    assert texts("hello al") == ("alan ", "Albert ", "alice ")
    assert texts("one\nbo") == ("bob ",)


def test_an_at_sign_is_preserved() -> None:
    assert texts("@bo") == ("@bob ",)


def test_leading_decorations_need_not_be_typed() -> None:
    assert texts("mo", CompletionContext(here=("_mona_",))) == ("_mona_: ",)


def test_an_empty_input_offers_the_last_speaker() -> None:
    assert texts("")[0] == "bob: "
    assert texts("hello ") == ()


def test_an_empty_input_never_offers_oneself() -> None:
    assert texts("", CompletionContext(here=("ana",), own="ana")) == ()
    assert texts("", HERE) == ("bob: ", "alan: ", "Albert: ", "alice: ")
    assert texts("@", CompletionContext(here=("ana",), own="ana")) == ("@ana ",)


def test_tab_continues_inside_a_directory_that_is_the_only_match() -> None:
    paths = {"d": ("docs/",), "docs/": ("docs/a.md", "docs/b.md"), "x": ("x1/", "x2/")}
    people = CompletionContext(files=lambda typed: paths[typed])
    completer = Completer()
    state = completer.step("/export d", 9, people)
    assert state == ("/export docs/", 13)
    state = completer.step(*state, people)
    assert state == ("/export docs/a.md ", 18)
    assert completer.step(*state, people) == ("/export docs/b.md ", 18)
    state = completer.step("/export x", 9, people)
    assert state == ("/export x1/", 11)
    assert completer.step(*state, people) == ("/export x2/", 11)


def test_commands_complete_at_the_start_only() -> None:
    assert texts("/he") == ("/help ",)
    assert texts("/") == tuple(f"/{command.name} " for command in COMMANDS)
    assert texts("/exi") == ("/exit ",)
    assert texts("so /he") == ()
    assert texts("//he") == ()


def test_help_completes_commands() -> None:
    assert texts("/help ni") == ("nick ",)


def test_tab_cycles_in_both_directions() -> None:
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


def test_text_after_the_cursor_stays_after_one_space() -> None:
    completer = Completer()
    state = completer.step("hey al how", 6, HERE)
    assert state == ("hey alan how", 9)
    assert completer.step(*state, HERE) == ("hey Albert how", 11)


def test_typing_on_accepts_the_completion() -> None:
    completer = Completer()
    assert completer.step("bo", 2, HERE) == ("bob: ", 5)
    assert completer.step("bob: al", 7, HERE) == ("bob: alan ", 10)
    assert completer.step("zz", 2, HERE) is None


ASKED = CompletionContext(
    ("bob", "alan"), ("alan", "alice", "Albert", "ana", "bob"), "ana", ("alice", "gone"), ("lobby", "ops")
)


def test_users_who_mentioned_the_user_precede_recent_senders() -> None:
    assert texts("a", ASKED) == ("alice: ", "alan: ", "Albert: ", "ana: ")
    assert texts("", ASKED)[:2] == ("alice: ", "bob: ")


def test_rooms_complete_after_their_mark() -> None:
    assert texts("see #", ASKED) == ("#lobby ", "#ops ")
    assert texts("#O", ASKED) == ("#ops ",)
    assert texts("see lob", ASKED) == ()
    assert texts("a#o", ASKED) == ()


def test_emoji_complete_from_two_letters_of_their_name() -> None:
    assert texts(":smil")[0] == "😄 "
    assert texts("so :tad")[0] == "🎉 "
    assert texts(":t") == ()
    assert texts("(:+1")[0] == "👍 "
    assert candidates("(:+1", 4, HERE).start == 1  # type: ignore[union-attr]


def test_a_complete_name_suggests_only_its_emoji() -> None:
    assert texts(":smile:") == ("😄 ",)
    assert texts(":smilex:") == ()


def test_reactions_are_suggested_with_their_names() -> None:
    found = hint("/react :thumbsup", 16, lambda: HERE)
    assert found is not None
    assert found.rows[0] == Suggestion(":thumbsup:", "👍")
    assert texts("/react tad")[0] == texts("/react :tad")[0] == "🎉 "
    assert texts("/react :tada:") == ("🎉 ",)
    assert texts("/react ", CompletionContext((), (), "ana", emoji=("👀",))) == ("👀 ",)


def test_emoticons_are_not_completed() -> None:
    for text in (":-D", ":D", ":)", ":-)", ":/", ":_x", ":P"):
        assert texts(text) == (), text
    assert texts(":-1")[0] == "👎 "


def test_times_and_addresses_name_no_emoji() -> None:
    for text in ("12:30:45", "12:30", "http://tada", "http://x:80", "ws://a:smile", "C:tada", "a::smile:"):
        assert texts(text) == (), text


def test_command_usage_is_shown_while_typing() -> None:
    shown = hint("/ni", 3, lambda: HERE)
    assert shown is not None
    assert shown.rows == (Suggestion("/nick <name>", "Change your name; the server confirms it"),)
    assert shown.chosen == -1
    assert hint("/nick ", 6, lambda: HERE) == shown
    assert hint("/nick an", 8, lambda: HERE) is None
    assert hint("/", 0, lambda: HERE) is None
    assert hint("/zz", 3, lambda: HERE) is None
    assert hint("//ni", 4, lambda: HERE) is None
    assert hint("a\n/ni", 5, lambda: HERE) is None


def test_an_alias_is_shown_as_it_is_typed() -> None:
    shown = hint("/exi", 4, lambda: HERE)
    assert shown is not None
    assert shown.rows[0].label == "/exit [reason]"


def test_marked_words_are_offered_while_typed_and_plain_ones_are_not() -> None:
    assert hint("hey @al", 7, lambda: ASKED) is not None
    assert hint("hey #lo", 7, lambda: ASKED) is not None
    assert hint("hey :smi", 8, lambda: ASKED) is not None
    assert hint("hey al", 6, lambda: ASKED) is None
    assert hint("hey @", 5, lambda: ASKED) is None
    assert hint("hey @al you", 7, lambda: ASKED) is None
    assert hint("hey @al", 6, lambda: ASKED) is None


def test_a_run_offers_its_candidates_and_ends_when_the_text_changes() -> None:
    completer = Completer()
    state = completer.step("al", 2, HERE)
    assert state is not None
    offers = completer.offers(*state)
    assert offers is not None
    assert [row.label for row in offers.rows] == ["alan", "Albert", "alice"]
    assert offers.chosen == 0
    assert completer.offers("alan: x", 7) is None


def test_any_candidate_may_be_picked() -> None:
    completer = Completer()
    assert completer.pick("al", 2, HERE, 2) == ("alice: ", 7)
    assert completer.pick("alice: ", 7, HERE, 0) == ("alan: ", 6)
    assert completer.pick("zz", 2, HERE, 0) is None


TYPED = st.text(st.sampled_from("abin/@#:+_ \n\té😄-0"), max_size=12) | st.text(max_size=12)


@given(TYPED, st.data(), st.lists(st.booleans(), max_size=5))
def test_only_the_word_before_the_cursor_is_replaced(
    text: str, data: st.DataObject, backs: list[bool]
) -> None:
    cursor = data.draw(st.integers(0, len(text)))
    completer = Completer()
    state, found = (text, cursor), candidates(text, cursor, ASKED)
    hint(text, cursor, lambda: ASKED)
    for back in backs:
        stepped = completer.step(*state, ASKED, back=back)
        if stepped is None:
            assert found is None or state != (text, cursor)
            return
        state = stepped
        if found is not None and completer.offers(*state) is not None:
            before, after = text[: found.start], text[cursor:].removeprefix(" ")
            assert state[0].startswith(before)
            assert state[0][state[1] :] == after
            assert state[0][len(before) : state[1]] in found.texts
