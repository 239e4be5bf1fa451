"""What an Application Insights component may cost: its daily cap, which caps nothing here.

https://learn.microsoft.com/rest/api/application-insights/component-current-billing-features
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from orchestrator.localcloud.arm.content import strip_nulls
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Handler

_PATH = (
    "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Insights/components/{}"
    "/currentbillingfeatures"
)
_CAP: JSON = {
    "Cap": 100,
    "WarningThreshold": 90,
    "ResetTime": 0,
    "StopSendNotificationWhenHitThreshold": False,
    "StopSendNotificationWhenHitCap": False,
    "MaxHistoryCap": 1000,
}


def billing_routes() -> Mapping[tuple[str, str], Handler]:
    """Reading and setting them: of a component as a whole, as if they were a collection of it."""
    return {("GET", _PATH): _get, ("PUT", _PATH): _put}


async def _component(call: Call) -> ResourceId:
    """Where they are kept: inside the component, with which they go. Raises ArmError (404)."""
    component = parse(call.id.text.rpartition("/")[0])
    await call.arm.require(call, component)
    return component.child("currentbillingfeatures", "current")


async def _get(call: Call) -> Answer:
    stored = call.arm.store.get(await _component(call)) or {}
    return {
        "CurrentBillingFeatures": stored.get("CurrentBillingFeatures", ["Basic"]),
        "DataVolumeCap": {**_CAP, **stored.get("DataVolumeCap", {})},
    }


async def _put(call: Call) -> Answer:
    kept = await _component(call)
    body = strip_nulls(call.object())
    cap, features = body.get("DataVolumeCap", {}), body.get("CurrentBillingFeatures", ["Basic"])
    if not isinstance(cap, dict) or not isinstance(features, list):
        raise ArmError(
            "InvalidRequestContent",
            "'DataVolumeCap' must be an object, and 'CurrentBillingFeatures' a list.",
        )
    resource = {
        "id": kept.text,
        "name": kept.name,
        "type": kept.type,
        "CurrentBillingFeatures": features,
        "DataVolumeCap": cap,
    }
    async with call.arm.changes.turn(kept):
        await call.arm.store.write(put=[(kept, resource, secrets.token_hex(8))])
    return await _get(call)
