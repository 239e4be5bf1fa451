"""Topics, subscriptions and their rules, on both stores (`world` runs each test twice)."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.localcloud.amqp import sections as s
from orchestrator.localcloud.servicebus.broker import durably
from orchestrator.localcloud.servicebus.errors import (
    EntityAlreadyExists,
    EntityDisabled,
    EntityNotFound,
    InvalidOperation,
)
from orchestrator.localcloud.servicebus.front.messages import read
from orchestrator.localcloud.servicebus.model import EntityStatus, QueueProperties, Right
from orchestrator.localcloud.servicebus.queue import Queue
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
from tests.unit.servicebus.world import NAMESPACE, World, dead_letter

TOPIC = "events"


async def topic(world: World, **properties: Any) -> Queue:
    await world.broker.put_topic(NAMESPACE, TOPIC, TopicProperties(**properties))
    found = world.broker.topic(NAMESPACE, TOPIC)
    assert found is not None
    return found


async def subscription(
    world: World, name: str, rule: Rule | Filter | None = None, **properties: Any
) -> Queue:
    if rule is not None and not isinstance(rule, Rule):
        rule = Rule("only", rule)
    await world.broker.put_subscription(
        NAMESPACE, TOPIC, name, SubscriptionProperties(**properties), rule
    )
    found = world.broker.subscription(NAMESPACE, TOPIC, name)
    assert found is not None
    return found


async def publish(world: World, text: str, _scheduled: float | None = None, **fields: Any) -> None:
    message = read(encoded(text, fields.pop("properties", None), **fields), world.clock.time())
    message.scheduled_at = _scheduled
    target = world.broker.find(None, TOPIC)
    assert target is not None
    await durably(lambda done: target.send([message], done))
    await world.settled()


def bodies(queue: Queue) -> list[str]:
    return [body(message.payload) for message in queue.peek(0, 100)]


def properties_of(queue: Queue) -> list[dict[Any, Any]]:
    return [s.map_of(s.split(m.payload).application_properties) for m in queue.peek(0, 100)]


async def test_each_subscription_gets_a_copy_of_its_own(world: World) -> None:
    await topic(world)
    one, two = await subscription(world, "One"), await subscription(world, "two")
    await publish(world, "a")
    (lock,) = one.acquire(5)
    one.complete(lock.token)
    assert bodies(two) == ["a"]
    await world.restart()
    assert world.again(one).counts().active == 0
    assert bodies(world.again(two)) == ["a"]
    found = world.broker.find(None, "EVENTS/subscriptions/one/$deadletterqueue")
    assert found is not None
    assert found.is_dead_letter
    twice = "events/Subscriptions/one/$DeadLetterQueue/Subscriptions/"
    assert world.broker.find(None, f"{twice}one") is found
    assert world.broker.find(None, f"{twice}two") is None


async def test_definitions_of_topics_survive_a_restart(world: World) -> None:
    made = await world.broker.put_topic(
        NAMESPACE, "Events", TopicProperties(default_message_ttl=60.0, user_metadata="note")
    )
    rule = Rule(
        "r", SqlFilter("a = @p", {"@p": TypedValue("int", "3")}), SqlAction("SET b = 1; REMOVE a")
    )
    of = await world.broker.put_subscription(
        NAMESPACE, "events", "Mine", SubscriptionProperties(max_delivery_count=3), rule
    )
    await world.broker.put_rule(NAMESPACE, "Reader", frozenset({Right.LISTEN}), "events")
    await world.restart()
    assert world.broker.topics(NAMESPACE) == [made]
    assert world.broker.subscriptions(NAMESPACE, "EVENTS") == [of]
    assert of.rules[0].filter == rule.filter
    assert len(world.broker.rules(NAMESPACE, "Events")) == 1
    assert await world.broker.delete_topic(NAMESPACE, "EVENTS")
    await world.restart()
    assert world.broker.topics(NAMESPACE) == []
    assert world.broker.subscription_info(NAMESPACE, "events", "mine") is None
    assert world.broker.rules(NAMESPACE, "events") == []


async def test_a_topic_takes_sends_only_and_a_subscription_receivers_only(world: World) -> None:
    of = await topic(world)
    one = await subscription(world, "one")
    with pytest.raises(InvalidOperation, match="subscriptions"):
        of.check_receive()
    with pytest.raises(InvalidOperation, match="topic"):
        one.check_send()
    await topic(world, status=EntityStatus.SEND_DISABLED)
    with pytest.raises(EntityDisabled):
        of.check_send()
    with pytest.raises(EntityAlreadyExists):
        await world.broker.put_queue(NAMESPACE, TOPIC, QueueProperties())
    assert not await world.broker.delete_queue(NAMESPACE, TOPIC)
    with pytest.raises(EntityNotFound):
        await world.broker.put_subscription(NAMESPACE, "none", "s", SubscriptionProperties())


@pytest.mark.parametrize(
    ("filter_", "wanted"),
    [
        (TrueFilter(), ["red 1", "blue 5", "plain"]),
        (FalseFilter(), []),
        (SqlFilter("sys.Label = 'red' OR quantity > 4"), ["red 1", "blue 5"]),
        (SqlFilter("quantity IS NULL"), ["plain"]),
        (SqlFilter("NOT quantity = 1"), ["blue 5"]),
        (SqlFilter("colour LIKE 'b%' AND EXISTS(quantity)"), ["blue 5"]),
        (SqlFilter("quantity = @n", {"@n": TypedValue("int", "1")}), ["red 1"]),
        (CorrelationFilter(label="red"), ["red 1"]),
        (CorrelationFilter(label="Red"), []),
        (CorrelationFilter(properties={"quantity": TypedValue("long", "5")}), ["blue 5"]),
        (CorrelationFilter(label="red", properties={"quantity": TypedValue("int", "5")}), []),
        (CorrelationFilter(correlation_id="c", content_type="text/plain"), ["plain"]),
    ],
)
async def test_filters_choose(world: World, filter_: Filter, wanted: list[str]) -> None:
    await topic(world)
    one = await subscription(world, "one", filter_)
    await publish(world, "red 1", subject="red", properties={"colour": "red", "quantity": 1})
    await publish(world, "blue 5", subject="blue", properties={"colour": "blue", "quantity": 5})
    await publish(world, "plain", correlation_id="c", content_type="text/plain")
    assert bodies(one) == wanted


async def test_rules_with_actions_make_one_copy_each_and_the_others_one_together(
    world: World,
) -> None:
    await topic(world)
    one = await subscription(world, "one", Rule("plain", SqlFilter("quantity > 0")))
    for rule in (
        Rule("also plain", SqlFilter("quantity > 1")),
        Rule("doubles", SqlFilter("quantity > 1"), SqlAction("SET quantity = quantity * 2")),
        Rule("labels", TrueFilter(), SqlAction("SET sys.Label = 'hot'; REMOVE quantity")),
        Rule("never", FalseFilter(), SqlAction("SET x = 1")),
    ):
        await world.broker.put_rule_of(NAMESPACE, TOPIC, "one", rule)
    await publish(world, "a", subject="cold", properties={"quantity": 3})
    found = sorted(properties_of(one), key=str)
    assert found == [
        {"RuleName": "labels"},
        {"quantity": 3},
        {"quantity": 6, "RuleName": "doubles"},
    ]
    labels = {s.list_of(s.split(m.payload).properties, 13)[3] for m in one.peek(0, 9)}
    assert labels == {"cold", "hot"}
    assert bodies(one) == ["a"] * 3


async def test_rules_come_and_go(world: World) -> None:
    await topic(world)
    one = await subscription(world, "one")
    assert [r.rule.name for r in one.rules] == ["$Default"]  # type: ignore[attr-defined]
    assert await world.broker.delete_rule_of(NAMESPACE, TOPIC, "one", "$default")
    assert not await world.broker.delete_rule_of(NAMESPACE, TOPIC, "one", "$default")
    await publish(world, "nobody's")
    added = Rule("Red", CorrelationFilter(label="red"))
    await world.broker.put_rule_of(NAMESPACE, TOPIC, "one", added)
    with pytest.raises(EntityAlreadyExists):
        await world.broker.put_rule_of(NAMESPACE, TOPIC, "one", Rule("RED", TrueFilter()))
    await publish(world, "red", subject="red")
    await world.broker.put_rule_of(
        NAMESPACE, TOPIC, "one", Rule("red", CorrelationFilter(label="blue")), replace=True
    )
    await publish(world, "red again", subject="red")
    await publish(world, "blue", subject="blue")
    assert bodies(one) == ["red", "blue"]


@pytest.mark.parametrize(
    "rule",
    [
        Rule("bad", SqlFilter("a = ")),
        Rule("bad", SqlFilter("a = @missing")),
        Rule("bad", SqlFilter("sys.NoSuch = 1")),
        Rule("bad", TrueFilter(), SqlAction("SET sys.SequenceNumber = 1")),
        Rule("bad", TrueFilter(), SqlAction("DROP a")),
        Rule("bad", CorrelationFilter()),
        Rule("b/d", TrueFilter()),
        Rule("bad", SqlFilter("a = @p", {"@p": TypedValue("int", "three")})),
    ],
)
async def test_a_rule_that_cannot_work_is_refused(memory_world: World, rule: Rule) -> None:
    await topic(memory_world)
    await subscription(memory_world, "one")
    with pytest.raises(InvalidOperation, match=r"b.d|three"):
        await memory_world.broker.put_rule_of(NAMESPACE, TOPIC, "one", rule)


async def test_a_failing_rule_makes_a_dead_letter_or_none(world: World) -> None:
    await topic(world)
    wrong = SqlFilter("1 / quantity > 0")
    strict = await subscription(world, "strict", wrong)
    lenient = await subscription(world, "lenient", wrong, dead_letter_on_filter_errors=False)
    await publish(world, "a", properties={"quantity": 0})
    (message,) = strict.dead_letter.peek(0, 5)
    assert message.details.dead_letter_reason == "FilterEvaluationException"
    assert lenient.counts().total == 0


async def test_scheduled_messages_are_given_out_when_their_time_comes(world: World) -> None:
    of = await topic(world)
    one = await subscription(world, "one")
    await publish(world, "later", world.clock.time() + 60)
    assert of.counts().scheduled == 1
    await world.restart()
    two = await subscription(world, "two")
    await world.pass_time(61)
    one = world.again(one)
    assert bodies(one) == bodies(two) == ["later"]
    assert world.again(of).counts().scheduled == 0


async def test_settings_of_topic_and_subscription_hold(world: World) -> None:
    await topic(world, default_message_ttl=30.0, requires_duplicate_detection=True)
    short = await subscription(
        world, "short", default_message_ttl=10.0, dead_letter_on_expiration=True
    )
    long = await subscription(world, "long", max_delivery_count=1, lock_duration=5.0)
    await publish(world, "a", message_id="1")
    await publish(world, "a again", message_id="1")
    assert (short.counts().active, long.counts().active) == (1, 1)
    await world.pass_time(11)
    assert short.counts().dead_letter == 1
    (lock,) = long.acquire(5)
    await durably(lambda done: long.abandon(lock.token, done))
    (grave,) = long.dead_letter.peek(0, 5)
    assert grave.details.dead_letter_source == "events/Subscriptions/long"


async def test_a_session_subscription_buries_what_has_no_session(world: World) -> None:
    await topic(world)
    one = await subscription(world, "one", requires_session=True)
    await publish(world, "with", session_id="s")
    await publish(world, "without")
    assert bodies(one) == ["with"]
    (grave,) = one.dead_letter.peek(0, 5)
    assert grave.details.dead_letter_reason == "SessionIDIsNull"


async def test_queues_forward_to_topics_and_subscriptions_to_queues(world: World) -> None:
    await topic(world)
    await subscription(world, "one", SqlFilter("n = 1"), forward_to="ones")
    await subscription(world, "two", SqlFilter("n = 2"), forward_dead_letters_to="ones")
    ones, entry = await world.queue("ones"), await world.queue("entry", forward_to=TOPIC)
    now = world.clock.time()
    messages = [read(encoded(f"m{n}", {"n": n}), now) for n in (1, 2)]
    await durably(lambda done: entry.send(messages, done))
    await world.settled()
    await world.settled()
    assert bodies(ones) == ["m1"]
    two = world.broker.subscription(NAMESPACE, TOPIC, "two")
    assert two is not None
    (lock,) = two.acquire(5)
    await dead_letter(two, lock, "why")
    await world.settled()
    assert bodies(ones) == ["m1", "m2"]
    assert entry.counts().total == 0
