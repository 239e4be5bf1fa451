"""What the scaler asks of the broker: which queues there are, how many messages wait in them."""

from __future__ import annotations

from orchestrator.localcloud.service_bus_access import ServiceBusAccess
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.model import AccessRule, Right


class WaitingMessages:
    """`Queues` of the runtime, answered by the broker."""

    def __init__(self, broker: Broker, access: ServiceBusAccess) -> None:
        self._broker = broker
        self._access = access

    def refuses(self, job_id: str, identity: str, namespace: str, entity: str) -> str | None:
        """Why a job's identity may not read the counts of an entity; None: it may."""
        return self._access.refuses(job_id, identity, namespace, entity)

    def refuses_key(self, namespace: str, entity: str, name: str, key: str) -> str | None:
        """Why a connection string's key may not read the counts of an entity; None: it may."""
        rule = self._rule(namespace, entity, name, key)
        if rule is None:
            return f"Unauthorized access: there is no key {name} of that value"
        if Right.MANAGE in rule.rights:
            return None
        return (
            f"Unauthorized access: the key {name} lacks the claim 'Manage', without which nobody "
            "reads how many messages wait"
        )

    def namespace_of_key(self, entity: str, name: str, key: str) -> str:
        """The namespace whose key it is; "" when it is nobody's."""
        known = self._broker.namespaces()
        return next((one for one in known if self._rule(one, entity, name, key)), "")

    def _rule(self, namespace: str, entity: str, name: str, key: str) -> AccessRule | None:
        path = entity.partition("/")[0]
        for of in (path or None, None):
            rule = self._broker.rule(namespace, name, of)
            if rule is not None and key in (rule.primary_key, rule.secondary_key):
                return rule
        return None

    def length(self, namespace: str, entity: str) -> int | None:
        """Active messages of a queue or subscription; None when it does not exist."""
        if not namespace:
            # A connection string that names only our address: the one namespace with that queue.
            found = self._broker.find(None, entity)
            if found is None:
                return None
            namespace = found.namespace
        counts = self._broker.counts(namespace, entity)
        return None if counts is None else counts.active

    def names(self, namespace: str, topic: str) -> list[str] | None:
        """Names of the queues of a namespace, or of the subscriptions of one of its topics.

        Without a namespace, those of the one that has the topic; of the only one for queues.
        """
        if not namespace:
            known = self._broker.namespaces()
            if topic:
                known = [name for name in known if self._broker.topic_info(name, topic)]
            if len(known) != 1:
                return None
            namespace = known[0]
        if namespace.lower() not in map(str.lower, self._broker.namespaces()):
            return None
        if not topic:
            return [queue.name for queue in self._broker.queues(namespace)]
        if self._broker.topic_info(namespace, topic) is None:
            return None
        return [found.name for found in self._broker.subscriptions(namespace, topic)]
