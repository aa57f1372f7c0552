from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.tui.model.text.links import (
    HREF_CHARS,
    ascii_host,
    find_urls,
    is_spoofed,
    real_hosts,
    target_of,
)


@pytest.mark.parametrize(
    ("written", "href"),
    [
        ("https://example.org", "https://example.org"),
        ("HTTP://Example.ORG:8080/Path?q=1#f", "http://example.org:8080/Path?q=1#f"),
        ("https://münchen.de/ä", "https://xn--mnchen-3ya.de/%C3%A4"),
        ("https://аррӏе.com", "https://xn--80ak6aa92e.com"),
        ("https://ｅｘａｍｐｌｅ.org", "https://example.org"),
        ("https://例え。jp", "https://xn--r8jz45g.jp"),
        ("http://[::1]:8765/x", "http://[::1]:8765/x"),
        ("https://e.org/a;b", "https://e.org/a%3Bb"),
        ("https://e.org/100%25|x^y", "https://e.org/100%25%7Cx%5Ey"),
    ],
)
def test_links_that_can_be_opened(written: str, href: str) -> None:
    target = target_of(written)
    assert target is not None
    assert target.href == href


@pytest.mark.parametrize(
    "written",
    [
        "ftp://e.org", "https://", "https:///x", "https://e..org", "https://e org", "https://e.org\\@f.org",
        "https://[::1", "https://e.org:port", f"https://{'a' * 64}.org", f"https://{'a.' * 200}org",
        "https://e%2Forg", "https://e／f.org", f"https://{'漢' * 60}.org", "https://😀.org", "e.org",
    ],
)  # fmt: skip
def test_texts_that_are_not_links(written: str) -> None:
    assert target_of(written) is None


def test_links_that_are_recognized_but_not_opened() -> None:
    with_user = target_of("https://bank.org@evil.org/x")
    assert with_user is not None
    assert (with_user.href, with_user.host, with_user.misleading) == ("", "evil.org", True)
    too_long = target_of("https://e.org/" + "a" * HREF_CHARS)
    assert too_long is not None
    assert (too_long.href, too_long.host, too_long.misleading) == ("", "e.org", False)


def test_span_of_the_host() -> None:
    written = "https://a:b@Example.org:80/x"
    target = target_of(written)
    assert target is not None
    assert written[target.start : target.end] == "Example.org"


def test_real_hosts_of_misleading_links() -> None:
    text = "https://e.org https://аррӏе.com/x https://аррӏе.com https://bank.org@evil.org, https://ok.org"
    assert real_hosts(text) == ("xn--80ak6aa92e.com", "evil.org")
    assert real_hosts("https://e.org/ä and a@b") == ()
    assert real_hosts("аррӏе.com") == ()


def test_addresses_are_found_without_the_punctuation_around_them() -> None:
    text = "(see https://e.org/a_(b)), 'http://f.org/'. xhttps://no.org"
    assert [text[start:end] for start, end in find_urls(text)] == ["https://e.org/a_(b)", "http://f.org/"]


@given(st.text() | st.text("https:/@.[]\\;%aä漢\x1b\x9c\n ", max_size=40))
def test_links_are_harmless_in_a_terminal(text: str) -> None:
    for written in (text, f"https://{text}", f"https://e.org/{text}"):
        target = target_of(written)
        if target is not None:
            assert len(target.href) <= HREF_CHARS
            assert target.host.isascii()
            assert all(33 <= ord(char) <= 126 and char != ";" for char in target.href + target.host)
            assert target.href == "" or target.href.startswith(
                (f"https://{target.host}", f"http://{target.host}")
            )


@given(st.text(max_size=300))
def test_a_host_is_letters_digits_and_dots_or_nothing(text: str) -> None:
    host = ascii_host(text)
    assert all(char in "abcdefghijklmnopqrstuvwxyz0123456789-_." for char in host)


@pytest.mark.parametrize(
    "title",
    [
        "paypal.com",
        "log in at PayPal.com!",
        "(paypal.com)",
        "paypal.com:443",
        "paypal.com/login",
        "allegro.pl/login",
        "https://paypal.com",
        "www.paypal.example",
        "p\u0430ypal.com",
        "evil.example.com",
        "pay`pal`.com",
    ],
)
def test_a_title_that_imitates_another_host_is_detected(title: str) -> None:
    assert is_spoofed(title, "evil.example")
    assert real_hosts(f"see [{title}](https://evil.example/x)") == ("evil.example",)


@pytest.mark.parametrize(
    ("title", "host"),
    [
        ("README.md", "github.com"),
        ("node.js", "nodejs.org"),
        ("src/main.rs", "github.com"),
        ("main.py", "github.com"),
        ("user.id", "docs.example"),
        ("v1.2.3", "github.com"),
        ("e.g. this", "github.com"),
        ("and/or", "github.com"),
        ("paypal.com", "paypal.com"),
        ("paypal.com", "www.paypal.com"),
        ("www.paypal.com", "login.paypal.com"),
        ("bob@paypal.com", "github.com"),
    ],
)
def test_a_title_that_reads_like_a_file_or_its_own_host_is_not(title: str, host: str) -> None:
    assert not is_spoofed(title, host)
    assert real_hosts(f"see [{title}](https://{host}/x)") == ()
