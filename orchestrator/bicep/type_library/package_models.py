"""What a package of Microsoft's says of the bodies that its operations send: its models as kinds.

The models' source is read, not imported: of some thirty thousand lines the few classes that a
resource needs. There are two generations of generated code: attributes made by `rest_field(…)`, and
`_attribute_map` with `_validation`. What has another form is `any`, so that nothing is said of it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from orchestrator.bicep import kinds
from orchestrator.bicep.kinds import ANY, Described, Kind, Property

_CLASS = re.compile(r"^class (\w+)\(", re.MULTILINE)
_BODY_END = re.compile(r"^    (?:@overload|def )", re.MULTILINE)
_PLAIN = {
    "str": kinds.STRING,
    "int": kinds.INT,
    "bool": kinds.BOOL,
    "iso-8601": kinds.STRING,
    "duration": kinds.STRING,
    "datetime.datetime": kinds.STRING,
    "datetime.timedelta": kinds.STRING,
}
_DEEPEST = 16


class Models:
    """The classes of a package's `models` folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kinds: dict[str, Kind] = {}

    @cached_property
    def _sources(self) -> Mapping[str, str]:
        """The source of each class, without its methods."""
        found = {}
        for path in sorted(self.folder.glob("_*.py")):
            text = path.read_text("utf-8")
            marks = list(_CLASS.finditer(text))
            ends = [mark.start() for mark in marks[1:]] + [len(text)]
            for mark, end in zip(marks, ends, strict=False):
                found[mark.group(1)] = text[mark.start() : end]
        return found

    def kind(self, name: str) -> Kind:
        """The kind of a model or of an enumeration."""
        if name not in self._kinds:
            self._kinds[name] = self._read(name)
        return self._kinds[name]

    def _class(self, name: str) -> ast.ClassDef | None:
        source = self._sources.get(name)
        if source is None:
            return None
        end = _BODY_END.search(source)
        try:
            body = ast.parse(source[: end.start()] if end is not None else source).body
        except SyntaxError:
            return None
        return body[0] if body and isinstance(body[0], ast.ClassDef) else None

    def _read(self, name: str) -> Kind:
        found = self._class(name)
        if found is None:
            return ANY
        bases = [base.id for base in found.bases if isinstance(base, ast.Name)]
        if "Enum" in bases:
            values = [_text(one.value) for one in found.body if isinstance(one, ast.Assign)]
            return kinds.union(kinds.literal(value) for value in values if value is not None)
        lines = list(self._lineage(found))
        if any(_is_several(one) for one in lines):
            return kinds.OBJECT  # which of several forms is meant is told by a property
        props: dict[str, Property] = {}
        for one in reversed(lines):
            props.update(self._fields(one))
            props.update(self._mapped(one))
        return Kind("object", props=props, closed=bool(props), azure=Described(name))

    def _lineage(self, found: ast.ClassDef, depth: int = 0) -> Iterator[ast.ClassDef]:
        """A class, and those that it is made of."""
        yield found
        for base in found.bases:
            parent = self._class(base.id) if isinstance(base, ast.Name) else None
            if parent is not None and depth < _DEEPEST:
                yield from self._lineage(parent, depth + 1)

    # --- attributes that are made by rest_field(…)

    def _fields(self, found: ast.ClassDef) -> Iterator[tuple[str, Property]]:
        for line in found.body:
            if not (isinstance(line, ast.AnnAssign) and isinstance(line.value, ast.Call)):
                continue
            said = {one.arg: one.value for one in line.value.keywords}
            name: str = _text(said.get("name")) or _target(line)
            seen = said.get("visibility")
            read_only = isinstance(seen, ast.List) and [_text(one) for one in seen.elts] == ["read"]
            required = not read_only and _outer(line.annotation) != "Optional"
            find = partial(self._annotated, line.annotation)
            yield name, Property(find, required, read_only=read_only)

    def _annotated(self, node: ast.expr, depth: int = 0) -> Kind:
        if depth > _DEEPEST:
            return ANY
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return self._annotated(ast.parse(node.value, mode="eval").body, depth + 1)
        if isinstance(node, ast.Subscript):
            given = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            match _outer(node):
                case "Optional":
                    return self._annotated(given[0], depth + 1)
                case "list" | "List":
                    return Kind("array", item=partial(self._annotated, given[0], depth + 1))
                case "dict" | "Dict":
                    return Kind("object", rest=partial(self._annotated, given[-1], depth + 1))
                case "Union":  # of a text and the texts that are known
                    return self._annotated(given[-1], depth + 1)
            return ANY
        name = ast.unparse(node)
        return self.kind(name.rpartition(".")[2]) if "_models." in name else _PLAIN.get(name, ANY)

    # --- _attribute_map and _validation

    def _mapped(self, found: ast.ClassDef) -> Mapping[str, Property]:
        tree: dict[str, Any] = {}
        limits = _assigned(found, "_validation")
        for attribute, said in _assigned(found, "_attribute_map").items():
            *above, name = re.split(r"(?<!\\)\.", said["key"])
            place = tree
            for step in above:
                place = place.setdefault(step, {})
            limit = limits.get(attribute, {})
            place[name.replace("\\.", ".")] = Property(
                partial(self._typed, said["type"]),
                bool(limit.get("required")),
                read_only=bool(limit.get("readonly")),
            )
        return _properties(tree, found.name)

    def _typed(self, text: str) -> Kind:
        if text.startswith("["):
            return Kind("array", item=partial(self._typed, text[1:-1]))
        if text.startswith("{"):
            return Kind("object", rest=partial(self._typed, text[1:-1]))
        return _PLAIN.get(text) or self.kind(text)


def _properties(tree: Mapping[str, Any], label: str) -> dict[str, Property]:
    """Properties, of which some are flattened into their owner's attributes."""
    found = {}
    for name, one in tree.items():
        if isinstance(one, Property):
            found[name] = one
            continue
        inner = _properties(one, label)
        required = any(prop.required for prop in inner.values())
        kind = Kind("object", props=inner, closed=True, azure=Described(f"{label}.{name}"))
        found[name] = Property(partial(_same, kind), required)
    return found


def _same(kind: Kind) -> Kind:
    return kind


def _is_several(found: ast.ClassDef) -> bool:
    """Whether a class stands for several, or is one of such."""
    if any(one.arg == "discriminator" for one in found.keywords):
        return True
    names = [_target(line) for line in found.body]
    return "__mapping__" in names or "_subtype_map" in names


def _target(line: ast.stmt) -> str:
    target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
    return target.id if isinstance(target, ast.Name) else ""


def _assigned(found: ast.ClassDef, name: str) -> Mapping[str, Any]:
    for line in found.body:
        if _target(line) == name and isinstance(line, ast.Assign):
            value = ast.literal_eval(line.value)
            return value if isinstance(value, dict) else {}
    return {}


def _outer(node: ast.expr) -> str:
    return ast.unparse(node.value) if isinstance(node, ast.Subscript) else ""


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
