"""What a resource's body may have: its type's description, and what Bicep adds to all.

Source: Resource Manager's common properties of resources; of which of them Bicep takes without a
type's description, its compiler's warnings BCP037 and BCP187.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from orchestrator.bicep import kinds
from orchestrator.bicep.kinds import Described, Kind, Property
from orchestrator.bicep.symbols import Resource
from orchestrator.bicep.type_library.described import ResourceType

_TEXTS = kinds.array_of(kinds.STRING)


def _part(label: str, required: str, parts: Mapping[str, Kind]) -> Kind:
    props = {name: Property(partial(_same, kind), name == required) for name, kind in parts.items()}
    return Kind("object", props=props, closed=True, azure=Described(label))


def _same(kind: Kind) -> Kind:
    return kind


def _texts(*names: str) -> dict[str, Kind]:
    return dict.fromkeys(names, kinds.STRING)


_IDENTITY = _part("userAssignedIdentity", "", _texts("principalId", "clientId"))
_COMMON: Mapping[str, Kind] = {
    **_texts("location", "kind", "managedBy", "eTag"),
    "tags": Kind("object", rest=partial(_same, kinds.STRING), azure=Described("tags")),
    "asserts": Kind("object", rest=partial(_same, kinds.BOOL), azure=Described("asserts")),
    "properties": kinds.OBJECT,
    "plan": kinds.OBJECT,
    "zones": _TEXTS,
    "managedByExtended": _TEXTS,
    "sku": _part(
        "sku", "", _texts("name", "tier", "size", "family", "model") | {"capacity": kinds.INT}
    ),
    "extendedLocation": _part("extendedLocation", "type", _texts("type", "name")),
    "placement": _part(
        "placement",
        "zonePlacementPolicy",
        _texts("zonePlacementPolicy") | {"includeZones": _TEXTS, "excludeZones": _TEXTS},
    ),
    "scale": _part(
        "scale", "capacity", dict.fromkeys(("capacity", "maximum", "minimum"), kinds.INT)
    ),
    "identity": _part(
        "identity",
        "type",
        _texts("type", "principalId", "tenantId")
        | {
            "identityIds": _TEXTS,
            "userAssignedIdentities": Kind("object", rest=partial(_same, _IDENTITY)),
            "delegatedResources": kinds.OBJECT,
        },
    ),
}
_DEPLOYMENTS = "microsoft.resources/deployments"
_OF_DEPLOYMENTS = ("resourceGroup", "subscriptionId")


def body_kind(
    found: ResourceType | None, resource: Resource, value: Callable[[str], object]
) -> Kind:
    """The kind of a resource, as it is read. `found` None: of a type that nobody describes.

    `value`: of a property of the body, where the file says it: which of several descriptions is
    meant may hang on it.
    """
    type_ = resource.type
    if found is None:
        return whole_kind(_generic(resource, tuple(_COMMON)), type_)
    kind = found.body
    described = kind.azure
    if described is None or not described.tag:
        return whole_kind(kind, type_)
    named = described.tag == "name"
    fixed = len(resource.type_segments) == 2 or resource.parent is not None
    if (named and not fixed) or (not named and resource.existing):
        # of the whole name only the last part would tell; the tag of what exists is not known
        known = {name for case in described.cases.values() for name in case().props}
        return whole_kind(_generic(resource, tuple(_COMMON.keys() & known)), type_)
    case = described.cases.get(str(value(described.tag)))
    return whole_kind(case() if case is not None else kind, type_)


def part_kind(found: ResourceType, segments: Sequence[str]) -> Kind:
    """The kind of a part of a type, named as a template names it: `properties`, `tags`; of an
    array's items `items`, of further properties `additionalProperties`."""
    kind = whole_kind(found.body, found.name)
    steps = iter(segments)
    for step in steps:
        kind = kinds.without_null(kind)
        name = next(steps, "") if step == "properties" else ""
        cases: Mapping[str, Callable[[], Kind]] = kind.azure.cases if kind.azure is not None else {}
        forms = [case() for case in cases.values()] or [kind]
        # what only some forms have is of their kind
        inner = [find for form in forms if (find := _inner(form, step, name)) is not None]
        kind = kinds.union(find() for find in inner)
    return kind


def _inner(kind: Kind, step: str, name: str) -> Callable[[], Kind] | None:
    if step == "properties":
        known = kind.props.get(name)
        return known.find if known is not None else kind.rest
    if step == "items":
        return kind.item
    return kind.rest if step == "additionalProperties" else None


def _generic(resource: Resource, names: tuple[str, ...]) -> Kind:
    texts = {name: Property(partial(_same, kinds.STRING), False) for name in ("id", "name")}
    said = {
        "type": kinds.literal(resource.type),
        "apiVersion": kinds.literal(resource.api_version),
        **{name: _COMMON[name] for name in names},
    }
    props = {name: Property(partial(_same, kind), False) for name, kind in said.items()}
    described = Described(f"{resource.type}@{resource.api_version}", body=True)
    return Kind("object", props={**texts, **props}, closed=True, azure=described)


def whole_kind(kind: Kind, type_: str) -> Kind:
    """A description with the properties that all resources may have, besides its own."""
    if kind.azure is not None and kind.azure.tag:
        return kind
    common = {
        name: Property(partial(_same, one), False, common=True)
        for name, one in _COMMON.items()
        if name not in kind.props
    }
    if type_.lower() == _DEPLOYMENTS:
        common |= {name: Property(partial(_same, kinds.STRING), False) for name in _OF_DEPLOYMENTS}
    # the assertions of a resource are a part of the language
    common["asserts"] = Property(partial(_same, _COMMON["asserts"]), False)
    return Kind(
        "object",
        props={**kind.props, **common},
        rest=kind.rest,
        closed=kind.closed,
        azure=kind.azure,
    )
