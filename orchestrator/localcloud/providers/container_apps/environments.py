"""`Microsoft.App/managedEnvironments`: where jobs and apps live."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import missing, parse
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Handler, ResourceType
from orchestrator.localcloud.arm.shapes import Shape
from orchestrator.localcloud.identity import Identity, stable_guid
from orchestrator.localcloud.providers.container_apps.configuration_rules import Surroundings
from orchestrator.localcloud.providers.container_apps.environment_parts import (
    check_certificate_name,
    check_migration,
    check_network,
    check_profiles,
    profile_states,
    usages,
)
from orchestrator.localcloud.providers.container_apps.environment_secrets import (
    keep_secrets,
    withhold_secrets,
)
from orchestrator.localcloud.providers.container_apps.stream_token import stream_token
from orchestrator.localcloud.providers.faults import Faults
from orchestrator.localcloud.providers.spelling import respell

ENVIRONMENTS = "Microsoft.App/managedEnvironments"
JOBS, APPS = "Microsoft.App/jobs", "Microsoft.App/containerApps"
_NAME = re.compile(r"[A-Za-z]([-A-Za-z0-9]{0,58}[A-Za-z0-9])?")
_READ_ONLY = (
    *("provisioningState", "deploymentErrors", "defaultDomain", "staticIp"),
    *("eventStreamEndpoint", "kedaConfiguration", "daprConfiguration"),
)


class ManagedEnvironments(ResourceType):
    """An environment; its keys and passwords are write-only."""

    type: ClassVar[str] = ENVIRONMENTS
    read_only: ClassVar[tuple[str, ...]] = (
        *_READ_ONLY,
        "customDomainConfiguration.customDomainVerificationId",
    )
    shape: ClassVar[Shape] = {"properties": {"customDomainConfiguration": {}}}
    # "… using JSON Merge Patch", says the reference of its PATCH.
    patch_merges_tags: ClassVar[bool] = True
    tracked: ClassVar[bool] = True
    create_status: ClassVar[int] = 201

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def parse(self, raw: bytes) -> Any:
        """The body, its names in the API's spelling."""
        return respell(super().parse(raw))

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """Check it and fill in what the service fills in."""
        name = call.id.name
        if old is None and (not _NAME.fullmatch(name) or "--" in name):
            raise ArmError(
                "ManagedEnvironmentInvalidName",
                f"Invalid environment name '{name}'. A name must consist of alphanumeric "
                "characters or '-', start with a letter, end with an alphanumeric character, "
                "cannot have '--', and has at most 60 characters.",
                target="name",
            )
        properties = resource["properties"]
        before = old["properties"] if old else {}
        for key in _READ_ONLY:
            properties.pop(key, None)
        faults = Faults()
        logs = faults.object(properties.get("appLogsConfiguration"), "appLogsConfiguration")
        destination = faults.text(logs.get("destination"), "appLogsConfiguration.destination")
        if destination.lower() not in ("", "none", "log-analytics", "azure-monitor"):
            faults.add(
                "appLogsConfiguration.destination",
                f"'{destination}' is no log destination: log-analytics, azure-monitor and none "
                "are.",
            )
        analytics = faults.object(
            logs.get("logAnalyticsConfiguration"),
            "appLogsConfiguration.logAnalyticsConfiguration",
        )
        if destination.lower() == "log-analytics":
            faults.text(
                analytics.get("customerId"),
                "appLogsConfiguration.logAnalyticsConfiguration.customerId",
                required=True,
            )
            analytics.setdefault("dynamicJsonColumns", False)
        keep_secrets(properties, before)
        # An environment that names no profiles has none: it is of the older kind, whose jobs have
        # two cores at most.
        if before.get("workloadProfiles"):
            properties.setdefault("workloadProfiles", before["workloadProfiles"])
        elif properties.get("environmentMode") == "WorkloadProfiles":
            consumption = {"name": "Consumption", "workloadProfileType": "Consumption"}
            properties.setdefault("workloadProfiles", [consumption])
        check_profiles(properties, faults)
        faults.raise_any()
        profiles = properties.get("workloadProfiles")
        properties["environmentMode"] = "WorkloadProfiles" if profiles else "ConsumptionOnly"
        check_network(call, properties, before, resource["location"])
        properties.setdefault("zoneRedundant", before.get("zoneRedundant", False))
        network = properties.get("vnetConfiguration") or {}
        open_ = "Disabled" if network.get("internal") else "Enabled"
        properties.setdefault("publicNetworkAccess", open_)
        properties.setdefault("peerAuthentication", {"mtls": {"enabled": False}})
        properties.setdefault("peerTrafficConfiguration", {"encryption": {"enabled": False}})
        if old is not None and before.get("zoneRedundant") != properties["zoneRedundant"]:
            raise ArmError(
                "ManagedEnvironmentZoneRedundantImmutable",
                "'zoneRedundant' of an environment cannot be changed after it was created.",
                target="zoneRedundant",
            )
        mark = stable_guid(call.id.text)[:8]
        properties["defaultDomain"] = f"local-{mark}.{resource['location']}.azurecontainerapps.io"
        properties["staticIp"] = "127.0.0.1"
        properties["kedaConfiguration"] = {"version": "2.17.2"}
        properties["daprConfiguration"] = {"version": "1.13.6-msft.4"}
        properties.setdefault("customDomainConfiguration", {})["customDomainVerificationId"] = (
            stable_guid(call.id.text, "domain").replace("-", "").upper()
        )
        return resource

    async def deleting(self, call: Call, resource: JSON) -> None:
        """An environment that jobs or apps live in stays."""
        key = parse(resource["id"]).key
        for what, type in (("jobs", JOBS), ("apps", APPS)):
            names = [
                living["name"]
                for living in call.arm.store.of_type(type)
                if str(living["properties"].get("environmentId", "")).lower() == key
            ]
            if names:
                raise ArmError(
                    "ManagedEnvironmentInUse",
                    f"The environment '{call.id.name}' cannot be deleted: the {what} "
                    f"{', '.join(repr(name) for name in names[:5])}"
                    f"{' and others' if len(names) > 5 else ''} live in it. Delete them first.",
                    409,
                )

    async def show(self, call: Call, resource: JSON) -> JSON:
        """Without its secrets, with where its logs stream from."""
        properties = resource["properties"]
        withhold_secrets(properties)
        id = parse(resource["id"])
        properties["eventStreamEndpoint"] = (
            f"{call.base}/subscriptions/{id.subscription}/resourceGroups/{id.group}"
            f"/managedEnvironments/{id.name}/eventstream"
        )
        return resource

    def actions(self) -> Mapping[str, Handler]:
        """A token for its log stream."""
        return {
            "getAuthToken": self._token,
            "checkNameAvailability": check_certificate_name,
            "checkMigrationEligibility": check_migration,
        }

    def reads(self) -> Mapping[str, Handler]:
        """What is used of it."""
        return {
            "usages": usages,
            "workloadProfileStates": profile_states,
            "detectorProperties/rootApi": self._root,
        }

    async def _root(self, call: Call) -> Answer:
        resource = call.arm.store.get(call.id)
        if resource is None:
            raise missing(call.id)
        return await self.show(call, resource)

    async def _token(self, call: Call) -> Answer:
        resource = call.arm.store.get(call.id)
        if resource is None:
            raise missing(call.id)
        return stream_token(self._identity, call, resource)


