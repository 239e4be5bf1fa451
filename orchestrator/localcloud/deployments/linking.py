"""Templates that are named instead of sent: versions of template specs, and public addresses.

`templateLink.id` names a version of a template spec (`Microsoft.Resources/templateSpecs/versions`)
in this local cloud, whose template takes the link's place, also in nested deployments; there,
`relativePath` names one that was packed with it ("Azure Resource Manager template specs").

`templateLink.uri` and `parametersLink.uri` are downloaded; in what was downloaded, `relativePath`
is beside it ("Using linked and nested templates"). What may be a key in an address, its query
string, is used and shown to nobody.
"""

from __future__ import annotations

import copy
import posixpath
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit, urlunsplit

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, missing, parse
from orchestrator.localcloud.arm.provider import JSON
from orchestrator.localcloud.deployments.calls import Caller, Client
from orchestrator.localcloud.deployments.vault_references import with_secrets
from orchestrator.localcloud.downloads import DownloadError, bare, download, is_web_address
from orchestrator.localcloud.templates.reading import read
from orchestrator.localcloud.templates.values import member

if TYPE_CHECKING:
    from orchestrator.localcloud.arm.dispatch import ResourceManager

VERSIONS = "Microsoft.Resources/templateSpecs/versions"
_DEPLOYMENTS = "microsoft.resources/deployments"
_SCOPE = "expressionEvaluationOptions"
_DEEPEST = 5
"""How deep nested deployments may be linked."""


SIZE_LIMIT = 4 * 1024 * 1024
"""Bytes of a template or a parameters file ("template limits": 4 MB)."""


@dataclass(frozen=True, slots=True)
class Link:
    """Where a deployment's template is from.

    Attributes:
        shown: As the deployment shows it.
        uri: Its address, as it was given; "" for a template spec.
        query: What else was to be sent with it, without `?`.
        depth: In how many linked templates it lies.
    """

    shown: JSON
    uri: str = ""
    query: str = ""
    depth: int = 0

    def told(self) -> JSON:
        """As `deployment()` tells it to the template itself."""
        return {**self.shown, "uri": self.uri} if self.uri else self.shown

    def stored(self) -> JSON:
        """As JSON, with its secrets."""
        return {"shown": self.shown, "uri": self.uri, "query": self.query, "depth": self.depth}


async def linked(
    arm: ResourceManager, caller: Caller, body: Any, depth: int = 0
) -> tuple[Any, Link | None]:
    """A deployment's request with what it refers to: secrets of its parameters, the template and
    the parameters that it links to; and where the template is from.

    Args:
        arm: Where template specs and vaults are.
        caller: On whose behalf they are read, who needs the right to.
        body: As it came; not changed.
        depth: In how many linked templates it lies.

    Raises:
        ArmError: 404 for a version that does not exist, 403 for one that the caller may not read;
            400 for a secret or an address that cannot be had.
    """
    client = Client(arm, caller)
    body = with_secrets(arm, caller, await _with_parameters(body))
    properties = member(body, "properties") if isinstance(body, dict) else None
    if not isinstance(properties, dict):
        return body, None
    link = member(properties, "templateLink")
    template = member(properties, "template")
    own: Link | None = None
    if template is None and (id := _version(link)) is not None:
        template, own = await _template_of(client, id, 0), Link({"id": id.text})
    elif template is None and isinstance(link, dict):
        template, own = await _downloaded(link, depth)
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


def beside(body: Any, above: Link | None) -> Any:
    """A nested deployment's request whose link is relative, with the whole address.

    Args:
        body: Not changed.
        above: Where the template is from that the deployment lies in.
    """
    properties = member(body, "properties") if isinstance(body, dict) else None
    link = member(properties, "templateLink") if isinstance(properties, dict) else None
    if not isinstance(properties, dict) or not isinstance(link, dict) or above is None:
        return body
    path = member(link, "relativePath")
    if not isinstance(path, str) or member(link, "uri") or member(link, "id") or not above.uri:
        return body
    parts = urlsplit(above.uri)
    uri = urljoin(urlunsplit(parts._replace(query="", fragment="")), path)
    if parts.query:
        uri += f"?{parts.query}"
    whole = {**link, "uri": uri}
    if above.query:
        whole.setdefault("queryString", above.query)
    kept = {name: value for name, value in properties.items() if name.lower() != "templatelink"}
    others = {name: value for name, value in body.items() if name.lower() != "properties"}
    return {**others, "properties": {**kept, "templateLink": whole}}


