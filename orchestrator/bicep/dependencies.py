"""What must be deployed before a resource or a module: said by dependsOn, or by what it uses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.bicep import arm
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.arm import Arm
from orchestrator.bicep.convert import Converter
from orchestrator.bicep.inlining import KNOWN_EARLY
from orchestrator.bicep.model import Model
from orchestrator.bicep.references import At, Env
from orchestrator.bicep.symbols import Local, Symbol


@dataclass(slots=True, frozen=True)
class Use:
    """`symbol` is used, one member of it (`index`) or all. `weak`: only its name or id is."""

    symbol: Symbol
    index: s.Node | None
    weak: bool = False


class Uses:
    """For each resource, module and variable: what it uses directly."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.of: dict[Symbol, dict[Use, None]] = {}
        self._declaring: Symbol | None = None
        by_decl = {resource.decl: resource.symbol for resource in model.resources}
        for decl in model.decls:
            if isinstance(decl, (s.ResourceDecl, s.ModuleDecl, s.VarDecl)):
                self._declared(decl, by_decl)
        self._drop_plain_variables()

    def _declared(
        self,
        decl: s.ResourceDecl | s.ModuleDecl | s.VarDecl,
        by_decl: dict[s.ResourceDecl, Symbol],
    ) -> None:
        before = self._declaring
        if isinstance(decl, s.ResourceDecl):
            symbol = by_decl.get(decl)
        else:
            symbol = self.model.symbols.get(decl.name.name)
        if symbol is None:
            return
        uses: dict[Use, None] = {}
        self.of[symbol] = uses
        resource = self.model.resource_of.get(symbol)
        if resource is not None and resource.parent is not None:
            uses[Use(resource.parent.symbol, resource.parent_index, True)] = None
        self._declaring = symbol
        for child in decl.children():
            self._visit(child, uses, by_decl)
        self._declaring = before

    def _visit(
        self, node: s.Node, uses: dict[Use, None], by_decl: dict[s.ResourceDecl, Symbol]
    ) -> None:
        if isinstance(node, s.ResourceDecl):
            self._declared(node, by_decl)
            return
        if isinstance(node, (s.Name, s.Nested)):
            symbol = node.symbol
            if isinstance(symbol, Symbol) and symbol.kind in (sym.VAR, sym.RESOURCE, sym.MODULE):
                weak = symbol.kind == sym.RESOURCE and self._is_weak(node, symbol)
                uses[Use(symbol, self._index(node, symbol), weak)] = None
            if isinstance(node, s.Nested):
                return
        for child in node.children():
            self._visit(child, uses, by_decl)

    def _drop_plain_variables(self) -> None:
        """Variables that lead to no resource."""
        users: dict[Symbol, list[Symbol]] = {}
        for symbol, uses in self.of.items():
            for use in uses:
                users.setdefault(use.symbol, []).append(symbol)
        queue = [symbol for symbol, uses in self.of.items() if symbol.kind == sym.VAR and not uses]
        while queue:
            gone = queue.pop()
            for symbol in dict.fromkeys(users.get(gone, ())):
                uses = self.of[symbol]
                for use in [use for use in uses if use.symbol is gone]:
                    del uses[use]
                if not uses and symbol.kind == sym.VAR:
                    queue.append(symbol)

    # --- how it is used

    def _is_weak(self, node: s.Node, symbol: Symbol) -> bool:
        return (
            self._reads_only_identity(node, symbol)
            or self._calls_method(node, symbol)
            or self._within("parent", node)
            or self._within("scope", node)
        )

    def _reads_only_identity(self, node: s.Node, symbol: Symbol) -> bool:
        parent = node.parent
        if isinstance(parent, s.NonNull):
            return self._reads_only_identity(parent, symbol)
        if isinstance(parent, s.Member):
            return parent.name.name in KNOWN_EARLY
        if isinstance(parent, s.Index) and parent.base is node:
            if isinstance(parent.index, s.Str):
                return parent.index.literal in KNOWN_EARLY
            return symbol.is_collection and self._reads_only_identity(parent, symbol)
        return False

    def _calls_method(self, node: s.Node, symbol: Symbol) -> bool:
        parent = node.parent
        if isinstance(parent, s.NonNull):
            return self._calls_method(parent, symbol)
        if isinstance(parent, s.MethodCall):
            return parent.base is node
        if isinstance(parent, s.Index) and parent.base is node and symbol.is_collection:
            return self._calls_method(parent, symbol)
        return False

    def _within(self, name: str, node: s.Node) -> bool:
        body = self._declaring.body if self._declaring is not None else None
        prop = body.prop(name) if body is not None else None
        current: s.Node | None = node
        while current is not None:
            if prop is not None and current is prop:
                return True
            current = current.parent
        return False

    def _index(self, node: s.Node, symbol: Symbol) -> s.Node | None:
        """The index of `symbol[index]`, unless the index is not known where the dependency is."""
        parent = node.parent
        if not symbol.is_collection or not isinstance(parent, s.Index) or parent.base is not node:
            return None
        assert self._declaring is not None
        decl = self._declaring.decl
        body: s.Node | None = self._declaring.body
        if isinstance(decl, s.VarDecl):
            body = decl.value.body if isinstance(decl.value, s.For) else decl.value
        if body is None:
            return None
        around = set()
        current: s.Node | None = body
        while current is not None:
            around.add(current)
            current = current.parent
        for inner in s.walk(parent.index):
            if (
                isinstance(inner, s.Name)
                and isinstance(inner.symbol, Local)
                and inner.symbol.scope not in around
                and not _declares(parent.index, inner.symbol)
            ):
                return None
        return parent.index


