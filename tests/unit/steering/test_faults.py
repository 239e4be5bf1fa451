"""Faults on demand: which strike what, and how often."""

from __future__ import annotations

import random
from typing import Any

import pytest

from orchestrator.localcloud.servicebus.front.faults import Strike
from orchestrator.localcloud.steering.faults import Faults
from orchestrator.localcloud.steering.http_faults import operation_names
from orchestrator.localcloud.steering.refusal import SteeringRefused


@pytest.fixture
def faults() -> Faults:
    return Faults(random.Random(7))


def test_a_fault_strikes_as_often_as_it_was_asked_to(faults: Faults) -> None:
    fault = faults.add({"kind": "server-busy", "on": "send", "count": 2})
    strikes = [faults.service_bus("send", "ns", "q") for _ in range(4)]
    assert strikes == [Strike.BUSY, Strike.BUSY, None, None]
    assert faults.service_bus("receive", "ns", "q") is None
    assert fault.as_json() == {
        "id": "f1",
        "kind": "server-busy",
        "on": "send",
        "rate": 1.0,
        "count": 2,
        "queue": "*",
        "hits": 2,
        "spent": True,
    }


def test_a_rate_is_the_share_of_operations(faults: Faults) -> None:
    faults.add({"kind": "disconnect", "rate": 0.25})
    struck = sum(faults.service_bus("send", "ns", "q") is Strike.CUT for _ in range(4000))
    assert 850 < struck < 1150


def test_a_fault_of_one_queue_leaves_others_alone(faults: Faults) -> None:
    faults.add({"kind": "lock-lost", "queue": "PARAM*", "on": "complete"})
    assert faults.service_bus("complete", "ns", "results") is None
    assert faults.service_bus("complete", "ns", "parameters") is Strike.LOCK_LOST


def test_only_stars_and_question_marks_are_special_in_a_pattern(faults: Faults) -> None:
    faults.add({"kind": "disconnect", "queue": "a[b]?"})
    assert faults.service_bus("send", "ns", "ab1") is None
    assert faults.service_bus("send", "ns", "a[b]1") is Strike.CUT


def test_only_what_needs_a_lock_can_lose_one(faults: Faults) -> None:
    faults.add({"kind": "lock-lost"})
    assert faults.service_bus("send", "ns", "q") is None
    assert faults.service_bus("renew-lock", "ns", "q") is Strike.LOCK_LOST


def test_after_means_done_and_not_told(faults: Faults) -> None:
    faults.add({"kind": "disconnect", "on": "send", "after": True})
    assert faults.service_bus("send", "ns", "q") is Strike.CUT_AFTER


def test_the_longest_log_delay_counts(faults: Faults) -> None:
    assert faults.log_delay() == 0
    faults.add({"kind": "log-delay", "delay": 60})
    faults.add({"kind": "log-delay", "delay": 180})
    assert faults.log_delay() == 180


def test_removing(faults: Faults) -> None:
    first = faults.add({"kind": "drop"})
    faults.add({"kind": "drop"})
    assert faults.remove(first.id) is first
    with pytest.raises(SteeringRefused, match="no fault 'f1'; there are: f2") as refused:
        faults.remove(first.id)
    assert refused.value.status == 404
    assert faults.clear() == 1
    assert faults.all() == []


@pytest.mark.parametrize(
    ("method", "path", "names"),
    [
        (
            "POST",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/jobs/j/start",
            ["arm", "Microsoft.App/jobs/start/action"],
        ),
        (
            "GET",
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/jobs/j/executions/e",
            ["arm", "Microsoft.App/jobs/executions/read"],
        ),
        ("PUT", "/subscriptions/s/resourceGroups/g/providers/A.B/c/d", ["arm", "A.B/c/write"]),
        ("DELETE", "/subscriptions/s/resourceGroups/g/providers/A.B/c/d", ["arm", "A.B/c/delete"]),
        (
            "PUT",
            "/subscriptions/s/resourcegroups/g",
            ["arm", "Microsoft.Resources/subscriptions/resourceGroups/write"],
        ),
        ("POST", "/v1/workspaces/w/query", ["logs"]),
        ("POST", "/tenant/oauth2/v2.0/token", ["login"]),
        ("GET", "/tenant/v2.0/.well-known/openid-configuration", ["login"]),
        ("GET", "/metadata/endpoints", ["login"]),
    ],
)
def test_operations_are_known_by_the_names_azure_gives_them(
    method: str, path: str, names: list[str]
) -> None:
    assert list(operation_names(method, path)) == [f"{method} {path}", path, *names]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "'kind' is one of status"),
        ({"kind": "gremlin"}, "not 'gremlin'"),
        ({"kind": ["drop"]}, "'kind' is one of"),
        ({"kind": "drop", "queue": "q"}, "has no 'queue'; it has on, rate, count, after"),
        ({"kind": "drop", "rate": 0}, "'rate' is above 0"),
        ({"kind": "drop", "rate": 1.5}, "at most 1"),
        ({"kind": "drop", "rate": "often"}, "'rate' is a number"),
        ({"kind": "drop", "count": 0}, "'count' is a whole number"),
        ({"kind": "drop", "count": 1.5}, "'count' is a whole number"),
        ({"kind": "drop", "on": ""}, "'on' is a pattern"),
        ({"kind": "drop", "after": "yes"}, "'after' is true or false"),
        ({"kind": "status", "status": 200}, "'status' is one of 400"),
        ({"kind": "status", "retry_after": -1}, "'retry_after'"),
        ({"kind": "latency"}, "needs a 'delay'"),
        ({"kind": "latency", "delay": float("nan")}, "'delay'"),
    ],
)
def test_a_wrong_fault_is_refused_with_what_is_allowed(
    faults: Faults, body: dict[str, Any], words: str
) -> None:
    with pytest.raises(SteeringRefused) as refused:
        faults.add(body)
    assert words in refused.value.message
    assert faults.all() == []
