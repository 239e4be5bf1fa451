"""Events of two sources, each told once."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.following.events import Pairs, Source
from orchestrator.logs.system_log import SystemEvent


def event(at: float, reason: str = "Completed", replica: str = "") -> SystemEvent:
    time = datetime.fromtimestamp(1_790_000_000 + at, UTC)
    return SystemEvent(time=time, reason=reason, text="text", replica=replica)


def test_the_same_event_of_the_other_source_is_not_new() -> None:
    pairs = Pairs()
    assert pairs.is_new(event(0), "stream")
    assert not pairs.is_new(event(0.4), "store")
    assert pairs.is_new(event(0.4), "store")  # a second one has a partner of its own
    assert not pairs.is_new(event(0.4), "stream")


def test_what_says_something_else_or_was_at_another_time_is_new() -> None:
    pairs = Pairs()
    assert pairs.is_new(event(0), "store")
    assert pairs.is_new(event(0, "Failed"), "stream")
    assert pairs.is_new(event(0, replica="r"), "stream")
    assert pairs.is_new(event(60), "stream")


_TOLD = st.tuples(
    st.integers(0, 40).map(lambda n: n * 10.0),
    st.sampled_from(["SuccessfulCreate", "Completed"]),
    st.sampled_from(["both", "stream", "store"]),
)


@given(st.lists(_TOLD, unique_by=lambda told: told[:2], max_size=30), st.randoms())
def test_in_whatever_order_they_come_each_is_told_once(
    happened: list[tuple[float, str, str]], random: st.DataObject
) -> None:
    arrivals: list[tuple[SystemEvent, Source]] = []
    for at, reason, where in happened:
        if where in ("both", "stream"):
            arrivals.append((event(at, reason), "stream"))
        if where in ("both", "store"):
            arrivals.append((event(at, reason), "store"))
    random.shuffle(arrivals)  # type: ignore[attr-defined]
    pairs = Pairs()
    told = [one for one, source in arrivals if pairs.is_new(one, source)]
    assert sorted((e.time, e.reason) for e in told) == sorted(
        (event(at, reason).time, reason) for at, reason, _ in happened
    )
