"""Parts of a query's text for those who write operators otherwise: lists, brackets, literals."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.localcloud.logs.kql.syntax import Token, by_depth

Tokens = Sequence[Token]


class NotAsDocumented(Exception):  # noqa: N818
    """The operator is not written as its page says."""


@dataclass(frozen=True)
class Operator:
    """One operator of a pipeline, or a source: its word and the tokens behind it.

    Attributes:
        start, end: Offsets in the text, the bar included.
        source: Whether the pipeline begins with it.
    """

    word: str
    args: Tokens
    start: int
    end: int
    source: bool


def written(query: str, part: Tokens) -> str:
    """The text of some tokens in a row."""
    return query[part[0].start : part[-1].end] if part else ""


def listed(part: Tokens, separator: str = ",") -> list[Tokens]:
    """The parts of a list between separators, outside brackets."""
    parts: list[list[Token]] = [[]]
    for _, depth, token in by_depth(part):
        if token.text == separator and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def after(part: Tokens, word: str) -> tuple[Tokens, Tokens]:
    """What stands before and behind a word outside brackets; nothing behind if it is not there."""
    for index, depth, token in by_depth(part):
        if token.text == word and depth == 0:
            return part[:index], part[index + 1 :]
    return part, ()


def string(text: str) -> str:
    """A string literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MEANT = {"t": "\t", "n": "\n", "r": "\r", "0": "\0"}


def text_of(literal: str) -> str:
    """The text that a string literal stands for."""
    if literal[:1] in "hH":
        literal = literal[1:]
    if literal[:1] == "@":
        quote = literal[1]
        return literal[2:-1].replace(quote * 2, quote)
    return _ESCAPE.sub(lambda found: _MEANT.get(found[1], found[1]), literal[1:-1])


def bracketed(part: Tokens, at: int) -> Tokens:
    """What stands in the brackets that open at an index."""
    if part[at].text != "(":
        raise NotAsDocumented
    depth = 0
    for index in range(at, len(part)):
        depth += (part[index].text == "(") - (part[index].text == ")")
        if not depth:
            return part[at + 1 : index]
    raise NotAsDocumented


def replaced(query: str, part: Tokens, of: Callable[[int], str | None]) -> str:
    """The text of tokens with some of them written otherwise."""
    text, at = "", part[0].start
    for index, token in enumerate(part):
        new = of(index)
        if new is not None:
            text += query[at : token.start] + new
            at = token.end
    return text + query[at : part[-1].end]


def stand_in(name: str, *arguments: str) -> str:
    """The operator that `nodes.py` writes once it knows the columns."""
    return f"| extend ['$op'] = __local_{name}({', '.join(map(string, arguments))})"
