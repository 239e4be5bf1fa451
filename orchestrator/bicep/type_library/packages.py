"""Azure's types out of Microsoft's own packages, which are installed with this one.

Each of their operations that puts a resource tells the resource's type (its URL), an API version
and the model of the body. A package knows one version of most types. Of an earlier one only what is
spelt almost as something that the model has is told: see `Packages.find`.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from orchestrator.bicep.type_library.described import ALMOST, SAME, ResourceType
from orchestrator.bicep.type_library.package_models import Models

_PACKAGES = {
    "microsoft.alertsmanagement": "azure.mgmt.alertsmanagement",
    "microsoft.app": "azure.mgmt.appcontainers",
    "microsoft.authorization": "azure.mgmt.authorization",
    "microsoft.insights": "azure.mgmt.monitor",
    "microsoft.monitor": "azure.mgmt.monitor",
    "microsoft.servicebus": "azure.mgmt.servicebus",
}
_BUILDER = re.compile(r"^def (build_\w+_request)\(", re.MULTILINE)
_PUT = re.compile(r'method="PUT"')
_URL = re.compile(r'"[^"\n]*/providers/(Microsoft\.[^"\n]*)"')
_VERSION = re.compile(r'"api-version", "([\w-]+)"')
_MODEL = re.compile(r"_models\.(\w+)")


@dataclass(slots=True, frozen=True)
class _Put:
    """What an operation sends, where."""

    version: str
    model: str
    models: Models


class Packages:
    """The packages that this one depends on, as a library of types."""

    is_whole = False

    def find(self, kind: str, version: str) -> ResourceType | None:
        """A type, as sure as its description is.

        Of the version that is asked for, it is the description. An earlier version has hardly ever
        had a property whose name is almost that of another; of a later one, and of previews,
        nothing can be said.
        """
        package = _PACKAGES.get(kind.partition("/")[0].lower())
        if package is None:
            return None
        put = _operations(package, version).get(kind.lower())
        if put is None:
            return None
        trust = SAME if put.version == version else ALMOST
        if trust == ALMOST and (version > put.version or "-p" in version or "-p" in put.version):
            return None
        body = put.models.kind(put.model)
        return ResourceType(kind, body, 0, 0, trust=trust) if body.props else None


@cache
def _operations(package: str, version: str) -> Mapping[str, _Put]:
    """What a package puts, by type in small letters; of packages that have several versions in
    folders of their own, the one that is asked for."""
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not places:
        return {}
    folder = Path(places[0])
    own = folder / f"v{version.replace('-', '_')}"
    return _of_folder(own if own.is_dir() else folder)


@cache
def _of_folder(folder: Path) -> Mapping[str, _Put]:
    models = Models(folder / "models")
    found: dict[str, _Put] = {}
    for path in sorted((folder / "operations").glob("_*operations.py")):
        for kind, version, model in _puts(path.read_text("utf-8")):
            found.setdefault(kind.lower(), _Put(version, model, models))
    return found


def _puts(text: str) -> Iterator[tuple[str, str, str]]:
    """Type, API version and model of the operations in a file that put a resource."""
    marks = list(_BUILDER.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    for mark, end in zip(marks, ends, strict=False):
        builder = text[mark.start() : end].partition("\n\n\nclass ")[0]
        url, version = _URL.search(builder), _VERSION.search(builder)
        if not _PUT.search(builder) or url is None or version is None:
            continue
        kind = _kind(url.group(1).rpartition("/providers/")[2])
        model = _sent(text, mark.group(1))
        if kind and model:
            yield kind, version.group(1), model


def _kind(path: str) -> str:
    """`Microsoft.App/jobs/{jobName}` -> `Microsoft.App/jobs`; "" of what is no resource's path."""
    namespace, *rest = path.split("/")
    types, names = rest[::2], rest[1::2]
    if len(types) != len(names) or any("{" in one for one in types):
        return ""
    return "/".join((namespace, *types))


def _sent(text: str, builder: str) -> str:
    """The model of the body that the method sends which builds its request so."""
    used = text.find(f"= {builder}(")
    start = text.rfind("\n    def ", 0, used)
    signature = text[start:used].partition(" -> ")[0]
    found = _MODEL.search(signature)
    return found.group(1) if used > 0 and found is not None else ""
