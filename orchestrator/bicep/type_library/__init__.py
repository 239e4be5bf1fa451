"""What Azure's resource types are made of: their properties, scopes and functions.

Where a library of types is named, what a resource's body has and what is read of one is checked
against it: in ORCHESTRATOR_BICEP_TYPES, or as `extensions.az` of bicepconfig.json, relative to that
file. It is a folder or a `types.tgz` in the format of Bicep's types (published.py), as
Azure/bicep-types-az has them in `generated`. Where none is named, Microsoft's packages that are
installed say of some types what is sent (packages.py).
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from orchestrator.bicep.config import types_path
from orchestrator.bicep.type_library.described import Library, ResourceType
from orchestrator.errors import SettingsError

__all__ = ["VARIABLE", "Library", "ResourceType", "library_for"]

VARIABLE = "ORCHESTRATOR_BICEP_TYPES"
NONE = "none"


def library_for(folder: Path) -> Library | None:
    """The library of types for a folder's Bicep files; None where it is to be none.

    Raises: SettingsError when what is named is none.
    """
    chosen = os.environ.get(VARIABLE, "")
    if chosen == NONE:
        return None
    if chosen:
        return _published(Path(chosen).expanduser().absolute(), VARIABLE)
    configured = types_path(folder)
    if configured is not None:
        return _published(configured, "extensions.az of bicepconfig.json")
    return _packages()


@cache
def _packages() -> Library:
    from orchestrator.bicep.type_library.packages import Packages

    return Packages()


@cache
def _published(path: Path, named_by: str) -> Library:
    from orchestrator.bicep.type_library.published import NotPublishedError, Published

    try:
        return Published(path)
    except NotPublishedError as fault:
        raise SettingsError(
            f"{named_by} names {path}, which is no library of types: {fault}.",
            "Name the folder that holds index.json, or a types.tgz that does.",
        ) from None
