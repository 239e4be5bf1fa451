"""Built-in roles over all resources, jobs, queues, images, identities, logs and networks."""

from __future__ import annotations

from orchestrator.localcloud.providers.role import Role

OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"

_BUS = "Microsoft.ServiceBus"
_HUBS = "Microsoft.EventHub"
_APP = "Microsoft.App"
_REGISTRY = "Microsoft.ContainerRegistry/registries"
_IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"
_LOGS = "Microsoft.OperationalInsights"
_BASIC = (
    "Microsoft.Authorization/*/read",
    "Microsoft.Insights/alertRules/*",
    "Microsoft.Resources/deployments/*",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
)
_NO_ACCESS_CHANGES = (
    "Microsoft.Authorization/*/Delete",
    "Microsoft.Authorization/*/Write",
    "Microsoft.Authorization/elevateAccess/Action",
)

GENERAL = (
    Role(OWNER, "Owner", "Full access to all resources, also to who has access to them.", ["*"]),
    Role(
        "b24988ac-6180-42a0-ab88-20f7382dd24c",
        "Contributor",
        "Full access to all resources, but not to who has access to them.",
        ["*"],
        [
            *_NO_ACCESS_CHANGES,
            "Microsoft.Blueprint/blueprintAssignments/write",
            "Microsoft.Blueprint/blueprintAssignments/delete",
            "Microsoft.Compute/galleries/share/action",
            "Microsoft.Purview/consents/write",
            "Microsoft.Purview/consents/delete",
            "Microsoft.Resources/deploymentStacks/manageDenySetting/action",
        ],
    ),
    Role(
        "acdd72a7-3385-48ef-bd42-f606fba81ae7",
        "Reader",
        "View all resources, without changing them.",
        ["*/read"],
    ),
    Role(
        "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
        "User Access Administrator",
        "Manage who has access to resources.",
        ["*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"],
    ),
    Role(
        "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
        "Role Based Access Control Administrator",
        "Manage who has access to resources, by role assignments.",
        [
            "Microsoft.Authorization/roleAssignments/write",
            "Microsoft.Authorization/roleAssignments/delete",
            "*/read",
            "Microsoft.Support/*",
        ],
    ),
    # Container Apps
    Role(
        "4e3d2b60-56ae-4dc6-a233-09c8e5a82e68",
        "Container Apps Jobs Contributor",
        "Manage jobs of Container Apps.",
        [
            *_BASIC,
            f"{_APP}/jobs/*",
            f"{_APP}/managedEnvironments/read",
            f"{_APP}/managedEnvironments/join/action",
        ],
    ),
    Role(
        "b9a307c4-5aa3-4b52-ba60-2b17c136cd7b",
        "Container Apps Jobs Operator",
        "Read, start and stop jobs of Container Apps.",
        [
            *_BASIC,
            f"{_APP}/jobs/read",
            f"{_APP}/jobs/*/read",
            f"{_APP}/jobs/*/action",
        ],
    ),
    Role(
        "edd66693-d32a-450b-997d-0158c03976b0",
        "Container Apps Jobs Reader",
        "Read jobs of Container Apps.",
        [*_BASIC, f"{_APP}/jobs/read", f"{_APP}/jobs/*/read"],
    ),
    Role(
        "57cc5028-e6a7-4284-868d-0611c5923f8d",
        "Container Apps ManagedEnvironments Contributor",
        "Manage environments of Container Apps.",
        [*_BASIC, f"{_APP}/managedEnvironments/*"],
    ),
    Role(
        "1b32c00b-7eff-4c22-93e6-93d11d72d2d8",
        "Container Apps ManagedEnvironments Reader",
        "Read environments of Container Apps.",
        [*_BASIC, f"{_APP}/managedEnvironments/read", f"{_APP}/managedEnvironments/*/read"],
    ),
    # Service Bus and Event Hubs
    Role(
        "090c5cfd-751d-490a-894a-3ce6f1109419",
        "Azure Service Bus Data Owner",
        "Full access to Service Bus resources and their messages.",
        [f"{_BUS}/*"],
        (),
        [f"{_BUS}/*"],
    ),
    Role(
        "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39",
        "Azure Service Bus Data Sender",
        "Send messages.",
        [f"{_BUS}/*/queues/read", f"{_BUS}/*/topics/read", f"{_BUS}/*/topics/subscriptions/read"],
        (),
        [f"{_BUS}/*/send/action"],
    ),
    Role(
        "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0",
        "Azure Service Bus Data Receiver",
        "Receive messages.",
        [f"{_BUS}/*/queues/read", f"{_BUS}/*/topics/read", f"{_BUS}/*/topics/subscriptions/read"],
        (),
        [f"{_BUS}/*/receive/action"],
    ),
    Role(
        "f526a384-b230-433a-b45c-95f59c4a2dec",
        "Azure Event Hubs Data Owner",
        "Full access to Event Hubs resources and their events.",
        [f"{_HUBS}/*"],
        (),
        [f"{_HUBS}/*"],
    ),
    # Registries
    Role(
        "7f951dda-4ed3-4680-a7ca-43fe172d538d",
        "AcrPull",
        "Pull images from a registry.",
        [f"{_REGISTRY}/pull/read"],
    ),
    Role(
        "8311e382-0749-4cb8-b61a-304f252e45ec",
        "AcrPush",
        "Push images to a registry, and pull them.",
        [f"{_REGISTRY}/pull/read", f"{_REGISTRY}/push/write"],
    ),
    Role(
        "c2f4ef07-c644-48eb-af81-4b1b4947fb11",
        "AcrDelete",
        "Delete images from a registry.",
        [f"{_REGISTRY}/artifacts/delete"],
    ),
    # Identities
    Role(
        "f1a07417-d97a-45cb-824c-7a7467783830",
        "Managed Identity Operator",
        "Read user-assigned identities and assign them to resources.",
        [f"{_IDENTITY}/*/read", f"{_IDENTITY}/*/assign/action", *_BASIC, "Microsoft.Support/*"],
    ),
    Role(
        "e40ec5ca-96e0-45a2-b4ff-59039f2c2b59",
        "Managed Identity Contributor",
        "Create, read, change and delete user-assigned identities.",
        [
            f"{_IDENTITY}/read",
            f"{_IDENTITY}/write",
            f"{_IDENTITY}/delete",
            f"{_IDENTITY}/federatedIdentityCredentials/read",
            f"{_IDENTITY}/federatedIdentityCredentials/write",
            f"{_IDENTITY}/federatedIdentityCredentials/delete",
            *_BASIC,
            "Microsoft.Support/*",
        ],
    ),
    # Monitoring
    Role(
        "73c42c96-874c-492b-b04d-ab87d138a893",
        "Log Analytics Reader",
        "View and search all monitoring data.",
        [
            "*/read",
            f"{_LOGS}/workspaces/analytics/query/action",
            f"{_LOGS}/workspaces/search/action",
            "Microsoft.Support/*",
        ],
        [f"{_LOGS}/workspaces/sharedKeys/read"],
    ),
    Role(
        "92aaf0da-9dab-42b6-94a3-d43ce8d16293",
        "Log Analytics Contributor",
        "View monitoring data and change monitoring settings.",
        [
            "*/read",
            "Microsoft.Insights/alertRules/*",
            "Microsoft.Insights/diagnosticSettings/*",
            f"{_LOGS}/*",
            "Microsoft.OperationsManagement/*",
            "Microsoft.Resources/deployments/*",
            "Microsoft.Resources/subscriptions/resourcegroups/deployments/*",
            "Microsoft.Storage/storageAccounts/listKeys/action",
            "Microsoft.Support/*",
        ],
    ),
    Role(
        "43d0d8ad-25c7-4714-9337-8ba259a9fe05",
        "Monitoring Reader",
        "Read all monitoring data.",
        ["*/read", f"{_LOGS}/workspaces/search/action", "Microsoft.Support/*"],
    ),
    Role(
        "749f88d5-cbae-40b8-bcfc-e573ddc772fa",
        "Monitoring Contributor",
        "Read all monitoring data and change monitoring settings.",
        [
            "*/read",
            "Microsoft.AlertsManagement/*",
            "Microsoft.Insights/*",
            f"{_LOGS}/locations/workspaces/failback/action",
            f"{_LOGS}/workspaces/write",
            f"{_LOGS}/workspaces/search/action",
            f"{_LOGS}/workspaces/sharedKeys/action",
            "Microsoft.Support/*",
        ],
    ),
    Role(
        "3913510d-42f4-4e42-8a64-420c390055eb",
        "Monitoring Metrics Publisher",
        "Publish metrics against Azure resources.",
        ["Microsoft.Insights/Register/Action", "Microsoft.Support/*", *_BASIC[3:]],
        (),
        ["Microsoft.Insights/Metrics/Write", "Microsoft.Insights/Telemetry/Write"],
    ),
    # Network, tags, vaults, storage
    Role(
        "4d97b98b-1d4f-4787-a291-c67834d212e7",
        "Network Contributor",
        "Manage networks.",
        [*_BASIC, "Microsoft.Network/*", "Microsoft.Support/*"],
    ),
    Role(
        "b12aa53e-6015-4669-85d0-8515ebb3ae7f",
        "Private DNS Zone Contributor",
        "Manage private DNS zones, but not the networks they are linked to.",
        [
            *_BASIC,
            "Microsoft.Support/*",
            "Microsoft.Network/privateDnsZones/*",
            "Microsoft.Network/privateDnsOperationResults/*",
            "Microsoft.Network/privateDnsOperationStatuses/*",
            "Microsoft.Network/virtualNetworks/read",
            "Microsoft.Network/virtualNetworks/join/action",
        ],
    ),
    Role(
        "4a9ae827-6dc8-4573-8ac7-8239d42aa03f",
        "Tag Contributor",
        "Manage tags, without access to the resources themselves.",
        [
            *_BASIC,
            "Microsoft.Resources/subscriptions/resourceGroups/resources/read",
            "Microsoft.Resources/subscriptions/resources/read",
            "Microsoft.Resources/tags/*",
            "Microsoft.Support/*",
        ],
    ),
)
