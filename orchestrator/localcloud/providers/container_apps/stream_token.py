"""Tokens for log streams: the answer of `getAuthToken`."""

from __future__ import annotations

from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.provider import JSON, Call
from orchestrator.localcloud.identity import LOG_STREAM_AUDIENCE, Identity

LIFETIME = 3600
"""Seconds."""


def stream_token(identity: Identity, call: Call, resource: JSON) -> JSON:
    """A token with which the log streams of `resource` can be read."""
    token = identity.issue(
        LOG_STREAM_AUDIENCE,
        client_id=call.claims.get("appid"),
        object_id=call.claims.get("oid"),
        lifetime=LIFETIME,
        extra={"resource": resource["id"]},
    )
    kind = str(resource["type"]).replace("managedEnvironments", "environments")
    return {
        **{key: resource[key] for key in ("id", "name", "location")},
        # So spelt by the service.
        "type": f"{kind}/accesstoken",
        "properties": {"token": token, "expires": iso(identity.expiry(token))},
    }
