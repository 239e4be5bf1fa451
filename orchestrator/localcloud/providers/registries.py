"""Microsoft.ContainerRegistry: registries, as far as Resource Manager knows them."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import missing, parse
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.provider import (
    JSON,
    Answer,
    Call,
    Handler,
    Provider,
    ResourceType,
)
from orchestrator.localcloud.providers.availability import (
    asked_name,
    available,
    is_taken,
    unavailable,
)
from orchestrator.localcloud.providers.network.private_link_connections import connections_of

REGISTRIES = "Microsoft.ContainerRegistry/registries"
_NAME = re.compile(r"[A-Za-z0-9]{5,50}")


class ContainerRegistry(Provider):
    """Microsoft.ContainerRegistry."""

    namespace: ClassVar[str] = "Microsoft.ContainerRegistry"

    def types(self) -> Iterable[ResourceType]:
        """Registries."""
        return [Registries()]

    def actions(self) -> Mapping[str, Handler]:
        """checkNameAvailability, which `az acr create` asks first."""
        return {"checkNameAvailability": self._check_name}

    async def _check_name(self, call: Call) -> Answer:
        name = asked_name(call)
        if not _NAME.fullmatch(name):
            return unavailable(
                "Invalid",
                "Registry names may contain only alpha numeric characters and must be between 5 "
                "and 50 characters",
            )
        if is_taken(call, REGISTRIES, name):
            return unavailable("AlreadyExists", f"The registry {name} is already in use.")
        return available()


class Registries(ResourceType):
    """A registry; no image lies in it yet. Its admin's passwords are told by `listCredentials`."""

    type: ClassVar[str] = REGISTRIES
    read_only: ClassVar[tuple[str, ...]] = (
        *("loginServer", "creationDate", "dataEndpointHostNames", "privateEndpointConnections"),
    )
    named_in_cloud: ClassVar[bool] = True
    tracked: ClassVar[bool] = True
    create_status: ClassVar[int] = 201

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check its sku, give it its login server."""
        if old is None:
            if not _NAME.fullmatch(call.id.name):
                raise ArmError(
                    "InvalidResourceName",
                    "Registry names may contain only alpha numeric characters and must be between "
                    "5 and 50 characters.",
                    target="name",
                )
            _check_free(call)
        before = old["properties"] if old else {}
        properties = resource["properties"]
        sku = resource.get("sku") or (old or {}).get("sku") or {"name": "Basic"}
        name = str(sku.get("name", "")) if isinstance(sku, dict) else ""
        found = next((word for word in SKUS if word.lower() == name.lower()), None)
        if found is None:
            raise ArmError(
                "InvalidSku",
                f"The sku '{name}' is not valid: {', '.join(SKUS)} are.",
                target="sku.name",
            )
        resource["sku"] = {"name": found, "tier": found}
        for key, value in _DEFAULTS.items():
            properties.setdefault(key, value)
        properties.setdefault("policies", _policies())
        properties.pop("privateEndpointConnections", None)
        if found != "Premium":
            properties.pop("networkRuleSet", None)
        else:
            properties.setdefault("networkRuleSet", {"defaultAction": "Allow", "ipRules": []})
        properties["loginServer"] = f"{call.id.name.lower()}.azurecr.io"
        properties["creationDate"] = before.get("creationDate") or iso(call.arm.clock.time())
        resource[_PASSWORDS] = (old or {}).get(_PASSWORDS) or [_password(), _password()]
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without its passwords."""
        resource.pop(_PASSWORDS, None)
        if resource["sku"]["name"] == "Premium":
            connections = connections_of(call.arm.store, parse(resource["id"]))
            resource["properties"]["privateEndpointConnections"] = connections
        return resource

    def actions(self) -> Mapping[str, Handler]:
        """Its admin's credentials."""
        return {
            "listCredentials": self._credentials,
            "regenerateCredential": self._regenerate,
            **dict.fromkeys(
                # `az acr build` and `run` ask for the two last.
                (
                    *("importImage", "generateCredentials"),
                    *("listBuildSourceUploadUrl", "scheduleRun"),
                ),
                self._no_images,
            ),
        }

    def reads(self) -> Mapping[str, Handler]:
        """What is used of it."""
        return {"listUsages": self._usages}

    async def _credentials(self, call: Call) -> Answer:
        resource = call.arm.store.get(call.id)
        if resource is None:
            raise missing(call.id)
        if not resource["properties"].get("adminUserEnabled"):
            raise ArmError(
                "UnAuthorizedForCredentialOperations",
                f"Cannot perform credential operations for {call.id.text} as admin user is "
                "disabled. Kindly enable admin user as per docs: "
                "https://docs.microsoft.com/en-us/azure/container-registry/"
                "container-registry-authentication#admin-account",
            )
        if _PASSWORDS not in resource:
            # It was made before registries had an admin here.
            resource = await call.arm.changes.alter(call, _give_passwords)
        first, second = resource[_PASSWORDS]
        return {
            "username": call.id.name,
            "passwords": [
                {"name": "password", "value": first},
                {"name": "password2", "value": second},
            ],
        }

    async def _regenerate(self, call: Call) -> Answer:
        which = call.object().get("name", "password")

        def change(resource: JSON) -> None:
            resource[_PASSWORDS][1 if which == "password2" else 0] = _password()

        await self._credentials(call)
        await call.arm.changes.alter(call, change)
        return await self._credentials(call)

    async def _usages(self, call: Call) -> Answer:
        registry = call.arm.store.get(call.id) or {"sku": {"name": "Basic"}}
        size, hooks = _INCLUDED[registry["sku"]["name"]]
        inside = call.arm.store.inside(call.id)
        made = sum(record.id.types[-1].lower() == "webhooks" for record in inside)
        return {
            "value": [
                {"name": "Size", "limit": size * 2**30, "currentValue": 0, "unit": "Bytes"},
                {"name": "Webhooks", "limit": hooks, "currentValue": made, "unit": "Count"},
            ]
        }

    async def _no_images(self, call: Call) -> Answer:
        raise ArmError(
            "NotSupported",
            f"No image lies in the registry '{call.id.name}' of this local cloud, and none can be "
            "built or imported, nor are there tokens for it. Jobs get their images from a "
            "container engine or run as processes; the registry is there for its name, its keys "
            "and its roles.",
        )


