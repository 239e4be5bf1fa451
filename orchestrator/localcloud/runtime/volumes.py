"""A container's volumes, read from its template: EmptyDir and Secret.

Microsoft Learn, "Use storage mounts in Azure Container Apps": an EmptyDir lives as long as its
replica and is shared by the replica's containers; a Secret volume holds one file for each of the
job's secrets, or for those that it lists.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from orchestrator.localcloud.runtime.job import Job
from orchestrator.localcloud.runtime.model import Json, Mount, StartFailure
from orchestrator.localcloud.runtime.names import wrong_label


def container_mounts(definition: Json, volumes: Any, job: Job) -> tuple[Mount, ...]:
    """What a container mounts, the values of secrets included.

    Args:
        definition: The container in the template.
        volumes: The template's `volumes`; None for none.
        job: The job, with its secrets as they are now.

    Raises:
        StartFailure: A volume is of a kind that is not here, or names a secret without a value.
    """
    by_name = {str(volume.get("name", "")): volume for volume in volumes or ()}
    return tuple(
        _mount(definition, mount, by_name, job) for mount in definition.get("volumeMounts") or ()
    )


def _mount(definition: Json, mount: Json, volumes: dict[str, Json], job: Job) -> Mount:
    name = str(mount.get("volumeName", ""))
    path = str(mount.get("mountPath", ""))
    sub_path = str(mount.get("subPath") or "")
    volume = volumes.get(name)
    if volume is None:
        raise _refusal(definition, f"its volume '{name}' is not in the template's volumes")
    if why := wrong_label(name):
        raise _refusal(definition, f"its volume '{name}' has a name that is not allowed: {why}")
    for key, value, absolute in (("mountPath", path, True), ("subPath", sub_path, False)):
        pure = PurePosixPath(value)
        if pure.is_absolute() is not absolute or ".." in pure.parts:
            wanted = "an absolute path" if absolute else "a relative path"
            raise _refusal(definition, f"{key} '{value}' has to be {wanted} without '..'")
    kind = str(volume.get("storageType") or "EmptyDir")
    if kind == "EmptyDir":
        return Mount(volume=name, path=path, sub_path=sub_path)
    if kind == "Secret":
        files = _secret_files(definition, volume, job)
        return Mount(volume=name, path=path, sub_path=sub_path, secrets=files)
    raise _refusal(
        definition,
        f"its volume '{name}' is of the storage type {kind}, which the local cloud does not have; "
        "it has EmptyDir and Secret",
    )


def _secret_files(definition: Json, volume: Json, job: Job) -> dict[str, str]:
    listed = volume.get("secrets") or [{"secretRef": name} for name in job.secrets]
    files: dict[str, str] = {}
    for item in listed:
        reference = str(item.get("secretRef", ""))
        value = job.secrets.get(reference.lower())
        if value is None:
            why = (
                "has no value here: it lives in a Key Vault, which the local cloud does not have"
                if reference.lower() in job.secrets
                else f"is not among the secrets of job '{job.name}'"
            )
            raise _refusal(
                definition,
                f"its volume '{volume.get('name')}' wants secret '{reference}', which {why}",
            )
        path = str(item.get("path") or reference)
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts:
            raise _refusal(
                definition, f"the path '{path}' of a secret has to be relative and without '..'"
            )
        files[path] = value
    return files


def _refusal(definition: Json, why: str) -> StartFailure:
    return StartFailure(
        "ContainerCreateFailure",
        f"Container '{definition.get('name')}' was not created: {why}.",
        permanent=True,
    )
