"""A built-in role of Azure's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

DEFINITIONS = "Microsoft.Authorization/roleDefinitions"


@dataclass(frozen=True, slots=True)
class Role:
    """A built-in role: its guid, name, and what it allows and takes out of that."""

    guid: str
    name: str
    description: str
    actions: Sequence[str] = ()
    not_actions: Sequence[str] = ()
    data_actions: Sequence[str] = ()
    not_data_actions: Sequence[str] = field(default=())

    def resource(self) -> dict[str, Any]:
        """The role definition as Resource Manager shows it at the tenant."""
        return {
            "id": f"/providers/{DEFINITIONS}/{self.guid}",
            "name": self.guid,
            "type": DEFINITIONS,
            "properties": {
                "roleName": self.name,
                "type": "BuiltInRole",
                "description": self.description,
                "assignableScopes": ["/"],
                "permissions": [
                    {
                        "actions": list(self.actions),
                        "notActions": list(self.not_actions),
                        "dataActions": list(self.data_actions),
                        "notDataActions": list(self.not_data_actions),
                    }
                ],
            },
        }
