"""Built-in roles over key vaults, storage accounts and event hubs."""

from __future__ import annotations

from orchestrator.localcloud.providers.role import Role

_HUBS = "Microsoft.EventHub"
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

DATA = (
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
