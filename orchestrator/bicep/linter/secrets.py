"""Secrets that a template shows: as defaults, in parameters that are not secure, in outputs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.bicep import kinds
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.inference import Typing, parameter_type
from orchestrator.bicep.interface import is_secure, secure_outputs
from orchestrator.bicep.model import Model, has_decorator
from orchestrator.bicep.symbols import Symbol
from orchestrator.bicep.unit import built_in_name, is_namespace

Found = Iterator[tuple[s.Node, str]]

# Source: Bicep's rule secure-secrets-in-params
_SECRET = re.compile(r"password|pwd|secret|accountkey|acctkey", re.IGNORECASE)
_NO_SECRET = re.compile(r"secret(?:permissions|version|ur[il]|name)", re.IGNORECASE)


def _params(model: Model) -> Iterator[tuple[s.ParamDecl, bool]]:
    for symbol in model.of(sym.PARAM):
        if isinstance(symbol.decl, s.ParamDecl):
            yield symbol.decl, is_secure(model, symbol.decl)


def _secure_parameter(node: s.Node) -> bool:
    """Whether this names a parameter that is secure as a whole."""
    symbol = node.symbol if isinstance(node, s.Name) else None
    return (
        isinstance(symbol, Symbol)
        and isinstance(symbol.decl, s.ParamDecl)
        and has_decorator(symbol.decl, "secure")
    )


def defaults(model: Model, _: Typing) -> Found:
    """A default value of a secret is no secret."""
    for decl, secure in _params(model):
        default = decl.default
        if not secure or default is None:
            continue
        inner = s.unwrap(default)
        empty = (isinstance(inner, s.Str) and inner.literal == "") or (
            isinstance(inner, s.Object) and not inner.items
        )
        made = any(built_in_name(node) == "newGuid" for node in s.walk(default))
        if not (empty or made or _secure_parameter(inner)):
            equals = model.source.text.rfind("=", decl.type.end, default.start)
            yield (
                s.Null(equals, default.end),
                "The template shows this default value of a secret; give none, or newGuid().",
            )


def parameters(model: Model, _: Typing) -> Found:
    """A parameter that is named as a secret, or has one as its default."""
    for decl, secure in _params(model):
        if secure:
            continue
        name = decl.name.name
        kind = kinds.without_null(parameter_type(model, decl))
        members = kind.members or (kind,)
        texts = all(one.name in ("string", "object") for one in members)
        sounds = texts and _SECRET.search(name) and not _NO_SECRET.search(name)
        holds = decl.default is not None and any(map(_secure_parameter, s.walk(decl.default)))
        if sounds or holds:
            yield decl.name, f'"{name}" seems to be a secret: put @secure() before it.'


def outputs(model: Model, typing: Typing) -> Found:
    """An output stays in the deployment's history, to be read by everybody who may see that."""
    for decl in model.declarations(s.OutputDecl):
        if has_decorator(decl, "secure"):
            continue
        if "password" in decl.name.name.lower():
            yield decl, f'The output "{decl.name.name}" seems to be a secret, and is shown.'
        for node in s.walk(decl.value):
            secret = _shown(node, typing)
            if secret is not None:
                yield secret, "This may be a secret, and an output is shown."


def _shown(node: s.Node, typing: Typing) -> s.Node | None:
    if _secure_parameter(node):
        return node
    if isinstance(node, (s.Call, s.MethodCall)) and node.name.name.lower().startswith("list"):
        method = isinstance(node, s.MethodCall) and not is_namespace(node.base)
        if method and typing.of(node.base).name != "resource":  # type: ignore[union-attr]
            return None
        return node if method or built_in_name(node) else None
    if isinstance(node, s.Member):
        outer = s.unwrap(node.base)
        if isinstance(outer, s.Member) and outer.name.name == "outputs":
            module = typing.module_of(outer.base)
            if module is not None and module.file is not None:
                return node.name if node.name.name in secure_outputs(module.file) else None
    return None


def admin_names(model: Model, typing: Typing) -> Found:
    """A name of an administrator that stands in the template is known to everybody."""
    for resource in model.resources:
        for node in s.walk(resource.body):
            if isinstance(node, s.Prop) and (node.name or "").lower() == "adminusername":
                found = typing.of(node.value)
                if found.name == "string" and found.is_literal:
                    yield node.value, "An administrator's name is given by a parameter, not here."
