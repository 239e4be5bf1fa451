"""The directory of the local cloud's tenant: who there is that a token or a role can be for.

The person at the machine, the app registration, and every managed identity: user-assigned ones, and
the system-assigned ones of resources. Objects have the shape of Microsoft Graph's v1.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.localcloud.arm.store import ResourceStore
from orchestrator.localcloud.identity import PERSON, Identity, stable_guid
from orchestrator.localcloud.providers.managed_identity import IDENTITIES

Object = dict[str, Any]

USER = "#microsoft.graph.user"
SERVICE_PRINCIPAL = "#microsoft.graph.servicePrincipal"
APPLICATION = "#microsoft.graph.application"
DOMAIN = PERSON.partition("@")[2]


class Directory:
    """Reads the identities of one local cloud."""

    def __init__(self, identity: Identity, store: ResourceStore) -> None:
        self._identity = identity
        self._store = store

    def objects(self) -> Iterator[Object]:
        """Users, applications and service principals, each with `@odata.type`."""
        yield self.me()
        application = self._identity.application
        name = "Local application"
        yield {
            "@odata.type": APPLICATION,
            "id": stable_guid("application object of", application.client_id),
            "appId": application.client_id,
            "displayName": name,
            "identifierUris": [f"api://{application.client_id}"],
            "signInAudience": "AzureADMyOrg",
        }
        yield _principal(application.object_id, application.client_id, name, "Application")
        yield from self._user_assigned()
        yield from self._system_assigned()

    def me(self) -> Object:
        """The person at the machine."""
        return {
            "@odata.type": USER,
            "id": self._identity.owner.object_id,
            "displayName": "Local developer",
            "givenName": "Local",
            "surname": "Developer",
            "userPrincipalName": PERSON,
            "mail": PERSON,
            "accountEnabled": True,
            "userType": "Member",
            "businessPhones": [],
        }

    def _user_assigned(self) -> Iterator[Object]:
        for record in self._store.records(IDENTITIES):
            resource = record.read()
            properties = resource["properties"]
            yield _principal(
                properties["principalId"],
                properties["clientId"],
                resource["name"],
                "ManagedIdentity",
                alternative=["isExplicit=True", resource["id"]],
            )

    def _system_assigned(self) -> Iterator[Object]:
        for record in self._store.all():
            # Reading every resource would be slow, and few have an identity of their own.
            if '"principalId"' not in record.text or '"identity"' not in record.text:
                continue
            resource = record.read()
            object_id = (resource.get("identity") or {}).get("principalId")
            if object_id:
                yield _principal(
                    object_id,
                    stable_guid("application of", object_id),
                    resource["name"],
                    "ManagedIdentity",
                    alternative=["isExplicit=False", resource["id"]],
                )

    def find(self, object_id: str) -> Object | None:
        """The object with this id (any case); None when there is none."""
        wanted = object_id.lower()
        return next((item for item in self.objects() if item["id"].lower() == wanted), None)

    def principal_type(self, object_id: str) -> str | None:
        """`User` or `ServicePrincipal`; None for an id that is nobody's."""
        found = self.find(object_id)
        if found is None or found["@odata.type"] == APPLICATION:
            return None
        return "User" if found["@odata.type"] == USER else "ServicePrincipal"


def _principal(
    object_id: str, client_id: str, name: str, kind: str, *, alternative: list[str] | None = None
) -> Object:
    return {
        "@odata.type": SERVICE_PRINCIPAL,
        "id": object_id,
        "appId": client_id,
        "displayName": name,
        "appDisplayName": None if kind == "ManagedIdentity" else name,
        "accountEnabled": True,
        "alternativeNames": alternative or [],
        "servicePrincipalNames": [client_id],
        "servicePrincipalType": kind,
        "tags": [],
    }
