"""Bicep into templates of Azure Resource Manager, without the real compiler.

    from orchestrator.bicep import compile_file, compile_params
    compile_file("main.bicep").template
    compile_params("dev.bicepparam").values

`orchestrator.bicep.front` uses the real compiler where it is found.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.bicep.diagnostics import Diagnostic
from orchestrator.errors import BicepError

if TYPE_CHECKING:
    from orchestrator.bicep.model import Compilation, Model

__all__ = [
    "BicepError",
    "Compiled",
    "Diagnostic",
    "Parameters",
    "compile_file",
    "compile_params",
    "using_of",
]


_DEPTH = 20_000


@dataclass(slots=True)
class Compiled:
    """A template, what was warned of, and the files that it was made of."""

    path: Path
    template: dict[str, Any]
    warnings: list[Diagnostic] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


@dataclass(slots=True)
class Parameters:
    """A parameters file: `values` by name, each `{"value": …}`, `{"reference": …}` or, where
    it needs what only whoever deploys can give, `{"expression": …}`.

    `using`: the file of the template, None for `using none`; `template`: what it compiles to;
    `external_inputs`: what the expressions ask for, by key.
    """

    path: Path
    values: dict[str, dict[str, Any]]
    using: Path | None
    template: dict[str, Any] | None
    warnings: list[Diagnostic] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    external_inputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        """The file as ARM's own parameters file."""
        from orchestrator.bicep.params import parameters_document

        return parameters_document(self.values, self.external_inputs)


@contextmanager
def _deep(path: Path) -> Iterator[None]:
    """Expressions may be nested deeper than Python allows by itself; somewhere it ends."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _DEPTH))
    try:
        yield
    except RecursionError:
        raise BicepError(
            f"Something in {path}, or in a file that it uses, is nested too deeply to be compiled.",
            "Split the expression: give its parts names with var.",
        ) from None
    finally:
        sys.setrecursionlimit(before)


def _load(path: Path, suffix: str) -> tuple[Compilation, Model]:
    from orchestrator.bicep.model import Compilation, Model
    from orchestrator.bicep.paths import reading_fault

    if path.suffix != suffix:
        raise BicepError(f"{path} is no {suffix} file.", f"Name a file that ends in {suffix}.")
    compilation = Compilation()
    try:
        model = compilation.load(path)
    except FileNotFoundError:
        raise BicepError(f"There is no file {path}.") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise BicepError(f"{path} can't be read: {reading_fault(fault)}.") from None
    compilation.check()
    compilation.diagnostics.refuse_errors()
    assert isinstance(model, Model)
    return compilation, model


def compile_file(path: str | Path) -> Compiled:
    """The template of a Bicep file, modules inlined.

    Raises: BicepError with all that is wrong, or when the file can't be read.
    """
    from orchestrator.bicep.emit import template_of

    where = Path(path)
    with _deep(where):
        compilation, model = _load(where, ".bicep")
        template = template_of(model)
    compilation.diagnostics.refuse_errors()
    return Compiled(where, template, compilation.diagnostics.warnings, list(compilation.models))


def compile_params(path: str | Path) -> Parameters:
    """The values of a `.bicepparam` file, and the template that it is for.

    Raises: BicepError with all that is wrong, or when a file can't be read.
    """
    from orchestrator.bicep.emit import template_of
    from orchestrator.bicep.params import evaluate_file

    where = Path(path)
    with _deep(where):
        compilation, model = _load(where, ".bicepparam")
        found = evaluate_file(compilation, model)
        compilation.diagnostics.refuse_errors()
        template = template_of(model.using) if model.using is not None else None
    compilation.diagnostics.refuse_errors()
    return Parameters(
        where,
        found.values,
        model.using.path if model.using is not None else None,
        template,
        compilation.diagnostics.warnings,
        list(compilation.models),
        found.external_inputs,
    )


def using_of(path: str | Path) -> Path | None:
    """The file that a `.bicepparam` file names with `using`; None for `using none`.

    Raises: BicepError when the file can't be read as one.
    """
    where = Path(path)
    with _deep(where):
        _, model = _load(where, ".bicepparam")
    return model.using.path if model.using is not None else None
