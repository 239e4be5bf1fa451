"""The token with which images are pushed to a registry of Azure's: over real HTTPS, by its name."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import trustme
import urllib3.util.connection

from orchestrator.azure.profile import resolve
from orchestrator.errors import BadInput, OrchestratorError
from orchestrator.images import ImageVerbs
from orchestrator.settings import check

REGISTRY = "acr.azurecr.io"


class Registry:
    """Answers /oauth2/exchange under the registry's name."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        registry = self
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.status, self.body = 200, b'{"refresh_token": "refresh"}'

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                registry.asked.append((self.path, parse_qs(form)))
                self.send_response(registry.status)
                self.send_header("Content-Length", str(len(registry.body)))
                self.end_headers()
                self.wfile.write(registry.body)

            def log_message(self, *_: Any) -> None:
                pass

        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(REGISTRY).configure_cert(context)
        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        port = self._server.server_address[1]
        connect = urllib3.util.connection.create_connection

        def here(address: tuple[str, int], *args: Any, **kwargs: Any) -> Any:
            assert address == (REGISTRY, 443)
            return connect(("127.0.0.1", port), *args, **kwargs)

        monkeypatch.setattr(urllib3.util.connection, "create_connection", here)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder / "ca.pem"))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    made = Registry(tmp_path, monkeypatch)
    yield made
    made.close()


class Someone:
    """A credential; remembers what its token is for."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **_: Any) -> Any:
        from azure.core.credentials import AccessToken

        self.scopes += scopes
        return AccessToken("secret-token", 2**40)


def images(profile: dict[str, Any]) -> ImageVerbs:
    settings = check({"profiles": {"one": profile}}, Path("/project/orchestrator.toml"))
    return ImageVerbs(settings, resolve(settings, environ={}))


AZURE = {
    "kind": "azure",
    "subscription": "11111111-2222-3333-4444-555555555555",
    "resource_group": "rg",
    "environment": "e",
}


@pytest.fixture
def someone(monkeypatch: pytest.MonkeyPatch) -> Someone:
    made = Someone()
    monkeypatch.setattr("orchestrator.azure.clients.Clients.credential", made)
    return made


def test_the_profiles_token_is_exchanged_for_one_of_the_registry(
    registry: Registry, someone: Someone
) -> None:
    assert images(AZURE)._credentials(REGISTRY) == {
        "username": "00000000-0000-0000-0000-000000000000",
        "password": "refresh",
    }
    assert someone.scopes == ["https://management.azure.com/.default"]
    form = {
        "grant_type": ["access_token"],
        "service": [REGISTRY],
        "access_token": ["secret-token"],
    }
    assert registry.asked == [("/oauth2/exchange", form)]


@pytest.mark.parametrize(
    ("status", "body"), [(401, b"secret-token"), (200, b"no JSON"), (200, b"{}")]
)
def test_a_registry_that_gives_no_token_is_told_without_the_token(
    registry: Registry, someone: Someone, status: int, body: bytes
) -> None:
    registry.status, registry.body = status, body
    with pytest.raises(OrchestratorError, match="gave no token") as told:
        images(AZURE)._credentials(REGISTRY)
    assert "secret" not in str(told.value)
    assert "AcrPush" in told.value.hint


def test_another_registry_is_the_engines_own_affair(registry: Registry, someone: Someone) -> None:
    assert images(AZURE)._credentials("localhost:5000") is None
    assert registry.asked == []


def test_a_local_profile_sends_nothing_to_azures_registry(
    registry: Registry, someone: Someone
) -> None:
    with pytest.raises(BadInput, match="of this machine"):
        images({"kind": "local"})._credentials(REGISTRY)
    assert registry.asked == []
