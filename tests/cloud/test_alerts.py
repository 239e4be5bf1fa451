"""Alert rules over the wire: Microsoft's clients make them, the local cloud evaluates them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.alertsmanagement import AlertsManagementClient
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.monitor import models as m

from orchestrator.localcloud.steering.client import SteeringClient
from tests.cloud.library_world import World
from tests.cloud.servicebus_pace import brisk_sdk
from tests.cloud.webhook_receiver import Receiver, receiving


class Bench:
    """A world whose clock stands still, the clients for it, and a webhook."""

    def __init__(self, world: World, receiver: Receiver) -> None:
        self.world = world
        self.orc = world.orc
        self.receiver = receiver
        self.clock = SteeringClient(world.cloud.connection)
        connection = world.cloud.connection
        options: Any = {
            "base_url": connection["resource_manager"],
            "connection_verify": connection["ca"],
        }
        subscription = connection["subscription"]
        self.monitor = MonitorManagementClient(world.cloud.credential, subscription, **options)
        self.fired = AlertsManagementClient(world.cloud.credential, subscription, **options)
        self.group = world.orc.profile.resource_group

    def id(self, kind: str, name: str) -> str:
        return self.orc._clients.resource_id(kind, name)

    @property
    def namespace(self) -> str:
        return self.id("Microsoft.ServiceBus/namespaces", str(self.orc.profile.namespace))

    @property
    def workspace(self) -> str:
        return self.id("Microsoft.OperationalInsights/workspaces", str(self.orc.profile.workspace))

    def told(self, name: str = "oncall", **receiver: Any) -> str:
        """An action group with the webhook; its id."""
        made = self.monitor.action_groups.create_or_update(
            self.group,
            name,
            m.ActionGroupResource(
                location="Global",
                group_short_name=name[:12],
                enabled=True,
                webhook_receivers=[
                    m.WebhookReceiver(
                        name="hook",
                        service_uri=self.receiver.url,
                        **{"use_common_alert_schema": True, **receiver},
                    )
                ],
                email_receivers=[m.EmailReceiver(name="mail", email_address="a@example.org")],
            ),
        )
        return str(made.id)

    def query_rule(self, name: str, query: str, **more: Any) -> Any:
        condition: dict[str, Any] = {
            "query": query,
            "time_aggregation": "Count",
            "operator": "GreaterThan",
            "threshold": 0.0,
            "dimensions": [],
        }
        rule: dict[str, Any] = {
            "location": "westeurope",
            "severity": 1,
            "enabled": True,
            "scopes": [self.workspace],
            "evaluation_frequency": "PT5M",
            "window_size": "PT5M",
            "auto_mitigate": True,
        }
        for key, value in more.items():
            (condition if key in ("dimensions", "failing_periods", "operator") else rule)[key] = (
                value
            )
        rule["criteria"] = m.ScheduledQueryRuleCriteria(all_of=[m.Condition(**condition)])
        return self.monitor.scheduled_query_rules.create_or_update(
            self.group, name, m.ScheduledQueryRuleResource(**rule)
        )

    def metric_rule(self, name: str, *criteria: m.MetricCriteria, **more: Any) -> Any:
        rule: dict[str, Any] = {
            "location": "global",
            "severity": 2,
            "enabled": True,
            "scopes": [self.namespace],
            "evaluation_frequency": "PT1M",
            "window_size": "PT5M",
            "criteria": m.MetricAlertSingleResourceMultipleMetricCriteria(all_of=list(criteria)),
        }
        return self.monitor.metric_alerts.create_or_update(
            self.group, name, m.MetricAlertResource(**{**rule, **more})
        )

    def alerts(self, rule: str) -> list[Any]:
        return [a for a in self.fired.alerts.get_all(time_range="1d") if a.name == rule]

    def fail(self, job: str = "talker", code: str = "3") -> None:
        run = self.orc.start(job, env={"EXIT": code, "LINES": "1"})
        self.orc.wait(run.name, job, timeout=60)

    def forget(self, rule: str) -> None:
        self.monitor.scheduled_query_rules.delete(self.group, rule)
        self.monitor.metric_alerts.delete(self.group, rule)

    def until(self, test: Callable[[], Any]) -> Any:
        return self.world.cloud.until(test)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with brisk_sdk(), receiving() as receiver:
        world = World(tmp_path_factory.mktemp("alerts"))
        made = Bench(world, receiver)
        made.clock.freeze()
        # Away from the edge of a window.
        made.clock.advance(
            150 - time.time() % 300 if time.time() % 300 < 150 else 450 - time.time() % 300
        )
        world.orc.up()
        made.fail(code="0")  # the log tables come into being
        yield made
        made.monitor.close()
        made.fired.close()
        world.close()


FAILED = (
    "ContainerAppSystemLogs_CL | where Reason_s == 'BackoffLimitExceeded' and JobName_s == 'talker'"
)


def over(name: str, metric: str, threshold: float, **more: Any) -> m.MetricCriteria:
    return m.MetricCriteria(
        **{
            "name": name,
            "metric_name": metric,
            "metric_namespace": "Microsoft.ServiceBus/namespaces",
            "operator": "GreaterThan",
            "threshold": threshold,
            "time_aggregation": "Maximum",
            **more,
        }
    )


def test_a_failed_execution_fires_a_log_alert_that_resolves(bench: Bench) -> None:
    bench.query_rule(
        "job-failed",
        FAILED,
        actions=m.Actions(action_groups=[bench.told()], custom_properties={"team": "red"}),
        description="the talker failed",
    )
    bench.clock.advance(300)
    assert bench.alerts("job-failed") == []
    bench.fail()
    bench.clock.advance(300)
    [alert] = bench.alerts("job-failed")
    essentials = alert.properties.essentials
    assert (essentials.severity, essentials.monitor_condition) == ("Sev1", "Fired")
    assert (essentials.signal_type, essentials.alert_state) == ("Log", "New")
    assert essentials.target_resource_name == bench.orc.profile.workspace
    told = bench.receiver.next()
    assert told["schemaId"] == "azureMonitorCommonAlertSchema"
    data = told["data"]
    assert data["essentials"]["alertRule"] == "job-failed"
    assert data["essentials"]["monitorCondition"] == "Fired"
    assert data["essentials"]["alertId"] == alert.id
    assert data["customProperties"] == {"team": "red"}
    [condition] = data["alertContext"]["condition"]["allOf"]
    assert condition["metricValue"] == 1
    assert condition["searchQuery"] == FAILED
    # It goes on being fired, and is not told again, until three evaluations find nothing.
    bench.clock.advance(600)
    assert [a.properties.essentials.monitor_condition for a in bench.alerts("job-failed")] == [
        "Fired"
    ]
    bench.clock.advance(300)
    [alert] = bench.alerts("job-failed")
    assert alert.properties.essentials.monitor_condition == "Resolved"
    assert bench.receiver.next()["data"]["essentials"]["monitorCondition"] == "Resolved"
    # And fires again when it happens again.
    bench.fail()
    bench.clock.advance(300)
    assert len(bench.alerts("job-failed")) == 2
    assert bench.receiver.next()["data"]["essentials"]["monitorCondition"] == "Fired"
    bench.forget("job-failed")


def test_an_alert_has_a_state_and_a_history(bench: Bench) -> None:
    bench.query_rule("looked-at", FAILED, actions=m.Actions(action_groups=[bench.told()]))
    bench.fail()
    bench.clock.advance(300)
    [alert] = bench.alerts("looked-at")
    bench.receiver.next()
    guid = alert.id.rpartition("/")[2]
    changed = bench.fired.alerts.change_state(guid, "Acknowledged")
    assert changed.properties.essentials.alert_state == "Acknowledged"

    def events() -> list[str]:
        history = bench.fired.alerts.get_history(guid)
        return [change.modification_event for change in history.properties.modifications]

    bench.until(lambda: "ActionsTriggered" in events())
    assert {"AlertCreated", "StateChange", "ActionsSuppressed"} <= set(events())
    assert bench.fired.alerts.get_by_id(guid).properties.context
    summary = bench.fired.alerts.get_summary("severity,alertState")
    assert summary.properties.total >= 1
    with pytest.raises(ResourceNotFoundError):
        bench.fired.alerts.get_by_id("00000000-0000-0000-0000-000000000000")
    with pytest.raises(HttpResponseError, match="Acknowledged"):
        bench.fired.alerts.change_state(guid, "Forgotten")
    bench.forget("looked-at")


def test_a_stateless_rule_fires_each_time_and_can_be_muted(bench: Bench) -> None:
    bench.query_rule("each-time", FAILED, auto_mitigate=False, window_size="PT15M")
    bench.query_rule(
        "muted",
        FAILED,
        auto_mitigate=False,
        window_size="PT15M",
        mute_actions_duration="PT1H",
        actions=m.Actions(action_groups=[bench.told()]),
    )
    bench.fail()
    bench.clock.advance(900)
    assert len(bench.alerts("each-time")) == len(bench.alerts("muted")) == 3
    bench.receiver.next()
    time.sleep(0.2)
    assert bench.receiver.got.empty(), "told once in an hour"
    bench.forget("each-time")
    bench.forget("muted")


def test_dimensions_fire_on_their_own_and_periods_are_counted(bench: Bench) -> None:
    bench.query_rule(
        "by-job",
        "ContainerAppSystemLogs_CL | where Reason_s == 'BackoffLimitExceeded'",
        dimensions=[m.Dimension(name="JobName_s", operator="Include", values=["*"])],
        failing_periods=m.ConditionFailingPeriods(
            number_of_evaluation_periods=2, min_failing_periods_to_alert=2
        ),
    )
    bench.clock.advance(900)
    bench.fail("talker")
    bench.fail("pair")
    bench.clock.advance(300)
    assert bench.alerts("by-job") == [], "one period of two"
    bench.fail("talker")
    bench.clock.advance(300)
    [alert] = bench.alerts("by-job")
    full = bench.fired.alerts.get_by_id(alert.id.rpartition("/")[2])
    condition = full.properties.context["context"]["condition"]["allOf"][0]
    assert condition["dimensions"] == [{"name": "JobName_s", "value": "talker"}]
    bench.forget("by-job")


def test_a_metric_alert_by_queue(bench: Bench) -> None:
    every = [m.MetricDimension(name="EntityName", operator="Include", values=["*"])]
    bench.metric_rule(
        "deep",
        over("depth", "ActiveMessages", 1, dimensions=every),
        actions=[
            m.MetricAlertAction(
                action_group_id=bench.told("plain", use_common_alert_schema=False),
                web_hook_properties={"who": "me"},
            )
        ],
    )
    bench.orc.queues["in"].send("one")
    bench.orc.queues["out"].send("one")
    bench.orc.queues["out"].send("two")
    bench.clock.advance(180)
    [alert] = bench.alerts("deep")
    assert alert.properties.essentials.target_resource_name == bench.orc.profile.namespace
    told = bench.receiver.next()
    assert told["schemaId"] == "AzureMonitorMetricAlert"
    assert (told["data"]["status"], told["data"]["properties"]) == ("Activated", {"who": "me"})
    [condition] = told["data"]["context"]["condition"]["allOf"]
    assert condition["dimensions"] == [{"name": "EntityName", "value": "out"}]
    assert condition["metricValue"] == 2
    statuses = {
        s.properties.dimensions["EntityName"]: s.properties.status
        for s in bench.monitor.metric_alerts_status.list(bench.group, "deep").value
    }
    assert statuses["out"] == "Unhealthy"
    assert statuses["in"] == "Healthy"
    bench.orc.queues["out"].purge()
    bench.clock.advance(600)
    assert bench.receiver.next()["data"]["status"] == "Deactivated"
    bench.forget("deep")


def test_all_criteria_must_be_met(bench: Bench) -> None:
    """Messages wait and nobody completes one: the stand-in for a queue's age."""
    only = [m.MetricDimension(name="EntityName", operator="Include", values=["in"])]
    bench.metric_rule(
        "stalled",
        over("waiting", "ActiveMessages", 0, dimensions=only, time_aggregation="Minimum"),
        over(
            "completed",
            "CompleteMessage",
            0,
            dimensions=only,
            time_aggregation="Total",
            operator="LessThanOrEqual",
        ),
    )
    bench.orc.queues["in"].purge()
    bench.clock.advance(600)
    assert bench.alerts("stalled") == []
    bench.orc.queues["in"].send("old")
    bench.clock.advance(240)
    assert bench.alerts("stalled") == []
    bench.clock.advance(240)
    assert len(bench.alerts("stalled")) == 1
    bench.forget("stalled")


