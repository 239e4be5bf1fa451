"""Alerts: rules and action groups made from the settings, and what has fired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any

from orchestrator.alerts.body import (
    ACTION_GROUP,
    METRIC_ALERT,
    NAMESPACES,
    QUERY_RULE,
    action_group,
    differences,
    kind_of,
    metric_alert,
    query_rule,
)
from orchestrator.azure.clients import Clients
from orchestrator.azure.failures import Refusal, told
from orchestrator.errors import BadInput, NotFound, OrchestratorError
from orchestrator.planning.verbs import PROJECT_TAG
from orchestrator.quantities import as_seconds, sdk_duration
from orchestrator.records import Column, Records
from orchestrator.results import Change, Changes, Record, Step

if TYPE_CHECKING:
    from orchestrator.settings import Settings

_WORKSPACES = "Microsoft.OperationalInsights/workspaces"
_KINDS = {QUERY_RULE: "log alert", METRIC_ALERT: "metric alert", ACTION_GROUP: "action group"}
SEVERITIES = ("critical", "error", "warning", "informational", "verbose")

# How far back the service lets one ask for alerts.
_RANGES = (("1h", 3600), ("1d", 86400), ("7d", 7 * 86400), ("30d", 30 * 86400))


class AlertRule(Record, frozen=True, kw_only=True):
    """One alert rule.

    `kind`: "log alert" or "metric alert". `severity`: 0 critical to 4 verbose. `fired`: how many
    alerts of it are fired now; None when that could not be asked. `within`, `every`: what it looks
    at, and how often. `managed`: whether this project made it.
    """

    name: str
    kind: str
    severity: int
    enabled: bool
    fired: int | None = None
    within: timedelta | None = None
    every: timedelta | None = None
    tells: tuple[str, ...] = ()
    description: str = ""
    managed: bool = False
    id: str = ""

    @property
    def state(self) -> str:
        """fired, healthy, disabled; "" when it is not known."""
        if not self.enabled:
            return "disabled"
        return "" if self.fired is None else "fired" if self.fired else "healthy"


class AlertRules(Records[AlertRule]):
    """Alert rules, by name."""

    noun = "alert rules"
    columns = (
        Column("name", "name"),
        Column("state", "state", "status"),
        Column("severity", "severity", "category", lambda r: SEVERITIES[r.severity]),
        Column("kind", "kind"),
        Column("within", "within", "duration"),
        Column("every", "every", "duration"),
        Column("tells", "tells", "text", lambda r: ", ".join(r.tells)),
        Column("description", "description"),
    )


class Alert(Record, frozen=True, kw_only=True):
    """One alert that fired.

    `condition`: Fired or Resolved. `state`: what people made of it: New, Acknowledged, Closed.
    `fired`, `resolved`: UTC; None while it is not resolved.
    """

    rule: str
    condition: str
    state: str
    severity: int
    fired: datetime
    resolved: datetime | None = None
    target: str = ""
    description: str = ""
    id: str = ""

    @property
    def lasted(self) -> timedelta | None:
        """From the firing to the resolution; None while it lasts."""
        return self.resolved - self.fired if self.resolved else None


def _severity(alert: Alert) -> str:
    return SEVERITIES[alert.severity]


class AlertHistory(Records[Alert]):
    """Alerts that have fired, newest first."""

    noun = "alerts"
    columns: tuple[Column, ...] = (
        Column("fired", "fired", "time"),
        Column("rule", "alert"),
        Column("condition", "condition", "status"),
        Column("lasted", "lasted", "duration"),
        Column("severity", "severity", "category", _severity),
        Column("state", "state"),
        Column("description", "description"),
    )


class AlertVerbs:
    """The alerts of one profile. `alerts()` lists the rules; nothing is contacted before."""

    def __init__(self, clients: Clients, settings: Settings) -> None:
        self._clients = clients
        self._settings = settings
        self._group = clients.profile.resource_group

    def __call__(self) -> AlertRules:
        """The alert rules of the resource group, and whether they are fired now."""
        fired: dict[str, int] | None
        try:
            newest: dict[tuple[str, str], Alert] = {}
            for alert in self.history(since="30d"):  # an older one may be of a rule long deleted
                newest.setdefault((alert.rule.lower(), alert.target.lower()), alert)
            fired = Counter(
                alert.rule.lower() for alert in newest.values() if alert.condition == "Fired"
            )
        except OrchestratorError:  # it may be that only the rules are this identity's to see
            fired = None
        rules = []
        for kind in (QUERY_RULE, METRIC_ALERT):
            rules += [self._rule(one, kind, fired) for one in self._live(kind)]
        return AlertRules(sorted(rules, key=lambda rule: rule.name))

    def rule(self, name: str) -> AlertRule:
        """The alert rule of a name. Raises NotFound."""
        rules = {rule.name.lower(): rule for rule in self()}
        found = rules.get(name.lower())
        if found is None:
            raise self._no_rule(name, [rule.name for rule in rules.values()])
        return found

    # ---------------------------------------------------------------- apply

    def apply(
        self,
        *names: str,
        dry_run: bool = False,
        prune: bool = False,
        progress: Callable[[Step], None] | None = None,
    ) -> Changes:
        """Make the settings' action groups and alerts (or these alerts) real; what is there and
        right is left.

        `dry_run`: only say what would be done. `prune`: also delete what this project made and the
        settings name no more. Raises SettingsError, BadInput, NotFound (no workspace, no namespace,
        no such alert).
        """
        settings = self._settings
        alerts = {name: self._named(name) for name in names} if names else settings.alerts
        groups = (
            {g: settings.action_groups[g] for a in alerts.values() for g in a.action_groups}
            if names
            else settings.action_groups
        )
        tags = {PROJECT_TAG: settings.project}
        wanted: list[tuple[str, str, dict[str, Any]]] = [
            (ACTION_GROUP, name, action_group(name, group, tags, settings))
            for name, group in groups.items()
        ]
        ids = {name: self._clients.resource_id(ACTION_GROUP, name) for name in groups}
        workspace: tuple[str, str] | None = None
        for name, alert in alerts.items():
            told_to = [ids[group] for group in alert.action_groups]
            if kind_of(alert) == QUERY_RULE:
                workspace = workspace or self._workspace()
                body = query_rule(
                    alert, workspace=workspace[0], location=workspace[1], groups=told_to, tags=tags
                )
            else:
                namespace = self._clients.names.need("namespace")
                body = metric_alert(
                    alert,
                    namespace=self._clients.resource_id(NAMESPACES, namespace),
                    groups=told_to,
                    tags=tags,
                )
            wanted.append((kind_of(alert), name, body))
        live = {
            kind: {str(one["name"]).lower(): one for one in self._live(kind)} for kind in _KINDS
        }
        # A rule goes before the action group that it tells.
        gone = self._turned(live, wanted)
        gone += self._obsolete(live, wanted, but=gone) if prune and not names else []
        total = len(wanted) + len(gone)
        changes: list[Change] = []

        def step(kind: str, name: str, act: Callable[[], Change]) -> None:
            shown: dict[str, Any] = {
                "title": f"{_KINDS[kind]} {name}",
                "number": len(changes) + 1,
                "total": total,
            }
            if progress:
                progress(Step(**shown))
            changes.append(act())
            if progress:
                progress(Step(**shown, change=changes[-1]))

        for kind, name, body in wanted:
            there = live[kind].get(name.lower())
            step(kind, name, partial(self._put, kind, name, body, there, dry_run))
        for kind, name in gone:
            step(kind, name, partial(self._remove, kind, name, dry_run))
        return Changes(changes)

    def _named(self, name: str) -> Any:
        alerts = self._settings.alerts
        if name not in alerts:
            near = get_close_matches(name, alerts, 1)
            known = f"The alerts there: {', '.join(alerts) or 'none'}."
            raise NotFound(
                f'There is no alert "{name}" in {self._settings.path}.',
                f'Did you mean "{near[0]}"?' if near else known,
            )
        return alerts[name]

    def _workspace(self) -> tuple[str, str]:
        """The log workspace's id and location."""
        name = self._clients.names.need("workspace")
        found = self._clients.resource_id(_WORKSPACES, name)

        def missing(refusal: Refusal) -> NotFound:
            return NotFound(
                f"There is no log workspace {name} in the resource group {self._group}.",
                "Make it: orchestrator up",
                status=404,
            )

        with told(self._clients.profile, "find the log workspace", missing):
            resource = self._clients.resources.resources.get_by_id(found, api_version="2023-09-01")
        return found, str(resource.location)

    def _put(self, kind: str, name: str, body: dict[str, Any], live: Any, dry_run: bool) -> Change:
        fields = () if live is None else differences(live, body)
        if live is not None and not fields:
            return Change(name=name, kind=_KINDS[kind], action="unchanged")
        if not dry_run:
            sent = _without_none(body)
            if live is not None:
                sent["tags"] = {**(live.get("tags") or {}), **sent["tags"]}
            monitor: Any = self._clients.monitor
            with told(self._clients.profile, f"make the {_KINDS[kind]} {name}", self._no_group):
                self._operations(monitor, kind).create_or_update(
                    self._group, name, _model(kind, sent)
                )
        return Change(
            name=name,
            kind=_KINDS[kind],
            action="created" if live is None else "updated",
            fields=fields,
        )

    def _turned(
        self, live: dict[str, dict[str, Any]], wanted: Sequence[tuple[str, str, Any]]
    ) -> list[tuple[str, str]]:
        """This project's rules that are of another kind than the alert of their name is now."""
        others = {QUERY_RULE: METRIC_ALERT, METRIC_ALERT: QUERY_RULE}
        found = []
        for kind, name, _ in wanted:
            one = live[others[kind]].get(name.lower()) if kind in others else None
            if one and (one.get("tags") or {}).get(PROJECT_TAG) == self._settings.project:
                found.append((others[kind], str(one["name"])))
        return found

    def _obsolete(
        self,
        live: dict[str, dict[str, Any]],
        wanted: Sequence[tuple[str, str, Any]],
        *,
        but: Sequence[tuple[str, str]],
    ) -> list[tuple[str, str]]:
        named = {(kind, name.lower()) for kind, name, _ in wanted}
        named |= {(kind, name.lower()) for kind, name in but}
        return [
            (kind, str(one["name"]))
            for kind in (QUERY_RULE, METRIC_ALERT, ACTION_GROUP)
            for name, one in sorted(live[kind].items())
            if (kind, name) not in named
            and (one.get("tags") or {}).get(PROJECT_TAG) == self._settings.project
        ]

    # ---------------------------------------------------------------- delete

    def delete(self, name: str) -> Change:
        """Delete an alert rule; where a log alert and a metric alert have the name, both.

        Raises NotFound.
        """
        rules: dict[str, str] = {}
        gone: list[Change] = []
        for kind in (QUERY_RULE, METRIC_ALERT):
            for one in self._live(kind):
                if str(one["name"]).lower() == name.lower():
                    gone.append(self._remove(kind, str(one["name"]), False))
                rules[str(one["name"])] = kind
        if gone:
            return Change(
                name=gone[0].name, kind=" and ".join(one.kind for one in gone), action="deleted"
            )
        raise self._no_rule(name, list(rules))

    def _no_rule(self, name: str, rules: Sequence[str]) -> NotFound:
        near = get_close_matches(name, rules, 1)
        known = f"Those there are: {', '.join(sorted(rules))}."
        none = "There is none yet; make those of the settings: orchestrator alerts apply"
        return NotFound(
            f'There is no alert rule "{name}" in the resource group {self._group}.',
            f'Did you mean "{near[0]}"?' if near else known if rules else none,
            status=404,
        )

    def _remove(self, kind: str, name: str, dry_run: bool) -> Change:
        if not dry_run:
            with told(self._clients.profile, f"delete the {_KINDS[kind]} {name}"):
                self._operations(self._clients.monitor, kind).delete(self._group, name)
        return Change(name=name, kind=_KINDS[kind], action="deleted")

    # ---------------------------------------------------------------- what has fired

    def history(
        self, name: str | None = None, *, since: float | str | timedelta = "1d"
    ) -> AlertHistory:
        """Alerts of the resource group that were fired or changed since then, newest first.

        `name`: of this rule only. `since`: how far back, at most 30 days. Raises BadInput.
        """
        try:
            seconds = as_seconds(since)
        except ValueError as error:
            raise BadInput(f"{error}.", "Such as 1h, or 7d.") from None
        reach = next((word for word, most in _RANGES if 0 < seconds <= most), None)
        if reach is None:
            raise BadInput("Alerts are kept for 30 days.", "Such as --since 7d.")
        verbs: Any = self._clients.alerts.alerts
        with told(self._clients.profile, "list the alerts"):
            found = [
                _alert(one.as_dict())
                for one in verbs.get_all(
                    target_resource_group=self._group,
                    time_range=reach,
                    sort_by="startDateTime",
                    sort_order="desc",
                )
            ]
        wanted = [a for a in found if name is None or a.rule.lower() == name.lower()]
        wanted.sort(key=lambda alert: alert.fired, reverse=True)
        return AlertHistory(wanted)

    # ---------------------------------------------------------------- inside

    @staticmethod
    def _operations(monitor: Any, kind: str) -> Any:
        return {
            QUERY_RULE: monitor.scheduled_query_rules,
            METRIC_ALERT: monitor.metric_alerts,
            ACTION_GROUP: monitor.action_groups,
        }[kind]

    def _live(self, kind: str) -> list[dict[str, Any]]:
        """What there is of a kind, as it is on the wire."""
        with told(self._clients.profile, f"list the {_KINDS[kind]}s", self._no_group):
            found = self._operations(self._clients.monitor, kind).list_by_resource_group(
                self._group
            )
            return [one.serialize(keep_readonly=True) for one in found]

    def _no_group(self, refusal: Refusal) -> NotFound:
        return NotFound(
            f"There is no resource group {self._group}.", "Make it: orchestrator up", status=404
        )

    def _rule(self, one: dict[str, Any], kind: str, fired: dict[str, int] | None) -> AlertRule:
        properties = one.get("properties") or {}
        actions = properties.get("actions") or []
        groups = (
            actions.get("actionGroups") or []
            if isinstance(actions, dict)
            else [action.get("actionGroupId", "") for action in actions]
        )
        name = str(one["name"])
        if properties.get("autoMitigate") is False:
            fired = None  # what it fired is never resolved, so that nothing tells its state
        return AlertRule(
            name=name,
            kind=_KINDS[kind],
            severity=int(properties.get("severity", 3)),
            enabled=bool(properties.get("enabled", True)),
            fired=None if fired is None else fired.get(name.lower(), 0),
            within=sdk_duration(properties.get("windowSize")),
            every=sdk_duration(properties.get("evaluationFrequency")),
            tells=tuple(str(group).rpartition("/")[2] for group in groups),
            description=str(properties.get("description") or ""),
            managed=(one.get("tags") or {}).get(PROJECT_TAG) == self._settings.project,
            id=str(one.get("id") or ""),
        )


