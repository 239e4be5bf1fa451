"""`checkNameAvailability`: whether something may have a name, and why not."""

from __future__ import annotations

from orchestrator.localcloud.arm.provider import JSON, Call


def asked_name(call: Call) -> str:
    """The name that a request asks about; "" for none."""
    return str(call.object().get("name", ""))


def available() -> JSON:
    """It may be taken."""
    return {"nameAvailable": True}


def unavailable(reason: str, message: str) -> JSON:
    """reason: in the service's own words for "not allowed" or "taken"."""
    return {"nameAvailable": False, "reason": reason, "message": message}


def is_taken(call: Call, type_: str, name: str) -> bool:
    """Whether a resource of this type has the name, in any group and in any case of letters."""
    return any(record.id.name.lower() == name.lower() for record in call.arm.store.records(type_))
