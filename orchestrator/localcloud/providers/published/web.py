"""Web apps, static sites, content delivery, API Management, SignalR, Application Insights.

Host names and the answers of the key actions are those of the services' REST reference
(learn.microsoft.com/rest/api/{appservice,apimanagement,signalr,application-insights,…}).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from orchestrator.localcloud.arm.provider import JSON, Answer
from orchestrator.localcloud.providers.published.seen import (
    Published,
    Regeneration,
    Seen,
    Table,
    either,
)

_STAGES = ("z01", "z02", "z03")


def _site(seen: Seen) -> JSON:
    # A slot's host is `{site}-{slot}`.
    label = "-".join(name.lower() for name in seen.id.names)
    host = f"{label}.azurewebsites.net"
    return {
        "defaultHostName": host,
        "hostNames": [host],
        "enabledHostNames": [host, f"{label}.scm.azurewebsites.net"],
        "repositorySiteName": label,
        "state": "Running",
        "usageState": "Normal",
        "availabilityState": "Normal",
        "customDomainVerificationId": seen.hex("domain", 64).upper(),
        "outboundIpAddresses": "20.0.0.1,20.0.0.2",
        "possibleOutboundIpAddresses": "20.0.0.1,20.0.0.2,20.0.0.3",
        "inboundIpAddress": "20.0.0.4",
    }


def _settings(seen: Seen) -> JSON:
    """`sites/config/{part}/list`: the settings, those of the site's body among them."""
    found: dict[str, Any] = dict(seen.resource.get("properties") or {})
    found.pop("provisioningState", None)
    config = (seen.top.get("properties") or {}).get("siteConfig")
    listed = config.get("appSettings") if isinstance(config, dict) else None
    part = seen.name.lower()
    if part == "appsettings" and isinstance(listed, list):
        pairs = [item for item in listed if isinstance(item, dict) and "name" in item]
        found = {str(item["name"]): item.get("value") for item in pairs} | found
    if part == "publishingcredentials":
        user, password = f"${seen.id.names[0]}", seen.hex("publishing", 60)
        found = {
            "publishingUserName": user,
            "publishingPassword": password,
            "scmUri": f"https://{user}:{password}@{seen.host}.scm.azurewebsites.net",
        }
    return {
        "id": seen.id.text,
        "name": seen.name,
        "type": seen.id.type,
        "location": seen.top.get("location"),
        "properties": found,
    }


def _host_keys(seen: Seen) -> Answer:
    return {
        "masterKey": seen.base64("master", 40),
        "functionKeys": {"default": seen.base64("default", 40)},
        "systemKeys": {},
    }


def _certificate(seen: Seen) -> JSON:
    subject = seen.prop("canonicalName") or seen.name
    return {
        "thumbprint": seen.hex("thumbprint", 40).upper(),
        "subjectName": subject,
        "hostNames": [subject],
        "issueDate": "2020-01-01T00:00:00Z",
        "expirationDate": "2099-01-01T00:00:00Z",
    }


def _static_site(seen: Seen) -> JSON:
    label = f"{seen.hex('word', 8)}-{seen.hex('site', 9)}"
    return {
        "defaultHostname": f"{label}.{1 + len(seen.host) % 5}.azurestaticapps.net",
        "contentDistributionEndpoint": f"https://content-{seen.location}.infrastructure."
        "azurestaticapps.net",
        "keyVaultReferenceIdentity": "SystemAssigned",
    }


def _component(seen: Seen) -> JSON:
    key, app, place = seen.guid("instrumentation"), seen.guid("app"), seen.location
    return {
        "ApplicationId": seen.name,
        "AppId": app,
        "Name": seen.name,
        "InstrumentationKey": key,
        "ConnectionString": f"InstrumentationKey={key};"
        f"IngestionEndpoint=https://{place}-0.in.applicationinsights.azure.com/;"
        f"LiveEndpoint=https://{place}.livediagnostics.monitor.azure.com/;ApplicationId={app}",
        "IngestionMode": "LogAnalytics"
        if seen.prop("WorkspaceResourceId")
        else "ApplicationInsights",
    }


def _collection_rule(seen: Seen) -> JSON:
    return {"immutableId": f"dcr-{seen.hex('rule')}"}


