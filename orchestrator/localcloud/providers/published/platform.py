"""AI services, Kubernetes, containers, machine learning, monitoring, clusters.

Host names and the answers of the key actions are those of the services' REST reference
(learn.microsoft.com/rest/api/{cognitiveservices,aks,container-instances,azureml,…}).
"""

from __future__ import annotations

import base64

from orchestrator.localcloud.arm.ids import ResourceId
from orchestrator.localcloud.arm.provider import JSON, Answer
from orchestrator.localcloud.providers.published.seen import (
    Published,
    Regeneration,
    Seen,
    Table,
    either,
    two_hex_keys,
    two_keys,
)

_OPENAI = (
    *("OpenAI Language Model Instance API", "OpenAI Dall-E API", "OpenAI Moderations API"),
    *("OpenAI Whisper API", "OpenAI Model Scaleset API", "OpenAI Realtime API"),
)
_FOUNDRY = ("AI Foundry API", "Azure AI Model Inference API")
_GENERAL = (
    *("Token", "Content Safety", "Computer Vision", "Face", "FormRecognizer", "Language"),
    *("Text Translation", "Document Translation", "Speech Services Speech to Text"),
    *("Speech Services Text to Speech (Neural)", "Content Understanding"),
)


def _ai(seen: Seen) -> JSON:
    """An account has a domain of its own when it has a sub-domain, otherwise its region's.

    "Custom subdomain names for Azure AI services", and the endpoints of AI Foundry resources.
    """
    own = str(seen.prop("customSubDomainName") or "").lower()
    regional = f"https://{seen.location}.api.cognitive.microsoft.com/"
    general = f"https://{own}.cognitiveservices.azure.com/" if own else regional
    openai = f"https://{own}.openai.azure.com/" if own else regional
    endpoints: JSON = {}
    if seen.kind in ("openai", "aiservices"):
        endpoints |= dict.fromkeys(_OPENAI, openai)
    if seen.kind == "aiservices":
        endpoints |= dict.fromkeys(_FOUNDRY, f"https://{own or seen.host}.services.ai.azure.com/")
    if seen.kind != "openai":
        endpoints |= dict.fromkeys(_GENERAL, general)
    return {
        "endpoint": openai if seen.kind == "openai" else general,
        "endpoints": endpoints,
        "internalId": seen.hex("account"),
        "isMigrated": False,
    }


def _project(seen: Seen) -> JSON:
    of = seen.top.get("properties") or {}
    account = str(of.get("customSubDomainName") or seen.host).lower()
    at = f"https://{account}.services.ai.azure.com/api/projects/{seen.name}"
    return {"endpoints": {"AI Foundry API": at}, "isDefault": False, "internalId": seen.hex("id")}


def _identity(id: ResourceId, name: str, seen: Seen, group: str) -> JSON:
    of = f"/subscriptions/{id.subscription}/resourcegroups/{group}/providers"
    return {
        "resourceId": f"{of}/Microsoft.ManagedIdentity/userAssignedIdentities/{name}",
        "clientId": seen.guid(f"{name} client"),
        "objectId": seen.guid(f"{name} object"),
    }


