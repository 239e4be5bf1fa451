"""Which status the service of a resource type answers with, where nobody here knows the type.

A client that is generated from a service's specification takes the statuses that it lists and
refuses all others, though the resource was made: so do Microsoft's SDKs, and Terraform's azurerm
provider. So the answer is the one that nearly all specifications list, and here are those that list
another one alone ("Responses" of each operation in learn.microsoft.com/rest/api).
"""

from __future__ import annotations

from collections.abc import Mapping

_AUTOMATION = "microsoft.automation/automationaccounts"
_EVENT_GRID = "microsoft.eventgrid"
_POSTGRES = "microsoft.dbforpostgresql/flexibleservers"

_PUT: Mapping[str, int] = {
    # 201 alone, for a change as well.
    **dict.fromkeys(
        (
            "microsoft.authorization/policyassignments",
            "microsoft.operationsmanagement/solutions",
            *(f"{_EVENT_GRID}/{name}" for name in ("domains", "domains/topics", "topics")),
            *(f"{_EVENT_GRID}/{name}" for name in ("eventsubscriptions", "partnernamespaces")),
            f"{_EVENT_GRID}/systemtopics/eventsubscriptions",
            *(f"{_AUTOMATION}/{name}" for name in ("connectiontypes", "jobs", "jobschedules")),
            *(f"microsoft.blueprint/{name}" for name in ("blueprints", "blueprintassignments")),
            "microsoft.blueprint/blueprints/versions",
            "microsoft.compute/restorepointcollections/restorepoints",
            "microsoft.deviceupdate/accounts",
            "microsoft.deviceupdate/accounts/instances",
            "microsoft.network/networkwatchers/packetcaptures",
            "microsoft.signalrservice/signalr/customdomains",
            "microsoft.signalrservice/webpubsub/customdomains",
            "microsoft.web/sites/functions",
            "microsoft.web/sites/slots/functions",
        ),
        201,
    ),
    # 202 alone.
    **dict.fromkeys(
        (
            _POSTGRES,
            *(f"{_POSTGRES}/{name}" for name in ("administrators", "backups", "configurations")),
            *(f"{_POSTGRES}/{name}" for name in ("databases", "firewallrules", "virtualendpoints")),
        ),
        202,
    ),
}

_DELETE_200 = frozenset(
    (
        *(f"microsoft.insights/components/{name}" for name in ("analyticsitems", "apikeys")),
        "microsoft.compute/proximityplacementgroups",
        "microsoft.consumption/budgets",
        "microsoft.costmanagement/exports",
        "microsoft.guestconfiguration/guestconfigurationassignments",
        "microsoft.operationalinsights/workspaces/dataexports",
        "microsoft.operationalinsights/workspaces/linkedstorageaccounts",
        "microsoft.operationsmanagement/solutions",
        "microsoft.cache/redis/linkedservers",
        "microsoft.sql/managedinstances/administrators",
        "microsoft.sql/managedinstances/vulnerabilityassessments",
        "microsoft.sql/servers/vulnerabilityassessments",
        "microsoft.sql/servers/databases/replicationlinks",
        "microsoft.storagesync/storagesyncservices/syncgroups/serverendpoints",
        "microsoft.web/staticsites",
        "microsoft.web/staticsites/customdomains",
        *(
            f"microsoft.web/sites/{name}"
            for name in ("backups", "hybridconnection", "networkconfig", "premieraddons")
        ),
        *(
            f"microsoft.web/sites/{name}"
            for name in ("sourcecontrols", "virtualnetworkconnections")
        ),
    )
)


def of_put(kind: str) -> int:
    """What a PUT answers, whether it creates or changes: nearly all list 200."""
    return _PUT.get(kind.lower(), 200)


def of_delete(kind: str) -> int:
    """What a DELETE of what is there answers: nearly all list 204, also those that delete in an
    operation; 200 is listed by fewer."""
    kind = kind.lower()
    return 200 if kind in _DELETE_200 or kind.startswith(f"{_AUTOMATION}/") else 204
