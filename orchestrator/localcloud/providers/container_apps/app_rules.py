"""What a container app must be: checks and defaults of `Microsoft.App/containerApps`.

Rules come from the REST reference (2026-07-01), "Ingress in Azure Container Apps", "Set scaling
rules in Azure Container Apps", "Revisions in Azure Container Apps" and from error messages that
users of the service have published. What an app has in common with a job is in
configuration_rules.py and job_template.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Any

from orchestrator.localcloud.providers.container_apps.configuration_rules import (
    Surroundings,
    check_profile,
    check_registries,
    check_scale_auth,
    check_scale_metadata,
    check_secrets,
    template_limits,
)
from orchestrator.localcloud.providers.container_apps.job_template import check_template
from orchestrator.localcloud.providers.faults import Faults

JSON = dict[str, Any]

SINGLE, MULTIPLE, LABELS = "Single", "Multiple", "Labels"
MODES = (SINGLE, MULTIPLE, LABELS)
MAX_INACTIVE_REVISIONS = 100
MAX_REPLICAS = 1000
MAX_PORT = 65535

_TRANSPORTS = ("Auto", "Http", "Http2", "Tcp")
_SCALERS = ("azureQueue", "custom", "http", "tcp")
_CERTIFICATE_MODES = ("ignore", "accept", "require")


def check_properties(properties: JSON, around: Surroundings, *, own_network: bool) -> None:
    """Check an app's `properties` and fill in the service's defaults, in place.

    Args:
        properties: As sent; secrets have the values that were there before.
        around: Its environment, its identities.
        own_network: Whether the environment lies in a virtual network of the caller's.

    Raises:
        ArmError: 400, naming every fault.
    """
    faults = Faults()
    configuration = faults.object(properties.get("configuration"), "configuration")
    properties["configuration"] = configuration
    _mode(configuration, faults)
    secrets = check_secrets(configuration, around, faults)
    check_registries(configuration, secrets, around, faults)
    _ingress(configuration, faults, own_network=own_network)
    _dapr(configuration, faults)
    check_profile(properties, around, faults)
    template = faults.object(properties.get("template"), "template")
    properties["template"] = template
    # A "service" (a Redis, a PostgreSQL for development) brings its containers itself.
    if template.get("containers") or "service" not in configuration:
        limits = template_limits(properties, around)
        check_template(template, secrets, faults, what="app", **limits)
    _scale(template, around, faults)
    faults.raise_any()


def one_of(value: Any, names: Collection[str], path: str, faults: Faults) -> str:
    """`value` in the spelling of `names`; a fault when it is none of them."""
    given = faults.text(value, path)
    known = next((name for name in names if name.lower() == given.lower()), "")
    if given and not known:
        faults.add(path, f"'{given}' is not valid for '{path}': {', '.join(names)} are.")
    return known


def _mode(configuration: JSON, faults: Faults) -> None:
    path = "configuration.activeRevisionsMode"
    mode = one_of(configuration.get("activeRevisionsMode"), MODES, path, faults)
    configuration["activeRevisionsMode"] = mode or SINGLE
    faults.whole(
        configuration,
        "maxInactiveRevisions",
        "configuration",
        least=0,
        default=MAX_INACTIVE_REVISIONS,
    )


def _dapr(configuration: JSON, faults: Faults) -> None:
    dapr = faults.object(configuration.get("dapr"), "configuration.dapr")
    if dapr.get("enabled") is True:
        # "Dapr application identifier", by which others find it: without it there is no sidecar.
        faults.text(dapr.get("appId"), "configuration.dapr.appId", required=True)


# --------------------------------------------------------------------- ingress ----


def _ingress(configuration: JSON, faults: Faults, *, own_network: bool) -> None:
    path = "configuration.ingress"
    given = configuration.get("ingress")
    if given is None:
        return
    ingress = faults.object(given, path)
    external = _flag(ingress, "external", path, faults)
    _flag(ingress, "allowInsecure", path, faults)
    transport = one_of(ingress.get("transport"), _TRANSPORTS, f"{path}.transport", faults)
    ingress["transport"] = transport or "Auto"
    _port(ingress, "targetPort", path, faults)
    exposed = _port(ingress, "exposedPort", path, faults)
    ingress.setdefault("exposedPort", 0)
    if exposed and transport != "Tcp":
        faults.add(
            f"{path}.exposedPort",
            f"'{path}.exposedPort' can only be given for the transport Tcp.",
            "ContainerAppInvalidIngressExposedPort",
        )
    if transport == "Tcp" and external and not own_network:
        faults.add(
            path,
            "Applications with external TCP ingress can only be deployed to Container App "
            "Environments that have a custom VNET. Set ingress traffic to 'Limited to Container "
            "Apps Environment' if you want to deploy to a Container App Environment without a "
            "custom VNET.",
            "ContainerAppTcpRequiresVnet",
        )
    _restrictions(ingress, path, faults)
    mode = ingress.get("clientCertificateMode")
    one_of(mode, _CERTIFICATE_MODES, f"{path}.clientCertificateMode", faults)
    sticky = faults.object(ingress.get("stickySessions"), f"{path}.stickySessions")
    affinity = f"{path}.stickySessions.affinity"
    if (
        one_of(sticky.get("affinity"), ("sticky", "none"), affinity, faults) == "sticky"
        and configuration["activeRevisionsMode"] != SINGLE
    ):
        faults.add(affinity, "Sticky sessions are only supported in single revision mode.")
    if "corsPolicy" in ingress:
        cors = faults.object(ingress["corsPolicy"], f"{path}.corsPolicy")
        if not faults.texts(cors.get("allowedOrigins"), f"{path}.corsPolicy.allowedOrigins"):
            faults.add(
                f"{path}.corsPolicy.allowedOrigins",
                f"'{path}.corsPolicy.allowedOrigins' is missing.",
            )
    for at, domain in faults.objects(ingress.get("customDomains"), f"{path}.customDomains"):
        faults.text(domain.get("name"), f"{at}.name", required=True)
        kinds = ("Disabled", "SniEnabled", "Auto")
        kind = one_of(domain.get("bindingType"), kinds, f"{at}.bindingType", faults)
        certificate = faults.text(domain.get("certificateId"), f"{at}.certificateId")
        if kind == "SniEnabled" and not certificate:
            faults.add(f"{at}.certificateId", f"'{at}.certificateId' is missing.")
    mappings = f"{path}.additionalPortMappings"
    for at, mapping in faults.objects(ingress.get("additionalPortMappings"), mappings):
        _flag(mapping, "external", at, faults)
        if not _port(mapping, "targetPort", at, faults):
            faults.add(f"{at}.targetPort", f"'{at}.targetPort' is missing.")
        _port(mapping, "exposedPort", at, faults)


def _flag(holder: JSON, name: str, path: str, faults: Faults) -> bool:
    value = holder.setdefault(name, False)
    if not isinstance(value, bool):
        faults.add(f"{path}.{name}", f"'{path}.{name}' must be true or false.")
    return value is True


def _port(holder: JSON, name: str, path: str, faults: Faults) -> int:
    """A port; 0 where none is given: then the service looks which one the app listens on."""
    if name not in holder:
        return 0
    port = faults.whole(holder, name, path, least=0)
    if port > MAX_PORT:
        faults.add(f"{path}.{name}", f"'{path}.{name}' is {port}; it must be at most {MAX_PORT}.")
    return port


def _restrictions(ingress: JSON, path: str, faults: Faults) -> None:
    """Rules by address, which "can only consist of ALL Allow or ALL Deny"."""
    actions = set()
    rules = f"{path}.ipSecurityRestrictions"
    for at, rule in faults.objects(ingress.get("ipSecurityRestrictions"), rules):
        faults.text(rule.get("name"), f"{at}.name", required=True)
        range_ = faults.text(rule.get("ipAddressRange"), f"{at}.ipAddressRange", required=True)
        try:
            ipaddress.ip_network(range_ or "::", strict=False)
        except ValueError:
            faults.add(
                f"{at}.ipAddressRange", f"'{range_}' is no range of addresses in CIDR notation."
            )
        actions.add(one_of(rule.get("action"), ("Allow", "Deny"), f"{at}.action", faults))
        if not rule.get("action"):
            faults.add(f"{at}.action", f"'{at}.action' is missing: Allow or Deny.")
    if {"Allow", "Deny"} <= actions:
        faults.add(rules, f"The rules of '{rules}' must all be Allow or all be Deny.")


# ----------------------------------------------------------------------- scale ----


def _scale(template: JSON, around: Surroundings, faults: Faults) -> None:
    path = "template.scale"
    scale = faults.object(template.get("scale"), path)
    template["scale"] = scale
    least = faults.whole(scale, "minReplicas", path, least=0) if "minReplicas" in scale else 0
    most = faults.whole(scale, "maxReplicas", path, least=1, default=max(10, least))
    for name, value in (("minReplicas", least), ("maxReplicas", most)):
        if value > MAX_REPLICAS:
            faults.add(
                f"{path}.{name}", f"'{path}.{name}' is {value}; it must be at most {MAX_REPLICAS}."
            )
    if least > most:
        faults.add(
            f"{path}.minReplicas",
            f"'{path}.minReplicas' ({least}) is greater than maxReplicas ({most}).",
        )
    faults.whole(scale, "cooldownPeriod", path, least=0, default=300)
    faults.whole(scale, "pollingInterval", path, least=1, default=30)
    names: set[str] = set()
    for at, rule in faults.objects(scale.get("rules"), f"{path}.rules"):
        name = faults.text(rule.get("name"), f"{at}.name", required=True)
        if name.lower() in names:
            faults.add(f"{at}.name", f"The scale rule '{name}' is given twice.")
        names.add(name.lower())
        kinds = [kind for kind in _SCALERS if kind in rule]
        if len(kinds) != 1:
            faults.add(at, f"The scale rule '{name}' must have one of {', '.join(_SCALERS)}.")
            continue
        inner, inside = faults.object(rule[kinds[0]], f"{at}.{kinds[0]}"), f"{at}.{kinds[0]}"
        if kinds[0] == "custom":
            faults.text(inner.get("type"), f"{inside}.type", required=True)
        if kinds[0] == "azureQueue":
            faults.text(inner.get("queueName"), f"{inside}.queueName", required=True)
            faults.whole(inner, "queueLength", inside, least=1)
        else:
            metadata = faults.object(inner.get("metadata"), f"{inside}.metadata")
            check_scale_metadata(metadata, f"{inside}.metadata", faults)
        check_scale_auth(inner, inside, around, faults)