def _declares(node: s.Node, local: Local) -> bool:
    return any(inner is local.scope for inner in s.walk(node))


@dataclass(slots=True)
class Dependency:
    """One entry of dependsOn: the whole of `symbol`, or the member `at`."""

    key: str
    use: Use
    at: At | None


class Dependencies:
    def __init__(self, converter: Converter, uses: Uses) -> None:
        self.converter = converter
        self.uses = uses
        self.symbolic = converter.unit.symbolic

    def of(self, symbol: Symbol) -> list[Dependency]:
        by_target: dict[Symbol, list[Dependency]] = {}
        for use in self.uses.of.get(symbol, ()):
            for found in self._follow(use):
                by_target.setdefault(found.use.symbol, []).append(found)
        chosen: list[Dependency] = []
        for group in by_target.values():
            whole = next((found for found in group if found.use.index is None), None)
            if whole is not None:
                chosen.append(whole)
                continue
            distinct = {found.use: found for found in reversed(group)}
            chosen += [found for found in group if distinct[found.use] is found]
        return sorted(chosen, key=lambda found: (found.key.lower(), found.key.swapcase()))

    def _ends(self, use: Use) -> bool:
        if use.symbol.kind == sym.MODULE:
            return True
        if use.symbol.kind != sym.RESOURCE:
            return False
        resource = self.converter.model.resource_of.get(use.symbol)
        if resource is None:
            return False
        return not resource.existing or (self.symbolic and not use.weak)

    def _paths(self, path: tuple[Use, ...]) -> Iterator[tuple[Use, ...]]:
        """Through variables and existing resources to what is deployed."""
        if self._ends(path[-1]):
            yield path
            return
        for use in self.uses.of.get(path[-1].symbol, ()):
            if use not in path:
                yield from self._paths((*path, use))

    def _follow(self, use: Use) -> Iterator[Dependency]:
        for path in self._paths((use,)):
            env: Env = {}
            every_step_by_copy = True
            target = path[0]
            at: At | None = None
            for step in path:
                target, at = step, None
                if step.index is not None:
                    at = self.converter.at(step.symbol, step.index, env)
                    env = at.env
                by_copy = at is not None and _uses_copy_index(at.index)
                if by_copy and not every_step_by_copy:
                    target, at = Use(step.symbol, None, step.weak), None
                every_step_by_copy = every_step_by_copy and by_copy
            key = target.symbol.name
            resource = self.converter.model.resource_of.get(target.symbol)
            if resource is not None:
                key = resource.symbolic_name
            yield Dependency(key, target, at)

    def entry(self, found: Dependency) -> Arm:
        symbol, at = found.use.symbol, found.at
        resource = self.converter.model.resource_of.get(symbol)
        if self.symbolic:
            return self.converter.reading.symbolic_reference(symbol, at)
        if symbol.is_collection and at is None:
            return arm.Lit(resource.symbolic_name if resource is not None else symbol.name)
        env = at.env if at is not None else {}
        if resource is not None:
            return self.converter.ids.resource_id(resource, env)
        return self.converter.ids.module_id(symbol, at.index if at is not None else None, env)


def _uses_copy_index(index: Arm) -> bool:
    return any(call.name == "copyIndex" for call in arm.calls(index))
