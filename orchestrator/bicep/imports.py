"""Everything that a file imports, with what that needs in turn, and how each is called here.

A symbol imported by name keeps that name. What it drags along gets a name that no file can declare:
`_1.name`, numbered by file. The order is that of the real compiler, so that names are the same.
"""

from __future__ import annotations

import os
import re
from collections import deque
from dataclasses import dataclass
from typing import Any

from orchestrator.bicep import arm
from orchestrator.bicep import symbols as sym
from orchestrator.bicep import syntax as s
from orchestrator.bicep.arm import Fn, Lit
from orchestrator.bicep.model import EXPORT_MARK, ArmFile, Model
from orchestrator.bicep.naming import qualified
from orchestrator.bicep.symbols import Symbol, Target
from orchestrator.bicep.unit import Unit

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_DEFINITIONS = "#/definitions/"
_LOADED = "loaded"

Key = tuple[str, str]


@dataclass(slots=True, eq=False)
class Entry:
    """One declaration of the closure. `value`: of a variable that keeps loaded content."""

    kind: str
    file: Model | ArmFile
    name: str  # as its file calls it
    symbol: Symbol | None
    value: Any = None


def _original(kind: str, file: Model | ArmFile, name: str) -> str:
    """A declaration's name as an identifier, or what stands for it when it is none."""
    if isinstance(file, Model) or _IDENTIFIER.match(name):
        return name
    if kind == sym.TYPE:
        return _DEFINITIONS + name
    if kind == sym.FUNC:
        return qualified(name)
    return name


class Closure:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.entries: dict[Key, Entry] = {}
        self.names: dict[Key, str] = {}
        self._collect()
        self._choose_names()

    # --- identity

    def source_of(self, file: Model | ArmFile) -> str:
        """The file as the template names it: its registry reference, or its path from here."""
        if isinstance(file, ArmFile) and file.reference:
            return file.reference
        return os.path.relpath(file.path, self.model.path.parent).replace(os.sep, "/")

    def key(self, target: Target) -> Key:
        return self.source_of(target.file), _original(target.kind, target.file, target.name)

    def name(self, target: Target) -> str:
        return self.names[self.key(target)]

    def own_name(self, file: Model | ArmFile, name: str) -> str:
        return self.names[self.source_of(file), name]

    @staticmethod
    def unit(model: Model) -> Unit:
        return model.unit

    # --- collecting

    def _collect(self) -> None:
        queue: deque[Target] = deque()
        files = [self.model]
        while files[-1].extends is not None and files[-1].extends not in files:
            files.append(files[-1].extends)
        for file in files:
            for symbol in file.import_symbols:
                if symbol.target is not None:
                    queue.append(symbol.target)
            for symbol in file.wildcards:
                queue.extend(symbol.members.values())
        while queue:
            target = queue.popleft()
            key = self.key(target)
            if key in self.entries:
                continue
            entry = Entry(target.kind, target.file, target.name, target.symbol)
            self.entries[key] = entry
            if isinstance(target.file, ArmFile):
                queue.extend(_arm_references(target))
            elif target.symbol is not None:
                self._loaded(target.file, target.symbol)
                queue.extend(_references(target.symbol))

    def _loaded(self, model: Model, symbol: Symbol) -> None:
        unit = self.unit(model)
        for node in s.walk(symbol.decl):
            name = unit.load_variables.get(node)
            if name is not None:
                entry = Entry(_LOADED, model, name, None, unit.loaded[node])
                self.entries.setdefault((self.source_of(model), name), entry)

    def _choose_names(self) -> None:
        for symbol in self.model.import_symbols:
            if symbol.target is not None:
                self.names[self.key(symbol.target)] = symbol.name
        counter = 1
        files: dict[str, int] = {}
        for key in sorted(self.entries, key=lambda key: f"{key[0]}_{key[1]}"):
            if key in self.names:
                continue
            source, original = key
            if source not in files:
                files[source] = counter
                counter += 1
            identifier = original
            if not _IDENTIFIER.match(original):
                identifier = f"_{counter}"
                counter += 1
            self.names[key] = f"_{files[source]}.{identifier}"

    # --- what compiled templates declare

    def origin(self, key: Key, name: str, *, suffix: bool) -> dict[str, str]:
        """Where an imported declaration comes from, for its metadata."""
        source, original = key
        found = {"sourceTemplate": source}
        same = name.endswith(original) if suffix else name == original
        if not same:
            found["originalIdentifier"] = original
        return found

    def _renamed(self, file: ArmFile, kind: str, name: str) -> str:
        return self.names[self.source_of(file), _original(kind, file, name)]

    def arm_type(self, file: ArmFile, name: str) -> dict[str, Any]:
        schema = self.arm_schema(file, file.template["definitions"][name])
        assert isinstance(schema, dict)
        metadata = dict(schema.get("metadata", {}))
        metadata.pop(EXPORT_MARK, None)
        metadata.pop("__bicep_imported_from!", None)
        schema = {key: value for key, value in schema.items() if key != "metadata"}
        if metadata:
            schema["metadata"] = metadata
        return schema

    def arm_schema(self, file: ArmFile, schema: Any) -> Any:
        """A part of a definition with its references to others renamed."""
        if isinstance(schema, dict):
            return {
                key: self._reference(file, value)
                if key == "$ref" and isinstance(value, str)
                else self.arm_schema(file, value)
                for key, value in schema.items()
            }
        if isinstance(schema, list):
            return [self.arm_schema(file, item) for item in schema]
        return schema

    def _reference(self, file: ArmFile, pointer: str) -> str:
        if not pointer.startswith(_DEFINITIONS):
            return pointer
        name, slash, rest = pointer.removeprefix(_DEFINITIONS).partition("/")
        renamed = self._renamed(file, sym.TYPE, name.replace("~1", "/").replace("~0", "~"))
        return _DEFINITIONS + renamed.replace("~", "~0").replace("/", "~1") + slash + rest

    def _change(self, file: ArmFile, copy: tuple[str, str] | None) -> Any:
        def change(call: Fn) -> Fn:
            args = call.args
            first = args[0].value if args and isinstance(args[0], Lit) else None
            if call.name == "variables" and isinstance(first, str):
                return Fn("variables", (Lit(self._renamed(file, sym.VAR, first)),), call.props)
            if call.name == "copyIndex" and copy is not None and first == copy[0]:
                return Fn("copyIndex", (Lit(copy[1]),), call.props)
            if "." in call.name:
                name = call.name.removeprefix("__bicep.")
                return Fn(qualified(self._renamed(file, sym.FUNC, name)), args, call.props)
            return call

        return change

    def arm_variable(
        self, file: ArmFile, name: str, renamed: str
    ) -> tuple[Any, dict[str, Any] | None]:
        """A variable's value, or the loop that makes it."""
        variables = file.template.get("variables", {})
        for loop in variables.get("copy", ()):
            if loop["name"] == name:
                change = self._change(file, (name, renamed))
                changed = {
                    key: arm.rewrite_json(value, change) if key != "name" else renamed
                    for key, value in loop.items()
                }
                count = changed["count"]
                times = arm.number(count) if isinstance(count, int) else arm.parse(str(count))
                changed["count"] = arm.to_text(arm.fn("length", arm.fn("range", Lit(0), times)))
                return None, changed
        return arm.rewrite_json(variables[name], self._change(file, None)), None

    def arm_function(self, file: ArmFile, name: str) -> dict[str, Any]:
        prefix, _, short = qualified(name).rpartition(".")
        for namespace in file.template.get("functions", ()):
            if namespace["namespace"] == prefix and short in namespace["members"]:
                body = self.arm_schema(file, namespace["members"][short])
                body["output"] = {
                    **body["output"],
                    "value": arm.rewrite_json(body["output"]["value"], self._change(file, None)),
                }
                metadata = {
                    key: value
                    for key, value in body.get("metadata", {}).items()
                    if key not in (EXPORT_MARK, "__bicep_imported_from!")
                }
                body.pop("metadata", None)
                if metadata:
                    body["metadata"] = metadata
                assert isinstance(body, dict)
                return body
        raise KeyError(name)


