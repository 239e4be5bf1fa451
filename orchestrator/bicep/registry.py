"""Where a module lives: a path, or a registry, by way of Bicep's own cache on this machine.

The cache is the real compiler's (`~/.bicep`, or the folder in BICEP_CACHE_DIRECTORY):
`br/REGISTRY/REPOSITORY/TAG$/main.json`, slashes of the repository as `$`. Source: Bicep's
documentation of private and public module registries.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from orchestrator.bicep.config import module_alias
from orchestrator.bicep.paths import path_fault

# Source: the OCI distribution specification
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(?::\d+)?\Z")
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*\Z")
_TAG = re.compile(r"(?:\w[\w.-]{0,127}|sha256:[0-9a-f]{64})\Z", re.ASCII)

PUBLIC = ("mcr.microsoft.com", "bicep")


class ModuleNotFound(Exception):  # noqa: N818 -- it reads by what happened
    """The reference leads nowhere."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


def cache_folder() -> Path:
    chosen = os.environ.get("BICEP_CACHE_DIRECTORY")
    return Path(chosen) if chosen else Path.home() / ".bicep"


def full_reference(reference: str, folder: Path) -> tuple[str, str, str]:
    """`br:HOST/REPOSITORY:TAG` or `br/ALIAS:PATH:TAG` → host, repository, tag.

    Raises: ModuleNotFound when it is none, or the alias is unknown.
    """
    scheme, _, rest = reference.partition(":")
    path, colon, tag = rest.rpartition(":")
    if not colon:
        path, at, digest = rest.rpartition("@")
        if not at:
            raise ModuleNotFound(
                "BCP195", f'"{reference}" needs a tag at its end, for instance :1.0.0.'
            )
        tag = digest
    if scheme == "br":
        host, slash, repository = path.partition("/")
        if not slash:
            raise ModuleNotFound("BCP193", f'"{reference}" names a registry but no module in it.')
        return host, repository, tag
    alias = scheme.removeprefix("br/")
    configured = module_alias(folder, "br", alias)
    if configured and configured.get("registry"):
        host = configured["registry"]
        prefix = configured.get("modulePath", "")
    elif alias == "public":
        host, prefix = PUBLIC
    else:
        raise ModuleNotFound("BCP213", f'The registry alias "{alias}" is not in bicepconfig.json.')
    return host, f"{prefix}/{path}".strip("/"), tag


def _fetch(
    name: str, host: str, repository: str, tag: str, place: Path, silent: dict[str, str]
) -> None:
    from orchestrator.bicep.restore import NoAnswer, Registry, RestoreFailed, restore

    try:
        if host in silent:
            raise RestoreFailed(silent[host])
        restore(Registry(host, repository), tag, place)
    except RestoreFailed as failed:
        if isinstance(failed, NoAnswer):
            silent[host] = str(failed)
        raise ModuleNotFound(
            "BCP190",
            f'"{name}" is not in the cache of modules, and can\'t be fetched: {failed}.',
            f"Its place is {place}.",
        ) from None


def resolve_reference(reference: str, folder: Path, silent: dict[str, str]) -> tuple[Path, str]:
    """The file that a reference means, and its full name when it comes from a registry.

    `silent`: registries that did not answer, with why; they are not asked again.

    Raises: ModuleNotFound when it is malformed, unsupported, or the module can't be had.
    """
    if reference.startswith(("br:", "br/")):
        host, repository, tag = full_reference(reference, folder)
        if not (_HOST.match(host) and _REPOSITORY.match(repository) and _TAG.match(tag)):
            raise ModuleNotFound(
                "BCP193", f'"{reference}" is no module\'s name; write br:HOST/REPOSITORY:TAG.'
            )
        name = f"br:{host}/{repository}:{tag}"
        place = (
            cache_folder() / "br" / host / repository.replace("/", "$") / f"{tag}$" / "main.json"
        )
        if not place.is_file():
            _fetch(name, host, repository, tag, place, silent)
        return place, name
    if reference.startswith(("ts:", "ts/")):
        raise ModuleNotFound(
            "unsupported",
            "Template specs are not supported by the built-in compiler.",
            "Install the real bicep to use them.",
        )
    fault = path_fault(reference)
    if fault is not None:
        raise ModuleNotFound(*fault)
    return Path(os.path.normpath(folder / reference)), ""
