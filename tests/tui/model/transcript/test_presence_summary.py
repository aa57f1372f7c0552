from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.model.transcript.presence_summary import PEOPLE_MAX, PresenceSummary, joined_names

NAMES = "abcdef"


def test_names_are_joined_for_reading() -> None:
    assert joined_names(["a"]) == "a"
    assert joined_names(["a", "b"]) == "a and b"
    assert joined_names(["a", "b", "c"]) == "a, b and c"
    assert joined_names(["a", "b", "c", "d"]) == "a, b and 2 others"


def test_joins_leaves_and_renames_are_summarized() -> None:
    comings = PresenceSummary()
    comings.joined(["ana", "bob"])
    comings.left(["cy"])
    comings.renamed("dora", "dodo")
    comings.add_unnamed("A new client has joined the chat.")
    comings.add_unnamed("A new client has joined the chat.")
    assert comings.text() == (
        "ana and bob joined · cy left · dora is now dodo · A new client has joined the chat."
    )


def test_join_and_leave_cancel_out() -> None:
    comings = PresenceSummary()
    comings.joined(["ana"])
    comings.left(["ana", "cy"])
    comings.joined(["cy"])
    comings.renamed("bob", "rob")
    comings.renamed("rob", "bob")
    assert comings.text() == ""


def test_reason_is_shown_for_a_single_leave_only() -> None:
    comings = PresenceSummary()
    comings.joined(["ana"])
    comings.left(["bob"], "lunch")
    assert comings.text() == "ana joined · bob left: lunch"
    comings.left(["cy"])
    assert comings.text() == "ana joined · bob and cy left"


def test_a_rename_after_a_join_shows_the_new_name() -> None:
    comings = PresenceSummary()
    comings.joined(["ana"])
    comings.renamed("ana", "anna")
    comings.renamed("bob", "rob")
    comings.left(["rob"])
    assert comings.text() == "anna joined · bob left"


def test_brief_summary_matches_old_and_new_names() -> None:
    comings = PresenceSummary(lambda name: name in ("eve", "bob"))
    comings.joined(["ana", "eve"])
    comings.renamed("bob", "rob")
    comings.add_unnamed("Someone came.")
    assert comings.brief() == "eve joined · bob is now rob"
    comings.renamed("ana", "bob")
    comings.joined(["bob"])
    assert comings.brief() == "eve and bob joined · bob is now rob"
    comings.left(["eve", "bob", "rob"])
    assert comings.brief() == "bob left"
    assert comings.text() == "bob left · Someone came."


def test_many_names_are_counted() -> None:
    comings = PresenceSummary()
    for number in range(5):
        comings.renamed(f"a{number}", f"b{number}")
    assert comings.text().endswith("a2 is now b2 · 2 more changed their names")
    assert not comings.is_full
    comings.joined(str(number) for number in range(PEOPLE_MAX))
    assert comings.is_full


@given(st.lists(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES)))
def test_summary_describes_the_difference_of_the_room(toggled: list[str], before: set[str]) -> None:
    summaries, now = {name: PresenceSummary(name.__eq__) for name in NAMES}, set(before)
    for name in toggled:
        for summary in summaries.values():
            if name in now:
                summary.left([name])
            else:
                summary.joined([name])
        now ^= {name}
    joined = [name for name in NAMES if summaries[name].brief() == f"{name} joined"]
    left = [name for name in NAMES if summaries[name].brief() == f"{name} left"]
    assert (set(joined), set(left)) == (now - before, before - now)


def test_cost_of_a_change_is_independent_of_the_number_of_people() -> None:
    def work(people: int) -> int:
        asked = 0

        def about(name: str) -> bool:
            nonlocal asked
            asked += 1
            return False

        comings = PresenceSummary(about)
        comings.joined(f"name {number}" for number in range(people))
        comings.left(f"other {number}" for number in range(people))
        before = asked
        comings.renamed("name 1", "first")
        comings.left(["name 2"])
        comings.joined(["other 3", "newcomer"])
        assert comings.text().startswith(f"name 0, first and {people - 2} others joined")
        assert comings.brief() == ""
        return asked - before

    assert work(10) == work(300) <= 4
