"""JSON as templates are written: with comments, names without quotes, texts over several lines,
numbers that begin with their point.

`az` sends the text of a template file as it is, behind a name without quotes; Azure's own reader
takes all of this ("ARM template syntax", comments and multi-line strings).
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

_PIECE = re.compile(
    r'"(?:[^"\\]|\\.)*"'
    r"|'(?:[^'\\]|\\.)*'"
    r"|//[^\n]*|/\*.*?\*/"
    r"|(?<![\w.])\.\d+"
    r"|[A-Za-z_$][\w$-]*(?=\s*:)",
    re.DOTALL,
)
_AZ = re.compile(r"(?<=[,{])\s*template\s*:")
_LAST_COMMA = re.compile(r'"(?:[^"\\]|\\.)*"|,(?=\s*[}\]])', re.DOTALL)


def read(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: It is none; says where.
    """
    text = text.removeprefix("\ufeff")
    try:
        return json.loads(text, strict=False, parse_constant=_no_constant)
    except json.JSONDecodeError:
        pass
    try:
        # The form in which `az` sends a file that is JSON: most are, and this is 20 times faster.
        quick = _AZ.sub('"template":', text, count=1)
        return json.loads(quick, strict=False, parse_constant=_no_constant)
    except json.JSONDecodeError:
        plain = _LAST_COMMA.sub(_without_comma, _PIECE.sub(_strict, text))
        return json.loads(plain, strict=False, parse_constant=_no_constant)


def _strict(match: re.Match[str]) -> str:
    piece = match.group(0)
    if piece[0] == '"':
        return piece
    if piece[0] == "'":
        inner = piece[1:-1].replace("\\'", "'")
        return '"' + re.sub(r'(?<!\\)"', r"\"", inner) + '"'
    if piece[0] == ".":
        return f"0{piece}"
    if piece[0] == "/":
        # Line numbers of messages stay true.
        return " " + "\n" * piece.count("\n")
    return f'"{piece}"'


def _without_comma(match: re.Match[str]) -> str:
    return "" if match.group(0) == "," else match.group(0)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")
