"""guid() and uniqueString(): hashes that depend on nothing but their arguments."""

from __future__ import annotations

from orchestrator.azure_values import hashes
from orchestrator.bicep.pure.arguments import texts


def guid(*parts: str) -> str:
    return hashes.guid(texts(parts))


def unique_string(*parts: str) -> str:
    return hashes.unique_string(texts(parts))
