"""Messages over HTTP: what is refused, who may ask, and which namespace is meant."""

from __future__ import annotations

import http.client
import json
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.localcloud.servicebus.model import EntityStatus, Right
from tests.cloud.rest_world import NAMESPACE, ROOT, World, alone
from tests.cloud.servicebus_signature import signature


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from alone(tmp_path_factory.mktemp("cloud"))


def test_what_is_wrong_is_told(world: World) -> None:
    queue = world.queue()
    missing = world.ask("POST", "nowhere/messages", "x")
    assert (missing.status, "could not be found" in missing.detail) == (410, True)
    for method in ("POST", "DELETE"):
        assert world.ask(method, "nowhere/messages/head?timeout=0").status == 410
        for timeout in ("soon", "-1", "1.5", "9" * 20):
            path = f"{queue}/messages/head?timeout={timeout}"
            assert world.ask(method, path).status == 400
    for method in ("PUT", "POST", "DELETE"):
        assert world.ask(method, f"nowhere/messages/1/{uuid.uuid4()}").status == 410
        assert world.ask(method, f"{queue}/messages/1/{uuid.uuid4()}").status == 404
    bad = world.ask("POST", f"{queue}/messages", "x", {"BrokerProperties": "{'Label': 'a'}"})
    assert bad.status == 400
    assert bad.detail == (
        "The value '{'Label': 'a'}' of the HTTP header 'BrokerProperties' is invalid."
    )
    both = {"BrokerProperties": '{"SessionId": "a", "PartitionKey": "b"}'}
    assert world.ask("POST", f"{queue}/messages", "x", both).status == 400
    world.update(queue, status=EntityStatus.DISABLED)
    assert world.ask("POST", f"{queue}/messages", "x").status == 403
    assert world.ask("POST", f"{queue}/messages/head?timeout=0").status == 403
    assert world.ask("PUT", f"{queue}/messages/head", "x").status != 201


def test_a_session_is_had_over_amqp_only(world: World) -> None:
    queue = world.queue(requires_session=True)
    bare = world.ask("POST", f"{queue}/messages", "x")
    assert (bare.status, "SessionId was not set" in bare.detail) == (400, True)
    world.send(queue, "x", {"BrokerProperties": '{"SessionId": "s"}'})
    for method in ("POST", "DELETE"):
        refused = world.ask(method, f"{queue}/messages/head?timeout=0")
        assert refused.status == 405
        assert refused.detail.startswith(
            "It is not possible for an entity that requires sessions to create a non-sessionful"
        )
    assert world.receive(queue, session_id="s").session_id == "s"


def test_a_message_may_be_as_large_as_the_queue_takes(world: World) -> None:
    queue = world.queue()
    world.send(queue, b"x" * (256 * 1024 - 100))
    assert len(world.ask("DELETE", f"{queue}/messages/head").body) == 256 * 1024 - 100
    for size in (256 * 1024, 256 * 1024 + 1, 3 * 1024 * 1024):
        refused = world.ask("POST", f"{queue}/messages", b"x" * size)
        assert (refused.status, "exceeds" in refused.detail) == (403, True)
    assert world.nothing(queue)


def test_a_large_message_where_the_queue_takes_it_on_every_port(world: World) -> None:
    queue = world.queue(max_message_size_in_kilobytes=4096)
    body = b"\x00\xff" * 1_500_000
    bus = world.cloud.connection["service_bus"]
    for address, secure in ((world.address, True), (bus["amqps"], True), (bus["amqp"], False)):
        token = signature(f"https://{address}/", ROOT, world.key, time.time() + 600)
        options: dict[str, Any] = {"token": token, "address": address, "secure": secure}
        sent = world.ask("POST", f"{queue}/messages", body, **options)
        assert sent.status == 201, sent.body
        got = world.ask("POST", f"{queue}/messages/head", **options)
        assert got.body == body
        place = got.headers["Location"]
        assert place.startswith(f"http{'s' if secure else ''}://{address}/{queue}/messages/")
        path = urllib.parse.urlsplit(place).path.lstrip("/")
        assert world.ask("DELETE", path, **options).status == 200


