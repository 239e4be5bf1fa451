"""What is left of a caller's requests."""

from __future__ import annotations

from orchestrator.clock import ManualClock
from orchestrator.localcloud.arm.throttling import Allowance


def test_reads_and_writes_have_buckets_of_their_own_that_fill_again() -> None:
    clock = ManualClock()
    allowance = Allowance(clock)
    for expected in ("249", "248"):
        assert allowance.spend("a", "GET") == (
            "x-ms-ratelimit-remaining-subscription-reads",
            expected,
        )
    assert allowance.spend("b", "HEAD")[1] == "249"
    assert allowance.spend("a", "PUT") == ("x-ms-ratelimit-remaining-subscription-writes", "199")
    assert allowance.spend("a", "DELETE")[0].endswith("deletes")
    for _ in range(300):
        allowance.spend("a", "POST")
    assert allowance.spend("a", "PATCH")[1] == "0"
    clock.jump(2)
    assert allowance.spend("a", "PATCH")[1] == "19"
    clock.jump(3600)
    assert allowance.spend("a", "GET")[1] == "249"
