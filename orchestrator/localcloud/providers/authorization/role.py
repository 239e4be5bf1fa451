"""A built-in role of Azure's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DEFINITIONS = "Microsoft.Authorization/roleDefinitions"
_KINDS = {"+": "actions", "-": "notActions", ">": "dataActions", "<": "notDataActions"}


@dataclass(frozen=True, slots=True)
class Role:
    """A built-in role.

    Attributes:
        guid, name: Azure's.
        text: What it allows, as `azure_roles.txt` has it.
    """

    guid: str
    name: str
    text: str = ""

    def permissions(self) -> list[dict[str, list[str]]]:
        """What it allows, and takes out of that; most roles have one permission."""
        made: list[dict[str, list[str]]] = [{kind: [] for kind in _KINDS.values()}]
        for line in self.text.splitlines():
            if line == "=":
                made.append({kind: [] for kind in _KINDS.values()})
            elif (kind := _KINDS.get(line[:1])) is not None:
                made[-1][kind].append(line[1:])
        return made

    def resource(self) -> dict[str, Any]:
        """The role definition as Resource Manager shows it at the tenant."""
        said = self.text.partition("\n")[0]
        return {
            "id": f"/providers/{DEFINITIONS}/{self.guid}",
            "name": self.guid,
            "type": DEFINITIONS,
            "properties": {
                "roleName": self.name,
                "type": "BuiltInRole",
                "description": said[2:] if said.startswith("# ") else f"{self.name}.",
                "assignableScopes": ["/"],
                "permissions": self.permissions(),
            },
        }
