"""Content that is read while compiling: text, Base64, JSON, YAML, the files of a folder."""

from __future__ import annotations

import base64
import codecs
import json
import operator
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.bicep import syntax as s
from orchestrator.bicep.paths import path_fault
from orchestrator.bicep.yaml_content import read_yaml

# Source: limits of Bicep's file functions
MAX_CHARACTERS = 131072
MAX_JSON_CHARACTERS = 1048576
_ENCODINGS = {
    "us-ascii": "ascii",
    "iso-8859-1": "latin-1",
    "utf-8": "utf-8-sig",
    "utf-16BE": "utf-16-be",
    "utf-16": "utf-16",
}
# a mark at a file's beginning says more than an argument does, as for .NET's readers
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FILTER = re.compile(
    r"\[\?\(?\s*@\.(?P<name>[\w.-]+)\s*(?:(?P<op>==|!=|<=|>=|<|>)\s*"
    r"(?P<value>'[^']*'|\"[^\"]*\"|-?\d+(?:\.\d+)?|true|false|null)\s*)?\)?\]"
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_COMMENTS = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_LAST_COMMAS = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)
_STEP = re.compile(r"\.(?P<name>[A-Za-z_][\w-]*|\*)|\[(?P<index>-?\d+|\*|'[^']*'|\"[^\"]*\")\]")


