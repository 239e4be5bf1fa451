"""Topics against a simple model: each subscription gets exactly the messages that match."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.clock import ManualClock
from orchestrator.localcloud.servicebus.broker import Broker, durably
from orchestrator.localcloud.servicebus.front.messages import read
from orchestrator.localcloud.servicebus.store.memory import MemoryStore
from orchestrator.localcloud.servicebus.topics.definitions import (
    SubscriptionProperties,
    TopicProperties,
)
from orchestrator.localcloud.servicebus.topics.rules import (
    CorrelationFilter,
    FalseFilter,
    Filter,
    Rule,
    SqlAction,
    SqlFilter,
    TrueFilter,
    TypedValue,
)
from tests.unit.servicebus.wire_messages import body, encoded

NAMESPACE, TOPIC = "model", "events"
Sent = tuple[str, int, str]
"""The body (its number), the property `n`, the label."""

# Each filter with what it means.
FILTERS: list[tuple[Filter, Callable[[int, str], bool]]] = [
    (TrueFilter(), lambda n, label: True),
    (FalseFilter(), lambda n, label: False),
    (SqlFilter("n > 2"), lambda n, label: n > 2),
    (SqlFilter("n % 2 = 0 OR sys.Label = 'red'"), lambda n, label: n % 2 == 0 or label == "red"),
    (SqlFilter("NOT n IN (1, 3) AND sys.Label LIKE '%e%'"), lambda n, label: n not in (1, 3)),
    (CorrelationFilter(label="blue"), lambda n, label: label == "blue"),
    (CorrelationFilter(properties={"n": TypedValue("int", "1")}), lambda n, label: n == 1),
]
RULES = st.lists(st.tuples(st.integers(0, len(FILTERS) - 1), st.booleans()), min_size=0, max_size=3)
STEPS = st.one_of(
    st.tuples(st.just("send"), st.integers(0, 5), st.sampled_from(["red", "blue"])),
    st.tuples(st.just("schedule"), st.integers(0, 5), st.sampled_from(["red", "blue"])),
    st.tuples(st.just("rules"), st.integers(0, 2), RULES),
    st.tuples(st.just("wait"), st.just(0), st.just("")),
    st.tuples(st.just("restart"), st.just(0), st.just("")),
)


class Model:
    """What each subscription must hold, by body and the rule that changed it."""

    def __init__(self, rules: list[list[tuple[int, bool]]]) -> None:
        self.rules = rules
        self.expected: list[Counter[tuple[str, str | None]]] = [Counter() for _ in rules]
        self.waiting: list[Sent] = []

    def deliver(self, sent: Sent) -> None:
        text, n, label = sent
        for rules, expected in zip(self.rules, self.expected, strict=True):
            matching = [
                (f"r{place}", acts)
                for place, (number, acts) in enumerate(rules)
                if FILTERS[number][1](n, label)
            ]
            if any(not acts for _, acts in matching):
                expected[text, None] += 1
            for name, acts in matching:
                if acts:
                    expected[text, name] += 1


async def set_rules(broker: Broker, number: int, rules: list[tuple[int, bool]]) -> None:
    info = broker.subscription_info(NAMESPACE, TOPIC, f"s{number}")
    assert info is not None
    for rule in info.rules:
        await broker.delete_rule_of(NAMESPACE, TOPIC, info.name, rule.name)
    for place, (filter_number, acts) in enumerate(rules):
        action = SqlAction(f"SET changed = 'r{place}'") if acts else None
        rule = Rule(f"r{place}", FILTERS[filter_number][0], action)
        await broker.put_rule_of(NAMESPACE, TOPIC, info.name, rule)


async def run(initial: list[list[tuple[int, bool]]], steps: list[tuple[str, Any, Any]]) -> None:
    clock, store = ManualClock(), MemoryStore()
    broker = Broker(store, clock)
    await broker.open()
    await broker.put_namespace(NAMESPACE)
    await broker.put_topic(NAMESPACE, TOPIC, TopicProperties())
    model = Model([list(rules) for rules in initial])
    for number, rules in enumerate(initial):
        await broker.put_subscription(NAMESPACE, TOPIC, f"s{number}", SubscriptionProperties())
        await set_rules(broker, number, rules)
    for place, (what, first, second) in enumerate(steps):
        if what in ("send", "schedule"):
            message = read(encoded(str(place), {"n": first}, subject=second), clock.time())
            if what == "schedule":
                message.scheduled_at = clock.time() + 10
                model.waiting.append((str(place), first, second))
            else:
                model.deliver((str(place), first, second))
            topic = broker.topic(NAMESPACE, TOPIC)
            assert topic is not None
            await durably(lambda done, m=message, t=topic: t.send([m], done))  # type: ignore[misc]
        elif what == "rules":
            await set_rules(broker, first, second)
            model.rules[first] = second
        elif what == "wait":
            await clock.advance(11)
            for _ in range(4):
                await durably(store.barrier)
            for sent in model.waiting:
                model.deliver(sent)
            model.waiting.clear()
        else:
            await broker.close()
            broker = Broker(store, clock)
            await broker.open()
        check(broker, model)
    await broker.close()


def check(broker: Broker, model: Model) -> None:
    content = broker._content
    for number, expected in enumerate(model.expected):
        queue = broker.subscription(NAMESPACE, TOPIC, f"s{number}")
        assert queue is not None
        found: Counter[tuple[str, str | None]] = Counter()
        for message in queue.peek(0, 1000):
            properties = content.read(message.payload).properties
            assert properties.get("RuleName") == properties.get("changed")
            found[body(message.payload), properties.get("changed")] += 1
        assert found == expected
        assert queue.counts().dead_letter == 0
    topic = broker.topic(NAMESPACE, TOPIC)
    assert topic is not None
    assert topic.counts().scheduled == len(model.waiting)


@settings(max_examples=60)
@given(st.lists(RULES, min_size=3, max_size=3), st.lists(STEPS, max_size=12))
def test_each_subscription_gets_exactly_the_matching_messages(
    rules: list[list[tuple[int, bool]]], steps: list[tuple[str, Any, Any]]
) -> None:
    asyncio.run(run(rules, steps))
