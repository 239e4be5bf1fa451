"""Texts: parts, forms and encodings of them.

Source: Azure Resource Manager's documentation of string functions, and .NET's of what it formats.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

from orchestrator.bicep.evaluate import EvaluationFault
from orchestrator.bicep.pure.arguments import ArgumentFault, bounded, called

Json = Any

_MOST_PADDED = 65_536
_HOLE = re.compile(r"\{\{|\}\}|\{(\d+)(?:,\s*(-?\d+))?(?::((?:[^{}]|\{\{|\}\})*))?\}|[{}]")
_INT = re.compile(r"[-+]?[0-9]+")
_PORTS = {"http": 80, "https": 443}


def text(value: Json) -> str:
    """string(): JSON for what is no string; true and false as .NET writes them."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "True" if value else "False"
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return str(value)


def format_text(shape: str, *args: Json) -> str:
    def replaced(found: re.Match[str]) -> str:
        if found.group() in ("{{", "}}"):
            return found.group()[0]
        if found.group(1) is None:
            raise ArgumentFault("a brace stands alone in the text; it is written twice: {{ or }}")
        index, width, style = int(found.group(1)), found.group(2), found.group(3)
        if index >= len(args):
            raise ArgumentFault(f"the text has {{{index}}}, and there are {len(args)} values")
        value = args[index]
        if style and isinstance(value, int) and not isinstance(value, bool):
            value = _number(value, style)
        shown = _quoted(value) if isinstance(value, (dict, list)) else text(value)
        if width:
            count = int(width)
            if abs(count) > _MOST_PADDED:
                raise ArgumentFault(f"a text is filled up to {_MOST_PADDED} characters at most")
            shown = shown.ljust(-count) if count < 0 else shown.rjust(count)
        return shown

    return _HOLE.sub(replaced, shape)


def _quoted(value: Json) -> str:
    """An array or object inside a text: as JSON, but with single quotes."""
    if isinstance(value, str):
        inner = json.dumps(value, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("'", "\\'")
        return f"'{inner}'"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(k)}:{_quoted(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_quoted, value)) + "]"
    return json.dumps(value)


def _number(value: int, style: str) -> str:
    kind, digits = style[0].upper(), style[1:]
    count = int(digits) if digits.isdigit() and len(digits) < 4 else 0
    if kind == "D":
        sign = "-" if value < 0 else ""
        return sign + str(abs(value)).rjust(count, "0")
    if kind == "X":
        return format(value & 0xFFFFFFFFFFFFFFFF, style[0]).rjust(count, "0")
    if kind == "N":
        return f"{value:,.{count if digits else 2}f}"
    if set(style) <= {"0"}:
        return str(value).rjust(len(style), "0")
    raise EvaluationFault(f'The number format "{style}" is not known here.')


def truth(value: Json) -> bool:
    if isinstance(value, str):
        if value.lower() not in ("true", "false"):
            raise ArgumentFault("the text is neither true nor false")
        return value.lower() == "true"
    return bool(value)


def whole_number(value: Json) -> int:
    """int()."""
    if isinstance(value, str):
        if not _INT.fullmatch(value.strip()):
            raise ArgumentFault("the text is no whole number")
        return bounded(int(value))
    return int(value)


def _mapped(value: str, *, upper: bool) -> str:
    """In capitals or not, letter by letter: .NET leaves what has no one letter for it."""
    changed = ((c, c.upper() if upper else c.lower()) for c in value)
    return "".join(new if len(new) == 1 else old for old, new in changed)


def to_upper(value: str) -> str:
    return _mapped(value, upper=True)


def to_lower(value: str) -> str:
    return _mapped(value, upper=False)


def split(value: str, marks: Json) -> list[str]:
    wanted = [mark for mark in ([marks] if isinstance(marks, str) else marks) if mark]
    return re.split("|".join(map(re.escape, wanted)), value) if wanted else [value]


def join(parts: list[Json], mark: str) -> str:
    return mark.join(text(part) for part in parts)


def replace(value: str, old: str, new: str) -> str:
    if not old:
        raise ArgumentFault("the text to look for is empty")
    return value.replace(old, new)


def pad_left(value: Json, width: int, char: str = " ") -> str:
    if len(char) != 1:
        raise ArgumentFault("a text is filled up with one character")
    if width > _MOST_PADDED:
        raise ArgumentFault(f"a text is filled up to {_MOST_PADDED} characters at most")
    return text(value).rjust(width, char)


def substring(value: str, start: int, count: int | None = None) -> str:
    if not 0 <= start <= len(value):
        raise ArgumentFault(f"{start} is not inside of {len(value)} characters")
    if count is None:
        return value[start:]
    if count < 0 or start + count > len(value):
        raise ArgumentFault(f"{count} from {start} is not inside of {len(value)} characters")
    return value[start : start + count]


def like(value: str, pattern: str) -> bool:
    parts = ".*".join(re.escape(part) for part in pattern.split("*"))
    return bool(re.fullmatch(parts, value, re.IGNORECASE | re.DOTALL))


def order(value: Json) -> Json:
    """Texts are compared as words are: "a" before "B"."""
    return (value.lower(), value.swapcase()) if isinstance(value, str) else value


def decode(value: str) -> str:
    """The text behind Base64; also of the letters of addresses, and without the last marks."""
    data = "".join(value.split()).replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(data + "=" * (-len(data) % 4), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise ArgumentFault("the text is no Base64 of a text") from None


def encode(value: str) -> str:
    return base64.b64encode(value.encode("utf-8")).decode("ascii")


def read_json(value: str) -> Json:
    try:
        return json.loads(value)
    except json.JSONDecodeError as fault:
        raise ArgumentFault(f"the text is no JSON ({fault})") from None


def decode_json(value: str) -> Json:
    return read_json(decode(value))


def data_uri(value: Json) -> str:
    return "data:text/plain;charset=utf-8;base64," + encode(text(value))


def from_data_uri(value: str) -> str:
    head, mark, body = value.partition(",")
    if not mark or not head.lower().startswith("data:"):
        raise ArgumentFault("the text is no data URI")
    return decode(body) if head.lower().endswith(";base64") else unquote(body)


def uri(base: str, relative: str) -> str:
    """An address from another, in the form that .NET writes: a host has at least the path /."""
    if not (isinstance(base, str) and isinstance(relative, str)):
        raise ArgumentFault(f"{called(base)} and {called(relative)} stand where strings are wanted")
    start = urlsplit(base)
    if not start.scheme or not start.netloc:
        raise ArgumentFault("the first text is no whole address, for instance https://example.com/")
    found = urlsplit(urljoin(base, relative))
    user, mark, host = found.netloc.rpartition("@")
    host = host.lower()
    if (port := _PORTS.get(found.scheme)) is not None:
        host = host.removesuffix(f":{port}")
    place = found._replace(netloc=user + mark + host, path=found.path or "/")
    return urlunsplit(place)


def uri_component(value: str) -> str:
    return quote(value, safe="-_.~")


def uri_component_to_string(value: str) -> str:
    return unquote(value)
