"""The words of a KQL text: enough of its syntax to see where statements and operators are.

Strings and comments are seen as such, so that a bar or a semicolon in them is none of the
language's. https://learn.microsoft.com/kusto/query/scalar-data-types/string (string literals).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_WORD = re.compile(
    r"(?P<space>\s+|//[^\n]*)"
    r"|(?P<text>[hH]?@\"(?:[^\"]|\"\")*\"|[hH]?@'(?:[^']|'')*'|```.*?```|~~~.*?~~~"
    r"|[hH]?\"(?:\\.|[^\"\\\n])*\"|[hH]?'(?:\\.|[^'\\\n])*')"
    r"|(?P<name>[A-Za-z_][\w]*(?:-(?:away|keep|rename|reorder|where|kv|expand|apply|series|by"
    r"|statistics|match|nonempty))?)"
    r"|(?P<number>\d[\w.]*)"
    r"|(?P<mark>.)",
    re.DOTALL,
)
_OPEN, _CLOSE = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class Word:
    """One word: its kind (text, name, number, mark), how it is written, where, how deep inside
    brackets."""

    kind: str
    text: str
    start: int
    depth: int


def words(query: str) -> Iterator[Word]:
    """The words of a query, without spaces and comments; a closing bracket is outside itself."""
    depth = 0
    for match in _WORD.finditer(query):
        kind = str(match.lastgroup)
        if kind == "space":
            continue
        text = match[0]
        if text in _CLOSE and kind == "mark":
            depth = max(0, depth - 1)
        yield Word(kind, text, match.start(), depth)
        if text in _OPEN and kind == "mark":
            depth += 1


def statements(query: str) -> list[list[Word]]:
    """The statements of a query, each as its words; empty ones are left out."""
    found: list[list[Word]] = [[]]
    for word in words(query):
        if word.text == ";" and word.kind == "mark" and word.depth == 0:
            found.append([])
        else:
            found[-1].append(word)
    return [statement for statement in found if statement]