def environment_of(call: Call, properties: JSON, before: JSON, what: str) -> JSON:
    """The environment that a job or an app lives in, chosen once; its id as it is written there.

    Raises:
        ArmError: 400.
    """
    given = properties.get("environmentId", before.get("environmentId"))
    if not isinstance(given, str) or not given:
        raise ArmError(
            "EnvironmentIdMissing",
            "'properties.environmentId' is missing: the resource id of a managed environment.",
            target="properties.environmentId",
        )
    id = parse(given)
    known = before.get("environmentId")
    if known is not None and parse(known).key != id.key:
        raise ArmError(
            "EnvironmentIdImmutable",
            f"The {what} '{call.id.name}' cannot move to another environment; delete it and "
            "create it there.",
            target="properties.environmentId",
        )
    environment = call.arm.store.get(id)
    if environment is None or id.type.lower() != ENVIRONMENTS.lower():
        raise ArmError(
            "ManagedEnvironmentNotFound",
            f"The managed environment '{given}' was not found. Create it first.",
            400,
            target="properties.environmentId",
        )
    properties["environmentId"] = environment["id"]
    return environment


def surroundings(resource: JSON, environment: JSON, what: str) -> Surroundings:
    """What the rules of a job or an app need to know of its environment and its identities."""
    profiles = environment.get("properties", {}).get("workloadProfiles", [])
    identity = resource.get("identity", {})
    lent = environment.get("identity", {}).get("userAssignedIdentities", {})
    return Surroundings(
        workload_profiles={str(profile.get("name", "")).lower() for profile in profiles},
        dedicated={
            str(profile.get("name", "")).lower()
            for profile in profiles
            if not str(profile.get("workloadProfileType", "")).startswith("Consumption")
        },
        identities={name.lower() for name in identity.get("userAssignedIdentities", {})},
        system="principalId" in identity,
        lent={name.lower() for name in lent},
        what=what,
    )
