"""What is read of resources and modules: known from the file, else asked of the deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.bicep import arm
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.arm import Arm, Fn, Lit, fn, read
from orchestrator.bicep.interface import secure_outputs
from orchestrator.bicep.references import At, Env, Reference
from orchestrator.bicep.symbols import Resource, Symbol
from orchestrator.bicep.unit import DEPLOYMENT_API

if TYPE_CHECKING:
    from orchestrator.bicep.convert import Converter

# a deployment's name: 64 characters, of which a hash takes 13 and a copy's index 3
_MAX_DEPLOYMENT_NAME = 64
_HASH = 13
_COPY_INDEX = 3
_SAFE = ("tryget", "tryindexfromend")


class Reading:
    def __init__(self, converter: Converter) -> None:
        self.converter = converter
        self.unit = converter.unit
        self.model = converter.model
        self.ids = converter.ids

    # --- resources

    def symbolic(self, found: Reference) -> Arm:
        name = found.symbol.name
        if found.symbol.kind == sym.RESOURCE:
            name = self.model.resource_of[found.symbol].symbolic_name
        if found.at is None:
            return Lit(name)
        return fn("format", Lit(f"{name}[{{0}}]"), found.at.index)

    def symbolic_reference(self, symbol: Symbol, at: At | None) -> Arm:
        return self.symbolic(Reference(symbol, at))

    def whole(self, found: Reference, env: Env) -> Arm:
        if found.symbol.kind == sym.MODULE:
            return self._module_reference(found, env)
        return self._resource_reference(found, env, full=True)

    def _resource_reference(self, found: Reference, env: Env, *, full: bool) -> Fn:
        resource = self.model.resource_of[found.symbol]
        collection = found.symbol.is_collection and found.at is None
        if self.unit.symbolic:
            target = self.symbolic(found)
        elif collection:
            target = Lit(resource.symbolic_name)
        else:
            target = self.ids.resource_id(resource, found.at.env if found.at else env)
        if collection:
            return fn("references", target, *([Lit("full")] if full else []))
        if full:
            return fn("reference", target, Lit(resource.api_version), Lit("full"))
        if self.unit.symbolic:
            return fn("reference", target)
        return fn("reference", target, Lit(resource.api_version))

    def condition(self, resource: Resource, env: Env) -> Arm | None:
        """Under which condition a resource is deployed: its own and those around it."""
        found: Arm | None = None
        chain = [one for one in resource.ancestors() if self._encloses(one, resource)]
        for one in (*chain, resource):
            node = s.condition_of(one.decl.value)
            if node is None:
                continue
            converted = self.converter.convert(node, env)
            found = converted if found is None else fn("and", found, converted)
        return found

    @staticmethod
    def _encloses(outer: Resource, inner: Resource) -> bool:
        current: Resource | None = inner
        while current is not None and current.nested:
            current = current.parent
            if current is outer:
                return True
        return False

    def resource_property(self, found: Reference, name: str, safe: bool, env: Env) -> Arm:
        resource = self.model.resource_of[found.symbol]
        env = found.at.env if found.at else env

        def guarded(value: Arm) -> Arm:
            condition = self.condition(resource, env) if safe else None
            return value if condition is None else fn("if", condition, value, fn("null"))

        match name:
            case "id":
                return guarded(self.ids.resource_id(resource, env))
            case "name":
                value = resource.body.value("name")
                assert value is not None
                return guarded(self.converter.convert(value, env))
            case "type":
                return Lit(resource.type)
            case "apiVersion":
                return Lit(resource.api_version)
            case "properties" if not safe:
                return self._resource_reference(found, env, full=False)
        base = guarded(self._resource_reference(found, env, full=True))
        return fn("tryGet", base, Lit(name)) if safe else read(base, Lit(name))

    # --- modules

    def module_name(self, symbol: Symbol, index: Arm | None, env: Env) -> Arm:
        """The name of a module's deployment: as written, else made of its symbol."""
        body = symbol.body
        assert body is not None
        written = body.value("name")
        if written is not None:
            return self.converter.convert(written, env)
        taken = _HASH + 1
        args: list[Arm] = []
        if symbol.is_collection:
            args.append(index if index is not None else fn("copyIndex"))
            taken += _COPY_INDEX + 1
        args.append(fn("uniqueString", Lit(symbol.name), read(fn("deployment"), Lit("name"))))
        prefix = symbol.name[: _MAX_DEPLOYMENT_NAME - taken]
        shape = f"{prefix}-{{0}}-{{1}}" if symbol.is_collection else f"{prefix}-{{0}}"
        return fn("format", Lit(shape), *args)

    def _module_reference(self, found: Reference, env: Env) -> Fn:
        collection = found.symbol.is_collection and found.at is None
        function = "references" if collection else "reference"
        if self.unit.symbolic:
            return fn(function, self.symbolic(found))
        if collection:
            return fn(function, Lit(found.symbol.name))
        return fn(function, self._module_id(found, env), Lit(DEPLOYMENT_API))

    def _module_id(self, found: Reference, env: Env) -> Arm:
        if found.at is not None:
            return self.ids.module_id(found.symbol, found.at.index, found.at.env)
        return self.ids.module_id(found.symbol, None, env)

    def _module_guard(self, found: Reference, safe: bool, env: Env, value: Arm) -> Arm:
        decl = found.symbol.decl
        assert isinstance(decl, s.ModuleDecl)
        condition = s.condition_of(decl.value)
        if not safe or condition is None:
            return value
        env = found.at.env if found.at else env
        return fn("if", self.converter.convert(condition, env), value, fn("null"))

    def module_property(
        self, found: Reference, name: str, safe: bool, env: Env, secure: bool | None
    ) -> Arm:
        index = found.at.index if found.at else None
        if name == "name":
            own = found.at.env if found.at else env
            return self._module_guard(found, safe, env, self.module_name(found.symbol, index, own))
        assert found.symbol.file is not None
        if secure if secure is not None else bool(secure_outputs(found.symbol.file)):
            target = self.symbolic(found) if self.unit.symbolic else self._module_id(found, env)
            listed = fn("listOutputsWithSecureValues", target, Lit(DEPLOYMENT_API))
            return self._module_guard(found, safe, env, listed)
        base = self._module_reference(found, env)
        if safe:
            return fn("tryGet", self._module_guard(found, safe, env, base), Lit("outputs"))
        return read(base, Lit("outputs"))

    def module_output(
        self, module: Reference, outputs: s.Member, name: str, safe: bool, env: Env
    ) -> Arm:
        assert module.symbol.file is not None
        secure = name in secure_outputs(module.symbol.file)
        tail: list[Arm] = [Lit(name)]
        if not secure:
            tail.append(Lit("value"))
        base = arm.as_fn(self.module_property(module, "outputs", outputs.safe, env, secure))
        return self.output_of(base, tail, safe)

    @staticmethod
    def output_of(base: Fn, tail: list[Arm], safe: bool) -> Arm:
        """An output's value, of a module's outputs."""
        if safe:
            found: Arm = base
            for step in tail:
                found = fn("tryGet", found, step)
            return found
        if base.name.lower() in _SAFE and not base.props:
            return fn(base.name, *base.args, *tail)
        if base.name == "if" and isinstance(base.args[-1], Fn) and base.args[-1].name == "null":
            return fn("tryGet", base, *tail)
        return read(base, *tail)
