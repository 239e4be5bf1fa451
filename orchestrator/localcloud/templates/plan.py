"""From a template and its parameters to what is to be deployed, in which order.

    plan = Plan(document, parameters, environment)
    for instance in plan.instances.values():
        instance.id, instance.depends, instance.body()

Nothing is sent anywhere. What only the running cloud knows is asked for while bodies and outputs
are evaluated (`NotYetKnown`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.localcloud.templates.document import Document
from orchestrator.localcloud.templates.environment import Environment
from orchestrator.localcloud.templates.errors import (
    ExpressionError,
    NotYetKnown,
    TemplateError,
    not_valid,
)
from orchestrator.localcloud.templates.evaluation import Evaluation, Target, checked_count
from orchestrator.localcloud.templates.inputs import Inputs
from orchestrator.localcloud.templates.nested import inner_scope, outer_template
from orchestrator.localcloud.templates.placing import (
    DEPLOYMENT,
    GROUP,
    relative,
    resource_path,
    scope_id,
)
from orchestrator.localcloud.templates.values import key_of, member

JSON = dict[str, Any]

_CONTROL = frozenset(
    (
        *("name", "type", "apiversion", "condition", "copy", "dependson", "existing", "resources"),
        *("comments", "scope", "subscriptionid", "resourcegroup", "metadata", "asserts", "import"),
        *("extension", "options", "@options"),
    )
)


@dataclass(slots=True)
class Instance:
    """One resource to deploy (or, `existing`, to look up).

    Attributes:
        key: Names it within the plan: symbolic name with its turn, else the id in small letters.
        symbol: Its symbolic name without a turn; None where resources have none.
        loop: The name of its loop; None outside any.
        index: Its turn in the loop.
        id, type, name, api_version, scope: Evaluated.
        condition: Whether it is deployed.
        existing: Whether it is only looked up.
        evaluation: The place its expressions stand at.
        raw: As the template has it.
        depends: Keys of what must be finished before.
    """

    key: str
    symbol: str | None
    loop: str | None
    index: int
    id: str
    type: str
    name: str
    api_version: str
    scope: str
    condition: bool
    existing: bool
    evaluation: Evaluation
    raw: JSON
    depends: set[str] = field(default_factory=set)

    @property
    def is_deployment(self) -> bool:
        """Whether it is a nested deployment."""
        return self.type.lower() == DEPLOYMENT

    @property
    def is_located(self) -> bool:
        """Whether its id is known by now.

        A nested template is looked into before it is deployed, with expressions of the template
        around for the values that come later; an id that is made of one is no id yet. No resource
        provider allows a name with such brackets.
        """
        return not {"[", "]"} & set(self.id)

    def body(self, evaluation: Evaluation | None = None) -> JSON:
        """What is sent to the resource provider.

        Raises:
            ExpressionError, NotYetKnown: As evaluation does.
        """
        at = evaluation or self.evaluation
        kept = {name: item for name, item in self.raw.items() if name.lower() not in _CONTROL}
        if not self.is_deployment:
            found: JSON = at.resolve(kept)
            return found
        properties = member(kept, "properties")
        template = member(properties, "template") if isinstance(properties, dict) else None
        if template is None:
            whole: JSON = at.resolve(kept)
            return whole
        rest = {name: item for name, item in properties.items() if name.lower() != "template"}
        found = at.resolve({k: v for k, v in kept.items() if k.lower() != "properties"})
        found["properties"] = at.resolve(rest)
        if inner_scope(properties):
            found["properties"]["template"] = template
        else:
            found["properties"]["template"] = outer_template(template, at)
        return found


class Plan:
    """What a template deploys.

    Attributes:
        inputs: Parameters and variables.
        instances: By key, in the template's order.

    Raises:
        ArmError: The template is not valid.
    """

    def __init__(self, document: Document, given: JSON, environment: Environment) -> None:
        self.document = document
        self.environment = environment
        self.inputs = Inputs(document, given, environment)
        self.instances: dict[str, Instance] = {}
        self._index: dict[str, list[str]] = {}
        self._short: dict[str, list[str]] = {}
        self.evaluation = self.inputs.evaluation(self.find)
        for symbol, resource in document.resources:
            self._add(symbol, resource, self.evaluation, None)

    # ---------------------------------------------------------------- resources ----

    def _add(
        self,
        symbol: str | None,
        resource: JSON,
        at: Evaluation,
        parent: tuple[str, str] | None,
    ) -> None:
        for name in ("extension", "import"):
            if member(resource, name) is not None:
                raise not_valid(
                    f"The resource '{symbol or member(resource, 'name')}' belongs to an extension, "
                    "which this local cloud does not have"
                )
        loop = member(resource, "copy")
        if loop is None:
            self._one(symbol, resource, at, parent, None, 0)
            return
        if not isinstance(loop, dict):
            raise not_valid("The 'copy' of a resource must be an object with 'name' and 'count'")
        where = symbol or str(member(resource, "name"))
        loop_name = self.early(at, member(loop, "name", symbol or ""), where)
        count = checked(self.early(at, member(loop, "count"), where), str(loop_name))
        mode = str(self.early(at, member(loop, "mode", "parallel"), where)).lower()
        size = self.early(at, member(loop, "batchSize", 1), where)
        if mode not in ("parallel", "serial"):
            raise not_valid(f"The copy mode '{mode}' of the loop '{loop_name}' is not valid")
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise not_valid(
                f"The batchSize '{size}' of the loop '{loop_name}' must be a whole number from 1 on"
            )
        before: list[str] = []
        batch: list[str] = []
        self._index.setdefault(str(loop_name).lower(), [])
        if symbol:
            self._index.setdefault(symbol.lower(), [])
        for turn in range(count):
            inside = at.within_copy({str(loop_name): turn, "": turn})
            made = self._one(symbol, resource, inside, parent, str(loop_name), turn)
            if mode == "serial":
                if len(batch) == size:
                    before, batch = batch, []
                made.depends.update(before)
                batch.append(made.key)

    def _one(
        self,
        symbol: str | None,
        resource: JSON,
        at: Evaluation,
        parent: tuple[str, str] | None,
        loop: str | None,
        turn: int,
    ) -> Instance:
        where = symbol or str(
            member(resource, "name") or member(resource, "type") or "without name"
        )

        def known(name: str, default: Any = None) -> Any:
            return self.early(at, member(resource, name, default), where)

        condition = known("condition", True)
        if not isinstance(condition, bool):
            raise not_valid(
                f"The condition of the template resource '{where}' must be true or false"
            )
        try:
            type_, name, version, scope = self._placed(where, known, parent)
            id = resource_path(scope, type_, name)
        except TemplateError:
            # What is not deployed need not have a name.
            if condition:
                raise
            type_, version, scope = str(member(resource, "type")), "", ""
            name = id = where
        key = id.lower() if symbol is None else symbol + (f"[{turn}]" if loop is not None else "")
        made = Instance(
            key, symbol, loop, turn, id, type_, name, version, scope, condition,
            member(resource, "existing") is True, at, resource,
        )  # fmt: skip
        before = self.instances.get(key)
        if before is not None and (symbol is not None or (before.condition and condition)):
            raise not_valid(
                f"The resource '{id}' is defined multiple times in a "
                "template. Please see https://aka.ms/arm-syntax-resources for usage details"
            )
        self._keep(made)
        if "/" in name and symbol is None:
            # A child is known in the whole template by its own name, where nothing else has that
            # (found with templates that Azure deploys; it is documented nowhere).
            self._short.setdefault(name.rpartition("/")[2].lower(), []).append(made.key)
        inner = member(resource, "resources")
        if isinstance(inner, (list, dict)):
            pairs = inner.items() if isinstance(inner, dict) else ((None, item) for item in inner)
            for child_symbol, child in pairs:
                if not isinstance(child, dict):
                    raise not_valid(f"What lies inside the resource '{where}' must be an object")
                self._add(child_symbol, child, at, (type_, name))
        return made

    def _placed(
        self, where: str, known: Callable[..., Any], parent: tuple[str, str] | None
    ) -> tuple[str, str, str, str]:
        """Type, name, version and scope of a resource. Raises TemplateError."""
        type_, name, version = known("type"), known("name"), known("apiVersion")
        for what, value in (("type", type_), ("name", name), ("apiVersion", version)):
            if not isinstance(value, str) or not value:
                raise not_valid(f"The template resource '{where}' has no valid '{what}'")
        if parent is not None:
            if not type_.lower().startswith(parent[0].lower() + "/"):
                type_ = f"{parent[0]}/{type_}"
            if name.count("/") < type_.count("/") - 1:
                name = f"{parent[1]}/{name}"
        placed = {
            "type": type_,
            "subscriptionId": known("subscriptionId"),
            "resourceGroup": known("resourceGroup"),
        }
        return type_, name, version, scope_id(placed, self.environment.scope, known("scope"))

    def _keep(self, made: Instance) -> None:
        """Of several with one name, of which one at most is deployed, that one is meant."""
        if made.condition or made.key not in self.instances:
            self.instances[made.key] = made
        names = {made.id.lower(), made.key.lower()}
        if made.type.lower() == GROUP:
            # `subscriptionResourceId` makes ids of resource groups so.
            names.add(f"{made.scope}/providers/{made.type}/{made.name}".lower())
        if made.symbol is not None:
            names.add(made.symbol.lower())
        else:
            names.add(made.name.lower())
        if made.loop is not None:
            names.add(made.loop.lower())
        for name in names:
            keys = self._index.setdefault(name, [])
            if made.key not in keys:
                keys.append(made.key)

    def early(self, at: Evaluation, value: Any, where: str) -> Any:
        """A member that must be known before anything is deployed."""
        try:
            return at.resolve(value)
        except ExpressionError as error:
            raise self.at_fault(where, error.message) from None
        except NotYetKnown:
            raise not_valid(
                f"The template resource '{where}' is not valid: the template function 'reference' "
                "is not expected at this location. Please see https://aka.ms/arm-functions for "
                "usage details"
            ) from None
        except RecursionError:
            raise self.at_fault(where, "its expressions are nested too deeply") from None

    @staticmethod
    def at_fault(where: str, message: str) -> TemplateError:
        """An expression of a resource that cannot be evaluated."""
        more = " Please see https://aka.ms/arm-functions for usage details."
        if "Please see" in message:
            more = ""
        return TemplateError(
            "Deployment template validation failed: 'The template resource "
            f"'{where}' is not valid: {message.rstrip('.')}.{more}'."
        )

    # --------------------------------------------------------------- references ----

    def find(self, name: str) -> Sequence[Target]:
        """What a name in `reference` means: a symbolic name, a resource's name, an id.

        Raises:
            ExpressionError: Nothing.
        """
        keys = self._keys(name)
        if keys:
            found = [self.instances[key] for key in keys]
            return [
                Target(item.id, item.api_version, item.symbol is not None and not item.condition)
                for item in found
            ]
        if name.startswith("/"):
            return [Target(name)]
        if name.lower() in self._index:
            return []
        if "/" in name and "." in name.split("/")[0]:
            return [Target(self.environment.scope.id + relative(name))]
        raise ExpressionError(
            f"The resource '{name}' is not defined in the template. Please see "
            "https://aka.ms/arm-syntax for usage details."
        )

    def keys_of(self, id: str) -> list[str]:
        """The keys of the instances with an id."""
        return self._index.get(id.lower().rstrip("/"), [])

    def may_be_missing(self, id: str) -> bool:
        """Whether a resource that is only looked up is null where there is none."""
        options = [member(self.instances[key].raw, "@options") for key in self.keys_of(id)]
        return any(
            isinstance(item, dict) and key_of(item, "nullIfNotFound") is not None
            for item in options
        )

    def _keys(self, name: str) -> list[str]:
        lower = name.lower().rstrip("/")
        found = self._index.get(lower) or self._short.get(lower)
        if found:
            return found
        if "/" in lower and not lower.startswith("/"):
            # `Microsoft.X/types/name`, relative to where the template is deployed.
            tail = relative(lower)
            return [key for key, item in self.instances.items() if item.id.lower().endswith(tail)]
        return []

    def dependencies(self, name: str, where: str) -> list[str]:
        """The keys that an entry of `dependsOn` means. Raises TemplateError for nothing."""
        keys = self._keys(name)
        if not keys and name.lower() not in self._index:
            raise not_valid(
                f"The resource '{name}' is not defined in the template. The template resource "
                f"'{where}' depends on it. Please see https://aka.ms/arm-syntax for usage details"
            )
        return list(keys)

    def declared(self) -> list[str]:
        """The ids of all that the template has, looked up or not; what its condition excludes is
        not among them."""
        return [item.id for item in self.instances.values() if item.condition]

    # ------------------------------------------------------------------ outputs ----

    def wants(self, definition: JSON) -> bool:
        """Whether an output's condition is met.

        Raises:
            ExpressionError, NotYetKnown: As evaluation does.
        """
        condition = key_of(definition, "condition")
        return condition is None or self.evaluation.resolve(definition[condition]) is not False

    def outcome(self, name: str, at: Evaluation) -> Any:
        """What an output would be; None where its condition is not met, or it is secret.

        Raises:
            ExpressionError, NotYetKnown: As evaluation does.
        """
        definition = self.document.definition("output", name)
        condition = key_of(definition, "condition")
        if condition is not None and at.resolve(definition[condition]) is False:
            return None
        return None if self.document.types.is_secure(definition) else _value(name, definition, at)

    def output(self, name: str, definition: JSON) -> Any:
        """An output's value.

        Raises:
            ExpressionError, NotYetKnown: As evaluation does.
        """
        value = _value(name, definition, self.evaluation)
        try:
            self.document.types.check(definition, value, f"template output '{name}'")
        except TemplateError as error:
            raise ExpressionError(
                error.message.removeprefix("Deployment template validation failed: '")
                .removesuffix(".")
                .removesuffix("'")
                .rstrip(".")
                + "."
            ) from None
        return value


def _value(name: str, definition: JSON, at: Evaluation) -> Any:
    loop = member(definition, "copy")
    if not isinstance(loop, dict):
        return at.resolve(member(definition, "value"))
    count = checked(at.resolve(member(loop, "count")), name)
    return [
        at.within_copy({"": turn, name: turn}).resolve(member(loop, "input"))
        for turn in range(count)
    ]


def checked(count: Any, name: str) -> int:
    """A loop's count, as a finding of validation. Raises TemplateError."""
    try:
        return checked_count(count, name)
    except ExpressionError as error:
        raise not_valid(error.message.rstrip(".")) from None
