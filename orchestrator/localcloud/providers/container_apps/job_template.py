"""What the template of a job or an app must be: containers, resources, variables, volumes."""

from __future__ import annotations

import re
from collections.abc import Collection
from fractions import Fraction
from typing import Any

from orchestrator.localcloud.providers.faults import Faults
from orchestrator.localcloud.runtime.names import wrong_label

JSON = dict[str, Any]

_MEMORY = re.compile(r"(\d{1,6}(?:\.\d{1,6})?|\.\d{1,6})Gi")
_IMAGE = re.compile(r"[^\s\x00-\x1f]{1,1024}")
DEFAULT_CPU = 0.5
DEFAULT_MEMORY = "1Gi"
TEMPLATE_FAULT = "InvalidParameterValueInContainerTemplate"


def check_template(
    template: JSON,
    secrets: Collection[str],
    faults: Faults,
    *,
    large: bool,
    paired: bool = True,
    what: str = "job",
) -> None:
    """Check `template` and fill in the service's defaults, in place.

    Args:
        template: `{containers, initContainers?, volumes?}`.
        secrets: Names of the secrets there are.
        faults: Where faults go.
        large: Whether the environment has workload profiles: 4 cpu are the most then, else 2.
        paired: Whether cpu and memory must be a pair that there is; not on dedicated profiles.
        what: `job` or `app`, for messages.
    """
    volumes = _volumes(template, secrets, faults)
    names: set[str] = set()
    for kind in ("initContainers", "containers"):
        for path, container in faults.objects(template.get(kind), f"template.{kind}"):
            _container(container, path, names, volumes, secrets, faults)
    if not template.get("containers"):
        faults.add(
            "template.containers",
            f"'template.containers' is missing: {what}s need at least one container.",
            TEMPLATE_FAULT,
        )
    # Init containers are done when the others begin: they do not count for the total.
    _requested(template, "initContainers", faults)
    before = len(faults)
    cpu, memory = _requested(template, "containers", faults)
    if template.get("containers") and len(faults) == before and paired:
        _check_pair(cpu, memory, faults, large=large)


def _container(
    container: JSON,
    path: str,
    names: set[str],
    volumes: Collection[str],
    secrets: Collection[str],
    faults: Faults,
) -> None:
    name = faults.text(container.get("name"), f"{path}.name", required=True)
    if name and (why := wrong_label(name)):
        faults.add(f"{path}.name", f"Invalid container name '{name}': {why}.", TEMPLATE_FAULT)
    if name in names:
        faults.add(f"{path}.name", f"The container '{name}' is given twice.", TEMPLATE_FAULT)
    names.add(name)
    image = faults.text(container.get("image"), f"{path}.image", required=True)
    if image and not _IMAGE.fullmatch(image):
        faults.add(f"{path}.image", f"'{path}.image' is no image reference.", TEMPLATE_FAULT)
    for key in ("command", "args"):
        faults.texts(container.get(key), f"{path}.{key}")
    _env(container, path, name, secrets, faults)
    for at, mount in faults.objects(container.get("volumeMounts"), f"{path}.volumeMounts"):
        volume = faults.text(mount.get("volumeName"), f"{at}.volumeName", required=True)
        faults.text(mount.get("mountPath"), f"{at}.mountPath", required=True)
        if volume and volume not in volumes:
            faults.add(
                f"{at}.volumeName",
                f"The volume '{volume}' mounted by container '{name}' is not in template.volumes.",
                TEMPLATE_FAULT,
            )


def _env(container: JSON, path: str, name: str, secrets: Collection[str], faults: Faults) -> None:
    for at, variable in faults.objects(container.get("env"), f"{path}.env"):
        key = faults.text(variable.get("name"), f"{at}.name", required=True)
        if "=" in key or "\x00" in key:
            faults.add(f"{at}.name", f"'{key}' is no name of a variable.", TEMPLATE_FAULT)
        value, reference = variable.get("value"), variable.get("secretRef")
        if isinstance(value, int | float) and not isinstance(value, bool):
            # The service's deserializer takes a number for a text.
            variable["value"] = str(value)
        else:
            value = faults.text(value, f"{at}.value")
            if "\x00" in value:
                faults.add(f"{at}.value", f"The value of '{key}' holds a NUL.", TEMPLATE_FAULT)
        reference = faults.text(reference, f"{at}.secretRef")
        if reference and value:
            faults.add(
                at, f"The variable '{key}' has both a value and a secretRef.", TEMPLATE_FAULT
            )
        if reference and reference not in secrets:
            faults.add(
                f"{at}.secretRef",
                f"SecretRef '{reference}' defined for container '{name}' not found.",
                "ContainerAppSecretRefNotFound",
            )


