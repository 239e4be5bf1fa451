"""The administration API over HTTP: which requests are for it, who may ask, what they get.

A namespace is administered on its own host. On the loopback address itself the requests are told
from Resource Manager's by their `api-version`, which has no day in it, or, where they have none, by
a key's signature instead of a token, or by a path that only this API has.

https://learn.microsoft.com/rest/api/servicebus/entities; a request without a version is served as
the first one was (https://learn.microsoft.com/rest/api/servicebus/rest-dotnet-client-support).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from aiohttp import web

from orchestrator.localcloud.administration.descriptions import describe
from orchestrator.localcloud.administration.documents import (
    DocumentError,
    Element,
    entry,
    feed,
    greeting,
    parse,
)
from orchestrator.localcloud.administration.entities import Entities, Shown, missing
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.namespace_http import (
    Handler,
    NamespaceHttp,
    failed,
    is_namespace_host,
)
from orchestrator.localcloud.providers.service_bus.properties import moment
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    EntityAlreadyExists,
    EntityNotFound,
    QuotaExceeded,
    StoreError,
)
from orchestrator.localcloud.servicebus.front.cbs import TokenRefusedError
from orchestrator.localcloud.servicebus.model import Right
from orchestrator.localcloud.xml_text import tag

Changed = Callable[[str], Awaitable[None]]
"""Told a namespace whose entities have changed."""

VERSIONS = "'2012-03', '2013-10', '2015-01', '2017-04', '2021-05', '2024-05'"
"""Some that clients ask for. All that have no day are served alike."""

MAX_DOCUMENT = 1024 * 1024
PAGE = 100
_VERSION = re.compile(r"\d{4}-\d{2}")
_SUBSCRIPTION = re.compile(
    r"(?P<topic>.+?)/subscriptions(?:/(?P<name>[^/]+)(?P<rules>/rules(?:/(?P<rule>.+))?)?)?",
    re.IGNORECASE,
)
_TITLES = {"queues": "Queues", "topics": "Topics"}


class AdministrationApi:
    """Serves the administration of all namespaces.

    http: authorizes requests. changed: told a namespace after each change.
    """

    def __init__(
        self,
        broker: Broker,
        http: NamespaceHttp,
        changed: Changed,
    ) -> None:
        self._broker = broker
        self._http = http
        self._changed = changed

    def wants(self, request: web.Request) -> bool:
        """Whether a request is for this API."""
        if is_namespace_host(request):
            # AMQP over WebSocket has its own door there.
            return not request.path.lower().startswith("/$servicebus/")
        version = request.query.get("api-version")
        if version is not None:
            return _VERSION.fullmatch(version) is not None
        signed = request.headers.get("Authorization", "").startswith("SharedAccessSignature ")
        return signed or request.path.lower().startswith(("/$resources/", "/$namespaceinfo"))

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Take what is for this API; leave the rest to `handler`."""
        if not self.wants(request):
            return await handler(request)
        return await self.serve(request)

    async def serve(self, request: web.Request) -> web.Response:
        """Answer a request; every failure is an answer, too."""
        return await self._http.answer(request, self._serve, _status)

    async def _serve(self, request: web.Request) -> web.Response:
        try:
            return await self._administer(request)
        except DocumentError as failure:
            return failed(400, f"SubCode=40000. {failure}")

    async def _administer(self, request: web.Request) -> web.Response:
        path = unquote(request.rel_url.raw_path).strip("/")
        version = request.query.get("api-version")
        if version is not None and _VERSION.fullmatch(version) is None:
            raise DocumentError(
                "The api-version in the query string is not supported. Either remove it from the "
                f"Uri or use one of {VERSIONS}."
            )
        if not path and request.method == "GET":
            return _document(200, greeting(moment(self._http.now())), "feed")
        grant = self._http.authorize(request, path)
        namespace = self._http.namespace(request, grant)
        if Right.MANAGE not in grant.on(namespace, "" if path.startswith("$") else path):
            raise self._refusal(request, namespace, path)
        entities = Entities(
            self._broker,
            namespace,
            request.host,
            version=request.query.get("api-version", ""),
        )
        page = _Page(request, namespace)
        found = _SUBSCRIPTION.fullmatch(path)
        if path.lower() == "$namespaceinfo":
            return page.one(self._describe(namespace))
        if path.lower().startswith("$resources/"):
            return self._list(path.partition("/")[2].lower(), namespace, entities, page)
        if found is None:
            return await self._entity(request, path, entities, page)
        return await self._below(request, found, entities, page)

    def _refusal(self, request: web.Request, namespace: str, path: str) -> Exception:
        """What somebody hears who may not manage `path`, in the service's words (those of the
        tests of azservicebus for Go). Whoever has a key at all may learn that a queue or topic is
        not there."""
        subscription = _SUBSCRIPTION.fullmatch(path)
        if subscription is not None:
            return TokenRefusedError(
                401,
                "401 SubCode=40100: Unauthorized : Unauthorized access for "
                f"'{_operation(request.method, subscription)}' operation on endpoint "
                f"'sb://{request.host}/{path}'.",
            )
        if request.method == "GET":
            if not path.startswith("$") and self._broker.find(namespace, path) is None:
                return missing(path)
            return TokenRefusedError(401, "Manage,EntityRead claims required for this operation.")
        action = "EntityDelete" if request.method == "DELETE" else "EntityWrite"
        return TokenRefusedError(
            401, f"Authorization failed for specified action: Manage,{action}."
        )

    async def _entity(
        self, request: web.Request, path: str, entities: Entities, page: _Page
    ) -> web.Response:
        if request.method == "GET":
            return page.one(entities.show(path))
        if request.method == "PUT":
            update = "If-Match" in request.headers
            description = await _description(request)
            shown = await entities.put_entity(path, description, update=update)
        elif request.method == "DELETE":
            await entities.delete(path)
            shown = None
        else:
            raise web.HTTPMethodNotAllowed(request.method, ["GET", "PUT", "DELETE"])
        return await self._done(request, page, shown)

    async def _below(
        self, request: web.Request, found: re.Match[str], entities: Entities, page: _Page
    ) -> web.Response:
        """Subscriptions of a topic, one of them, its rules, one of them."""
        topic, name, rule = found["topic"], found["name"], found["rule"]
        update = "If-Match" in request.headers
        shown: Shown | None = None
        if request.method == "GET":
            return self._show_below(found, entities, page)
        if name is None or (found["rules"] and rule is None):
            raise web.HTTPMethodNotAllowed(request.method, ["GET"])
        if request.method == "PUT":
            description = await _description(request)
            if rule is None:
                shown = await entities.put_subscription(topic, name, description, update=update)
            else:
                shown = await entities.put_rule(topic, name, rule, description, update=update)
        elif request.method != "DELETE":
            raise web.HTTPMethodNotAllowed(request.method, ["GET", "PUT", "DELETE"])
        elif rule is None:
            await entities.delete_subscription(topic, name)
        else:
            await entities.delete_rule(topic, name, rule)
        return await self._done(request, page, shown)

    def _show_below(self, found: re.Match[str], entities: Entities, page: _Page) -> web.Response:
        topic, name, rule = found["topic"], found["name"], found["rule"]
        if name is None:
            if self._broker.topic_info(page.namespace, topic) is None:
                raise missing(topic)
            listed = self._broker.subscriptions(page.namespace, topic)
            return page.many("Subscriptions", [entities.subscription(one) for one in listed])
        if rule is not None:
            return page.one(entities.rule(*entities.find_rule(topic, name, rule)))
        info = entities.find_subscription(topic, name)
        if found["rules"]:
            return page.many("Rules", [entities.rule(info, one) for one in info.rules])
        return page.one(entities.subscription(info))

    def _list(self, kind: str, namespace: str, entities: Entities, page: _Page) -> web.Response:
        if kind == "queues":
            shown = [entities.queue(info) for info in self._broker.queues(namespace)]
        elif kind == "topics":
            shown = [entities.topic(info) for info in self._broker.topics(namespace)]
        else:
            raise missing(f"$Resources/{kind}")
        return page.many(_TITLES[kind], shown)

    async def _done(self, request: web.Request, page: _Page, shown: Shown | None) -> web.Response:
        await self._changed(page.namespace)
        if shown is None:
            return web.Response(status=200)
        return page.one(shown, 200 if "If-Match" in request.headers else 201)

    def _describe(self, namespace: str) -> Shown:
        created = self._broker.namespace_created_at(namespace)
        sku = self._broker.sku(namespace)
        inner = (
            tag("CreatedTime", moment(created))
            + tag("MessagingSKU", sku)
            + (tag("MessagingUnits", 1) if sku == "Premium" else "")
            + tag("ModifiedTime", moment(created))
            + tag("Name", namespace)
            + tag("NamespaceType", "Messaging")
        )
        return Shown(
            "$namespaceinfo", namespace, created, created, describe("NamespaceInfo", inner)
        )


