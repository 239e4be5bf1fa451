"""Resource locks: what they forbid.

A lock at a scope holds for everything below it. `CanNotDelete` forbids deletions, `ReadOnly` every
change and every action ("Lock your Azure resources to protect your infrastructure"). What contains
a locked resource cannot be deleted either.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from orchestrator.localcloud.arm.access import operation
from orchestrator.localcloud.arm.errors import ArmError

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.ids import ResourceId
    from orchestrator.localcloud.arm.provider import Call
    from orchestrator.localcloud.arm.store import ResourceStore

LOCKS = "Microsoft.Authorization/locks"
READ_ONLY = "ReadOnly"


def check(call: Call) -> None:
    """Refuse what a lock forbids.

    Raises:
        ArmError: 409 `ScopeLocked`, naming the locks' scopes.
    """
    if call.method in ("GET", "HEAD") or call.id.type.lower() == LOCKS.lower():
        return
    records = call.arm.store.records(LOCKS)
    if not records:
        return
    name, scope = operation(call.method, call.id)
    where = scope.key
    locked = []
    for record in records:
        at = record.id.scope.lower()
        if not _above(at, where) and not (call.method == "DELETE" and _above(where, at)):
            continue
        level = str(record.read()["properties"].get("level", ""))
        if call.method == "DELETE" or level == READ_ONLY:
            locked.append(record.id.scope or "/")
    if locked:
        verb = "delete" if call.method == "DELETE" else "write"
        if call.method == "POST":
            verb = name.split("/")[-2]
        raise _locked(scope.text, verb, locked)


def check_read_only(store: ResourceStore, id: ResourceId, verb: str, *, inside: bool) -> None:
    """Refuse to do something to what is locked against changes.

    Args:
        id: What it is done to.
        verb: What it is, for the refusal.
        inside: Whether locks of what lies in it forbid it, too.

    Raises:
        ArmError: 409 `ScopeLocked`, naming the locks' scopes.
    """
    locked = [
        record.id.scope or "/"
        for record in store.records(LOCKS)
        if (_above(at := record.id.scope.lower(), id.key) or (inside and _above(id.key, at)))
        and record.read()["properties"].get("level") == READ_ONLY
    ]
    if locked:
        raise _locked(id.text, verb, locked)


def _above(at: str, where: str) -> bool:
    """Whether one scope is the other or contains it."""
    return not at or f"{where}/".startswith(f"{at}/")


def _locked(scope: str, verb: str, locked: Iterable[str]) -> ArmError:
    return ArmError(
        "ScopeLocked",
        f"The scope '{scope}' cannot perform {verb} operation because following scope(s) are "
        f"locked: '{', '.join(dict.fromkeys(locked))}'. Please remove the lock and try again.",
        409,
    )
