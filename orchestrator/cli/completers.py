"""What the shell completes: the names in the settings at once, what the service knows as last seen.

Every one of these is silent whatever is wrong: a prompt is no place for an error.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Completer: TypeAlias = "Callable[[click.Context, click.Parameter, str], list[CompletionItem]]"

# Why Service Bus itself dead-letters; programs have reasons of their own.
REASONS = (
    "MaxDeliveryCountExceeded",
    "TTLExpiredException",
    "HeaderSizeExceeded",
    "MaxTransferHopCountExceeded",
)


def _complete_known(table: str) -> Completer:
    """A completion by the names in a table of the settings, then by others that are deployed.

    table: also what `known_names` calls that kind.
    """

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        names = _table(_settings(ctx), table)
        return _complete([*names, *_seen(table, besides=names)], incomplete)

    return complete


complete_jobs = _complete_known("jobs")
complete_queues = _complete_known("queues")
complete_alerts = _complete_known("alerts")


def complete_executions(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """`<job>@latest` for every job, then the newest executions."""
    job = ctx.params.get("job")
    jobs = [job] if job else _table(_settings(ctx), "jobs")
    latest = [f"{name}@latest" for name in jobs]
    return _complete([*latest, *_seen("executions", of=job)], incomplete)


def complete_variables(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """`NAME=` for the variables that the settings give the job; without a job: any job."""
    jobs = _settings(ctx).get("jobs", {})
    if not isinstance(jobs, dict):
        return []
    chosen = _first_argument(ctx, "job")
    specs = [jobs.get(chosen)] if chosen else list(jobs.values())
    names = [n for spec in specs if isinstance(spec, dict) for n in _table(spec, "env")]
    return _complete([f"{name}=" for name in dict.fromkeys(names)], incomplete)


def complete_saved_queries(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The names of the saved queries; reads files and contacts nobody."""
    from click.shell_completion import CompletionItem

    return [
        CompletionItem(one.name, help=one.description)
        for one in _saved_queries(ctx)
        if one.name.startswith(incomplete)
    ]


def complete_query_parameters(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """`NAME=` for the parameters of the saved query that is chosen."""
    chosen = ctx.params.get("saved")
    known = [p.name for one in _saved_queries(ctx) if one.name == chosen for p in one.parameters]
    return _complete([f"{name}=" for name in known], incomplete)


def _saved_queries(ctx: click.Context) -> list[Any]:
    try:
        from orchestrator.queries.saved import find_all

        folder = str(_settings(ctx).get("queries_folder", "queries"))
        return list(find_all(_settings_folder() / folder))
    except Exception:  # noqa: BLE001
        return []


def complete_faults(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The ids of the local cloud's faults, but for those that are there already."""
    return _complete(_seen("faults", besides=ctx.params.get("ids") or ()), incomplete)


def complete_reasons(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The reasons of the queue's dead letters as last seen, then Service Bus's own."""
    queue = _first_argument(ctx, "queue")
    seen = _seen("reasons", queue=queue) if queue else []
    return _complete(dict.fromkeys([*seen, *REASONS]), incomplete)


def complete_template_parameters(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """`NAME=` for the parameters of the Bicep template that `infra` would deploy."""
    from orchestrator import shipped

    chosen = ctx.params.get("template")
    folder = _settings_folder()
    places = [Path(chosen)] if chosen else [folder / shipped.TEMPLATE, shipped.template()]
    for place in places:
        try:
            text = place.read_text(encoding="utf-8") if place else ""
        except (OSError, ValueError):
            continue
        if names := re.findall(r"^param\s+(\w+)", text, re.MULTILINE):
            return _complete([f"{name}=" for name in names], incomplete)
    return []


def _first_argument(ctx: click.Context, name: str) -> str | None:
    """The value of the command's first argument.

    Where an option lacks its value, which is being completed, click assigns no arguments: they are
    left in `args`.
    """
    given = ctx.params.get(name)
    return given or next((word for word in ctx.args if not word.startswith("-")), None)


def _seen(
    kind: str, *, of: str | None = None, besides: Sequence[str] = (), queue: str = ""
) -> list[str]:
    """Names that the service knows; `of`: those of one job; `queue`: of its dead letters."""
    from orchestrator.cli import known_names

    rows = known_names.names(kind, _typed("--settings"), _typed("--profile"), queue)
    return [row[0] for row in rows if row[0] not in besides and of in (None, row[-1])]


def _typed(option: str) -> str | None:
    """The value of an option in the line that is being completed (the shell gives it whole)."""
    words = os.environ.get("COMP_WORDS", "").split()
    for word, following in zip(words, [*words[1:], ""], strict=False):
        if word == option:
            return following or None
        if word.startswith(f"{option}="):
            return word.partition("=")[2] or None
    return None


def complete_from(table: str) -> Completer:
    """A completion by the names in a table of the settings; contacts nobody."""

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return _complete(settings_table(ctx, table), incomplete)

    return complete


complete_profiles = complete_from("profiles")


def settings_table(ctx: click.Context, table: str) -> list[str]:
    """The names in a table of the settings; reads one file and contacts nobody."""
    return _table(_settings(ctx), table)


def _table(data: dict[str, Any], name: str) -> list[str]:
    found = data.get(name, {})
    return list(found) if isinstance(found, dict) else []


def _complete(names: Iterable[Any], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(str(name)) for name in names if str(name).startswith(incomplete)]


def _settings(ctx: click.Context) -> dict[str, Any]:
    """The settings file as plain data, unchecked: a wrong one must not break the prompt."""
    import tomllib

    for place in _settings_files():
        try:
            return tomllib.loads(place.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
    return {}


def _settings_files() -> list[Path]:
    """Where the settings may be, the nearest first."""
    chosen = _typed("--settings") or os.environ.get("ORCHESTRATOR_SETTINGS")
    folder = Path.cwd()
    if chosen:
        return [Path(chosen)]
    return [f / "orchestrator.toml" for f in (folder, *folder.parents)]


def _settings_folder() -> Path:
    return next((place.parent for place in _settings_files() if place.is_file()), Path.cwd())
