"""Ranges of addresses in CIDR notation, of both kinds of IP."""

from __future__ import annotations

from typing import Any

from orchestrator.azure_values import ranges
from orchestrator.bicep.pure.arguments import ArgumentFault


def _range(value: str) -> ranges.Range:
    try:
        return ranges.range_of(value)
    except ValueError:
        raise ArgumentFault("the text is no range of addresses, for instance 10.0.0.0/16") from None


def parse_cidr(value: str) -> dict[str, Any]:
    return ranges.described(_range(value))


def cidr_subnet(value: str, prefix: int, index: int) -> str:
    network = _range(value)
    try:
        return ranges.subnet(network, prefix, index)
    except ranges.NoSuchLength:
        raise ArgumentFault(f"{network} has no subnets of /{prefix}") from None
    except ranges.NoSuchMember:
        raise ArgumentFault(f"{network} has no subnet {index} of /{prefix}") from None


def cidr_host(value: str, index: int) -> str:
    network = _range(value)
    try:
        return ranges.host(network, index)
    except ranges.NoSuchMember:
        raise ArgumentFault(f"{network} has no host {index}") from None
