"""Write the reference pages: settings and records from their types, commands from click.

`make docs` runs this. A test fails when the pages differ from what this would write.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import click
import msgspec

import orchestrator
from orchestrator.cli.app import root
from orchestrator.cli.grammar import Command, GlobalOption, LazyGroup
from orchestrator.quantities import short_duration
from orchestrator.settings import tables
from orchestrator.settings.rules import Rule

FOLDER = Path(__file__).resolve().parent / "reference"
GENERATED = "<!-- Generated: edit what it is made of, then `make docs`. -->\n"

# Words of code in running text: options, snake_case keys, files.
CODE = re.compile(r"(?<![\w/-])(--?[a-z][a-z-]*|[a-z]+(?:_[a-z]+)+|\w*\.toml)\b")

# Every table of the file, in the order of the page.
TABLES: dict[str, type[tables.Table]] = {
    "At the top": tables.Settings,
    "`[profiles.<name>]`": tables.ProfileSpec,
    "`[queues.<name>]`": tables.QueueSpec,
    "`[images.<name>]`": tables.ImageSpec,
    "`[scripts.<name>]`": tables.ScriptSpec,
    "`[jobs.<name>]`": tables.JobSpec,
    "`[jobs.<name>.env]`": tables.SecretRef,
    "`[jobs.<name>.secrets]`": tables.SecretSource,
    "`[jobs.<name>.scale]`": tables.Scale,
    "`[[jobs.<name>.scale.rules]]`": tables.ScaleRule,
    "`[[jobs.<name>.scale.rules.auth]]`": tables.RuleAuth,
    "`[alerts.<name>]`": tables.AlertSpec,
    "`[action_groups.<name>]`": tables.ActionGroupSpec,
    "`[[action_groups.<name>.webhooks]]`": tables.WebhookSpec,
}
NOT_IN_THE_FILE: dict[type[tables.Table], set[str]] = {tables.Settings: {"path", "folder"}}

USUAL_STATUSES = {
    0: "done",
    1: "it failed",
    2: "the command line, an input or the settings are wrong",
    130: "Ctrl-C",
    141: "the reader of standard output has gone",
}


# ---------------------------------------------------------------------------------- settings


def keys_of(table: type[tables.Table]) -> list[str]:
    """The keys that the file may have in a table."""
    hidden = NOT_IN_THE_FILE.get(table, set())
    return [f.name for f in msgspec.structs.fields(table) if f.name not in hidden]


def descriptions(table: type[tables.Table]) -> tuple[str, dict[str, str]]:
    """What a table's docstring says of the whole, and of each key."""
    names = [field.name for field in msgspec.structs.fields(table)]
    whole: list[str] = []
    of_keys: dict[str, list[str]] = {}
    at: list[str] | None = whole
    for line in inspect.getdoc(table).splitlines():  # type: ignore[union-attr]  # a test sees to it
        head, colon, rest = line.partition(": ")
        if colon and all(word in names for word in head.split(", ")):
            at = [rest]
            of_keys.update(dict.fromkeys(head.split(", "), at))
        elif not line.strip():
            at = whole
            whole.append("")
        elif at is not None:
            at.append(line.strip())
    # The first line begins with the table's own name, which is the heading.
    text = re.sub(r"^`[^`]*`[^:]*: ", "", "\n".join(whole).strip())
    return text, {name: " ".join(lines).rstrip(".;") for name, lines in of_keys.items()}


def type_of(hint: Any) -> str:
    """How a value of that type is written in the file."""
    if get_origin(hint) is Annotated:
        return type_of(get_args(hint)[0])
    arguments = [a for a in get_args(hint) if a is not types.NoneType]
    origin = get_origin(hint)
    if origin is Literal:
        return ", ".join(f'`"{word}"`' for word in arguments)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(type_of(a) for a in arguments)
    if origin is tuple:
        return f"list of {plural(type_of(arguments[0]))}"
    if origin is dict and arguments[1] is Any:
        return "table of anything"
    if origin is dict:
        return f"table of {plural(type_of(arguments[1]))}"
    words = {str: "text", int: "whole number", float: "number", bool: "`true`, `false`"}
    if hint is timedelta:
        return "duration"
    return "table" if issubclass(hint, tables.Table) else words[hint]