def _model(kind: str, body: dict[str, Any]) -> Any:
    from azure.mgmt.monitor import models

    names = {
        QUERY_RULE: "ScheduledQueryRuleResource",
        METRIC_ALERT: "MetricAlertResource",
        ACTION_GROUP: "ActionGroupResource",
    }
    return getattr(models, names[kind]).deserialize(body)


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_none(part) for name, part in value.items() if part is not None}
    return value


def _alert(one: dict[str, Any]) -> Alert:
    essentials = one["properties"]["essentials"]

    def get(name: str, other: str) -> Any:
        return essentials.get(name, essentials.get(other))

    rule = str(get("alert_rule", "alertRule") or one.get("name") or "")
    return Alert(
        rule=rule.rpartition("/")[2],
        condition=str(get("monitor_condition", "monitorCondition") or ""),
        state=str(get("alert_state", "alertState") or ""),
        severity=_level(get("severity", "severity")),
        fired=_moment(get("start_date_time", "startDateTime")),
        resolved=(
            _moment(resolved)
            if (
                resolved := get(
                    "monitor_condition_resolved_date_time", "monitorConditionResolvedDateTime"
                )
            )
            else None
        ),
        target=str(get("target_resource_name", "targetResourceName") or ""),
        description=str(get("description", "description") or ""),
        id=str(one.get("id") or ""),
    )


def _level(text: Any) -> int:
    digits = str(text or "")[-1:]
    return int(digits) if digits in "01234" and digits else 3


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    text = str(value).replace("Z", "+00:00")
    # The service writes seven digits of a second.
    head, dot, tail = text.partition(".")
    if dot:
        digits, plus, zone = tail.partition("+")
        text = f"{head}.{digits[:6]}{plus}{zone}"
    return datetime.fromisoformat(text).astimezone(UTC)
