"""The activity log: what was changed, by whom, how it ended.

Every request that is no read leaves one event, also one that was refused, as the control plane of
Azure does ("Azure activity log event schema", category Administrative). Reads are not in it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from orchestrator.localcloud.arm.access import operation
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.provider import JSON, Call, Reply

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.store import ResourceStore

KEEP = 90 * 24 * 3600
"""Seconds for which Azure keeps events."""

_CLAIMS = ("aud", "iss", "iat", "nbf", "exp", "appid", "oid", "tid", "ver", "idtyp", "xms_mirid")
_TICKS = datetime(1, 1, 1, tzinfo=UTC)


def record(call: Call, outcome: Reply | ArmError) -> None:
    """Note what became of a request that was no read, in the store of its Resource Manager."""
    if call.id.subscription is None:
        return
    name, scope = operation(call.method, call.id)
    now = call.arm.clock.time()
    failed = isinstance(outcome, ArmError)
    status = HTTPStatus(outcome.status) if outcome.status in _STATUSES else HTTPStatus.OK
    word = status.phrase.replace(" ", "")
    number = str(uuid.uuid4())
    resource = scope.text if call.method == "POST" else call.id.text
    properties: JSON = {
        "statusCode": word,
        "entity": resource,
        "message": name,
        "hierarchy": f"{call.arm.tenant}/{call.id.subscription}",
    }
    if isinstance(outcome, ArmError):
        properties["statusMessage"] = json.dumps(outcome.body())
    event: JSON = {
        "authorization": {"action": name, "scope": resource},
        "caller": str(call.claims.get("upn") or call.claims.get("oid") or ""),
        "category": _pair("Administrative"),
        "channels": "Operation",
        "claims": {key: str(call.claims[key]) for key in _CLAIMS if key in call.claims},
        "correlationId": call.correlation or number,
        "description": "",
        "eventDataId": number,
        "eventName": {"value": "EndRequest", "localizedValue": "End request"},
        "eventTimestamp": iso(now),
        "httpRequest": {
            "clientRequestId": call.headers.get("x-ms-client-request-id", number),
            "clientIpAddress": "127.0.0.1",
            "method": call.method,
        },
        "id": f"{resource}/events/{number}/ticks/{_ticks(now)}",
        "level": "Error" if failed else "Informational",
        "operationId": call.correlation or number,
        "operationName": _pair(name),
        "properties": properties,
        "resourceGroupName": call.id.group or "",
        "resourceId": resource,
        "resourceProviderName": _pair(call.id.namespace or "Microsoft.Resources"),
        "resourceType": _pair(name.rpartition("/")[0].removesuffix("/action")),
        "status": _pair("Failed" if failed else "Succeeded"),
        "subStatus": {
            "value": word,
            "localizedValue": f"{status.phrase} (HTTP Status Code: {status.value})",
        },
        "submissionTimestamp": iso(now),
        "subscriptionId": call.arm.subscription,
        "tenantId": call.arm.tenant,
    }
    call.arm.store.note(event)


_STATUSES = frozenset(item.value for item in HTTPStatus)


def events(store: ResourceStore, now: float) -> Iterator[JSON]:
    """What the log still holds, newest first."""
    oldest = iso(now - KEEP)
    return (event for event in store.events() if event["eventTimestamp"] >= oldest)


def for_filter(event: JSON) -> JSON:
    """The event under the names that `$filter` uses for its parts."""
    return event | {
        "resourceUri": event["resourceId"],
        "resourceProvider": event["resourceProviderName"]["value"],
        "resourceGroup": event["resourceGroupName"],
        "status": event["status"]["value"],
        "levels": event["level"],
        "operations": event["operationName"]["value"],
        "operationName": event["operationName"]["value"],
        "resourceType": event["resourceType"]["value"],
        "eventChannels": "Admin, Operation",
    }


def _pair(value: str) -> dict[str, str]:
    return {"value": value, "localizedValue": value}


def _ticks(moment: float) -> int:
    return int((datetime.fromtimestamp(moment, UTC) - _TICKS).total_seconds() * 10_000_000)