def _cluster(seen: Seen) -> JSON:
    group = seen.prop("nodeResourceGroup") or f"MC_{seen.id.group}_{seen.name}_{seen.location}"
    prefix = str(seen.prop("dnsPrefix") or seen.prop("fqdnSubdomain") or seen.name).lower()
    at = f"{prefix}-{seen.hex('api', 8)}"
    private = seen.prop("apiServerAccessProfile", "enablePrivateCluster") is True
    domain = f"hcp.{seen.location}.azmk8s.io"
    found: JSON = {
        "powerState": {"code": "Running"},
        "fqdn": f"{at}.{domain}",
        "azurePortalFQDN": f"{at}.portal.{domain}",
        "currentKubernetesVersion": seen.prop("kubernetesVersion") or "1.33.5",
        "nodeResourceGroup": group,
        "maxAgentPools": 100,
        "resourceUID": seen.hex("cluster", 24),
        "identityProfile": {
            "kubeletidentity": _identity(seen.id, f"{seen.name}-agentpool", seen, group)
        },
    }
    if private:
        found["privateFQDN"] = f"{at}.{seen.guid('zone')}.privatelink.{seen.location}.azmk8s.io"
    if seen.prop("oidcIssuerProfile", "enabled") is True:
        issuer = f"https://{seen.location}.oic.prod-aks.azure.com/{seen.guid('tenant')}"
        found["oidcIssuerProfile"] = {"issuerURL": f"{issuer}/{seen.guid('issuer')}/"}
    if outbound := _outbound(seen, group):
        found["networkProfile"] = outbound
    addons = seen.prop("addonProfiles")
    if isinstance(addons, dict):
        found["addonProfiles"] = {
            name: {"identity": _identity(seen.id, f"{name.lower()}-{seen.name}", seen, group)}
            for name, addon in addons.items()
            if isinstance(addon, dict) and addon.get("enabled") is True
        }
    if seen.prop("ingressProfile", "webAppRouting", "enabled") is True:
        routing = _identity(seen.id, f"webapprouting-{seen.name}", seen, group)
        found["ingressProfile"] = {"webAppRouting": {"identity": routing}}
    return found


def _outbound(seen: Seen, group: str) -> JSON:
    """The addresses by which a cluster's nodes reach the outside."""
    kind = str(seen.prop("networkProfile", "outboundType") or "loadBalancer").lower()
    profile = {"loadbalancer": "loadBalancerProfile", "managednatgateway": "natGatewayProfile"}
    if kind not in profile:
        return {}
    of = f"/subscriptions/{seen.id.subscription}/resourceGroups/{group}/providers"
    address = f"{of}/Microsoft.Network/publicIPAddresses/{seen.guid('outbound')}"
    return {profile[kind]: {"effectiveOutboundIPs": [{"id": address}]}}


def _webhook(seen: Seen) -> Answer:
    """Whom a registry's webhook tells; its own properties do not say."""
    return {
        "serviceUri": seen.prop("serviceUri") or "",
        "customHeaders": seen.prop("customHeaders") or {},
    }


def _kubeconfig(seen: Seen) -> Answer:
    """Credentials whose server nobody runs: the file's form, and a token that opens nothing."""
    server = f"https://{_cluster(seen)['fqdn']}:443"
    name = seen.name
    lines = (
        "apiVersion: v1\nkind: Config\n"
        f"clusters:\n- name: {name}\n  cluster:\n    server: {server}\n"
        f"contexts:\n- name: {name}\n  context:\n    cluster: {name}\n    user: {name}\n"
        f"current-context: {name}\n"
        f"users:\n- name: {name}\n  user:\n    token: {seen.hex('token', 64)}\n"
    )
    content = base64.b64encode(lines.encode()).decode()
    return {"kubeconfigs": [{"name": "clusterUser", "value": content}]}


def _containers(seen: Seen) -> JSON:
    found: JSON = {"instanceView": {"state": "Running", "events": []}}
    address = seen.prop("ipAddress")
    if isinstance(address, dict):
        given: JSON = {"ip": address.get("ip") or "20.0.0.7"}
        if label := address.get("dnsNameLabel"):
            given["fqdn"] = f"{label}.{seen.location}.azurecontainer.io"
        found["ipAddress"] = given
    return found


def _learning(seen: Seen) -> JSON:
    at = f"{seen.location}.api.azureml.ms"
    return {
        "workspaceId": seen.guid("workspace"),
        "discoveryUrl": f"https://{at}/discovery",
        "mlFlowTrackingUri": f"azureml://{at}/mlflow/v1.0{seen.id.text}",
        "tenantId": seen.guid("tenant"),
    }


