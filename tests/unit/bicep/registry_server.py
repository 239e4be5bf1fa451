"""A registry of modules that speaks OCI's distribution API over HTTPS, as Azure's do.

Tests use it as any client does: by DNS, TLS and HTTP. Resource Manager's template specs are there,
too. It has a token service that gives a token to
anybody or only for a login of Azure, and gives its blobs from another name, as large registries do.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import ssl
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

LAYER = "application/vnd.ms.bicep.module.layer.v1+json"
AZURES = "ours.azurecr.io"
LOGIN = "a login of Azure"


def digest(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


class RegistryServer:
    """`private`: only for a login of Azure. `asked`: host, path and token of each request."""

    def __init__(self, *, private: bool = False) -> None:
        self.private = private
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.specs: dict[str, bytes] = {}  # versions of template specs, as Resource Manager's
        self.asked: list[tuple[str, str, str]] = []
        self.next: list[tuple[int, dict[str, str]]] = []  # answers before the right one
        self.port = 0

    def publish(self, repository: str, tag: str, body: bytes, media_type: str = LAYER) -> str:
        """Keep a module; the digest of its manifest."""
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "layers": [{"mediaType": media_type, "digest": digest(body), "size": len(body)}],
            }
        ).encode()
        self.blobs[digest(body)] = body
        for name in (tag, digest(manifest)):
            self.manifests[f"/v2/{repository}/manifests/{name}"] = manifest
        return digest(manifest)

    def answer(
        self, host: str, path: str, token: str, form: dict[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        path, _, _ = path.partition("?")
        if path == "/oauth2/exchange":
            good = form["access_token"] == LOGIN
            return (200, {}, b'{"refresh_token": "refresh"}') if good else (401, {}, b"{}")
        if path == "/oauth2/token":
            good = form.get("refresh_token") == "refresh" if self.private else True
            return (200, {}, b'{"access_token": "pull"}') if good else (401, {}, b"{}")
        if path.startswith("/subscriptions/"):
            good = token == f"Bearer {LOGIN}"
            return (200, {}, self.specs[path]) if good else (401, {}, b"{}")
        if path.startswith("/elsewhere/"):
            return 200, {}, self.blobs[path.removeprefix("/elsewhere/")]
        if token != "Bearer pull":
            asked = f'Bearer realm="https://{host}/oauth2/token",service="{host}"'
            return 401, {"WWW-Authenticate": asked}, b""
        if self.next:
            status, headers = self.next.pop(0)
            return status, headers, b""
        if "/blobs/" in path:
            place = f"https://127.0.0.1:{self.port}/elsewhere/{path.rpartition('/')[2]}"
            return 307, {"Location": place}, b""
        found = self.manifests.get(path)
        return (200, {}, found) if found is not None else (404, {}, b"{}")


def _handler(server: RegistryServer) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def _do(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            form = dict(urllib.parse.parse_qsl(self.rfile.read(size).decode()))
            host, token = self.headers["Host"], self.headers.get("Authorization", "")
            server.asked.append((host, self.path, token))
            status, headers, body = server.answer(host, self.path, token, form)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = _do  # noqa: N815 -- as http.server names it
        do_POST = _do  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class Identity(http.server.BaseHTTPRequestHandler):
    """The endpoint where a managed identity asks for its tokens."""

    def do_GET(self) -> None:
        body = json.dumps({"access_token": LOGIN, "expires_on": "4102444800"}).encode()
        self.send_response(200 if self.headers["X-IDENTITY-HEADER"] == "secret" else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(
    handler: type[http.server.BaseHTTPRequestHandler], context: ssl.SSLContext | None = None
) -> Iterator[int]:
    """A server on this machine; its port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def running(server: RegistryServer, folder: Path) -> Iterator[Path]:
    """The registry, answering; the file with the authority that its certificate is of."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", AZURES).configure_cert(context)
    bundle = folder / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    with served(_handler(server), context) as port:
        server.port = port
        yield bundle
