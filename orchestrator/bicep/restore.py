"""Modules of a registry and template specs, fetched into Bicep's own cache when they are missing.

Registries speak OCI's distribution API: a manifest by its tag, then the module as a blob by its
digest. Public ones give a token to anybody who asks; one of Azure's gives it for a login of Azure.
Source: the OCI distribution specification, Azure's documentation of registry authentication, and
Bicep's of the layers of a module.
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
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any

from orchestrator.bicep.credentials import NoLogin, azure_token

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_LAYER = "application/vnd.ms.bicep.module.layer.v1+json"
_SOURCES = "application/vnd.ms.bicep.module.source.v1+zip"
# what an Azure login is asked a token for. The registries of all clouds take the first
_REGISTRIES = "https://containerregistry.azure.net/.default"
_SPEC_API = "2022-02-01"
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


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Registries give their blobs from elsewhere: over HTTPS, too, and without the token."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.startswith("https://"):
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _send(url: str, headers: Mapping[str, str], form: Mapping[str, str] | None = None) -> Answer:
    """One GET, or a POST of a form.

    Raises: OSError when there is no answer.
    """
    body = urllib.parse.urlencode(form).encode() if form is not None else None
    request = urllib.request.Request(url, body)  # noqa: S310 -- its callers make https only
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    opener = urllib.request.build_opener(_Redirects)
    try:
        with opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read(_MAX_BYTES + 1))
    except urllib.error.HTTPError as error:
        with error:  # it is the answer, and holds the connection
            return Answer(error.code, dict(error.headers), error.read(_MAX_BYTES))
    except http.client.HTTPException as error:
        raise OSError(f"it breaks the rules of HTTP: {error}") from None


class _Service(ABC):
    """A server that is asked for one thing, with patience. `pause` is replaced in tests."""

    def __init__(self, host: str, pause: Callable[[float], None]) -> None:
        self.host = host
        self.pause = pause

    @abstractmethod
    def ask(self, url: str, accept: str) -> Answer:
        """One GET with whatever token there is.

        Raises: OSError when there is no answer; RestoreFailed when there is no token.
        """

    def read(self, url: str, accept: str) -> bytes:
        """What a GET gives, tried again when the server asks for patience.

        Raises: RestoreFailed.
        """
        why = ""
        for attempt in range(_TRIES):
            wait = float(2**attempt)
            try:
                answer = self.ask(url, accept)
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
                        raise RestoreFailed(f"{self.host} gives more than 64 MB")
                    return answer.body
                if answer.status == 404:
                    raise RestoreFailed(f"{self.host} has no such module or version")
                if answer.status in (401, 403):
                    raise RestoreFailed(f"{self.host} does not let this login read it")
                why = f"{self.host} answers {answer.status}"
                if answer.status != 429 and answer.status < 500:
                    break
                wait = _seconds(answer.headers.get("Retry-After", "")) or wait
            if attempt + 1 < _TRIES:
                self.pause(min(wait, _LONGEST_PAUSE_SECONDS))
        raise RestoreFailed(why)


class Registry(_Service):
    """One repository of a registry. `logins`: those of Azure that may be used, by their names."""

    def __init__(
        self,
        host: str,
        repository: str,
        logins: Sequence[str] = (),
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(host, pause)
        self.base = f"https://{host}/v2/{repository}"
        self.name = f"{host}/{repository}"
        self.repository = repository
        self.logins = logins
        self.token = ""

    def ask(self, url: str, accept: str) -> Answer:
        answer = self._with_token(url, accept)
        if answer.status == 401 and not self.token:
            asked = self._challenge(answer)
            self.token = self._anonymous(asked)
            if self.token:
                answer = self._with_token(url, accept)
            if answer.status in (401, 403) and self.logins:
                self.token = self._logged_in(asked)
                answer = self._with_token(url, accept)
        return answer

    def _with_token(self, url: str, accept: str) -> Answer:
        headers = {"Accept": accept}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return _send(url, headers)

    def _challenge(self, refusal: Answer) -> dict[str, str]:
        """What the registry asks for: a token of which realm, service and scope."""
        challenge = next(
            (text for name, text in refusal.headers.items() if name.lower() == "www-authenticate"),
            "",
        )
        asked = dict(_CHALLENGE.findall(challenge))
        if not asked.get("realm", "").startswith("https://"):
            raise RestoreFailed(f"{self.host} wants a login that is not supported here")
        asked.setdefault("scope", f"repository:{self.repository}:pull")
        return asked

    def _anonymous(self, asked: Mapping[str, str]) -> str:
        """The token that a public registry gives to anybody; "" when this one does not."""
        query = {key: asked[key] for key in ("service", "scope") if key in asked}
        answer = _send(f"{asked['realm']}?{urllib.parse.urlencode(query)}", {})
        if answer.status == 200:
            found = _parsed(answer.body, self.host)
            return str(found.get("access_token") or found.get("token") or "")
        if not self.logins:
            raise RestoreFailed(f"{self.host} wants a login that is not supported here")
        return ""

    def _logged_in(self, asked: Mapping[str, str]) -> str:
        """The token that a registry of Azure's gives for a login of Azure: by way of another."""
        try:
            login = azure_token(self.logins, _REGISTRIES)
        except NoLogin as fault:
            raise RestoreFailed(f"{self.host} wants a login, and there is none ({fault})") from None
        service = asked.get("service", self.host)
        refresh = self._exchanged(
            "exchange",
            {"grant_type": "access_token", "service": service, "access_token": login},
        )["refresh_token"]
        access = self._exchanged(
            "token",
            {
                "grant_type": "refresh_token",
                "service": service,
                "scope": asked["scope"],
                "refresh_token": str(refresh),
            },
        )
        return str(access["access_token"])

    def _exchanged(self, what: str, form: Mapping[str, str]) -> dict[str, Any]:
        answer = _send(f"https://{self.host}/oauth2/{what}", {}, form)
        if answer.status in (401, 403):
            raise RestoreFailed(f"{self.host} does not take this login")
        found = _parsed(answer.body, self.host) if answer.status == 200 else {}
        if not {"refresh_token", "access_token"} & found.keys():
            raise RestoreFailed(f"{self.host} gives no token for this login ({answer.status})")
        return found

    def _blob(self, layer: Mapping[str, Any]) -> bytes:
        digest = str(layer.get("digest", ""))
        body = self.read(f"{self.base}/blobs/{digest}", "*/*")
        if digest != _digest(body):
            raise RestoreFailed(f"{self.name} does not have the digest that it says")
        return body

    def module(self, tag: str) -> dict[str, bytes]:
        """The files of a module as the cache has them. `tag`: one, or a digest.

        Raises: RestoreFailed.
        """
        quoted = urllib.parse.quote(tag, safe=":")
        text = self.read(f"{self.base}/manifests/{quoted}", _MANIFEST)
        if tag.startswith("sha256:") and tag != _digest(text):
            raise RestoreFailed(f"{self.name} does not have the digest that is asked for")
        layers = _parsed(text, self.host).get("layers")
        by_type = {
            str(layer.get("mediaType")): layer
            for layer in (layers if isinstance(layers, list) else [])
            if isinstance(layer, dict)
        }
        if _LAYER not in by_type:
            raise RestoreFailed(f"{self.name} is no Bicep module")
        template = self._blob(by_type[_LAYER])
        if "$schema" not in _parsed(template, self.host):
            raise RestoreFailed(f"{self.name} holds no template")
        metadata = json.dumps({"manifestDigest": _digest(text)}).encode()
        found = {"manifest": text, "metadata": metadata}
        if _SOURCES in by_type:
            found["source.tgz"] = self._blob(by_type[_SOURCES])
        return {**found, "main.json": template}


