"""Who asks, and whom to believe about it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.gateway.callers import Place, Places, from_our_page, key_in

PLACES = Places(("127.0.0.0/8", "::1/128", "10.0.0.0/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "network", "ours"),
    [
        ("203.0.113.7", None, "203.0.113.7", False),
        ("::ffff:203.0.113.7", None, "203.0.113.7", False),
        ("2001:db8:1:2:3::4", None, "2001:db8:1:2::/64", False),
        ("fe80::1%eth0", None, "fe80::/64", False),
        ("127.0.0.1", None, "127.0.0.1", True),
        ("127.0.0.1", "203.0.113.7", "203.0.113.7", False),
        ("127.0.0.1", "198.51.100.1, 203.0.113.7, 10.0.0.3", "203.0.113.7", False),
        ("203.0.113.7", "127.0.0.1", "203.0.113.7", False),
        ("127.0.0.1", "garbage", "unknown", False),
        ("127.0.0.1", "", "unknown", False),
        (None, None, "unknown", False),
    ],
)
def test_a_forwarded_address_is_believed_from_our_own_networks_only(
    peer: str | None, forwarded: str | None, network: str, ours: bool
) -> None:
    assert PLACES.of(peer, forwarded) == Place(network, ours)


@given(st.text(), st.text())
def test_no_address_is_too_strange_to_be_read(peer: str, forwarded: str) -> None:
    assert isinstance(Places().of(peer, forwarded), Place)


def test_a_key_comes_by_either_header() -> None:
    assert key_in({b"x-api-key": b"chr_a_b"}) == "chr_a_b"
    assert key_in({b"authorization": b"bearer chr_a_b"}) == "chr_a_b"
    assert key_in({b"authorization": b"Basic eDp5"}) == ""
    assert key_in({}) is None


def test_a_browser_says_whose_page_asks() -> None:
    assert from_our_page({b"sec-fetch-site": b"same-origin"})
    assert from_our_page({b"origin": b"https://chrono.example", b"host": b"chrono.example"})
    assert not from_our_page({b"origin": b"https://elsewhere.example", b"host": b"chrono.example"})
    assert not from_our_page({b"sec-fetch-site": b"same-site", b"origin": b"https://a.b", b"host": b"a.b"})
    assert not from_our_page({b"origin": b"null", b"host": b"chrono.example"})
    assert not from_our_page({})
