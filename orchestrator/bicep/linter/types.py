"""Resource types, and properties of theirs, that are not Azure's, as far as is known here."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from orchestrator import azure_types
from orchestrator.bicep import kinds
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.diagnostics import nearest
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.kinds import Kind
from orchestrator.bicep.model import Model
from orchestrator.bicep.symbols import Resource

# at the top of a resource's body. Source: Resource Manager's common properties, and Bicep's own
_COMMON = (
    "name",
    "location",
    "tags",
    "kind",
    "sku",
    "plan",
    "identity",
    "properties",
    "zones",
    "extendedLocation",
    "managedBy",
    "managedByExtended",
    "parent",
    "scope",
    "dependsOn",
)
_ALMOST = 0.82  # as alike as a word and one with a letter too many, too few or another


# what all types take of these, if they take it
_KINDS = {
    "location": kinds.STRING,
    "tags": kinds.OBJECT,
    "identity": kinds.OBJECT,
    "plan": kinds.OBJECT,
    "extendedLocation": kinds.OBJECT,
    "managedBy": kinds.STRING,
    "managedByExtended": kinds.array_of(kinds.STRING),
    "zones": kinds.array_of(kinds.STRING),
}


def wrong_kinds(model: Model, typing: Typing) -> Iterator[tuple[s.Node, str]]:
    """A common property whose value is of another kind than all types take."""
    for resource in model.resources:
        if not azure_types.is_known(resource.type) or is_described(typing, resource):
            continue
        for prop in resource.body.props:
            wanted = _KINDS.get(prop.name or "")
            found = typing.of(prop.value)
            if wanted is not None and not kinds.fits(found, wanted):
                said = f'"{prop.name}" is wanted as {wanted.spell()}; this is {found.spell()}.'
                yield prop.value, said


def is_described(typing: Typing, resource: Resource) -> bool:
    """Whether a library of types says what the resource has: then that is checked, and told."""
    return typing.body(Kind(sym.RESOURCE, source=resource.symbol)) is not None


def almost_common(model: Model, typing: Typing) -> Iterator[tuple[s.Node, str]]:
    """A property that no type is known to have, spelt almost as one that all may have."""
    for resource in model.resources:
        if is_described(typing, resource) or model.described(resource.type, resource.api_version):
            continue
        for prop in resource.body.props:
            name = prop.name
            if name is None or name in _COMMON:
                continue
            close = difflib.get_close_matches(name, _COMMON, n=1, cutoff=_ALMOST)
            if close:
                yield prop.key, f'Is "{name}" meant to be "{close[0]}"? It is written as it is.'


def unknown(model: Model, typing: Typing) -> Iterator[tuple[s.Node, str]]:
    for resource in model.resources:
        if is_described(typing, resource):
            continue
        if azure_types.is_known(resource.type):
            continue
        parent, _slash, last = resource.type.rpartition("/")
        meant = nearest(last, azure_types.names_below(parent))
        yield (
            resource.decl.type,
            f'The type "{resource.type}" is not known here.'
            + (f' Did you mean "{parent}/{meant}"?' if meant else " It is written as it is."),
        )
