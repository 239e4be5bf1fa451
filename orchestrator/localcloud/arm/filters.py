"""`$filter`: the part of OData that Resource Manager's lists understand.

    resourceType eq 'Microsoft.App/jobs' and (location eq 'westeurope' or startswith(name, 'a'))
    properties/status ne 'Running'        properties/startTime ge 2026-01-01T00:00:00Z

A name is looked up in the item, then in its `properties`, without regard to case; texts compare
without regard to case, moments as moments (OData 4.01 URL conventions, section 5.1.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

from orchestrator.localcloud.arm.errors import ArmError

Item = dict[str, Any]
_Value = Callable[[Item], Any]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')"
    r"|(?P<moment>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?)"
    r"|(?P<number>-?\d+(?:\.\d+)?)(?![\w-])"
    r"|(?P<word>[A-Za-z_$@][\w./-]*)"
    r"|(?P<mark>[(),]))"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: bool(a == b),
    "ne": lambda a, b: bool(a != b),
    "gt": lambda a, b: bool(a > b),
    "ge": lambda a, b: bool(a >= b),
    "lt": lambda a, b: bool(a < b),
    "le": lambda a, b: bool(a <= b),
}
_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "startswith": lambda a, b: a.startswith(b),
    "endswith": lambda a, b: a.endswith(b),
    "contains": lambda a, b: b in a,
    "substringof": lambda a, b: a in b,
}
_MISSING = object()


def compile_filter(text: str, names: Collection[str] | None = None) -> Callable[[Item], bool]:
    """Turn a `$filter` into a test of one item.

    Args:
        text: The filter.
        names: What it may ask for, in small letters; None: anything.

    Raises:
        ArmError: `InvalidFilterInQueryString` (400), with the position and what is expected there.
    """
    return _Parser(text, names).whole()


class _Parser:
    def __init__(self, text: str, names: Collection[str] | None) -> None:
        self._text = text
        self._names = names
        self._tokens: list[tuple[str, str, int]] = []
        at = 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._wrong(at, "a name, a value or an operator")
            kind = str(match.lastgroup)
            self._tokens.append((kind, match.group(kind), match.start(kind)))
            at = match.end()
        self._at = 0
        self._depth = 0

    def whole(self) -> Callable[[Item], bool]:
        test = self._either()
        if self._at < len(self._tokens):
            raise self._wrong(self._tokens[self._at][2], "'and', 'or' or the end")
        return test

    def _either(self) -> Callable[[Item], bool]:
        tests = [self._both()]
        while self._take("or"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda item: any(test(item) for test in tests)

    def _both(self) -> Callable[[Item], bool]:
        tests = [self._one()]
        while self._take("and"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda item: all(test(item) for test in tests)

    def _one(self) -> Callable[[Item], bool]:
        self._depth += 1
        if self._depth > 50:
            raise self._wrong(self._position(), "fewer levels")
        try:
            if self._take("not"):
                inner = self._one()
                return lambda item: not inner(item)
            if self._take("("):
                test = self._either()
                self._need(")")
                return test
            return self._test()
        finally:
            self._depth -= 1

    def _test(self) -> Callable[[Item], bool]:
        kind, word, position = self._next("a name or '('")
        if kind == "word" and self._take("("):
            return self._call(word, position)
        left = self._operand(kind, word, position)
        _, operator, at = self._next("eq, ne, gt, ge, lt or le")
        compare = _COMPARE.get(operator.lower())
        if compare is None:
            raise self._wrong(at, "eq, ne, gt, ge, lt or le")
        right = self._operand(*self._next("a value"))
        return lambda item: _compare(operator.lower(), compare, left(item), right(item))

    def _call(self, name: str, position: int) -> Callable[[Item], bool]:
        arguments: list[_Value] = []
        while not self._take(")"):
            if arguments:
                self._need(",")
            arguments.append(self._operand(*self._next("a value")))
        lower = name.lower()
        if lower in ("atscope", "atexactscope") and not arguments:
            return lambda item: True
        if lower in ("assignedto", "principalid") and len(arguments) == 1:
            wanted = arguments[0]
            return lambda item: _plain(_find(item, "principalId")) == _plain(wanted(item))
        if lower == "has" and len(arguments) == 2:
            holder, sought = arguments
            return lambda item: (
                isinstance(values := holder(item), list)
                and _plain(sought(item)) in [_plain(value) for value in values]
            )
        function = _FUNCTIONS.get(lower)
        if function is None or len(arguments) != 2:
            raise self._wrong(position, "startswith, endswith, contains or substringof(a, b)")
        first, second = arguments

        def test(item: Item) -> bool:
            a, b = _plain(first(item)), _plain(second(item))
            return isinstance(a, str) and isinstance(b, str) and function(a, b)

        return test

    def _operand(self, kind: str, word: str, position: int) -> _Value:
        if kind == "text":
            text = word[1:-1].replace("''", "'")
            return lambda item: text
        if kind == "number":
            number = float(word)
            return lambda item: number
        if kind == "moment":
            return lambda item: word
        if kind == "word":
            if word.lower() in ("true", "false", "null"):
                constant = {"true": True, "false": False, "null": _MISSING}[word.lower()]
                return lambda item: constant
            if self._names is not None and word.lower() not in self._names:
                raise self._wrong(position, f"one of {', '.join(self._names)}")
            return lambda item: _find(item, word)
        raise self._wrong(position, "a name or a value")

    def _next(self, expected: str) -> tuple[str, str, int]:
        if self._at >= len(self._tokens):
            raise self._wrong(len(self._text), expected)
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, word: str) -> bool:
        if self._at < len(self._tokens):
            kind, text, _ = self._tokens[self._at]
            if kind != "text" and text.lower() == word:
                self._at += 1
                return True
        return False

    def _need(self, word: str) -> None:
        if not self._take(word):
            raise self._wrong(self._position(), f"'{word}'")

    def _position(self) -> int:
        return self._tokens[self._at][2] if self._at < len(self._tokens) else len(self._text)

    def _wrong(self, position: int, expected: str) -> ArmError:
        return ArmError(
            "InvalidFilterInQueryString",
            f"The $filter '{self._text[:200]}' cannot be read at position {position + 1}: "
            f"{expected} is expected there.",
            400,
        )


def _find(item: Item, path: str) -> Any:
    value = _walk(item, path)
    if value is _MISSING and isinstance(item.get("properties"), dict):
        value = _walk(item["properties"], path)
    if value is not _MISSING:
        return value
    # What the resource list filters by has other names than the resource has.
    lower = path.lower()
    if lower == "resourcetype":
        return item.get("type", _MISSING)
    if lower == "resourcegroup":
        parts = str(item.get("id", "")).split("/")
        return parts[4] if len(parts) > 4 and parts[3].lower() == "resourcegroups" else _MISSING
    return _MISSING


def _walk(value: Any, path: str) -> Any:
    for step in re.split(r"[/.]", path):
        if not isinstance(value, dict):
            return _MISSING
        lower = step.lower()
        for key, inner in value.items():
            if key.lower() == lower:
                value = inner
                break
        else:
            return _MISSING
    return value


def _compare(operator: str, compare: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    if left is _MISSING or right is _MISSING:
        return compare(left is _MISSING, right is _MISSING) if operator in ("eq", "ne") else False
    moments = _moment(left), _moment(right)
    if moments[0] is not None and moments[1] is not None:
        return compare(*moments)
    left, right = _plain(left), _plain(right)
    try:
        return compare(left, right)
    except TypeError:
        return False


def _plain(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str) or len(value) < 10 or not value[:4].isdigit():
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
