"""Slips in a TOML file: on which line a key is, and what was meant where the file cannot be read.

`tomllib` says where it stopped, in the words of its grammar ("illegal character '\\n'"); the usual
slips are said here as what they are. Its words are kept where none of these fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_PART = r"""(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)"""
_NAME = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_NAME})\s*\]")
_KEY = re.compile(rf"\s*({_NAME})\s*=")
_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")
_NOTHING = ("none", "null", "nil")


def keys(text: str) -> Iterator[tuple[int, str]]:
    """(line, key path) of every table's head and every key that begins a line, in their order.

    Paths are written as problems name them: `jobs.sender.scale.rules[0].queue`.
    """
    table, tables, in_text = "", dict[str, int](), False
    for number, line in enumerate(text.splitlines(), 1):
        was_in_text = in_text
        if (line.count('"""') + line.count("'''")) % 2:
            in_text = not in_text
        if was_in_text:
            continue
        if head := _HEADER.match(line):
            table = _path(head[2])
            if head[1] == "[[":
                tables[table] = tables.get(table, -1) + 1
                table = f"{table}[{tables[table]}]"
            yield number, table
        elif key := _KEY.match(line):
            yield number, f"{table}.{_path(key[1])}" if table else _path(key[1])


def _path(name: str) -> str:
    """A dotted key, quoted where it has to be."""
    parts = re.findall(_PART, name)
    plain = [part[1:-1] if part[0] in "\"'" else part for part in parts]
    return ".".join(p if re.fullmatch(r"[A-Za-z0-9_-]+", p) else f'"{p}"' for p in plain)


def line_of(text: str, path: str) -> int | None:
    """The line of a key, else of the nearest table that it is or would be in; else None."""
    lines: dict[str, int] = {}
    for number, found in keys(text):
        lines.setdefault(found, number)
    while path and path not in lines:
        path = re.sub(r"""(?:\[\d+\]|\."[^"]*"|\.[^."\[\]]+|^[^.\[\]]+)$""", "", path, count=1)
    return lines.get(path)


def place_and_slip(message: str, text: str) -> tuple[str, str]:
    """(`line 3, column 7`, what is wrong there) of what `tomllib` says of a text."""
    found = _PLACE.search(message)
    if found is None:
        what = message.removesuffix(" (at end of document)")
        if what.startswith(("Expected '\\'", "Expected \"\\'", "Expected \"'", "Unterminated")):
            return "end of file", "the last text has no quote at its end"
        return "end of file" if what != message else "", _small(what)
    what, line, column = message[: found.start()], int(found[1]), int(found[2])
    rows = text.splitlines()
    row = rows[line - 1] if line <= len(rows) else ""
    return f"line {line}, column {column}", _slip(what, text, line, row, column) or _small(what)


def _small(what: str) -> str:
    what = re.sub(r"\('(.*?)',?\)", lambda k: "[" + k[1].replace("', '", ".") + "]", what)
    return what[:1].lower() + what[1:]


def _slip(what: str, text: str, line: int, row: str, column: int) -> str:
    rest, before = row[column - 1 :], row[: column - 1]
    if what.startswith(("Cannot overwrite", "Cannot declare", "Cannot mutate", "Cannot redefine")):
        return _twice(text, line)
    if what.startswith("Illegal character '\\n'"):
        return f"a quote is missing at the end of the text: {before.rpartition('=')[2].strip()}"
    if what == "Invalid value":
        return _no_value(rest)
    if what.startswith("Expected newline or end of document"):
        word = re.search(r"=\s*([\w.:+-]*)$", before)
        if rest.startswith("//"):
            return "a comment begins with #, not with //"
        if word and re.match(r"\w", rest):
            written = word[1] + re.match(r"[\w.:+/-]*", rest)[0]  # type: ignore[index]
            return f'{written} is no number; text is in quotes: "{written}"'
        return f"nothing can follow the value on its line, as {rest.strip()} does"
    if what.startswith("Expected '=' after a key"):
        if rest.startswith(":"):
            return "write = between a key and its value, not :"
        return f"after the key {before.strip()} there has to be = and a value"
    if what.startswith("Expected ']'"):
        return "the ] that ends the name of a table is missing"
    if what == "Unclosed array":
        return "the list before this has no ] at its end, or a comma is missing in it"
    if what.startswith(("Invalid hex value", "Unescaped '\\'")):
        return "a backslash begins an escape: write it twice, or the text between ' and '"
    if what.startswith("Invalid initial character for a key part") and "{" in before and not rest:
        return "a table in { } stands on one line; one with more lines is a [table] of its own"
    return ""


def _twice(text: str, line: int) -> str:
    """What is on this line and on an earlier one, too."""
    found = list(keys(text))
    path = next((path for number, path in found if number == line), "")
    first = next((number for number, other in found if other == path), line)
    table, _, key = path.rpartition(".")
    head = bool(_HEADER.match(text.splitlines()[line - 1])) if path else False
    if not path or first == line:
        return ""
    if head:
        return f"[{path}] is there already, on line {first}: put its keys together"
    where = f" in [{table}]" if table else ""
    return f'the key "{key}" is there already{where}, on line {first}: keep one of the two'


def _no_value(rest: str) -> str:
    word = (re.match(r"[^\s,#\]}]*", rest) or [""])[0]
    if not word:
        return "the value after = is missing"
    if word[0] in "“”„‘’«":
        return 'quotes are straight ones: "…"'
    if word.lower() in ("true", "false"):
        return f"write {word.lower()} in small letters"
    if word.lower() in _NOTHING:
        return "there is no such value: leave the key out"
    return f'{word} is no value; text is in quotes: "{word}"' if word[0].isalpha() else ""
