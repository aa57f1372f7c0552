"""IP addresses: parsing, loopback, and rate-limit keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast_tui.core.network import is_loopback, is_loopback_host, parse_ip, rate_limit_key

LOOPBACK = [
    "127.0.0.1",
    "127.0.0.0",
    "127.255.255.255",
    "::1",
    "[::1]",
    "::1%lo",
    "[::1%lo]",
    "0:0:0:0:0:0:0:1",
    "::ffff:127.0.0.1",
    "[::ffff:7f00:1]",
]
ELSEWHERE = [
    "",
    "unknown",
    "0.0.0.0",
    "10.0.0.1",
    "128.0.0.1",
    "::",
    "::2",
    "::7f00:1",
    "fe80::1%lo",
    "::ffff:10.0.0.1",
    "127.evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1%evil.example",
    "[127.0.0.1].evil.example",
    "[::1].evil.example",
    "[::1",
    "127.0.0.1:80",
    " 127.0.0.1",
]
HOSTS_ELSEWHERE = ["localhost.evil.example", "evil.localhost", "notlocalhost", "localhost:80", "[localhost]"]


@pytest.mark.parametrize("address", LOOPBACK)
def test_loopback_addresses_are_this_machine(address: str) -> None:
    assert is_loopback(address)
    assert is_loopback_host(address)


@pytest.mark.parametrize("address", ELSEWHERE)
def test_other_addresses_and_names_that_look_like_loopback_are_not_this_machine(address: str) -> None:
    assert not is_loopback(address)
    assert not is_loopback_host(address)


@pytest.mark.parametrize("host", ["localhost", "LocalHost"])
def test_localhost_is_a_host_but_not_an_address(host: str) -> None:
    assert is_loopback_host(host)
    assert not is_loopback(host)


@pytest.mark.parametrize("host", HOSTS_ELSEWHERE)
def test_names_with_localhost_in_them_are_not_this_machine(host: str) -> None:
    assert not is_loopback_host(host)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("[2001:DB8::1]", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("192.0.2.7:80", "None"),
        ("192.0.2.7%eth0", "None"),
        ("192.0.2.256", "None"),
        ("example.org", "None"),
    ],
)
def test_address_is_parsed_to_one_form(text: str, address: str) -> None:
    assert str(parse_ip(text)) == address


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("2001:db8::1:2:3:4:5", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.9.9.9", "loopback"),
        ("::1", "loopback"),
        ("unknown", "unknown"),
        ("rubbish", "unknown"),
    ],
)
def test_addresses_of_one_host_share_a_rate_limit_key(address: str, key: str) -> None:
    assert rate_limit_key(address) == key


@given(st.text(max_size=40) | st.ip_addresses().map(str))
def test_any_text_has_a_key(text: str) -> None:
    assert (rate_limit_key(text) == "unknown") is (parse_ip(text) is None)
    assert (rate_limit_key(text) == "loopback") is is_loopback(text)
