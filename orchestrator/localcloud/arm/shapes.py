"""What form a body must have before a provider looks at what is in it.

A shape is written as the body is: an object with the shapes of members that matter, a list with the
shape of its items, `str` for a text. What is missing, and what no shape speaks of, may be anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from orchestrator.localcloud.arm.errors import ArmError

Shape: TypeAlias = "Mapping[str, Shape] | Sequence[Shape] | type[str]"


def check_shape(value: Any, shape: Shape, path: str = "") -> None:
    """See to it that a value has a shape.

    Args:
        value: Of a body, without nulls.
        shape: What it must look like.
        path: Where it is, for the refusal.

    Raises:
        ArmError: 400 `InvalidRequestFormat`, naming the place.
    """
    if value is None:
        return
    if shape is str:
        if not isinstance(value, str):
            raise _other(path, "a text")
    elif isinstance(shape, Mapping):
        if not isinstance(value, dict):
            raise _other(path, "an object")
        for name, inner in shape.items():
            check_shape(value.get(name), inner, f"{path}.{name}" if path else name)
    elif isinstance(shape, Sequence):
        if not isinstance(value, list):
            raise _other(path, "a list")
        for index, item in enumerate(value):
            at = f"{path}[{index}]"
            if item is None:
                raise _other(at, "no null")
            for inner in shape:
                check_shape(item, inner, at)


def _other(path: str, wanted: str) -> ArmError:
    return ArmError(
        "InvalidRequestFormat", f"Cannot parse the request: '{path}' must be {wanted}.", target=path
    )
