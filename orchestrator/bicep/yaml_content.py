"""YAML that is read while compiling, as the values that JSON has.

Source: YAML 1.2's core schema: yes, no, dates and 1:20 are strings.
"""

from __future__ import annotations

import math
import re
from typing import Any

_MOST_VALUES = 1_000_000
_SCALARS = (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("int", r"^[-+]?(?:0b[01_]+|0[0-7_]*|[1-9][0-9_]*|0x[0-9a-fA-F_]+)$", "-+0123456789"),
    (
        "float",
        r"^[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[0-9][0-9_]*[eE][-+]?[0-9]+"
        r"|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))$|^\.(?:nan|NaN|NAN)$",
        "-+0123456789.",
    ),
)
_TAG = "tag:yaml.org,2002:"


def read_yaml(text: str) -> Any:
    """The value of a YAML document.

    Raises: ValueError when it is none, or is no value of JSON.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            """A property's name is a text, whatever else it could be."""
            self.flatten_mapping(node)
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode):
                    key.tag = _TAG + "str"
            return super().construct_mapping(node, deep)

    others = {_TAG + name for name in ("timestamp", "bool", "int", "float")}
    Loader.yaml_implicit_resolvers = {
        first: [(tag, expression) for tag, expression in resolvers if tag not in others]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    for name, expression, firsts in _SCALARS:
        Loader.add_implicit_resolver(_TAG + name, re.compile(expression), list(firsts))
    try:
        found = yaml.load(text, Loader)  # noqa: S506 -- derived from SafeLoader
    except yaml.YAMLError as fault:
        raise ValueError(str(fault).splitlines()[0]) from None
    _count(found, {})
    return found


def _count(value: Any, counted: dict[int, int]) -> int:
    """How many values there are, with what an alias repeats.

    Raises: ValueError for too many, for one that holds itself, and for what JSON has not.
    """
    if not isinstance(value, (dict, list)):
        plain = value is None or isinstance(value, (str, int, float))
        if not plain or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"JSON has no value for {value!r}")
        return 1
    key = id(value)
    if key in counted:
        if counted[key] == 0:
            raise ValueError("an alias holds itself")
        return counted[key]
    counted[key] = 0
    inner = value.values() if isinstance(value, dict) else value
    total = 1 + sum(_count(one, counted) for one in inner)
    if total > _MOST_VALUES:
        raise ValueError(f"its aliases make it more than {_MOST_VALUES} values")
    counted[key] = total
    return total
