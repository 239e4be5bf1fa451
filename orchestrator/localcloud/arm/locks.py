"""Resource locks: what they forbid.

A lock at a scope holds for everything below it. `CanNotDelete` forbids deletions, `ReadOnly` every
change and every action ("Lock your Azure resources to protect your infrastructure"). What contains
a locked resource cannot be deleted either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.localcloud.arm.access import operation
from orchestrator.localcloud.arm.errors import ArmError

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.provider import Call

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
        above = not at or where == at or where.startswith(at + "/")
        inside = call.method == "DELETE" and at.startswith(where + "/")
        if not above and not inside:
            continue
        level = str(record.read()["properties"].get("level", ""))
        if call.method == "DELETE" or level == READ_ONLY:
            locked.append(record.id.scope or "/")
    if locked:
        verb = "delete" if call.method == "DELETE" else "write"
        if call.method == "POST":
            verb = name.split("/")[-2]
        raise ArmError(
            "ScopeLocked",
            f"The scope '{scope.text}' cannot perform {verb} operation because following scope(s) "
            f"are locked: '{', '.join(dict.fromkeys(locked))}'. Please remove the lock and try "
            "again.",
            409,
        )
