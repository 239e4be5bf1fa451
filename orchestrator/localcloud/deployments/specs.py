"""Microsoft.Resources/templateSpecs: templates with a name and versions, to be linked to.

"Template Specs" of the REST reference (2022-02-01): a spec has a location and no template; each
version has one, and lies where its spec does. What links to them is `linking.py`.
"""

from __future__ import annotations

from typing import ClassVar

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.provider import JSON, Call, ResourceType
from orchestrator.localcloud.arm.shapes import Shape

SPECS = "Microsoft.Resources/templateSpecs"
_LONGEST = 4096


class TemplateSpecs(ResourceType):
    """A spec; `$expand=versions` lists what it has."""

    type: ClassVar[str] = SPECS
    tracked: ClassVar[bool] = True
    provisioning: ClassVar[bool] = False
    create_status: ClassVar[int] = 201
    create_polled: ClassVar[bool] = False
    shape: ClassVar[Shape] = {"properties": {"description": str, "displayName": str}}

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """What it has of versions is told by them."""
        _check_description(resource["properties"])
        resource["properties"].pop("versions", None)
        return resource

    async def show(self, call: Call, resource: JSON) -> JSON:
        """With its versions where they are asked for."""
        if call.query.get("$expand", "").lower() == "versions":
            versions: JSON = {}
            for record in call.arm.store.inside(resource["id"]):
                if record.id.type.lower() == f"{SPECS}/versions".lower():
                    body = record.read()
                    system = body.get("systemData", {})
                    versions[record.id.name] = {
                        "timeCreated": system.get("createdAt", iso(0)),
                        "timeModified": system.get("lastModifiedAt", iso(0)),
                    }
                    if description := body["properties"].get("description"):
                        versions[record.id.name]["description"] = description
            resource["properties"]["versions"] = versions
        return resource


class TemplateSpecVersions(ResourceType):
    """A version of a spec: the template, and those that it links to beside it."""

    type: ClassVar[str] = f"{SPECS}/versions"
    tracked: ClassVar[bool] = True
    provisioning: ClassVar[bool] = False
    create_status: ClassVar[int] = 201
    create_polled: ClassVar[bool] = False
    shape: ClassVar[Shape] = {"properties": {"description": str}}

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """It has a template, and lies with its spec."""
        properties = resource["properties"]
        _check_description(properties)
        # As in 2019-06-01-preview.
        for name, older in (("mainTemplate", "template"), ("linkedTemplates", "artifacts")):
            if older in properties:
                properties.setdefault(name, properties.pop(older))
        if not isinstance(properties.get("mainTemplate"), dict):
            raise ArmError(
                "InvalidTemplateSpecVersion",
                f"The template spec version '{call.id.name}' needs 'mainTemplate', which is a "
                "template.",
                target="properties.mainTemplate",
            )
        spec = call.arm.store.get(call.id.top) or {}
        if old is None and resource["location"] != spec.get("location", resource["location"]):
            raise ArmError(
                "InvalidTemplateSpecVersionLocation",
                f"The template spec version '{call.id.name}' must be in the location of its "
                f"template spec, '{spec['location']}'.",
                target="location",
            )
        return resource


def _check_description(properties: JSON) -> None:
    if len(properties.get("description") or "") > _LONGEST:
        raise ArmError(
            "InvalidTemplateSpecDescription",
            f"A description has at most {_LONGEST} characters.",
            target="properties.description",
        )
