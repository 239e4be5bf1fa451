"""Names of properties in the spelling of the API.

The service reads the names of properties without regard to case, and `az` relies on it (it sends
`{"Name": "Consumption"}` in an environment's workload profiles). What is stored and shown has the
API's own spelling. Free-form objects (tags, a scale rule's metadata) keep their names as they are.
"""

from __future__ import annotations

from typing import Any

_NAMES: dict[str, str] = {
    name.lower(): name
    for name in (
        # around the properties
        *("location", "tags", "identity", "properties", "kind", "sku", "type"),
        *("userAssignedIdentities", "name"),
        # jobs
        *("environmentId", "workloadProfileName", "configuration", "template", "triggerType"),
        *("replicaTimeout", "replicaRetryLimit", "manualTriggerConfig", "scheduleTriggerConfig"),
        *("eventTriggerConfig", "parallelism", "replicaCompletionCount", "cronExpression"),
        *("scale", "minExecutions", "maxExecutions", "pollingInterval", "rules", "metadata"),
        *("auth", "secretRef", "triggerParameter", "secrets", "value", "keyVaultUrl"),
        *("registries", "server", "username", "passwordSecretRef", "identitySettings"),
        *("lifecycle", "containers", "initContainers", "volumes", "image", "imageType"),
        *("command", "args", "env", "resources", "cpu", "memory", "ephemeralStorage", "gpu"),
        *("probes", "volumeMounts", "volumeName", "mountPath", "subPath", "storageType"),
        *("storageName", "mountOptions", "path", "runningState", "provisioningState"),
        *("outboundIpAddresses", "eventStreamEndpoint"),
        # apps
        *("managedEnvironmentId", "activeRevisionsMode", "maxInactiveRevisions", "ingress"),
        *("external", "targetPort", "exposedPort", "transport", "traffic", "revisionName"),
        *("weight", "latestRevision", "label", "customDomains", "bindingType", "certificateId"),
        *("allowInsecure", "ipSecurityRestrictions", "ipAddressRange", "action", "description"),
        *("stickySessions", "affinity", "clientCertificateMode", "corsPolicy", "allowedOrigins"),
        *("additionalPortMappings", "revisionSuffix", "minReplicas", "maxReplicas"),
        *("cooldownPeriod", "azureQueue", "custom", "dapr", "appId", "appPort", "appProtocol"),
        # environments
        *("appLogsConfiguration", "destination", "logAnalyticsConfiguration", "customerId"),
        *("sharedKey", "dynamicJsonColumns", "workloadProfiles", "workloadProfileType"),
        *("minimumCount", "maximumCount", "vnetConfiguration", "infrastructureSubnetId"),
        *("internal", "dockerBridgeCidr", "platformReservedCidr", "platformReservedDnsIP"),
        *("zoneRedundant", "customDomainConfiguration", "dnsSuffix", "certificateValue"),
        *("certificatePassword", "infrastructureResourceGroup", "peerAuthentication"),
        *("peerTrafficConfiguration", "encryption", "mtls", "enabled", "kedaConfiguration"),
        *("daprConfiguration", "daprAIInstrumentationKey", "daprAIConnectionString"),
        *("publicNetworkAccess", "defaultDomain", "staticIp", "deploymentErrors"),
        # criteria of alert rules
        *("allOf", "criterionType", "metricName", "metricNamespace", "timeAggregation"),
        *("dimensions", "values", "operator", "threshold", "alertSensitivity", "query"),
        *("failingPeriods", "numberOfEvaluationPeriods", "minFailingPeriodsToAlert"),
        *("metricMeasureColumn", "resourceIdColumn", "skipMetricValidation"),
    )
}
_FREE = frozenset({"tags", "metadata", "userAssignedIdentities"})


def respell(value: Any) -> Any:
    """A copy whose property names have the API's spelling."""
    if isinstance(value, list):
        return [respell(item) for item in value]
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for key, item in value.items():
        name = _NAMES.get(str(key).lower(), str(key))
        result[name] = item if name in _FREE else respell(item)
    return result
