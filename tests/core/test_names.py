"""Names of people and rooms: validation, look-alikes, and properties that hold for any string."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broadcast_tui.core.errors import ErrorCode, InvalidNameError, RequestError
from broadcast_tui.core.hub.sanctions import parse_network
from broadcast_tui.core.names import (
    RESERVED_NAMES,
    check_name,
    check_not_guest,
    check_room,
    name_from,
    name_key,
)

anything = st.text(st.characters(), max_size=40) | st.text(
    st.sampled_from(
        [
            *"aZi1l|0.-_' rnvvAd#",
            *"\u0430\u03bf\u0130\u0131\u1e9e\u0345\u0301\u0323\u00a8\u2017\ufb01\u0149\u01f0",
            *"\u3164\u2800\u1160\u17b4\ufdfa\u4e00\u3042\u30a2\uac00\u0e01\u0e48\u0915\u094d\u093f\u3000\u00a0\u2028",
            *"\x00\x1b\u200d\u202e\ue000\ud800\ufffd\uffff\u0378\U0001f600\ufe0f\U0001f3fd\U0001d400\U0001f170",
        ]
    ),
    max_size=36,
)


def refusal(name: str) -> tuple[ErrorCode, str]:
    with pytest.raises(InvalidNameError) as caught:
        check_name(name)
    assert re.fullmatch(r"(Choose|Enter|A name|A room name) [^\n]+", caught.value.text)
    return caught.value.code, caught.value.text


def room_refusal(room: str) -> None:
    with pytest.raises(RequestError) as caught:
        check_room(room)
    assert caught.value.code is ErrorCode.BAD_ROOM
    assert re.fullmatch(r"(Choose|Enter|A name|A room name) [^\n]+", caught.value.text)


# Names


@pytest.mark.parametrize(
    "name",
    [
        "Alice",
        "bob_42",
        "_x_",
        "O'Brien",
        "J. R. R. Tolkien",
        "Jean-Luc",
        "x",
        "007",
        "a" * 32,
        "Ali",
        "Bernard",
        "Ian",
        "Jos\u00e9",
        "Nguy\u1ec5n",
        "\u00c5sa",
        "\u0141ukasz",
        "Stra\u00dfe",
        "\u0410\u043d\u0434\u0440\u0435\u0439",
        "\u039d\u03af\u03ba\u03bf\u03c2",
        "\u05d3\u05d5\u05d3",
        "\u05e9\u05b8\u05bc\u05c1\u05d9",
        "\u0645\u062d\u0645\u064e\u0651\u062f",
        "\u092a\u094d\u0930\u093f\u092f\u093e",
        "\u092a\u0939\u093e\u0921\u093c\u094b\u0902",
        "\u0e19\u0e49\u0e4d\u0e32",
        "\u0e2a\u0e21\u0e0a\u0e32\u0e22",
        "\u1019\u103c\u102d\u102f\u1037",
        "\u0f56\u0f62\u0f92\u0fb1\u0f74\u0f51",
        "\u0ba4\u0bae\u0bbf\u0bb4\u0bcd",
        "\u7530\u4e2d",
        "\u4f50\u3005\u6728\u3055\u3093",
        "\u30a2\u30ea\u30b9\u30fc",
        "\ud55c\uae00 kim",
        "\u9673 Chen",
        "\U0001f98a",
        "\U0001f98a fox",
        "\u2764\ufe0f you2",
        "\U0001f1e7\U0001f1f7 ana",
        "\u2605star\u2605",
        "\u02bbokina",
        "ana\u0661",
    ],
    ids=ascii,
)
def test_valid_name_is_unchanged(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("  bob  ", "bob"),
        ("a \u00a0\u2003\u3000 b", "a b"),
        ("\u1680a", "a"),
        ("Jose\u0301", "Jos\u00e9"),
        ("\uff21\uff2e\uff21", "ANA"),
        ("\U0001d400na", "Ana"),
        ("\ufb01n", "fin"),
        ("\u2460", "1"),
        (" " * 300 + "\uff21" + "\u3000" * 300, "A"),
    ],
    ids=ascii,
)
def test_name_is_normalized(raw: str, name: str) -> None:
    assert check_name(raw) == name


@pytest.mark.parametrize("raw", ["", " ", "\u00a0\u3000", "   \u2003"], ids=ascii)
def test_empty_name_is_rejected(raw: str) -> None:
    assert refusal(raw) == (ErrorCode.BAD_NAME, "Enter a name.")


@pytest.mark.parametrize("raw", ["a" * 33, "\ufdfa" * 3, "a" * 100_000, "\u0301" * 100_000])
def test_name_of_more_than_32_characters_is_rejected(raw: str) -> None:
    assert refusal(raw) == (ErrorCode.BAD_NAME, "Choose a shorter name: at most 32 characters.")


def test_name_of_more_than_96_bytes_is_rejected() -> None:
    assert check_name("\U0001f98a" * 24) == "\U0001f98a" * 24
    assert refusal("\U0001f98a" * 25) == (ErrorCode.BAD_NAME, "Choose a shorter name: at most 96 bytes.")


@pytest.mark.parametrize(
    "char",
    [
        *"\x00\n\t\r\x1b\x7f\x9b",
        *"\u200b\u200c\u200d\u200e\u202e\u2060\ufeff\u00ad\U000e0041",
        *"\ue000\U0010fffd",
        *"\u0378\uffff\ud800\udfff\u2028\u2029",
        *"\u2800\u3164\u115f\u1160\uffa0\u17b4\u17b5\U0001d159",
        *"\ufffc\ufffd",
        *'[]<>@#:/\\"`$%^&*()=+{}~!?,;|',
        "\u2100",
        "\u20ac",
        "\u2018",
        "\U0001f3fd",
    ],
    ids=ascii,
)
def test_invalid_character_in_a_name_is_rejected(char: str) -> None:
    for raw in (f"a{char}b", char):
        code, text = refusal(raw)
        assert code is ErrorCode.BAD_NAME
        assert "only" in text


@pytest.mark.parametrize("raw", ["-a", ".a", "'a", "\u0301a", "\u093fa", "..."], ids=ascii)
def test_name_must_start_with_a_base_character(raw: str) -> None:
    code, text = refusal(raw)
    assert code is ErrorCode.BAD_NAME
    assert "must start" in text


@pytest.mark.parametrize(
    "raw", ["x" + "\u0323" * 3, "a \u0301", "a-\u0301", "\u00a8a" * 2, "\u0e01" + "\u0e47" * 3], ids=ascii
)
def test_stacked_or_detached_marks_are_rejected(raw: str) -> None:
    assert refusal(raw)[0] is ErrorCode.BAD_NAME


@pytest.mark.parametrize(
    "raw",
    [
        "q\u0323\u0324",
        "\u05e9\u05b0\u05b1\u05b2\u05b3",
        "\u0ba8" + "\u0bbe" * 6,
    ],
    ids=ascii,
)
def test_marks_up_to_the_limit_of_the_script_are_valid(raw: str) -> None:
    assert check_name(raw)


@pytest.mark.parametrize(
    "raw", ["\u05e9" + "\u05b0\u05b1\u05b2\u05b3\u05b4", "\u0ba8" + "\u0bbe" * 7], ids=ascii
)
def test_marks_above_the_limit_of_the_script_are_rejected(raw: str) -> None:
    assert refusal(raw)[0] is ErrorCode.BAD_NAME


@pytest.mark.parametrize(
    "raw",
    [
        "p\u0430ypal",
        "\u0410lice",
        "b\u03bfb",
        "\u0421\u0435\u03bd",
        "\u05d0\u0627",
        "\u4e00\u0430",
        "a\u13a0",
        "\u0561b",
    ],
    ids=ascii,
)
def test_mixed_alphabets_are_rejected(raw: str) -> None:
    assert refusal(raw) == (ErrorCode.BAD_NAME, "A name cannot mix alphabets.")


@pytest.mark.parametrize("raw", ["10.0.0.5", " 203.0.113.7 ", "\uff11\uff10.0.0.5"], ids=ascii)
def test_ip_address_is_not_a_valid_name(raw: str) -> None:
    assert refusal(raw) == (
        ErrorCode.BAD_NAME,
        "A name cannot be an IP address: a ban would be ambiguous.",
    )
    assert parse_network(unicodedata.normalize("NFKC", raw)) is not None


@pytest.mark.parametrize("name", ["10.0.0", "10.0.0.256", "v10.0.0.5", "1.2.3.4.5"])
def test_other_numbers_are_valid_names(name: str) -> None:
    assert check_name(name) == name
    assert parse_network(name) is None


@pytest.mark.parametrize("reserved", RESERVED_NAMES)
def test_reserved_name_is_rejected_in_any_case_and_spacing(reserved: str) -> None:
    spaced = (
        reserved,
        reserved.upper(),
        reserved.title(),
        " ".join(reserved),
        f"_{reserved}_",
        "-".join(reserved),
    )
    for raw in (*spaced, f"\u2605 {reserved} \u2605"):
        assert refusal(raw)[0] is ErrorCode.NAME_RESERVED, raw


@pytest.mark.parametrize(
    "raw",
    [
        "S Y S T E M",
        "\u0405\u0423\u0405\u0422\u0415\u041c",
        "\ua4e2\ua4ec\ua4e2\ua4d4\ua4f0\ua4df",
        "s\u00ffstem",
        "ADM1N",
        "adm\u0131n",
        "Adm\u0130n",
        "\u1d00\u1d05\u1d0d\u026a\u0274",
        "admln",
        "r00t",
        "rnod",
        "\u041c\u0415",
        "\U0001f170\U0001f173\U0001f17c\U0001f178\U0001f17d",
        "\uff53\uff45\uff52\uff56\uff45\uff52",
        "ser\u1d20er",
        "\u24c8\u24ce\u24c8\u24c9\u24ba\u24c2",
        "\u039c\u0395",
        "\u00e2d\u0323min",
        "a11",
        "r.o.o.t",
        "\u13b7\u13ac",
    ],
    ids=ascii,
)
def test_look_alike_of_a_reserved_name_is_rejected(raw: str) -> None:
    assert refusal(raw) == (ErrorCode.NAME_RESERVED, "Choose another name: this one is reserved.")


@pytest.mark.parametrize(
    "name",
    [
        *("guest-4", "GUEST-x", "gu\u00e9st-4", "gue5t-4", "gu3st-4", "6uest-4", "guest-4\u0301"),
        *("guest_4", "guest 4", "guest.10", "guest4"),
    ],
    ids=ascii,
)
def test_look_alike_of_a_guest_name_is_rejected(name: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        check_not_guest(check_name(name))
    assert caught.value.code is ErrorCode.NAME_RESERVED


@pytest.mark.parametrize("name", ["guest", "guests", "guesthouse", "Guest Who", "Gus-4", "quest-4"])
def test_names_unlike_those_of_guests_are_valid(name: str) -> None:
    check_not_guest(check_name(name))


@given(anything)
@example("\u0130")
@example("\u1e9e")
def test_any_string_is_normalized_or_rejected_as_a_name(raw: str) -> None:
    try:
        name = check_name(raw)
    except InvalidNameError:
        assert refusal(raw)[0] in {ErrorCode.BAD_NAME, ErrorCode.NAME_RESERVED}
        return
    assert check_name(name) == name
    assert 1 <= len(name) <= 32
    assert len(name.encode()) <= 96
    assert name == " ".join(name.split())
    assert unicodedata.is_normalized("NFKC", name)
    assert not {unicodedata.category(char) for char in name} & {"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"}
    assert name_key(name)


# Keys


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bob", "BOB"),
        ("Alice", "\u0430lice"),
        ("paypal", "\u0440\u0430\u0443\u0440\u0430l"),
        ("Bob", "B0b"),
        ("bill", "bi1|"),
        ("modern", "modem"),
        ("wow", "vvovv"),
        ("Jose", "Jos\u00e9"),
        ("Lukasz", "\u0141ukasz"),
        ("strasse", "stra\u00dfe"),
        ("ana", "\uff21\uff2e\uff21"),
        ("ana", "a\u200bn\u202ea"),
        ("\u0410\u043d\u043d\u0430", "\u0430\u043d\u043d\u0430"),
        ("\u05d3\u05b8\u05d5\u05d3", "\u05d3\u05d5\u05d3"),
    ],
    ids=ascii,
)
def test_similar_names_share_a_key(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ana", "anna"),
        ("Ali", "All"),
        ("user1", "user2"),
        ("a b", "ab"),
        ("\U0001f98a", "\U0001f43b"),
        ("\u0938\u093f", "\u0938\u0941"),
        ("\u0e01\u0e34", "\u0e01\u0e38"),
        ("\u304b", "\u304c"),
        ("\u4e00", "\u4e8c"),
    ],
    ids=ascii,
)
def test_different_names_have_different_keys(one: str, other: str) -> None:
    assert name_key(one) != name_key(other)


@given(anything)
@example("VVV rrnn \u0345\u03b1")
def test_key_is_defined_for_any_string_and_idempotent(raw: str) -> None:
    key = name_key(raw)
    assert name_key(key) == key
    assert name_key(raw) == key
    assert len(key) <= 256


@given(st.text(st.sampled_from("abzARNVi10|-_. '\u0430\u0415\u03bf"), max_size=20))
def test_key_ignores_case(raw: str) -> None:
    assert name_key(raw.lower()) == name_key(raw.upper()) == name_key(raw)


@pytest.mark.parametrize(
    ("honest", "posing"),
    [
        ("paul", "pau1"),
        ("marco", "marc0"),
        ("bobo", "bob0"),
        ("userl", "user1"),
        ("bill", "bi1l"),
        ("Ol", "01"),
    ],
)
def test_digits_fold_to_similar_letters(honest: str, posing: str) -> None:
    """As in UTS 39. It costs whoever is called user1 another name while userl is here, and no other."""
    assert name_key(honest) == name_key(posing)


def test_numbered_names_have_different_keys() -> None:
    for form in ("user{}", "bob{}", "{}", "l{}", "o{}", "a{:03}", "guest {}", "x-{}"):
        keys = {name_key(form.format(number)) for number in range(2_000)}
        assert len(keys) == 2_000, form


@pytest.mark.parametrize(
    ("char", "passes_for"),
    [
        *[
            ("\u0455", "s"),
            ("\u04bb", "h"),
            ("\u0501", "d"),
            ("\u03bf", "o"),
            ("\u0585", "o"),
            ("\u13a0", "d"),
        ],
        *[
            ("\ua4d0", "b"),
            ("\u2c9f", "o"),
            ("\u0966", "o"),
            ("\u09ea", "8"),
            ("\u0be6", "o"),
            ("\u3007", "o"),
        ],
        *[("\u15c5", "a"), ("\u1d8c", "y"), ("\u2d54", "o"), ("\u0431", "6"), ("\U000118c1", "s")],
        *[("\u06f1", "1"), ("\u0222", "8"), ("\u01b7", "3"), ("\u10e7", "y"), ("\u0561", "w")],
    ],
    ids=ascii,
)
def test_uts_39_confusables_share_a_key(char: str, passes_for: str) -> None:
    assert name_key(f"x{char}") == name_key(f"x{passes_for}")


# Rooms


@pytest.mark.parametrize(
    ("raw", "room"),
    [
        ("lobby", "lobby"),
        ("#dev", "dev"),
        ("Dev-Ops_2.0", "dev-ops_2.0"),
        ("2024", "2024"),
        ("\uff24\uff25\uff36", "dev"),
        ("Stra\u00dfe", "strasse"),
        ("CAFE\u0301", "caf\u00e9"),
        ("\u0420\u0443\u0441", "\u0440\u0443\u0441"),
        ("\u65e5\u672c\u8a9e", "\u65e5\u672c\u8a9e"),
        ("\u05e2\u05d1\u05e8\u05d9\u05ea", "\u05e2\u05d1\u05e8\u05d9\u05ea"),
        ("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928\u094d\u0926\u0940"),
        ("\u0e17\u0e35\u0e48", "\u0e17\u0e35\u0e48"),
        ("x" * 48, "x" * 48),
        ("#" + "x" * 48, "x" * 48),
    ],
    ids=ascii,
)
def test_room_name_is_normalized(raw: str, room: str) -> None:
    assert check_room(raw) == room


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "#",
        "##a",
        "a#b",
        " lobby",
        "a b",
        "a\n",
        "-a",
        "_a",
        ".a",
        "..",
        "a/b",
        "a\\b",
        "a:b",
        "a*",
        "a\u200bb",
        "a\u202e",
        "\x1b[m",
        "\U0001f98a",
        "\u0301",
        "x" + "\u0323" * 3,
        "a-\u0301",
        "a\ud800",
        "\ue000",
        "\u0378",
        "\u3164",
        "a\u3164",
        "a\u1160",
        "x" * 49,
        "\ufb03" * 17,
        "x" * 100_000,
        "\u0301" * 100_000,
        "\u2800",
    ],
    ids=lambda raw: ascii(raw[:8]),
)
def test_invalid_room_name_is_rejected(raw: str) -> None:
    room_refusal(raw)


@given(anything)
def test_any_string_is_normalized_or_rejected_as_a_room(raw: str) -> None:
    try:
        room = check_room(raw)
    except RequestError:
        room_refusal(raw)
        return
    assert check_room(room) == check_room(f"#{room}") == room
    assert 1 <= len(room) <= 48
    assert room[0].isalnum()
    assert not set(room) & set(" /\\:*?#\n")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ana", "ana"),
        ("Ana María", "Ana María"),
        ("www-data", "www-data"),
        ("_apt", "_apt"),
        ("svc+build$", "svc-build"),
        (".hidden", "hidden"),
        ("x" * 40, "x" * 32),
        *((text, "") for text in ("", "root", "admin", "guest-1", "10.0.0.1", "$$$", "a\u0430")),
    ],
)
def test_a_name_is_made_of_other_text(text: str, name: str) -> None:
    assert name_from(text) == name


@given(anything)
def test_what_is_made_of_any_text_is_a_name_or_nothing(text: str) -> None:
    name = name_from(text)
    assert not name or check_name(name) == name
