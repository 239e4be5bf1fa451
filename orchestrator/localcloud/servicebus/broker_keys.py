"""The broker's shared access keys, of namespaces and of entities: made, changed, deleted, found."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.localcloud.servicebus import definitions
from orchestrator.localcloud.servicebus.broker_topics import TopicBroker
from orchestrator.localcloud.servicebus.definitions import RULE, RuleRecord, new_key
from orchestrator.localcloud.servicebus.errors import EntityNotFound
from orchestrator.localcloud.servicebus.model import AccessRule, Right
from orchestrator.localcloud.servicebus.registry import definition_key, is_of, rule_key
from orchestrator.localcloud.servicebus.store.contract import Change


class KeyBroker(TopicBroker):
    """What `Broker` knows of access rules. Names are case-insensitive."""

    def rules(self, namespace: str, entity: str | None = None) -> list[AccessRule]:
        """The rules of the namespace (`entity` None) or of that queue alone, sorted by name."""
        home = self._namespaces.get(namespace.lower())
        rules = [] if home is None else [r for r in home.rules.values() if is_of(r, entity)]
        return sorted(rules, key=lambda rule: rule.name.lower())

    def rule(self, namespace: str, name: str, entity: str | None = None) -> AccessRule | None:
        """For SAS checking: look in the queue's rules first, then in the namespace's."""
        home = self._namespaces.get(namespace.lower())
        if home is None:
            return None
        own = home.rules.get(rule_key(name, entity))
        return own if own is not None else home.rules.get(rule_key(name, None))

    async def put_rule(
        self,
        namespace: str,
        name: str,
        rights: frozenset[Right],
        entity: str | None = None,
        *,
        primary_key: str | None = None,
        secondary_key: str | None = None,
    ) -> AccessRule:
        """Create or update; keys that are not given are kept, or made at random.

        Raises EntityNotFound (namespace or queue).
        """
        return await self._in_turn(
            self._put_rule(namespace, name, rights, entity, primary_key, secondary_key)
        )

    async def _put_rule(
        self,
        namespace: str,
        name: str,
        rights: frozenset[Right],
        entity: str | None,
        primary_key: str | None,
        secondary_key: str | None,
    ) -> AccessRule:
        async with self._defining:
            home = self._namespace(namespace)
            if entity is not None and entity.lower() not in home.queues:
                raise EntityNotFound(f"The queue {home.name}/{entity} could not be found.")
            old = home.rules.get(rule_key(name, entity))
            if old is None:
                rule = AccessRule(
                    name, rights, primary_key or new_key(), secondary_key or new_key(), entity
                )
            else:
                rule = replace(
                    old,
                    rights=rights,
                    primary_key=primary_key or old.primary_key,
                    secondary_key=secondary_key or old.secondary_key,
                )
            change = Change()
            self._define_rule(change, home.name, rule)
            await self._commit(change)
            home.rules[rule_key(name, entity)] = rule
            return rule

    async def delete_rule(self, namespace: str, name: str, entity: str | None = None) -> bool:
        """False if there was none."""
        return await self._in_turn(self._delete_rule(namespace, name, entity))

    async def _delete_rule(self, namespace: str, name: str, entity: str | None = None) -> bool:
        async with self._defining:
            home = self._namespaces.get(namespace.lower())
            if home is None or rule_key(name, entity) not in home.rules:
                return False
            change = Change()
            change.define(RULE, definition_key(home.name, entity, name), None)
            await self._commit(change)
            del home.rules[rule_key(name, entity)]
            return True

    @staticmethod
    def _define_rule(change: Change, namespace: str, rule: AccessRule) -> None:
        body = definitions.encode(RuleRecord(namespace, rule))
        change.define(RULE, definition_key(namespace, rule.entity, rule.name), body)
