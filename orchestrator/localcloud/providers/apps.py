"""`Microsoft.App/containerApps`: kept and shown as the service shows them; nothing runs of them.

Templates that deploy jobs often deploy an app beside them, and read its address.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import missing, parse
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Handler, ResourceType
from orchestrator.localcloud.providers.managed_environments import ENVIRONMENTS

APPS = "Microsoft.App/containerApps"


class Apps(ResourceType):
    """A container app."""

    type: ClassVar[str] = APPS
    # "… using JSON Merge Patch", says the reference of its PATCH.
    patch_merges_tags: ClassVar[bool] = True
    tracked: ClassVar[bool] = True
    create_status: ClassVar[int] = 201

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Its addresses, and its secrets' values that are not given again."""
        properties = resource["properties"]
        before = (old or {}).get("properties") or {}
        given = properties.get("environmentId") or properties.get("managedEnvironmentId")
        given = given or before.get("environmentId")
        environment = call.arm.store.get(parse(given)) if isinstance(given, str) else None
        if environment is None or environment["type"].lower() != ENVIRONMENTS.lower():
            raise ArmError(
                "ManagedEnvironmentNotFound",
                f"The managed environment '{given}' was not found. Create it first.",
                target="properties.environmentId",
            )
        properties["environmentId"] = properties["managedEnvironmentId"] = environment["id"]
        name = call.id.name
        domain = environment["properties"]["defaultDomain"]
        configuration = properties.get("configuration")
        if isinstance(configuration, dict):
            _keep_secrets(configuration, before.get("configuration") or {})
            configuration.setdefault("activeRevisionsMode", "Single")
            ingress = configuration.get("ingress")
            if isinstance(ingress, dict):
                inside = "" if ingress.setdefault("external", False) is True else "internal."
                ingress["fqdn"] = f"{name}.{inside}{domain}"
        properties["latestRevisionName"] = properties["latestReadyRevisionName"] = (
            f"{name}--0000001"
        )
        properties["latestRevisionFqdn"] = f"{name}--0000001.{domain}"
        properties["outboundIpAddresses"] = ["127.0.0.1"]
        properties["runningStatus"] = "Running"
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without the values of secrets."""
        for secret in _secrets(resource["properties"].get("configuration")):
            secret.pop("value", None)
        return resource

    def actions(self) -> Mapping[str, Handler]:
        """Its secrets."""
        return {"listSecrets": self._list_secrets}

    async def _list_secrets(self, call: Call) -> Answer:
        app = call.arm.store.get(call.id)
        if app is None:
            raise missing(call.id)
        return {"value": copy.deepcopy(_secrets(app["properties"].get("configuration")))}


def _secrets(configuration: Any) -> list[JSON]:
    found = configuration.get("secrets") if isinstance(configuration, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _keep_secrets(configuration: JSON, before: JSON) -> None:
    known = {secret.get("name"): secret.get("value") for secret in _secrets(before)}
    for secret in _secrets(configuration):
        for name in ("identity", "keyVaultUrl"):
            if secret.get(name) == "":
                del secret[name]
        if "value" not in secret and "keyVaultUrl" not in secret and secret.get("name") in known:
            secret["value"] = known[secret["name"]]
