"""`uniqueString` and `guid`."""

from __future__ import annotations

from typing import Any

from orchestrator.azure_values import hashes
from orchestrator.localcloud.templates.functions.registry import plain, text


@plain("uniqueString", 1, None)
def unique_string(*parts: Any) -> str:
    """Thirteen letters and digits, the same for the same texts."""
    return hashes.unique_string(text("uniqueString", part) for part in parts)


@plain("guid", 1, None)
def guid(*parts: Any) -> str:
    """A guid, the same for the same texts."""
    return hashes.guid(text("guid", part) for part in parts)
