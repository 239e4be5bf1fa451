"""The grammar of template language expressions: text in brackets to a tree.

    [concat(parameters('prefix'), '-', copyIndex())]
    [reference('store').primaryEndpoints.blob]
    [variables('sizes')[parameters('kind')]]

A text that starts with `[[` is the text itself, without its first bracket (Azure's documentation
"Syntax and expressions in ARM templates").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from orchestrator.localcloud.templates.errors import ExpressionError

MAX_LENGTH = 24_576
"""Characters in one expression (ARM limits)."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A text or a number."""

    value: str | int | float


@dataclass(frozen=True, slots=True)
class Invocation:
    """`name(arguments)`; a user-defined function has its namespace in the name: `ns.name`."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Access:
    """`target.name` or `target[index]`; `name` tells how it was written, for messages."""

    target: Node
    index: Node


Node: TypeAlias = Literal | Invocation | Access

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)"
    r"|(?P<name>[A-Za-z_$][\w$]*)|(?P<mark>[()\[\].,]))"
)


def is_expression(text: str) -> bool:
    """Whether a text of a template is to be evaluated."""
    return text.startswith("[") and text.endswith("]") and not text.startswith("[[")


def expressions(value: Any) -> Iterator[str]:
    """Every expression in a value of a template."""
    if isinstance(value, str):
        if is_expression(value):
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from expressions(item)
    elif isinstance(value, list):
        for item in value:
            yield from expressions(item)


def unescaped(text: str) -> str:
    """A text that is no expression, as it is meant."""
    return text[1:] if text.startswith("[[") and text.endswith("]") else text


@lru_cache(maxsize=8192)
def parse(text: str) -> Node:
    """The tree of an expression, brackets included.

    Raises:
        ExpressionError: It is no expression; says where.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            f"The template language expression is longer than {MAX_LENGTH} characters."
        )
    try:
        return _Parser(text[1:-1]).whole()
    except RecursionError:
        raise ExpressionError("The template language expression is nested too deeply.") from None


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str, int]] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                if not text[at:].strip():
                    break
                raise self._wrong(at)
            kind = str(match.lastgroup)
            self._tokens.append((kind, match.group(kind), match.start(kind)))
            at = match.end()
        self._at = 0

    def _wrong(self, at: int | None = None) -> ExpressionError:
        if at is None:
            at = self._tokens[self._at][2] if self._at < len(self._tokens) else len(self._text)
        found = self._text[at : at + 20].strip()
        what = f"'{found}' is not expected there" if found else "it ends too early"
        return ExpressionError(
            f"Unable to parse language expression '{_short(self._text)}': {what} (character {at})."
        )

    def _peek(self) -> str:
        if self._at < len(self._tokens) and self._tokens[self._at][0] == "mark":
            return self._tokens[self._at][1]
        return ""

    def _take(self, mark: str) -> None:
        if self._peek() != mark:
            raise self._wrong()
        self._at += 1

    def whole(self) -> Node:
        node = self._node()
        if self._at != len(self._tokens):
            raise self._wrong()
        return node

    def _node(self) -> Node:
        node = self._primary()
        while True:
            mark = self._peek()
            if mark == ".":
                self._at += 1
                node = Access(node, Literal(self._name()))
            elif mark == "[":
                self._at += 1
                index = self._node()
                self._take("]")
                node = Access(node, index)
            else:
                return node

    def _name(self) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] != "name":
            raise self._wrong()
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _primary(self) -> Node:
        if self._at >= len(self._tokens):
            raise self._wrong()
        kind, value, _ = self._tokens[self._at]
        if kind == "text":
            self._at += 1
            return Literal(value[1:-1].replace("''", "'"))
        if kind == "number":
            self._at += 1
            return Literal(float(value) if any(c in value for c in ".eE") else int(value))
        name = self._name()
        while self._peek() == ".":
            self._at += 1
            name = f"{name}.{self._name()}"
        self._take("(")
        arguments: list[Node] = []
        if self._peek() != ")":
            arguments.append(self._node())
            while self._peek() == ",":
                self._at += 1
                arguments.append(self._node())
        self._take(")")
        return Invocation(name, tuple(arguments))


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "…"
