"""Databases, caches, search and configuration stores.

Host names and the answers of the key actions are those of the services' REST reference
(learn.microsoft.com/rest/api/{cosmos-db-resource-provider,sql,postgresql,redis,searchmanagement,…}).
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.localcloud.arm.provider import JSON, Answer
from orchestrator.localcloud.providers.published.seen import (
    Published,
    Regeneration,
    Seen,
    Table,
    either,
    two_keys,
)

_COSMOS_KEYS = {
    "primaryMasterKey": "Primary",
    "secondaryMasterKey": "Secondary",
    "primaryReadonlyMasterKey": "Primary Read-Only",
    "secondaryReadonlyMasterKey": "Secondary Read-Only",
}


def _cosmos(seen: Seen) -> JSON:
    host = f"https://{seen.host}"
    wanted = seen.prop("locations")
    places = [
        {
            "id": f"{seen.host}-{str(place.get('locationName', '')).lower().replace(' ', '')}",
            "provisioningState": "Succeeded",
            "documentEndpoint": f"{host}.documents.azure.com:443/",
            "isZoneRedundant": False,
            **place,
        }
        for place in (wanted if isinstance(wanted, list) else ())
        if isinstance(place, dict)
    ]
    found: JSON = {
        "documentEndpoint": f"{host}.documents.azure.com:443/",
        "instanceId": seen.guid("instance"),
        "writeLocations": places[:1],
        "readLocations": places,
        "locations": places,
    }
    if seen.kind == "mongodb":
        found["mongoEndpoint"] = f"{host}.mongo.cosmos.azure.com:443/"
    return found


def _cosmos_keys(seen: Seen) -> Answer:
    return {name: seen.base64(name, 64) for name in _COSMOS_KEYS}


def _cosmos_strings(seen: Seen) -> Answer:
    mongo, host = seen.kind == "mongodb", seen.host
    found = []
    for name, title in _COSMOS_KEYS.items():
        key = seen.base64(name, 64)
        text = f"AccountEndpoint=https://{host}.documents.azure.com:443/;AccountKey={key};"
        if mongo:
            text = (
                f"mongodb://{host}:{key}@{host}.mongo.cosmos.azure.com:10255/?ssl=true"
                f"&replicaSet=globaldb&retrywrites=false&maxIdleTimeMS=120000&appName=@{host}@"
            )
        api = "MongoDB" if mongo else "SQL"
        found.append(
            {
                "connectionString": text,
                "description": f"{title} {api} Connection String",
                "keyKind": name.removesuffix("MasterKey").capitalize(),
                "type": "MongoDB" if mongo else "Sql",
            }
        )
    return {"connectionStrings": found}


def _mongo_string(seen: Seen) -> str:
    return (
        f"mongodb+srv://<user>:<password>@{seen.host}.mongocluster.cosmos.azure.com/"
        "?tls=true&authMechanism=SCRAM-SHA-256&retrywrites=false&maxIdleTimeMS=120000"
    )


def _mongo(seen: Seen) -> JSON:
    return {
        "connectionString": _mongo_string(seen),
        "clusterStatus": "Ready",
        "serverVersion": seen.prop("serverVersion") or "8.0",
    }


def _mongo_strings(seen: Seen) -> Answer:
    return {
        "connectionStrings": [
            {"name": "default", "connectionString": _mongo_string(seen), "description": "default"}
        ]
    }


def _server(suffix: str) -> Published:
    def facts(seen: Seen) -> JSON:
        return {"fullyQualifiedDomainName": f"{seen.host}.{suffix}", "state": "Ready"}

    return Published(facts, hidden=("administratorLoginPassword",))


def _database(seen: Seen) -> JSON:
    return {"status": "Online", "databaseId": seen.guid("database")}


def _redis(seen: Seen) -> JSON:
    return {"hostName": f"{seen.host}.redis.cache.windows.net", "port": 6379, "sslPort": 6380}


def _redis_enterprise(seen: Seen) -> JSON:
    # Azure Managed Redis has a domain of its own; the Enterprise tiers have the older one.
    sku = seen.resource.get("sku")
    name = str(sku.get("name", "")) if isinstance(sku, dict) else ""
    older = name.lower().startswith("enterprise")
    domain = "redisenterprise.cache.azure.net" if older else "redis.azure.net"
    return {"hostName": f"{seen.host}.{seen.location}.{domain}", "resourceState": "Running"}


def _search(seen: Seen) -> JSON:
    return {
        "endpoint": f"https://{seen.host}.search.windows.net",
        "status": "running",
        "statusDetails": "",
    }


def _query_keys(seen: Seen) -> Answer:
    return {"value": [{"name": None, "key": seen.base64("query", 39)}], "nextLink": None}


def _configuration(seen: Seen) -> JSON:
    return {"endpoint": f"https://{seen.host}.azconfig.io"}


def _configuration_keys(seen: Seen) -> Answer:
    return {"value": [_configuration_key(seen, name) for name in _CONFIGURATION_KEYS]}


def _configuration_key(seen: Seen, name: str) -> JSON:
    id, value = seen.base64(f"{name} id", 6), seen.base64(name)
    return {
        "id": id,
        "name": name,
        "value": value,
        "connectionString": f"Endpoint=https://{seen.host}.azconfig.io;Id={id};Secret={value}",
        "readOnly": name.endswith("Only"),
    }


def _synapse(seen: Seen) -> JSON:
    return {
        "workspaceUID": seen.guid("workspace"),
        "connectivityEndpoints": {
            "web": f"https://web.azuresynapse.net?workspace={seen.id.text}",
            "dev": f"https://{seen.host}.dev.azuresynapse.net",
            "sqlOnDemand": f"{seen.host}-ondemand.sql.azuresynapse.net",
            "sql": f"{seen.host}.sql.azuresynapse.net",
        },
    }


def _kusto(seen: Seen) -> JSON:
    at = f"{seen.host}.{seen.location}.kusto.windows.net"
    return {"uri": f"https://{at}", "dataIngestionUri": f"https://ingest-{at}", "state": "Running"}


def _databricks(seen: Seen) -> JSON:
    number = str(int(seen.hex("workspace", 12), 16)).zfill(16)[:16]
    shard = int(number) % 20
    storage = seen.prop("parameters", "storageAccountName", "value")
    return {
        "workspaceId": number,
        "workspaceUrl": f"adb-{number}.{shard}.azuredatabricks.net",
        # Of its managed resource group, where nobody has said how it is called.
        "parameters": {
            "storageAccountName": {
                "type": "String",
                "value": storage or f"dbstorage{seen.hex('storage', 13)}",
            }
        },
    }


def _san_volume(seen: Seen) -> JSON:
    """A volume of an Elastic SAN, as hosts find it by iSCSI."""
    target = f"es-{seen.above.hex('elastic san', 12)}"
    return {
        "volumeId": seen.guid("volume"),
        "storageTarget": {
            "targetIqn": (f"iqn.2022-09.net.windows.core.blob.ElasticSan.{target}:{seen.name}"),
            "targetPortalHostname": f"{target}.z1.blob.storage.azure.net",
            "targetPortalPort": 3260,
            "provisioningState": "Succeeded",
            "status": "Running",
        },
    }


def _purview(seen: Seen) -> JSON:
    at, host = f"https://{seen.host}.purview.azure.com", seen.host
    group = f"/subscriptions/{seen.id.subscription}/resourceGroups/managed-rg-{host}"
    return {
        "friendlyName": seen.name,
        "endpoints": {
            "catalog": f"{at}/catalog",
            "guardian": f"{at}/guardian",
            "scan": f"{at}/scan",
        },
        "managedResources": {
            "resourceGroup": group,
            "storageAccount": f"{group}/providers/Microsoft.Storage/storageAccounts/"
            f"scan{seen.hex('storage', 12)}",
            "eventHubNamespace": f"{group}/providers/Microsoft.EventHub/namespaces/"
            f"Atlas-{seen.guid('hub')}",
        },
    }


_REDIS_KEYS = two_keys("primaryKey", "secondaryKey")
_REDIS_AGAIN = {
    "regenerateKey": Regeneration(either("primary", "secondary"), _REDIS_KEYS, "keyType")
}
_SEARCH_KEYS = two_keys("primaryKey", "secondaryKey", 39)
_CONFIGURATION_KEYS = ("Primary", "Secondary", "Primary Read Only", "Secondary Read Only")


def _cosmos_kinds(seen: Seen) -> Mapping[str, str]:
    return {name.replace("Master", "").removesuffix("Key").lower(): name for name in _COSMOS_KEYS}


def _configuration_ids(seen: Seen) -> Mapping[str, str]:
    return {seen.base64(f"{name} id", 6).lower(): name for name in _CONFIGURATION_KEYS}


_POSTGRES, _MYSQL = "postgres.database.azure.com", "mysql.database.azure.com"

TABLE: Table = {
    "Microsoft.DocumentDB/databaseAccounts": Published(
        _cosmos,
        actions={
            "listKeys": _cosmos_keys,
            "listConnectionStrings": _cosmos_strings,
            "readonlykeys": lambda seen: {
                name: seen.base64(name, 64) for name in _COSMOS_KEYS if "Readonly" in name
            },
        },
        regenerations={"regenerateKey": Regeneration(_cosmos_kinds, None, "keyKind")},
    ),
    "Microsoft.DocumentDB/mongoClusters": Published(
        _mongo,
        actions={"listConnectionStrings": _mongo_strings},
        hidden=("administrator.password", "administratorLoginPassword"),
    ),
    "Microsoft.Sql/servers": _server("database.windows.net"),
    "Microsoft.Sql/servers/databases": Published(_database),
    "Microsoft.Sql/managedInstances": Published(
        lambda seen: {
            "fullyQualifiedDomainName": f"{seen.host}.{seen.hex('zone', 12)}.database.windows.net",
            "dnsZone": seen.hex("zone", 12),
            "state": "Ready",
        },
        hidden=("administratorLoginPassword",),
    ),
    "Microsoft.DBforPostgreSQL/flexibleServers": _server(_POSTGRES),
    "Microsoft.DBforPostgreSQL/servers": _server(_POSTGRES),
    "Microsoft.DBforMySQL/flexibleServers": _server(_MYSQL),
    "Microsoft.DBforMySQL/servers": _server(_MYSQL),
    "Microsoft.DBforMariaDB/servers": _server("mariadb.database.azure.com"),
    "Microsoft.Cache/redis": Published(
        _redis,
        defaults={"redisVersion": "6.0", "enableNonSslPort": False},
        actions={"listKeys": _REDIS_KEYS},
        regenerations=_REDIS_AGAIN,
    ),
    "Microsoft.Cache/redisEnterprise": Published(_redis_enterprise),
    "Microsoft.Cache/redisEnterprise/databases": Published(
        lambda seen: {"resourceState": "Running"},
        defaults={"port": 10000},
        actions={"listKeys": _REDIS_KEYS},
        regenerations=_REDIS_AGAIN,
    ),
    "Microsoft.Search/searchServices": Published(
        _search,
        defaults={
            "replicaCount": 1,
            "partitionCount": 1,
            "hostingMode": "default",
            "publicNetworkAccess": "enabled",
        },
        actions={"listAdminKeys": _SEARCH_KEYS, "listQueryKeys": _query_keys},
        regenerations={
            "regenerateAdminKey/{}": Regeneration(either("primary", "secondary"), _SEARCH_KEYS, "")
        },
    ),
    "Microsoft.AppConfiguration/configurationStores": Published(
        _configuration,
        actions={"listKeys": _configuration_keys},
        regenerations={
            "regenerateKey": Regeneration(_configuration_ids, None, "id", one=_configuration_key)
        },
    ),
    "Microsoft.Synapse/workspaces": Published(_synapse, hidden=("sqlAdministratorLoginPassword",)),
    "Microsoft.Kusto/clusters": Published(_kusto),
    "Microsoft.Databricks/workspaces": Published(_databricks),
    "Microsoft.ElasticSan/elasticSans/volumegroups/volumes": Published(_san_volume),
    "Microsoft.Purview/accounts": Published(_purview),
}
