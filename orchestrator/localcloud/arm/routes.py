"""Path patterns with holes: `/subscriptions/{}/resourceGroups/{}`, `stop/{}`.

Literal segments match without regard to case and win over holes.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.localcloud.arm.provider import Handler


class Routes:
    """Handlers by method and path."""

    def __init__(self) -> None:
        self._by_length: dict[int, list[tuple[tuple[str, ...], dict[str, Handler]]]] = {}

    @classmethod
    def of(cls, method: str, handlers: Mapping[str, Handler]) -> Routes:
        """Routes of one method."""
        routes = cls()
        for pattern, handler in handlers.items():
            routes.add(method, pattern, handler)
        return routes

    def add(self, method: str, pattern: str, handler: Handler) -> None:
        """Add a route; the same one twice is a mistake of the program."""
        parts = tuple(part.lower() for part in pattern.split("/") if part)
        entries = self._by_length.setdefault(len(parts), [])
        for known, handlers in entries:
            if known == parts:
                if method in handlers:
                    raise ValueError(f"{method} {pattern} is routed twice")
                handlers[method] = handler
                return
        entries.append((parts, {method: handler}))
        entries.sort(key=lambda entry: [part == "{}" for part in entry[0]])

    def find(self, method: str, path: str) -> tuple[Handler, tuple[str, ...]] | None:
        """The handler of a path and what stands in the holes; None where there is none."""
        parts = [part for part in path.split("/") if part]
        for pattern, handlers in self._by_length.get(len(parts), ()):
            values = _match(pattern, parts)
            if values is not None and method in handlers:
                return handlers[method], values
        return None

    def methods(self, path: str) -> tuple[str, ...]:
        """The methods that a path understands."""
        parts = [part for part in path.split("/") if part]
        return tuple(
            method
            for pattern, handlers in self._by_length.get(len(parts), ())
            if _match(pattern, parts) is not None
            for method in handlers
        )


def _match(pattern: tuple[str, ...], parts: list[str]) -> tuple[str, ...] | None:
    values = []
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted == "{}":
            values.append(part)
        elif wanted != part.lower():
            return None
    return tuple(values)
