"""Which logs and metrics the resource types have that diagnostic settings can choose.

"Supported resource log categories" of Azure Monitor's reference, for the types that the local cloud
knows better than by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_ALL = ("allLogs",)
_AUDIT = ("audit", "allLogs")
_METRICS: Mapping[str, Sequence[str]] = {"AllMetrics": ()}

_CATEGORIES: Mapping[str, Mapping[str, Sequence[str]]] = {
    # type, in small letters: category -> the groups it is in; a metric is in none
    "microsoft.servicebus/namespaces": {
        "OperationalLogs": _ALL,
        "VNetAndIPFilteringLogs": _ALL,
        "RuntimeAuditLogs": _AUDIT,
        "ApplicationMetricsLogs": _ALL,
        "DiagnosticErrorLogs": _ALL,
        "DataDRLogs": _ALL,
        **_METRICS,
    },
    "microsoft.containerregistry/registries": {
        "ContainerRegistryRepositoryEvents": _AUDIT,
        "ContainerRegistryLoginEvents": _AUDIT,
        **_METRICS,
    },
    "microsoft.keyvault/vaults": {
        "AuditEvent": _AUDIT,
        "AzurePolicyEvaluationDetails": _ALL,
        **_METRICS,
    },
    "microsoft.app/managedenvironments": {
        "ContainerAppConsoleLogs": _ALL,
        "ContainerAppSystemLogs": _ALL,
        "AppEnvSpringAppConsoleLogs": _ALL,
        "AppEnvSessionConsoleLogs": _ALL,
        "AppEnvSessionPoolEventLogs": _ALL,
        "AppEnvSessionLifeCycleLogs": _ALL,
        **_METRICS,
    },
    "microsoft.app/jobs": _METRICS,
    "microsoft.operationalinsights/workspaces": {
        "Audit": _AUDIT,
        "SummaryLogs": _ALL,
        "Jobs": _ALL,
        **_METRICS,
    },
    "microsoft.network/virtualnetworks": {"VMProtectionAlerts": _ALL, **_METRICS},
    "microsoft.network/networksecuritygroups": {
        "NetworkSecurityGroupEvent": _ALL,
        "NetworkSecurityGroupRuleCounter": _ALL,
    },
    "microsoft.network/publicipaddresses": {
        "DDoSProtectionNotifications": _ALL,
        "DDoSMitigationFlowLogs": _ALL,
        "DDoSMitigationReports": _ALL,
        **_METRICS,
    },
}

SETTLED = frozenset(
    {
        "microsoft.servicebus/namespaces",
        "microsoft.containerregistry/registries",
        "microsoft.keyvault/vaults",
    }
)
"""Types whose list has been the same for years: what is not in it is a slip of the pen. To the
others categories are added; what is not known of them is kept."""


def categories(type: str) -> Mapping[str, Sequence[str]]:
    """Category -> its groups, of a resource type (any case); nothing for a type that is not known.

    A category without groups is one of metrics.
    """
    return _CATEGORIES.get(type.lower(), {})
