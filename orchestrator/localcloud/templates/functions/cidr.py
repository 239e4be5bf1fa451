"""CIDR functions ("CIDR functions for ARM templates"), for both kinds of IP addresses."""

from __future__ import annotations

from typing import Any

from orchestrator.azure_values import ranges
from orchestrator.localcloud.templates.errors import ExpressionError
from orchestrator.localcloud.templates.functions.registry import integer, plain, text


def _range(function: str, value: Any) -> ranges.Range:
    written = text(function, value)
    try:
        return ranges.range_of(written)
    except ValueError:
        raise ExpressionError(
            f"The template language function '{function}' expects an address range in CIDR "
            f"notation, not '{value}'."
        ) from None


@plain("parseCidr", 1)
def parse_cidr(value: Any) -> dict[str, Any]:
    """What an address range is made of."""
    return ranges.described(_range("parseCidr", value))


@plain("cidrSubnet", 3)
def cidr_subnet(value: Any, prefix: Any, index: Any) -> str:
    """The n-th range of a length inside a range."""
    network = _range("cidrSubnet", value)
    prefix, index = integer("cidrSubnet", prefix), integer("cidrSubnet", index)
    try:
        return ranges.subnet(network, prefix, index)
    except ranges.NoSuchLength:
        raise ExpressionError(
            f"The template language function 'cidrSubnet' cannot cut '{value}' into ranges of the "
            f"length '{prefix}'."
        ) from None
    except ranges.NoSuchMember:
        raise ExpressionError(
            f"The template language function 'cidrSubnet': the range '{value}' has no subnet "
            f"'/{prefix}' with the index '{index}'."
        ) from None


@plain("cidrHost", 2)
def cidr_host(value: Any, index: Any) -> str:
    """The n-th usable address of a range, from 0."""
    network = _range("cidrHost", value)
    index = integer("cidrHost", index)
    try:
        return ranges.host(network, index)
    except ranges.NoSuchMember:
        raise ExpressionError(
            f"The template language function 'cidrHost': the range '{value}' has no usable address "
            f"with the index '{index}'."
        ) from None
