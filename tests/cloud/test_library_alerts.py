"""Alerts of the settings: made, fired by what really happens, told to a webhook, removed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from orchestrator import errors
from orchestrator.localcloud.steering.client import SteeringClient
from tests.cli.conftest import Cli
from tests.cloud.library_world import SETTINGS, World
from tests.cloud.servicebus_pace import brisk_sdk
from tests.cloud.webhook_receiver import Receiver, receiving

ALERTS = """
[action_groups.on-call]
webhooks = [{ url_env = "TEST_WEBHOOK" }]
emails = ["somebody@example.org"]

[alerts.talker-failed]
when = "failed"
job = "talker"
severity = 1
action_groups = ["on-call"]

[alerts.talker-idle]
when = "no-success"
job = "talker"
within = "30m"

[alerts.lost]
when = "dead-letters"
queue = "in"

[alerts.stuck]
when = "stalled"
queue = "in"
within = "15m"

[alerts.deep]
when = "depth"
queue = "out"
above = 100
"""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[World]:
    with brisk_sdk(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_WEBHOOK", receiver.url)
        made = World(tmp_path_factory.mktemp("alerts"))
        made.path.write_text(SETTINGS + ALERTS)
        made.orc.close()
        made.orc = made.orchestrator()
        clock = SteeringClient(made.cloud.connection)
        clock.freeze()
        clock.advance(450 - time.time() % 300)
        made.orc.up()
        run = made.orc.start("talker")
        made.orc.wait(run.name, "talker", timeout=60)
        yield made
        made.close()


@pytest.fixture
def cli(world: World) -> Cli:
    return Cli(world.folder)


def actions(changes: object) -> dict[str, str]:
    return {change.name: change.action for change in changes}  # type: ignore[attr-defined]


def fired(world: World) -> list[str]:
    return sorted(a.rule for a in world.orc.alerts.history() if a.condition == "Fired")


def test_from_settings_to_a_webhook_and_back(world: World, receiver: Receiver, cli: Cli) -> None:
    clock = SteeringClient(world.cloud.connection)
    # What would be done, then it is done, then there is nothing to do.
    planned = cli("alerts", "apply", "--dry-run")
    assert planned.status == 0, planned.err
    assert "created" in planned.out
    assert list(world.orc.alerts()) == []
    applied = cli("alerts", "apply", "-o", "json")
    assert applied.status == 0, applied.err
    assert "secret" not in applied.out
    assert {c["action"] for c in json.loads(applied.out)} == {"created"}
    assert set(actions(world.orc.alerts.apply()).values()) == {"unchanged"}
    assert "created" not in cli("alerts", "apply", "--dry-run").out

    # A job fails, time passes, the webhook is told.
    run = world.orc.start("talker", env={"EXIT": "7"})
    world.orc.wait(run.name, "talker", timeout=60)
    clock.advance(300)
    told = receiver.next()
    assert told["data"]["essentials"]["alertRule"] == "talker-failed"
    assert told["data"]["essentials"]["severity"] == "Sev1"
    assert "talker has failed" in told["data"]["essentials"]["description"]
    assert fired(world) == ["talker-failed"]
    states = {rule.name: rule.state for rule in world.orc.alerts()}
    assert states["talker-failed"] == "fired"
    assert states["lost"] == "healthy"

    # A dead letter; a message that nobody takes; no success for too long.
    with world.orc._clients.bus() as bus, bus.get_queue_receiver("in") as messages:
        world.orc.queues["in"].send("bad")
        [message] = messages.receive_messages(1, max_wait_time=5)
        messages.dead_letter_message(message, reason="a test")
    world.orc.queues["in"].send("waits")
    clock.advance(1200)
    assert {"lost", "stuck"} <= set(fired(world))
    clock.advance(1200)
    assert set(fired(world)) == {"lost", "stuck", "talker-idle"}
    [resolved] = world.orc.alerts.history("talker-failed")
    assert resolved.condition == "Resolved"
    assert resolved.lasted is not None
    shown = cli("alerts", "history")
    assert "talker-failed" in shown.out
    assert "Resolved" in shown.out
    listed = cli("alerts", "list")
    assert "fired" in listed.out


def test_what_the_settings_change_is_told_field_by_field(world: World) -> None:
    text = SETTINGS + ALERTS.replace("severity = 1", "severity = 0")
    with world.orchestrator(text.replace("above = 100", "above = 50")) as other:
        changes = {c.name: c for c in other.alerts.apply("talker-failed", "deep", dry_run=True)}
    assert [str(f) for f in changes["talker-failed"].fields] == ["severity: 1 → 0"]
    deep = {f.path: (f.old, f.new) for f in changes["deep"].fields}
    assert deep["criteria.allOf[0].threshold"] == (100, 50)
    assert set(deep) == {"criteria.allOf[0].threshold", "description"}
    assert changes["on-call"].action == "unchanged"


def test_a_webhook_that_moved_is_updated_and_not_shown(
    world: World, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    monkeypatch.setenv("TEST_WEBHOOK", receiver.url + "-other")
    change = world.orc.alerts.apply("talker-failed", dry_run=True)[0]
    assert (change.name, change.action) == ("on-call", "updated")
    assert "secret" not in repr(change.as_json())
    monkeypatch.delenv("TEST_WEBHOOK")
    with pytest.raises(errors.SettingsError, match="TEST_WEBHOOK is not set"):
        world.orc.alerts.apply()


def test_prune_deletes_what_the_settings_no_longer_name(world: World, cli: Cli) -> None:
    world.orc.alerts.apply()
    fewer = ALERTS[: ALERTS.index("[alerts.talker-idle]")]
    with world.orchestrator(SETTINGS + fewer) as other:
        assert actions(other.alerts.apply(dry_run=True)) == {
            "on-call": "unchanged",
            "talker-failed": "unchanged",
        }
        pruned = actions(other.alerts.apply(prune=True))
    assert {name for name, action in pruned.items() if action == "deleted"} == {
        "talker-idle",
        "lost",
        "stuck",
        "deep",
    }
    assert [rule.name for rule in world.orc.alerts()] == ["talker-failed"]
    refused = cli("alerts", "delete", "talker-faild", "--yes")
    assert refused.status != 0
    assert 'Did you mean "talker-failed"?' in refused.err
    assert cli("alerts", "delete", "talker-failed", "--yes").status == 0
    assert list(world.orc.alerts()) == []


def test_an_alert_that_looks_at_something_else_replaces_its_rule(world: World) -> None:
    """A log alert and a metric alert of one name are two resources."""
    world.orc.alerts.apply()
    turned = ALERTS.replace('when = "dead-letters"\nqueue = "in"', 'when = "failed"\njob = "pair"')
    with world.orchestrator(SETTINGS + turned) as other:
        done = [(c.name, c.kind, c.action) for c in other.alerts.apply() if c.name == "lost"]
        assert done == [("lost", "log alert", "created"), ("lost", "metric alert", "deleted")]
        assert [rule.kind for rule in other.alerts() if rule.name == "lost"] == ["log alert"]
    # Of another project, both are there, and go together.
    with world.orchestrator('project = "other"\n' + SETTINGS + ALERTS) as other:
        other.alerts.apply("lost")
    assert len([rule for rule in world.orc.alerts() if rule.name == "lost"]) == 2
    assert world.orc.alerts.delete("lost").kind == "log alert and metric alert"
    assert "lost" not in {rule.name for rule in world.orc.alerts()}


def test_what_is_not_possible_is_said(world: World) -> None:
    with pytest.raises(errors.NotFound, match="talker-fail"):
        world.orc.alerts.apply("talker-fail")
    with pytest.raises(errors.BadInput, match="30 days"):
        world.orc.alerts.history(since="60d")
