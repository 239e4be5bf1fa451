"""Microsoft's JavaScript SDK against the local Service Bus."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cloud.servicebus_bus import NAMESPACE, Bus

FOLDER = Path(__file__).parent / "javascript"
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules" / "@azure" / "service-bus").is_dir(),
        reason="@azure/service-bus is not installed: npm install --prefix tests/cloud/javascript",
    ),
]


def active(bus: Bus, queue: str) -> int:
    counts = bus.broker.counts(NAMESPACE, queue)
    assert counts is not None
    return counts.active


def test_the_javascript_sdk_sends_receives_settles_and_is_told_its_errors(bus: Bus) -> None:
    queue = bus.queue()
    assert NODE is not None
    ended = subprocess.run(
        [NODE, "messaging.js", bus.connection_string(), queue],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    seen = json.loads(ended.stdout)
    assert seen["peeked"] == ["complete", {"json": [1, None]}, "dead-letter", "defer", "last"]
    assert seen["first"] == {
        "id": "m-1",
        "subject": "label",
        "properties": {"number": 1, "text": "x", "flag": True},
        "deliveryCount": 0,
        "state": "active",
    }
    assert seen["renewed"] is True
    assert seen["again"] == [{"json": [1, None]}, 1, {"extra": "property"}]
    assert seen["deferred"] == ["defer", {"deferred": True}]
    assert seen["dead"] == {
        "body": "dead-letter",
        "reason": "why",
        "description": "because",
        "source": queue,
        "custom": "c",
    }
    assert seen["deleted"] == ["x", "y"]
    assert seen["subscribed"] == list(range(50))
    assert seen["errors"] == [
        "MessagingEntityNotFound",
        "MessagingEntityNotFound",
        "MessageSizeExceeded",
    ]
    assert active(bus, queue) == 0


def test_the_javascript_sdk_works_by_session(bus: Bus) -> None:
    queue = bus.queue(requires_session=True)
    assert NODE is not None
    ended = subprocess.run(
        [NODE, "sessions.js", bus.connection_string(), queue],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {
        "locked": "SessionCannotBeLocked",
        "state": {"step": 2},
        "renewed": True,
        "peeked": ["b0", "b1", "b2"],
        "named": ["b0", "b1", "b2"],
        "next": "a",
        "received": ["a0", "a1", "a2"],
        "none": "ServiceTimeout",
    }
    assert active(bus, queue) == 0


@pytest.mark.parametrize("websocket", [True, False])
def test_the_javascript_sdk_works_over_tls_and_over_websocket(bus: Bus, websocket: bool) -> None:
    if websocket and not (FOLDER / "node_modules" / "ws").is_dir():
        pytest.skip("ws is not installed: npm install --prefix tests/cloud/javascript")
    queue = bus.queue()
    assert NODE is not None
    script = "websocket.js" if websocket else "messaging.js"
    ended = subprocess.run(
        [NODE, script, bus.tls_connection_string(), queue],
        cwd=FOLDER,
        env=os.environ | {"NODE_EXTRA_CA_CERTS": bus.ca},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    if websocket:
        assert json.loads(ended.stdout) == {"peeked": 2, "received": [1, 200_000]}
    assert active(bus, queue) == 0