def _online(seen: Seen) -> JSON:
    at = f"https://{seen.name.lower()}.{seen.location}.inference.ml.azure.com"
    return {"scoringUri": f"{at}/score", "swaggerUri": f"{at}/swagger.json"}


def _grafana(seen: Seen) -> JSON:
    at = f"{seen.host}-{seen.hex('host', 12)}.{seen.location}.grafana.azure.com"
    return {"endpoint": f"https://{at}", "grafanaVersion": "11"}


def _prometheus(seen: Seen) -> JSON:
    at = f"{seen.host}-{seen.hex('host', 4)}.{seen.location}.prometheus.monitor.azure.com"
    of = f"/subscriptions/{seen.id.subscription}/resourceGroups"
    managed = f"{of}/MA_{seen.name}_{seen.location}_managed/providers/Microsoft.Insights"
    return {
        "accountId": seen.guid("account"),
        "metrics": {"prometheusQueryEndpoint": f"https://{at}", "internalId": seen.hex("metrics")},
        "defaultIngestionSettings": {
            "dataCollectionRuleResourceId": f"{managed}/dataCollectionRules/{seen.name}",
            "dataCollectionEndpointResourceId": f"{managed}/dataCollectionEndpoints/{seen.name}",
        },
    }


def _batch(seen: Seen) -> JSON:
    return {"accountEndpoint": f"{seen.host}.{seen.location}.batch.azure.com"}


def _batch_keys(seen: Seen) -> Answer:
    keys = {which: seen.base64(which, 64) for which in ("primary", "secondary")}
    return {"accountName": seen.name, **keys}


def _sessions(seen: Seen) -> JSON:
    at = f"https://{seen.location}.dynamicsessions.io{seen.id.text.partition('/providers/')[0]}"
    return {"poolManagementEndpoint": f"{at}/sessionPools/{seen.name}"}


def _scheduler(seen: Seen) -> JSON:
    return {"endpoint": f"https://{seen.host}-{seen.hex('host', 8)}.{seen.location}.durabletask.io"}


def _workflow(seen: Seen) -> JSON:
    at = f"https://prod-00.{seen.location}.logic.azure.com:443/workflows/{seen.hex('flow')}"
    return {"accessEndpoint": at, "version": "1"}


def _flow_callback(seen: Seen) -> Answer:
    base = f"https://prod-00.{seen.location}.logic.azure.com:443/workflows/{seen.hex('flow')}"
    query = f"api-version=2016-10-01&sp=%2Frun&sv=1.0&sig={seen.hex('signature', 43)}"
    return {"value": f"{base}?{query}", "method": "POST", "basePath": base}


def _callback(seen: Seen) -> Answer:
    flow, signature = seen.above.hex("flow"), seen.hex("signature", 43)
    base = f"https://prod-00.{seen.location}.logic.azure.com:443/workflows/{flow}"
    path = f"{base}/triggers/{seen.name}/paths/invoke"
    query = f"api-version=2016-10-01&sp=%2Ftriggers%2F{seen.name}%2Frun&sv=1.0&sig={signature}"
    return {"value": f"{path}?{query}", "method": "POST", "basePath": path}


def _integration(seen: Seen) -> Answer:
    account, signature = seen.guid("integration account"), seen.hex("signature", 43)
    base = f"https://prod-00.{seen.location}.logic.azure.com:443/integrationAccounts/{account}"
    query = f"api-version=2015-08-01-preview&sp=%2F%2Fread&sv=1.0&sig={signature}"
    return {"value": f"{base}?{query}"}


def _automation(seen: Seen) -> JSON:
    account = seen.guid("account")
    at = f"{seen.location}.azure-automation.net"
    return {
        "RegistrationUrl": f"https://{account}.agentsvc.{at}/accounts/{account}",
        "automationHybridServiceUrl": f"https://{account}.jrds.{at}/automationAccounts/{account}",
    }


