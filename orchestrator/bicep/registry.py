"""Where a module lives: a path, a registry or a template spec, by way of Bicep's own cache.

The cache is the real compiler's (`~/.bicep`, or the folder in BICEP_CACHE_DIRECTORY):
`br/REGISTRY/REPOSITORY/TAG$/main.json`, slashes of the repository as `$`, and
`ts/SUBSCRIPTION/GROUP/NAME/VERSION/main.json`. Source: Bicep's documentation of module registries
and of its configuration file.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from orchestrator.bicep.config import (
    credential_names,
    mocked_modules,
    module_alias,
    resource_manager,
)
from orchestrator.bicep.paths import path_fault

# Source: the OCI distribution specification
_HOST = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])(?::\d+)?\Z")
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*\Z")
_TAG = re.compile(r"(?:\w[\w.-]{0,127}|sha256:[0-9a-f]{64})\Z", re.ASCII)
# Source: the limits of Resource Manager's names
_SPEC = re.compile(
    r"(?P<subscription>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
    r"/(?P<group>[-\w.()]{0,89}[-\w()])"
    r"/(?P<name>[-\w.()]{0,89}[-\w()])"
    r":(?P<version>[-\w.()]{0,89}[-\w()])\Z"
)

PUBLIC = ("mcr.microsoft.com", "bicep")
# whom modules are fetched from without being asked for; Source: Bicep's list of trusted registries
_AZURE = (".azurecr.io", ".azurecr.cn", ".azurecr.us")
_TRUSTED = ("mcr.microsoft.com", "mcr.azure.cn", "ghcr.io")
TRUSTED_VARIABLE = "BICEP_TRUSTED_REGISTRIES"


class ModuleNotFound(Exception):  # noqa: N818 -- it reads by what happened
    """The reference leads nowhere."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


@dataclass(slots=True, frozen=True)
class Spec:
    """A version of a template spec."""

    subscription: str
    group: str
    name: str
    version: str

    @property
    def id(self) -> str:
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/Microsoft.Resources/templateSpecs/{self.name}/versions/{self.version}"
        )


def cache_folder() -> Path:
    chosen = os.environ.get("BICEP_CACHE_DIRECTORY")
    return Path(chosen) if chosen else Path.home() / ".bicep"


def _bare(host: str) -> str:
    """A registry's name without its port, as names are compared."""
    end = host.find("]") + 1 or host.find(":")
    return (host[:end] if end > 0 else host).rstrip(".").lower()


def is_azures(host: str) -> bool:
    """Whether a registry is one of Azure's, which takes logins of Azure."""
    return _bare(host).endswith(_AZURE)


def is_trusted(host: str) -> bool:
    """Whether modules are fetched from a registry; BICEP_TRUSTED_REGISTRIES adds some."""
    name = _bare(host)
    if is_azures(host) or name in _TRUSTED:
        return True
    for one in re.split(r"[,;]", os.environ.get(TRUSTED_VARIABLE, "").lower()):
        chosen = one.strip()
        if name == chosen or (chosen.startswith("*.") and name.endswith(chosen[1:])):
            return True
    return False


def full_reference(reference: str, folder: Path) -> tuple[str, str, str]:
    """`br:HOST/REPOSITORY:TAG` or `br/ALIAS:PATH:TAG` → host, repository, tag.

    Raises: ModuleNotFound when it is none, or the alias is unknown.
    """
    scheme, _, rest = reference.partition(":")
    path, at, tag = rest.rpartition("@")
    if not at:
        path, colon, tag = rest.rpartition(":")
        if not colon or "/" in tag:
            raise ModuleNotFound(
                "BCP195", f'"{reference}" needs a tag at its end, for instance :1.0.0.'
            )
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


def full_spec(reference: str, folder: Path) -> Spec:
    """`ts:SUBSCRIPTION/GROUP/NAME:VERSION` or `ts/ALIAS:NAME:VERSION` → the template spec.

    Raises: ModuleNotFound when it is none, or the alias is unknown.
    """
    scheme, _, rest = reference.partition(":")
    if scheme != "ts":
        alias = scheme.removeprefix("ts/")
        configured = module_alias(folder, "ts", alias)
        if configured is None:
            raise ModuleNotFound(
                "BCP212", f'The template spec alias "{alias}" is not in bicepconfig.json.'
            )
        for code, name in (("BCP214", "subscription"), ("BCP215", "resourceGroup")):
            if not configured.get(name):
                raise ModuleNotFound(
                    code, f'The template spec alias "{alias}" of bicepconfig.json needs "{name}".'
                )
        rest = f"{configured['subscription']}/{configured['resourceGroup']}/{rest}"
    found = _SPEC.match(rest)
    if found is None:
        raise ModuleNotFound(
            "BCP193",
            f'"{reference}" is no template spec; write ts:SUBSCRIPTION/GROUP/NAME:VERSION.',
        )
    return Spec(**found.groupdict())


