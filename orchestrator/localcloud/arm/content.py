"""Request bodies: reading, null-stripping, merging.

`az` sends many nulls and breaks when one comes back, so a null never reaches the store: in a PUT it
means "not given", in a PATCH "remove" (RFC 7396).
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from orchestrator.localcloud.arm.errors import ArmError, invalid_content

MAX_BODY = 4 * 1024 * 1024
"""Resource Manager takes at most 4 MiB (ARM limits, "request size")."""


def parse(raw: bytes) -> Any:
    """The JSON value of a body; None for an empty one.

    Raises:
        ArmError: `InvalidRequestContent`, saying where it went wrong.
    """
    if not raw.strip():
        return None
    try:
        return json.loads(raw.decode("utf-8-sig"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise invalid_content(
            f"The request content is not UTF-8: byte {error.start} cannot be decoded."
        ) from None
    except json.JSONDecodeError as error:
        raise invalid_content(
            "The request content was invalid and could not be deserialized: "
            f"{error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise invalid_content(
            f"The request content was invalid and could not be deserialized: {reason}."
        ) from None


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def strip_nulls(value: Any) -> Any:
    """A copy without any null member, at any depth (an array keeps its length)."""
    if isinstance(value, dict):
        return {key: strip_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [strip_nulls(item) for item in value]
    return value


def merge(target: Any, patch: Any) -> Any:
    """JSON Merge Patch (RFC 7396): a new value, neither argument is changed.

    Members are matched by their exact name; the arrays of a patch replace the old ones.
    """
    if not isinstance(patch, dict):
        return strip_nulls(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def child(value: Any, *path: str, where: str = "") -> dict[str, Any]:
    """The object at `path` inside `value`, `{}` where a step is missing.

    Raises:
        ArmError: 400, when what stands there is not an object.
    """
    at = where
    for step in path:
        at = f"{at}.{step}" if at else step
        value = value.get(step) if isinstance(value, dict) else None
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise ArmError(
                "InvalidRequestContent", f"The property '{at}' must be an object.", target=at
            )
    return value if isinstance(value, dict) else {}
