"""Tokens from a managed-identity endpoint, as Container Apps and App Service serve it.

What azure.identity's ManagedIdentityCredential does with IDENTITY_ENDPOINT and IDENTITY_HEADER,
without its quarter of a second of imports. Protocol: "How to use managed identities for App
Service", REST endpoint reference, api-version 2019-08-01.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions

from orchestrator.azure.failures import LOCAL_HINT
from orchestrator.errors import AuthenticationFailed, NotReachable

_TIMEOUT = 10.0  # seconds
_SPARE = 300  # seconds before its end from which a token is no longer used
_PAUSES = (0.8, 1.6, 3.2)  # seconds before it is asked again, where it names none
_LONGEST = 10.0  # seconds that are waited at most, whatever it asks for


class _Busy(Exception):  # noqa: N818 - a state of the endpoint's, answered by asking again
    def __init__(self, status: int, reason: str, retry_after: float | None) -> None:
        self.status, self.reason, self.retry_after = status, reason, retry_after


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
        """Ask, and ask again where the endpoint says that it is busy (429, 5xx), as azure-identity
        does: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/
        how-to-use-vm-token#retry-guidance."""
        for pause in _PAUSES:
            try:
                return self._ask_once(resource)
            except _Busy as busy:
                time.sleep(min(_LONGEST, busy.retry_after or pause))
        try:
            return self._ask_once(resource)
        except _Busy as busy:
            raise AuthenticationFailed(
                f"The identity endpoint gives no token: {busy.reason}",
                "Run the command again in a while.",
                status=busy.status,
            ) from None

    def _ask_once(self, resource: str) -> AccessTokenInfo:
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
        except TimeoutError as error:  # it is there, and busy beyond all measure, or suspended
            raise NotReachable(
                f"The local cloud does not answer at {where.netloc} within {_TIMEOUT:g} s.",
                LOCAL_HINT,
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise NotReachable(
                f"No local cloud is running: nothing answers at {where.netloc}.",
                "Start it: orchestrator local up",
            ) from error
        finally:
            connection.close()
        if answer.status == 429 or answer.status >= 500:
            raise _Busy(answer.status, _reason(answer.status, body), _wait(answer))
        return self._read(answer.status, body)

    def _read(self, status: int, body: bytes) -> AccessTokenInfo:
        if status == 200:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                told = json.loads(body)
                return AccessTokenInfo(told["access_token"], int(told["expires_on"]))
        raise AuthenticationFailed(
            f"The identity endpoint gives no token: {_reason(status, body)}",
            "The local cloud was started anew, perhaps; run the command again.",
            status=status,
        )


def _reason(status: int, body: bytes) -> str:
    """What a refusal says."""
    try:
        told = json.loads(body)
        return str(told.get("message") or told.get("error_description") or status)
    except (ValueError, AttributeError):
        return f"an answer that makes no sense (HTTP {status})"


def _wait(answer: http.client.HTTPResponse) -> float | None:
    """Seconds that Retry-After asks for; None where it asks for none, or for a date."""
    try:
        return max(0.0, float(answer.headers.get("Retry-After") or ""))
    except ValueError:
        return None
