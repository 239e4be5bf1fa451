"""Event Hubs, Event Grid, IoT hubs, notifications: addresses, and keys with their strings.

Host names and the answers of the key actions are those of the services' REST reference
(learn.microsoft.com/rest/api/{eventhub,eventgrid,iothub,communication,…}).
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

_ROOT = "RootManageSharedAccessKey"


def _namespace(seen: Seen) -> JSON:
    return {
        "serviceBusEndpoint": f"https://{seen.host}.servicebus.windows.net:443/",
        "metricId": f"{seen.id.subscription}:{seen.host}",
        "status": "Active",
    }


def _hub(seen: Seen) -> JSON:
    count = seen.prop("partitionCount")
    whole = count if isinstance(count, int) else 4
    return {"partitionIds": [str(number) for number in range(whole)], "status": "Active"}


def _rule_keys(seen: Seen) -> Answer:
    """Keys of an authorization rule; below an entity the strings name that."""
    entity = f";EntityPath={seen.id.names[1]}" if len(seen.id.names) > 2 else ""
    found: JSON = {"keyName": seen.name}
    for which in ("primary", "secondary"):
        key = seen.base64(f"{seen.id.text.lower()}/{which}")
        found[f"{which}Key"] = key
        found[f"{which}ConnectionString"] = (
            f"Endpoint=sb://{seen.host}.servicebus.windows.net/;SharedAccessKeyName={seen.name};"
            f"SharedAccessKey={key}{entity}"
        )
    return found


def _topic(seen: Seen) -> JSON:
    at = f"{seen.host}.{seen.location}-1.eventgrid.azure.net"
    return {"endpoint": f"https://{at}/api/events", "metricResourceId": seen.guid("metrics")}


def _grid_namespace(seen: Seen) -> JSON:
    at = f"{seen.host}.{seen.location}-1"
    found: JSON = {"topicsConfiguration": {"hostname": f"{at}.eventgrid.azure.net"}}
    if str(seen.prop("topicSpacesConfiguration", "state")).lower() == "enabled":
        found["topicSpacesConfiguration"] = {"hostname": f"{at}.ts.eventgrid.azure.net"}
    return found


def _iot_hub(seen: Seen) -> JSON:
    return {
        "hostName": f"{seen.host}.azure-devices.net",
        "state": "Active",
        "eventHubEndpoints": {
            "events": {
                "retentionTimeInDays": 1,
                "partitionCount": 4,
                "partitionIds": ["0", "1", "2", "3"],
                "path": seen.host,
                "endpoint": f"sb://iothub-ns-{seen.host}.servicebus.windows.net/",
            }
        },
    }


_TWINS_REGIONS = {
    "australiaeast": "eau",
    "eastus": "eus",
    "eastus2": "eus2",
    "japaneast": "jpe",
    "northeurope": "neu",
    "southcentralus": "scus",
    "southeastasia": "sea",
    "uksouth": "uks",
    "westcentralus": "wcus",
    "westeurope": "weu",
    "westus2": "wus2",
    "westus3": "wus3",
}
"""What regions are called in the host names of Azure Digital Twins."""


def _twins(seen: Seen) -> JSON:
    region = _TWINS_REGIONS.get(seen.location, seen.location)
    return {"hostName": f"{seen.host}.api.{region}.digitaltwins.azure.net"}


_IOT_RULES = {
    "iothubowner": "RegistryWrite, ServiceConnect, DeviceConnect",
    "service": "ServiceConnect",
    "device": "DeviceConnect",
    "registryRead": "RegistryRead",
    "registryReadWrite": "RegistryWrite",
}


def _iot_key(seen: Seen, name: str) -> JSON:
    return {
        "keyName": name,
        "primaryKey": seen.base64(f"{name}/1"),
        "secondaryKey": seen.base64(f"{name}/2"),
        "rights": _IOT_RULES.get(name, "RegistryRead"),
    }


def _iot_keys(seen: Seen) -> Answer:
    return {"value": [_iot_key(seen, name) for name in _IOT_RULES]}


def _iot_rule(seen: Seen) -> Answer:
    name = next((name for name in _IOT_RULES if name.lower() == seen.name.lower()), seen.name)
    return _iot_key(seen.above, name)


def _provisioning(seen: Seen) -> JSON:
    return {
        "state": "Active",
        "serviceOperationsHostName": f"{seen.host}.azure-devices-provisioning.net",
        "deviceProvisioningHostName": "global.azure-devices-provisioning.net",
        "idScope": f"0ne{seen.hex('scope', 8).upper()}",
    }


def _communication(seen: Seen) -> JSON:
    return {
        "hostName": f"{seen.host}.communication.azure.com",
        "immutableResourceId": seen.guid("resource"),
    }


def _communication_keys(seen: Seen) -> Answer:
    found: JSON = {}
    for which in ("primary", "secondary"):
        key = seen.base64(which, 64)
        at = f"endpoint=https://{seen.host}.communication.azure.com/"
        found |= {f"{which}Key": key, f"{which}ConnectionString": f"{at};accesskey={key}"}
    return found


def _mail_domain(seen: Seen) -> JSON:
    domain = seen.name
    if domain.lower() == "azuremanageddomain":
        domain = f"{seen.guid('domain')}.azurecomm.net"
    found: JSON = {"fromSenderDomain": domain, "mailFromSenderDomain": domain}
    own = str(seen.prop("domainManagement") or "").lower() == "customermanaged"
    records = _mail_records(seen, domain) if own else {}
    if own:
        states = {name: {"status": "NotStarted", "errorCode": ""} for name in records}
        found["verificationStates"] = states
    return {**found, "dataLocation": "Europe", "verificationRecords": records}


def _mail_records(seen: Seen, domain: str) -> JSON:
    """What DNS must say before mail is sent from a domain ("Add custom verified domains")."""

    def record(kind: str, name: str, value: str) -> JSON:
        return {"type": kind, "name": name, "value": value, "ttl": 3600}

    selectors = {
        label: f"selector{number}-azurecomm-prod-net._domainkey"
        for number, label in enumerate(("DKIM", "DKIM2"), 1)
    }
    verified = f"ms-domain-verification={seen.guid('verification')}"
    return {
        "Domain": record("TXT", domain, verified),
        "SPF": record("TXT", domain, "v=spf1 include:spf.protection.outlook.com -all"),
        **{
            label: record("CNAME", selector, f"{selector}.azurecomm.net")
            for label, selector in selectors.items()
        },
    }


def _rule_labels(seen: Seen) -> Mapping[str, str]:
    of = seen.id.text.lower()
    return {f"{which}key": f"{of}/{which}" for which in ("primary", "secondary")}


_RULE_AGAIN = {"regenerateKeys": Regeneration(_rule_labels, _rule_keys, "keyType")}
_RULES = Published(actions={"listKeys": _rule_keys}, regenerations=_RULE_AGAIN, standing=(_ROOT,))
_ENTITY_RULES = Published(actions={"listKeys": _rule_keys}, regenerations=_RULE_AGAIN)
_GRID_KEYS = two_keys("key1", "key2")
_GRID_AGAIN = {"regenerateKey": Regeneration(either("key1", "key2"), _GRID_KEYS)}
_BOTH = ("primary", "secondary")
_TOPIC = Published(
    _topic,
    defaults={"inputSchema": "EventGridSchema", "publicNetworkAccess": "Enabled"},
    actions={"listKeys": _GRID_KEYS},
    regenerations=_GRID_AGAIN,
)

TABLE: Table = {
    "Microsoft.EventHub/namespaces": Published(_namespace),
    "Microsoft.EventHub/namespaces/authorizationRules": _RULES,
    "Microsoft.EventHub/namespaces/eventhubs": Published(
        _hub, defaults={"partitionCount": 4, "messageRetentionInDays": 7}
    ),
    "Microsoft.EventHub/namespaces/eventhubs/authorizationRules": _ENTITY_RULES,
    "Microsoft.Relay/namespaces": Published(_namespace),
    "Microsoft.Relay/namespaces/authorizationRules": _RULES,
    "Microsoft.Relay/namespaces/hybridConnections/authorizationRules": _ENTITY_RULES,
    "Microsoft.NotificationHubs/namespaces": Published(_namespace),
    "Microsoft.NotificationHubs/namespaces/authorizationRules": _RULES,
    "Microsoft.NotificationHubs/namespaces/notificationHubs/authorizationRules": _ENTITY_RULES,
    "Microsoft.EventGrid/topics": _TOPIC,
    "Microsoft.EventGrid/domains": _TOPIC,
    "Microsoft.EventGrid/systemTopics": Published(
        lambda seen: {"metricResourceId": seen.guid("metrics")}
    ),
    "Microsoft.EventGrid/namespaces": Published(
        _grid_namespace, actions={"listKeys": _GRID_KEYS}, regenerations=_GRID_AGAIN
    ),
    "Microsoft.Devices/IotHubs": Published(_iot_hub, actions={"listKeys": _iot_keys}),
    "Microsoft.Devices/IotHubs/IotHubKeys": Published(
        actions={"listKeys": _iot_rule}, standing=tuple(_IOT_RULES)
    ),
    "Microsoft.DigitalTwins/digitalTwinsInstances": Published(_twins),
    "Microsoft.Devices/provisioningServices": Published(_provisioning),
    "Microsoft.Communication/communicationServices": Published(
        _communication,
        actions={"listKeys": _communication_keys},
        regenerations={
            "regenerateKey": Regeneration(either(*_BOTH, *_BOTH), _communication_keys, "keyType")
        },
    ),
    "Microsoft.Communication/emailServices/domains": Published(_mail_domain),
}