class LoadFault(Exception):  # noqa: N818 -- it reads by what happened
    def __init__(self, code: str, message: str, node: s.Node | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.node = node


def _literal(node: s.Node, what: str) -> str:
    node = s.unwrap(node)
    if isinstance(node, s.Str) and node.literal is not None:
        return node.literal
    raise LoadFault("BCP032", f"{what} is read while compiling: write it as a plain string.", node)


def _file(node: s.Node, folder: Path, *, is_folder: bool = False) -> Path:
    name = _literal(node, "The path")
    fault = path_fault(name, folder=is_folder)
    if fault is not None:
        raise LoadFault(*fault, node)
    return Path(os.path.normpath(folder / name))


def _bytes(node: s.Node, folder: Path) -> bytes:
    path = _file(node, folder)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise LoadFault("BCP091", f"There is no file {path}.", node) from None
    except OSError as fault:
        raise LoadFault("BCP091", f"{path} can't be read: {fault.strerror}.", node) from None


def _text(node: s.Node, folder: Path, encoding: s.Node | None, limit: int) -> str:
    name = "utf-8-sig"
    if encoding is not None:
        chosen = _literal(encoding, "The encoding")
        if chosen not in _ENCODINGS:
            allowed = ", ".join(_ENCODINGS)
            raise LoadFault("BCP070", f"The encoding is one of {allowed}.", encoding)
        name = _ENCODINGS[chosen]
    data = _bytes(node, folder)
    name = next((marked for mark, marked in _MARKS if data.startswith(mark)), name)
    try:
        text = data.decode(name, errors="replace").removeprefix("\ufeff")
    except (UnicodeDecodeError, LookupError) as fault:
        raise LoadFault("BCP091", f"The file can't be read as {name}: {fault}.", node) from None
    if len(text) > limit:
        raise LoadFault(
            "BCP184", f"The file has {len(text)} characters; the limit is {limit}.", node
        )
    return text


def select(value: Any, path: str) -> list[Any]:
    """The part of a JSON value that a JSONPath means: names, indexes, `*` and `..name`.

    Raises: ValueError when the path uses something else.
    """
    rest = path.strip()
    rest = rest.removeprefix("$")
    if rest and rest[0] not in ".[":
        rest = "." + rest
    found = [value]
    while rest:
        if rest.startswith(".."):
            name = re.match(r"\.\.([A-Za-z_][\w-]*)", rest)
            if name is None:
                raise ValueError(path)
            found = [item for one in found for item in _descend(one, name.group(1))]
            rest = rest[name.end() :]
            continue
        if condition := _FILTER.match(rest):
            rest = rest[condition.end() :]
            found = [
                item
                for one in found
                for item in (
                    one
                    if isinstance(one, list)
                    else list(one.values())
                    if isinstance(one, dict)
                    else []
                )
                if _holds(item, condition)
            ]
            continue
        step = _STEP.match(rest)
        if step is None:
            raise ValueError(path)
        rest = rest[step.end() :]
        token = step.group("name") or step.group("index")
        following: list[Any] = []
        for one in found:
            if token == "*":  # noqa: S105
                following += (
                    list(one.values())
                    if isinstance(one, dict)
                    else (one if isinstance(one, list) else [])
                )
            elif step.group("index") and token.lstrip("-").isdigit():
                if isinstance(one, list) and -len(one) <= int(token) < len(one):
                    following.append(one[int(token)])
            else:
                key = token[1:-1] if token[0] in "'\"" else token
                if isinstance(one, dict) and key in one:
                    following.append(one[key])
        found = following
    return found


def _holds(item: Any, condition: re.Match[str]) -> bool:
    """Whether an item meets `@.name op value`, or has the name at all."""
    for name in condition.group("name").split("."):
        if not isinstance(item, dict) or name not in item:
            return False
        item = item[name]
    if condition.group("op") is None:
        return True
    text = condition.group("value")
    value = text[1:-1] if text[0] in "'\"" else json.loads(text)
    try:
        return _COMPARE[condition.group("op")](item, value)
    except TypeError:
        return False


def _descend(value: Any, name: str) -> list[Any]:
    found = []
    if isinstance(value, dict):
        for key, item in value.items():
            if key == name:
                found.append(item)
            found += _descend(item, name)
    elif isinstance(value, list):
        for item in value:
            found += _descend(item, name)
    return found


def _structured(name: str, args: list[s.Node], folder: Path) -> Any:
    text = _text(args[0], folder, args[2] if len(args) > 2 else None, MAX_JSON_CHARACTERS)
    try:
        value = read_json(text) if name == "loadJsonContent" else read_yaml(text)
    except ValueError as fault:
        kind = "JSON" if name == "loadJsonContent" else "YAML"
        raise LoadFault("BCP186", f"The file is no {kind}: {fault}.", args[0]) from None
    if len(args) > 1:
        path = _literal(args[1], "The JSONPath")
        try:
            found = select(value, path)
        except ValueError:
            raise LoadFault(
                "BCP235",
                "This JSONPath is not understood; names, [index], ['name'], * and ..name are.",
                args[1],
            ) from None
        if not found:
            raise LoadFault("BCP235", f'The file has nothing at "{path}".', args[1])
        single = not any(mark in path for mark in ("*", "..", "[?"))
        value = found[0] if single else found
    return value


def read_json(text: str) -> Any:
    """JSON as templates and Bicep's own files have it: comments and a last comma are no matter.

    Raises: json.JSONDecodeError when it is none.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        plain = _COMMENTS.sub(lambda found: found.group(1) or "", text)
        return json.loads(_LAST_COMMAS.sub(lambda found: found.group(1) or "", plain))


def _pattern(text: str) -> re.Pattern[str]:
    """Of names of files: * and ? stand for letters, and nothing else does; *.* is every file."""
    text = "*" if text == "*.*" else text
    marks = {"*": ".*", "?": "."}
    return re.compile("".join(marks.get(one) or re.escape(one) for one in text), re.DOTALL)


def _folder(args: list[s.Node], folder: Path) -> list[dict[str, str]]:
    place = _file(args[0], folder, is_folder=True)
    pattern = _literal(args[1], "The pattern") if len(args) > 1 else "*"
    try:
        names = sorted((one.name for one in place.iterdir() if one.is_file()), key=str.lower)
    except OSError as fault:
        raise LoadFault("BCP091", f"{place} can't be listed: {fault.strerror}.", args[0]) from None
    wanted = _pattern(pattern)
    found = []
    for name in names:
        if wanted.fullmatch(name):
            path = place / name
            found.append(
                {
                    "relativePath": os.path.relpath(path, folder).replace(os.sep, "/"),
                    "baseName": path.name,
                    "extension": path.suffix,
                }
            )
    return found


def load_content(name: str, args: list[s.Node], folder: Path) -> Any:
    """What a load function gives, as a JSON value.

    Raises: LoadFault when the file is missing, too large or not what it should be.
    """
    if not args:
        raise LoadFault("BCP071", f"{name} needs the path of a file.")
    if name == "loadTextContent":
        return _text(args[0], folder, args[1] if len(args) > 1 else None, MAX_CHARACTERS)
    if name == "loadFileAsBase64":
        content = _bytes(args[0], folder)
        if len(content) > MAX_CHARACTERS // 4 * 3:
            raise LoadFault(
                "BCP184", f"The file has {len(content)} bytes; the limit is 96 kB.", args[0]
            )
        return base64.b64encode(content).decode("ascii")
    if name == "loadDirectoryFileInfo":
        return _folder(args, folder)
    return _structured(name, args, folder)
