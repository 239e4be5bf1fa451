"""Resources' bodies against the descriptions of their types, where a library has them."""

from __future__ import annotations

from orchestrator.bicep import symbols as sym
from orchestrator.bicep.checks.described import Place, Values
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.kinds import Kind
from orchestrator.bicep.model import Model
from orchestrator.bicep.symbols import Resource
from orchestrator.bicep.type_library.bodies import whole_kind
from orchestrator.bicep.type_library.described import OWN

# the language's own, and checked as such
_OF_BICEP = frozenset({"name", "scope", "parent", "dependsOn", "id", "type", "apiVersion"})


def check(model: Model, typing: Typing) -> None:
    if model.library is None:
        return
    for resource in model.resources:
        found = model.described(resource.type, resource.api_version)
        if found is None and model.library.is_whole:
            model.warning(
                resource.decl.type,
                "BCP081",
                f"The library of types has no {resource.type}@{resource.api_version}: "
                "nothing inside of its properties is checked.",
            )
        elif found is not None and found.trust != OWN:
            whole = whole_kind(found.body, found.name)
            _body(model, typing, resource, whole, trust=found.trust)
        elif found is not None and not found.writable and not resource.existing:
            model.warning(
                resource.decl.type,
                "BCP245",
                f"{resource.type}@{resource.api_version} can only be read: put existing after it.",
            )
        body = typing.body(Kind(sym.RESOURCE, source=resource.symbol))
        if body is not None:
            _body(model, typing, resource, body)


def _body(model: Model, typing: Typing, resource: Resource, wanted: Kind, trust: str = OWN) -> None:
    values = Values(model, typing, trust=trust)
    if not resource.existing:
        # what is missing besides the name is told together with it
        unnamed = resource.body.prop("name") is None
        place = Place("The resource", key=resource.decl.name, partial=unnamed)
        given = typing.of(resource.body)
        values.object(resource.body, given, wanted, place, aside=_OF_BICEP)
    name, written = wanted.props.get("name"), resource.body.prop("name")
    # of a name with several parts it is not known which text the last one is
    single = len(resource.type_segments) == 2 or resource.parent is not None
    if name is not None and written is not None and single:
        place = Place('The property "name"', key=written.key, certain=True)
        values.check(written.value, name.kind, place)
