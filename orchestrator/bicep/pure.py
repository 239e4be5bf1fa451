"""Template functions whose result depends on nothing but their arguments."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
import re
import uuid
from collections.abc import Callable
from functools import cmp_to_key
from typing import Any
from urllib.parse import quote, unquote, urljoin

from orchestrator.bicep.evaluate import EvaluationFault

Json = Any

# guid() is a name-based identifier (RFC 4122, version 5) in this name space
_GUID_SPACE = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_MASK = 0xFFFFFFFF
_DURATION = re.compile(
    r"(-?)P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?"
    r"(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?"
)


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


def _format(shape: str, *args: Json) -> str:
    def replaced(found: re.Match[str]) -> str:
        if found.group() in ("{{", "}}"):
            return found.group()[0]
        value = args[int(found.group(1))]
        width, style = found.group(2), found.group(3)
        if style and isinstance(value, int) and not isinstance(value, bool):
            value = _number(value, style)
        shown = _quoted(value) if isinstance(value, (dict, list)) else text(value)
        if width:
            count = int(width)
            shown = shown.ljust(-count) if count < 0 else shown.rjust(count)
        return shown

    return re.sub(r"\{\{|\}\}|\{(\d+)(?:,(-?\d+))?(?::([^}]*))?\}", replaced, shape)


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
    count = int(digits) if digits.isdigit() else 0
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


def _truth(value: Json) -> bool:
    if isinstance(value, str):
        if value.lower() not in ("true", "false"):
            raise ValueError(f'"{value}" is neither true nor false')
        return value.lower() == "true"
    return bool(value)


def _concat(*args: Json) -> Json:
    if isinstance(args[0], list):
        return [item for part in args for item in part]
    return "".join(text(part) for part in args)


def _contains(where: Json, what: Json) -> bool:
    if isinstance(where, dict):
        return any(str(key).lower() == str(what).lower() for key in where)
    return what in where


def _empty(value: Json) -> bool:
    return value is None or len(value) == 0


def _merge(left: Json, right: Json) -> Json:
    found = dict(left)
    for key, value in right.items():
        same = next((name for name in found if name.lower() == key.lower()), key)
        if isinstance(found.get(same), dict) and isinstance(value, dict):
            found[same] = _merge(found[same], value)
        else:
            found[same] = value
    return found


def _distinct(items: list[Json]) -> list[Json]:
    found: list[Json] = []
    for item in items:
        if item not in found:
            found.append(item)
    return found


def _union(*args: Json) -> Json:
    if isinstance(args[0], dict):
        merged: Json = {}
        for arg in args:
            merged = _merge(merged, arg)
        return merged
    return _distinct([item for arg in args for item in arg])


def _intersection(*args: Json) -> Json:
    first, *rest = args
    if isinstance(first, dict):
        return {
            key: value
            for key, value in first.items()
            if all(key in other and other[key] == value for other in rest)
        }
    return _distinct([item for item in first if all(item in other for other in rest)])


def _index(where: Json, what: Json, *, last: bool = False) -> int:
    if isinstance(where, str):
        low, needle = where.lower(), str(what).lower()
        return low.rfind(needle) if last else low.find(needle)
    places = [place for place, item in enumerate(where) if item == what]
    return (places[-1] if last else places[0]) if places else -1


def _split(value: str, marks: Json) -> list[str]:
    if isinstance(marks, str):
        return value.split(marks) if marks else [value]
    return re.split("|".join(re.escape(mark) for mark in marks), value)


def _sort(items: list[Json], before: Callable[[Json, Json], bool]) -> list[Json]:
    def compare(left: Json, right: Json) -> int:
        if before(left, right):
            return -1
        return 1 if before(right, left) else 0

    return sorted(items, key=cmp_to_key(compare))


def _lambda_with_index(function: Any, item: Json, index: int) -> Json:
    return function(item, index) if len(function.names) > 1 else function(item)


def _reduce(items: list[Json], start: Json, step: Any) -> Json:
    value = start
    for index, item in enumerate(items):
        value = step(value, item, index) if len(step.names) > 2 else step(value, item)
    return value


def _to_object(items: list[Json], key: Any, value: Any = None) -> Json:
    return {str(key(item)): item if value is None else value(item) for item in items}


def _group_by(items: list[Json], key: Any, value: Any = None) -> Json:
    found: dict[str, list[Json]] = {}
    for item in items:
        found.setdefault(str(key(item)), []).append(item if value is None else value(item))
    return found


def _items(value: Json) -> list[Json]:
    return [{"key": key, "value": value[key]} for key in sorted(value, key=str.lower)]


def _like(value: str, pattern: str) -> bool:
    text = ".*".join(re.escape(part) for part in pattern.split("*"))
    return bool(re.fullmatch(text, value, re.IGNORECASE | re.DOTALL))


def _divide(left: int, right: int) -> int:
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _equals(left: Json, right: Json) -> bool:
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    return bool(left == right)


def _substring(value: str, start: int, count: int | None = None) -> str:
    end = len(value) if count is None else start + count
    if start < 0 or end > len(value):
        raise ValueError(f"{start} to {end} is not inside of {len(value)} characters")
    return value[start:end]


def _order(value: Json) -> Json:
    """Texts are compared as words are: "a" before "B"."""
    return (value.lower(), value.swapcase()) if isinstance(value, str) else value


def _range(start: int, count: int) -> list[int]:
    return list(range(start, start + count))


def _guid(*parts: str) -> str:
    return str(uuid.uuid5(_GUID_SPACE, "-".join(parts)))


def _rotate(value: int, by: int) -> int:
    return ((value << by) | (value >> (32 - by))) & _MASK


def _murmur(data: bytes) -> int:
    """The 64-bit hash (MurmurHash3's mixing over two 32-bit lanes) behind uniqueString()."""
    c1, c2 = 0x239B961B, 0xAB0E9789
    h1 = h2 = 0
    size = len(data)
    at = 0
    while at + 7 < size:
        k1 = int.from_bytes(data[at : at + 4], "little")
        k2 = int.from_bytes(data[at + 4 : at + 8], "little")
        k1 = _rotate(k1 * c1 & _MASK, 15) * c2 & _MASK
        h1 = ((_rotate(h1 ^ k1, 19) + h2) * 5 + 0x561CCD1B) & _MASK
        k2 = _rotate(k2 * c2 & _MASK, 17) * c1 & _MASK
        h2 = ((_rotate(h2 ^ k2, 13) + h1) * 5 + 0x0BCAA747) & _MASK
        at += 8
    tail = data[at:]
    if tail:
        k1 = int.from_bytes(tail[:4], "little")
        h1 ^= _rotate(k1 * c1 & _MASK, 15) * c2 & _MASK
        if len(tail) > 4:
            k2 = int.from_bytes(tail[4:], "little")
            h2 ^= _rotate(k2 * c2 & _MASK, 17) * c1 & _MASK
    h1 ^= size
    h2 ^= size
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    h1 = _mix(h1)
    h2 = _mix(h2)
    h1 = (h1 + h2) & _MASK
    h2 = (h2 + h1) & _MASK
    return h2 << 32 | h1


def _mix(value: int) -> int:
    value = (value ^ value >> 16) * 0x85EBCA6B & _MASK
    value = (value ^ value >> 13) * 0xC2B2AE35 & _MASK
    return value ^ value >> 16


def _unique_string(*parts: str) -> str:
    value = _murmur("-".join(parts).encode("utf-8"))
    found = ""
    for _ in range(13):
        found += _BASE32[value >> 59]
        value = value << 5 & 0xFFFFFFFFFFFFFFFF
    return found


def _moment(value: str) -> dt.datetime:
    parsed = dt.datetime.fromisoformat(value)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)


