from __future__ import annotations

from broadcast_tui.tui.model.text.collation import collation_key


def test_accents_and_case_do_not_separate_names() -> None:
    names = ["xavier", "Élodie", "bob", "eve", "Zoë", "zoe", "Emil", "elena"]
    ordered = ["bob", "elena", "Élodie", "Emil", "eve", "xavier", "zoe", "Zoë"]
    assert sorted(names, key=collation_key) == ordered


def test_the_order_does_not_depend_on_the_order_before() -> None:
    names = ["ana", "Ana", "ANA", "àna"]
    other_way = names[::-1]
    assert sorted(names, key=collation_key) == sorted(other_way, key=collation_key)


def test_names_of_marks_only_have_a_key() -> None:
    assert collation_key("\u0301") == ("", "\u0301", "\u0301")
