"""Which addresses the market may call on somebody else's behalf: public ones, and nothing that leads back inside."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052
_6TO4: Final = IPv6Network("2002::/16")  # RFC 3056
_TEREDO: Final = IPv6Network("2001::/32")  # RFC 4380
_UNICAST: Final = IPv6Network("2000::/3")  # all that is assigned for use on the internet, RFC 4291


def may_be_called(url: str) -> str | None:
    """Why a webhook may not lead to a URL, as far as that can be told before its host is resolved; None = it may."""
    parts = urlsplit(url)
    if parts.scheme != "https":
        return "must begin with https://"
    try:
        return None if is_public(parts.hostname or "") else "must not lead to an address that is not public"
    except ValueError:
        return None


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet.

    Not public: loopback, private, shared, link-local, multicast, reserved, documentation and unspecified addresses, and
    IPv6 addresses that carry such an IPv4 address inside (mapped, NAT64, 6to4). Teredo's are never: what they lead to
    cannot be seen. ValueError for what is no IP address.
    """
    parsed = ip_address(address)
    if isinstance(parsed, IPv4Address):
        return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved
    inside = _carried(parsed)
    if inside is not None:
        return is_public(str(inside))
    return parsed.scope_id is None and parsed in _UNICAST and parsed not in _TEREDO and parsed.is_global


def _carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.sixtofour if address in _6TO4 else None
