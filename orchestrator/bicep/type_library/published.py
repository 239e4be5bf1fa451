"""Libraries in the published format of Bicep's types.

`index.json` says where each `Provider/type@version` is described, `{"$ref": "x/types.json#/7"}`; a
`types.json` is a list of descriptions that name each other by their places in it. Files are read
when a resource needs them, and once: all of Azure's types are half a gigabyte.

Source: Azure/bicep-types, "TypeIndex" and "ConcreteTypes" of its readers.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from orchestrator import azure_types
from orchestrator.bicep import kinds
from orchestrator.bicep.kinds import Described, Kind, Property
from orchestrator.bicep.type_library.described import ResourceType
from orchestrator.errors import BicepError

Json = Any

_REQUIRED, _READ_ONLY, _WRITE_ONLY = 1, 2, 4
_PLAIN = Described()
_ANY_SCOPE = (
    azure_types.TENANT
    | azure_types.MANAGEMENT_GROUP
    | azure_types.SUBSCRIPTION
    | azure_types.RESOURCE_GROUP
    | azure_types.RESOURCE
)
# of the format's first years: kinds by number
_BUILT_IN = ("", "any", "null", "bool", "int", "string", "object", "array")


_MISSHAPED = (KeyError, IndexError, TypeError, ValueError, AttributeError)


class NotPublishedError(Exception):
    """What is wrong, as a part of a sentence."""


def _folder(path: Path, name: str) -> bytes:
    return (path / name).read_bytes()


def _archive(path: Path, name: str) -> bytes:
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            if PurePosixPath(member.name) == PurePosixPath(name):
                found = archive.extractfile(member)
                if found is not None:
                    return found.read()
    raise FileNotFoundError(f"it has no {name}")


class Published:
    """A folder that holds `index.json`, or a `types.tgz` that does.

    Raises: NotPublishedError when there is none, or it can't be read.
    """

    is_whole = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read: Callable[[str], bytes] = partial(_folder if path.is_dir() else _archive, path)
        index = self._json("index.json")
        resources = index.get("resources") if isinstance(index, dict) else None
        if not isinstance(resources, dict):
            raise NotPublishedError("its index.json lists no resources")
        self._places = {name.lower(): place for name, place in resources.items()}
        functions = index.get("resourceFunctions") or {}
        self._functions = {name.lower(): found for name, found in functions.items()}
        self._files: dict[str, TypesFile] = {}
        self._found: dict[str, ResourceType | None] = {}

    def _json(self, name: str) -> Json:
        import msgspec

        try:
            return msgspec.json.decode(self._read(name))
        except (OSError, tarfile.TarError, EOFError) as fault:
            raise NotPublishedError(f"{name} can't be read ({_reason(fault)})") from None
        except msgspec.DecodeError as fault:
            raise NotPublishedError(f"{name} is no JSON ({fault})") from None

    def find(self, kind: str, version: str) -> ResourceType | None:
        """Raises: BicepError when a file of the library is not as it should be."""
        name = f"{kind}@{version}".lower()
        if name not in self._found:
            try:
                self._found[name] = self._load(name, kind, version)
            except (
                NotPublishedError,
                KeyError,
                IndexError,
                TypeError,
                ValueError,
                AttributeError,
            ) as why:
                raise BicepError(
                    f"The library of types {self.path} can't be read where it describes "
                    f"{kind}@{version}: {why}."
                ) from None
        return self._found[name]

    def _load(self, name: str, kind: str, version: str) -> ResourceType | None:
        place = self._places.get(name)
        if place is None:
            return None
        file, found = self._described(place)
        readable, writable = _scopes(found)
        functions = {}
        for one in _of_version(self._functions.get(kind.lower(), {}), version):
            owner, function = self._described(one)
            functions[function["name"]] = partial(owner.of, function["output"])
        body = file.of(found["body"], body=True)
        return ResourceType(found["name"].partition("@")[0], body, readable, writable, functions)

    def _described(self, place: Json) -> tuple[TypesFile, Json]:
        """A description, and the file that it is in."""
        path, _, number = place["$ref"].partition("#/")
        if path not in self._files:
            self._files[path] = TypesFile(self._json(path))
        file = self._files[path]
        return file, file.items[int(number)]


def _reason(fault: Exception) -> str:
    return getattr(fault, "strerror", None) or str(fault)


def _of_version(functions: Mapping[str, Json], version: str) -> list[Json]:
    for one, found in functions.items():
        if one.lower() == version.lower():
            return list(found)
    return []


def _scopes(found: Json) -> tuple[int, int]:
    """Where a type can be read, and where written."""
    if "readableScopes" in found or "writableScopes" in found:
        return int(found.get("readableScopes", 0)), int(found.get("writableScopes", 0))
    # of the format's first years
    every = int(found.get("scopeType", 0)) or _ANY_SCOPE
    read_only = int(found.get("flags", 0)) & 1
    return every, 0 if read_only else every & ~int(found.get("readOnlyScopes") or 0)


class TypesFile:
    """The descriptions of one `types.json`, as kinds."""

    def __init__(self, items: list[Json]) -> None:
        self.items = items
        self._kinds: dict[tuple[int, bool], Kind] = {}

    def of(self, reference: Json, *, body: bool = False) -> Kind:
        """The kind at `{"$ref": "#/7"}`. `body`: of a whole resource."""
        number = int(reference["$ref"].removeprefix("#/"))
        key = (number, body)
        if key not in self._kinds:
            self._kinds[key] = self._kind(self.items[number], body)
        return self._kinds[key]

    def _kind(self, item: Json, body: bool) -> Kind:
        match item["$type"]:
            case "StringLiteralType":
                return Kind("string", item["value"], azure=_PLAIN)
            case "StringType":
                return Kind("string", azure=_limits(item, "minLength", "maxLength"))
            case "IntegerType":
                return Kind("int", azure=_limits(item, "minValue", "maxValue"))
            case "BooleanType":
                return Kind("bool", azure=_PLAIN)
            case "NullType":
                return kinds.NULL
            case "ObjectType":
                return self._object(item, item.get("properties") or {}, body)
            case "DiscriminatedObjectType":
                return self._tagged(item, body)
            case "ArrayType":
                inner = partial(self.of, item["itemType"])
                return Kind("array", item=inner, azure=_limits(item, "minLength", "maxLength"))
            case "UnionType":
                return kinds.union(self.of(one) for one in item["elements"])
            case "BuiltInType":
                number = int(item["kind"])
                return kinds.NAMED.get(_BUILT_IN[number], kinds.ANY) if number < 8 else kinds.ANY
        return kinds.ANY

    def _object(self, item: Json, properties: Mapping[str, Json], body: bool) -> Kind:
        rest = item.get("additionalProperties")
        return Kind(
            "object",
            props={name: self._property(found) for name, found in properties.items()},
            rest=partial(self.of, rest) if rest is not None else None,
            closed=rest is None,
            azure=Described(
                item.get("name") or "object", secure=bool(item.get("sensitive")), body=body
            ),
        )

    def _property(self, found: Json) -> Property:
        flags = int(found.get("flags", 0))
        return Property(
            partial(self.of, found["type"]),
            bool(flags & _REQUIRED),
            read_only=bool(flags & _READ_ONLY),
            write_only=bool(flags & _WRITE_ONLY),
        )

    def _tagged(self, item: Json, body: bool) -> Kind:
        base = item.get("baseProperties") or {}
        cases = {
            tag: partial(self._case, base, reference, body)
            for tag, reference in item["elements"].items()
        }
        described = Described(
            item.get("name") or "object", tag=item["discriminator"], cases=cases, body=body
        )
        return Kind("object", azure=described)

    def _case(self, base: Mapping[str, Json], reference: Json, body: bool) -> Kind:
        found = self.items[int(reference["$ref"].removeprefix("#/"))]
        return self._object(found, {**base, **(found.get("properties") or {})}, body)


def _limits(item: Json, least: str, most: str) -> Described:
    if len(item) == 1:
        return _PLAIN
    return Described(
        least=item.get(least),
        most=item.get(most),
        pattern=item.get("pattern") or "",
        secure=bool(item.get("sensitive")),
    )
