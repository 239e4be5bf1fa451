"""Composite formatting and number formats as .NET has them ("Standard numeric format strings").

{0}  {1,-10}  {0:D3}  {0:N2}  {0:X8}  {0:#,##0.00}  {0:yyyy-MM}   {{ }}
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from orchestrator.localcloud.templates.errors import ExpressionError
from orchestrator.localcloud.templates.values import text_of

_HOLE = re.compile(r"\{\{|\}\}|\{(\d+)(?:,(\s*-?\d+))?(?::((?:[^{}]|\{\{|\}\})*))?\}|[{}]")
_STANDARD = re.compile(r"([CDEFGNPRXBcdefgnprxb])(\d{0,3})")


def formatted(pattern: str, values: Sequence[Any]) -> str:
    """`format(pattern, values…)`.

    Raises:
        ExpressionError: A hole without a value, or a pattern that is none.
    """

    def fill(match: re.Match[str]) -> str:
        found = match.group(0)
        if found == "{{":
            return "{"
        if found == "}}":
            return "}"
        if match.group(1) is None:
            raise ExpressionError(
                "Unable to evaluate the template language function 'format': the input string was "
                f"not in a correct format ('{pattern}')."
            )
        index = int(match.group(1))
        if index >= len(values):
            raise ExpressionError(
                f"Unable to evaluate the template language function 'format': index {index} must "
                f"be less than the number of arguments, {len(values)}."
            )
        text = _one(values[index], match.group(3) or "")
        width = int(match.group(2) or 0)
        return text.rjust(width) if width >= 0 else text.ljust(-width)

    return _HOLE.sub(fill, pattern)


def _one(value: Any, style: str) -> str:
    if isinstance(value, (dict, list)):
        return _single_quoted(value)
    if style and isinstance(value, (int, float)) and not isinstance(value, bool):
        return number(value, style)
    return text_of(value)


def _single_quoted(value: Any) -> str:
    if isinstance(value, str):
        inner = json.dumps(value, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("'", "\\'")
        return f"'{inner}'"
    if isinstance(value, dict):
        members = (f"{_single_quoted(k)}:{_single_quoted(v)}" for k, v in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_single_quoted, value)) + "]"
    return json.dumps(value)


def number(value: int | float, style: str) -> str:
    """A number in a standard or custom format. Raises ExpressionError for an unknown one."""
    match = _STANDARD.fullmatch(style)
    if match is None:
        return _custom(value, style)
    kind, digits = match.group(1), int(match.group(2)) if match.group(2) else None
    upper = kind.upper()
    if upper in "DXB" and isinstance(value, float):
        raise ExpressionError(f"The format '{style}' takes whole numbers only.")
    if upper == "D":
        return ("-" if value < 0 else "") + str(abs(int(value))).rjust(digits or 0, "0")
    if upper in "XB":
        bits = 32 if -(2**31) <= value < 2**31 else 64
        unsigned = int(value) & (2**bits - 1)
        found = f"{unsigned:{'b' if upper == 'B' else kind}}"
        return found.rjust(digits or 0, "0")
    if upper == "F":
        return _fixed(value, 2 if digits is None else digits)
    if upper == "N":
        return _fixed(value, 2 if digits is None else digits, ",")
    if upper == "C":
        text = _fixed(abs(value), 2 if digits is None else digits, ",")
        return f"(¤{text})" if value < 0 else f"¤{text}"
    if upper == "P":
        return _fixed(Decimal(repr(value)) * 100, 2 if digits is None else digits, ",") + " %"
    if upper == "E":
        found = f"{value:.{6 if digits is None else digits}{kind}}"
        base, _, power = found.partition(kind)
        return f"{base}{kind}{power[0]}{power[1:].rjust(3, '0')}"
    return text_of(value) if not digits else f"{value:.{digits}{'g' if kind == 'g' else 'G'}}"


def _rounded(value: Any, digits: int) -> Decimal:
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    return exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def _fixed(value: Any, digits: int, group: str = "") -> str:
    return f"{_rounded(value, digits):{group}.{digits}f}"


def _custom(value: int | float, style: str) -> str:
    sections = style.split(";")
    if value < 0 and len(sections) > 1:
        return _custom_section(abs(value), sections[1])
    if value == 0 and len(sections) > 2:
        return _custom_section(value, sections[2])
    text = _custom_section(abs(value), sections[0])
    return f"-{text}" if value < 0 else text


_PLACE = re.compile(r"[0#](?:[0#,.]*[0#])?")


def _custom_section(value: int | float, style: str) -> str:
    match = _PLACE.search(style)
    if match is None:
        return style.strip("'\"")
    places = match.group(0)
    whole, _, fraction = places.partition(".")
    exact: Any = Decimal(repr(value))
    if "%" in style:
        exact *= 100
    digits = _rounded(exact, len(fraction))
    integral, _, decimals = f"{digits:f}".partition(".")
    least = whole.replace(",", "").lstrip("#").count("0")
    integral = integral.lstrip("0").rjust(least, "0")
    if "," in whole and integral:
        head = len(integral) % 3
        groups = [integral[:head]] if head else []
        groups += [integral[at : at + 3] for at in range(head, len(integral), 3)]
        integral = ",".join(groups)
    kept = len(fraction.rstrip("#"))
    while len(decimals) > kept and decimals.endswith("0"):
        decimals = decimals[:-1]
    body = integral + (f".{decimals}" if decimals else "")
    return style[: match.start()] + body + style[match.end() :]
