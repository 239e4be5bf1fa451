"""A resource as its service sees it when it says what it has given it: addresses, keys, state.

What is random in Azure (keys, ids) comes of a seed that is drawn once, when the resource is made:
the same each time it is read, another when it is made anew. A key that is regenerated comes of the
seed and of how often it was.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId
from orchestrator.localcloud.arm.provider import JSON, Answer

Facts: TypeAlias = Callable[["Seen"], JSON]
Action: TypeAlias = Callable[["Seen"], Answer]


@dataclass(frozen=True, slots=True)
class Seen:
    """A resource, and what it lies in.

    Attributes:
        id: Its id.
        resource: It as it is stored; for a part that is always there, an empty one.
        top: The top-level resource that it is or lies in.
        seed, top_seed: What keys and ids of its own, and of that, are made of.
        find: Another resource by its id, as it is stored; None where there is none.
        turns: How often keys were regenerated, by `source` of them.
        tenant: The directory that its subscription trusts.
    """

    id: ResourceId
    resource: JSON
    top: JSON
    seed: str
    top_seed: str
    find: Callable[[str], JSON | None]
    turns: Mapping[str, int] = field(default_factory=dict)
    tenant: str = ""

    @property
    def above(self) -> Seen:
        """It with keys and ids of its top-level resource."""
        return replace(self, seed=self.top_seed)

    @property
    def name(self) -> str:
        """Its own name."""
        return self.id.name

    @property
    def host(self) -> str:
        """The name of its top-level resource as it stands in a host name."""
        return self.id.names[0].lower()

    @property
    def location(self) -> str:
        """Where it is, as in `eastus`."""
        place = str(self.resource.get("location") or self.top.get("location") or "")
        return place.lower().replace(" ", "")

    @property
    def kind(self) -> str:
        """Its kind, or its top-level resource's, in small letters."""
        return str(self.resource.get("kind") or self.top.get("kind") or "").lower()

    def prop(self, *path: str) -> Any:
        """What its properties have at a path; None for nothing."""
        found: Any = self.resource.get("properties")
        for step in path:
            found = found.get(step) if isinstance(found, dict) else None
        return found

    def address_in(self, subnet: Any) -> str | None:
        """The first address that a subnet gives, named by its id; None where there is none.

        Azure keeps the first four addresses and the last one of a subnet for itself.
        """
        network_id, _, name = str(subnet or "").rpartition("/subnets/")
        try:
            network = self.find(network_id) if network_id else None
        except ArmError:  # it is no id
            network = None
        for item in ((network or {}).get("properties") or {}).get("subnets") or ():
            if str(item.get("name")).lower() == name.lower():
                inner = item.get("properties") or {}
                prefix = inner.get("addressPrefix") or (inner.get("addressPrefixes") or [None])[0]
                range_ = ipaddress.ip_network(str(prefix)) if prefix else None
                return str(range_[4]) if range_ and range_.num_addresses > 5 else None
        return None

    def base64(self, label: str, size: int = 32) -> str:
        """A key of `size` bytes."""
        return base64.b64encode(self._bytes(label, size)).decode()

    def hex(self, label: str, length: int = 32) -> str:
        """A key or id of `length` hexadecimal digits."""
        return self._bytes(label, length // 2 + 1).hex()[:length]

    def guid(self, label: str) -> str:
        """An id."""
        return str(uuid.UUID(bytes=self._bytes(label, 16), version=4))

    def source(self, label: str) -> str:
        """What a key or id is made of as long as it is not regenerated."""
        return f"{self.seed}/{label}"

    def _bytes(self, label: str, size: int) -> bytes:
        text = self.source(label)
        if turn := self.turns.get(text):
            text += f"/{turn}"
        return hashlib.shake_256(text.encode()).digest(size)


@dataclass(frozen=True, slots=True)
class Regeneration:
    """A POST that makes a key anew.

    Attributes:
        labels: Names of keys as a caller says them, in small letters -> what they are made of.
        answer: What is answered then; None: nothing.
        one: What is answered in its place, of what the new key is made of: that key alone.
        by: The member of the body that names the key; "": the path does.
        status: Of the answer.
    """

    labels: Callable[[Seen], Mapping[str, str]]
    answer: Action | None
    by: str = "keyName"
    status: int = 200
    one: Callable[[Seen, str], JSON] | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """What a service publishes of the resources of one type.

    Attributes:
        facts: The read-only properties.
        defaults: Properties that a resource has when nothing was said of them.
        actions: Its POSTs that give keys, by name.
        regenerations: Its POSTs that make keys anew, by name, `{}` where the key's name stands.
        hidden: Paths of properties that are written and never shown: `osProfile.adminPassword`;
            `[]` stands for each item of a list.
        standing: Names of resources that every parent has without their having been made; None:
            whatever is asked for is one, because what runs in the parent makes them.
        located: Whether it is where its top-level resource is, when it is not said.
    """

    facts: Facts = field(default=lambda seen: {})
    defaults: Mapping[str, Any] = field(default_factory=dict)
    actions: Mapping[str, Action] = field(default_factory=dict)
    regenerations: Mapping[str, Regeneration] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    standing: tuple[str, ...] | None = ()
    located: bool = False

    def stands(self, name: str) -> bool:
        """Whether a parent has one of that name without its having been made."""
        return self.standing is None or name.lower() in map(str.lower, self.standing)


Table: TypeAlias = Mapping[str, Published]


def two_keys(first: str, second: str, size: int = 32) -> Action:
    """The action that gives two keys under those names."""

    def keys(seen: Seen) -> Answer:
        return {first: seen.base64("key1", size), second: seen.base64("key2", size)}

    return keys


def two_hex_keys(first: str, second: str) -> Action:
    """The action that gives two keys of 32 hexadecimal digits under those names."""

    def keys(seen: Seen) -> Answer:
        return {first: seen.hex("key1"), second: seen.hex("key2")}

    return keys


def either(first: str, second: str, *labels: str) -> Callable[[Seen], Mapping[str, str]]:
    """The labels of two keys that callers name so; those of `two_keys` unless others are given."""
    return lambda seen: dict(zip((first, second), labels or ("key1", "key2"), strict=True))