SKUS = ("Basic", "Standard", "Premium")
_INCLUDED = {"Basic": (10, 2), "Standard": (100, 10), "Premium": (500, 500)}
"""GiB and webhooks of each tier ("Azure Container Registry service tiers")."""

_PASSWORDS = "adminPasswords"
_DEFAULTS: Mapping[str, object] = {
    "adminUserEnabled": False,
    "anonymousPullEnabled": False,
    "dataEndpointEnabled": False,
    "dataEndpointHostNames": [],
    "networkRuleBypassOptions": "AzureServices",
    "publicNetworkAccess": "Enabled",
    "zoneRedundancy": "Disabled",
    "encryption": {"status": "disabled"},
}


def _policies() -> JSON:
    return {
        "quarantinePolicy": {"status": "disabled"},
        "trustPolicy": {"type": "Notary", "status": "disabled"},
        "retentionPolicy": {"days": 7, "status": "disabled"},
        "exportPolicy": {"status": "enabled"},
        "azureADAuthenticationAsArmPolicy": {"status": "enabled"},
    }


def _password() -> str:
    return base64.b64encode(secrets.token_bytes(33)).decode()


def _give_passwords(resource: JSON) -> None:
    resource.setdefault(_PASSWORDS, [_password(), _password()])


def _check_free(call: Call) -> None:
    for record in call.arm.store.records(REGISTRIES):
        if record.id.name.lower() == call.id.name.lower():
            raise ArmError(
                "AlreadyInUse",
                f"The registry DNS name {call.id.name.lower()}.azurecr.io is already in use.",
                409,
            )
