"""Ranges of IP addresses in CIDR notation ("CIDR functions for ARM templates")."""

from __future__ import annotations

import ipaddress
from typing import Any

Range = ipaddress.IPv4Network | ipaddress.IPv6Network


class NoSuchLength(ValueError):  # noqa: N818 -- it reads by what happened
    """A range has no parts of this length."""


class NoSuchMember(ValueError):  # noqa: N818 -- it reads by what happened
    """A range has no part, or no address, at this index."""


def range_of(text: str) -> Range:
    """The range that is written so, at whichever of its addresses. Raises ValueError."""
    return ipaddress.ip_network(_with_length(text), strict=False)


def _with_length(text: str) -> str:
    """A range that says no length has that of its class, as .NET's IPNetwork2 guesses it: Azure
    Verified Modules cut 192.168.1.0 into subnets of /24. One of IPv6 has 64 bits."""
    if "/" in text:
        return text
    address = ipaddress.ip_address(text)
    if address.version == 6:
        return f"{text}/64"
    first = address.packed[0]
    return f"{text}/{8 if first < 128 else 16 if first < 192 else 24 if first < 224 else 32}"


def _usable(network: Range) -> tuple[int, int]:
    """The first and the last place that a host may have, counted from the range's address."""
    # The first and the last address of a range have a meaning of their own in IPv4 only.
    apart = 1 if network.version == 4 and network.prefixlen < 31 else 0
    return apart, network.num_addresses - 1 - apart


def described(network: Range) -> dict[str, Any]:
    """What parseCidr() gives: what the range is made of."""
    first, last = _usable(network)
    found: dict[str, Any] = {
        "network": str(network.network_address),
        "netmask": str(network.netmask),
        "broadcast": str(network.broadcast_address),
        "firstUsable": str(network.network_address + first),
        "lastUsable": str(network.network_address + last),
        "cidr": network.prefixlen,
    }
    if network.version == 6:
        del found["broadcast"]
    return found


def subnet(network: Range, length: int, index: int) -> str:
    """The n-th range of a length inside a range, from 0. Raises NoSuchLength, NoSuchMember."""
    if not network.prefixlen <= length <= network.max_prefixlen:
        raise NoSuchLength
    if not 0 <= index < 1 << (length - network.prefixlen):
        raise NoSuchMember
    address = network.network_address + (index << (network.max_prefixlen - length))
    return f"{address}/{length}"


def host(network: Range, index: int) -> str:
    """The n-th usable address of a range, from 0. Raises NoSuchMember."""
    first, last = _usable(network)
    if not 0 <= index <= last - first:
        raise NoSuchMember
    return str(network.network_address + first + index)