async def _with_parameters(body: Any) -> Any:
    """A request with the parameters that it links to."""
    properties = member(body, "properties") if isinstance(body, dict) else None
    link = member(properties, "parametersLink") if isinstance(properties, dict) else None
    if not isinstance(properties, dict) or link is None:
        return body
    if member(properties, "parameters"):
        raise ArmError(
            "InvalidDeployment",
            "The deployment has both 'parameters' and 'parametersLink'; only one can be given.",
            target="properties.parametersLink",
        )
    document, _ = await _content(link if isinstance(link, dict) else {}, "ParametersLink")
    kept = {
        name: value
        for name, value in properties.items()
        if name.lower() not in ("parameters", "parameterslink")
    }
    others = {name: value for name, value in body.items() if name.lower() != "properties"}
    found = member(document, "parameters") or {}
    return {**others, "properties": {**kept, "parameters": found}}


async def _downloaded(link: JSON, depth: int) -> tuple[JSON, Link]:
    if depth > _DEEPEST:
        raise _too_deep()
    template, uri = await _content(link, "TemplateLink")
    shown: JSON = {"uri": bare(uri)}
    if (path := member(link, "relativePath")) is not None:
        shown["relativePath"] = str(path)
    if (version := member(template, "contentVersion")) is not None:
        shown["contentVersion"] = str(version)
    query = str(member(link, "queryString") or "").removeprefix("?")
    return template, Link(shown, uri, query, depth)


async def _content(link: JSON, name: str) -> tuple[JSON, str]:
    """The object at a link, and its address as it was given.

    Raises:
        ArmError: 400 `InvalidContentLink`; `InvalidTemplate` for another version of it.
    """
    uri, query = member(link, "uri"), str(member(link, "queryString") or "").removeprefix("?")
    target = f"properties.{name[0].lower()}{name[1:]}"
    if not isinstance(uri, str) or not is_web_address(uri):
        given = uri if isinstance(uri, str) else str(member(link, "relativePath") or "")
        raise ArmError(
            "InvalidContentLink",
            f"The provided content link '{bare(given)}' is invalid or not supported. Content link "
            "must be an absolute URI, of http or https.",
            target=target,
        )
    whole = uri
    if query:
        whole += ("&" if urlsplit(uri).query else "?") + query
    try:
        text = (await download(whole, SIZE_LIMIT)).decode("utf-8-sig")
        document = read(text)
    except DownloadError as error:
        why = str(error)
    except (ValueError, RecursionError):
        why = "it is no JSON"
    else:
        why = "" if isinstance(document, dict) else "it is no JSON object"
    if why:
        raise ArmError(
            "InvalidContentLink",
            f"Unable to download deployment content from '{bare(uri)}': {why}. The tracking Id is "
            f"'{uuid.uuid4()}'. Please see https://aka.ms/arm-deploy for usage details.",
            target=target,
        )
    wanted, there = member(link, "contentVersion"), member(document, "contentVersion")
    if wanted is not None and wanted != there:
        raise ArmError(
            "InvalidTemplate",
            "Deployment template validation failed: 'The content version contained in the template "
            f"'{there}' does not match the content version found in the deployment object's {name} "
            f"property '{wanted}'. Please see https://aka.ms/arm-deploy for usage details.'.",
            target=target,
        )
    return document, uri


def _too_deep() -> ArmError:
    return ArmError(
        "InvalidTemplate",
        f"Deployment template validation failed: templates are linked more than {_DEEPEST} deep.",
    )


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
        raise _too_deep()
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
        if not isinstance(inner, dict):
            # What is linked sees its own parameters and variables, whatever is said of the scope.
            for name in [name for name in properties if name.lower() == _SCOPE.lower()]:
                del properties[name]
            properties[_SCOPE] = {"scope": "inner"}
    return made
