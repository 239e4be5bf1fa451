"""Calls: of built-in functions, of declared ones, and of what resources can."""

from __future__ import annotations

from orchestrator.bicep import functions, kinds
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.checks.values import check_value, warn_of_null
from orchestrator.bicep.folding import call_fault
from orchestrator.bicep.inference import Typing, item_of, parameter_type
from orchestrator.bicep.interface import Parameter, parameters
from orchestrator.bicep.model import SCOPES, Model
from orchestrator.bicep.symbols import Symbol
from orchestrator.bicep.type_kinds import type_kind
from orchestrator.bicep.unit import built_in_name

_VAULT = "microsoft.keyvault/vaults"
# of a module that can't be read, or that has no such parameter: that is told elsewhere
_UNKNOWN = Parameter("", False, False, None, None, True)
_LIST_ARGUMENTS = (kinds.STRING, kinds.OBJECT)
# what a lambda gives, where not anything
_LAMBDA_RESULTS = {"filter": kinds.BOOL, "sort": kinds.BOOL, "groupBy": kinds.STRING}
# from which target scopes a scope can be asked for, by how much of it is named
_ASKED = {
    "resourceGroup": (
        ("resourceGroup",),
        ("subscription", "resourceGroup"),
        tuple(SCOPES),
    ),
    "subscription": (("subscription", "resourceGroup"), tuple(SCOPES)),
    "managementGroup": (("managementGroup",), tuple(SCOPES)),
}


