"""Tokens put on $cbs: which are good, and what they open."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

import pytest

from orchestrator.clock import ManualClock
from orchestrator.localcloud.identity import TokenError
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.front.addresses import Node, covers, host_label, parse
from orchestrator.localcloud.servicebus.front.cbs import (
    ALL_RIGHTS,
    Grant,
    Grants,
    TokenChecker,
    TokenRefusedError,
)
from orchestrator.localcloud.servicebus.model import QueueProperties, Right
from orchestrator.localcloud.servicebus.store.memory import MemoryStore
from tests.cloud.servicebus_signature import signature

NOW = 1_800_000_000.0
HOST = "contoso.servicebus.windows.net"
RULE = "RootManageSharedAccessKey"


def authenticate(token: str, audiences: Collection[str]) -> Mapping[str, Any]:
    """Takes the token `good <audience>`, as `Identity.check` takes its own."""
    if token.partition(" ")[2] not in audiences:
        raise TokenError("InvalidAuthenticationTokenAudience", "wrong audience")
    return {"exp": int(NOW) + 60}


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    broker = Broker(MemoryStore(), ManualClock(NOW))
    await broker.open()
    for namespace in ("Contoso", "fabrikam"):
        await broker.put_namespace(namespace)
        await broker.put_queue(namespace, "orders", QueueProperties())
    yield broker
    await broker.close()


@pytest.fixture
def checker(broker: Broker) -> TokenChecker:
    return TokenChecker(broker, authenticate)


def key(broker: Broker, namespace: str = "contoso", name: str = RULE) -> str:
    rule = broker.rule(namespace, name)
    assert rule is not None
    return rule.primary_key


@pytest.mark.parametrize(
    ("text", "host", "path", "node"),
    [
        ("orders", None, "orders", Node.ENTITY),
        (
            "amqps://h:5671/orders/$DeadLetterQueue",
            "h:5671",
            "orders/$DeadLetterQueue",
            Node.ENTITY,
        ),
        ("sb://h/orders/$Management/", "h", "orders", Node.MANAGEMENT),
        ("$CBS", None, "", Node.CBS),
        ("amqps://h/$cbs", "h", "", Node.CBS),
        ("sb://h", "h", "", Node.ENTITY),
        ("a%20b", None, "a b", Node.ENTITY),
    ],
)
def test_addresses_are_read_in_all_their_forms(
    text: str, host: str | None, path: str, node: Node
) -> None:
    assert parse(text) == (host, path, node)


def test_a_grant_covers_what_lies_below_it_and_nothing_beside() -> None:
    assert covers("", "orders")
    assert covers("Orders", "orders/$DeadLetterQueue")
    assert not covers("order", "orders")
    assert not covers("orders/a", "orders")
    assert host_label("Contoso.servicebus.windows.net:5671") == "contoso"
    assert host_label(None) is None


def test_a_jwt_of_the_right_audience_opens_its_resource(checker: TokenChecker) -> None:
    for audience in ("https://servicebus.azure.net", f"sb://{HOST}"):
        grant = checker.check(f"good {audience}", f"sb://{HOST}/orders", NOW)
        assert grant == Grant("contoso", "orders", ALL_RIGHTS, NOW + 60)
    # Loopback names no namespace.
    assert (
        checker.check("good https://servicebus.azure.net", "sb://127.0.0.1:1/orders", NOW).namespace
        is None
    )


@pytest.mark.parametrize(
    ("token", "resource", "status"),
    [
        ("good https://management.azure.com", f"sb://{HOST}/orders", 401),
        ("nonsense", f"sb://{HOST}/orders", 401),
        ("good https://servicebus.azure.net", "", 400),
        ("SharedAccessSignature sr=x", f"sb://{HOST}/orders", 401),
        ("SharedAccessSignature sr=x&sig=y&se=soon&skn=z", f"sb://{HOST}/orders", 401),
    ],
)
def test_other_tokens_are_refused(
    checker: TokenChecker, token: str, resource: str, status: int
) -> None:
    with pytest.raises(TokenRefusedError) as refused:
        checker.check(token, resource, NOW)
    assert refused.value.status == status
    assert token not in refused.value.message


@pytest.mark.parametrize("scope", ["", "/", "/orders", "/ORDERS"])
async def test_a_signature_opens_what_it_was_made_for(
    checker: TokenChecker, broker: Broker, scope: str
) -> None:
    token = signature(f"sb://{HOST}{scope}", RULE, key(broker), NOW + 60)
    grant = checker.check(token, f"sb://{HOST}/orders", NOW)
    assert grant == Grant("contoso", "orders", ALL_RIGHTS, NOW + 60)


@pytest.mark.parametrize("scope", ["", "/", "/orders"])
async def test_what_is_signed_may_lack_its_scheme(
    checker: TokenChecker, broker: Broker, scope: str
) -> None:
    token = signature(f"{HOST}{scope}", RULE, key(broker), NOW + 60)
    grant = checker.check(token, f"https://{HOST}/orders", NOW)
    assert grant == Grant("contoso", "orders", ALL_RIGHTS, NOW + 60)
    with pytest.raises(TokenRefusedError, match="does not contain"):
        checker.check(token, "sb://fabrikam.servicebus.windows.net/orders", NOW)


async def test_a_token_that_is_over_says_since_when(checker: TokenChecker, broker: Broker) -> None:
    token = signature(f"sb://{HOST}", RULE, key(broker), NOW - 60)
    with pytest.raises(TokenRefusedError, match=r"Expiration time: 01/15/2027 07:59:00\.$"):
        checker.check(token, f"sb://{HOST}/orders", NOW)


async def test_the_secondary_key_signs_as_well(checker: TokenChecker, broker: Broker) -> None:
    rule = broker.rule("contoso", RULE)
    assert rule is not None
    token = signature(f"sb://{HOST}/orders", RULE, rule.secondary_key, NOW + 60)
    assert checker.check(token, f"sb://{HOST}/orders", NOW).rights == ALL_RIGHTS


async def test_wrong_signatures_are_refused(checker: TokenChecker, broker: Broker) -> None:
    good = key(broker)
    other = base64.b64encode(bytes(32)).decode()
    resource = f"sb://{HOST}/orders"
    for token in (
        signature(resource, RULE, other, NOW + 60),
        signature(resource, RULE, key(broker, "fabrikam"), NOW + 60),
        signature(resource, "Nobody", good, NOW + 60),
        signature(resource, RULE, good, NOW),
        signature(f"sb://{HOST}/other", RULE, good, NOW + 60),
        signature("sb://fabrikam.servicebus.windows.net/orders", RULE, good, NOW + 60),
        signature(resource, RULE, good, NOW + 60).replace(str(int(NOW) + 60), str(int(NOW) + 90)),
    ):
        with pytest.raises(TokenRefusedError) as refused:
            checker.check(token, resource, NOW)
        assert refused.value.status == 401
        assert good not in refused.value.message


async def test_on_loopback_the_key_says_which_namespace(
    checker: TokenChecker, broker: Broker
) -> None:
    resource = "sb://127.0.0.1:14672/orders"
    token = signature(resource, RULE, key(broker, "fabrikam"), NOW + 60)
    grant = checker.check(token, resource, NOW)
    assert grant.namespace == "fabrikam"
    grants = Grants()
    grants.add(grant)
    assert grants.until("Fabrikam", "orders", Right.SEND, NOW) == NOW + 60
    assert grants.until("contoso", "orders", Right.SEND, NOW) is None


async def test_a_queues_own_rule_opens_that_queue(checker: TokenChecker, broker: Broker) -> None:
    rule = await broker.put_rule("contoso", "mine", frozenset({Right.SEND}), "orders")
    token = signature(f"sb://{HOST}/orders", "mine", rule.primary_key, NOW + 60)
    assert checker.check(token, f"sb://{HOST}/orders", NOW).rights == {Right.SEND}
    wide = signature(f"sb://{HOST}", "mine", rule.primary_key, NOW + 60)
    with pytest.raises(TokenRefusedError):
        checker.check(wide, f"sb://{HOST}/", NOW)


async def test_a_key_by_itself_opens_its_namespace(checker: TokenChecker, broker: Broker) -> None:
    grant = checker.check_key(RULE, key(broker, "fabrikam"))
    assert grant is not None
    assert (grant.namespace, grant.path) == ("fabrikam", "")
    assert checker.check_key(RULE, "wrong") is None
    assert checker.check_key("Nobody", key(broker)) is None


def test_grants_end_and_are_renewed() -> None:
    grants = Grants()
    grants.add(Grant(None, "orders", frozenset({Right.LISTEN}), NOW + 10))
    assert grants.until("any", "orders", Right.LISTEN, NOW) == NOW + 10
    assert grants.until("any", "orders", None, NOW) == NOW + 10
    assert grants.until("any", "orders", Right.SEND, NOW) is None
    assert grants.until("any", "orders", Right.LISTEN, NOW + 10) is None
    assert grants.next_expiry(NOW) == NOW + 10
    grants.add(Grant(None, "orders", frozenset({Right.LISTEN}), NOW + 20))
    assert len(grants) == 1
    assert grants.until("any", "orders", Right.LISTEN, NOW + 10) == NOW + 20
    grants.drop_expired(NOW + 20)
    assert len(grants) == 0
    assert grants.next_expiry(NOW) is None
