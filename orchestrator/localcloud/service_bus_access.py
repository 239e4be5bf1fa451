"""What roles allow on Service Bus: from role assignments to the rights of the AMQP front.

Data roles only: who is Contributor of a namespace may change it, and not read its messages ("Azure
built-in roles for Azure Service Bus"). KEDA reads counts through the administration API, for which
the manage right is needed: Data Owner, not Data Receiver.
"""

from __future__ import annotations

from typing import Any

from orchestrator.localcloud.arm.access import Access
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.arm.store import ResourceStore
from orchestrator.localcloud.servicebus.model import Right

_NAMESPACES = "Microsoft.ServiceBus/namespaces"
_ACTIONS = {
    Right.SEND: f"{_NAMESPACES}/messages/send/action",
    Right.LISTEN: f"{_NAMESPACES}/messages/receive/action",
    Right.MANAGE: f"{_NAMESPACES}/manage/action",
}


class ServiceBusAccess:
    """Asks `access`; with None everybody has every right."""

    def __init__(self, store: ResourceStore, access: Access | None) -> None:
        self._store = store
        self._access = access

    def rights(self, object_id: str, namespace: str, path: str) -> frozenset[Right]:
        """The rights of a principal on an entity, `path` "" for the whole namespace."""
        access = self._access
        if access is None:
            return frozenset(Right)
        scope = self._scope(namespace, path)
        if scope is None:
            return frozenset()
        return frozenset(
            right
            for right, action in _ACTIONS.items()
            if access.allows(object_id, action, scope, data=True)
        )

    def _scope(self, namespace: str, path: str) -> str | None:
        for record in self._store.records(_NAMESPACES):
            if record.id.name.lower() == namespace.lower():
                break
        else:
            return None
        entity = path.partition("/$")[0].strip("/")
        if not entity:
            return record.id.text
        topic, marker, subscription = entity.lower().partition("/subscriptions/")
        if marker:
            return f"{record.id.text}/topics/{_name(topic)}/subscriptions/{_name(subscription)}"
        queue = record.id.child("queues", _name(entity))
        return queue.text if queue in self._store else record.id.child("topics", queue.name).text

    def refuses(self, job_id: str, identity: str, namespace: str, entity: str) -> str | None:
        """Why a scale rule with that identity cannot count messages; None: it can."""
        if self._access is None:
            return None
        principal = self._principal(job_id, identity)
        if principal is not None and Right.MANAGE in self.rights(principal, namespace, entity):
            return None
        return (
            f"401 Unauthorized: 'Manage' claim(s) are required to read the count of messages of "
            f"sb://{namespace.lower()}.servicebus.windows.net/{entity}; give the identity the role "
            "Azure Service Bus Data Owner there"
        )

    def _principal(self, job_id: str, identity: str) -> str | None:
        """The object id behind a rule's `identity`: a resource id, or `system`."""
        try:
            job = self._store.get(job_id) or {}
            if identity.lower() == "system":
                return _principal_of(job)
            if identity.lower() == "system-environment":
                environment = str(job.get("properties", {}).get("environmentId", "/"))
                return _principal_of(self._store.get(environment) or {})
            found = self._store.get(parse(identity)) or {}
        except ArmError:
            return None
        given = found.get("properties", {}).get("principalId")
        return str(given) if given else None


def _principal_of(resource: dict[str, Any]) -> str | None:
    found = (resource.get("identity") or {}).get("principalId")
    return str(found) if found else None


def _name(path: str) -> str:
    """An entity's name as it stands in a resource id."""
    return path.replace("/", "~")
