"""Queues: how deep they are, making and deleting them, and the way to their messages."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from orchestrator.azure.clients import Clients
from orchestrator.azure.failures import Refusal, told
from orchestrator.errors import (
    BadInput,
    Conflict,
    InvalidRequest,
    NotFound,
    OrchestratorError,
    QueueNotFound,
)
from orchestrator.queues.records import Queue, Queues
from orchestrator.results import Change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.queues.handle import QueueHandle
    from orchestrator.settings import QueueSpec
    from orchestrator.waiting import Time


class QueueVerbs:
    """The queues of one profile's namespace: `queues()` lists them, `queues["results"]` is one.

    What a queue holds is reached through the handle that `queues["results"]` gives; see
    `orchestrator.queues.handle.QueueHandle`. Nothing is contacted until a verb is called.
    """

    def __init__(self, clients: Clients, time: Time) -> None:
        self._clients = clients
        self._time = time
        self._group = clients.profile.resource_group

    def __call__(self) -> Queues:
        """All queues of the namespace with their depths, by name."""
        return self.every()

    def __getitem__(self, name: str) -> QueueHandle:
        """A handle on one queue; whether it exists is seen when it is used."""
        from orchestrator.queues.handle import QueueHandle

        if not isinstance(name, str):
            raise TypeError(f"a queue is named by text, not by {type(name).__name__}")
        return QueueHandle(self, self._clients, self._time, name)

    def __iter__(self) -> Iterator[Queue]:
        return iter(self.every())

    def __repr__(self) -> str:
        namespace = self._clients.profile.namespace or "the profile"
        return f'<queues of {namespace}: queues() lists them, queues["name"] is one>'

    def every(self) -> Queues:
        """All queues of the namespace with their depths, by name."""
        namespace = self._clients.names.need("namespace")
        with told(self._clients.profile, "list the queues", self._no_namespace):
            found = self._clients.service_bus.queues.list_by_namespace(self._group, namespace)
            resources = [queue.as_dict() for queue in found]
        return Queues(sorted((queue_record(r) for r in resources), key=lambda q: q.name))

    def one(self, name: str) -> Queue:
        """One of them. Raises QueueNotFound."""
        queues = self.every()
        for queue in queues:
            if queue.name.lower() == name.lower():
                return queue
        raise self._not_found(name, [queue.name for queue in queues])

    def create(self, name: str, spec: QueueSpec | None = None) -> Change:
        """Make it, as `spec` says (None: as a queue is by default).

        One that is there and is so already is left. Raises Conflict when it is there and differs,
        or a topic has that name; BadInput for a name that no queue can have.
        """
        from orchestrator.queues.body import queue_changes, queue_properties
        from orchestrator.settings import QueueSpec

        spec = spec or QueueSpec()
        wanted = queue_properties(spec)
        live = next((q for q in self.every() if q.name.lower() == name.lower()), None)
        if live is None:
            return self._make(name, wanted)
        properties = live.raw.get("properties") or {}
        fields = queue_changes(live.name, properties, wanted)
        if fields:
            raise Conflict(
                f"There is a queue {live.name} already, and it differs: "
                f"{'; '.join(str(field) for field in fields)}.",
                f"To change it, say so in [queues.{live.name}] of orchestrator.toml, then: "
                "orchestrator up",
                status=409,
            )
        return Change(name=live.name, kind="queue", action="unchanged")

    def _make(self, name: str, properties: dict[str, Any]) -> Change:
        from azure.mgmt.servicebus.models import SBQueue

        from orchestrator.queues.body import resource_name
        from orchestrator.settings.rules import QUEUE_NAME

        if not QUEUE_NAME.fullmatch(name):
            raise BadInput(
                f'No queue can be named "{name}".',
                "A name has 1 to 260 letters, digits, periods, hyphens, underscores and slashes; "
                "it begins and ends with a letter or digit.",
            )
        namespace = self._clients.names.need("namespace")
        try:
            with told(self._clients.profile, f"make the queue {name}"):
                self._clients.service_bus.queues.create_or_update(
                    self._group, namespace, resource_name(name), SBQueue({"properties": properties})
                )
        except Conflict as error:  # queues and topics share the namespace's names
            error.hint = error.hint or "Choose another name; the queues: orchestrator queues list"
            raise
        except InvalidRequest as error:
            error.hint = error.hint or "What a queue may be: orchestrator queues create --help"
            raise
        return Change(name=name, kind="queue", action="created")

    def delete(self, name: str) -> Change:
        """Delete it with its messages. Raises QueueNotFound."""
        from orchestrator.queues.body import resource_name

        namespace = self._clients.names.need("namespace")
        found = self.one(name).name  # deleting what is not there is no error to the service
        with told(self._clients.profile, f"delete the queue {found}"):
            self._clients.service_bus.queues.delete(self._group, namespace, resource_name(found))
        return Change(name=found, kind="queue", action="deleted")

    def missing(self, name: str) -> OrchestratorError:
        """The error for a queue that the data plane does not know, with the names it may be."""
        try:
            self.one(name)
        except QueueNotFound as error:
            return error
        except OrchestratorError:  # it may be that only the messages are this identity's to see
            return self._not_found(name, None)
        return self._not_found(name, None)

    def _not_found(self, name: str, names: list[str] | None) -> QueueNotFound:
        hint = ""
        if names is not None:
            near = get_close_matches(name, names, 1)
            known = f"The queues there are: {', '.join(names) or 'none'}."
            hint = f'Did you mean "{near[0]}"?' if near else known
        return QueueNotFound(
            f'There is no queue "{name}" in the namespace {self._clients.names.namespace}.',
            hint or "The queues there are: orchestrator queues list",
            status=404,
        )

    def _no_namespace(self, refusal: Refusal) -> NotFound:
        return NotFound(
            f"There is no namespace {self._clients.names.namespace} in the resource group "
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
        name=str(resource.get("name") or "").replace("~", "/"),
        active=counts.get("activeMessageCount") or 0,
        dead_letter=counts.get("deadLetterMessageCount") or 0,
        scheduled=counts.get("scheduledMessageCount") or 0,
        transfer=counts.get("transferMessageCount") or 0,
        transfer_dead_letter=counts.get("transferDeadLetterMessageCount") or 0,
        size=properties.get("sizeInBytes") or 0,
        max_size=(properties.get("maxSizeInMegabytes") or 0) * 1024 * 1024,
        status=str(properties.get("status") or ""),
        raw=dict(resource),
    )
