"""Azure's built-in roles, as far as the local cloud's resource types have a use for them.

Ids, names and permissions are Azure's ("Azure built-in roles"); each is only here because its
permissions are known, so that enforcing them is no guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

DEFINITIONS = "Microsoft.Authorization/roleDefinitions"

OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"

_BUS = "Microsoft.ServiceBus"
_HUBS = "Microsoft.EventHub"
_APP = "Microsoft.App"
_REGISTRY = "Microsoft.ContainerRegistry/registries"
_IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"
_LOGS = "Microsoft.OperationalInsights"
_VAULT = "Microsoft.KeyVault"
_BLOB = "Microsoft.Storage/storageAccounts/blobServices"
_QUEUE = "Microsoft.Storage/storageAccounts/queueServices"
_BASIC = (
    "Microsoft.Authorization/*/read",
    "Microsoft.Insights/alertRules/*",
    "Microsoft.Resources/deployments/*",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
)
_TABLE = "Microsoft.Storage/storageAccounts/tableServices"
_VAULT_READ = (
    *_BASIC,
    "Microsoft.Support/*",
    f"{_VAULT}/checkNameAvailability/read",
    f"{_VAULT}/deletedVaults/read",
    f"{_VAULT}/locations/*/read",
    f"{_VAULT}/vaults/*/read",
    f"{_VAULT}/operations/read",
)
_NO_ACCESS_CHANGES = (
    "Microsoft.Authorization/*/Delete",
    "Microsoft.Authorization/*/Write",
    "Microsoft.Authorization/elevateAccess/Action",
)


@dataclass(frozen=True, slots=True)
class Role:
    """A built-in role: its guid, name, and what it allows and takes out of that."""

    guid: str
    name: str
    description: str
    actions: Sequence[str] = ()
    not_actions: Sequence[str] = ()
    data_actions: Sequence[str] = ()
    not_data_actions: Sequence[str] = field(default=())

    def resource(self) -> dict[str, Any]:
        """The role definition as Resource Manager shows it at the tenant."""
        return {
            "id": f"/providers/{DEFINITIONS}/{self.guid}",
            "name": self.guid,
            "type": DEFINITIONS,
            "properties": {
                "roleName": self.name,
                "type": "BuiltInRole",
                "description": self.description,
                "assignableScopes": ["/"],
                "permissions": [
                    {
                        "actions": list(self.actions),
                        "notActions": list(self.not_actions),
                        "dataActions": list(self.data_actions),
                        "notDataActions": list(self.not_data_actions),
                    }
                ],
            },
        }


_ALL = (
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
    Role(
        "4633458b-17de-408a-b874-0445c86b69e6",
        "Key Vault Secrets User",
        "Read the values of secrets.",
        (),
        (),
        [
            f"{_VAULT}/vaults/secrets/getSecret/action",
            f"{_VAULT}/vaults/secrets/readMetadata/action",
        ],
    ),
    Role(
        "f25e0fa2-a7c8-4377-a976-54943a77a395",
        "Key Vault Contributor",
        "Manage vaults, without access to what is in them.",
        [*_BASIC, f"{_VAULT}/*", "Microsoft.Support/*"],
        [
            f"{_VAULT}/locations/deletedVaults/purge/action",
            f"{_VAULT}/hsmPools/*",
            f"{_VAULT}/managedHsms/*",
        ],
    ),
    Role(
        "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
        "Storage Blob Data Contributor",
        "Read, write and delete blobs and their containers.",
        [
            f"{_BLOB}/containers/delete",
            f"{_BLOB}/containers/read",
            f"{_BLOB}/containers/write",
            f"{_BLOB}/generateUserDelegationKey/action",
        ],
        (),
        [
            f"{_BLOB}/containers/blobs/delete",
            f"{_BLOB}/containers/blobs/read",
            f"{_BLOB}/containers/blobs/write",
            f"{_BLOB}/containers/blobs/move/action",
            f"{_BLOB}/containers/blobs/add/action",
        ],
    ),
    Role(
        "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
        "Storage Blob Data Reader",
        "Read blobs and their containers.",
        [f"{_BLOB}/containers/read", f"{_BLOB}/generateUserDelegationKey/action"],
        (),
        [f"{_BLOB}/containers/blobs/read"],
    ),
    Role(
        "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
        "Storage Queue Data Contributor",
        "Read, write and delete queues of a storage account and their messages.",
        [f"{_QUEUE}/queues/delete", f"{_QUEUE}/queues/read", f"{_QUEUE}/queues/write"],
        (),
        [
            f"{_QUEUE}/queues/messages/delete",
            f"{_QUEUE}/queues/messages/read",
            f"{_QUEUE}/queues/messages/write",
            f"{_QUEUE}/queues/messages/process/action",
        ],
    ),
    Role(
        "00482a5a-887f-4fb3-b363-3b7fe8e74483",
        "Key Vault Administrator",
        "Full access to what is in a vault.",
        [*_VAULT_READ],
        (),
        [f"{_VAULT}/vaults/*"],
    ),
    Role(
        "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
        "Key Vault Secrets Officer",
        "Manage the secrets of a vault.",
        [*_VAULT_READ],
        (),
        [f"{_VAULT}/vaults/secrets/*"],
    ),
    Role(
        "14b46e9e-c2b7-41b4-b07b-48a6ebf60603",
        "Key Vault Crypto Officer",
        "Manage the keys of a vault.",
        [*_VAULT_READ],
        (),
        [f"{_VAULT}/vaults/keys/*", f"{_VAULT}/vaults/keyrotationpolicies/*"],
    ),
    Role(
        "12338af0-0e69-4776-bea7-57ae8d297424",
        "Key Vault Crypto User",
        "Use the keys of a vault.",
        [],
        (),
        [
            f"{_VAULT}/vaults/keys/read",
            f"{_VAULT}/vaults/keys/update/action",
            f"{_VAULT}/vaults/keys/backup/action",
            f"{_VAULT}/vaults/keys/encrypt/action",
            f"{_VAULT}/vaults/keys/decrypt/action",
            f"{_VAULT}/vaults/keys/wrap/action",
            f"{_VAULT}/vaults/keys/unwrap/action",
            f"{_VAULT}/vaults/keys/sign/action",
            f"{_VAULT}/vaults/keys/verify/action",
        ],
    ),
    Role(
        "21090545-7ca7-4776-b22c-e363652d74d2",
        "Key Vault Reader",
        "Read what a vault has, without the values of secrets.",
        [*_VAULT_READ],
        (),
        [f"{_VAULT}/vaults/*/read", f"{_VAULT}/vaults/secrets/readMetadata/action"],
    ),
    Role(
        "e147488a-f6f5-4113-8e2d-b22465e65bf6",
        "Key Vault Crypto Service Encryption User",
        "Read keys, wrap and unwrap with them.",
        [
            "Microsoft.EventGrid/eventSubscriptions/write",
            "Microsoft.EventGrid/eventSubscriptions/read",
            "Microsoft.EventGrid/eventSubscriptions/delete",
        ],
        (),
        [
            f"{_VAULT}/vaults/keys/read",
            f"{_VAULT}/vaults/keys/wrap/action",
            f"{_VAULT}/vaults/keys/unwrap/action",
        ],
    ),
    Role(
        "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
        "Storage Blob Data Owner",
        "Full access to blobs and their containers.",
        [f"{_BLOB}/containers/*", f"{_BLOB}/generateUserDelegationKey/action"],
        (),
        [f"{_BLOB}/containers/blobs/*"],
    ),
    Role(
        "19e7f393-937e-4f77-808e-94535e297925",
        "Storage Queue Data Reader",
        "Read queues of a storage account and their messages.",
        [f"{_QUEUE}/queues/read"],
        (),
        [f"{_QUEUE}/queues/messages/read"],
    ),
    Role(
        "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a",
        "Storage Queue Data Message Sender",
        "Add messages to queues of a storage account.",
        [],
        (),
        [f"{_QUEUE}/queues/messages/add/action"],
    ),
    Role(
        "8a0f0c08-91a1-4084-bc3d-661d67233fed",
        "Storage Queue Data Message Processor",
        "Peek, receive and delete messages of queues of a storage account.",
        [],
        (),
        [f"{_QUEUE}/queues/messages/read", f"{_QUEUE}/queues/messages/process/action"],
    ),
    Role(
        "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
        "Storage Table Data Contributor",
        "Read, write and delete tables of a storage account and their entities.",
        [f"{_TABLE}/tables/read", f"{_TABLE}/tables/write", f"{_TABLE}/tables/delete"],
        (),
        [
            f"{_TABLE}/tables/entities/read",
            f"{_TABLE}/tables/entities/write",
            f"{_TABLE}/tables/entities/delete",
            f"{_TABLE}/tables/entities/add/action",
            f"{_TABLE}/tables/entities/update/action",
        ],
    ),
    Role(
        "76199698-9eea-4c19-bc75-cec21354c6b6",
        "Storage Table Data Reader",
        "Read tables of a storage account and their entities.",
        [f"{_TABLE}/tables/read"],
        (),
        [f"{_TABLE}/tables/entities/read"],
    ),
    Role(
        "a638d3c7-ab3a-418d-83e6-5f17a39d4fde",
        "Azure Event Hubs Data Receiver",
        "Receive events.",
        [f"{_HUBS}/*/eventhubs/consumergroups/read"],
        (),
        [f"{_HUBS}/*/receive/action"],
    ),
    Role(
        "2b629674-e913-4c01-ae53-ef4638d8f975",
        "Azure Event Hubs Data Sender",
        "Send events.",
        [f"{_HUBS}/*/eventhubs/read"],
        (),
        [f"{_HUBS}/*/send/action"],
    ),
    Role(
        "17d1049b-9a84-46fb-8f53-869881c3d3ab",
        "Storage Account Contributor",
        "Manage storage accounts.",
        [
            "Microsoft.Authorization/*/read",
            "Microsoft.Insights/alertRules/*",
            "Microsoft.Insights/diagnosticSettings/*",
            "Microsoft.Network/virtualNetworks/subnets/joinViaServiceEndpoint/action",
            "Microsoft.ResourceHealth/availabilityStatuses/read",
            "Microsoft.Resources/deployments/*",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
            "Microsoft.Storage/storageAccounts/*",
            "Microsoft.Support/*",
        ],
    ),
)

BUILT_IN: dict[str, Role] = {role.guid: role for role in _ALL}
"""Built-in roles by their guid."""
