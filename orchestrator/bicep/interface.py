"""What a module asks for and gives: parameters, outputs, which of them are secret."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.literals import alias
from orchestrator.bicep.model import ArmFile, Model, has_decorator
from orchestrator.bicep.symbols import Symbol


@dataclass(slots=True)
class Parameter:
    name: str
    required: bool
    has_default: bool
    decl: s.ParamDecl | None  # in the file that declares it
    schema: dict[str, object] | None  # of a compiled template
    secure: bool
    owner: Model | None = None  # the file of `decl`


def _is_secure_type(model: Model, node: s.Node, seen: set[s.Node]) -> bool:
    """Whether a type is, or holds, a secret."""
    if node in seen:
        return False
    seen.add(node)
    match node:
        case s.TypeName() if isinstance(node.symbol, Symbol):
            return _is_secure_symbol(node.symbol, seen)
        case s.TypeMember() if (
            isinstance(node.base, s.TypeName)
            and node.base.symbol is not None
            and node.base.symbol.kind == sym.WILDCARD
        ):
            target = node.base.symbol.members.get(node.name.name)
            return target is not None and _is_secure_target(target, seen)
        case s.TypeProp() if has_decorator(node, "secure"):
            return True
    return any(
        _is_secure_type(model, child, seen)
        for child in node.children()
        if not isinstance(child, s.Decorator)
    )


def _is_secure_symbol(symbol: Symbol, seen: set[s.Node]) -> bool:
    if symbol.kind == sym.IMPORT:
        return symbol.target is not None and _is_secure_target(symbol.target, seen)
    if isinstance(symbol.decl, s.TypeDecl):
        if has_decorator(symbol.decl, "secure"):
            return True
        return _is_secure_type(symbol.model, symbol.decl.type, seen)
    return False


def _is_secure_target(target: sym.Target, seen: set[s.Node]) -> bool:
    if target.symbol is not None:
        return _is_secure_symbol(target.symbol, seen)
    if isinstance(target.file, ArmFile):
        return _is_secure_schema(target.file, target.file.template["definitions"][target.name], 0)
    return False


def _is_secure_schema(file: ArmFile, schema: object, depth: int) -> bool:
    schema = file.resolve(schema)
    if not isinstance(schema, dict) or depth > 8:
        return False
    if str(schema.get("type", "")).lower() in ("securestring", "secureobject"):
        return True
    parts = [
        *(schema.get("properties") or {}).values(),
        schema.get("additionalProperties"),
        schema.get("items"),
        *(schema.get("prefixItems") or ()),
        *((schema.get("discriminator") or {}).get("mapping") or {}).values(),
    ]
    return any(_is_secure_schema(file, part, depth + 1) for part in parts if isinstance(part, dict))


def is_secure(model: Model, decl: s.ParamDecl | s.OutputDecl) -> bool:
    return has_decorator(decl, "secure") or _is_secure_type(model, decl.type, set())


def secure_outputs(file: Model | ArmFile) -> frozenset[str]:
    if isinstance(file, ArmFile):
        return frozenset(
            name
            for name, schema in file.template.get("outputs", {}).items()
            if _is_secure_schema(file, schema, 0)
        )
    return frozenset(
        symbol.name
        for symbol in file.of(sym.OUTPUT)
        if isinstance(symbol.decl, s.OutputDecl) and is_secure(file, symbol.decl)
    )


def output_names(file: Model | ArmFile) -> list[str]:
    if isinstance(file, ArmFile):
        return list(file.template.get("outputs", {}))
    return list(file.outputs)


def _is_nullable(node: s.Node, seen: set[s.Node]) -> bool:
    if node in seen:
        return False
    seen.add(node)
    if isinstance(node, s.TypeNullable):
        return True
    if isinstance(node, s.TypeLiteral):
        return node.value is None
    if isinstance(node, s.TypeUnion):
        return any(_is_nullable(member, seen) for member in node.members)
    meant = alias(node)
    if isinstance(meant, tuple):
        return _is_nullable(meant[1], seen)
    if meant is None or not isinstance(meant.file, ArmFile):
        return False
    schema = meant.file.resolve(meant.file.template["definitions"][meant.name])
    return bool(schema.get("nullable"))


def is_nullable(node: s.Node) -> bool:
    """Whether a value of this type may be left out."""
    return _is_nullable(node, set())


def parameters(file: Model | ArmFile) -> dict[str, Parameter]:
    found: dict[str, Parameter] = {}
    if isinstance(file, ArmFile):
        for name, schema in file.template.get("parameters", {}).items():
            whole = file.resolve(schema)
            required = "defaultValue" not in schema and not whole.get("nullable", False)
            secure = _is_secure_schema(file, whole, 0)
            found[name] = Parameter(name, required, "defaultValue" in schema, None, whole, secure)
        return found
    for symbol in file.of(sym.PARAM):
        decl = symbol.decl
        if isinstance(decl, s.ParamDecl):
            required = decl.default is None and not is_nullable(decl.type)
            found[symbol.name] = Parameter(
                symbol.name,
                required,
                decl.default is not None,
                decl,
                None,
                is_secure(file, decl),
                file,
            )
    return found
