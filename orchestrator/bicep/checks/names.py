"""Names that clash, or that are taken."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.checks.decorators import constant
from orchestrator.bicep.config import config_fault, experimental
from orchestrator.bicep.model import Model, decorator
from orchestrator.bicep.symbols import Symbol

_MAX_LENGTH = 255
_KINDS = (
    (sym.PARAM, "parameters"),
    (sym.VAR, "variables"),
    (sym.OUTPUT, "outputs"),
    (sym.TYPE, "types"),
    (sym.FUNC, "functions"),
    (sym.ASSIGNMENT, "parameters"),
)


def check(model: Model) -> None:
    scopes = list(model.declarations(s.TargetScope))
    for extra in scopes if len(scopes) > 1 else []:
        model.error(extra, "BCP112", "A file has one targetScope.")
    fault = config_fault(model.path.parent)
    if fault is not None:
        model.diagnostics.error(model.source, 0, 0, *fault)
    model.target_scope  # noqa: B018 -- says when it is none
    for kind, plural in _KINDS:
        named = [(symbol.name, _ident(symbol.decl)) for symbol in model.of(kind)]
        named += [
            (symbol.name, symbol.decl)
            for symbol in model.import_symbols
            if symbol.target is not None and symbol.target.kind == kind
        ]
        _clashes(model, plural, named)
        for name, node in named[: len(model.of(kind))]:
            _reserved(model, kind, name, node)
    for symbol in [*model.import_symbols, *model.wildcards]:
        _reserved(model, symbol.kind, symbol.name, symbol.decl)
    for kind in (sym.RESOURCE, sym.MODULE):
        for symbol in model.of(kind):
            if model.symbols.get(symbol.name) is symbol:
                _reserved(model, kind, symbol.name, _ident(symbol.decl))
    for node in model.nodes:
        if isinstance(node, s.TypeObject):
            props = [(prop.name, prop) for prop in node.props if prop.name is not None]
            _clashes(model, "properties", props)
    _imported_twice(model)
    _unexportable(model)
    for metadata in model.declarations(s.MetadataDecl):
        constant(model, metadata.value)
        if metadata.name.name.startswith("_"):
            said = "Names of metadata that begin with _ are reserved."
            model.error(metadata.name, "BCP268", said)
    for assertion in model.declarations(s.AssertDecl):
        if not experimental(model.path.parent, "assertions"):
            model.error(
                assertion,
                "BCP349",
                "assert is experimental: enable it in bicepconfig.json "
                '({"experimentalFeaturesEnabled": {"assertions": true}}).',
            )


def _imported_twice(model: Model) -> None:
    seen: dict[tuple[object, str, str], Symbol] = {}
    for symbol in model.import_symbols:
        target = symbol.target
        if target is None:
            continue
        first = seen.setdefault((target.file, target.kind, target.name), symbol)
        if first is not symbol and first.name != symbol.name:
            model.error(
                symbol.decl,
                "BCP362",
                f'"{target.name}" is imported twice, as "{first.name}" and "{symbol.name}".',
            )


def _unexportable(model: Model) -> None:
    """What is exported needs nothing but variables and functions, which go with it."""
    for symbol in (*model.of(sym.VAR), *model.of(sym.FUNC)):
        mark = decorator(symbol.decl, "export")
        if mark is None:
            continue
        seen, todo = {symbol}, [symbol]
        found: dict[str, None] = {}
        while todo:
            for node in s.walk(todo.pop().decl):
                used = getattr(node, "symbol", None)
                if not isinstance(used, Symbol) or used in seen:
                    continue
                seen.add(used)
                if used.kind in (sym.VAR, sym.FUNC):
                    todo.append(used)
                elif used.kind in (sym.PARAM, sym.RESOURCE, sym.MODULE):
                    found[used.name] = None
        if found:
            names = ", ".join(f'"{name}"' for name in found)
            model.error(
                mark,
                "BCP372",
                f'"{symbol.name}" can\'t be exported: it needs {names} of this file.',
            )


def _ident(decl: s.Node) -> s.Node:
    found = getattr(decl, "name", decl)
    return found if isinstance(found, s.Node) else decl


def _clashes(model: Model, plural: str, named: Iterable[tuple[str, s.Node]]) -> None:
    groups: dict[str, list[tuple[str, s.Node]]] = {}
    for name, node in named:
        groups.setdefault(name.lower(), []).append((name, node))
    for group in groups.values():
        names = [name for name, _ in group]
        if len(names) > 1 and len(set(names)) == len(names):
            for name, node in group:
                others = ", ".join(f'"{other}"' for other in names if other != name)
                model.error(
                    node, "BCP353", f"{plural.capitalize()} that differ by case only: {others}."
                )


def _reserved(model: Model, kind: str, name: str, node: s.Node) -> None:
    if len(name) > _MAX_LENGTH:
        model.error(node, "BCP024", f"A name has at most {_MAX_LENGTH} characters.")
    if name in ("az", "sys", "this") and kind != sym.OUTPUT:
        model.error(node, "BCP084", f'"{name}" is a namespace of Bicep\'s own: take another name.')
    if kind == sym.VAR and name.lower() == "copy":
        model.error(node, "BCP239", '"copy" is a word of the template: take another name.')
    if kind == sym.TYPE and name in ("resource", "resourceInput", "resourceOutput", "any"):
        model.error(node, "BCP301", f'"{name}" is a type of Bicep\'s own: take another name.')
