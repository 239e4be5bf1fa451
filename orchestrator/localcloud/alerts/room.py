"""Alert rules at work: evaluated by the clock, fired, resolved, told.

A rule is evaluated at the multiples of its frequency, over whole windows that end there. What was
missed while the server was stopped is not made up for. Before time under control is moved on from
such a moment, the evaluation has ended.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import sqlite3
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.clock import Clock
from orchestrator.localcloud.alerts import payload
from orchestrator.localcloud.alerts.evaluation import (
    Dimensions,
    Finding,
    ScopeOf,
    evaluate_metrics,
    evaluate_query,
)
from orchestrator.localcloud.alerts.rules import (
    METRIC_ALERTS,
    QUERY_RULES,
    Rule,
    read_metric_alert,
    read_query_rule,
)
from orchestrator.localcloud.alerts.store import AlertStore, Notification
from orchestrator.localcloud.alerts.webhooks import PAUSES, Webhooks, allowed
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.store import ResourceStore
from orchestrator.localcloud.logs.errors import QueryError
from orchestrator.localcloud.logs.query import QueryEngine
from orchestrator.localcloud.metrics.room import Metrics

_log = logging.getLogger(__name__)
JSON = dict[str, Any]

ALERTS = "Microsoft.AlertsManagement/alerts"
MOST_HISTORY = 200
_READERS = {METRIC_ALERTS: read_metric_alert, QUERY_RULES: read_query_rule}


class Alerts:
    """Belongs to one event loop.

    Args:
        path: The file of alerts and notifications.
        clock: By which rules are evaluated.
        store: Holds the rules and action groups.
        subscription: Whose alerts these are.
        metrics, queries, scope_of: What rules look at.
        pauses: Between tries to tell a webhook.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        store: ResourceStore,
        subscription: str,
        metrics: Metrics,
        queries: QueryEngine,
        scope_of: ScopeOf,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._clock = clock
        self._resources = store
        self._subscription = subscription
        self._metrics = metrics
        self._queries = queries
        self._scope_of = scope_of
        self.store = AlertStore(path)
        self._webhooks = Webhooks(self.store, self._notified, pauses)
        self._rules: dict[str, Rule] = {}
        self._due: dict[str, float] = {}
        self._muted: dict[str, float] = {}
        self._open: dict[tuple[str, str, Dimensions], str] = {}
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self.health: dict[str, list[tuple[Dimensions, bool, float]]] = {}

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        """Open the store and begin."""
        self.store.open()
        for name, alert in self.store.alerts.items():
            if alert["properties"]["essentials"]["monitorCondition"] == "Fired":
                self._open[_key(alert)] = name
        self._read_rules()
        for alert in self.store.alerts.values():
            muted = alert.get("_muted_until", 0.0)
            if muted > self._muted.get(alert["_rule"], 0.0):
                self._muted[alert["_rule"]] = muted
        self._webhooks.send()
        self._task = asyncio.create_task(self._run(), name="alerts")

    async def close(self) -> None:
        """Stop; what is not told yet is told by the next server."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._webhooks.close()
        self.store.close()

    async def settle(self) -> None:
        """Until what is due is evaluated."""
        await asyncio.sleep(0)
        await self._idle.wait()

    def rules_changed(self) -> None:
        """A rule was made, changed or deleted."""
        if self._task is not None:
            self._read_rules()
            self._changed.set()

    def _read_rules(self) -> None:
        found = {}
        for kind, read in _READERS.items():
            for record in self._resources.records(kind):
                try:
                    rule = read(record.read())
                except ArmError as error:  # written by another version of this server
                    _log.warning("the rule %s is not evaluated: %s", record.id.text, error.message)
                    continue
                if rule.enabled and rule.evaluated:
                    found[record.id.key] = rule
        now = self._clock.time()
        for key, rule in found.items():
            if self._rules.get(key) != rule:
                self._due[key] = _boundary(now, rule.frequency)
        self._rules = found
        self._due = {key: due for key, due in self._due.items() if key in found}
        self._open = {key: name for key, name in self._open.items() if self._exists(key[0])}
        self.health = {key: value for key, value in self.health.items() if key in found}

    def _exists(self, rule: str) -> bool:
        return self._resources.record(rule) is not None

    # ------------------------------------------------------------------ evaluating

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._changed.wait())]
            if self._due:
                due = min(self._due.values())
                waits.append(asyncio.ensure_future(self._clock.sleep_until(due)))
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                self._idle.clear()
                await self._evaluate_due()
            finally:
                self._idle.set()
                for wait in waits:
                    wait.cancel()

    async def _evaluate_due(self) -> None:
        now = self._clock.time()
        for key, due in list(self._due.items()):
            rule = self._rules.get(key)
            if rule is None:
                continue
            if due > now:
                # A clock that was set back.
                self._due[key] = min(due, _boundary(now, rule.frequency))
                continue
            moment = math.floor(now / rule.frequency) * rule.frequency
            self._due[key] = moment + rule.frequency
            try:
                await self._evaluate(key, rule, moment)
            except QueryError as error:
                # As on Azure a query that cannot be run is no finding, neither good nor bad.
                _log.info("the query of the rule %s could not be run: %s", rule.name, error)
            except Exception:  # noqa: BLE001 - the other rules go on
                _log.exception("the rule %s could not be evaluated", rule.name)

    async def _evaluate(self, key: str, rule: Rule, moment: float) -> None:
        if rule.signal == "Metric":
            await self._metrics.ready()
            findings = await asyncio.to_thread(evaluate_metrics, rule, self._metrics, moment)
        else:
            findings = await evaluate_query(rule, self._queries, self._scope_of, moment)
            seen = {(finding.target.lower(), finding.dimensions) for finding in findings}
            # Rows that come no more are a condition that is met no more.
            findings += [
                Finding(rule.scopes[0], dimensions, False, [(rule.conditions[0], 0.0)])
                for of_rule, target, dimensions in list(self._open)
                if of_rule == key and (target, dimensions) not in seen
            ]
        self.health[key] = [(f.dimensions, f.met, moment) for f in findings]
        for finding in findings:
            self._apply(key, rule, finding, moment)

    def _apply(self, key: str, rule: Rule, finding: Finding, moment: float) -> None:
        place = (key, finding.target.lower(), finding.dimensions)
        name = self._open.get(place)
        alert = None if name is None else self.store.alerts.get(name)
        if finding.met:
            if alert is None or not rule.auto_mitigate:
                self._fire(place, rule, finding, moment)
            elif alert["_healthy"]:
                alert["_healthy"] = 0
                self._save(alert)
            return
        if alert is None or not rule.auto_mitigate:
            return
        alert["_healthy"] += 1
        if alert["_healthy"] >= rule.healthy:
            del self._open[place]
            self._resolve(alert, rule, finding, moment)
        else:
            self._save(alert)

    # ------------------------------------------------------------------ alerts

    def _fire(
        self, place: tuple[str, str, Dimensions], rule: Rule, finding: Finding, moment: float
    ) -> None:
        now = iso(self._clock.time())
        target = parse(finding.target)
        alert: JSON = {
            "id": f"/subscriptions/{self._subscription}/providers/{ALERTS}/{uuid.uuid4()}",
            "name": rule.name,
            "type": ALERTS,
            "properties": {
                "essentials": {
                    "severity": f"Sev{rule.severity}",
                    "signalType": rule.signal,
                    "alertState": "New",
                    "monitorCondition": "Fired",
                    "targetResource": target.text,
                    "targetResourceName": target.name,
                    "targetResourceGroup": target.group or "",
                    "targetResourceType": target.type.lower(),
                    "monitorService": payload.SERVICES[rule.signal],
                    "alertRule": rule.id,
                    "sourceCreatedId": rule.id,
                    "startDateTime": now,
                    "lastModifiedDateTime": now,
                    "lastModifiedUserName": "System",
                    "actionStatus": {"isSuppressed": False},
                    "description": rule.description,
                },
                "context": {
                    "context": payload.context(rule, finding, moment, {}),
                },
            },
            "_dimensions": [list(pair) for pair in finding.dimensions],
            "_rule": place[0],
            "_healthy": 0,
            "_history": [],
        }
        self._note(alert, "AlertCreated", "", "Fired", "The alert was created.")
        self._open[place] = alert["id"].rpartition("/")[2]
        self._tell(alert, rule, finding, moment)

    def _resolve(self, alert: JSON, rule: Rule, finding: Finding, moment: float) -> None:
        essentials = alert["properties"]["essentials"]
        essentials["monitorCondition"] = "Resolved"
        essentials["monitorConditionResolvedDateTime"] = iso(self._clock.time())
        self._note(
            alert, "MonitorConditionChange", "Fired", "Resolved", "The condition is met no more."
        )
        self._tell(alert, rule, finding, moment)

    def change_state(self, alert: JSON, state: str, who: str) -> None:
        """Somebody has looked at it: New, Acknowledged, Closed."""
        essentials = alert["properties"]["essentials"]
        before, essentials["alertState"] = essentials["alertState"], state
        self._note(alert, "StateChange", before, state, "The state was changed.", who)
        self._save(alert)

    def _note(
        self, alert: JSON, event: str, old: str, new: str, text: str, who: str = "System"
    ) -> None:
        now = iso(self._clock.time())
        essentials = alert["properties"]["essentials"]
        essentials["lastModifiedDateTime"] = now
        essentials["lastModifiedUserName"] = who
        alert["_history"].insert(
            0,
            {
                "modificationEvent": event,
                "oldValue": old,
                "newValue": new,
                "modifiedAt": now,
                "modifiedBy": who,
                "comments": "",
                "description": text,
            },
        )
        del alert["_history"][MOST_HISTORY:]

    # ------------------------------------------------------------------ telling

    def _tell(self, alert: JSON, rule: Rule, finding: Finding, moment: float) -> None:
        notifications: list[Notification] = []
        now = self._clock.time()
        if now < self._muted.get(alert["_rule"], 0.0):
            self._note(alert, "ActionsSuppressed", "", "", "The rule's actions are muted.")
        else:
            for group, properties in rule.actions:
                notifications += self._notifications(
                    alert, rule, finding, moment, group, properties
                )
            if rule.mute:
                self._muted[alert["_rule"]] = alert["_muted_until"] = now + rule.mute
        self._save(alert, notifications)
        self._webhooks.send()

    def _notifications(
        self,
        alert: JSON,
        rule: Rule,
        finding: Finding,
        moment: float,
        group: str,
        properties: Mapping[str, str],
    ) -> Iterable[Notification]:
        record = self._resources.record(group)
        if record is None:
            self._note(alert, "ActionsFailed", "", "", f"There is no action group {group}.")
            return
        settings = record.read()["properties"]
        if not settings.get("enabled", True):
            self._note(
                alert, "ActionsSuppressed", "", "", f"The action group {record.id.name} is off."
            )
            return
        details = payload.context(rule, finding, moment, properties)
        plain = rule.signal == "Metric"
        for receiver in settings.get("webhookReceivers") or ():
            address = str(receiver.get("serviceUri", ""))
            if not allowed(address):
                continue
            body = (
                payload.of_metric(alert, rule, details, moment)
                if plain and not receiver.get("useCommonAlertSchema")
                else payload.common(alert, rule, details)
            )
            yield Notification(
                alert["id"].rpartition("/")[2],
                f"{record.id.name}/{receiver.get('name', '')}",
                address,
                json.dumps(body),
            )
        others = [
            f"{name.removesuffix('Receivers')} {receiver.get('name', '')}"
            for name, receivers in settings.items()
            if name.endswith("Receivers") and name != "webhookReceivers"
            for receiver in receivers or ()
        ]
        if others:
            self._note(
                alert,
                "ActionsSuppressed",
                "",
                "",
                f"The local cloud sends to webhooks only; not told: {', '.join(others)}.",
            )

    def _notified(self, notification: Notification, delivered: bool, outcome: str) -> None:
        alert = self.store.alerts.get(notification.alert)
        if alert is None:
            return
        event = "ActionsTriggered" if delivered else "ActionsFailed"
        self._note(alert, event, "", "", f"Webhook {notification.receiver}: {outcome}.")
        self._save(alert)

    def _save(self, alert: JSON, notifications: Iterable[Notification] = ()) -> None:
        try:
            self.store.save(alert, self._clock.time(), notifications)
        except sqlite3.Error as error:
            _log.warning("the alert %s was not kept: %s", alert["name"], error)


def _key(alert: JSON) -> tuple[str, str, Dimensions]:
    target = alert["properties"]["essentials"]["targetResource"].lower()
    return alert["_rule"], target, tuple((n, v) for n, v in alert["_dimensions"])


def _boundary(now: float, frequency: float) -> float:
    """The next moment at which a rule of that frequency is evaluated."""
    return (math.floor(now / frequency) + 1) * frequency
