"""What is known of Azure's resource types without their library: their form and their scopes."""

from __future__ import annotations

import re

_TYPE = re.compile(r"[a-z0-9][a-z0-9.-]*(?:/[a-z0-9][a-z0-9.-]*)+\Z", re.IGNORECASE)
_VERSION = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:-(?:preview|alpha|beta|rc|privatepreview))?\Z", re.IGNORECASE
)

# types that can be deployed in one scope only. Source: their API's paths
ONLY_SCOPE = {
    "microsoft.resources/resourcegroups": "subscription",
    "microsoft.management/managementgroups": "tenant",
    "microsoft.management/managementgroups/subscriptions": "tenant",
    "microsoft.subscription/aliases": "tenant",
    "microsoft.billing/billingaccounts": "tenant",
}


def is_resource_type(text: str) -> bool:
    """Whether this is `Provider.Name/type@2024-01-01`."""
    type_, at, version = text.partition("@")
    return bool(at and _TYPE.match(type_) and _VERSION.match(version))