def _automation_keys(seen: Seen) -> Answer:
    return {
        "keys": [
            {"KeyName": name, "Permissions": "Full", "Value": seen.base64(name, 64)}
            for name in ("Primary", "Secondary")
        ]
    }


def _volume(seen: Seen) -> JSON:
    target = {
        "fileSystemId": seen.guid("file system"),
        "ipAddress": seen.address_in(seen.prop("subnetId")),
        "mountTargetId": seen.guid("mount"),
    }
    return {"fileSystemId": target["fileSystemId"], "mountTargets": [target]}


def _lustre(seen: Seen) -> JSON:
    address = seen.address_in(seen.prop("filesystemSubnet"))
    mount = f"mount -t lustre -o noatime,flock {address}@tcp:/lustrefs /<client-directory>"
    return {"clientInfo": {"mgsAddress": address, "mountCommand": mount}}


def _vault_key(seen: Seen) -> JSON:
    uri = f"https://{seen.host}.vault.azure.net/keys/{seen.name}"
    return {"keyUri": uri, "keyUriWithVersion": f"{uri}/{seen.hex('version')}"}


def _fabric(seen: Seen) -> JSON:
    """A Service Fabric cluster, whose machines are not there yet."""
    return {
        "clusterEndpoint": f"https://{seen.location}.servicefabric.azure.com",
        "clusterId": seen.guid("cluster"),
        "clusterState": "WaitingForNodes",
    }


def _managed_fabric(seen: Seen) -> JSON:
    prefix = str(seen.prop("dnsName") or seen.name).lower()
    return {
        "fqdn": f"{prefix}.{seen.location}.cloudapp.azure.com",
        "clusterId": seen.guid("cluster"),
        "clusterState": "WaitingForNodes",
    }


def _extension(seen: Seen) -> JSON:
    own = {"type": "SystemAssigned", "principalId": seen.guid("principal")}
    return {"aksAssignedIdentity": own}


_HEX_KEYS = two_hex_keys("key1", "key2")
_HEX_AGAIN = {"regenerateKey": Regeneration(either("key1", "key2"), _HEX_KEYS)}
_BOTH = ("primary", "secondary")
_AUTOMATION_LOCATED = (
    *("modules", "powerShell72Modules", "python2Packages", "python3Packages", "runbooks"),
    *("powershell72Modules", "runtimeEnvironments"),
)
_GROUPED = ("containers", "initContainers")
_MAPS_KEYS = two_keys("primaryKey", "secondaryKey", 48)
_ONLINE_KEYS = two_keys("primaryKey", "secondaryKey")

