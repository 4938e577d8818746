"""Which addresses may be called for somebody else: the public internet, and nothing that leads back inside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.notices.addresses import is_public, may_be_called

PRIVATE_IPV4 = (
    "127.0.0.1", "127.8.9.10", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "0.0.0.0",
    "0.1.2.3", "100.64.0.1", "192.0.2.7", "198.18.0.1", "198.51.100.1", "203.0.113.9", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255",
)  # fmt: skip
PRIVATE_IPV6 = (
    "::", "::1", "::127.0.0.1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1",
    "2001:db8::1", "2001::1", "100::1", "64:ff9b:1::a00:1", "4000::1",
)  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE_IPV4)
def test_an_address_of_no_use_on_the_internet_is_not_public_however_it_is_wrapped(address: str) -> None:
    parts = [int(each) for each in address.split(".")]
    high, low = parts[0] << 8 | parts[1], parts[2] << 8 | parts[3]

    assert not is_public(address)
    assert not is_public(f"::ffff:{address}"), "mapped"
    assert not is_public(f"64:ff9b::{address}"), "NAT64"
    assert not is_public(f"2002:{high:x}:{low:x}::1"), "6to4"


@pytest.mark.parametrize("address", PRIVATE_IPV6)
def test_ipv6_that_is_not_global_unicast_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["9.9.9.9", "::ffff:9.9.9.9", "64:ff9b::9.9.9.9", "2002:909:909::1", "2620:fe::fe"])
def test_the_public_internet_may_be_called(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=6, network="::/3") | st.ip_addresses(v=6, network="8000::/1"))
def test_nothing_outside_of_global_unicast_is_public_but_what_carries_a_public_ipv4(address: object) -> None:
    text = str(address)
    carried = text.startswith(("::ffff:", "64:ff9b::"))
    assert carried or not is_public(text)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.org/", "https://"),
        ("https://127.0.0.1/", "not public"),
        ("https://[::1]:8443/", "not public"),
        ("https://[::ffff:10.0.0.1]/", "not public"),
        ("https://169.254.169.254/latest", "not public"),
    ],
)
def test_what_can_be_seen_from_a_url_is_refused_at_once(url: str, reason: str) -> None:
    assert reason in (may_be_called(url) or "")


def test_a_host_name_is_judged_when_it_is_resolved() -> None:
    assert may_be_called("https://localhost/") is None
    assert may_be_called("https://9.9.9.9:8443/x") is None
