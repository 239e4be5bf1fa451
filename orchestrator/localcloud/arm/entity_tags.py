"""Entity tags in bodies: what services show of a resource's tag beside the header."""

from __future__ import annotations

from orchestrator.localcloud.arm.provider import JSON, Call

WEAK = 'W/"{}"'
"""How Microsoft.Network and most others write it in a body."""


def tagged(call: Call, resource: JSON, form: str = "{}") -> JSON:
    """A shown resource with the tag under which it is stored, as its `etag`.

    Args:
        call: Whose store it is looked up in.
        resource: With its `id`; changed in place and returned.
        form: How the service writes it: `{}` bare, as Private DNS does, or `WEAK`.
    """
    record = call.arm.store.record(resource["id"])
    if record is not None:
        resource["etag"] = form.format(record.etag)
    return resource
