"""Microsoft.ServiceBus: namespaces, queues, their shared access rules, network rule sets.

Two stores know of a queue. The broker's is the truth: which queues and rules exist, with which
settings. The resource store's row gives it its id and its entity tag; what a caller sees of
settings and counts is always read from the broker. `open` brings the rows in line after a crash
between the two writes, and never deletes a message to do so.

A slash in a queue's name is written '~' in Resource Manager, as the service does.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.provider import JSON, Call, Handler, Provider, ResourceType
from orchestrator.localcloud.providers.network.private_link_connections import connections_of
from orchestrator.localcloud.providers.service_bus.access_rules import (
    NamespaceRules,
    QueueRules,
    entity_name,
    rule_properties,
)
from orchestrator.localcloud.providers.service_bus.entity import BrokerEntity, located
from orchestrator.localcloud.providers.service_bus.properties import (
    arm_error,
    read_properties,
    refusal,
    write_properties,
    write_settings,
)
from orchestrator.localcloud.providers.service_bus.recovery import (
    Migrations,
    RecoveryAliases,
    check_alias,
    refuse_recovery,
)
from orchestrator.localcloud.providers.service_bus.topics import (
    Subscription,
    SubscriptionRule,
    Topic,
    TopicRules,
    rows_of,
)
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.definitions import (
    check_message_size,
    check_namespace_name,
    check_properties,
    check_queue_name,
    check_tier,
)
from orchestrator.localcloud.servicebus.errors import BrokerError, InvalidOperation
from orchestrator.localcloud.servicebus.forward_targets import check_targets
from orchestrator.localcloud.servicebus.limits import STRICT
from orchestrator.localcloud.servicebus.model import QueueCounts, QueueInfo, QueueProperties

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager
    from orchestrator.localcloud.arm.store import ResourceStore

_log = logging.getLogger(__name__)

NAMESPACES = "Microsoft.ServiceBus/namespaces"
_SKUS = {"basic": "Basic", "standard": "Standard", "premium": "Premium"}
_TLS = ("1.0", "1.1", "1.2", "1.3")
MIN_NAME = 6  # what Resource Manager asks of a namespace ("Naming rules", Microsoft.ServiceBus)
_NAMESPACE_READ_ONLY = (
    "createdAt",
    "updatedAt",
    "serviceBusEndpoint",
    "metricId",
    "status",
    "privateEndpointConnections",
)


class Namespace(ResourceType):
    """A namespace; its name is unique in the local cloud, as it is in the world."""

    type: ClassVar[str] = NAMESPACES
    read_only: ClassVar[tuple[str, ...]] = _NAMESPACE_READ_ONLY
    named_in_cloud: ClassVar[bool] = True
    tells_system_data: ClassVar[bool] = False
    tracked: ClassVar[bool] = True

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        name = call.id.name
        if old is None:
            try:
                _check_name(name)
            except InvalidOperation as error:
                raise refusal(error.message, target="name") from error
            _check_free(call.arm, name)
        resource["sku"] = _read_sku(resource.get("sku") or (old or {}).get("sku"))
        before = str(((old or {}).get("sku") or resource["sku"])["name"])
        if before != (after := resource["sku"]["name"]) and "Premium" in (before, after):
            raise refusal(
                f"The namespace '{name}' cannot be changed from {before} to {after}: create "
                "another one of that tier.",
                target="sku",
            )
        properties = resource["properties"]
        for gone in _NAMESPACE_READ_ONLY:
            properties.pop(gone, None)
        tls = properties.setdefault("minimumTlsVersion", "1.2")
        if tls not in _TLS:
            raise refusal(
                f"minimumTlsVersion is {tls!r}; allowed are {', '.join(_TLS)}.",
                target="minimumTlsVersion",
            )
        properties.setdefault("publicNetworkAccess", "Enabled")
        for switch in ("disableLocalAuth", "zoneRedundant"):
            if not isinstance(properties.setdefault(switch, False), bool):
                raise refusal(f"The property '{switch}' must be true or false.", target=switch)
        return resource

    async def apply(self, call: Call, resource: JSON, old: JSON | None) -> None:
        try:
            await self._broker.put_namespace(call.id.name)
        except BrokerError as error:
            raise arm_error(error) from error

    async def changed(self, call: Call, resource: JSON, old: JSON | None) -> None:
        await _align(call.arm, self._broker, call.id)

    def actions(self) -> Mapping[str, Handler]:
        return {
            "failover": refuse_recovery,
            "disasterRecoveryConfigs/checkNameAvailability": check_alias,
        }

    async def show(self, call: Call, resource: JSON) -> JSON:
        name = str(resource["name"])
        system = resource.get("systemData", {})
        resource["properties"] |= {
            "status": "Active",
            "createdAt": system.get("createdAt", ""),
            "updatedAt": system.get("lastModifiedAt", ""),
            "serviceBusEndpoint": f"https://{name}.servicebus.windows.net:443/",
            "metricId": f"{call.arm.subscription}:{name.lower()}",
        }
        if connections := connections_of(call.arm.store, parse(resource["id"])):
            resource["properties"]["privateEndpointConnections"] = connections
        return resource

    async def deleting(self, call: Call, resource: JSON) -> None:
        try:
            await self._broker.delete_namespace(call.id.name)
        except BrokerError as error:
            raise arm_error(error) from error


class Queue(BrokerEntity[QueueProperties]):
    """A queue, shown with live counts."""

    type: ClassVar[str] = "Microsoft.ServiceBus/namespaces/queues"

    def _info(self, id: ResourceId) -> QueueInfo | None:
        return self._broker.queue_info(*_place(id))

    def _read(self, given: JSON, old: QueueProperties | None) -> QueueProperties:
        return read_properties(given, old)

    def _write(self, settings: QueueProperties) -> JSON:
        return write_settings(settings)

    def _check(self, id: ResourceId, settings: QueueProperties, *, new: bool) -> None:
        if new:
            check_queue_name(entity_name(id.name), self._broker.limits)
        namespace = id.names[0]
        sku = self._broker.sku(namespace)
        check_properties(settings, self._broker.limits, sku)
        if self._broker.limits is STRICT:
            check_tier(settings, namespace, sku, new=new)
            check_message_size(settings.max_message_size_in_kilobytes, sku)

    async def _put(self, id: ResourceId, settings: QueueProperties) -> None:
        namespace, name = _place(id)
        info = self._info(id)
        check_targets(self._broker, namespace, settings, info.properties if info else None)
        await self._broker.put_queue(namespace, name, settings)

    async def _delete(self, id: ResourceId) -> None:
        await self._broker.delete_queue(*_place(id))

    async def show(self, call: Call, resource: JSON) -> JSON:
        id = parse(resource["id"])
        info = self._info(id)
        if info is None:
            return resource
        queue = self._broker.queue(info.namespace, info.name)
        counts = queue.counts() if queue else QueueCounts()
        size = queue.max_message_size if queue else 0
        accessed = queue.accessed_at() if queue else None
        resource["properties"] = write_properties(info, counts, size, accessed)
        return located(call, id, resource)


def _place(id: ResourceId) -> tuple[str, str]:
    """Namespace and queue."""
    return id.names[0], entity_name(id.names[1])


class NetworkRuleSet(ResourceType):
    """`networkRuleSets/default`, which every namespace has without having been given one."""

    type: ClassVar[str] = "Microsoft.ServiceBus/namespaces/networkRuleSets"
    tells_system_data: ClassVar[bool] = False
    provisioning: ClassVar[bool] = False

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        if call.id.name.lower() != "default":
            raise refusal("A namespace has one network rule set, called 'default'.", target="name")
        resource["properties"] = _NETWORK_DEFAULTS | resource["properties"]
        return resource

    async def get(self, call: Call) -> JSON | None:
        stored = call.arm.store.get(call.id)
        if stored is not None or call.id.name.lower() != "default":
            return stored
        return self._default(call.id)

    async def members(self, call: Call) -> Iterable[JSON]:
        parent = call.id.parent
        stored = call.arm.store.collection(call.id)
        if stored or parent is None:
            return stored
        return [self._default(parent.child(call.id.types[-1], "default"))]

    def _default(self, id: ResourceId) -> JSON:
        return {
            "id": id.text,
            "name": "default",
            "type": self.type,
            "properties": dict(_NETWORK_DEFAULTS),
        }


_NETWORK_DEFAULTS: Mapping[str, Any] = {
    "publicNetworkAccess": "Enabled",
    "defaultAction": "Allow",
    "virtualNetworkRules": [],
    "ipRules": [],
    "trustedServiceAccessEnabled": False,
}


def tier_of(store: ResourceStore, namespace: str) -> str:
    """The tier of a namespace; Standard for one that Resource Manager does not know.

    Of the store, as queues ask for it before Resource Manager is open: what they have to forward
    goes on at once.
    """
    for row in store.of_type(NAMESPACES):
        if str(row["name"]).lower() == namespace.lower():
            return str((row.get("sku") or {}).get("name", "Standard"))
    return "Standard"


class ServiceBus(Provider):
    """The provider.

    broker: open already. endpoint: `127.0.0.1:14672`, the broker's plain port, for connection
    strings; None: they name the namespace's host on Azure.
    """

    namespace: ClassVar[str] = "Microsoft.ServiceBus"

    def __init__(self, broker: Broker, *, endpoint: str | None = None) -> None:
        self._broker = broker
        self._endpoint = endpoint
        self._arm: ResourceManager | None = None

    def types(self) -> Iterable[ResourceType]:
        return (
            Namespace(self._broker),
            Queue(self._broker),
            NamespaceRules(self._broker, self._endpoint),
            QueueRules(self._broker, self._endpoint),
            Topic(self._broker),
            Subscription(self._broker),
            SubscriptionRule(self._broker),
            TopicRules(self._broker, self._endpoint),
            NetworkRuleSet(),
            RecoveryAliases(),
            Migrations(),
        )

    async def align(self, namespace: str) -> None:
        """Take in what was made or deleted in the broker by another way than Resource Manager."""
        for row in [] if self._arm is None else self._arm.store.of_type(NAMESPACES):
            id = parse(row["id"])
            if id.name.lower() == namespace.lower() and self._arm is not None:
                await _align(self._arm, self._broker, id)

    def actions(self) -> Mapping[str, Handler]:
        return {"checkNameAvailability": self._check_name}

    async def open(self, arm: ResourceManager) -> None:
        self._arm = arm
        known = set()
        for row in arm.store.of_type(NAMESPACES):
            id = parse(row["id"])
            known.add(id.name.lower())
            await self._broker.put_namespace(id.name)
            await _align(arm, self._broker, id)
        for name in self._broker.namespaces():
            if name.lower() not in known:
                _log.warning(
                    "the broker keeps messages of the namespace %s, which Resource Manager does "
                    "not know: create a namespace of that name to reach them",
                    name,
                )

    async def _check_name(self, call: Call) -> JSON:
        name = call.object().get("name")
        if not isinstance(name, str):
            raise refusal("The property 'name' is missing.", target="name")
        try:
            _check_name(name)
        except InvalidOperation as error:
            return {"nameAvailable": False, "reason": "InvalidName", "message": error.message}
        try:
            _check_free(call.arm, name)
        except ArmError as error:
            return {"nameAvailable": False, "reason": "NameInUse", "message": error.message}
        return {"nameAvailable": True, "reason": "None", "message": ""}


def _check_name(name: str) -> None:
    check_namespace_name(name)
    if len(name) < MIN_NAME:
        raise InvalidOperation(
            f"The namespace name {name!r} is not allowed: it must have at least {MIN_NAME} letters."
        )


def _check_free(arm: ResourceManager, name: str) -> None:
    for row in arm.store.of_type(NAMESPACES):
        if str(row["name"]).lower() == name.lower():
            raise ArmError(
                "NamespaceUnavailable",
                f"Namespace name '{name}' is in use already, by {row['id']}: choose another.",
                409,
                target="name",
            )


def _read_sku(given: Any) -> JSON:
    if given is None:
        given = {"name": "Standard"}
    if not isinstance(given, dict):
        raise refusal("The property 'sku' must be an object.", target="sku")
    name = _SKUS.get(str(given.get("name", "")).lower())
    if name is None:
        raise refusal(
            f"The sku {given.get('name')!r} is none of Basic, Standard and Premium.", target="sku"
        )
    sku: JSON = {"name": name, "tier": name}
    if name == "Premium":
        sku["capacity"] = given.get("capacity", 1)
    return sku


async def _align(arm: ResourceManager, broker: Broker, namespace: ResourceId) -> None:
    """Make the rows below a namespace say what the broker has: queues and rules."""
    wanted: dict[str, tuple[ResourceId, JSON]] = {}
    for rule in broker.rules(namespace.name):
        _row(wanted, namespace.child("AuthorizationRules", rule.name), rule_properties(rule))
    for info in broker.queues(namespace.name):
        queue = namespace.child("queues", info.name.replace("/", "~"))
        _row(wanted, queue, {})
        for rule in broker.rules(namespace.name, info.name):
            _row(wanted, queue.child("authorizationRules", rule.name), rule_properties(rule))
    for id, properties in rows_of(broker, namespace):
        _row(wanted, id, properties)
        if len(id.types) == 2:
            for rule in broker.rules(namespace.name, entity_name(id.name)):
                _row(wanted, id.child("authorizationRules", rule.name), rule_properties(rule))
    kinds = ("authorizationrules", "queues", "topics")
    present = {
        record.id.key
        for record in arm.store.inside(namespace)
        # A role assignment on the namespace lies inside it too, and has one type only.
        if len(record.id.types) > 1 and record.id.types[1].lower() in kinds
    }
    added = [(id, row, secrets.token_hex(8)) for k, (id, row) in wanted.items() if k not in present]
    stale = sorted(present - wanted.keys())
    if added or stale:
        await arm.store.write(put=added, delete=stale)


def _row(rows: dict[str, tuple[ResourceId, JSON]], id: ResourceId, properties: JSON) -> None:
    kind = "Microsoft.ServiceBus/" + "/".join(id.types)
    rows[id.key] = (
        id,
        {"id": id.text, "name": id.name, "type": kind, "properties": properties},
    )
