"""Tokens from a managed-identity endpoint, as Container Apps and App Service serve it.

What azure.identity's ManagedIdentityCredential does with IDENTITY_ENDPOINT and IDENTITY_HEADER,
without its quarter of a second of imports. Protocol: "How to use managed identities for App
Service", REST endpoint reference, api-version 2019-08-01.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions

from orchestrator.errors import AuthenticationFailed, NotReachable

_TIMEOUT = 10.0  # seconds
_SPARE = 300  # seconds before its end from which a token is no longer used


class EndpointCredential:
    """A TokenCredential over a managed-identity endpoint.

    `where` gives the endpoint's URL and the secret header that proves the caller may ask (never
    shown); it is asked again when the endpoint refuses or is gone, since a local cloud that was
    started anew has a new secret.
    """

    def __init__(self, where: Callable[[], tuple[str, str]]) -> None:
        self._where = where
        self._endpoint, self._header = where()
        self._tokens: dict[str, AccessTokenInfo] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<EndpointCredential {self._endpoint}>"

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        """A token for the scope (one), as azure-core's older protocol wants it."""
        info = self.get_token_info(*scopes)
        return AccessToken(info.token, info.expires_on)

    def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        """A token for the scope (one). Raises AuthenticationFailed, NotReachable."""
        resource = scopes[0].removesuffix("/.default")
        with self._lock:
            kept = self._tokens.get(resource)
            # The machine's clock: azure-core judges a token's age by the same.
            if kept is None or kept.expires_on - time.time() < _SPARE:
                kept = self._tokens[resource] = self._token(resource)
            return kept

    def _token(self, resource: str) -> AccessTokenInfo:
        try:
            return self._ask(resource)
        except (AuthenticationFailed, NotReachable):
            now = self._where()
            if now == (self._endpoint, self._header):
                raise
            self._endpoint, self._header = now
            return self._ask(resource)

    def _ask(self, resource: str) -> AccessTokenInfo:
        where = urlsplit(self._endpoint)
        kind = (
            http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
        )
        connection = kind(where.hostname or "", where.port, timeout=_TIMEOUT)
        try:
            connection.request(
                "GET",
                f"{where.path}?api-version=2019-08-01&resource={quote(resource, safe='')}",
                headers={"X-IDENTITY-HEADER": self._header, "Metadata": "true"},
            )
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise NotReachable(
                f"No local cloud is running: nothing answers at {where.netloc}.",
                "Start it: orchestrator local up",
            ) from error
        finally:
            connection.close()
        return self._read(answer.status, body)

    def _read(self, status: int, body: bytes) -> AccessTokenInfo:
        try:
            told = json.loads(body)
            if status == 200:
                return AccessTokenInfo(told["access_token"], int(told["expires_on"]))
            reason = str(told.get("message") or told.get("error_description") or status)
        except (ValueError, KeyError, TypeError, AttributeError):
            reason = f"an answer that makes no sense (HTTP {status})"
        raise AuthenticationFailed(
            f"The identity endpoint gives no token: {reason}",
            "The local cloud was started anew, perhaps; run the command again.",
            status=status,
        )
