"""The compiler that is used: the real `bicep` where it is found, else the built-in one.

The real one is looked for on PATH and where `az` and `azd` keep their copies (`~/.azure/bin`,
`~/.azd/bin`). ORCHESTRATOR_BICEP names another, or says `builtin` to use none.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.bicep import compile_file, compile_params
from orchestrator.errors import BicepError, SettingsError

VARIABLE = "ORCHESTRATOR_BICEP"
BUILT_IN = "builtin"
THE_BUILT_IN = "the built-in compiler"
# a build reads files and perhaps restores modules from a registry
_TIMEOUT_SECONDS = 120


@dataclass(slots=True)
class Built:
    """A template, who made it, and what was warned of (lines as the compiler says them).

    `files`: what it was made of, where the compiler tells; the real one does not.
    """

    template: dict[str, Any]
    compiler: str  # "bicep /path/to/bicep" or THE_BUILT_IN
    warnings: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


@dataclass(slots=True)
class BuiltParams:
    """A parameters file's values, and the template that it is for (None: `using none`)."""

    parameters: dict[str, dict[str, Any]]
    template: dict[str, Any] | None
    using: Path | None
    compiler: str
    warnings: list[str] = field(default_factory=list)
    external_inputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """The values as ARM's own parameters file."""
        from orchestrator.bicep.params import parameters_document

        return parameters_document(self.parameters, self.external_inputs)


def real_bicep() -> Path | None:
    """The real compiler, None when it is not found or not wanted.

    Raises: SettingsError when ORCHESTRATOR_BICEP names a file that is not there.
    """
    chosen = os.environ.get(VARIABLE, "")
    if chosen == BUILT_IN:
        return None
    if chosen:
        found = shutil.which(chosen)
        if found is None:
            raise SettingsError(
                f"{VARIABLE} names {chosen}, which is no program here.",
                f"Correct it, or say {VARIABLE}={BUILT_IN} for the built-in compiler.",
            )
        return Path(found)
    on_path = shutil.which("bicep")
    if on_path is not None:
        return Path(on_path)
    name = "bicep.exe" if os.name == "nt" else "bicep"
    for folder in (".azure", ".azd"):
        candidate = Path.home() / folder / "bin" / name
        if os.access(candidate, os.X_OK) and candidate.is_file():
            return candidate
    return None


def _run(program: Path, command: str, path: Path) -> tuple[dict[str, Any], list[str]]:
    try:
        done = subprocess.run(
            [program, command, str(path), "--stdout"],
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BicepError(
            f"{program} {command} did not end within {_TIMEOUT_SECONDS} s.",
            f"Say {VARIABLE}={BUILT_IN} to use the built-in compiler.",
        ) from None
    except OSError as fault:
        raise BicepError(
            f"{program} can't be run: {fault.strerror}.",
            f"Say {VARIABLE}={BUILT_IN} to use the built-in compiler.",
        ) from None
    said = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    if done.returncode != 0:
        errors = [line for line in said if ": Error " in line or ": error " in line] or said
        raise BicepError("\n".join(errors) or f"{program} ended with {done.returncode}.")
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise BicepError(f"{program} {command} wrote no JSON.") from None
    if not isinstance(found, dict):
        raise BicepError(f"{program} {command} wrote no template.")
    return found, said


def build(path: str | Path) -> Built:
    """The template of a Bicep file.

    Raises: BicepError with all that is wrong; SettingsError for a wrong ORCHESTRATOR_BICEP.
    """
    where = Path(path)
    program = real_bicep()
    if program is None:
        compiled = compile_file(where)
        warnings = [warning.render() for warning in compiled.warnings]
        return Built(compiled.template, THE_BUILT_IN, warnings, compiled.files)
    if not where.is_file():
        raise BicepError(f"There is no file {where}.")
    template, said = _run(program, "build", where)
    return Built(template, f"bicep {program}", said)


def build_params(path: str | Path) -> BuiltParams:
    """The values of a `.bicepparam` file, and the template that it is for.

    Raises: BicepError with all that is wrong; SettingsError for a wrong ORCHESTRATOR_BICEP.
    """
    where = Path(path)
    program = real_bicep()
    if program is None:
        found = compile_params(where)
        return BuiltParams(
            found.values,
            found.template,
            found.using,
            THE_BUILT_IN,
            [warning.render() for warning in found.warnings],
            found.external_inputs,
        )
    if not where.is_file():
        raise BicepError(f"There is no file {where}.")
    document, said = _run(program, "build-params", where)
    file = json.loads(document.get("parametersJson") or "{}")
    parameters = file.get("parameters", {})
    inputs = file.get("externalInputDefinitions", {})
    text = document.get("templateJson")
    template = json.loads(text) if text else None
    from orchestrator.bicep import using_of

    return BuiltParams(parameters, template, using_of(where), f"bicep {program}", said, inputs)
