"""What roles may allow of a provider: its operations, as `az provider operation` lists them.

Azure has two lists of them: `/providers/{namespace}/operations` of each provider, and that of
Microsoft.Authorization, ordered by resource type. Here both are made of what is served, reading,
writing and deleting of types and the actions that each has, and of what Azure's built-in roles name
besides, as operations on data. The texts are ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from orchestrator.localcloud.arm.errors import no_namespace
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Handler, ResourceType
from orchestrator.localcloud.providers import known_types
from orchestrator.localcloud.providers.authorization.roles import BUILT_IN
from orchestrator.localcloud.providers.published import actions_of

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

_LISTS = "/providers/Microsoft.Authorization/providerOperations"
_VERBS = {"read": "Get", "write": "Create or update", "delete": "Delete"}


@dataclass(frozen=True, slots=True)
class _Operation:
    """`Microsoft.App/jobs/start/action`; whether it is one on data."""

    name: str
    data: bool = False

    @property
    def type(self) -> str:
        """`jobs`; "" for one of the provider itself."""
        words = self.name.split("/")[1:]
        return "/".join(words[: -2 if words[-1].lower() == "action" else -1])

    @property
    def title(self) -> str:
        """`Start jobs`."""
        *_, before, verb = self.name.split("/")
        what = self.type.replace("/", " ") or self.name.partition("/")[0]
        return f"{_VERBS.get(verb.lower()) or _words(before)} {what}"

    def listed(self) -> JSON:
        """As the provider's own list has it."""
        return {
            "name": self.name,
            "isDataAction": self.data,
            "display": {
                "provider": self.name.partition("/")[0],
                "resource": self.type,
                "operation": self.title,
                "description": f"{self.title}.",
            },
            "origin": "user,system",
        }

    def described(self) -> JSON:
        """As Microsoft.Authorization has it."""
        return {
            "name": self.name,
            "displayName": self.title,
            "description": f"{self.title}.",
            "origin": "user,system",
            "isDataAction": self.data,
        }


def operation_routes() -> Mapping[tuple[str, str], Handler]:
    """Where the lists are."""
    return {
        ("GET", "/providers/{}/operations"): _of_provider,
        ("GET", _LISTS): _all,
        ("GET", f"{_LISTS}/{{}}"): _one,
    }


async def _of_provider(call: Call) -> Answer:
    namespace = _namespace(call.arguments[0])
    return {"value": [item.listed() for item in _operations(call.arm, namespace)]}


async def _all(call: Call) -> Answer:
    names = [name for name, _ in known_types.namespaces().values()]
    described = (_described(call.arm, name) for name in sorted(names, key=str.lower))
    return {"value": [item for item in described if item["operations"] or item["resourceTypes"]]}


async def _one(call: Call) -> Answer:
    return _described(call.arm, _namespace(call.arguments[0]))


def _namespace(name: str) -> str:
    """It in Azure's spelling. Raises ArmError (404) for one that Azure has not."""
    found = known_types.namespaces().get(name.lower())
    if found is None:
        raise no_namespace(name)
    return found[0]


def _described(arm: ResourceManager, namespace: str) -> JSON:
    types: dict[str, JSON] = {}
    own: list[JSON] = []
    for item in _operations(arm, namespace):
        if item.type:
            empty: JSON = {"name": item.type, "displayName": item.type, "operations": []}
            types.setdefault(item.type.lower(), empty)["operations"].append(item.described())
        else:
            own.append(item.described())
    return {
        "id": f"{_LISTS}/{namespace}",
        "name": namespace,
        "type": "Microsoft.Authorization/providerOperations",
        "displayName": namespace,
        "resourceTypes": list(types.values()),
        "operations": own,
    }


def _operations(arm: ResourceManager, namespace: str) -> list[_Operation]:
    """The operations of a provider, ordered by name."""
    found = {item.name.lower(): item for item in _named_by_roles().get(namespace.lower(), ())}
    for name in (*_served(arm, namespace), *_published(namespace)):
        found[name.lower()] = _Operation(name)
    return [found[key] for key in sorted(found)]


def _served(arm: ResourceManager, namespace: str) -> Iterator[str]:
    prefix = f"{namespace}/"
    for word in ("register", "unregister"):
        yield f"{prefix}{word}/action"
    for provider in arm.providers:
        if provider.namespace.lower() == namespace.lower():
            yield from (f"{prefix}{_plain(name)}/action" for name in provider.actions())
    for kind in arm.types():
        if kind.type.lower().startswith(prefix.lower()):
            yield from _of_type(kind)


def _of_type(kind: ResourceType) -> Iterator[str]:
    methods = kind.methods()
    yield f"{kind.type}/read"
    for method, verb in (("PUT", "write"), ("DELETE", "delete")):
        if kind.stored or method in methods:
            yield f"{kind.type}/{verb}"
    yield from (f"{kind.type}/{_plain(name)}/action" for name in kind.actions())
    yield from (f"{kind.type}/{_plain(name)}/read" for name in kind.reads())


def _published(namespace: str) -> Iterator[str]:
    for type_, actions in actions_of(namespace).items():
        yield from (f"{type_}/{verb}" for verb in _VERBS)
        yield from (f"{type_}/{_plain(name)}/action" for name in actions)


def _plain(pattern: str) -> str:
    """A path's pattern without its holes."""
    return "/".join(word for word in pattern.split("/") if word != "{}")


def _words(name: str) -> str:
    """`getAuthToken` -> `Get auth token`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).capitalize()


@cache
def _named_by_roles() -> Mapping[str, Iterable[_Operation]]:
    """Namespace in small letters -> what built-in roles name of it in full."""
    found: dict[str, dict[str, _Operation]] = {}
    for role in BUILT_IN.values():
        for permission in role.permissions():
            for kind, names in permission.items():
                for name in names:
                    words = name.split("/")
                    if "*" in name or len(words) < 3:
                        continue
                    item = _Operation(name, data="data" in kind.lower())
                    found.setdefault(words[0].lower(), {}).setdefault(name.lower(), item)
    return {namespace: tuple(items.values()) for namespace, items in found.items()}
