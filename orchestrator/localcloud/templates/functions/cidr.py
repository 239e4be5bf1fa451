"""CIDR functions ("CIDR functions for ARM templates"), for both kinds of IP addresses."""

from __future__ import annotations

import ipaddress
from typing import Any

from orchestrator.localcloud.templates.errors import ExpressionError
from orchestrator.localcloud.templates.functions.registry import integer, plain, text

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(function: str, value: Any) -> _Network:
    try:
        return ipaddress.ip_network(_with_length(text(function, value)), strict=False)
    except ValueError:
        raise ExpressionError(
            f"The template language function '{function}' expects an address range in CIDR "
            f"notation, not '{value}'."
        ) from None


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


def _usable(network: _Network) -> tuple[Any, Any]:
    first, last = network.network_address, network.broadcast_address
    if network.version == 4 and network.prefixlen < 31:
        return first + 1, last - 1
    return first, last


@plain("parseCidr", 1)
def parse_cidr(value: Any) -> dict[str, Any]:
    """What an address range is made of."""
    network = _network("parseCidr", value)
    first, last = _usable(network)
    found: dict[str, Any] = {
        "network": str(network.network_address),
        "netmask": str(network.netmask),
        "broadcast": str(network.broadcast_address),
        "firstUsable": str(first),
        "lastUsable": str(last),
        "cidr": network.prefixlen,
    }
    if network.version == 6:
        del found["broadcast"]
    return found


@plain("cidrSubnet", 3)
def cidr_subnet(value: Any, prefix: Any, index: Any) -> str:
    """The n-th range of a length inside a range."""
    network = _network("cidrSubnet", value)
    prefix, index = integer("cidrSubnet", prefix), integer("cidrSubnet", index)
    if not network.prefixlen <= prefix <= network.max_prefixlen:
        raise ExpressionError(
            f"The template language function 'cidrSubnet' cannot cut '{value}' into ranges of the "
            f"length '{prefix}'."
        )
    if not 0 <= index < 1 << (prefix - network.prefixlen):
        raise ExpressionError(
            f"The template language function 'cidrSubnet': the range '{value}' has no subnet "
            f"'/{prefix}' with the index '{index}'."
        )
    address = network.network_address + (index << (network.max_prefixlen - prefix))
    return f"{address}/{prefix}"


@plain("cidrHost", 2)
def cidr_host(value: Any, index: Any) -> str:
    """The n-th usable address of a range, from 0."""
    network = _network("cidrHost", value)
    index = integer("cidrHost", index)
    first, last = _usable(network)
    if not 0 <= index <= int(last) - int(first):
        raise ExpressionError(
            f"The template language function 'cidrHost': the range '{value}' has no usable address "
            f"with the index '{index}'."
        )
    return str(first + index)
