"""Templates that are named instead of sent: versions of template specs in this local cloud.

`templateLink.id` names a version of a template spec (`Microsoft.Resources/templateSpecs/versions`),
whose template takes the link's place, also in nested deployments; there, `relativePath` names one
that was packed with it ("Azure Resource Manager template specs"). Nothing else can be linked here:
an address is another computer's.
"""

from __future__ import annotations

import copy
import posixpath
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, missing, parse
from orchestrator.localcloud.arm.provider import JSON
from orchestrator.localcloud.deployments.calls import Caller, Client
from orchestrator.localcloud.deployments.vault_references import with_secrets
from orchestrator.localcloud.templates.values import member

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

VERSIONS = "Microsoft.Resources/templateSpecs/versions"
_DEPLOYMENTS = "microsoft.resources/deployments"
_DEEPEST = 5
"""How deep nested deployments may be linked."""


async def linked(arm: ResourceManager, caller: Caller, body: Any) -> tuple[Any, JSON | None]:
    """A deployment's request with what it refers to: secrets of its parameters, the template that
    it links to; and that link.

    Args:
        arm: Where template specs and vaults are.
        caller: On whose behalf they are read, who needs the right to.
        body: As it came; not changed.

    Raises:
        ArmError: 404 for a version that does not exist, 403 for one that the caller may not read;
            400 for a secret that cannot be had.
    """
    client = Client(arm, caller)
    body = with_secrets(arm, caller, body)
    properties = member(body, "properties") if isinstance(body, dict) else None
    if not isinstance(properties, dict):
        return body, None
    link = member(properties, "templateLink")
    template = member(properties, "template")
    own: JSON | None = None
    if template is None and (id := _version(link)) is not None:
        template, own = await _template_of(client, id, 0), {"id": id.text}
    if not isinstance(template, dict) or not (own or _has_links(template)):
        return body, None
    whole = await _embedded(client, template, {}, "", 0)
    kept = {
        name: value
        for name, value in properties.items()
        if name.lower() not in ("template", "templatelink")
    }
    others = {name: value for name, value in body.items() if name.lower() != "properties"}
    return {**others, "properties": {**kept, "template": whole}}, own


def _version(link: Any) -> ResourceId | None:
    """The version that a link names; None for a link of another kind, or an expression."""
    given = member(link, "id") if isinstance(link, dict) else None
    if not isinstance(given, str) or not given.startswith("/"):
        return None
    id = parse(given)
    if id.type.lower() == VERSIONS.lower():
        return id
    if id.type.lower() == VERSIONS.rpartition("/")[0].lower():
        raise ArmError(
            "InvalidTemplateSpecLink",
            f"The link '{given}' names a template spec without a version: add /versions/ and one.",
            target="properties.templateLink",
        )
    return None


async def _template_of(client: Client, id: ResourceId, depth: int) -> JSON:
    found = (await client.send("GET", id)).body
    properties = found["properties"]
    main = properties.get("mainTemplate")
    if not isinstance(main, dict):
        raise missing(id)
    artifacts = properties.get("linkedTemplates")
    packed = {
        posixpath.normpath(str(item.get("path", ""))): item.get("template")
        for item in (artifacts if isinstance(artifacts, list) else ())
        if isinstance(item, dict)
    }
    return await _embedded(client, main, packed, "", depth)


def _nested(template: Mapping[str, Any]) -> Iterable[JSON]:
    """The properties of the deployments in a template, resource by resource."""
    resources = member(template, "resources")
    listed = list(resources.values()) if isinstance(resources, dict) else resources
    for resource in listed if isinstance(listed, list) else ():
        if isinstance(resource, dict) and str(member(resource, "type")).lower() == _DEPLOYMENTS:
            properties = member(resource, "properties")
            if isinstance(properties, dict):
                yield properties


def _has_links(template: Mapping[str, Any]) -> bool:
    return any(
        _version(member(properties, "templateLink")) is not None
        or (isinstance(inner := member(properties, "template"), dict) and _has_links(inner))
        for properties in _nested(template)
    )


async def _embedded(
    client: Client, template: JSON, packed: Mapping[str, Any], folder: str, depth: int
) -> JSON:
    """A copy of a template in which nested deployments have the templates they link to."""
    made = copy.deepcopy(template)
    if depth > _DEEPEST:
        raise ArmError(
            "InvalidTemplate",
            f"Deployment template validation failed: templates are linked more than {_DEEPEST} "
            "deep.",
        )
    for properties in _nested(made):
        inner, link = member(properties, "template"), member(properties, "templateLink")
        found: JSON | None = None
        if isinstance(inner, dict):
            found = await _embedded(client, inner, packed, folder, depth)
        elif inner is None and (id := _version(link)) is not None:
            found = await _template_of(client, id, depth + 1)
        elif inner is None and isinstance(link, dict) and (path := member(link, "relativePath")):
            place = posixpath.normpath(posixpath.join(folder, str(path)))
            if isinstance(named := packed.get(place), dict):
                at = posixpath.dirname(place)
                found = await _embedded(client, named, packed, at, depth + 1)
        if found is None:
            continue
        for name in [name for name in properties if name.lower() == "templatelink"]:
            del properties[name]
        properties["template"] = found
    return made