class _Page:
    """Writes answers to one request."""

    def __init__(self, request: web.Request, namespace: str) -> None:
        self.namespace = namespace
        self._request = request
        self._base = f"https://{request.host}"
        self._version = request.query.get("api-version", "")

    def _address(self, path: str, more: str = "") -> str:
        """Names a version where the request did: azure-servicebus 0.50 names none, and takes all
        that stands behind the host for an entity's name."""
        query = f"{more}api-version={self._version}" if self._version else more.rstrip("&")
        return f"{self._base}/{path}?{query}".rstrip("?")

    def _entry(self, shown: Shown) -> str:
        return entry(
            self._address(shown.path),
            shown.title,
            self.namespace,
            moment(shown.created_at),
            moment(shown.updated_at),
            shown.description,
        )

    def one(self, shown: Shown, status: int = 200) -> web.Response:
        return _document(status, self._entry(shown), "entry")

    def many(self, title: str, shown: list[Shown]) -> web.Response:
        """A page of a list, as `$skip` and `$top` ask."""
        skip, top = self._number("$skip", 0), min(self._number("$top", PAGE), PAGE)
        # With the slash that the request may end with: the old `azure-sb` for Node looks for it.
        path = self._request.path.lstrip("/")
        following = None
        if top and skip + top < len(shown):
            following = self._address(path, f"$skip={skip + top}&$top={top}&")
        entries = [self._entry(one) for one in shown[skip : skip + top]]
        updated = max((one.updated_at for one in shown), default=0.0)
        address = self._address(path, f"$skip={skip}&$top={top}&")
        return _document(200, feed(address, title, moment(updated), entries, following), "feed")

    def _number(self, name: str, default: int) -> int:
        text = self._request.query.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise ArmError("BadRequest", f"SubCode=40000. {name} must be a number.", 400)
        return int(text)


