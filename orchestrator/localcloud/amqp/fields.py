"""Fields of frame bodies, outcomes and errors, checked: of their kind, or `AmqpError` is raised.

`frame` and `field` are for the words of the refusal (amqp:invalid-field).
"""

from __future__ import annotations

from typing import Any

from .errors import INVALID_FIELD, AmqpError


def wrong(frame: str, field: str) -> AmqpError:
    """What is raised for a field that is missing or of the wrong kind."""
    return AmqpError(INVALID_FIELD, f"The field {field} of {frame} is missing or not valid.")


def number(value: Any, frame: str, field: str, largest: int = 0xFFFFFFFF) -> int:
    """A mandatory unsigned integer. Raises `AmqpError` (invalid-field)."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= largest:
        raise wrong(frame, field)
    return int(value)


def optional_number(
    value: Any, frame: str, field: str, default: int, largest: int = 0xFFFFFFFF
) -> int:
    """An unsigned integer that may be null, which means `default`."""
    return default if value is None else number(value, frame, field, largest)


def text(value: Any, frame: str, field: str) -> str | None:
    """A string or symbol, or null."""
    if value is not None and not isinstance(value, str):
        raise wrong(frame, field)
    return value


def flag(value: Any, frame: str, field: str) -> bool:
    """A boolean; null means false."""
    if value is None:
        return False
    if not isinstance(value, bool):
        raise wrong(frame, field)
    return value


def mapping(value: Any, frame: str, field: str) -> dict[Any, Any]:
    """A map; null means an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong(frame, field)
    return value
