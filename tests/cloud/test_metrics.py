"""Metrics over the wire: Microsoft's own clients are told what really happened."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.monitor import MonitorManagementClient
from azure.monitor.querymetrics import MetricAggregationType, MetricsClient
from azure.servicebus import ServiceBusMessage

from orchestrator.localcloud.steering.client import SteeringClient
from tests.cloud.library_world import World
from tests.cloud.servicebus_pace import brisk_sdk


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with brisk_sdk():
        made = World(tmp_path_factory.mktemp("metrics"))
        made.orc.up()
        for code in ("0", "0", "3"):
            run = made.orc.start("talker", env={"EXIT": code, "LINES": "1"})
            made.orc.wait(run.name, "talker", timeout=60)
        with made.orc._clients.bus() as bus:
            with bus.get_queue_sender("in") as sender:
                sender.send_messages([ServiceBusMessage(f"m{n}") for n in range(10)])
            with bus.get_queue_receiver("in") as receiver:
                got: list[Any] = []
                while len(got) < 4:
                    got += receiver.receive_messages(4 - len(got), max_wait_time=5)
                receiver.complete_message(got[0])
                receiver.complete_message(got[1])
                receiver.abandon_message(got[2])
                receiver.dead_letter_message(got[3], reason="a test")
            with pytest.raises(Exception), bus.get_queue_sender("nowhere") as sender:  # noqa: B017
                sender.send_messages(ServiceBusMessage("x"))
        # So that the last minute is one in which nothing changed.
        SteeringClient(made.cloud.connection).advance(120)
        yield made
        made.close()


@pytest.fixture(scope="module")
def monitor(world: World) -> Iterator[MonitorManagementClient]:
    connection = world.cloud.connection
    with MonitorManagementClient(
        world.cloud.credential,
        connection["subscription"],
        base_url=connection["resource_manager"],
        connection_verify=connection["ca"],
    ) as client:
        yield client


def job_id(world: World, job: str = "talker") -> str:
    return world.orc._clients.resource_id("Microsoft.App/jobs", job)


def namespace_id(world: World) -> str:
    name = world.orc.profile.namespace
    assert name
    return world.orc._clients.resource_id("Microsoft.ServiceBus/namespaces", name)


def totals(answer: Any, aggregation: str = "total") -> dict[str, dict[tuple[str, ...], float]]:
    """Metric -> values of its dimensions -> sum of its data points."""
    return {
        metric.name.value: {
            tuple(pair.value for pair in series.metadatavalues or ()): sum(
                getattr(point, aggregation) or 0 for point in series.data
            )
            for series in metric.timeseries
        }
        for metric in answer.value
    }


def test_executions_are_told_by_their_state(world: World, monitor: MonitorManagementClient) -> None:
    answer = monitor.metrics.list(
        job_id(world), metricnames="Executions", aggregation="Total", filter="state eq '*'"
    )
    assert totals(answer)["Executions"] == {
        ("Succeeded",): 2,
        ("Failed",): 1,
        ("Running",): 3,
    }
    assert answer.interval == "PT1M"
    assert answer.namespace == "Microsoft.App/jobs"
    failed = monitor.metrics.list(
        job_id(world),
        metricnames="Executions",
        aggregation="Total,Count",
        filter="state eq 'Failed' and executionName eq '*'",
        interval="PT1H",
    )
    [series] = failed.value[0].timeseries
    assert {pair.name.value for pair in series.metadatavalues} == {"state", "executionname"}
    assert sum(point.total or 0 for point in series.data) == 1
    # A job that has done nothing has quiet minutes, not missing ones.
    quiet = monitor.metrics.list(job_id(world, "pair"), metricnames="Executions", interval="FULL")
    assert totals(quiet)["Executions"] == {(): 0}


def test_what_replicas_asked_for_is_measured_while_they_run(
    world: World, monitor: MonitorManagementClient
) -> None:
    answer = monitor.metrics.list(
        job_id(world),
        metricnames="RequestedCores,RequestedBytes",
        aggregation="Maximum",
        interval="FULL",
    )
    values = {m.name.value: m.timeseries[0].data[0].maximum for m in answer.value}
    assert values == {"RequestedCores": 0.25, "RequestedBytes": 0.5 * 2**30}
    # What nobody can tell here has no data, instead of a zero that looks like one.
    network = monitor.metrics.list(job_id(world), metricnames="RxBytes", aggregation="Total")
    assert all(point.total is None for point in network.value[0].timeseries[0].data)


def test_what_a_process_uses_is_measured(world: World, monitor: MonitorManagementClient) -> None:
    run = world.orc.start("talker", env={"SLEEP": "1.6"})
    world.orc.wait(run.name, "talker", timeout=60)
    answer = monitor.metrics.list(
        job_id(world),
        metricnames="UsageBytes,UsageNanoCores",
        aggregation="Maximum",
        interval="FULL",
        filter=f"executionName eq '{run.name}'",
    )
    values = {m.name.value: m.timeseries[0].data[0].maximum for m in answer.value}
    assert 2**20 < values["UsageBytes"] < 2**30
    assert 0 <= values["UsageNanoCores"] < 64e9


def test_queues_are_told_by_their_depths(world: World, monitor: MonitorManagementClient) -> None:
    names = "ActiveMessages,DeadletteredMessages,ScheduledMessages,Messages,Size"
    answer = monitor.metrics.list(
        namespace_id(world), metricnames=names, aggregation="Maximum", filter="EntityName eq 'in'"
    )
    last = {m.name.value: m.timeseries[0].data[-1].maximum for m in answer.value}
    size = last.pop("Size")
    assert size > 0
    assert last == {
        "ActiveMessages": 7,
        "DeadletteredMessages": 1,
        "ScheduledMessages": 0,
        "Messages": 8,
    }
    most = monitor.metrics.list(
        namespace_id(world),
        metricnames="ActiveMessages",
        aggregation="Maximum",
        interval="FULL",
        filter="EntityName eq '*'",
    )
    by_entity = totals(most, "maximum")["ActiveMessages"]
    assert by_entity[("in",)] == 10
    assert by_entity[("out",)] == 0


def test_traffic_is_counted(world: World, monitor: MonitorManagementClient) -> None:
    names = (
        "IncomingMessages,OutgoingMessages,IncomingBytes,CompleteMessage,AbandonMessage,"
        "IncomingRequests,SuccessfulRequests,ServerErrors,ThrottledRequests"
    )
    answer = monitor.metrics.list(
        namespace_id(world), metricnames=names, aggregation="Total", filter="EntityName eq 'in'"
    )
    found = {name: values.get(("in",), 0) for name, values in totals(answer).items()}
    # The abandoned one comes again if the receiver still has credit.
    assert found.pop("OutgoingMessages") >= 4
    assert found.pop("IncomingBytes") > 100
    assert found.pop("IncomingRequests") >= found.pop("SuccessfulRequests") >= 6
    assert found == {
        "IncomingMessages": 10,
        "CompleteMessage": 2,
        "AbandonMessage": 1,
        "ServerErrors": 0,
        "ThrottledRequests": 0,
    }
    errors = monitor.metrics.list(
        namespace_id(world),
        metricnames="UserErrors",
        aggregation="Total",
        filter="EntityName eq '-NamespaceOnlyMetric-'",
    )
    assert totals(errors)["UserErrors"][("-NamespaceOnlyMetric-",)] >= 1
    connections = totals(
        monitor.metrics.list(namespace_id(world), metricnames="ConnectionsOpened,ConnectionsClosed")
    )
    assert connections["ConnectionsOpened"][()] >= 1
    assert connections["ConnectionsClosed"][()] >= 1


def test_definitions_and_namespaces(world: World, monitor: MonitorManagementClient) -> None:
    definitions = {d.name.value: d for d in monitor.metric_definitions.list(job_id(world))}
    assert set(definitions) == {
        "Executions", "RequestedBytes", "RequestedCores", "RestartCount", "RxBytes", "TxBytes",
        "UsageBytes", "UsageNanoCores",
    }  # fmt: skip
    assert [d.value for d in definitions["Executions"].dimensions] == [
        "state",
        "jobName",
        "executionName",
    ]
    [namespace] = monitor.metric_namespaces.list(namespace_id(world))
    assert namespace.properties.metric_namespace_name == "Microsoft.ServiceBus/namespaces"


def test_what_there_is_not_is_refused_in_a_sentence(
    world: World, monitor: MonitorManagementClient
) -> None:
    def refused(**asked: Any) -> str:
        with pytest.raises(HttpResponseError) as caught:
            monitor.metrics.list(job_id(world), **asked)
        assert caught.value.status_code == 400
        return str(caught.value.message)

    assert "Valid metrics: Executions," in refused(metricnames="Nonsense")
    assert "supported ones are: PT1M,PT5M" in refused(metricnames="Executions", interval="PT7M")
    assert "dimension" in refused(metricnames="Executions", filter="colour eq 'red'")
    assert "position 1" in refused(metricnames="Executions", filter="state = 'x'")
    assert "aggregation" in refused(metricnames="Executions", aggregation="Median")
    assert "timespan" in refused(metricnames="Executions", timespan="yesterday")
    with pytest.raises(ResourceNotFoundError):
        monitor.metrics.list(job_id(world, "ghost"), metricnames="Executions")


def test_a_timespan_may_be_encoded_twice(world: World) -> None:
    connection = world.cloud.connection
    span = quote(quote("2020-01-01T00:00:00Z/2020-01-01T01:00:00Z", safe=""), safe="")
    answer = requests.get(
        f"{connection['resource_manager']}{job_id(world)}/providers/Microsoft.Insights/metrics"
        f"?api-version=2018-01-01&timespan={span}&metricnames=Executions&top=10",
        headers={"Authorization": f"Bearer {world.cloud.credential.text()}"},
        verify=connection["ca"],
        timeout=10,
    ).json()
    assert answer["timespan"] == "2020-01-01T00:00:00Z/2020-01-01T01:00:00Z"
    data = answer["value"][0]["timeseries"][0]["data"]
    assert len(data) == 60
    assert all(set(point) == {"timeStamp"} for point in data), "there was no local cloud then"


def test_many_resources_at_once_by_the_metrics_client(world: World) -> None:
    connection = world.cloud.connection
    with MetricsClient(
        connection["resource_manager"],
        world.cloud.credential,
        connection_verify=connection["ca"],
    ) as client:
        results = client.query_resources(
            resource_ids=[job_id(world), job_id(world, "pair")],
            metric_namespace="Microsoft.App/jobs",
            metric_names=["Executions"],
            timespan=timedelta(hours=2),
            granularity=timedelta(hours=1),
            aggregations=[MetricAggregationType.TOTAL],
            filter="state eq 'Failed' or state eq 'Succeeded'",
        )
    assert len(results) == 2
    by_state = {
        series.metadata_values["state"]: sum(point.total or 0 for point in series.data)
        for series in results[0].metrics[0].timeseries
    }
    assert by_state["Failed"] == 1
    assert by_state["Succeeded"] >= 2
    assert not results[1].metrics[0].timeseries


def test_the_batch_wants_a_token_of_its_own_audience(world: World) -> None:
    connection = world.cloud.connection
    answer = requests.post(
        f"{connection['resource_manager']}/subscriptions/{connection['subscription']}"
        "/metrics:getBatch?api-version=2024-02-01",
        headers={
            "Authorization": f"Bearer {world.cloud.credential.text('https://vault.azure.net')}"
        },
        verify=connection["ca"],
        timeout=10,
    )
    assert answer.status_code == 401


def test_a_whole_subscription_is_refused_not_answered_with_nothing(
    world: World, monitor: MonitorManagementClient
) -> None:
    with pytest.raises(HttpResponseError, match="getBatch"):
        monitor.metrics.list_at_subscription_scope(
            region="westeurope", metricnamespace="Microsoft.App/jobs", metricnames="Executions"
        )
