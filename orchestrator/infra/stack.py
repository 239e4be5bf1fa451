"""What a deployment stack says: its state, what failed in it, and what was there before it.

The last is ours: the stack's description remembers it, so that `destroy` keeps it from anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.errors import Conflict
from orchestrator.infra.following import innermost

MADE_BY = {"made-by": "orchestrator"}  # the tag of a resource group that was made here
BEFORE = "There before the first deployment, and kept by `orchestrator infra destroy`:"
TERMINAL = ("succeeded", "failed", "canceled")
_LONGEST = 4096  # characters of a stack's description


def kept_of(stack: Mapping[str, Any]) -> list[str]:
    """The ids of what was there before the first deployment, as the stack remembers them."""
    text = str((stack.get("properties") or {}).get("description") or "")
    _, found, lines = text.partition(BEFORE)
    return lines.split() if found else []


def description_of(kept: Sequence[str]) -> str:
    """What the stack remembers of the time before it. Raises Conflict when it is too much."""
    text = "\n".join([BEFORE, *kept]) if kept else ""
    if len(text) > _LONGEST:
        raise Conflict(
            f"{len(kept)} resources of the template are there already, made by something else: "
            "too many to remember, so that destroy could not keep them.",
            "Deploy to a resource group of its own, or let the template refer to them (existing).",
        )
    return text


def state_of(stack: Mapping[str, Any]) -> str:
    """Its provisioning state in small letters; "" where it says none."""
    return str((stack.get("properties") or {}).get("provisioningState") or "").lower()


def deployment_id(stack: Mapping[str, Any] | None) -> str:
    """The id of its newest deployment; "" where there is none."""
    return str(((stack or {}).get("properties") or {}).get("deploymentId") or "")


def reason(failed: Mapping[str, Any]) -> str:
    """Why one of its resources failed, in a few words."""
    code, message = innermost(failed.get("error") or {})
    return f"failed: {message or code}" if message or code else "failed"