def test_a_webhook_that_fails_is_tried_again(bench: Bench, monkeypatch: Any) -> None:
    monkeypatch.setattr(bench.world.cloud.server.alerts._webhooks, "_pauses", (0.05,) * 5)
    bench.receiver.answers += [503, 429]
    bench.query_rule("again", FAILED, actions=m.Actions(action_groups=[bench.told()]))
    bench.fail()
    bench.clock.advance(300)
    assert [bench.receiver.next()["data"]["essentials"]["alertRule"] for _ in range(3)] == [
        "again"
    ] * 3
    bench.receiver.answers += [400]
    bench.forget("again")
    bench.query_rule("refused", FAILED, actions=m.Actions(action_groups=[bench.told()]))
    bench.fail()
    bench.clock.advance(300)
    bench.receiver.next()
    [alert] = bench.alerts("refused")
    guid = alert.id.rpartition("/")[2]

    def said() -> str:
        history = bench.fired.alerts.get_history(guid).properties.modifications
        return " ".join(str(change.description) for change in history)

    bench.until(lambda: "it answered 400" in said())
    assert "secret" not in said()
    assert bench.receiver.got.empty()
    bench.forget("refused")


def test_rules_and_groups_are_resources(bench: Bench) -> None:
    group = bench.told("kept")
    got = bench.monitor.action_groups.get(bench.group, "kept")
    assert got.webhook_receivers[0].service_uri == bench.receiver.url
    assert got.sms_receivers == []
    assert "kept" in [g.name for g in bench.monitor.action_groups.list_by_subscription_id()]
    rule = bench.metric_rule("kept-rule", over("c", "ActiveMessages", 5))
    assert rule.auto_mitigate is True
    patched = bench.monitor.metric_alerts.update(
        bench.group, "kept-rule", m.MetricAlertResourcePatch(enabled=False)
    )
    assert patched.enabled is False
    assert patched.criteria.all_of[0].threshold == 5
    rules = bench.monitor.metric_alerts.list_by_resource_group(bench.group)
    assert "kept-rule" in [r.name for r in rules]
    bench.forget("kept-rule")
    bench.monitor.action_groups.delete(bench.group, "kept")
    with pytest.raises(ResourceNotFoundError):
        bench.monitor.action_groups.get(bench.group, "kept")
    with pytest.raises(HttpResponseError, match="does not exist"):
        bench.query_rule("x", FAILED, actions=m.Actions(action_groups=[group]))
    with pytest.raises(HttpResponseError, match="http or https"):
        bench.monitor.action_groups.create_or_update(
            bench.group,
            "files",
            m.ActionGroupResource(
                location="Global",
                group_short_name="f",
                enabled=True,
                webhook_receivers=[m.WebhookReceiver(name="f", service_uri="file:///etc/passwd")],
            ),
        )
    with pytest.raises(HttpResponseError, match="minutes"):
        bench.query_rule("x", FAILED, evaluation_frequency="PT7M")
    with pytest.raises(HttpResponseError, match="Valid metrics"):
        bench.metric_rule("x", over("c", "Nonsense", 1))


def test_alerts_survive_a_restart_and_what_was_not_told_is_told(bench: Bench) -> None:
    cloud = bench.world.cloud
    server = cloud.server
    bench.query_rule("kept-alert", FAILED, actions=m.Actions(action_groups=[bench.told()]))
    cloud.call(server.alerts._webhooks.close())
    server.alerts._webhooks.send = lambda: None  # type: ignore[method-assign]
    bench.fail()
    bench.clock.advance(300)
    [before] = bench.alerts("kept-alert")
    assert bench.receiver.got.empty()
    ports = {"state": cloud.state}
    assert ports
    cloud.stop()
    cloud.start()
    told = bench.receiver.next()
    assert told["data"]["essentials"]["alertId"] == before.id
