"""Azure's built-in roles.

Ids and names are Azure's ("Azure built-in roles"). The permissions of those that the local cloud's
resource types have a use for are known, so that enforcing them is no guess; the others, in
`azure_roles.txt`, are known by name: they can be assigned, and allow nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from orchestrator.localcloud.providers.role import DEFINITIONS, Role
from orchestrator.localcloud.providers.roles_data import DATA
from orchestrator.localcloud.providers.roles_general import GENERAL, OWNER


def _by_name_only() -> list[Role]:
    text = (files(__package__) / "azure_roles.txt").read_text(encoding="utf-8")
    return [
        Role(guid, name, "Its permissions are not known to the local cloud.")
        for guid, _, name in (line.partition(" ") for line in text.splitlines())
    ]


BUILT_IN: Mapping[str, Role] = {role.guid: role for role in (*GENERAL, *DATA, *_by_name_only())}
"""Built-in roles by their guid."""

__all__ = ["BUILT_IN", "DEFINITIONS", "OWNER", "Role"]