TABLE: Table = {
    "Microsoft.CognitiveServices/accounts": Published(
        _ai,
        defaults={"publicNetworkAccess": "Enabled"},
        actions={"listKeys": _HEX_KEYS},
        regenerations=_HEX_AGAIN,
    ),
    "Microsoft.CognitiveServices/accounts/projects": Published(_project),
    "Microsoft.Bing/accounts": Published(
        lambda seen: {"endpoint": "https://api.bing.microsoft.com/"},
        actions={"listKeys": _HEX_KEYS},
        regenerations=_HEX_AGAIN,
    ),
    "Microsoft.Maps/accounts": Published(
        lambda seen: {"uniqueId": seen.guid("account")},
        actions={"listKeys": _MAPS_KEYS},
        regenerations={"regenerateKey": Regeneration(either(*_BOTH), _MAPS_KEYS, "keyType")},
    ),
    "Microsoft.VideoIndexer/accounts": Published(lambda seen: {"accountId": seen.guid("account")}),
    "Microsoft.ContainerService/managedClusters": Published(
        _cluster,
        actions={
            "listClusterUserCredential": _kubeconfig,
            "listClusterAdminCredential": _kubeconfig,
        },
        hidden=("windowsProfile.adminPassword", "servicePrincipalProfile.secret"),
    ),
    "Microsoft.ContainerRegistry/registries/webhooks": Published(
        defaults={"status": "enabled", "scope": ""},
        actions={
            "getCallbackConfig": _webhook,
            "listEvents": lambda seen: {"value": []},
            "ping": lambda seen: {"id": seen.guid("ping")},
        },
        hidden=("serviceUri", "customHeaders"),
    ),
    "Microsoft.ContainerRegistry/registries/tokens": Published(
        defaults={"status": "enabled", "credentials": {}}
    ),
    "Microsoft.ContainerRegistry/registries/scopeMaps": Published(
        lambda seen: {"type": "UserDefined"}
    ),
    "Microsoft.ContainerInstance/containerGroups": Published(
        _containers,
        hidden=(
            *(f"{name}.[].properties.environmentVariables.[].secureValue" for name in _GROUPED),
            "imageRegistryCredentials.[].password",
            "volumes.[].azureFile.storageAccountKey",
            "diagnostics.logAnalytics.workspaceKey",
        ),
    ),
    "Microsoft.Resources/deploymentScripts": Published(
        hidden=(
            "environmentVariables.[].secureValue",
            "storageAccountSettings.storageAccountKey",
        )
    ),
    "Microsoft.App/sessionPools": Published(_sessions, hidden=("secrets.[].value",)),
    "Microsoft.DurableTask/schedulers": Published(_scheduler),
    "Microsoft.MachineLearningServices/workspaces": Published(_learning),
    "Microsoft.MachineLearningServices/workspaces/onlineEndpoints": Published(
        _online,
        actions={"listKeys": _ONLINE_KEYS},
        regenerations={"regenerateKeys": Regeneration(either(*_BOTH), None, "keyType")},
    ),
    "Microsoft.Dashboard/grafana": Published(_grafana),
    "Microsoft.Monitor/accounts": Published(_prometheus),
    "Microsoft.Batch/batchAccounts": Published(
        _batch,
        actions={"listKeys": _batch_keys},
        regenerations={"regenerateKeys": Regeneration(either(*_BOTH, *_BOTH), _batch_keys)},
    ),
    "Microsoft.Logic/workflows": Published(_workflow, actions={"listCallbackUrl": _flow_callback}),
    "Microsoft.Logic/workflows/triggers": Published(
        actions={"listCallbackUrl": _callback}, standing=None
    ),
    "Microsoft.Logic/integrationAccounts": Published(actions={"listCallbackUrl": _integration}),
    "Microsoft.Automation/automationAccounts": Published(
        _automation, defaults={"publicNetworkAccess": True}, actions={"listKeys": _automation_keys}
    ),
    **{
        f"Microsoft.Automation/automationAccounts/{kind}": Published(located=True)
        for kind in _AUTOMATION_LOCATED
    },
    "Microsoft.Compute/virtualMachines": Published(
        lambda seen: {"vmId": seen.guid("machine")}, hidden=("osProfile.adminPassword",)
    ),
    "Microsoft.Compute/virtualMachineScaleSets": Published(
        lambda seen: {"uniqueId": seen.guid("set")},
        hidden=("virtualMachineProfile.osProfile.adminPassword",),
    ),
    "Microsoft.StreamAnalytics/streamingjobs": Published(
        lambda seen: {"jobId": seen.guid("job"), "jobState": "Created"}
    ),
    "Microsoft.KubernetesConfiguration/extensions": Published(_extension),
    "Microsoft.ServiceFabric/clusters": Published(_fabric),
    "Microsoft.ServiceFabric/managedClusters": Published(
        _managed_fabric, hidden=("adminPassword",)
    ),
    "Microsoft.KeyVault/vaults/keys": Published(_vault_key),
    "Microsoft.StorageCache/amlFilesystems": Published(_lustre),
    "Microsoft.NetApp/netAppAccounts/capacityPools/volumes": Published(_volume),
}
