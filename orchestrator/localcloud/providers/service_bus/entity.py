"""What the resources of a broker's entities have in common: queues, topics, subscriptions.

The broker is the truth: an entity is made there before it is stored here, and what a caller sees
of it is read from there.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Generic, Protocol, TypeVar

from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.provider import JSON, Call, ResourceType
from orchestrator.localcloud.providers.service_bus.properties import (
    READ_ONLY,
    arm_error,
    check_metadata,
)
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.errors import BrokerError

Settings = TypeVar("Settings")
Held = TypeVar("Held", covariant=True)


class Definition(Protocol[Held]):
    """What the broker tells of an entity."""

    @property
    def properties(self) -> Held:
        """Its settings."""


class BrokerEntity(ResourceType, Generic[Settings]):
    """An entity of a namespace, with the settings of its kind.

    A kind says how it is found, read, written, checked, put and deleted; every failure of those is
    a `BrokerError`, and becomes Resource Manager's answer here.
    """

    provisioning: ClassVar[bool] = False
    tells_system_data: ClassVar[bool] = False
    read_only: ClassVar[tuple[str, ...]] = READ_ONLY

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    @abstractmethod
    def _info(self, id: ResourceId) -> Definition[Settings] | None:
        """The entity as the broker has it."""

    @abstractmethod
    def _read(self, given: JSON, old: Settings | None) -> Settings:
        """The settings of a PUT's `properties`."""

    @abstractmethod
    def _write(self, settings: Settings) -> JSON:
        """The part of `properties` that can be set."""

    @abstractmethod
    def _check(self, id: ResourceId, settings: Settings, *, new: bool) -> None:
        """Raises BrokerError where the broker would not take it."""

    @abstractmethod
    async def _put(self, id: ResourceId, settings: Settings) -> None:
        """Make or change it."""

    @abstractmethod
    async def _delete(self, id: ResourceId) -> None:
        """Delete it with all that it holds."""

    def _before(self, id: ResourceId) -> Settings | None:
        info = self._info(id)
        return None if info is None else info.properties

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        before = self._before(call.id)
        given = {k: v for k, v in resource["properties"].items() if k not in self.read_only}
        if call.method == "PATCH" and before is not None:
            # What is not sent stays as it is in the broker, whatever the row says.
            given = self._write(before) | given
        check_metadata(given)
        settings = self._read(given, before)
        try:
            self._check(call.id, settings, new=before is None)
        except BrokerError as error:
            raise arm_error(error) from error
        return resource | {"properties": given}

    async def apply(self, call: Call, resource: JSON, old: JSON | None) -> None:
        settings = self._read(resource["properties"], self._before(call.id))
        try:
            await self._put(call.id, settings)
        except BrokerError as error:
            raise arm_error(error) from error

    async def get(self, call: Call) -> JSON | None:
        return None if self._info(call.id) is None else call.arm.store.get(call.id)

    async def members(self, call: Call) -> Iterable[JSON]:
        rows = call.arm.store.collection(call.id)
        return [row for row in rows if self._info(parse(row["id"])) is not None]

    async def foresee(self, call: Call, resource: JSON) -> JSON:
        before = self._before(call.id)
        wanted = self._write(self._read(resource["properties"], before))
        shown = await self.show(call, resource)
        settable = {} if before is None else self._write(before)
        rest = {k: v for k, v in shown["properties"].items() if k not in settable}
        return shown | {"properties": rest | wanted}

    async def deleting(self, call: Call, resource: JSON) -> None:
        try:
            await self._delete(call.id)
        except BrokerError as error:
            raise arm_error(error) from error


def located(call: Call, id: ResourceId, resource: JSON) -> JSON:
    """With its namespace's location, which queues and topics are shown with."""
    namespace = call.arm.store.get(id.top)
    if namespace is not None and "location" in namespace:
        resource["location"] = namespace["location"]
    return resource