def plural(word: str) -> str:
    return word if word.startswith("text") else f"{word}s"


def rules_of(hint: Any) -> Iterator[str]:
    """What is allowed, in words, of a value and of what is in it."""
    for rule in getattr(hint, "__metadata__", ()):
        if isinstance(rule, Rule) and rule.allowed:
            yield rule.allowed
    for inner in get_args(hint):
        if not isinstance(inner, Rule | str):
            yield from rules_of(inner)


def default_of(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "**needed**"
    if field.default_factory is not msgspec.NODEFAULT or field.default in (None, ()):
        return ""
    if isinstance(field.default, timedelta):
        return f'`"{short_duration(field.default)}"`'
    return f"`{msgspec.json.encode(field.default).decode()}`"


def settings_page() -> str:
    lines = [
        GENERATED,
        "# Settings reference",
        "",
        "Every key of `orchestrator.toml`: its type, default and rule, as the program has them. "
        "[Settings](../settings.md) explains them, with examples. Durations are text such as "
        '`"90s"`, `"10m"`, `"1h30m"`.',
    ]
    for heading, table in TABLES.items():
        whole, of_keys = descriptions(table)
        hints = typing.get_type_hints(table, include_extras=True)
        fields = {field.name: field for field in msgspec.structs.fields(table)}
        lines += ["", f"## {heading}", ""]
        if table is not tables.Settings:
            lines += [sentence(prose(whole)), ""]
        lines += ["| key | type | default | allowed | |", "|---|---|---|---|---|"]
        for key in keys_of(table):
            cells = (
                f"`{key}`",
                type_of(hints[key]),
                default_of(fields[key]),
                prose("; ".join(rules_of(hints[key]))),
                prose(of_keys[key]),
            )
            lines.append("| " + " | ".join(cell(text) for text in cells) + " |")
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------------- commands


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every group and command below `group`, in the order of the help."""
    yield path, group
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        elif command is not None:
            yield f"{path} {name}", command


def written(parameter: click.Parameter) -> str:
    """`-j, --job JOB`: an option as it is typed."""
    names = ", ".join(f"`{name}`" for name in sorted(parameter.opts, key=len))
    if parameter.secondary_opts:
        names += ", " + ", ".join(f"`{name}`" for name in parameter.secondary_opts)
    value = value_of(parameter)
    return f"{names[:-1]} {value}`" if value else names


def value_of(parameter: click.Parameter) -> str:
    if getattr(parameter, "is_flag", False) or getattr(parameter, "count", False):
        return ""
    if parameter.metavar:
        return parameter.metavar
    if isinstance(parameter.type, click.Choice):
        return "|".join(str(choice) for choice in parameter.type.choices)
    if isinstance(parameter.type, click.types.IntParamType | click.types.FloatParamType):
        return "N"
    return parameter.type.name.upper()


def meaning(option: click.Option) -> str:
    said = option.help or ""
    if option.multiple and "epeatable" not in said:
        said += " Repeatable."
    if option.show_default and option.default is not None and not option.is_flag:
        said += f" Default: `{option.default}`."
    if option.required:
        said += " Needed."
    return prose(said)


def usage(path: str, command: click.Command) -> str:
    words = [path]
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            name = parameter.metavar or (parameter.name or "").upper()
            if not parameter.metavar and not parameter.required:
                name = f"[{name}]"
            if not parameter.metavar and parameter.nargs == -1:
                name += "…"
            words.append(name)
    if any(True for _ in own_options(command)):
        words.append("[OPTION]…")
    return " ".join(words)


def own_options(command: click.Command) -> Iterator[click.Option]:
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not isinstance(parameter, GlobalOption):
            yield parameter


def option_table(options: Iterator[click.Option]) -> list[str]:
    rows = [f"| {cell(written(o))} | {cell(meaning(o))} |" for o in options if not o.hidden]
    return ["", "| option | |", "|---|---|", *rows] if rows else []


def status_table(statuses: dict[int, str]) -> list[str]:
    rows = [f"| {status} | {cell(prose(text))} |" for status, text in statuses.items()]
    return ["", "| exit status | |", "|---|---|", *rows] if rows else []


def command_section(path: str, command: Command) -> list[str]:
    lines = ["", f"## `{path}`", "", f"```text\n{usage(path, command)}\n```", ""]
    lines.append(prose(inspect.cleandoc(command.help or "")))
    lines += option_table(own_options(command))
    lines += status_table(command.statuses)
    examples = "\n\n".join(f"# {what}\n{line}" for what, line in command.examples)
    return [*lines, "", f"```bash\n{examples}\n```"]


def commands_page() -> str:
    found = list(commands(root, "orchestrator"))
    lines = [
        GENERATED,
        "# Command reference",
        "",
        "Every command with its options, exit statuses and examples, as `--help` has them. "
        "[Commands](../cli.md) explains them.",
        "",
        "## Of every command",
    ]
    lines += option_table(o for o in root.params if isinstance(o, GlobalOption))
    lines += status_table(USUAL_STATUSES)
    lines += ["", "A command's own exit statuses stand with it.", "", "## All of them", ""]
    for path, command in found:
        if isinstance(command, LazyGroup):
            for name, entry in command.entries.items():
                if not isinstance(command.get_command(click.Context(command), name), click.Group):
                    full = f"{path} {name}"
                    lines.append(f"* [`{full}`](#{full.replace(' ', '-')}): {prose(entry.help)}")
    for path, command in found:
        if isinstance(command, Command):
            lines += command_section(path, command)
    return "\n".join(lines) + "\n"


# ----------------------------------------------------------------------------------- records


def records() -> Iterator[type[msgspec.Struct]]:
    """The public records of the library, by name."""
    for name in orchestrator.__all__:
        kind = getattr(orchestrator, name)
        if not isinstance(kind, type) or issubclass(kind, tables.Table):
            continue
        if issubclass(kind, msgspec.Struct):
            yield kind


def records_page() -> str:
    lines = [
        GENERATED,
        "# Records",
        "",
        "What the [library](../library.md) gives back: each record with its fields, and what it "
        "works out of them. Moments are aware datetimes in UTC, durations timedeltas.",
    ]
    for kind in records():
        lines += ["", f"## `{kind.__name__}`", "", prose(inspect.getdoc(kind) or ""), ""]
        lines += ["| field | type |", "|---|---|"]
        for field in msgspec.structs.fields(kind):
            lines.append(f"| `{field.name}` | `{cell(str(kind.__annotations__[field.name]))}` |")
        for name, value in vars(kind).items():
            if isinstance(value, property) and not name.startswith("_"):
                said = (inspect.getdoc(value) or "").partition("\n\n")[0]
                lines.append(f"| `{name}` | {cell(prose(said))} |")
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------------- the text


def cell(text: str) -> str:
    """Text in a table's cell: one line, no bar of its own; first letter as it is."""
    return " ".join(text.split()).replace("|", "\\|")


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def prose(text: str) -> str:
    """Help as Markdown: options in code, nothing taken for markup that is not meant so."""
    parts = text.split("`")
    for index in range(0, len(parts), 2):
        # Each piece is either a word of code or text whose markup is escaped.
        pieces = CODE.split(parts[index])
        pieces[::2] = [re.sub(r"([<*_])", r"\\\1", piece) for piece in pieces[::2]]
        pieces[1::2] = [f"`{piece}`" for piece in pieces[1::2]]
        parts[index] = "".join(pieces)
    return "`".join(parts)


PAGES = {"settings.md": settings_page, "cli.md": commands_page, "records.md": records_page}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        text = page()
        file = FOLDER / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")
            sys.stdout.write(f"written: docs/reference/{name}\n")


if __name__ == "__main__":
    main()