def _stamp(value: dt.datetime) -> str:
    return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _date_add(value: str, duration: str, shape: str | None = None) -> str:
    if shape:
        raise EvaluationFault("dateTimeAdd() with a format has no value here; leave it out.")
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise ValueError(f'"{duration}" is no duration')
    sign = -1 if found.group(1) else 1
    years, months, weeks, days, hours, minutes = (int(part or 0) for part in found.groups()[1:7])
    moment = _moment(value)
    month = moment.month - 1 + sign * (years * 12 + months)
    year, month = moment.year + month // 12, month % 12 + 1
    while True:
        try:
            moment = moment.replace(year=year, month=month)
            break
        except ValueError:
            moment -= dt.timedelta(days=1)
    seconds = float(found.group(8) or 0)
    moment += sign * dt.timedelta(
        weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds
    )
    if re.fullmatch(r"\d{8}T\d{6}Z", value):
        return moment.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    if "T" in value:
        return _stamp(moment)
    # a base in another form gives the machine's own form, which on Azure is the American one
    moment = moment.astimezone(dt.UTC)
    hour = moment.hour % 12 or 12
    half = "AM" if moment.hour < 12 else "PM"
    day = f"{moment.month}/{moment.day}/{moment.year}"
    return f"{day} {hour}:{moment.minute:02}:{moment.second:02} {half}"


def _cidr_subnet(network: str, prefix: int, index: int) -> str:
    parsed = ipaddress.ip_network(network, strict=False)
    step = 1 << (parsed.max_prefixlen - prefix)
    base = int(parsed.network_address) + index * step
    if prefix < parsed.prefixlen or base > int(parsed.broadcast_address):
        raise ValueError(f"{network} has no subnet {index} of /{prefix}")
    return f"{ipaddress.ip_address(base)}/{prefix}"


def _cidr_host(network: str, index: int) -> str:
    parsed = ipaddress.ip_network(network, strict=False)
    return str(parsed.network_address + index + 1)