def _collection_endpoint(seen: Seen) -> JSON:
    at = f"{seen.host}-{seen.hex('host', 4)}.{seen.location}-1"
    return {
        "immutableId": f"dce-{seen.hex('endpoint')}",
        "configurationAccess": {"endpoint": f"https://{at}.handler.control.monitor.azure.com"},
        "logsIngestion": {"endpoint": f"https://{at}.ingest.monitor.azure.com"},
        "metricsIngestion": {"endpoint": f"https://{at}.metrics.ingest.monitor.azure.com"},
    }


def _gateway(seen: Seen) -> JSON:
    host = seen.host
    # Its own name stays beside those that are given.
    names = [
        item
        for item in seen.prop("hostnameConfigurations") or ()
        if not isinstance(item, dict) or item.get("certificateSource") != "BuiltIn"
    ]
    own = {
        "type": "Proxy",
        "hostName": f"{host}.azure-api.net",
        "negotiateClientCertificate": False,
        "defaultSslBinding": not any(
            isinstance(item, dict) and item.get("defaultSslBinding") is True for item in names
        ),
        "certificateSource": "BuiltIn",
    }
    return {
        "hostnameConfigurations": [own, *names],
        "gatewayUrl": f"https://{host}.azure-api.net",
        "gatewayRegionalUrl": f"https://{host}-{seen.location}-01.regional.azure-api.net",
        "portalUrl": f"https://{host}.portal.azure-api.net",
        "developerPortalUrl": f"https://{host}.developer.azure-api.net",
        "managementApiUrl": f"https://{host}.management.azure-api.net",
        "scmUrl": f"https://{host}.scm.azure-api.net",
        "publicIPAddresses": ["20.0.0.5"],
        "targetProvisioningState": "",
    }


def _hosting(seen: Seen) -> JSON:
    """An App Service Environment: its domain, and the address that its apps have in its subnet."""
    address = seen.address_in(seen.prop("virtualNetwork", "id"))
    given = str(seen.prop("internalLoadBalancingMode") or "None").lower()
    return {
        "dnsSuffix": f"{seen.host}.appserviceenvironment.net",
        "networkingConfiguration": {
            "internalInboundIpAddresses": [address] if address and given != "none" else [],
        },
    }


def _authorization_server(seen: Seen) -> Answer:
    names = ("clientSecret", "resourceOwnerUsername", "resourceOwnerPassword")
    return {name: value for name in names if (value := seen.prop(name)) is not None}


def _named_value(seen: Seen) -> Answer:
    return {"value": seen.prop("value")}


def _subscription_keys(seen: Seen) -> Answer:
    found: JSON = {}
    for name, label in (("primaryKey", "key1"), ("secondaryKey", "key2")):
        given = None if seen.turns.get(seen.source(label)) else seen.prop(name)
        found[name] = given or seen.hex(label)
    return found


def _front_door(seen: Seen) -> JSON:
    return {"frontDoorId": seen.guid("door"), "resourceState": "Active"}


def _front_door_endpoint(seen: Seen) -> JSON:
    stage = _STAGES[len(seen.name) % len(_STAGES)]
    return {"hostName": f"{seen.name.lower()}-{seen.hex('host', 16)}.{stage}.azurefd.net"}


def _cdn_endpoint(seen: Seen) -> JSON:
    return {"hostName": f"{seen.name.lower()}.azureedge.net", "resourceState": "Running"}


def _custom_domain(seen: Seen) -> JSON:
    return {
        "domainValidationState": "Pending",
        "validationProperties": {
            "validationToken": seen.hex("token"),
            "expirationDate": "2099-01-01T00:00:00Z",
        },
    }


def _real_time(suffix: str) -> Published:
    def facts(seen: Seen) -> JSON:
        host = f"{seen.host}.{suffix}"
        ports: Mapping[str, Any] = {"publicPort": 443, "serverPort": 443}
        return {"hostName": host, "externalIP": "20.0.0.6", "version": "1.0", **ports}

    def keys(seen: Seen) -> Answer:
        found: JSON = {}
        for which in ("primary", "secondary"):
            key = seen.base64(which)
            found[f"{which}Key"] = key
            found[f"{which}ConnectionString"] = (
                f"Endpoint=https://{seen.host}.{suffix};AccessKey={key};Version=1.0;"
            )
        return found

    both = ("primary", "secondary")
    again = {"regenerateKey": Regeneration(either(*both, *both), keys, "keyType")}
    return Published(facts, actions={"listKeys": keys}, regenerations=again)


