"""What the HTTP APIs of a Service Bus namespace have in common: administration and messages.

Which host they are on, who asks and with what right, which namespace is meant, and how a failure is
told. A namespace has a host of its own (`<namespace>.servicebus.windows.net`, or
`<namespace>.servicebus.localhost` with the local cloud's port). On the loopback address itself the
token's key, or its being the only one, tells the namespace.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from orchestrator.clock import Clock
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.front.cbs import (
    Authenticate,
    Grant,
    RightsOf,
    TokenChecker,
    TokenRefusedError,
)
from orchestrator.localcloud.servicebus.model import Right
from orchestrator.localcloud.xml_text import raw, tag

_log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[web.Request], Awaitable[web.Response]]

HOSTS = (".servicebus.windows.net", ".servicebus.localhost")

_PLAIN_HOST = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d*)?", re.ASCII)


def host_of(request: web.Request) -> str:
    """The host that a request is for, without its port, in small letters."""
    host = request.host or ""
    return (host.rpartition(":")[0] or host).lower()


def is_namespace_host(request: web.Request) -> bool:
    """Whether a request is for a namespace's own host."""
    return host_of(request).endswith(HOSTS)


class NamespaceHttp:
    """Authorizes and answers requests to namespaces.

    authenticate: `Identity.check`. token_clock: by which tokens expire. rights_of: what a principal
    may do; everything when left out.
    """

    def __init__(
        self,
        broker: Broker,
        authenticate: Authenticate,
        token_clock: Clock,
        rights_of: RightsOf | None = None,
    ) -> None:
        self._broker = broker
        self._tokens = TokenChecker(broker, authenticate, rights_of)
        self._clock = token_clock

    def now(self) -> float:
        """The time of tokens, epoch seconds."""
        return self._clock.time()

    def authorize(self, request: web.Request, path: str) -> Grant:
        """What a request's token grants on `path` of its host. Raises TokenRefusedError, ArmError.

        A host with a slash in it would put its own text before the path: a key of one entity would
        open all others.
        """
        if not _PLAIN_HOST.fullmatch(request.host):
            raise ArmError("BadRequest", "The Host header of the request is no host.", 400)
        header = request.headers.get("Authorization", "")
        kind, _, token = header.partition(" ")
        if not header:
            raise TokenRefusedError(401, "MissingToken: The authorization header was not found.")
        if kind.lower() == "bearer":
            header = token.strip()
        return self._tokens.check(header, f"https://{request.host}/{path}", self.now())

    def namespace(self, request: web.Request, grant: Grant) -> str:
        """The namespace that a request is for. Raises ArmError (404)."""
        host = host_of(request)
        names = {name.lower(): name for name in self._broker.namespaces()}
        label = host.partition(".")[0]
        if label in names:
            return names[label]
        if host.endswith(HOSTS):
            message = f"The messaging entity '{request.host}' could not be found."
            raise ArmError("NotFound", message, 404)
        if grant.namespace in names:
            return names[str(grant.namespace)]
        if len(names) == 1:
            return next(iter(names.values()))
        message = "There is no namespace in this local cloud."
        if names:
            message = (
                f"The address {request.host} does not tell which namespace is meant "
                f"({', '.join(sorted(names.values()))}): use <namespace>.servicebus.localhost with "
                "the same port, or send the header Host: <namespace>.servicebus.windows.net."
            )
        raise ArmError("NotFound", message, 404)

    async def answer(
        self, request: web.Request, serve: Serve, status_of: Callable[[BrokerError], int]
    ) -> web.Response:
        """What `serve` answers; every failure is an answer, too."""
        try:
            return await serve(request)
        except ArmError as failure:
            return failed(failure.status, failure.message)
        except TokenRefusedError as failure:
            return failed(401, failure.message)
        except BrokerError as failure:
            return failed(status_of(failure), failure.message)
        except web.HTTPException as failure:
            return failed(failure.status, failure.reason or "The request was refused.")
        except ConnectionError:
            return failed(400, "The connection was lost.")  # nobody gets it
        except Exception:  # noqa: BLE001 - the last resort: logged, answered
            _log.exception("%s %s failed", request.method, request.path)
            return failed(500, "The local cloud could not answer; server.log has the reason.")


def require(grant: Grant, right: Right, namespace: str, path: str) -> None:
    """Raises TokenRefusedError if a grant does not give `right` on an entity ("": on all)."""
    if right not in grant.on(namespace, path):
        raise TokenRefusedError(
            401,
            f"Unauthorized access. '{right}' claim(s) are required to perform this operation.",
        )


def failed(status: int, detail: str) -> web.Response:
    """How the service says that something failed."""
    body = raw("Error", tag("Code", status) + tag("Detail", detail))
    return web.Response(
        status=status,
        body=body.encode(),
        headers={"Content-Type": "application/xml; charset=utf-8"},
    )
