"""Azure's built-in roles, with what they allow.

`azure_roles.txt` has what Azure tells of each ("Azure built-in roles"), a role in a paragraph: guid
and name; after `# ` a description in words of our own, for some; then its permissions, `+` for an
action, `-` for one that is taken out again, `>` and `<` for those on data, `=` between two
permissions. Conditions on permissions are left out, and not evaluated. (Guids, names and
permissions are what Azure's API answers, as the public iam-dataset, MIT licence, collects them.)
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from orchestrator.localcloud.providers.authorization.role import DEFINITIONS, Role


def _read() -> dict[str, Role]:
    found = {}
    text = (files(__package__) / "azure_roles.txt").read_text(encoding="utf-8")
    for paragraph in text.split("\n\n"):
        head, _, rest = paragraph.strip().partition("\n")
        guid, _, name = head.partition(" ")
        found[guid] = Role(guid, name, rest)
    return found


BUILT_IN: Mapping[str, Role] = _read()
"""Built-in roles by their guid."""

__all__ = ["BUILT_IN", "DEFINITIONS", "Role"]
