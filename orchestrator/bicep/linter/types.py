"""Resource types that are not Azure's, as far as is known here."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator import azure_types
from orchestrator.bicep import syntax as s
from orchestrator.bicep.diagnostics import nearest
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.model import Model


def unknown(model: Model, _: Typing) -> Iterator[tuple[s.Node, str]]:
    for resource in model.resources:
        if azure_types.is_known(resource.type):
            continue
        parent, _slash, last = resource.type.rpartition("/")
        meant = nearest(last, azure_types.names_below(parent))
        yield (
            resource.decl.type,
            f'The type "{resource.type}" is not known here.'
            + (f' Did you mean "{parent}/{meant}"?' if meant else " It is written as it is."),
        )
