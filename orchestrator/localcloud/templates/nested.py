"""Nested templates: whose parameters and variables their expressions see.

With the scope `inner` a nested template is left alone; with `outer`, which is the default, its
expressions belong to the template around it and are evaluated there, before it is sent
("Expression evaluation scope in nested templates").
"""

from __future__ import annotations

import json
from typing import Any

from orchestrator.localcloud.templates.errors import ExpressionError, NotYetKnown
from orchestrator.localcloud.templates.evaluation import Evaluation, invocations
from orchestrator.localcloud.templates.expressions import (
    Access,
    Invocation,
    Literal,
    Node,
    is_expression,
    parse,
)
from orchestrator.localcloud.templates.values import member

JSON = dict[str, Any]

_OF_LOOP = frozenset(("copyindex", "lambdavariables", "lambda"))


def inner_scope(properties: JSON) -> bool:
    """Whether a nested deployment evaluates its template itself."""
    options = member(properties, "expressionEvaluationOptions")
    if not isinstance(options, dict):
        return False
    return str(member(options, "scope", "")).lower() == "inner"


def outer_template(template: Any, at: Evaluation) -> Any:
    """A nested template with the outer template's values in it.

    Loops inside the nested template stay: only what does not turn with them is evaluated.

    Raises:
        ExpressionError, NotYetKnown: As evaluation does.
    """
    if isinstance(template, str):
        # A whole template out of a variable: its expressions are its own.
        return at.text(template)
    return _resolved(template, at)


def _resolved(template: Any, at: Evaluation) -> Any:
    if isinstance(template, dict):
        return {
            (str(_text(key, at)) if key.startswith("[") else key): (
                # A template inside that evaluates itself is left alone.
                item if key.lower() == "template" and inner_scope(template) else _resolved(item, at)
            )
            for key, item in template.items()
        }
    if isinstance(template, list):
        return [_resolved(item, at) for item in template]
    return _text(template, at) if isinstance(template, str) else template


def _text(text: str, at: Evaluation) -> Any:
    if not is_expression(text):
        return text
    node = parse(text)
    if not any(call.name.lower() == "copyindex" for call in invocations(node)):
        value = at.text(text)
        return _escaped(value)
    return f"[{write(specialised(node, at))}]"


def _escaped(value: Any) -> Any:
    """A value, so that it is still the same after it is evaluated once more."""
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        return f"[{value}"
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value


def specialised(node: Node, at: Evaluation) -> Node:
    """A tree with everything evaluated that does not turn with a loop."""
    if isinstance(node, Literal):
        return node
    if not any(call.name.lower() in _OF_LOOP for call in invocations(node)):
        try:
            return _literal(at.value(node))
        except (ExpressionError, NotYetKnown):
            return node
    if isinstance(node, Access):
        return Access(specialised(node.target, at), specialised(node.index, at))
    if node.name.lower() in _OF_LOOP:
        return node
    return Invocation(node.name, tuple(specialised(item, at) for item in node.arguments))


def _literal(value: Any) -> Node:
    if isinstance(value, bool) or value is None:
        return Invocation(json.dumps(value), ())
    if isinstance(value, (str, int, float)):
        return Literal(value)
    return Invocation("json", (Literal(json.dumps(value, ensure_ascii=False)),))


def write(node: Node) -> str:
    """The text of a tree, without the brackets around."""
    if isinstance(node, Literal):
        if isinstance(node.value, str):
            return "'" + node.value.replace("'", "''") + "'"
        return str(node.value)
    if isinstance(node, Access):
        return f"{write(node.target)}[{write(node.index)}]"
    return f"{node.name}({', '.join(map(write, node.arguments))})"
