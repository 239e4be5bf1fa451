"""`orchestrator infra build | validate | what-if | deploy | show | destroy`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.completers import complete_template_parameters
from orchestrator.cli.grammar import DIFFERENT, Entry, LazyGroup, command
from orchestrator.cli.session import Session, current

if TYPE_CHECKING:
    from orchestrator.client import Orchestrator
    from orchestrator.display.progress import Progress
    from orchestrator.infra.changes import Deployed
    from orchestrator.infra.removal import Doomed
    from orchestrator.results import Step

_HERE = "infra"
_DEFAULT = "infra"


@click.group(
    "infra",
    cls=LazyGroup,
    entries={
        "build": Entry(_HERE, "build", "Compile Bicep to an ARM template."),
        "validate": Entry(_HERE, "validate", "Let Resource Manager check the template."),
        "what-if": Entry(_HERE, "what_if", "Show what deploy would change."),
        "deploy": Entry(_HERE, "deploy", "Deploy the template."),
        "show": Entry(_HERE, "show", "What is deployed, and its outputs."),
        "destroy": Entry(_HERE, "destroy", "Delete what deploy has made."),
    },
    examples=[
        ("what would change?", "orchestrator infra what-if"),
        ("make it so", "orchestrator infra deploy"),
    ],
)
def infra() -> None:
    """Deploy what the jobs live in from a Bicep template, and take it down again.

    TEMPLATE is a .bicep, .bicepparam or .json file; without one it is the profile's `infra`, else
    templates/infra/main.bicep, else the template that comes along.
    """


_template = click.argument("template", required=False, type=click.Path(), metavar="[TEMPLATE]")


def _with_parameters(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--name", metavar="NAME", help="Name of the deployment."),
        click.option(
            "--set",
            "assignments",
            multiple=True,
            metavar="NAME=VALUE",
            shell_complete=complete_template_parameters,
            help="A parameter, over those of files and settings. Repeatable.",
        ),
        click.option(
            "--parameters", type=click.Path(), metavar="FILE", help="A .bicepparam or .json file."
        ),
        _template,
    ):
        function = option(function)
    return function


def _given(
    assignments: tuple[str, ...], parameters: str | None, name: str | None
) -> dict[str, Any]:
    from orchestrator.errors import BadInput

    values = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise BadInput(f'"{text}" is no parameter.', "Write --set NAME=VALUE")
        values[key] = value
    return {"parameters": parameters, "values": values, "name": name}


@command(
    "build",
    examples=[
        ("beside the template, as main.json", "orchestrator infra build"),
        ("to look at", "orchestrator infra build templates/jobs/main.bicep --stdout"),
    ],
)
@_template
@click.option("--stdout", "shown", is_flag=True, help="Print it instead of writing a file.")
@click.option(
    "-f", "--file", "target", type=click.Path(dir_okay=False), help="Write it to this file."
)
def build(template: str | None, shown: bool, target: str | None) -> None:
    """Compile TEMPLATE to an ARM template, a .json file beside it. Nothing is contacted.

    A .bicepparam file becomes ARM's own parameters file.

    The Bicep compiler of `bicep`, `az` or `azd` is used where there is one, else a built-in one.
    """
    from orchestrator import shipped
    from orchestrator.errors import BadInput
    from orchestrator.infra.template import infra_file

    session = current()
    orc = session.connect()
    source = Path(template) if template else infra_file(orc.settings, orc.profile)
    document, compiler = _compiled(session, orc, source)
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if shown:
        session.show_text(text, document)
        return
    beside = source.with_suffix(".json")
    if source == shipped.template():  # the package's own folder is nobody's to write to
        beside = Path(beside.name)
    place = Path(target) if target else beside
    if place == source:
        raise BadInput(f"{source} is an ARM template already.", "Name another file: -f FILE")
    try:
        place.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise BadInput(
            f"{place} can't be written: {error.strerror}.", "Name another: -f FILE"
        ) from None
    if session.plain:
        session.say(f"{place} written" + (f", by {compiler}" if compiler else ""))
    else:
        session.show_data({"file": str(place), "compiler": compiler})


def _compiled(session: Session, orc: Orchestrator, source: Path) -> tuple[dict[str, Any], str]:
    """(an ARM template, or the parameters of a .bicepparam file; which compiler made it)."""
    from orchestrator.bicep import front

    if source.suffix == ".bicepparam":
        values = front.build_params(source)
        document, compiler, warnings = values.document, values.compiler, values.warnings
    elif source.suffix == ".bicep":
        built = front.build(source)
        document, compiler, warnings = built.template, built.compiler, built.warnings
    else:
        return orc.infra.build(source), ""
    for warning in warnings:
        session.say(warning)
    return document, compiler


@command(
    "validate",
    examples=[
        ("the profile's template", "orchestrator infra validate"),
        (
            "as it would be in production",
            "orchestrator infra validate --parameters templates/infra/private.bicepparam",
        ),
    ],
)
@_with_parameters
def validate(
    template: str | None, parameters: str | None, assignments: tuple[str, ...], name: str | None
) -> None:
    """Let Resource Manager check TEMPLATE with its parameters; lists what it would make."""
    from orchestrator.display.progress import Progress

    session = current()
    orc = session.connect()
    with Progress() as progress:
        progress.begin("validating")
        found = orc.infra.validate(template, **_given(assignments, parameters, name))
    _show(session, found, without=("status", "link"))
    session.hint("The template is valid.  Next: orchestrator infra what-if")


@command(
    "what-if",
    statuses={DIFFERENT: "with --exit-code: something would change"},
    answers_with="--exit-code",
    examples=[
        ("what would deploy change?", "orchestrator infra what-if"),
        ("with another tier", "orchestrator infra what-if --set serviceBusSku=Premium"),
        ("as data", "orchestrator infra what-if -o json"),
    ],
)
@_with_parameters
@click.option("--exit-code", is_flag=True, help="Exit status 2 when something would change.")
def what_if(
    template: str | None,
    parameters: str | None,
    assignments: tuple[str, ...],
    name: str | None,
    exit_code: bool,
) -> None:
    """Show what deploying TEMPLATE would change, property by property, without changing it."""
    from orchestrator.display.progress import Progress

    session = current()
    orc = session.connect()
    with Progress() as progress:
        progress.begin("looking at what would change")
        found = orc.infra.what_if(template, **_given(assignments, parameters, name))
    if session.plain:
        from orchestrator.display.whatif import write_what_if

        session.begin()
        write_what_if(found, sys.stdout, group=orc.profile.resource_group)
    else:
        session.show(found)
    if found.changed and exit_code:
        raise click.exceptions.Exit(DIFFERENT)


@command(
    "deploy",
    examples=[
        ("what the settings say", "orchestrator infra deploy"),
        (
            "closed and redundant",
            "orchestrator infra deploy --parameters templates/infra/private.bicepparam",
        ),
        ("one parameter else", "orchestrator infra deploy --set retentionInDays=90"),
    ],
)
@_with_parameters
def deploy(
    template: str | None, parameters: str | None, assignments: tuple[str, ...], name: str | None
) -> None:
    """Deploy TEMPLATE; what is there and right is left alone. Shows each resource as it is done.

    Names, queues and what each job may do come from orchestrator.toml. For a local profile the
    local cloud is started first.
    """
    from orchestrator.cli.world import ensure_cloud
    from orchestrator.display.progress import Progress

    session = current()
    orc = session.connect()
    with Progress() as progress:
        if orc.profile.kind == "local":
            ensure_cloud(session, progress)
        told = progress.shown
        found = orc.infra.deploy(
            template,
            **_given(assignments, parameters, name),
            progress=resource_by_resource(progress),
        )
    if not session.plain:
        _show(session, found)
        return
    from orchestrator.display.deployed import write_deployed
    from orchestrator.display.terminal import is_terminal

    session.begin()
    write_deployed(found, sys.stdout, told=told and is_terminal(sys.stdout))
    session.hint("Next: orchestrator deploy, for the jobs")


@command(
    "show",
    examples=[
        ("what is deployed", "orchestrator infra show"),
        (
            "one output",
            "orchestrator infra show --query outputs.serviceBusHostName -o tsv",
        ),
    ],
)
@click.option("--name", default=_DEFAULT, show_default=True, help="Name of the deployment.")
def show(name: str) -> None:
    """Show what is deployed, by type, and its outputs; on Azure with links to the portal."""
    session = current()
    found = session.connect().infra.show(name)
    if not session.plain:
        _show(session, found)
        return
    from orchestrator.display.deployed import write_resources

    session.begin()
    write_resources(found, sys.stdout)


@command(
    "destroy",
    examples=[
        ("say what would go, and ask", "orchestrator infra destroy"),
        ("in a script", "orchestrator infra destroy --yes"),
    ],
)
@click.option("--name", default=_DEFAULT, show_default=True, help="Name of the deployment.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def destroy(name: str, yes: bool) -> None:
    """Delete what `infra deploy` has made, and nothing else; the jobs in it first.

    What was in the resource group before stays. Messages and logs are gone for good.
    """
    from orchestrator.cli.jobs import ask
    from orchestrator.display.progress import Progress

    session = current()
    orc = session.connect()
    doomed = orc.infra.doomed(name)
    if not yes:
        from orchestrator.display.deployed import write_doomed

        session.begin()
        write_doomed(doomed, sys.stderr)
        ask(f"Delete {_counted(doomed)} for good (profile {orc.profile.name})?")
    with Progress() as progress:
        changes = orc.infra.destroy(name, doomed=doomed, progress=_in_turn(progress))
    if session.plain and not yes:  # they have just read the list
        session.say(f"{_counted(doomed)} deleted.")
    else:
        session.show(changes)


def _counted(doomed: Doomed) -> str:
    jobs, resources = len(doomed.jobs), len(doomed.resources)
    words = [f"{resources} resource{'' if resources == 1 else 's'}"]
    if jobs:
        words.insert(0, f"{jobs} job{'' if jobs == 1 else 's'}")
    return " and ".join(words)


def _show(session: Session, found: Deployed, *, without: tuple[str, ...] = ()) -> None:
    from orchestrator.display.views import View, of_records

    if not found.outputs and session.plain:
        session.show(of_records(found, without=without))
        return
    view = of_records(found, without=without)
    session.show(View(found.as_dict(), view.headings, view.cells, empty=view.empty))


def resource_by_resource(progress: Progress) -> Callable[[Step], None]:
    """A callback that leaves a line for each resource that was created or changed."""

    def show(step: Step) -> None:
        count = f"{step.number}/{step.total}  " if step.total else ""
        if step.change is None:
            progress.begin(f"{count}{step.title}")
        elif step.change.action != "unchanged":
            progress.done(f"{step.title}  {step.change.action}", seconds=step.seconds or 0.0)

    return show


def _in_turn(progress: Progress) -> Callable[[Step], None]:
    def show(step: Step) -> None:
        progress.begin(f"{step.number}/{step.total}  {step.title}")

    return show
