"""Which resource waits for which: `dependsOn`, and `reference` of what the template deploys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from orchestrator.localcloud.templates.errors import ExpressionError, NotYetKnown, not_valid
from orchestrator.localcloud.templates.evaluation import Evaluation, check_known, invocations
from orchestrator.localcloud.templates.expressions import Literal, expressions, parse
from orchestrator.localcloud.templates.plan import Instance, Plan
from orchestrator.localcloud.templates.values import member

Seen = Callable[[Instance, Any, bool], None]


def connect(plan: Plan, seen: Seen = lambda instance, body, known: None) -> None:
    """Fill `depends` of every instance, and check every expression that can be checked by now.

    Args:
        plan: Its instances are completed.
        seen: Told each resource that will be deployed, with its body as far as it is known, and
            whether that is all of it.

    Raises:
        TemplateError: An expression is not valid, a dependency leads nowhere or in a circle.
    """
    for instance in plan.instances.values():
        _explicit(plan, instance)
        if instance.condition and not instance.existing:
            body, known = _implicit(plan, instance)
            seen(instance, body, known)
    _outputs(plan)
    _skip_existing(plan)
    _acyclic(plan)


def _outputs(plan: Plan) -> None:
    """What is not even an expression is found before anything is deployed, not at the end."""
    for name in plan.document.outputs:
        definition = plan.document.definition("output", name)
        try:
            said = [member(definition, key) for key in ("condition", "copy", "value")]
            for text in expressions(said):
                for call in invocations(parse(text)):
                    check_known(plan.evaluation, call)
                    match call.arguments:
                        case (Literal(str() as named),):
                            plan.inputs.check_named(call.name.lower(), named)
        except ExpressionError as error:
            raise not_valid(f"The template output '{name}' is not valid: {error.message}") from None


def _explicit(plan: Plan, instance: Instance) -> None:
    declared = member(instance.raw, "dependsOn", [])
    entries = plan.early(instance.evaluation, declared, instance.key)
    if not isinstance(entries, list):
        raise not_valid(f"The 'dependsOn' of the resource '{instance.name}' must be an array")
    for entry in entries:
        if isinstance(entry, str):
            instance.depends.update(plan.dependencies(entry, instance.name))
        elif entry is not None:
            raise not_valid(f"The 'dependsOn' of the resource '{instance.name}' must hold texts")
    instance.depends.discard(instance.key)


def _implicit(plan: Plan, instance: Instance) -> tuple[Any, bool]:
    """Evaluate the body as far as it goes, and wait for what the rest asks for."""

    asked: list[str] = []

    def unknown(at: Evaluation, text: str, error: NotYetKnown) -> Any:
        asked.append(text)
        found = {error.request.id.lower()}
        for call in invocations(parse(text)):
            name = call.name.lower()
            if call.arguments and (
                name in ("reference", "references") or (name.startswith("list") and "." not in name)
            ):
                # Its argument may turn with a lambda around: then it is found when it is asked.
                try:
                    target = at.value(call.arguments[0])
                    if isinstance(target, str):
                        found.update(item.id.lower() for item in plan.find(target))
                except (ExpressionError, NotYetKnown):
                    continue
        for id in found:
            instance.depends.update(key for key in plan.keys_of(id) if key != instance.key)
        return text

    try:
        body = instance.body(replace(instance.evaluation, unknown=unknown))
    except ExpressionError as error:
        raise plan.at_fault(instance.name, error.message) from None
    except RecursionError:
        raise plan.at_fault(instance.name, "its expressions are nested too deeply") from None
    return body, not asked


def _skip_existing(plan: Plan) -> None:
    """Nothing waits for what is only looked up, but for what that waits for."""
    for instance in plan.instances.values():
        waiting, done = set(instance.depends), set()
        kept: set[str] = set()
        while waiting:
            key = waiting.pop()
            if key in done:
                continue
            done.add(key)
            other = plan.instances[key]
            if other.existing:
                waiting |= other.depends
            else:
                kept.add(key)
        instance.depends = kept - {instance.key} if not instance.existing else instance.depends


def _acyclic(plan: Plan) -> None:
    state: dict[str, int] = {}
    for start in plan.instances:
        path: list[str] = []
        stack: list[tuple[str, list[str]]] = [(start, sorted(plan.instances[start].depends))]
        if state.get(start):
            continue
        state[start] = 1
        path.append(start)
        while stack:
            key, rest = stack[-1]
            if not rest:
                stack.pop()
                path.pop()
                state[key] = 2
                continue
            following = rest.pop()
            if state.get(following) == 1:
                circle = [*path[path.index(following) :], following]
                names = " -> ".join(plan.instances[item].id for item in circle)
                raise not_valid(
                    f"Circular dependency detected on resource: "
                    f"'{plan.instances[following].id}': {names}. Please see "
                    "https://aka.ms/arm-template-expressions for usage details"
                )
            if not state.get(following):
                state[following] = 1
                path.append(following)
                stack.append((following, sorted(plan.instances[following].depends)))