def _volumes(template: JSON, secrets: Collection[str], faults: Faults) -> set[str]:
    names: set[str] = set()
    for path, volume in faults.objects(template.get("volumes"), "template.volumes"):
        name = faults.text(volume.get("name"), f"{path}.name", required=True)
        if name in names:
            faults.add(f"{path}.name", f"The volume '{name}' is given twice.", TEMPLATE_FAULT)
        names.add(name)
        kind = faults.text(volume.setdefault("storageType", "EmptyDir"), f"{path}.storageType")
        known = ("EmptyDir", "Secret", "AzureFile", "NfsAzureFile", "SmbAzureFile")
        if kind not in known:
            faults.add(
                f"{path}.storageType",
                f"'{kind}' is no storage type: {', '.join(known)} are.",
                TEMPLATE_FAULT,
            )
        for at, secret in faults.objects(volume.get("secrets"), f"{path}.secrets"):
            reference = faults.text(secret.get("secretRef"), f"{at}.secretRef", required=True)
            if reference and reference not in secrets:
                faults.add(
                    f"{at}.secretRef",
                    f"SecretRef '{reference}' defined for volume '{name}' not found.",
                    "ContainerAppSecretRefNotFound",
                )
    return names


# ------------------------------------------------------------------- resources ----


def _requested(template: JSON, kind: str, faults: Faults) -> tuple[Fraction, Fraction]:
    """Fill in what containers request where they do not say it; cores and GiB of all of them."""
    total_cpu, total_memory = Fraction(0), Fraction(0)
    for path, container in faults.objects(template.get(kind), f"template.{kind}"):
        at = f"{path}.resources"
        resources = faults.object(container.get("resources"), at)
        container["resources"] = resources
        cpu = _cpu(resources, at, faults)
        total_cpu += cpu
        total_memory += _memory(resources, at, faults)
        resources["ephemeralStorage"] = _ephemeral(cpu)
    return total_cpu, total_memory


def _check_pair(
    total_cpu: Fraction, total_memory: Fraction, faults: Faults, *, large: bool
) -> None:
    """Cpu and memory of all containers must add up to a pair that there is."""
    most = 16 if large else 8
    quarters = total_cpu * 4
    if quarters.denominator != 1 or not 1 <= quarters <= most or total_memory != total_cpu * 2:
        pairs = "; ".join(
            f"[cpu: {step / 4:g}, memory: {step / 2:.1f}Gi]" for step in range(1, most + 1)
        )
        faults.add(
            "template.containers",
            "The total requested CPU and memory resources for this application "
            f"(CPU: {float(total_cpu):g}, memory: {float(total_memory):.1f}) is invalid. Total CPU "
            "and memory for all containers defined in a Container App must add up to one of the "
            f"following CPU - Memory combinations: {pairs}",
            "ContainerAppInvalidResourceTotal",
        )


def _cpu(resources: JSON, path: str, faults: Faults) -> Fraction:
    value = resources.get("cpu", DEFAULT_CPU)
    try:
        if isinstance(value, bool):
            raise ValueError
        cpu = Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        faults.add(f"{path}.cpu", f"'{path}.cpu' must be a number of cores.", TEMPLATE_FAULT)
        return Fraction(0)
    if not 0 < cpu <= 10_000:
        faults.add(f"{path}.cpu", f"'{path}.cpu' is {value}; it must be above 0.", TEMPLATE_FAULT)
        return Fraction(0)
    resources["cpu"] = float(cpu) if cpu.denominator != 1 else int(cpu)
    return cpu


def _memory(resources: JSON, path: str, faults: Faults) -> Fraction:
    value = resources.get("memory", DEFAULT_MEMORY)
    match = _MEMORY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        faults.add(
            f"{path}.memory",
            f"'{path}.memory' must be a text in gibibytes such as '0.5Gi'.",
            TEMPLATE_FAULT,
        )
        return Fraction(0)
    memory = Fraction(match.group(1))
    # The service writes 1.0Gi as 1Gi.
    resources["memory"] = f"{float(memory):.6f}".rstrip("0").rstrip(".") + "Gi"
    return memory


def _ephemeral(cpu: Fraction) -> str:
    """Ephemeral storage by cores ("Use storage mounts in Azure Container Apps")."""
    for most, size in ((Fraction(1, 4), "1Gi"), (Fraction(1, 2), "2Gi"), (Fraction(1), "4Gi")):
        if cpu <= most:
            return size
    return "8Gi"
