"""The words of a SQL filter or action."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, NamedTuple


class SqlError(Exception):
    """The text is no filter or action; says where and why."""


class Token(NamedTuple):
    """kind: 'number', 'string', 'name' (a bare word), 'delimited' (a name in brackets or double
    quotes), 'parameter', 'symbol', 'end'. text: as written. value: of numbers, strings, names."""

    kind: str
    text: str
    value: Any
    place: int

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these keywords (given in capitals)."""
        return self.kind == "name" and self.text.upper() in words

    def is_symbol(self, *symbols: str) -> bool:
        return self.kind == "symbol" and self.text in symbols


_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![A-Za-z0-9_])
  | '(?P<string>(?:[^']|'')*)'
  | \[(?P<bracketed>(?:[^\]]|\]\])*)\]
  | "(?P<quoted>(?:[^"]|"")*)"
  | (?P<parameter>@[^\W\d][\w.$-]*)
  | (?P<name>[^\W\d][\w$]*)
  | (?P<symbol><>|!=|<=|>=|[=<>+\-*/%(),.;])
  )""",
    re.VERBOSE,
)


def tokenize(text: str) -> list[Token]:
    """All tokens, the last of kind 'end'. Raises SqlError."""
    tokens: list[Token] = []
    place = 0
    end = len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            start = place + len(text[place:]) - len(text[place:].lstrip())
            raise SqlError(f"{text[start : start + 10]!r} at character {start + 1} has no meaning")
        kind = str(match.lastgroup)
        raw = match.group(kind)
        start = match.start(kind)
        place = match.end()
        if kind == "number":
            tokens.append(Token(kind, raw, _number(raw), start))
        elif kind == "string":
            tokens.append(Token(kind, raw, raw.replace("''", "'"), start))
        elif kind == "bracketed":
            tokens.append(Token("delimited", raw, raw.replace("]]", "]"), start))
        elif kind == "quoted":
            tokens.append(Token("delimited", raw, raw.replace('""', '"'), start))
        else:
            tokens.append(Token(kind, raw, raw, start))
    tokens.append(Token("end", "", None, end))
    return tokens


def _number(text: str) -> int | float | Decimal:
    """An integer, a decimal (with a point) or an approximate number (with an exponent)."""
    if "e" in text.lower():
        return float(text)
    return Decimal(text) if "." in text else int(text)
