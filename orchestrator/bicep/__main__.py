"""`python -m orchestrator.bicep`: the compiler behind the command line of `bicep`.

For programs that run `bicep` themselves, `az deployment` most of all, where there is none. It knows
what they ask: `build`, `build-params`, `--version`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# The version of Bicep whose language it takes; `az` compares it with what its commands need.
LANGUAGE = "0.36.1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0, or 1 with what is wrong on standard error."""
    options = _parser().parse_args(arguments)
    if options.command is None:
        _parser().print_help(sys.stderr)
        return 1
    from orchestrator.errors import OrchestratorError

    try:
        return _build(options) if options.command == "build" else _build_params(options)
    except OrchestratorError as error:
        sys.stderr.write(f"{error.message}\n" + (f"{error.hint}\n" if error.hint else ""))
        return 1
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return 1


def _build(options: argparse.Namespace) -> int:
    from orchestrator.bicep.front import build

    built = build(options.file)
    _warn(built.warnings)
    text = json.dumps(built.template, indent=2, ensure_ascii=False)
    return _out(text, options, Path(options.file).with_suffix(".json"))


def _build_params(options: argparse.Namespace) -> int:
    from orchestrator.bicep.front import build, build_params

    built = build_params(options.file)
    _warn(built.warnings)
    template = built.template
    if options.bicep_file is not None:
        template = build(options.bicep_file).template
    parameters = built.document
    if not options.stdout:
        text = json.dumps(parameters, indent=2, ensure_ascii=False)
        return _out(text, options, Path(options.file).with_suffix(".parameters.json"))
    # With --stdout both are wanted in one, each as a text.
    both: dict[str, Any] = {"parametersJson": json.dumps(parameters, ensure_ascii=False)}
    if template is not None:
        both["templateJson"] = json.dumps(template, ensure_ascii=False)
    return _out(json.dumps(both, ensure_ascii=False), options, Path())


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        sys.stderr.write(f"{warning}\n")


def _out(text: str, options: argparse.Namespace, beside: Path) -> int:
    if options.stdout:
        sys.stdout.write(text + "\n")
        return 0
    target = Path(options.outfile) if options.outfile else beside
    if options.outdir:
        target = Path(options.outdir) / beside.name
    target.write_text(text + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bicep", description="Bicep to ARM templates, with orchestrator's compiler."
    )
    parser.add_argument(
        "--version", "-v", action="version", version=f"Bicep CLI version {LANGUAGE} (orchestrator)"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, what in (
        ("build", "a .bicep file to an ARM template"),
        ("build-params", "a .bicepparam file to a parameters file"),
    ):
        command = commands.add_parser(name, help=what)
        command.add_argument("file", metavar="FILE")
        command.add_argument("--stdout", action="store_true", help="print it")
        command.add_argument("--outfile", metavar="FILE", help="write it to this file")
        command.add_argument("--outdir", metavar="DIR", help="write it into this folder")
        command.add_argument("--no-restore", action="store_true", help=argparse.SUPPRESS)
        if name == "build-params":
            command.add_argument("--bicep-file", metavar="FILE", help="the template it is for")
    return parser


if __name__ == "__main__":
    sys.exit(main())
