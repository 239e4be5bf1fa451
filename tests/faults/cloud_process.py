"""A real local cloud process, to be hurt."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestrator.localcloud.config import CloudConfig


def config(state: Path, **ports: int) -> CloudConfig:
    """Any free ports, unless given."""
    return CloudConfig(
        state,
        **({"port": 0, "identity_port": 0, "amqp_port": 0, "amqps_port": 0} | ports),
    )


def token(connection: dict[str, Any]) -> str:
    """A Resource Manager token."""
    identity = connection["identity"]
    address = urlsplit(identity["endpoint"])
    link = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    try:
        link.request(
            "GET",
            f"{address.path}?api-version=2019-08-01&resource=https://management.azure.com",
            headers={"X-IDENTITY-HEADER": identity["header"]},
        )
        return str(json.load(link.getresponse())["access_token"])
    finally:
        link.close()


def ask(connection: dict[str, Any], method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """One Resource Manager request below the subscription."""
    if "api-version=" not in path:
        path += f"{'&' if '?' in path else '?'}api-version=2024-03-01"
    address = urlsplit(connection["resource_manager"])
    context = ssl.create_default_context(cafile=connection["ca"])
    link = http.client.HTTPSConnection(
        address.hostname or "", address.port, context=context, timeout=20
    )
    try:
        link.request(
            method,
            f"/subscriptions/{connection['subscription']}{path}",
            None if body is None else json.dumps(body),
            {"Authorization": f"Bearer {token(connection)}"},
        )
        response = link.getresponse()
        raw = response.read()
        return response.status, json.loads(raw) if raw else None
    finally:
        link.close()
