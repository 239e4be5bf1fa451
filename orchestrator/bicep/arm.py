"""Expressions of the template language: built, written as text, and read back.

A template's string is an expression when it stands in brackets: `[concat('a', parameters('b'))]`.
Source: Azure Resource Manager's documentation of template syntax and expressions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

Json = object

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_INT32 = range(-(2**31), 2**31)


@dataclass(slots=True, frozen=True)
class Lit:
    """A string or a whole number inside an expression."""

    value: str | int


@dataclass(slots=True, frozen=True)
class Fn:
    """A function's call, and what is read from its result: `name(args).props[…]`."""

    name: str
    args: tuple[Arm, ...] = ()
    props: tuple[Arm, ...] = ()


Arm = Lit | Fn


def fn(name: str, *args: Arm) -> Fn:
    return Fn(name, args)


def text(value: str) -> Lit:
    return Lit(value)


def number(value: int) -> Arm:
    """A whole number; the language's own literals end at 32 bits, JSON's do not."""
    return Lit(value) if value in _INT32 else Fn("json", (Lit(str(value)),))


def as_fn(arm: Arm) -> Fn:
    """Something that a property can be read from."""
    if isinstance(arm, Fn):
        return arm
    return Fn("string" if isinstance(arm.value, str) else "int", (arm,))


def read(arm: Arm, *props: Arm) -> Fn:
    base = as_fn(arm)
    return Fn(base.name, base.args, (*base.props, *props))


def _write(arm: Arm, out: list[str]) -> None:
    if isinstance(arm, Lit):
        if isinstance(arm.value, str):
            out.append("'" + arm.value.replace("'", "''") + "'")
        else:
            out.append(str(arm.value))
        return
    out.append(arm.name)
    out.append("(")
    for index, arg in enumerate(arm.args):
        if index:
            out.append(", ")
        _write(arg, out)
    out.append(")")
    for prop in arm.props:
        if isinstance(prop, Lit) and isinstance(prop.value, str) and _IDENTIFIER.match(prop.value):
            out.append("." + prop.value)
        else:
            out.append("[")
            _write(prop, out)
            out.append("]")


def escape(value: str) -> str:
    """A string of a template that is not meant as an expression."""
    return "[" + value if value.startswith("[") and value.endswith("]") else value


def to_text(arm: Arm) -> str:
    """The string to put in the template."""
    if isinstance(arm, Lit) and isinstance(arm.value, str):
        return escape(arm.value)
    out = ["["]
    _write(arm, out)
    out.append("]")
    return "".join(out)


def escape_json(value: Json) -> Json:
    """A JSON value (of a file that was read) as literal content of a template."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, dict):
        return {escape(key): escape_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escape_json(item) for item in value]
    return value


def double(value: float) -> str:
    """A number with a fraction as .NET writes it: the shortest digits that read back the same,
    no fraction of nothing (`1`), with an exponent (`1E+15`, `1E-05`) beyond 15 places before the
    point or from 4 zeros behind it (`Double.ToString` of .NET Core 3.0 and later)."""
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    if not isinstance(exponent, int):
        return repr(value)
    point = len(digits) + exponent  # how many digits stand before the point
    text = "".join(map(str, digits))
    before = "-" if sign else ""
    if value and (point > 15 or point < -3):
        fraction = f".{text[1:]}" if text[1:] else ""
        return f"{before}{text[0]}{fraction}E{point - 1:+03d}"
    if point <= 0:
        return f"{before}0.{'0' * -point}{text}" if value else f"{before}0"
    fraction = f".{text[point:]}" if text[point:] else ""
    return f"{before}{text[:point].ljust(point, '0')}{fraction}"


def from_json(value: Json) -> Arm:
    """A JSON value inside an expression."""
    if isinstance(value, bool):
        return Fn("true" if value else "false")
    if value is None:
        return Fn("null")
    if isinstance(value, int):
        return number(value)
    if isinstance(value, float):
        return Fn("json", (Lit(double(value)),))
    if isinstance(value, str):
        return Lit(value)
    if isinstance(value, list):
        return Fn("createArray", tuple(from_json(item) for item in value))
    if isinstance(value, dict):
        pairs: list[Arm] = []
        for key, item in value.items():
            pairs += (Lit(str(key)), from_json(item))
        return Fn("createObject", tuple(pairs))
    raise TypeError(f"no JSON value: {value!r}")


def rewrite(arm: Arm, change: Callable[[Fn], Fn]) -> Arm:
    """The expression with each call replaced, from the inside out."""
    if isinstance(arm, Lit):
        return arm
    return change(
        Fn(
            arm.name,
            tuple(rewrite(arg, change) for arg in arm.args),
            tuple(rewrite(prop, change) for prop in arm.props),
        )
    )


def calls(arm: Arm) -> Iterable[Fn]:
    stack: list[Arm] = [arm]
    while stack:
        current = stack.pop()
        if isinstance(current, Fn):
            yield current
            stack.extend(current.args)
            stack.extend(current.props)


_TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(-?\d+)|([A-Za-z_][\w.#$]*)|([()\[\],.]))")


class ExpressionError(ValueError):
    """A template's string in brackets that is no expression."""


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0

    def take(self) -> tuple[int, str]:
        found = _TOKEN.match(self.source, self.at)
        if found is None or found.lastindex is None:
            raise ExpressionError(self.source)
        self.at = found.end()
        return found.lastindex, found.group(found.lastindex)

    def peek(self) -> str:
        found = _TOKEN.match(self.source, self.at)
        return found.group(found.lastindex) if found and found.lastindex else ""

    def value(self) -> Arm:
        kind, token = self.take()
        if kind == 1:
            return Lit(token[1:-1].replace("''", "'"))
        if kind == 2:
            return Lit(int(token))
        if kind != 3 or self.peek() != "(":
            raise ExpressionError(self.source)
        self.take()
        args: list[Arm] = []
        while self.peek() != ")":
            args.append(self.value())
            if self.peek() == ",":
                self.take()
            elif self.peek() != ")":
                raise ExpressionError(self.source)
        self.take()
        props: list[Arm] = []
        while True:
            mark = self.peek()
            if mark == ".":
                self.take()
                for part in self.take()[1].split("."):
                    props.append(Lit(part))
            elif mark == "[":
                self.take()
                props.append(self.value())
                self.take()
            else:
                return Fn(token, tuple(args), tuple(props))


def is_expression(value: str) -> bool:
    return value.startswith("[") and value.endswith("]") and not value.startswith("[[")


def parse(value: str) -> Arm:
    """A template's string as an expression.

    Raises: ExpressionError when it is in brackets and can't be read.
    """
    if not is_expression(value):
        literal = value[1:] if value.startswith("[[") and value.endswith("]") else value
        return Lit(literal)
    reader = _Reader(value[1:-1])
    found = reader.value()
    if reader.source[reader.at :].strip():
        raise ExpressionError(value)
    return found


def rewrite_json(value: Json, change: Callable[[Fn], Fn]) -> Json:
    """A part of a template with each call in its expressions replaced."""
    if isinstance(value, str):
        return to_text(rewrite(parse(value), change)) if is_expression(value) else value
    if isinstance(value, dict):
        return {
            (to_text(rewrite(parse(key), change)) if is_expression(key) else key): rewrite_json(
                item, change
            )
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [rewrite_json(item, change) for item in value]
    return value


def calls_json(value: Json) -> Iterable[Fn]:
    if isinstance(value, str):
        if is_expression(value):
            yield from calls(parse(value))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from calls_json(key)
            yield from calls_json(item)
    elif isinstance(value, list):
        for item in value:
            yield from calls_json(item)
