"""Bicep text in, template out: what all tests here do."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from orchestrator.bicep import BicepError, Diagnostic, compile_file

Json = Any


def write(folder: Path, files: dict[str, str]) -> Path:
    """Files by name; the first is the one to compile."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return folder / next(iter(files))


def template(folder: Path, text: str, **others: str) -> Json:
    """The template of `main.bicep`; further files by names in which __ stands for a dot."""
    files = {"main.bicep": text}
    files.update({name.replace("__", "."): other for name, other in others.items()})
    return compile_file(write(folder, files)).template


def refused(folder: Path, text: str, **others: str) -> list[Diagnostic]:
    """What is wrong with `main.bicep`."""
    try:
        template(folder, text, **others)
    except BicepError as error:
        return list(error.diagnostics)
    raise AssertionError("it was compiled")


def at(value: Json, path: str) -> Json:
    """The part of a template at `a/b/0`."""
    for step in path.split("/"):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value
