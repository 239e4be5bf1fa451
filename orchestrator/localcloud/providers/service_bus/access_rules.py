"""Shared access rules of namespaces and queues: who may do what with a key, and the keys.

The broker holds rules and keys; the resource store only knows that a rule exists, so that no key
lies in it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from orchestrator.localcloud.arm.ids import ResourceId, missing
from orchestrator.localcloud.arm.provider import JSON, Call, Handler, ResourceType
from orchestrator.localcloud.providers.service_bus.properties import arm_error, refusal
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.definitions import new_key
from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.model import AccessRule, Right

MAX_RULES = 12
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,48}[A-Za-z0-9])?")
_RIGHTS = {right.lower(): right for right in Right}
_ORDER = (Right.LISTEN, Right.MANAGE, Right.SEND)


def entity_name(arm_name: str) -> str:
    """The queue's own name: a slash in it is written '~' in Resource Manager's ids."""
    return arm_name.replace("~", "/")


def rule_properties(rule: AccessRule) -> JSON:
    """A rule's `properties`."""
    return {"rights": [str(right) for right in _ORDER if right in rule.rights]}


class NamespaceRules(ResourceType):
    """Rules of a whole namespace."""

    type: ClassVar[str] = "Microsoft.ServiceBus/namespaces/AuthorizationRules"
    tells_system_data: ClassVar[bool] = False
    provisioning: ClassVar[bool] = False

    def __init__(self, broker: Broker, endpoint: str | None) -> None:
        self._broker = broker
        self._endpoint = endpoint

    def _place(self, id: ResourceId) -> tuple[str, str | None]:
        """The namespace and the queue (None: the namespace itself) that the rule is for."""
        return id.names[0], None

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        namespace, entity = self._place(call.id)
        rules = self._broker.rules(namespace, entity)
        if not _NAME.fullmatch(call.id.name):
            raise refusal(
                f"The authorization rule name '{call.id.name}' is not allowed: up to 50 letters, "
                "digits, periods, hyphens and underscores.",
                target="name",
            )
        if old is None and len(rules) >= MAX_RULES:
            raise refusal(
                f"There are {len(rules)} authorization rules already, which is the limit."
            )
        rights = _read_rights(resource["properties"].get("rights"))
        resource["properties"] = {"rights": [str(right) for right in _ORDER if right in rights]}
        return resource

    async def apply(self, call: Call, resource: JSON, old: JSON | None) -> None:
        namespace, entity = self._place(call.id)
        rights = _read_rights(resource["properties"]["rights"])
        try:
            await self._broker.put_rule(namespace, call.id.name, rights, entity)
        except BrokerError as error:
            raise arm_error(error) from error

    async def deleting(self, call: Call, resource: JSON) -> None:
        namespace, entity = self._place(call.id)
        try:
            await self._broker.delete_rule(namespace, call.id.name, entity)
        except BrokerError as error:
            raise arm_error(error) from error

    def actions(self) -> Mapping[str, Handler]:
        return {"listKeys": self._list_keys, "regenerateKeys": self._regenerate_keys}

    async def _list_keys(self, call: Call) -> JSON:
        return self._keys(call.id, self._rule(call.id))

    async def _regenerate_keys(self, call: Call) -> JSON:
        body = call.object()
        wanted = str(body.get("keyType", "")).lower()
        if wanted not in ("primarykey", "secondarykey"):
            raise refusal(
                "The property 'keyType' must be PrimaryKey or SecondaryKey.", target="keyType"
            )
        key = _given_key(body.get("key")) or new_key()
        rule = self._rule(call.id)
        namespace, entity = self._place(call.id)
        try:
            rule = await self._broker.put_rule(
                namespace,
                rule.name,
                rule.rights,
                entity,
                primary_key=key if wanted == "primarykey" else None,
                secondary_key=key if wanted == "secondarykey" else None,
            )
        except BrokerError as error:
            raise arm_error(error) from error
        return self._keys(call.id, rule)

    def _rule(self, id: ResourceId) -> AccessRule:
        namespace, entity = self._place(id)
        for rule in self._broker.rules(namespace, entity):
            if rule.name.lower() == id.name.lower():
                return rule
        raise missing(id)

    def _keys(self, id: ResourceId, rule: AccessRule) -> JSON:
        return {
            "primaryConnectionString": self._connection_string(id, rule, rule.primary_key),
            "secondaryConnectionString": self._connection_string(id, rule, rule.secondary_key),
            "primaryKey": rule.primary_key,
            "secondaryKey": rule.secondary_key,
            "keyName": rule.name,
        }

    def _connection_string(self, id: ResourceId, rule: AccessRule, key: str) -> str:
        namespace, entity = self._place(id)
        # With the emulator's mark every official client takes the broker's plain port, so that a
        # connection string works as it is; the namespace's own host name leads to Azure.
        host = self._endpoint or f"{namespace}.servicebus.windows.net/"
        parts = [f"Endpoint=sb://{host}", f"SharedAccessKeyName={rule.name}"]
        parts.append(f"SharedAccessKey={key}")
        if self._endpoint:
            parts.append("UseDevelopmentEmulator=true")
        if entity:
            parts.append(f"EntityPath={entity}")
        return ";".join(parts)


class QueueRules(NamespaceRules):
    """Rules of one queue."""

    type: ClassVar[str] = "Microsoft.ServiceBus/namespaces/queues/authorizationRules"

    def _place(self, id: ResourceId) -> tuple[str, str | None]:
        return id.names[0], entity_name(id.names[1])


def _read_rights(value: Any) -> frozenset[Right]:
    if not isinstance(value, list) or not value:
        raise refusal("The property 'rights' must name Listen, Send or Manage.", target="rights")
    rights = set()
    for item in value:
        right = _RIGHTS.get(item.lower()) if isinstance(item, str) else None
        if right is None:
            raise refusal(
                f"The right {item!r} is none: allowed are Listen, Send and Manage.",
                target="rights",
            )
        rights.add(right)
    if Right.MANAGE in rights and len(rights) < len(Right):
        raise refusal("The right Manage needs Listen and Send beside it.", target="rights")
    return frozenset(rights)


def _given_key(value: Any) -> str | None:
    if value in (None, ""):
        return None
    try:
        good = isinstance(value, str) and len(base64.b64decode(value, validate=True)) == 32
    except (binascii.Error, ValueError):
        good = False
    if not good:
        raise refusal("The property 'key' must be 32 bytes in base64.", target="key")
    return str(value)
