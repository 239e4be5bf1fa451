"""Modules of a registry, fetched into Bicep's own cache when they are not there yet.

Registries speak OCI's distribution API: a manifest by its tag, then the module as a blob by its
digest. Public ones give a token to anybody who asks. Source: the OCI distribution specification,
and Bicep's documentation of the layers of a module.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import socket
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_LAYER = "application/vnd.ms.bicep.module.layer.v1+json"
_TIMEOUT_SECONDS = 20
_TRIES = 3
_LONGEST_PAUSE_SECONDS = 10
_MAX_BYTES = 64 * 1024 * 1024
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


class RestoreFailed(Exception):  # noqa: N818 -- it reads by what happened
    """The module could not be fetched; the message says why."""


class NoAnswer(RestoreFailed):
    """The registry can't be reached."""


@dataclass(slots=True, frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


Get = Callable[[str, Mapping[str, str]], Answer]


def _get(url: str, headers: Mapping[str, str]) -> Answer:
    """One GET over HTTPS.

    Raises: OSError when there is no answer.
    """
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 -- https, below
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            return Answer(answer.status, dict(answer.headers), answer.read(_MAX_BYTES + 1))
    except urllib.error.HTTPError as error:
        return Answer(error.code, dict(error.headers), error.read(_MAX_BYTES))
    except http.client.HTTPException as error:
        raise OSError(f"it breaks the rules of HTTP: {error}") from None


class Registry:
    """One repository of a registry. `get` and `pause` are replaced in tests."""

    def __init__(
        self,
        host: str,
        repository: str,
        *,
        get: Get = _get,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base = f"https://{host}/v2/{repository}"
        self.name = f"{host}/{repository}"
        self.host = host
        self.get = get
        self.pause = pause
        self.token = ""

    def _once(self, url: str, accept: str) -> Answer:
        headers = {"Accept": accept}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        answer = self.get(url, headers)
        if answer.status == 401 and not self.token:
            self.token = self._anonymous(answer)
            return self._once(url, accept)
        return answer

    def _anonymous(self, refusal: Answer) -> str:
        """The token that a public registry gives to anybody."""
        challenge = next(
            (text for name, text in refusal.headers.items() if name.lower() == "www-authenticate"),
            "",
        )
        asked = dict(_CHALLENGE.findall(challenge))
        realm = asked.pop("realm", "")
        if not realm.startswith("https://"):
            raise RestoreFailed(f"{self.host} wants a login, which is not supported here")
        query = {key: asked[key] for key in ("service", "scope") if key in asked}
        answer = self.get(f"{realm}?{urllib.parse.urlencode(query)}", {})
        if answer.status != 200:
            raise RestoreFailed(f"{self.host} wants a login, which is not supported here")
        found = _parsed(answer.body, self.host)
        return str(found.get("access_token") or found.get("token") or "")

    def read(self, url: str, accept: str) -> bytes:
        """What a GET gives, tried again when the registry asks for patience.

        Raises: RestoreFailed.
        """
        why = ""
        for attempt in range(_TRIES):
            wait = float(2**attempt)
            try:
                answer = self._once(url, accept)
            except OSError as error:
                reason = getattr(error, "reason", error)
                told = getattr(reason, "strerror", None) or reason
                why = f"{self.host} does not answer: {told}"
                if isinstance(reason, (socket.gaierror, ConnectionRefusedError)):
                    raise NoAnswer(why) from None  # it will not be there in a second
                if attempt + 1 == _TRIES:
                    raise NoAnswer(why) from None
            else:
                if answer.status == 200:
                    if len(answer.body) > _MAX_BYTES:
                        raise RestoreFailed(f"{self.name} is larger than 64 MB")
                    return answer.body
                if answer.status == 404:
                    raise RestoreFailed(f"{self.host} has no such module or tag")
                if answer.status in (401, 403):
                    raise RestoreFailed(f"{self.host} wants a login, which is not supported here")
                why = f"{self.host} answers {answer.status}"
                if answer.status != 429 and answer.status < 500:
                    break
                wait = _seconds(answer.headers.get("Retry-After", "")) or wait
            if attempt + 1 < _TRIES:
                self.pause(min(wait, _LONGEST_PAUSE_SECONDS))
        raise RestoreFailed(why)

    def module(self, tag: str) -> bytes:
        """The compiled template of a module.

        Raises: RestoreFailed.
        """
        quoted = urllib.parse.quote(tag, safe=":")
        manifest = _parsed(self.read(f"{self.base}/manifests/{quoted}", _MANIFEST), self.host)
        layers = manifest.get("layers")
        for layer in layers if isinstance(layers, list) else []:
            if layer.get("mediaType") == _LAYER:
                digest = str(layer.get("digest", ""))
                body = self.read(f"{self.base}/blobs/{digest}", "*/*")
                if digest != "sha256:" + hashlib.sha256(body).hexdigest():
                    raise RestoreFailed(f"{self.name} does not have the digest that it says")
                return body
        raise RestoreFailed(f"{self.name} is no Bicep module")


def _parsed(body: bytes, host: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RestoreFailed(f"{host} answers with something else than a registry does")
    return found


def _seconds(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0


def restore(registry: Registry, tag: str, place: Path) -> None:
    """Fetch a module into its place in the cache; all of it or nothing.

    Raises: RestoreFailed.
    """
    body = registry.module(tag)
    if "$schema" not in _parsed(body, registry.host):
        raise RestoreFailed(f"{registry.name} holds no template")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=place.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(body)
        Path(name).replace(place)
    except OSError as error:
        raise RestoreFailed(f"{place} can't be written: {error.strerror}") from None