class _Manager(_Service):
    """Resource Manager, asked for a template spec."""

    def __init__(
        self, endpoint: str, logins: Sequence[str], pause: Callable[[float], None]
    ) -> None:
        super().__init__(urllib.parse.urlsplit(endpoint).netloc, pause)
        self.endpoint = endpoint
        self.logins = logins

    def ask(self, url: str, accept: str) -> Answer:
        try:
            token = azure_token(self.logins, f"{self.endpoint}/.default")
        except NoLogin as fault:
            raise RestoreFailed(f"{self.host} wants a login, and there is none ({fault})") from None
        return _send(url, {"Accept": accept, "Authorization": f"Bearer {token}"})


def _digest(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


def _parsed(body: bytes, host: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RestoreFailed(f"{host} answers with something else than it should")
    return found


def _seconds(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0


def restore(registry: Registry, tag: str, place: Path) -> None:
    """Fetch a module into its folder of the cache.

    Raises: RestoreFailed.
    """
    _keep(place, registry.module(tag))


def restore_spec(
    spec: str,
    endpoint: str,
    logins: Sequence[str],
    place: Path,
    *,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Fetch a template spec, by its id, from a Resource Manager into its folder of the cache.

    Raises: RestoreFailed.
    """
    manager = _Manager(endpoint, logins, pause)
    body = manager.read(
        f"{endpoint}{urllib.parse.quote(spec)}?api-version={_SPEC_API}", "application/json"
    )
    _parsed(body, manager.host)
    _keep(place, {"main.json": body})


def _keep(place: Path, files: Mapping[str, bytes]) -> None:
    """Write files, each whole or not at all, and last the one whose presence says that all are."""
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name, body in files.items():
            handle, temporary = tempfile.mkstemp(dir=place)
            with os.fdopen(handle, "wb") as file:
                file.write(body)
            Path(temporary).replace(place / name)
    except OSError as error:
        raise RestoreFailed(f"{place} can't be written: {error.strerror}") from None