_SITE_PARTS = (
    *("appsettings", "connectionstrings", "authsettings", "authsettingsv2", "azurestorageaccounts"),
    *("backup", "logs", "metadata", "publishingcredentials", "slotconfignames", "web"),
)
_SITE = Published(_site, defaults={"enabled": True, "httpsOnly": False})
_CONFIG = Published(actions={"list": _settings}, standing=_SITE_PARTS)
_HOST = Published(actions={"listKeys": _host_keys}, standing=("default",))


def _function_secrets(seen: Seen) -> Answer:
    key = seen.base64("default", 40)
    url = f"https://{seen.host}.azurewebsites.net/api/{seen.name}?code={quote(key, safe='')}"
    return {"key": key, "trigger_url": url}


_FUNCTION = Published(
    actions={
        "listKeys": lambda seen: {"default": seen.base64("default", 40)},
        "listSecrets": _function_secrets,
    },
    standing=None,
)

TABLE: Table = {
    "Microsoft.Web/sites": _SITE,
    "Microsoft.Web/sites/slots": _SITE,
    "Microsoft.Web/sites/config": _CONFIG,
    "Microsoft.Web/sites/slots/config": _CONFIG,
    "Microsoft.Web/sites/host": _HOST,
    "Microsoft.Web/sites/slots/host": _HOST,
    "Microsoft.Web/sites/functions": _FUNCTION,
    "Microsoft.Web/certificates": Published(_certificate),
    "Microsoft.Web/serverfarms": Published(
        lambda seen: {"status": "Ready", "serverFarmId": 0, "geoRegion": seen.location}
    ),
    "Microsoft.Web/hostingEnvironments": Published(_hosting),
    "Microsoft.Web/staticSites": Published(
        _static_site,
        actions={"listSecrets": lambda seen: {"properties": {"apiKey": seen.hex("api", 80)}}},
        regenerations={"resetapikey": Regeneration(lambda seen: {"": "api"}, None, "")},
    ),
    "Microsoft.Insights/components": Published(
        _component,
        defaults={
            "Flow_Type": "Bluefield",
            "Request_Source": "rest",
            "RetentionInDays": 90,
            "publicNetworkAccessForIngestion": "Enabled",
            "publicNetworkAccessForQuery": "Enabled",
        },
    ),
    "Microsoft.Insights/dataCollectionRules": Published(_collection_rule),
    "Microsoft.Insights/dataCollectionEndpoints": Published(_collection_endpoint),
    "Microsoft.ApiManagement/service": Published(_gateway),
    "Microsoft.ApiManagement/service/authorizationServers": Published(
        hidden=("clientSecret", "resourceOwnerUsername", "resourceOwnerPassword"),
        actions={"listSecrets": _authorization_server},
    ),
    "Microsoft.ApiManagement/service/namedValues": Published(actions={"listValue": _named_value}),
    "Microsoft.ApiManagement/service/subscriptions": Published(
        actions={"listSecrets": _subscription_keys},
        regenerations={
            "regeneratePrimaryKey": Regeneration(lambda seen: {"": "key1"}, None, "", 204),
            "regenerateSecondaryKey": Regeneration(lambda seen: {"": "key2"}, None, "", 204),
        },
        standing=("master",),
    ),
    "Microsoft.Cdn/profiles": Published(_front_door),
    "Microsoft.Cdn/profiles/endpoints": Published(_cdn_endpoint),
    "Microsoft.Cdn/profiles/afdEndpoints": Published(_front_door_endpoint),
    "Microsoft.Cdn/profiles/customDomains": Published(_custom_domain),
    "Microsoft.SignalRService/signalR": _real_time("service.signalr.net"),
    "Microsoft.SignalRService/webPubSub": _real_time("webpubsub.azure.com"),
}
