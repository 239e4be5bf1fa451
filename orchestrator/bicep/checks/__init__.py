"""What is wrong with a file beyond its syntax and its names: each check in a module of its own."""

from __future__ import annotations

from orchestrator.bicep.checks import (
    bodies,
    bounds,
    cycles,
    decorators,
    expressions,
    lambdas,
    loops,
    modules,
    names,
    param_imports,
    resources,
    tests,
    timing,
    types,
)
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.model import Model


def check(model: Model) -> None:
    """Every finding about a file, into the diagnostics of its compilation."""
    names.check(model)
    cycles.check(model)
    model.unit  # noqa: B018 -- reads the files that the file loads
    typing = Typing(model)
    types.check(model)
    decorators.check(model, typing)
    expressions.check(model, typing)
    bounds.check(model, typing)
    loops.check(model)
    lambdas.check(model)
    resources.check(model, typing)
    bodies.check(model, typing)
    modules.check(model, typing)
    tests.check(model, typing)
    timing.check(model, typing)
    param_imports.check(model)
