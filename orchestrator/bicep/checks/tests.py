"""`test name 'file.bicep' = { params: { … } }`: an experimental feature, no part of a template."""

from __future__ import annotations

from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.checks.modules import check_arguments
from orchestrator.bicep.config import experimental
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.model import ArmFile, Model


def check(model: Model, typing: Typing) -> None:
    enabled = experimental(model.path.parent, "testFramework")
    for symbol in model.of(sym.TEST):
        decl = symbol.decl
        assert isinstance(decl, s.TestDecl)
        if not enabled:
            model.error(
                decl,
                "BCP348",
                "test is experimental: enable it in bicepconfig.json "
                '({"experimentalFeaturesEnabled": {"testFramework": true}}).',
            )
            continue
        for prop in decl.value.props:
            if prop.name != "params":
                model.error(prop.key, "BCP037", "A test has params, and nothing else.")
        if isinstance(symbol.file, ArmFile):
            model.error(decl.path, "BCP345", "Only a Bicep file is tested.")
        elif symbol.file is not None:
            check_arguments(model, typing, symbol, decl.value)
