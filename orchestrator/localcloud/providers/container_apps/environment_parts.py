"""Parts of a managed environment: workload profiles, its network, storages, usages.

Rules: "Workload profiles in Azure Container Apps", "Virtual network configuration": with workload
profiles a subnet of at least /27, delegated to Microsoft.App/environments; without (an empty list),
of at least /23, not delegated.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, missing, parse
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, ResourceType
from orchestrator.localcloud.providers.availability import asked_name, available, unavailable
from orchestrator.localcloud.providers.embedded import existing
from orchestrator.localcloud.providers.faults import Faults

ENVIRONMENTS = "Microsoft.App/managedEnvironments"
JOBS = "Microsoft.App/jobs"
DELEGATE = "Microsoft.App/environments"
SMALLEST, SMALLEST_WITHOUT_PROFILES = 27, 23

PROFILES: Mapping[str, tuple[int, int, int, str]] = {
    # type: cores, GiB, GPUs, category
    "Consumption": (4, 8, 0, "GeneralPurpose"),
    "Flex": (8, 16, 0, "GeneralPurpose"),
    "D4": (4, 16, 0, "GeneralPurpose"),
    "D8": (8, 32, 0, "GeneralPurpose"),
    "D16": (16, 64, 0, "GeneralPurpose"),
    "D32": (32, 128, 0, "GeneralPurpose"),
    "E4": (4, 32, 0, "MemoryOptimized"),
    "E8": (8, 64, 0, "MemoryOptimized"),
    "E16": (16, 128, 0, "MemoryOptimized"),
    "E32": (32, 256, 0, "MemoryOptimized"),
    "NC24-A100": (24, 220, 1, "GPU"),
    "NC48-A100": (48, 440, 2, "GPU"),
    "NC96-A100": (96, 880, 4, "GPU"),
    "Consumption-GPU-NC8as-T4": (8, 56, 1, "GPU"),
    "Consumption-GPU-NC24-A100": (24, 220, 1, "GPU"),
}


def check_profiles(properties: JSON, faults: Faults) -> None:
    """The workload profiles of an environment: known types, names that are given once."""
    names: set[str] = set()
    known = {name.lower(): name for name in PROFILES}
    for path, profile in faults.objects(properties.get("workloadProfiles"), "workloadProfiles"):
        name = faults.text(profile.get("name"), f"{path}.name", required=True)
        given = profile.get("workloadProfileType")
        kind = faults.text(given, f"{path}.workloadProfileType", required=True)
        if name.lower() in names:
            faults.add(f"{path}.name", f"The workload profile '{name}' is given twice.")
        names.add(name.lower())
        if kind and kind.lower() not in known:
            faults.add(
                f"{path}.workloadProfileType",
                f"'{kind}' is no workload profile type; {', '.join(PROFILES)} are.",
                "WorkloadProfileTypeNotSupported",
            )
            continue
        if kind:
            profile["workloadProfileType"] = known[kind.lower()]
        if kind.lower().startswith("consumption"):
            continue
        least = faults.whole(profile, "minimumCount", path, least=0, default=0)
        most = faults.whole(profile, "maximumCount", path, least=1, default=max(1, least))
        if least > most:
            faults.add(
                f"{path}.minimumCount",
                f"'{path}.minimumCount' ({least}) is greater than maximumCount ({most}).",
            )


def check_network(call: Call, properties: JSON, before: JSON, location: str) -> None:
    """The subnet an environment lives in: existing, big enough, delegated; chosen once.

    Raises:
        ArmError: 400.
    """
    network = properties.get("vnetConfiguration")
    old = (before.get("vnetConfiguration") or {}).get("infrastructureSubnetId")
    if not isinstance(network, dict):
        if old is not None:
            properties["vnetConfiguration"] = before["vnetConfiguration"]
        return
    network.setdefault("internal", False)
    if network.get("infrastructureSubnetId") == "":
        # Templates whose subnet is a parameter say so that there is none.
        del network["infrastructureSubnetId"]
    given = network.get("infrastructureSubnetId")
    if before and str(given or "").lower() != str(old or "").lower():
        raise ArmError(
            "ManagedEnvironmentVnetConfigImmutable",
            "The subnet of an environment cannot be changed after it was created.",
            target="vnetConfiguration.infrastructureSubnetId",
        )
    if given is None:
        if network["internal"]:
            raise ArmError(
                "ManagedEnvironmentInvalidNetworkConfiguration",
                "An internal environment needs a subnet ('infrastructureSubnetId').",
                target="vnetConfiguration",
            )
        return
    path = "vnetConfiguration.infrastructureSubnetId"
    id = existing(call, {"id": given}, path)
    subnet = _subnet(call, id.text)
    several = subnet.get("addressPrefixes") or ["0.0.0.0/32"]
    prefix = str(subnet.get("addressPrefix") or several[0])
    services = [
        str(item.get("properties", {}).get("serviceName", "")).lower()
        for item in subnet.get("delegations", [])
    ]
    delegated = DELEGATE.lower() in services
    profiles = bool(properties.get("workloadProfiles"))
    smallest = SMALLEST if profiles else SMALLEST_WITHOUT_PROFILES
    if ipaddress.ip_network(prefix, strict=False).prefixlen > smallest:
        raise ArmError(
            "ManagedEnvironmentInvalidNetworkConfiguration",
            f"The environment network configuration is invalid: the subnet '{id.text}' ({prefix}) "
            f"must be at least of size /{smallest}.",
            target=path,
        )
    if profiles and not delegated:
        raise ArmError(
            "ManagedEnvironmentSubnetDelegationError",
            f"The subnet of the environment must be delegated to the service '{DELEGATE}'.",
            target=path,
        )
    if services and not profiles:
        raise ArmError(
            "ManagedEnvironmentSubnetIsDelegated",
            "The subnet of an environment without workload profiles must not be delegated.",
            target=path,
        )
    managed = before.get("infrastructureResourceGroup")
    managed = managed or f"ME_{call.id.name}_{call.id.group}_{location}"[:90]
    properties.setdefault("infrastructureResourceGroup", managed)


def _subnet(call: Call, text: str) -> JSON:
    id = parse(text)
    holder = call.arm.store.get(id.top) or {"properties": {}}
    for item in holder["properties"].get("subnets", []):
        if item["name"].lower() == id.name.lower():
            found: JSON = item["properties"]
            return found
    return {}


# --------------------------------------------------------------- usages and profiles ----


def _usage(name: str, limit: int, value: float) -> JSON:
    return {
        "name": {"value": name, "localizedValue": re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)},
        "unit": "Count",
        # Both names are on the wire.
        "usage": value,
        "currentValue": value,
        "limit": limit,
    }


def _cores(call: Call, environment: str) -> float:
    """Cores that the jobs of an environment may take with one execution each."""
    total = 0.0
    for job in call.arm.store.of_type(JOBS):
        if str(job["properties"].get("environmentId", "")).lower() == environment:
            for container in job["properties"].get("template", {}).get("containers", []):
                total += float(container.get("resources", {}).get("cpu", 0))
    return total


async def usages(call: Call) -> Answer:
    """What an environment uses of its quota (an Azure subscription's usual one)."""
    cores = _cores(call, call.id.key)
    return {
        "value": [
            _usage("ConsumptionCores", 100, cores),
            _usage("GeneralPurposeCores", 100, 0),
            _usage("MemoryOptimizedCores", 50, 0),
        ]
    }


async def region_usages(call: Call) -> Answer:
    """What a region's environments use."""
    count = len(call.arm.store.records(ENVIRONMENTS))
    return {"value": [_usage("ManagedEnvironmentCount", 50, count)]}


async def profile_states(call: Call) -> Answer:
    """Nodes of each workload profile: none run here, jobs are processes of this machine."""
    environment = call.arm.store.get(call.id) or {"properties": {}}
    return [
        {
            "id": f"{call.id.text}/workloadProfileStates/{profile['name']}",
            "name": profile["name"],
            "type": f"{ENVIRONMENTS}/workloadProfileStates",
            "properties": {
                "minimumCount": profile.get("minimumCount", 0),
                "maximumCount": profile.get("maximumCount", 0),
                "currentCount": 0,
            },
        }
        for profile in environment["properties"].get("workloadProfiles", [])
    ]


async def profile_types(call: Call) -> Answer:
    """Which workload profiles a region offers."""
    location = call.arguments[-1]
    base = f"/subscriptions/{call.arm.subscription}/providers/Microsoft.App/locations/{location}"
    return {
        "value": [
            {
                "id": f"{base}/availableManagedEnvironmentsWorkloadProfileTypes/{name}",
                "name": name,
                "type": "Microsoft.App/availableManagedEnvironmentsWorkloadProfileTypes",
                "location": location,
                "properties": {
                    "category": category,
                    "applicability": "LocationDefault",
                    "cores": cores,
                    "memoryGiB": memory,
                    "gpus": gpus,
                    "displayName": name,
                },
            }
            for name, (cores, memory, gpus, category) in PROFILES.items()
        ]
    }


MODES: Mapping[str, str] = {
    "ConsumptionOnly": "Apps and jobs share machines and are billed by what they use.",
    "WorkloadProfiles": "Apps and jobs run in workload profiles, on machines of their own or not.",
}


async def region_modes(call: Call) -> Answer:
    """Which kinds of environments a region offers."""
    location = call.arguments[-1]
    kind = "availableManagedEnvironmentsModes"
    return {
        "value": [
            _offered(call, kind, name, {"displayName": name, "description": text})
            | {"location": location}
            for name, text in MODES.items()
        ]
    }


async def region_meters(call: Call) -> Answer:
    """What a region bills by: one meter for each workload profile."""
    location = call.arguments[-1]
    return {
        "value": [
            _offered(call, "billingMeters", name, {"category": category, "displayName": name})
            | {"location": location}
            for name, (_, _, _, category) in PROFILES.items()
        ]
    }


def _offered(call: Call, kind: str, name: str, properties: JSON) -> JSON:
    base = f"/subscriptions/{call.arm.subscription}/providers/Microsoft.App/locations"
    return {
        "id": f"{base}/{call.arguments[-1]}/{kind}/{name}",
        "name": name,
        "type": f"Microsoft.App/locations/{kind}",
        "properties": properties,
    }


async def check_migration(call: Call) -> Answer:
    """Whether an environment can become one of another mode: one without workload profiles can
    get them ("Environments in Azure Container Apps"), and there is no way back.

    Raises:
        ArmError: 400; there is no such mode.
    """
    given = str(call.object().get("targetMode") or "")
    target = next((mode for mode in MODES if mode.lower() == given.lower()), None)
    if target is None:
        raise ArmError(
            "InvalidRequestParameterWithDetails",
            f"'{given}' is not valid for 'targetMode': {', '.join(MODES)} are.",
            target="targetMode",
        )
    environment = call.arm.store.get(call.id)
    if environment is None:
        raise missing(call.id)
    current = environment["properties"]["environmentMode"]
    reasons = []
    if current == target:
        text = f"The environment '{call.id.name}' has the mode {current} already."
        reasons = [{"code": "AlreadyInTargetMode", "message": text}]
    elif target == "ConsumptionOnly":
        text = "An environment with workload profiles cannot do without them."
        reasons = [{"code": "MigrationNotSupported", "message": text}]
    return {
        "isEligible": not reasons,
        "environmentName": environment["name"],
        "currentMode": current,
        "targetMode": target,
        "failureReasons": reasons,
    }


async def check_certificate_name(call: Call) -> Answer:
    """Whether an environment has a certificate of that name."""
    name = asked_name(call)
    if call.id.child("certificates", name) in call.arm.store:
        return unavailable("AlreadyExists", f"The certificate '{name}' exists already.")
    return available()


class Storages(ResourceType):
    """Azure Files that jobs of an environment could mount; the account's key is write-only."""

    type: ClassVar[str] = f"{ENVIRONMENTS}/storages"
    provisioning: ClassVar[bool] = False

    def missing(self, id: ResourceId) -> ArmError:
        """In the service's words, by which `az containerapp env storage set` knows a new one."""
        return ArmError(
            "ManagedEnvironmentStorageNotFound",
            f"ManagedEnvironment Storage '{id.name}' was not found.",
            404,
        )

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """An account, a share, how it may be accessed."""
        faults = Faults()
        properties = resource["properties"]
        kinds = [name for name in ("azureFile", "nfsAzureFile") if name in properties]
        if len(kinds) != 1:
            faults.add("azureFile", "Either 'azureFile' or 'nfsAzureFile' must be given.")
            faults.raise_any()
        at = kinds[0]
        share = faults.object(properties[at], at)
        needed = ("accountName", "shareName") if at == "azureFile" else ("server", "shareName")
        for name in needed:
            faults.text(share.get(name), f"{at}.{name}", required=True)
        if share.setdefault("accessMode", "ReadOnly") not in ("ReadOnly", "ReadWrite"):
            faults.add(f"{at}.accessMode", f"'{at}.accessMode' must be ReadOnly or ReadWrite.")
        before = (old or {}).get("properties", {}).get(at, {})
        if "accountKey" in before:
            share.setdefault("accountKey", before["accountKey"])
        faults.raise_any()
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without the key."""
        resource["properties"].get("azureFile", {}).pop("accountKey", None)
        return resource
