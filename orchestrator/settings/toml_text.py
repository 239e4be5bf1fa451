"""Writing TOML: the standard library reads it, and writes none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


class Inline(dict[str, Any]):
    """A table that is written in one line: `{ secret = "x" }`."""


def key(name: str) -> str:
    """A key, in quotes where it has to be."""
    return name if _BARE.fullmatch(name) else text(name)


def text(value: str) -> str:
    """A basic string; JSON's strings are such, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def inline(value: Any) -> str:
    """A value on one line, tables in braces."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key(k)} = {inline(v)}" for k, v in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return text(str(value))


def tables(path: tuple[str, ...], values: Mapping[str, Any]) -> str:
    """`[path]` with its values, a line each, then the tables inside of it.

    A list of tables becomes `[[…]]`; an `Inline` table stays in its line.
    """
    plain = {k: v for k, v in values.items() if not _is_table(v)}
    lines = [f"[{_path(path)}]", *(f"{key(k)} = {inline(v)}" for k, v in plain.items()), ""]
    parts = ["\n".join(lines)]
    for name, value in values.items():
        if name in plain:
            continue
        if isinstance(value, Mapping):
            parts.append(tables((*path, name), value))
            continue
        for item in value:
            head, _, rest = tables((*path, name), item).partition("\n")
            parts.append(f"[{head}]\n{rest}")
    return "\n".join(parts)


def _path(path: tuple[str, ...]) -> str:
    return ".".join(key(part) for part in path)


def _is_table(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_is_table(item) for item in value)
    return isinstance(value, Mapping) and not isinstance(value, Inline)
