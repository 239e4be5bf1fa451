"""What each name in a file means. Unknown names are said, with the one that was probably meant."""

from __future__ import annotations

from orchestrator.bicep import functions
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.config import not_built_in
from orchestrator.bicep.diagnostics import UNSUPPORTED, nearest
from orchestrator.bicep.model import Model
from orchestrator.bicep.symbols import Local, Symbol

AMBIENT_TYPES = ("string", "int", "bool", "object", "array", "any")
_OF_DEPLOY_COMMANDS = ("readCliArg", "readEnvVar")
_GUESSES = 20  # of unknown names, what was meant is looked for so often
DERIVED_TYPES = ("resourceInput", "resourceOutput", "resource")


def is_callable(symbol: Symbol | Local) -> bool:
    if isinstance(symbol, Local):
        return False
    return symbol.kind == sym.FUNC or (
        symbol.kind == sym.IMPORT and (symbol.target is None or symbol.target.kind == sym.FUNC)
    )


class Binder:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.scopes: list[dict[str, Local | Symbol]] = []
        self.namespaces = {
            name: Symbol(sym.NAMESPACE, name, s.Null(0, 0), model) for name in ("sys", "az")
        }
        self.unknown = 0
        self.this = Symbol(sym.NAMESPACE, functions.THIS, s.Null(0, 0), model)

    def run(self) -> None:
        for decl in self.model.decls:
            self.visit(decl)
        for resource in self.model.resources:
            if not resource.nested:
                self._parent(resource)

    def _parent(self, resource: sym.Resource) -> None:
        value = resource.body.value("parent")
        if value is None:
            return
        node = s.unwrap(value)
        index = None
        if isinstance(node, s.Index):
            index = node.index
            node = s.unwrap(node.base)
        found = self._resource_of(node)
        if found is not None and found is not resource:
            resource.parent, resource.parent_index = found, index

    def _resource_of(self, node: s.Node) -> sym.Resource | None:
        if isinstance(node, (s.Name, s.Nested)) and isinstance(node.symbol, Symbol):
            return self.model.resource_of.get(node.symbol)
        return None

    # --- walking

    def visit(self, node: s.Node) -> None:
        for child in node.children():
            child.parent = node
        match node:
            case s.Name():
                node.symbol = self.lookup(node)
            case s.Call():
                self._call(node)
                for arg in node.args:
                    self.visit(arg)
            case s.MethodCall():
                self.visit(node.base)
                self._method(node)
                for arg in node.args:
                    self.visit(arg)
            case s.Nested():
                self.visit(node.base)
                self._nested(node)
            case s.TypeName():
                self._type_name(node)
            case s.TypeDerived():
                if node.name.name not in DERIVED_TYPES:
                    self.model.error(
                        node.name, "BCP057", f'There is no type "{node.name.name}<…>".'
                    )
            case s.TypeMember():
                self._type_member(node)
            case s.Lambda():
                self._lambda(node)
            case s.For():
                self._for(node)
            case s.FuncDecl():
                self._function(node)
            case s.ResourceDecl():
                self._resource(node)
            case _:
                for child in node.children():
                    self.visit(child)

    def _lambda(self, node: s.Lambda) -> None:
        node.locals = [Local(param.name, "lambda", node) for param in node.params]
        self._within(node.locals, [node.body], list(node.params))

    def _for(self, node: s.For) -> None:
        self.visit(node.array)
        node.locals = [Local(node.item.name, "item", node)]
        idents = [node.item]
        if node.index is not None:
            node.locals.append(Local(node.index.name, "index", node))
            idents.append(node.index)
        self._within(node.locals, [node.body], idents)

    def _function(self, node: s.FuncDecl) -> None:
        for decorator in node.decorators:
            self.visit(decorator)
        for param in node.params:
            param.parent = node
            self.visit(param)
        self.visit(node.result)
        node.locals = [
            Local(param.name.name, "function", node, param.type) for param in node.params
        ]
        self._within(node.locals, [node.body], [param.name for param in node.params])

    def _within(self, names: list[Local], nodes: list[s.Node], idents: list[s.Ident]) -> None:
        scope: dict[str, Local | Symbol] = {}
        for local, ident in zip(names, idents, strict=True):
            if local.name in scope:
                self.model.error(ident, "BCP028", f'"{local.name}" is declared twice.')
            scope[local.name] = local
        self.scopes.append(scope)
        for node in nodes:
            self.visit(node)
        self.scopes.pop()

    def _resource(self, node: s.ResourceDecl) -> None:
        for decorator in node.decorators:
            self.visit(decorator)
        body = s.body_of(node.value)
        names: dict[str, Local | Symbol] = {} if node.existing else {functions.THIS: self.this}
        if body is not None:
            for child in s.nested_resources(body):
                for symbol, resource in self.model.resource_of.items():
                    if resource.decl is child:
                        names[symbol.name] = symbol
        value = node.value
        value.parent = node
        if isinstance(value, s.If):
            # the condition decides whether there is such a resource: it knows nothing of it
            self.visit(value.condition)
            value.condition.parent, value.body.parent = value, value
            value = value.body
        self.scopes.append(names)
        self.visit(value)
        self.scopes.pop()

    # --- names

    def lookup(self, node: s.Name) -> Local | Symbol | None:
        name = node.name
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        found = self.model.symbols.get(name) or self.namespaces.get(name)
        if found is not None:
            return found
        if name in self.model.broken:
            return None
        if functions.is_known(name):
            self.model.error(node, "BCP063", f'"{name}" is a function: call it as {name}(…).')
            return None
        self._unknown(node, name, functions_too=False)
        return None

    def _names(self, *, functions_too: bool) -> list[str]:
        names = [name for scope in self.scopes for name in scope]
        names += list(self.model.symbols)
        if functions_too:
            names += functions.names()
        return names

    def _unknown(self, node: s.Node, name: str, *, functions_too: bool) -> None:
        if functions_too and self.model.is_params and name in _OF_DEPLOY_COMMANDS:
            said = not_built_in(f"{name}() is of", "deployCommands")
            self.model.error(node, UNSUPPORTED, said)
            return
        instead = functions.instead(name) if functions_too else ""
        if instead:
            self.model.error(node, "BCP100", f"Bicep has no {name}(); write {instead}")
            return
        self.unknown += 1
        known = self._names(functions_too=functions_too) if self.unknown <= _GUESSES else ()
        meant = nearest(name, known)
        kind = "function" if functions_too else "name"
        if meant:
            self.model.error(
                node, "BCP082", f'There is no {kind} "{name}" here. Did you mean "{meant}"?'
            )
        else:
            self.model.error(node, "BCP057", f'There is no {kind} "{name}" here.')

    def _call(self, node: s.Call) -> None:
        name = node.name.name
        hidden: Symbol | Local | None = self.model.symbols.get(name)
        for scope in self.scopes:
            hidden = scope.get(name, hidden)
        if hidden is not None and functions.is_known(name) and not is_callable(hidden):
            what = sym.SPOKEN[hidden.kind] if isinstance(hidden, Symbol) else "a variable"
            space = "az" if functions.is_known(name, namespace="az") else "sys"
            self.model.error(
                node.name,
                "BCP265",
                f'"{name}" is {what} here; the function is {space}.{name}().',
            )
            return
        symbol = self.model.symbols.get(name)
        if symbol is not None:
            if is_callable(symbol):
                node.symbol = symbol
                return
            if not functions.is_known(name):
                self.model.error(
                    node.name,
                    "BCP059",
                    f'"{name}" is {sym.SPOKEN[symbol.kind]}, not a function.',
                )
            return
        if not functions.is_known(name, params=self.model.is_params) and (
            name not in self.model.broken
        ):
            self._unknown(node.name, name, functions_too=True)

    def _method(self, node: s.MethodCall) -> None:
        base = s.unwrap(node.base)
        if not isinstance(base, s.Name) or not isinstance(base.symbol, Symbol):
            return
        name = node.name.name
        if base.symbol.kind == sym.NAMESPACE:
            if not functions.is_known(
                name, namespace=base.symbol.name, params=self.model.is_params
            ):
                self.model.error(
                    node.name,
                    "BCP107",
                    f'There is no function "{name}" in the namespace "{base.symbol.name}".',
                )
        elif base.symbol.kind == sym.WILDCARD and base.symbol.file is not None:
            target = base.symbol.members.get(name)
            if target is None or target.kind != sym.FUNC:
                self.model.error(
                    node.name, "BCP107", f'"{base.symbol.name}" has no function "{name}".'
                )

    def _nested(self, node: s.Nested) -> None:
        base = s.unwrap(node.base)
        if isinstance(base, s.Index):
            base = s.unwrap(base.base)
        resource = self._resource_of(base)
        if resource is None:
            if not (isinstance(base, (s.Name, s.Nested)) and base.symbol is None):
                self.model.error(node.base, "BCP158", "Only a resource has nested resources.")
            return
        child = resource.children.get(node.name.name)
        if child is None:
            known = ", ".join(resource.children) or "none"
            self.model.error(
                node.name,
                "BCP159",
                f'"{resource.name}" has no nested resource "{node.name.name}"; it has: {known}.',
            )
            return
        node.symbol = child.symbol

    # --- types

    def _type_name(self, node: s.TypeName) -> None:
        symbol = self.model.symbols.get(node.name)
        if symbol is not None:
            target = symbol.target.kind if symbol.target is not None else None
            if symbol.kind in (sym.TYPE, sym.WILDCARD) or (
                symbol.kind == sym.IMPORT and target in (sym.TYPE, None)
            ):
                node.symbol = symbol
                return
            if node.name not in AMBIENT_TYPES:
                self.model.error(
                    node, "BCP287", f'"{node.name}" is {sym.SPOKEN[symbol.kind]}, not a type.'
                )
            return
        if node.name in self.namespaces:
            node.symbol = self.namespaces[node.name]
        elif node.name not in AMBIENT_TYPES and node.name not in self.model.broken:
            known = [
                *AMBIENT_TYPES,
                *(name for name, found in self.model.symbols.items() if found.kind == sym.TYPE),
            ]
            meant = nearest(node.name, known)
            self.model.error(
                node,
                "BCP302" if not meant else "BCP082",
                f'There is no type "{node.name}".'
                + (
                    f' Did you mean "{meant}"?'
                    if meant
                    else f" Built in: {', '.join(AMBIENT_TYPES)}."
                ),
            )

    def _type_member(self, node: s.TypeMember) -> None:
        self.visit(node.base)
        base = node.base
        if not isinstance(base, s.TypeName) or base.symbol is None:
            return
        name = node.name.name
        if base.symbol.kind == sym.NAMESPACE:
            if base.symbol.name != "sys" or name not in AMBIENT_TYPES:
                self.model.error(node.name, "BCP053", f'There is no type "{name}" there.')
        elif base.symbol.kind == sym.WILDCARD and base.symbol.file is not None:
            target = base.symbol.members.get(name)
            if target is None or target.kind != sym.TYPE:
                self.model.error(node.name, "BCP053", f'"{base.symbol.name}" has no type "{name}".')
