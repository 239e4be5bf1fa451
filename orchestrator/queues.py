"""Queues: how deep they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.azure import Clients
from orchestrator.errors import NotFound, QueueNotFound
from orchestrator.failures import Refusal, told
from orchestrator.results import Queue, Queues

if TYPE_CHECKING:
    from collections.abc import Mapping


class QueueVerbs:
    """The verbs on the queues of one profile's namespace."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._group = clients.profile.resource_group

    def every(self) -> Queues:
        """All queues of the namespace with their depths, by name."""
        namespace = self._clients.profile.need("namespace")
        with told(self._clients.profile, "list the queues", self._no_namespace):
            found = self._clients.service_bus.queues.list_by_namespace(self._group, namespace)
            resources = [queue.as_dict() for queue in found]
        return Queues(sorted((queue_record(r) for r in resources), key=lambda q: q.name))

    def one(self, name: str) -> Queue:
        """One of them. Raises QueueNotFound."""
        from difflib import get_close_matches

        queues = self.every()
        for queue in queues:
            if queue.name.lower() == name.lower():
                return queue
        names = [queue.name for queue in queues]
        near = get_close_matches(name, names, 1)
        known = f"The queues there are: {', '.join(names) or 'none'}."
        raise QueueNotFound(
            f'There is no queue "{name}" in the namespace {self._clients.profile.namespace}.',
            f'Did you mean "{near[0]}"?' if near else known,
            status=404,
        )

    def _no_namespace(self, refusal: Refusal) -> NotFound:
        return NotFound(
            f"There is no namespace {self._clients.profile.namespace} in the resource group "
            f"{self._group}.",
            "Make it: orchestrator up",
            code=refusal.code,
            status=404,
        )


def queue_record(resource: Mapping[str, Any]) -> Queue:
    """A `Queue` from what the service sent."""
    properties = resource.get("properties") or {}
    counts = properties.get("countDetails") or {}
    return Queue(
        name=str(resource.get("name") or ""),
        active=counts.get("activeMessageCount") or 0,
        dead_letter=counts.get("deadLetterMessageCount") or 0,
        scheduled=counts.get("scheduledMessageCount") or 0,
        transfer=counts.get("transferMessageCount") or 0,
        size=properties.get("sizeInBytes") or 0,
        max_size=(properties.get("maxSizeInMegabytes") or 0) * 1024 * 1024,
        status=str(properties.get("status") or ""),
        raw=dict(resource),
    )