def test_an_upload_that_breaks_off_sends_nothing(world: World) -> None:
    queue = world.queue()
    for more in (
        b"Content-Length: 1000\r\n\r\nhalf",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf",
    ):
        opened = world.connect(world.address)
        opened.sendall(
            f"POST /{queue}/messages HTTP/1.1\r\nHost: {world.address}\r\n"
            f"Authorization: {world.sas()}\r\n".encode()
            + more
        )
        opened.close()
    world.send(queue, "whole")
    assert world.ask("DELETE", f"{queue}/messages/head").body == b"whole"
    assert world.nothing(queue)


# Who may


def test_a_request_needs_a_token_with_the_right(world: World) -> None:
    queue = world.queue()
    other = world.queue()
    cloud = world.cloud
    for rule, right in (("sender", Right.SEND), ("listener", Right.LISTEN)):
        cloud.call(world.broker.put_rule(NAMESPACE, rule, frozenset({right})))
        cloud.call(world.broker.put_rule(NAMESPACE, f"own-{rule}", frozenset({right}), queue))

    def sas(rule: str, resource: str = "") -> str:
        found = world.broker.rule(NAMESPACE, rule, queue)
        assert found is not None
        return world.sas(resource, rule, found.primary_key)

    send = ("POST", f"{queue}/messages")
    receive = ("POST", f"{queue}/messages/head?timeout=0")
    for token in ("", "Bearer nonsense", "SharedAccessSignature sr=x", world.sas(key="A" * 44)):
        for method, path in (send, receive):
            refused = world.ask(method, path, "x", token=token)
            assert refused.status == 401
            assert refused.detail
    for token in (
        sas("sender"),
        sas("sender", queue),
        sas("own-sender", queue),
        sas("own-sender", f"{queue}/messages"),
    ):
        assert world.ask(*send, "x", token=token).status == 201
        refused = world.ask(*receive, token=token)
        assert refused.status == 401
    assert "'Listen' claim(s)" in world.ask(*receive, token=sas("sender")).detail
    assert "'Send' claim(s)" in world.ask(*send, "x", token=sas("listener")).detail
    for token in (sas("listener"), sas("own-listener", queue)):
        answer = world.ask(*receive, token=token)
        assert answer.status == 201
        for method in ("POST", "DELETE"):
            assert world.ask(method, answer.headers["Location"], token=token).status == 200
    narrow = sas("own-sender", queue)
    assert world.ask("POST", f"{other}/messages", "x", token=narrow).status == 401
    bearer = world.cloud.credential.get_token("https://servicebus.azure.net/.default").token
    assert world.ask(*send, "x", token=f"Bearer {bearer}").status == 201
    wrong = world.cloud.credential.text()
    assert world.ask(*send, "x", token=f"Bearer {wrong}").status == 401


@pytest.mark.parametrize(
    "token",
    [
        "SharedAccessSignature sr={}&sig=%C3%A9&se=2000000000&skn={}",
        "SharedAccessSignature sr={}&sig=x&se=\u00c2\u00b2&skn={}",  # a small 2 in UTF-8
        f"SharedAccessSignature sr={{}}&sig=x&se={'9' * 5000}&skn={{}}",
        "Bearer \u00ff",
    ],
)
def test_a_token_that_nobody_can_have_made_is_refused(world: World, token: str) -> None:
    given = token.format(urllib.parse.quote(f"https://{world.address}/", safe=""), ROOT)
    assert world.ask("POST", f"{world.queue()}/messages", "x", token=given).status == 401