def _tag_folder(tag: str) -> str:
    """A tag as the cache names it: with which letters are capitals, where their case is lost."""
    if tag.startswith("sha256:"):
        return tag.replace(":", "#")
    capitals = sum(1 << index for index, letter in enumerate(tag) if letter.isupper())
    return f"{tag}$" + (f"{capitals:x}" if capitals else "")


def _module_place(host: str, repository: str, tag: str) -> Path:
    registry = host.replace(":", "$").lower()
    return cache_folder() / "br" / registry / repository.replace("/", "$") / _tag_folder(tag)


def _fetch_module(
    name: str,
    host: str,
    repository: str,
    tag: str,
    place: Path,
    silent: dict[str, str],
    folder: Path,
) -> None:
    from orchestrator.bicep.restore import NoAnswer, Registry, RestoreFailed, restore

    if not is_trusted(host):
        raise ModuleNotFound(
            "BCP446",
            f'"{name}" is not in the cache of modules, and {host} is none of the registries that '
            "modules are fetched from.",
            f"Trust it: {TRUSTED_VARIABLE}={_bare(host)}",
        )
    try:
        if host in silent:
            raise RestoreFailed(silent[host])
        names = credential_names(folder) if is_azures(host) else ()
        restore(Registry(host, repository, names), tag, place)
    except RestoreFailed as failed:
        if isinstance(failed, NoAnswer):
            silent[host] = str(failed)
        raise _not_had(name, failed, place) from None


def _not_had(name: str, why: Exception, place: Path) -> ModuleNotFound:
    return ModuleNotFound(
        "BCP190",
        f'"{name}" is not in the cache of modules, and can\'t be fetched: {why}.',
        f"Its place is {place / 'main.json'}.",
    )


def _spec_file(spec: Spec, folder: Path) -> tuple[Path, str]:
    from orchestrator.bicep.restore import RestoreFailed, restore_spec

    parts = (spec.subscription, spec.group, spec.name, spec.version)
    place = cache_folder().joinpath("ts", *(part.lower() for part in parts))
    name = f"ts:{'/'.join(parts[:3])}:{spec.version}"
    if not (place / "main.json").is_file():
        try:
            restore_spec(spec.id, resource_manager(folder), credential_names(folder), place)
        except RestoreFailed as failed:
            raise _not_had(name, failed, place) from None
    return place / "main.json", name


def _mocked(reference: str, folder: Path) -> Path | None:
    """The file that stands for a module of an alias, where the configuration maps it."""
    alias, _, rest = reference.removeprefix("br/").partition(":")
    base = mocked_modules(folder, alias)
    if base is None:
        return None
    path = rest.partition("@")[0].rpartition(":")[0] or rest
    if not _REPOSITORY.match(path):
        raise ModuleNotFound("BCP193", f'"{reference}" is no module\'s name.')
    return base / f"{path}.bicep"


def resolve_reference(reference: str, folder: Path, silent: dict[str, str]) -> tuple[Path, str]:
    """The file that a reference means, and its full name when it comes from elsewhere.

    `silent`: registries that did not answer, with why; they are not asked again.

    Raises: ModuleNotFound when it is malformed, or the module can't be had.
    """
    if reference.startswith("br/") and (mapped := _mocked(reference, folder)) is not None:
        return mapped, ""
    if reference.startswith(("br:", "br/")):
        host, repository, tag = full_reference(reference, folder)
        if not (_HOST.match(host) and _REPOSITORY.match(repository) and _TAG.match(tag)):
            raise ModuleNotFound(
                "BCP193", f'"{reference}" is no module\'s name; write br:HOST/REPOSITORY:TAG.'
            )
        name = f"br:{host}/{repository}{'@' if tag.startswith('sha256:') else ':'}{tag}"
        place = _module_place(host, repository, tag)
        if not (place / "main.json").is_file():
            _fetch_module(name, host, repository, tag, place, silent, folder)
        return place / "main.json", name
    if reference.startswith(("ts:", "ts/")):
        return _spec_file(full_spec(reference, folder), folder)
    fault = path_fault(reference)
    if fault is not None:
        raise ModuleNotFound(*fault)
    return Path(os.path.normpath(folder / reference)), ""
