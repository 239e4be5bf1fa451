"""How much a template may have. Source: Azure's documentation of the limits of templates."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.model import Model
from orchestrator.bicep.symbols import Symbol

Found = Iterator[tuple[s.Node, str]]


def _more(symbols: list[Symbol], most: int, what: str) -> Found:
    if len(symbols) > most:
        name = getattr(symbols[0].decl, "name", symbols[0].decl)
        yield name, f"A template has at most {most} {what}; here are {len(symbols)}."


def parameters(model: Model, _: Typing) -> Found:
    return _more(model.of(sym.PARAM), 256, "parameters")


def variables(model: Model, _: Typing) -> Found:
    return _more(model.of(sym.VAR), 512, "variables")


def outputs(model: Model, _: Typing) -> Found:
    return _more(model.of(sym.OUTPUT), 64, "outputs")


def resources(model: Model, _: Typing) -> Found:
    return _more([one.symbol for one in model.resources], 800, "resources")


def asserts(model: Model, _: Typing) -> Found:
    return _more(model.of(sym.ASSERT), 32, "assertions")
