"""What is allowed and seldom meant: unused declarations, secrets that are shown, too many things.

The rules and their codes are those of Bicep's linter, as far as they need no types of Azure's, and
without those of style. `analyzers.core.rules` of bicepconfig.json sets their levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestrator.bicep import syntax as s
from orchestrator.bicep.config import rule_level
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.linter import absent, hosts, limits, secrets, types, unused
from orchestrator.bicep.model import Model

_OFF = ("off", "info")


@dataclass(slots=True, frozen=True)
class Rule:
    """`find`: where a file breaks the rule, and the sentence that says so."""

    code: str
    find: Callable[[Model, Typing], Iterator[tuple[s.Node, str]]]
    level: str = "warning"


_RULES = (
    Rule("no-unused-params", unused.parameters),
    Rule("no-unused-vars", unused.variables),
    Rule("no-unused-types", unused.types),
    Rule("no-unused-imports", unused.imports),
    Rule("no-unused-existing-resources", unused.existing_resources),
    Rule("secure-parameter-default", secrets.defaults),
    Rule("secure-secrets-in-params", secrets.parameters),
    Rule("outputs-should-not-contain-secrets", secrets.outputs),
    Rule("adminusername-should-not-be-literal", secrets.admin_names),
    Rule("no-hardcoded-env-urls", hosts.of_one_cloud),
    Rule("max-params", limits.parameters, "error"),
    Rule("max-variables", limits.variables, "error"),
    Rule("max-outputs", limits.outputs, "error"),
    Rule("max-resources", limits.resources, "error"),
    Rule("max-asserts", limits.asserts, "error"),
    Rule("BCP036", types.wrong_kinds),
    Rule("BCP037", types.almost_common),
    Rule("BCP081", types.unknown),
    Rule("BCP179", absent.loops),
    Rule("BCP318", absent.reads),
)


def lint(model: Model) -> None:
    """Tell what breaks a rule. For files that have no errors."""
    typing = Typing(model)
    for rule in _RULES:
        level = rule_level(model.path.parent, rule.code) or rule.level
        if level in _OFF:
            continue
        say = model.error if level == "error" else model.warning
        for node, sentence in rule.find(model, typing):
            if not model.source.is_quiet(rule.code, node.start):
                say(node, rule.code, sentence)
