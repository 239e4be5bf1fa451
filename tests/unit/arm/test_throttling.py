"""What is left of a caller's requests, and what happens when nothing is."""

from __future__ import annotations

import pytest

from orchestrator.clock import ManualClock
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.throttling import Allowance

LEFT = "x-ms-ratelimit-remaining"


def test_reads_and_writes_have_buckets_of_their_own_that_fill_again() -> None:
    clock = ManualClock()
    allowance = Allowance(clock)

    def left(who: str, method: str) -> str:
        [kind] = {"GET": ["reads"], "HEAD": ["reads"], "DELETE": ["deletes"]}.get(
            method, ["writes"]
        )
        return allowance.spend(who, method, "s")[f"{LEFT}-subscription-{kind}"]

    assert [left("a", "GET"), left("a", "GET")] == ["249", "248"]
    assert left("b", "HEAD") == "249"
    assert left("a", "PUT") == "199"
    assert left("a", "DELETE") == "199"
    for _ in range(300):
        left("a", "POST")
    assert left("a", "PATCH") == "0"
    clock.jump(2)
    assert left("a", "PATCH") == "19"
    clock.jump(3600)
    assert left("a", "GET") == "249"


def test_all_principals_together_and_the_tenant_have_buckets_too() -> None:
    allowance = Allowance(ManualClock())
    allowance.spend("a", "GET", "s")
    told = allowance.spend("b", "GET", "s")
    assert told == {
        f"{LEFT}-subscription-reads": "249",
        f"{LEFT}-subscription-global-reads": "3748",
    }
    assert allowance.spend("a", "GET", None) == {f"{LEFT}-tenant-reads": "249"}


def test_an_empty_bucket_refuses_where_that_is_asked_for() -> None:
    clock = ManualClock()
    allowance = Allowance(clock, enforce=True)
    for _ in range(200):
        allowance.spend("a", "PUT", "s")
    with pytest.raises(ArmError) as caught:
        allowance.spend("a", "PUT", "s")
    assert (caught.value.status, caught.value.code) == (429, "SubscriptionRequestsThrottled")
    assert caught.value.headers["Retry-After"] == "1"
    assert caught.value.headers[f"{LEFT}-subscription-writes"] == "0"
    allowance.spend("b", "PUT", "s")
    allowance.spend("a", "GET", "s")
    clock.jump(1)
    for _ in range(10):
        allowance.spend("a", "PUT", "s")
    with pytest.raises(ArmError):
        allowance.spend("a", "PUT", "s")


def test_many_principals_are_refused_together() -> None:
    allowance = Allowance(ManualClock(), enforce=True)
    for number in range(15 * 200):
        allowance.spend(f"p{number % 30}", "DELETE", "s")
    with pytest.raises(ArmError, match="for subscription 's'"):
        allowance.spend("fresh", "DELETE", "s")
    allowance.spend("fresh", "DELETE", None)
