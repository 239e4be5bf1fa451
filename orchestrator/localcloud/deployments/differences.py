"""What differs between a resource as it is and as it will be, in the words of what-if.

    [{"path": "properties.lockDuration", "propertyChangeType": "Modify", "before": …, "after": …}]

Members of objects are named by a dotted path; what happens inside an array stands in `children`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from orchestrator.localcloud.arm.provider import JSON
from orchestrator.localcloud.durations import read_duration
from orchestrator.localcloud.templates.values import key_of, same

_UNSEEN = frozenset(("id", "name", "type", "apiversion"))
_OF_THE_SERVICE = frozenset(("systemdata", "etag", "provisioningstate"))
_ID = re.compile(r"/(subscriptions|providers)/", re.IGNORECASE)


def differences(before: JSON, after: JSON) -> list[JSON]:
    """The changes that lead from one resource to the other; none where they are equal."""
    return [
        change for change in _members("", before, after) if change["path"].lower() not in _UNSEEN
    ]


def _members(path: str, before: JSON, after: JSON) -> list[JSON]:
    found: list[JSON] = []
    for name, old in before.items():
        if name.lower() in _OF_THE_SERVICE:
            continue
        key = key_of(after, name)
        where = f"{path}.{name}" if path else name
        if key is None:
            if not empty(old):
                found.append(change(where, "Delete", old, None))
        else:
            found += _values(where, old, after[key])
    for name, new in after.items():
        if name.lower() in _OF_THE_SERVICE:
            continue
        if key_of(before, name) is None and not empty(new):
            found.append(change(f"{path}.{name}" if path else name, "Create", None, new))
    return found


def _values(path: str, old: Any, new: Any) -> list[JSON]:
    if equal(path, old, new):
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        return _members(path, old, new)
    if isinstance(old, list) and isinstance(new, list):
        children = _items(old, new)
        return [change(path, "Array", None, None, children)] if children else []
    if new is None:
        return [change(path, "Delete", old, None)]
    return [change(path, "Create" if old is None else "Modify", old, new)]


def _items(old: list[Any], new: list[Any]) -> list[JSON]:
    found: list[JSON] = []
    pairs = _paired(old, new)
    for at, (left, right) in enumerate(pairs):
        if left is _MISSING:
            found.append(change(str(at), "Create", None, right))
        elif right is _MISSING:
            found.append(change(str(at), "Delete", left, None))
        elif isinstance(left, dict) and isinstance(right, dict):
            inner = _members("", left, right)
            if inner:
                found.append(change(str(at), "Modify", None, None, inner))
        elif not equal("", left, right):
            found.append(change(str(at), "Modify", left, right))
    return found


_MISSING: Any = object()


def _paired(old: Sequence[Any], new: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Items that belong together: by name where they have one, by value, else by place."""
    if all(isinstance(item, dict) and "name" in item for item in [*old, *new]):
        theirs = {str(item["name"]).lower(): item for item in new}
        mine = {str(item["name"]).lower() for item in old}
        pairs = [(item, theirs.get(str(item["name"]).lower(), _MISSING)) for item in old]
        return pairs + [(_MISSING, v) for k, v in theirs.items() if k not in mine]
    if not any(isinstance(item, (dict, list)) for item in [*old, *new]):
        rest = list(new)
        pairs = []
        for item in old:
            match = next((one for one in rest if equal("", item, one)), _MISSING)
            if match is not _MISSING:
                rest.remove(match)
            pairs.append((item, match))
        return pairs + [(_MISSING, item) for item in rest]
    most = max(len(old), len(new))
    return [
        (old[at] if at < len(old) else _MISSING, new[at] if at < len(new) else _MISSING)
        for at in range(most)
    ]


def change(
    path: str, kind: str, before: Any, after: Any, children: list[JSON] | None = None
) -> JSON:
    """One entry of a delta."""
    return {
        "path": path,
        "propertyChangeType": kind,
        "before": before,
        "after": after,
        "children": children,
    }


def equal(path: str, old: Any, new: Any) -> bool:
    """Whether two values mean the same: locations and ids in any spelling."""
    if same(old, new):
        return True
    if isinstance(old, str) and isinstance(new, str):
        if path.lower() == "location" or path.lower().endswith(".location"):
            return old.replace(" ", "").lower() == new.replace(" ", "").lower()
        if _ID.search(old):
            return old.lower().rstrip("/") == new.lower().rstrip("/")
    return False


def ineffective(before: JSON, after: JSON, said: JSON, noise: list[JSON]) -> list[JSON]:
    """What a template says and the service does not take, as `NoEffect`.

    Args:
        before: The resource as it is.
        after: As it will be.
        said: As the template has it.
        noise: What changes at every look.
    """
    own = {item["path"].lower() for item in noise}
    found: list[JSON] = []

    def look(path: str, before: JSON, after: JSON, said: JSON) -> None:
        for name, value in said.items():
            was, will = key_of(before, name), key_of(after, name)
            where = f"{path}.{name}" if path else name
            if was is None or will is None or where.lower() in _UNSEEN:
                continue
            old, new = before[was], after[will]
            if isinstance(old, dict) and isinstance(new, dict) and isinstance(value, dict):
                look(where, old, new, value)
            elif (
                isinstance(value, (str, int, float))
                and (equal(where, old, new) or where.lower() in own)
                and not _meant(where, old, value)
            ):
                found.append(change(where, "NoEffect", old, value))

    look("", before, after, said)
    return found


def _meant(path: str, old: Any, said: Any) -> bool:
    """Whether a value that is said is the one that is there, however it is spelt."""
    if equal(path, old, said):
        return True
    left, right = str(old).lower().replace(" ", ""), str(said).lower().replace(" ", "")
    if left == right:
        return True
    durations = _seconds(left), _seconds(right)
    return durations[0] is not None and durations[0] == durations[1]


def _seconds(text: str) -> float | None:
    """Of an ISO 8601 duration; None for any other text."""
    try:
        return read_duration(text.upper(), "")
    except ValueError:
        return None


def empty(value: Any) -> bool:
    """Whether leaving it out means the same."""
    return value is None or value == {} or value == []


def without(changes: list[JSON], noise: list[JSON]) -> list[JSON]:
    """The changes that are not among `noise`: what changes at every look, at any depth."""
    unstable = {item["path"].lower(): item for item in noise}
    found = []
    for item in changes:
        same_place = unstable.get(item["path"].lower())
        if same_place is None:
            found.append(item)
        elif item["children"] and same_place["children"]:
            children = without(item["children"], same_place["children"])
            if children:
                found.append(item | {"children": children})
    return found