def test_a_key_of_one_entity_opens_no_other_by_what_the_host_is_called(world: World) -> None:
    own, other = world.queue(), world.queue()
    made = world.broker.put_rule(NAMESPACE, "own", frozenset({Right.MANAGE}), own)
    token = world.sas(own, "own", world.cloud.call(made).primary_key)
    assert world.ask("POST", f"{own}/messages", "x", token=token).status == 201
    asked = (("POST", f"{other}/messages"), ("GET", f"{other}?api-version=2021-05"))
    for host in (f"{world.address}/{own}", f"{world.address}/{own}?", f"x@{world.address}/{own}"):
        for method, path in asked:
            answer = world.ask(method, path, None, {"Host": host}, token=token)
            assert answer.status == 400
    assert world.found(other).counts().total == 0


def test_a_namespace_has_a_host_of_its_own(world: World) -> None:
    queue = world.queue()
    port = world.address.rpartition(":")[2]
    bearer = world.cloud.credential.get_token("https://servicebus.azure.net/.default").token
    for host, status in (
        (f"{NAMESPACE}.servicebus.localhost:{port}", 201),
        (f"{NAMESPACE}.servicebus.windows.net", 201),
        (f"other.servicebus.localhost:{port}", 404),
    ):
        answer = world.ask(
            "POST", f"{queue}/Messages/?api-version=2015-01", "x", {"Host": host},
            token=f"Bearer {bearer}",
        )  # fmt: skip
        assert answer.status == status, answer.body
    token = signature(f"http://{NAMESPACE}.servicebus.windows.net/{queue}", ROOT, world.key, 2e9)
    own = {"Host": f"{NAMESPACE}.servicebus.windows.net"}
    answer = world.ask("POST", f"{queue}/messages/head", None, own, token=token)
    assert answer.headers["Location"].startswith(
        f"https://{NAMESPACE}.servicebus.windows.net/{queue}/messages/"
    )


def test_of_several_namespaces_the_host_or_the_key_names_one(world: World) -> None:
    queue = world.queue()
    bearer = world.cloud.credential.get_token("https://servicebus.azure.net/.default").token
    send = ("POST", f"{queue}/messages", "x")
    world.cloud.call(world.broker.put_namespace("another"))
    try:
        answer = world.ask(*send, token=f"Bearer {bearer}")
        assert answer.status == 404
        assert f"another, {NAMESPACE}" in answer.detail
        assert "the header Host: <namespace>.servicebus.windows.net" in answer.detail
        own = {"Host": f"{NAMESPACE}.servicebus.windows.net"}
        assert world.ask(*send, own, token=f"Bearer {bearer}").status == 201
        assert world.ask(*send).status == 201
    finally:
        world.cloud.call(world.broker.delete_namespace("another"))


def test_resource_manager_keeps_what_is_its_own(world: World) -> None:
    answer = world.ask("POST", "subscriptions/x/messages?api-version=2021-11-01", "x", token="")
    assert answer.status == 401
    assert "error" in json.loads(answer.body)


def test_faults_strike_here_too(world: World) -> None:
    queue = world.queue()
    faults = world.cloud.server.faults
    world.send(queue, "x")
    locked = world.lock(queue)
    try:
        faults.add({"kind": "server-busy", "on": "send", "queue": queue, "count": 1})
        busy = world.ask("POST", f"{queue}/messages", "x")
        assert (busy.status, "try again" in busy.detail) == (503, True)
        faults.add({"kind": "lock-lost", "on": "complete", "queue": queue, "count": 1})
        assert world.ask("DELETE", locked.headers["Location"]).status == 404
        faults.add({"kind": "disconnect", "on": "send", "queue": queue, "count": 1})
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            world.ask("POST", f"{queue}/messages", "unsent")
        faults.add({"kind": "status", "status": 429, "on": f"POST /{queue}/messages", "count": 1})
        assert world.ask("POST", f"{queue}/messages", "x").status == 429
    finally:
        faults.clear()
    assert world.lock(queue).broker["DeliveryCount"] == 2
    assert world.nothing(queue)
