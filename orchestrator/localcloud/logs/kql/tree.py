"""Trees as duckdb-kql makes them of queries: every node of one, and one made anew."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any


def walk(root: object) -> Sequence[object]:
    """Every node of a tree."""
    found: list[object] = []
    stack: list[object] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, list | tuple):
            stack.extend(node)
        elif dataclasses.is_dataclass(node) and not isinstance(node, type):
            found.append(node)
            stack.extend(getattr(node, field.name) for field in dataclasses.fields(node))
    return found


def rebuilt(node: Any, change: Callable[[Any], Any]) -> Any:
    """The node with `change` applied to each thing directly inside; itself if nothing changes."""
    if isinstance(node, list | tuple):
        items = [change(item) for item in node]
        same = all(new is old for new, old in zip(items, node, strict=True))
        return node if same else type(node)(items)
    if not dataclasses.is_dataclass(node) or isinstance(node, type):
        return node
    changed = {}
    for field in dataclasses.fields(node):
        old = getattr(node, field.name)
        new = change(old)
        if new is not old:
            changed[field.name] = new
    return dataclasses.replace(node, **changed) if changed else node
