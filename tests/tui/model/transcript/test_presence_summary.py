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
    summary = PresenceSummary()
    summary.joined(["ana", "bob"])
    summary.left(["cy"])
    summary.renamed("dora", "dodo")
    summary.add_unnamed("A new client has joined the chat.")
    summary.add_unnamed("A new client has joined the chat.")
    assert summary.text() == (
        "ana and bob joined · cy left · dora is now dodo · A new client has joined the chat."
    )


def test_join_and_leave_cancel_out() -> None:
    summary = PresenceSummary()
    summary.joined(["ana"])
    summary.left(["ana", "cy"])
    summary.joined(["cy"])
    summary.renamed("bob", "rob")
    summary.renamed("rob", "bob")
    assert summary.text() == ""


def test_reason_is_shown_for_a_single_leave_only() -> None:
    summary = PresenceSummary()
    summary.joined(["ana"])
    summary.left(["bob"], "lunch")
    assert summary.text() == "ana joined · bob left: lunch"
    summary.left(["cy"])
    assert summary.text() == "ana joined · bob and cy left"


def test_a_rename_after_a_join_shows_the_new_name() -> None:
    summary = PresenceSummary()
    summary.joined(["ana"])
    summary.renamed("ana", "anna")
    summary.renamed("bob", "rob")
    summary.left(["rob"])
    assert summary.text() == "anna joined · bob left"


def test_brief_summary_matches_old_and_new_names() -> None:
    summary = PresenceSummary(lambda name: name in ("eve", "bob"))
    summary.joined(["ana", "eve"])
    summary.renamed("bob", "rob")
    summary.add_unnamed("Someone came.")
    assert summary.brief() == "eve joined · bob is now rob"
    summary.renamed("ana", "bob")
    summary.joined(["bob"])
    assert summary.brief() == "eve and bob joined · bob is now rob"
    summary.left(["eve", "bob", "rob"])
    assert summary.brief() == "bob left"
    assert summary.text() == "bob left · Someone came."


def test_many_names_are_counted() -> None:
    summary = PresenceSummary()
    for number in range(5):
        summary.renamed(f"a{number}", f"b{number}")
    assert summary.text().endswith("a2 is now b2 · 2 more changed their names")
    assert not summary.is_full
    summary.joined(str(number) for number in range(PEOPLE_MAX))
    assert summary.is_full


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
        call_count = 0

        def is_relevant(name: str) -> bool:
            nonlocal call_count
            call_count += 1
            return False

        summary = PresenceSummary(is_relevant)
        summary.joined(f"name {number}" for number in range(people))
        summary.left(f"other {number}" for number in range(people))
        before = call_count
        summary.renamed("name 1", "first")
        summary.left(["name 2"])
        summary.joined(["other 3", "newcomer"])
        assert summary.text().startswith(f"name 0, first and {people - 2} others joined")
        assert summary.brief() == ""
        return call_count - before

    assert work(10) == work(300) <= 4
