"""Pairs made by the real compiler: every `X.bicep` beside its `X.json` in given folders.

Such pairs are other people's work and not kept here. ORCHESTRATOR_BICEP_PAIRS names folders that
hold some, for instance clones of Azure/bicep-registry-modules and Azure/bicep; BICEP_CACHE_DIRECTORY the
modules that these import.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.bicep import BicepError, compile_file

VARIABLE = "ORCHESTRATOR_BICEP_PAIRS"
# of the pairs whose modules are there, this part is to be the same
GOAL = 0.95
_DERIVED = "__bicep_resource_derived_type!"


def normal(value: Any) -> Any:
    """Without what may differ: who made it, the order of dependencies, and the kind of a part of a
    resource type, which only Azure's own library of types knows."""
    if isinstance(value, list):
        return [normal(item) for item in value]
    if not isinstance(value, dict):
        return value
    metadata = value.get("metadata")
    derived = isinstance(metadata, dict) and _DERIVED in metadata
    found = {}
    for key, item in value.items():
        if key in ("_generator", "templateHash") or (derived and key == "type"):
            continue
        if key == "dependsOn" and isinstance(item, list):
            found[key] = sorted(map(str, item))
        elif key == "apiVersion" and value.get("type") == "Microsoft.Resources/deployments":
            continue
        else:
            found[key] = normal(item)
    return found


def pairs() -> Iterator[tuple[Path, Path]]:
    for folder in os.environ.get(VARIABLE, "").split(os.pathsep):
        for source in sorted(Path(folder).rglob("*.bicep")) if folder else ():
            compiled = source.with_suffix(".json")
            if compiled.is_file() and "Invalid" not in str(source):
                yield source, compiled


@pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no folder of pairs")
def test_pairs_of_the_real_compiler() -> None:
    same, different, refused = 0, [], []
    for source, compiled in pairs():
        try:
            found = compile_file(source).template
        except BicepError as error:
            codes = {finding.code for finding in error.diagnostics}
            if not codes & {"BCP190", "unsupported"}:
                refused.append(source)
            continue
        wanted = json.loads(compiled.read_text("utf-8-sig"))
        if normal(found) == normal(wanted):
            same += 1
        else:
            different.append(source)
    total = same + len(different) + len(refused)
    assert total, f"{VARIABLE} names folders without pairs"
    report = "\n".join(map(str, [*different, *refused]))
    assert same / total >= GOAL, f"{same} of {total} are the same; not these:\n{report}"
