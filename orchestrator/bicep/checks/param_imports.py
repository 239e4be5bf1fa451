"""What a parameters file imports: it becomes values, without a deployment to ask."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.bicep import functions, resource_ids
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.inference import Typing
from orchestrator.bicep.model import Model
from orchestrator.bicep.symbols import Symbol, Target
from orchestrator.bicep.unit import built_in_name


class _Calls:
    """The functions that declarations call, here and in files that they import from."""

    def __init__(self) -> None:
        self.late: set[str] = set()
        self._seen: set[Symbol] = set()
        self._typing: dict[Model, Typing] = {}

    def of_target(self, target: Target | None) -> None:
        if target is not None and target.symbol is not None:
            self.of_symbol(target.symbol)

    def of_symbol(self, symbol: Symbol) -> None:
        if symbol in self._seen:
            return
        self._seen.add(symbol)
        if symbol.kind == sym.IMPORT:
            self.of_target(symbol.target)
        elif symbol.kind == sym.VAR and isinstance(symbol.decl, s.VarDecl):
            self._node(symbol.model, symbol.decl.value)
        elif symbol.kind == sym.FUNC and isinstance(symbol.decl, s.FuncDecl):
            self._node(symbol.model, symbol.decl.body)

    def _node(self, model: Model, root: s.Node) -> None:
        for node in s.walk(root):
            if isinstance(node, (s.Call, s.MethodCall)):
                name = built_in_name(node)
                if name and not self._is_early(model, name, node.args):
                    self.late.add(name)
            if isinstance(node, (s.Member, s.MethodCall)):
                base = s.unwrap(node.base)
                found = base.symbol if isinstance(base, s.Name) else None
                if isinstance(found, Symbol) and found.kind == sym.WILDCARD:
                    self.of_target(found.members.get(node.name.name))
            symbol = getattr(node, "symbol", None)
            if isinstance(symbol, Symbol):
                self.of_symbol(symbol)

    def _is_early(self, model: Model, name: str, args: list[s.Node]) -> bool:
        if all(one.namespace != functions.AZ for one in functions.signatures(name)):
            return True
        if name not in resource_ids.SCOPE_ARGUMENTS:
            return False
        typing = self._typing.setdefault(model, Typing(model))
        kinds = [typing.of(arg) for arg in args]
        return resource_ids.says_all(
            name,
            [
                str(kind.value) if kind.name == "string" and kind.is_literal else None
                for kind in kinds
            ],
        )


def check(model: Model) -> None:
    if not model.is_params:
        return
    for decl in model.declarations(s.ImportDecl):
        if decl.wildcard is not None:
            symbol = model.symbols.get(decl.wildcard.name)
            targets = symbol.members.values() if symbol is not None else ()
            _imported(model, decl, decl.wildcard.name, targets)
        for item in decl.items:
            symbol = model.symbols.get(item.name.name)
            target = symbol.target if symbol is not None else None
            _imported(model, item, item.name.name, [target] if target is not None else ())


def _imported(model: Model, at: s.Node, name: str, targets: Iterable[Target]) -> None:
    calls = _Calls()
    for target in targets:
        calls.of_target(target)
    if calls.late:
        used = ", ".join(f"{one}()" for one in sorted(calls.late, key=str.lower))
        model.error(
            at,
            "BCP452",
            f'"{name}" can\'t be imported into a parameters file: it needs a deployment ({used}).',
        )
