"""Hosts of one of Azure's clouds, which environment() tells for the cloud that is deployed to."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.bicep import syntax as s
from orchestrator.bicep.config import rule_values
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.model import Model

CODE = "no-hardcoded-env-urls"
# Source: the defaults of Bicep's rule
_HOSTS = (
    "azuredatalakeanalytics.net",
    "azuredatalakestore.net",
    "batch.core.windows.net",
    "core.windows.net",
    "database.windows.net",
    "datalake.azure.net",
    "gallery.azure.com",
    "graph.windows.net",
    "login.microsoftonline.com",
    "management.azure.com",
    "management.core.windows.net",
    "vault.azure.net",
)
_EXCLUDED = ("schema.management.azure.com",)


def _pattern(hosts: tuple[str, ...]) -> re.Pattern[str] | None:
    longest_first = sorted(hosts, key=len, reverse=True)
    if not longest_first:
        return None
    either = "|".join(map(re.escape, longest_first))
    return re.compile(rf"(?<![^\W_])(?:{either})(?![^\W_])", re.IGNORECASE)


def of_one_cloud(model: Model, _: Typing) -> Iterator[tuple[s.Node, str]]:
    if model.is_params:
        return  # there is no environment() in a parameters file
    folder = model.path.parent
    wanted = _pattern(rule_values(folder, CODE, "disallowedhosts") or _HOSTS)
    excluded = _pattern(rule_values(folder, CODE, "excludedhosts") or _EXCLUDED)
    if wanted is None:
        return
    for node in model.nodes:
        if not isinstance(node, s.Str) or _is_description(node):
            continue
        text = model.source.text[node.start : node.end]
        allowed = [found.span() for found in excluded.finditer(text)] if excluded else []
        for found in wanted.finditer(text):
            begin, end = found.span()
            if any(first <= begin and end <= last for first, last in allowed):
                continue
            place = s.Null(node.start + begin, node.start + end)
            yield place, f'"{found.group()}" is of one cloud only; environment() tells it.'


def _is_description(node: s.Node) -> bool:
    parent = node.parent
    while parent is not None and not isinstance(parent, s.Decl):
        if isinstance(parent, s.Decorator):
            return parent.name.name in ("description", "metadata")
        parent = parent.parent
    return False
