"""Ranges of addresses in CIDR notation, of both kinds of IP."""

from __future__ import annotations

import ipaddress
from typing import Any

from orchestrator.bicep.pure.arguments import ArgumentFault

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(value: str) -> _Network:
    try:
        return ipaddress.ip_network(_with_length(value), strict=False)
    except ValueError:
        raise ArgumentFault("the text is no range of addresses, for instance 10.0.0.0/16") from None


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


def _usable(network: _Network) -> tuple[int, int]:
    """The first and the last place that a host may have, counted from the range's address."""
    # the first and the last address of a network have a meaning of their own in IPv4 only
    apart = 1 if network.version == 4 and network.prefixlen < 31 else 0
    return apart, network.num_addresses - 1 - apart


def parse_cidr(value: str) -> dict[str, Any]:
    network = _network(value)
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


def cidr_subnet(value: str, prefix: int, index: int) -> str:
    network = _network(value)
    if not network.prefixlen <= prefix <= network.max_prefixlen:
        raise ArgumentFault(f"{network} has no subnets of /{prefix}")
    if not 0 <= index < 1 << (prefix - network.prefixlen):
        raise ArgumentFault(f"{network} has no subnet {index} of /{prefix}")
    address = network.network_address + (index << (network.max_prefixlen - prefix))
    return f"{address}/{prefix}"


def cidr_host(value: str, index: int) -> str:
    network = _network(value)
    first, last = _usable(network)
    if not 0 <= index <= last - first:
        raise ArgumentFault(f"{network} has no host {index}")
    return str(network.network_address + first + index)