def _parse_cidr(network: str) -> Json:
    parsed = ipaddress.ip_network(network, strict=False)
    # the first and the last address of a network have a meaning of their own in IPv4 only
    apart = 1 if parsed.version == 4 and parsed.prefixlen < 31 else 0
    found = {
        "network": str(parsed.network_address),
        "netmask": str(parsed.netmask),
        "broadcast": str(parsed.broadcast_address),
        "firstUsable": str(parsed.network_address + apart),
        "lastUsable": str(parsed.broadcast_address - apart),
        "cidr": parsed.prefixlen,
    }
    if parsed.version == 6:
        del found["broadcast"]
    return found


def _decode(value: str) -> str:
    return base64.b64decode(value).decode("utf-8")


def _encode(value: str) -> str:
    return base64.b64encode(value.encode("utf-8")).decode("ascii")


def _data_uri(value: Json) -> str:
    return "data:text/plain;charset=utf-8;base64," + _encode(text(value))


def _from_data_uri(value: str) -> str:
    head, _, body = value.partition(",")
    return _decode(body) if head.endswith(";base64") else unquote(body)


def _array(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _numbers(args: tuple[Json, ...]) -> list[int]:
    return list(args[0]) if len(args) == 1 and isinstance(args[0], list) else list(args)


def _fail(message: str) -> Json:
    raise EvaluationFault(message)


def _create_object(*pairs: Json) -> Json:
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def _shallow_merge(parts: list[Json]) -> Json:
    return {key: value for part in parts for key, value in part.items()}


FUNCTIONS: dict[str, Callable[..., Json]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": _divide,
    "mod": lambda a, b: a - b * _divide(a, b),
    "not": lambda a: not a,
    "equals": _equals,
    "less": lambda a, b: _order(a) < _order(b),
    "lessorequals": lambda a, b: _order(a) <= _order(b),
    "greater": lambda a, b: _order(a) > _order(b),
    "greaterorequals": lambda a, b: _order(a) >= _order(b),
    "createarray": lambda *args: list(args),
    "createobject": _create_object,
    "shallowmerge": _shallow_merge,
    "flatten": lambda parts: [item for part in parts for item in part],
    "array": _array,
    "base64": _encode,
    "base64tostring": _decode,
    "base64tojson": lambda value: json.loads(_decode(value)),
    "bool": _truth,
    "cidrhost": _cidr_host,
    "cidrsubnet": _cidr_subnet,
    "parsecidr": _parse_cidr,
    "concat": _concat,
    "contains": _contains,
    "datauri": _data_uri,
    "datauritostring": _from_data_uri,
    "datetimeadd": _date_add,
    "datetimefromepoch": lambda value: _stamp(dt.datetime.fromtimestamp(value, dt.UTC)),
    "datetimetoepoch": lambda value: int(_moment(value).timestamp()),
    "distinct": _distinct,
    "empty": _empty,
    "endswith": lambda value, part: value.lower().endswith(part.lower()),
    "fail": _fail,
    "filter": lambda items, keep: [
        item for index, item in enumerate(items) if _lambda_with_index(keep, item, index)
    ],
    "first": lambda value: value[0] if value else ("" if value == "" else None),
    "format": _format,
    "groupby": _group_by,
    "guid": _guid,
    "indexof": _index,
    "int": int,
    "intersection": _intersection,
    "items": _items,
    "join": lambda parts, mark: mark.join(text(part) for part in parts),
    "json": json.loads,
    "last": lambda value: value[-1] if value else ("" if value == "" else None),
    "lastindexof": lambda where, what: _index(where, what, last=True),
    "length": len,
    "like": _like,
    "map": lambda items, change: [
        _lambda_with_index(change, item, index) for index, item in enumerate(items)
    ],
    "mapvalues": lambda value, change: {key: change(item) for key, item in value.items()},
    "max": lambda *args: max(_numbers(args)),
    "min": lambda *args: min(_numbers(args)),
    "objectkeys": lambda value: sorted(value, key=str.lower),
    "padleft": lambda value, width, char=" ": text(value).rjust(width, char),
    "range": _range,
    "reduce": _reduce,
    "replace": lambda value, old, new: value.replace(old, new),
    "skip": lambda value, count: value[max(0, count) :],
    "sort": _sort,
    "split": _split,
    "startswith": lambda value, part: value.lower().startswith(part.lower()),
    "string": text,
    "substring": _substring,
    "take": lambda value, count: value[: max(0, count)],
    "tolower": str.lower,
    "toobject": _to_object,
    "toupper": str.upper,
    "trim": str.strip,
    "union": _union,
    "uniquestring": _unique_string,
    "uri": urljoin,
    "uricomponent": lambda value: quote(value, safe="-_.~"),
    "uricomponenttostring": unquote,
}
