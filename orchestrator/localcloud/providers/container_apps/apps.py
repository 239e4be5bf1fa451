"""`Microsoft.App/containerApps`: checked, kept and shown as the service does; nothing runs of them.

Templates that deploy jobs often deploy an app beside them, and read its address.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import missing, parse
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Handler, ResourceType
from orchestrator.localcloud.arm.shapes import Shape
from orchestrator.localcloud.identity import Identity
from orchestrator.localcloud.providers.container_apps.app_revisions import (
    APPS,
    KEY,
    address,
    revise,
)
from orchestrator.localcloud.providers.container_apps.app_rules import check_properties
from orchestrator.localcloud.providers.container_apps.configuration_rules import check_name
from orchestrator.localcloud.providers.container_apps.environments import (
    environment_of,
    surroundings,
)
from orchestrator.localcloud.providers.container_apps.stream_token import stream_token
from orchestrator.localcloud.providers.spelling import respell

RUNNING, STOPPED = "Running", "Stopped"

_READ_ONLY = (
    *("provisioningState", "runningStatus", "latestRevisionName", "latestReadyRevisionName"),
    *("latestRevisionFqdn", "customDomainVerificationId", "outboundIpAddresses"),
    *("eventStreamEndpoint", KEY),
)


class Apps(ResourceType):
    """A container app."""

    type: ClassVar[str] = APPS
    read_only: ClassVar[tuple[str, ...]] = _READ_ONLY
    shape: ClassVar[Shape] = {"properties": {"configuration": {"ingress": {}}, "template": {}}}
    # "… using JSON Merge Patch", says the reference of its PATCH.
    patch_merges_tags: ClassVar[bool] = True
    tracked: ClassVar[bool] = True
    create_status: ClassVar[int] = 201

    def __init__(self, identity: Identity | None = None) -> None:
        self._identity = identity

    def parse(self, raw: bytes) -> Any:
        """The body, its names in the API's spelling."""
        return respell(super().parse(raw))

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check everything that Container Apps checks; its revisions, addresses, defaults."""
        name = call.id.name
        if old is None:
            check_name(name, "ContainerApp")
        properties = resource["properties"]
        before = (old or {}).get("properties") or {}
        for key in _READ_ONLY:
            properties.pop(key, None)
        properties[KEY] = copy.deepcopy(before.get(KEY, []))
        # The older name, which the service still shows beside the new one.
        older = properties.pop("managedEnvironmentId", None)
        if properties.get("environmentId") is None and older is not None:
            properties["environmentId"] = older
        environment = environment_of(call, properties, before, "app")
        properties["managedEnvironmentId"] = environment["id"]
        configuration = properties.get("configuration")
        if isinstance(configuration, dict):
            _keep_secrets(configuration, before.get("configuration") or {})
        network = environment["properties"].get("vnetConfiguration") or {}
        check_properties(
            properties,
            surroundings(resource, environment, "app"),
            own_network=bool(network.get("infrastructureSubnetId")),
        )
        resource.setdefault("identity", {"type": "None"})
        ingress = properties["configuration"].get("ingress")
        if ingress is not None:
            inside = "" if ingress["external"] else "internal."
            domain = environment["properties"]["defaultDomain"]
            ingress["fqdn"] = f"{name}.{inside}{domain}"
        revise(name, properties, before, call.arm.clock.time())
        properties["latestRevisionFqdn"] = address(resource, properties["latestRevisionName"])
        properties["customDomainVerificationId"] = verification_id(call)
        properties["outboundIpAddresses"] = ["127.0.0.1"]
        properties["runningStatus"] = before.get("runningStatus", RUNNING)
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without the values of secrets, with where its logs stream from."""
        properties = resource["properties"]
        properties.pop(KEY, None)
        for secret in _secrets(properties.get("configuration")):
            secret.pop("value", None)
        id = parse(resource["id"])
        properties["eventStreamEndpoint"] = (
            f"{call.base}/subscriptions/{id.subscription}/resourceGroups/{id.group}"
            f"/containerApps/{id.name}/eventstream"
        )
        return resource

    def busy(self, call: Call) -> ArmError:
        """Container Apps takes one change of an app at a time."""
        return ArmError(
            "ContainerAppOperationInProgress",
            f"Cannot modify a container app '{call.id.name}' because there is an active "
            "provisioning operation in progress. Wait for it to end, then send the request again.",
            409,
        )

    def actions(self) -> Mapping[str, Handler]:
        """Everything that can be done to an app."""
        return {
            "start": self._start,
            "stop": self._stop,
            "listSecrets": self._list_secrets,
            "getAuthToken": self._token,
            "listCustomHostNameAnalysis": self._analyse,
        }

    def reads(self) -> Mapping[str, Handler]:
        """Itself, as diagnostics read it."""
        return {"detectorProperties/rootApi": self._root}

    async def _root(self, call: Call) -> Answer:
        return await self.show(call, _stored(call))

    async def _start(self, call: Call) -> Answer:
        return await self._set_status(call, RUNNING)

    async def _stop(self, call: Call) -> Answer:
        return await self._set_status(call, STOPPED)

    async def _set_status(self, call: Call, status: str) -> Answer:
        def change(app: JSON) -> None:
            app["properties"]["runningStatus"] = status

        return await self.show(call, await call.arm.changes.alter(call, change))

    async def _list_secrets(self, call: Call) -> Answer:
        configuration = _stored(call)["properties"].get("configuration")
        return {"value": copy.deepcopy(_secrets(configuration))}

    async def _token(self, call: Call) -> Answer:
        app = _stored(call)
        assert self._identity is not None
        return stream_token(self._identity, call, app)

    async def _analyse(self, call: Call) -> Answer:
        """What keeps a host name from the app: that another one has it; no DNS is asked here."""
        host = call.query.get("customhostname", "").lower()
        app = _stored(call)
        mine = parse(app["id"]).key
        having = [
            parse(other["id"])
            for other in call.arm.store.of_type(APPS)
            for domain in _domains(other)
            if str(domain.get("name", "")).lower() == host
        ]
        others = [id.text for id in having if id.key != mine]
        answer: JSON = {
            "hostName": host,
            "isHostnameAlreadyVerified": len(having) > len(others),
            "customDomainVerificationTest": "Skipped",
            "hasConflictOnManagedEnvironment": bool(others),
        }
        if others:
            answer["conflictingContainerAppResourceId"] = others[0]
        return answer


def verification_id(call: Call) -> str:
    """What the TXT record of a custom domain must hold: one text for the subscription."""
    return hashlib.sha256(call.arm.subscription.lower().encode()).hexdigest().upper()


def _stored(call: Call) -> JSON:
    app = call.arm.store.get(call.id)
    if app is None:
        raise missing(call.id)
    return app


def _domains(app: JSON) -> list[JSON]:
    ingress = app["properties"].get("configuration", {}).get("ingress") or {}
    return ingress.get("customDomains") or []


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
