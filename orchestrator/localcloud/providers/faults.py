"""Collects what is wrong with a body, so that a caller hears of everything at once."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from orchestrator.localcloud.arm.errors import ArmError

INVALID = "InvalidRequestParameterWithDetails"


class Faults:
    """Faults of one request body, each at a path such as `template.containers[0].name`."""

    def __init__(self) -> None:
        self._found: list[ArmError] = []

    def add(self, path: str, message: str, code: str = INVALID) -> None:
        """Note a fault: `message` is a whole sentence."""
        self._found.append(ArmError(code, message, 400, target=path or None))

    def __len__(self) -> int:
        return len(self._found)

    def raise_any(self) -> None:
        """Raise the one fault there is, or one that lists them all.

        Raises:
            ArmError: 400.
        """
        if not self._found:
            return
        if len(self._found) == 1:
            raise self._found[0]
        first = self._found[0]
        raise ArmError(
            first.code,
            "The following field(s) are either invalid or missing. "
            + " ".join(fault.message for fault in self._found),
            400,
            target=first.target,
            details=self._found,
        )

    # ------------------------------------------------------------ reading values ----

    def object(self, value: Any, path: str) -> dict[str, Any]:
        """`value` if it is an object, else `{}` (a fault, unless it is missing)."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.add(path, f"'{path}' must be an object, not {_kind(value)}.")
            return {}
        return value

    def array(self, value: Any, path: str) -> list[Any]:
        """`value` if it is an array, else `[]` (a fault, unless it is missing)."""
        if value is None:
            return []
        if not isinstance(value, list):
            self.add(path, f"'{path}' must be an array, not {_kind(value)}.")
            return []
        return value

    def objects(self, value: Any, path: str) -> Iterable[tuple[str, dict[str, Any]]]:
        """The objects of an array, each with its path."""
        for index, item in enumerate(self.array(value, path)):
            at = f"{path}[{index}]"
            if isinstance(item, dict):
                yield at, item
            else:
                self.add(at, f"'{at}' must be an object, not {_kind(item)}.")

    def text(self, value: Any, path: str, *, required: bool = False) -> str:
        """`value` if it is a text, else `""`."""
        if value is None or value == "":
            if required:
                self.add(path, f"'{path}' is missing.")
            return ""
        if not isinstance(value, str):
            self.add(path, f"'{path}' must be a text, not {_kind(value)}.")
            return ""
        return value

    def texts(self, value: Any, path: str) -> list[str]:
        """The texts of an array."""
        return [
            self.text(item, f"{path}[{index}]")
            for index, item in enumerate(self.array(value, path))
        ]

    def whole(
        self,
        holder: dict[str, Any],
        name: str,
        path: str,
        *,
        least: int,
        default: int | None = None,
    ) -> int:
        """The whole number `holder[name]`, at least `least`; the default is filled in.

        Without a default it is required.
        """
        at = f"{path}.{name}"
        value = holder.get(name, default)
        if value is None:
            self.add(at, f"'{at}' is missing.")
            return least
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
            value = int(value)
        if isinstance(value, float) and math.isfinite(value) and value == int(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.add(at, f"'{at}' must be a whole number, not {_kind(value)}.")
            return least
        if value < least:
            self.add(at, f"'{at}' is {value}; it must be at least {least}.")
        elif value > 2**31 - 1:
            self.add(at, f"'{at}' is {value}; it must be at most {2**31 - 1}.")
        holder[name] = value
        return value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return f"the boolean {json.dumps(value)}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return "a text"
    return "an array" if isinstance(value, list) else "an object" if value is not None else "null"