def _symbol_targets(symbol: Symbol) -> list[Target]:
    if symbol.kind == sym.IMPORT:
        return [symbol.target] if symbol.target is not None else []
    if symbol.kind == sym.WILDCARD:
        return list(symbol.members.values())
    if symbol.kind in (sym.TYPE, sym.VAR, sym.FUNC):
        return [Target(symbol.model, symbol.kind, symbol.name, symbol)]
    return []


def _references(symbol: Symbol) -> list[Target]:
    """What a declaration of a Bicep file needs."""
    found: list[Target] = []
    for node in s.walk(symbol.decl):
        used = getattr(node, "symbol", None)
        if isinstance(used, Symbol):
            found += _symbol_targets(used)
    return found


def _pointers(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        found = [str(schema["$ref"])] if "$ref" in schema else []
        return found + [pointer for value in schema.values() for pointer in _pointers(value)]
    if isinstance(schema, list):
        return [pointer for item in schema for pointer in _pointers(item)]
    return []


def _arm_references(target: Target) -> list[Target]:
    """What a declaration of a compiled template needs."""
    file = target.file
    assert isinstance(file, ArmFile)
    template = file.template
    if target.kind == sym.TYPE:
        part: Any = template["definitions"][target.name]
    elif target.kind == sym.VAR:
        variables = template.get("variables", {})
        loops = [loop for loop in variables.get("copy", ()) if loop["name"] == target.name]
        part = loops or variables.get(target.name)
    else:
        prefix, _, short = qualified(target.name).rpartition(".")
        part = [
            namespace["members"][short]
            for namespace in template.get("functions", ())
            if namespace["namespace"] == prefix and short in namespace["members"]
        ]
    found = []
    for pointer in _pointers(part):
        if pointer.startswith(_DEFINITIONS):
            name = pointer.removeprefix(_DEFINITIONS).split("/")[0]
            found.append(Target(file, sym.TYPE, name.replace("~1", "/").replace("~0", "~")))
    if target.kind != sym.TYPE:
        for call in arm.calls_json(part):
            first = call.args[0] if call.args else None
            if call.name == "variables" and isinstance(first, Lit) and isinstance(first.value, str):
                found.append(Target(file, sym.VAR, first.value))
            elif "." in call.name:
                found.append(Target(file, sym.FUNC, call.name.removeprefix("__bicep.")))
    return found