def _operation(method: str, found: re.Match[str]) -> str:
    """The service's name of an operation on a topic's subscriptions or their rules."""
    kind = "Rule" if found["rules"] else "Subscription"
    if method == "GET":
        named = found["rule"] if found["rules"] else found["name"]
        return f"Get{kind}" if named else f"Enumerate{kind}s"
    return f"Delete{kind}" if method == "DELETE" else f"CreateOrUpdate{kind}"


async def _description(request: web.Request) -> Element:
    """The description in the Atom entry that a request carries. Raises DocumentError."""
    length = request.content_length
    if length is not None and length > MAX_DOCUMENT:
        raise web.HTTPRequestEntityTooLarge(MAX_DOCUMENT, length)
    root = parse(await request.read())
    content = root.child("content")
    if root.name != "entry" or content is None or not content.children:
        raise DocumentError("The body must be an Atom entry with a description as its content.")
    return content.children[0]


def _document(status: int, text: str, kind: str) -> web.Response:
    return web.Response(
        status=status,
        body=text.encode(),
        headers={"Content-Type": f"application/atom+xml;type={kind};charset=utf-8"},
    )


def _status(failure: BrokerError) -> int:
    if isinstance(failure, EntityNotFound):
        return 404
    if isinstance(failure, EntityAlreadyExists):
        return 409
    if isinstance(failure, QuotaExceeded):
        return 403
    return 507 if isinstance(failure, StoreError) else 400