class Calls:
    def __init__(self, model: Model, typing: Typing) -> None:
        self.model = model
        self.typing = typing

    def check(self, node: s.Call | s.MethodCall, decl: s.Decl) -> None:
        name = built_in_name(node)
        if name:
            if functions.is_known(name, params=self.model.is_params):
                self._built_in(name, node, decl)
            return
        if isinstance(node, s.Call):
            if isinstance(node.symbol, Symbol) and isinstance(node.symbol.decl, s.FuncDecl):
                self._declared(node, node.symbol.decl, node.symbol.model)
            elif node.symbol is not None and node.symbol.target is not None:
                self._target(node, node.symbol.target)
            return
        self._method(node)

    def _method(self, node: s.MethodCall) -> None:
        base = s.unwrap(node.base)
        if isinstance(base, s.Name) and isinstance(base.symbol, Symbol):
            if base.symbol.kind == sym.WILDCARD:
                target = base.symbol.members.get(node.name.name)
                if target is not None:
                    self._target(node, target)
                return
            if base.symbol.kind == sym.NAMESPACE:
                return
        found = self.typing.of(node.base)
        if found.name == "resource":
            name = node.name.name
            if name == "getSecret" and _is_vault(self.model, found):
                self._secret(node)
            elif name.startswith("list"):
                self._list_arguments(node)
            else:
                self.model.error(
                    node.name, "BCP109", f'A resource has no function "{name}"; it has list….'
                )
        elif found.name != "any" or self._is_certain(base):
            self.model.error(node.name, "BCP067", f"{found.spell()} has no functions to call.")

    def _list_arguments(self, node: s.MethodCall) -> None:
        """`resource.listKeys(apiVersion?, body?)`"""
        if len(node.args) > len(_LIST_ARGUMENTS):
            self.model.error(
                node, "BCP071", f"{node.name.name}() takes 0 to 2 arguments, not {len(node.args)}."
            )
        for arg, wanted in zip(node.args, _LIST_ARGUMENTS, strict=False):
            found = self.typing.of(arg)
            if not kinds.fits(found, wanted):
                self.model.error(
                    arg, "BCP070", f"This is wanted as {wanted.name}, but it is {found.spell()}."
                )

    @staticmethod
    def _is_certain(base: s.Node) -> bool:
        """`any` may hide a resource only behind a variable."""
        return not isinstance(base, (s.Name, s.Nested, s.Index))

    def _target(self, node: s.Call | s.MethodCall, target: sym.Target) -> None:
        if target.symbol is not None and isinstance(target.symbol.decl, s.FuncDecl):
            self._declared(node, target.symbol.decl, target.symbol.model)

    def _declared(self, node: s.Call | s.MethodCall, decl: s.FuncDecl, owner: Model) -> None:
        if len(node.args) != len(decl.params):
            self.model.error(
                node,
                "BCP071",
                f"{node.name.name}() takes {len(decl.params)} arguments, not {len(node.args)}.",
            )
            return
        for arg, param in zip(node.args, decl.params, strict=True):
            wanted = type_kind(owner, param.type)
            found = self.typing.of(arg)
            if not kinds.fits(found, wanted):
                self.model.error(
                    arg,
                    "BCP070",
                    f'"{param.name.name}" is wanted as {wanted.spell()}, '
                    f"but this is {found.spell()}.",
                )
            else:
                warn_of_null(self.model, arg, found, wanted)

    def _fails(self, name: str, node: s.Call | s.MethodCall, given: list[kinds.Kind]) -> None:
        """Warn of what the file alone says; a parameters file is computed, and refused."""
        if self.model.is_params:
            return
        if name == "providers":
            self.model.warning(
                node.name, "BCP241", "providers() is deprecated: write what it would give."
            )
        elif why := call_fault(name, given):
            self.model.warning(node, "BCP234", f"{name}() fails with these values: {why}.")

    def _built_in(self, name: str, node: s.Call | s.MethodCall, decl: s.Decl) -> None:
        flag = functions.flag(name)
        if flag == functions.DEFAULTS_ONLY and not self._in_default(node, decl):
            self.model.error(
                node.name, "BCP065", f"{name}() stands only in the default value of a parameter."
            )
        found = functions.signatures(name)
        if name == "nameof" and len(node.args) == 1:
            self._nameof(node.args[0])
        elif name in _ASKED and not self.model.is_params:
            self._asked(name, node)
        if name == "getSecret" and not self.model.is_params:
            self.model.error(node, "BCP180", "getSecret() of az stands only in a .bicepparam file.")
            return
        if name == "buildUri" and len(node.args) == 1:
            check_value(self.model, self.typing, node.args[0], kinds.URI, "The address", "BCP070")
            return
        fitting = [one for one in found if one.accepts_count(len(node.args))]
        if not fitting:
            counts = " or ".join(dict.fromkeys(one.counts for one in found))
            self.model.error(
                node, "BCP071", f"{name}() takes {counts} arguments, not {len(node.args)}."
            )
            return
        given = [self.typing.of(arg) for arg in node.args]
        for one in fitting:
            if all(
                self.typing.accepts(kind, one.parameter(index)) for index, kind in enumerate(given)
            ):
                self._lambdas(name, node, one)
                self._nulls(node, one, given)
                if name == "flatten":
                    self._flatten(node.args[0])
                self._fails(name, node, given)
                return
        for index, kind in enumerate(given):
            wanted = [one.parameter(index) for one in fitting]
            if any(self.typing.accepts(kind, parameter) for parameter in wanted):
                continue
            names = " or ".join(
                dict.fromkeys(type_ for one in wanted if one is not None for type_ in one.types)
            )
            self.model.error(
                node.args[index],
                "BCP070",
                f"{name}() wants {names} here, but this is {kind.spell()}.",
            )
            return
        self.model.error(node, "BCP048", f"{name}() can't take these arguments together.")

    def _nulls(
        self, node: s.Call | s.MethodCall, signature: functions.Signature, given: list[kinds.Kind]
    ) -> None:
        """Arguments that may be null, where the function takes none that is."""
        for index, kind in enumerate(given):
            parameter = signature.parameter(index)
            if parameter is None or {"any", "null", "lambda"} & set(parameter.types):
                continue
            wanted = kinds.union(kinds.NAMED[one] for one in parameter.types)
            warn_of_null(self.model, node.args[index], kind, wanted)

    def _nameof(self, node: s.Node) -> None:
        text = node.index if isinstance(node, s.Index) else None
        named = isinstance(text, s.Str) and text.literal is not None
        if not named and not isinstance(node, (s.Name, s.Member, s.Nested)):
            self.model.error(node, "BCP408", "nameof() takes what has a name.")

    def _asked(self, name: str, node: s.Call | s.MethodCall) -> None:
        """`resourceGroup()` where there is none."""
        allowed = _ASKED[name]
        if len(node.args) < len(allowed) and (
            self.model.target_scope not in allowed[len(node.args)]
        ):
            self.model.error(
                node,
                "BCP265",
                f"A file with the target scope {self.model.target_scope} is in no {name}: "
                f"say which, with the arguments of {name}().",
            )

    def _lambdas(
        self, name: str, node: s.Call | s.MethodCall, signature: functions.Signature
    ) -> None:
        for index, arg in enumerate(node.args):
            parameter = signature.parameter(index)
            inner = s.unwrap(arg)
            if parameter is None or not isinstance(inner, s.Lambda):
                continue
            count = len(inner.params)
            if not parameter.least <= count <= parameter.most:
                many = (
                    str(parameter.least)
                    if parameter.least == parameter.most
                    else f"{parameter.least} or {parameter.most}"
                )
                self.model.error(
                    arg, "BCP070", f"{name}() wants a lambda of {many} variables, not {count}."
                )
                continue
            wanted = _LAMBDA_RESULTS.get(name)
            if name == "toObject" and index == 1:
                wanted = kinds.STRING
            found = self.typing.of(inner.body)
            if wanted is not None and index == 1 and not kinds.fits(found, wanted):
                self.model.error(
                    inner.body,
                    "BCP070",
                    f"The lambda's result is wanted as {wanted.name}; this is {found.spell()}.",
                )

    def _flatten(self, node: s.Node) -> None:
        """flatten([1]): what has no arrays in it."""
        given = kinds.without_null(self.typing.of(node))
        items = given.items if given.items is not None else (item_of(given),)
        for item in items:
            inner = kinds.without_null(item)
            if any(not kinds.fits(one, kinds.ARRAY) for one in inner.members or (inner,)):
                self.model.error(
                    node, "BCP309", f"flatten() wants an array of arrays; this has {item.spell()}."
                )
                return

    @staticmethod
    def _in_default(node: s.Node, decl: s.Decl) -> bool:
        if not isinstance(decl, s.ParamDecl) or decl.default is None:
            return False
        current: s.Node | None = node
        while current is not None:
            if current is decl.default:
                return True
            current = current.parent
        return False

    def _secret(self, node: s.MethodCall) -> None:
        """A vault's secret is the whole value of a module's parameter that is a secure string."""
        parameter = self._argument_of(node)
        if parameter is None or not parameter.secure:
            self.model.error(
                node,
                "BCP180",
                "getSecret() is only given directly to a module's secure parameter.",
            )
            return
        kind = str((parameter.schema or {}).get("type", "")).lower()
        if parameter.decl is not None and parameter.owner is not None:
            kind = kinds.without_null(parameter_type(parameter.owner, parameter.decl)).name
        if kind in ("object", "secureobject"):
            self.model.error(
                node,
                "BCP036",
                f'The parameter "{parameter.name}" is wanted as object; a secret is a string.',
            )

    def _argument_of(self, node: s.Node) -> Parameter | None:
        """The parameter of a module whose whole value this is; an unknown module takes all."""
        current: s.Node = node
        parent = current.parent
        while isinstance(parent, (s.Paren, s.NonNull)) or (
            isinstance(parent, s.Ternary) and parent.condition is not current
        ):
            current, parent = parent, parent.parent
        if not isinstance(parent, s.Prop) or parent.name is None:
            return None
        holder = parent.parent
        params = holder.parent if isinstance(holder, s.Object) else None
        if not isinstance(params, s.Prop) or params.name != "params":
            return None
        up: s.Node | None = params
        while up is not None and not isinstance(up, s.ModuleDecl):
            up = up.parent
        if up is None:
            return None
        symbol = self.model.symbols.get(up.name.name)
        if symbol is None or symbol.file is None:
            return _UNKNOWN
        return parameters(symbol.file).get(parent.name, _UNKNOWN)


def _is_vault(model: Model, kind: kinds.Kind) -> bool:
    resource = model.resource_of.get(kind.source) if kind.source is not None else None
    return resource is None or resource.type.lower() == _VAULT
