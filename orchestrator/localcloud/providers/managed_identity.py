"""Microsoft.ManagedIdentity: user-assigned identities, and the directory they make up."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.arm.provider import (
    JSON,
    Answer,
    Call,
    Handler,
    Provider,
    ResourceType,
)
from orchestrator.localcloud.arm.store import ResourceStore
from orchestrator.localcloud.identity import Principal, stable_guid

if TYPE_CHECKING:
    from orchestrator.localcloud.identity import Directory

IDENTITIES = "Microsoft.ManagedIdentity/userAssignedIdentities"
_NAME = re.compile(r"[A-Za-z0-9][-_A-Za-z0-9]{2,127}")


class ManagedIdentity(Provider):
    """Microsoft.ManagedIdentity."""

    namespace: ClassVar[str] = "Microsoft.ManagedIdentity"

    def types(self) -> Iterable[ResourceType]:
        """User-assigned identities, their federated credentials; system-assigned ones."""
        return [UserAssignedIdentities(), FederatedCredentials(), SystemAssignedIdentities()]


class UserAssignedIdentities(ResourceType):
    """An identity: its ids are made once and kept."""

    type: ClassVar[str] = IDENTITIES
    read_only: ClassVar[tuple[str, ...]] = ("tenantId", "principalId", "clientId")
    tracked: ClassVar[bool] = True
    provisioning: ClassVar[bool] = False
    create_status: ClassVar[int] = 201

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Give it its ids."""
        if old is None and not _NAME.fullmatch(call.id.name):
            raise ArmError(
                "InvalidResourceName",
                f"Invalid identity name '{call.id.name}': 3 to 128 letters, digits, '-' and '_', "
                "beginning with a letter or a digit.",
                target="name",
            )
        before = old["properties"] if old else {}
        resource["properties"] = resource["properties"] | {
            "tenantId": call.arm.tenant,
            "principalId": before.get("principalId") or str(uuid.uuid4()),
            "clientId": before.get("clientId") or str(uuid.uuid4()),
        }
        return resource

    def actions(self) -> Mapping[str, Handler]:
        """Who has it."""
        return {"listAssociatedResources": self._associated}

    async def _associated(self, call: Call) -> Answer:
        found = []
        for record in call.arm.store.all():
            identity = record.read().get("identity")
            given = identity.get("userAssignedIdentities") if isinstance(identity, dict) else None
            if call.id.key not in {str(id).lower() for id in given or ()}:
                continue
            found.append(
                {
                    "id": record.id.text,
                    "name": record.id.name,
                    "type": record.id.type.lower(),
                    "resourceGroup": record.id.group,
                    "subscriptionId": record.id.subscription,
                    "subscriptionDisplayName": "Local cloud",
                }
            )
        return {"totalCount": len(found), "value": found}


class SystemAssignedIdentities(ResourceType):
    """`identities/default` of a resource: the identity that lives and dies with it."""

    type: ClassVar[str] = "Microsoft.ManagedIdentity/identities"
    stored: ClassVar[bool] = False

    async def get(self, call: Call) -> JSON | None:
        """It, where the resource has one."""
        owner = call.arm.store.get(call.id.scope) if call.id.scope else None
        principal = system_principal(owner) if owner else None
        if owner is None or principal is None or call.id.name.lower() != "default":
            return None
        return {
            "id": f"{owner['id']}/providers/{self.type}/default",
            "name": "default",
            "type": self.type,
            "location": owner.get("location", ""),
            "properties": {
                "tenantId": call.arm.tenant,
                "principalId": principal.object_id,
                "clientId": principal.client_id,
            },
        }

    async def members(self, call: Call) -> Iterable[JSON]:
        """It is asked for by its name alone."""
        return []


class FederatedCredentials(ResourceType):
    """Whose tokens an identity trusts; kept, and not exchanged for tokens here."""

    type: ClassVar[str] = f"{IDENTITIES}/federatedIdentityCredentials"
    provisioning: ClassVar[bool] = False
    create_status: ClassVar[int] = 201
    create_polled: ClassVar[bool] = False

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Issuer, subject and audience are needed; the pair is unique."""
        properties = resource["properties"]
        for name in ("issuer", "subject", "audiences"):
            if not properties.get(name):
                raise ArmError(
                    "BadRequest",
                    f"'properties.{name}' is missing.",
                    target=f"properties.{name}",
                )
        for record in call.arm.store.records(self.type):
            if record.id.key == call.id.key or record.id.top.key != call.id.top.key:
                continue
            other = record.read()["properties"]
            if (other["issuer"], other["subject"]) == (
                properties["issuer"],
                properties["subject"],
            ):
                raise ArmError(
                    "Conflict",
                    "Issuer and subject combination already exists for this Managed Identity.",
                    409,
                )
        return resource


def system_principal(resource: JSON) -> Principal | None:
    """The system-assigned identity of a resource; None when it has none."""
    object_id = resource.get("identity", {}).get("principalId")
    if not object_id:
        return None
    return Principal(
        stable_guid("application of", object_id), object_id, resource["id"], kind="system"
    )


def directory(store: ResourceStore) -> Directory:
    """Look-up of user-assigned identities in the resource store."""

    def find(kind: str, value: str) -> Principal | None:
        wanted = value.lower()
        for record in store.records(IDENTITIES):
            properties = record.read()["properties"]
            found = {
                "client_id": properties["clientId"],
                "object_id": properties["principalId"],
                "mi_res_id": record.id.text,
            }
            if kind == "mi_res_id":
                try:
                    matches = parse(value).key == record.id.key
                except ArmError:
                    return None
            else:
                matches = found[kind].lower() == wanted
            if matches:
                return Principal(found["client_id"], found["object_id"], record.id.text)
        return None

    return find
