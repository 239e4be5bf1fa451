"""Bicep into templates of Azure Resource Manager, without the real compiler.

from orchestrator.bicep import compile_file
compile_file("main.bicep").template
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.bicep.diagnostics import Diagnostic
from orchestrator.errors import BicepError

__all__ = ["BicepError", "Compiled", "Diagnostic", "compile_file"]


@dataclass(slots=True)
class Compiled:
    """A template, what was warned of, and the files that it was made of."""

    path: Path
    template: dict[str, Any]
    warnings: list[Diagnostic] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


def compile_file(path: str | Path) -> Compiled:
    """The template of a Bicep file, modules inlined.

    Raises: BicepError with all that is wrong, or when the file can't be read.
    """
    from orchestrator.bicep.emit import template_of
    from orchestrator.bicep.model import Compilation, Model

    where = Path(path)
    compilation = Compilation()
    try:
        model = compilation.load(where)
    except FileNotFoundError:
        raise BicepError(f"There is no file {where}.") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise BicepError(f"{where} can't be read: {fault}.") from None
    compilation.diagnostics.refuse_errors()
    if not isinstance(model, Model):
        raise BicepError(f"{where} is no Bicep file.", "Name a file that ends in .bicep.")
    template = template_of(model)
    compilation.diagnostics.refuse_errors()
    return Compiled(where, template, compilation.diagnostics.warnings, list(compilation.models))
