"""Metrics through the library and the command, against the local cloud."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from orchestrator import errors
from orchestrator.localcloud.steering.client import SteeringClient
from orchestrator.metrics.verbs import MetricVerbs
from orchestrator.results import Execution
from tests.cli.conftest import Cli
from tests.cloud.library_world import World
from tests.cloud.servicebus_pace import brisk_sdk


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with brisk_sdk():
        made = World(tmp_path_factory.mktemp("metrics"))
        made.orc.up()
        for code in ("0", "3"):
            run = made.orc.start("talker", env={"EXIT": code, "LINES": "1"})
            made.orc.wait(run.name, "talker", timeout=60)
        made.orc.queues["in"].send("one")
        made.orc.queues["in"].send("two")
        # The local cloud's time is ahead of this machine's: "1h" is counted by its clock.
        SteeringClient(made.cloud.connection).advance(1800)
        yield made
        made.close()


@pytest.fixture
def cli(world: World) -> Cli:
    return Cli(world.folder)


def test_a_jobs_metrics(world: World) -> None:
    found = world.orc.metrics.job("talker")
    executions = {s.split: s.total for s in found if s.metric == "Executions"}
    assert executions == {"Running": 2, "Succeeded": 1, "Failed": 1}
    assert "Executions" in repr(found)
    [cores] = world.orc.metrics.job("talker", "requestedcores", interval="1h")
    assert (cores.metric, cores.unit, cores.high) == ("RequestedCores", "Cores", 0.25)
    assert sum(p.value or 0 for p in found.points if p.split == "Failed") == 1


def test_a_queues_metrics(world: World) -> None:
    found = {s.metric: s for s in world.orc.metrics.queue("in", since="2h")}
    assert found["ActiveMessages"].last == 2
    assert found["IncomingMessages"].total == 2
    [average] = world.orc.metrics.queue("in", "ActiveMessages", aggregation="average")
    assert average.aggregation == "Average"
    assert average.last == 2
    [never] = world.orc.metrics.queue("in", "AbandonMessage")
    assert never.last is None


def test_what_there_is_not(world: World) -> None:
    verbs = world.orc.metrics
    with pytest.raises(errors.JobNotFound, match="talkr"):
        verbs.job("talkr")
    with pytest.raises(errors.QueueNotFound, match="inn"):
        verbs.queue("inn")
    with pytest.raises(errors.BadInput, match="Executionz") as caught:
        verbs.job("talker", "Executionz")
    assert caught.value.hint == "Did you mean Executions?"
    with pytest.raises(errors.BadInput, match="93 days"):
        verbs.job("talker", since="100d")
    with pytest.raises(errors.BadInput, match="not possible"):
        verbs.job("talker", interval="7m")


def test_why_there_is_no_data_is_said(world: World, cli: Cli) -> None:
    verbs = world.orc.metrics
    assert verbs.job("talker").silence == ""
    assert verbs.job("pair").silence == "No data: pair has never run."
    # Half an hour has passed since the executions.
    assert "did not run in this time; it last ran at 2" in verbs.job("talker", since="10m").silence
    assert verbs.job("talker", "Executions", "RxBytes").silence == (
        "No data of RxBytes: nothing of the kind was measured in this time."
    )
    assert "nothing was measured" in verbs.queue("in", "AbandonMessage").silence
    shown = cli("metrics", "--job", "pair")
    assert (shown.status, shown.out, shown.err) == (0, "", "No data: pair has never run.\n")
    data = cli("metrics", "--job", "pair", "-o", "json")
    assert json.loads(data.out)[0]["points"] == []
    assert data.err == "No data: pair has never run.\n"
    points = cli("metrics", "--job", "pair", "--points")
    assert (points.out, points.err) == ("", "No data: pair has never run.\n")


def test_a_value_that_is_not_there_yet_is_told_from_none(world: World) -> None:
    """Azure Monitor tells of an execution minutes after it ran; the local cloud at once."""
    here = datetime.now(UTC)
    newest = Execution(name="pair-1", job="pair", status="Succeeded", start=here, end=here)

    class Ran:
        def latest(self, job: str) -> Execution:
            return newest

    orc = world.orc
    verbs = MetricVerbs(orc._clients, orc._jobs, orc._queues, cast("Any", Ran()), orc._time)
    assert verbs.job("pair").silence.startswith("No data yet: pair ran at 2")


def test_a_plot_is_a_picture(world: World, tmp_path: Path) -> None:
    found = world.orc.metrics.job("talker")
    figure = found.plot(tmp_path / "talker.png")
    assert figure._repr_png_().startswith(b"\x89PNG"), "a notebook shows it"
    assert (tmp_path / "talker.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(errors.BadInput, match="picture"):
        found.plot(tmp_path / "talker.foo")
    with pytest.raises(errors.BadInput, match="pair has never run"):
        world.orc.metrics.job("pair").plot()


def test_the_command_in_every_form(cli: Cli) -> None:
    shown = cli("metrics", "--job", "talker")
    assert shown.status == 0, shown.err
    assert "Failed" in shown.out
    assert "█" in shown.out
    series = json.loads(cli("metrics", "--queue", "in", "-o", "json").out)
    assert series[0]["metric"] == "ActiveMessages"
    assert series[0]["points"][-1]["value"] == 2
    csv = cli("metrics", "--queue", "in", "-m", "ActiveMessages", "-o", "csv").out.splitlines()
    assert csv[0] == "time,metric,split,value"
    assert csv[-1].endswith(",ActiveMessages,,2")
    drawn = cli("metrics", "--queue", "in", "--plot", "queue.svg")
    assert drawn.status == 0
    assert drawn.out == ""
    assert (cli.folder / "queue.svg").exists()
    neither = cli("metrics")
    assert neither.status == 2
    assert "either JOB or --queue" in neither.err


def test_what_time_does_is_measured_when_it_happens(world: World) -> None:
    """Hours pass in one go; a message that expires on the way is gone from then on."""
    world.orc.queues["out"].send("short", time_to_live="10m")
    SteeringClient(world.cloud.connection).advance(3600)
    [depth] = world.orc.metrics.queue("out", "ActiveMessages", since="65m", interval="1m")
    values = depth.values
    assert max(values[:12]) == 1  # minutes 4 to 14, or one more where a minute ends meanwhile
    assert set(values[18:]) == {0}
    assert len(values) > 50


def test_a_topic_is_as_deep_as_its_subscriptions(world: World) -> None:
    group, namespace = world.orc.profile.resource_group, str(world.orc.profile.namespace)
    bus = world.orc._clients.service_bus
    bus.topics.create_or_update(group, namespace, "news", {})
    for name in ("one", "two"):
        bus.subscriptions.create_or_update(group, namespace, "news", name, {})
    with world.orc._clients.bus() as client, client.get_topic_sender("news") as sender:
        from azure.servicebus import ServiceBusMessage

        sender.send_messages([ServiceBusMessage("a"), ServiceBusMessage("b")])
    found = {s.metric: s for s in world.orc.metrics.queue("news", since="10m")}
    assert found["ActiveMessages"].last == 4
    assert found["IncomingMessages"].total == 2


def test_a_queue_that_is_gone_has_no_depth_any_more(world: World) -> None:
    clock = SteeringClient(world.cloud.connection)
    world.orc.queues.create("gone")
    world.orc.queues["gone"].send("one")
    clock.advance(300)
    world.orc.queues.delete("gone")
    clock.advance(600)
    [depth] = world.orc.metrics.queue("gone", "ActiveMessages", since="16m", interval="1m")
    values = [value for _, value in depth.points]
    assert values[-5:] == [None] * 5
    assert [value for value in values if value is not None][-1] == 1
