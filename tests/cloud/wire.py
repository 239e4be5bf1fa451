"""Plain HTTPS requests to a local cloud, as curl would send them."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.conftest import CloudInThread

_MANAGED = ("/subscriptions", "/providers", "/tenants", "//", "/nowhere", "/SUBSCRIPTIONS")


@dataclass
class Answer:
    """Status, headers (names in lower case) and body of an answer."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.body["error"]
        return error


class Wire:
    """A client that knows nothing of Azure."""

    def __init__(self, cloud: CloudInThread) -> None:
        self._cloud = cloud
        self.token: str | None = cloud.credential.text()
        self.subscription = f"/subscriptions/{cloud.connection['subscription']}"

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        raw: bytes | None = None,
        version: str | None = "2024-03-01",
    ) -> Answer:
        """Send one request on a connection of its own; for the version, unless the path names it or
        is of an API that knows none."""
        if version is not None and "api-version=" not in path and path.startswith(_MANAGED):
            path += f"{'&' if '?' in path else '?'}api-version={version}"
        address = urlsplit(self._cloud.connection["resource_manager"])
        link = http.client.HTTPSConnection(
            address.hostname or "",
            address.port,
            context=ssl.create_default_context(cafile=self._cloud.ca),
            timeout=20,
        )
        given = dict(headers or {})
        if self.token is not None:
            given.setdefault("Authorization", f"Bearer {self.token}")
        payload = raw
        if body is not None:
            payload = json.dumps(body).encode()
            given.setdefault("Content-Type", "application/json")
        try:
            link.request(method, path, payload, given)
            response = link.getresponse()
            return Answer(
                response.status,
                {name.lower(): value for name, value in response.getheaders()},
                response.read(),
            )
        finally:
            link.close()
