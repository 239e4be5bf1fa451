"""`orchestrator jobs list | show | suspend | resume | delete`."""

from __future__ import annotations

import sys

import click

from orchestrator.cli.completers import complete_jobs
from orchestrator.cli.grammar import Entry, LazyGroup, command
from orchestrator.cli.parameters import job_argument
from orchestrator.cli.session import current

_HERE = "jobs"


@click.group(
    "jobs",
    cls=LazyGroup,
    entries={
        "list": Entry(_HERE, "list_", "The jobs that exist."),
        "show": Entry(_HERE, "show", "One job in detail."),
        "export": Entry(_HERE, "export", "A job as Bicep, ARM template or settings."),
        "suspend": Entry(_HERE, "suspend", "Let jobs start nothing until resumed."),
        "resume": Entry(_HERE, "resume", "Undo suspend."),
        "delete": Entry(_HERE, "delete", "Delete jobs with their executions."),
    },
    examples=[("one job in detail", "orchestrator jobs show receiver")],
)
def jobs() -> None:
    """List, show, export, suspend, resume and delete jobs."""


@command(
    "list",
    examples=[
        ("the jobs", "orchestrator jobs list"),
        (
            "as data",
            "orchestrator jobs list --query "
            "'[].{job: name, image: properties.template.containers[0].image}'",
        ),
    ],
)
def list_() -> None:
    """List the jobs that exist, with what starts them.

    -o json has the shape that `az containerapp job list` prints.
    """
    session = current()
    session.show(session.connect().jobs())


@command(
    "show",
    examples=[
        ("image, trigger, environment, limits", "orchestrator jobs show receiver"),
        ("as Azure has it", "orchestrator jobs show receiver -o json"),
    ],
)
@job_argument
def show(job: str) -> None:
    """Show JOB."""
    session = current()
    session.show(session.connect().job(job))


@command(
    "export",
    examples=[
        ("as Bicep", "orchestrator jobs export receiver > receiver.bicep"),
        ("what somebody made by hand, as settings", "orchestrator jobs export receiver --toml"),
    ],
)
@job_argument
@click.option("--bicep", "form", flag_value="bicep", help="Bicep (default).")
@click.option("--json", "form", flag_value="json", help="An ARM template.")
@click.option("--toml", "form", flag_value="toml", help="A table of orchestrator.toml.")
@click.option("-f", "--file", "target", type=click.Path(dir_okay=False), help="Write it there.")
def export(job: str, form: str | None, target: str | None) -> None:
    """Print the live JOB as a template that deploys it again, or as settings.

    A secret's value is never part of it: templates take it as a secure parameter, settings from a
    variable. With -o or --query it is data: the ARM template, unless another form is named.
    """
    import json
    from pathlib import Path
    from typing import Any, cast

    session = current()
    form = form or ("bicep" if session.plain or target else "json")
    text = session.connect().export_job(job, cast(Any, form))
    if target is None:
        data = {"job": job, "form": form, "text": text}
        session.show_text(text, json.loads(text) if form == "json" else data)
        return
    try:
        Path(target).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        from orchestrator.errors import BadInput

        raise BadInput(
            f"{target} can't be written: {error.strerror}.", "Name another: -f FILE"
        ) from None
    if session.plain:
        session.say(f"{target} written")
    else:
        session.show_data({"job": job, "form": form, "file": target})


_names = click.argument(
    "names", metavar="JOB…", nargs=-1, required=True, shell_complete=complete_jobs
)


@command("suspend", examples=[("stop the cron for a while", "orchestrator jobs suspend processor")])
@_names
def suspend(names: tuple[str, ...]) -> None:
    """Let JOB start nothing, neither by hand nor by its trigger, until resumed."""
    from orchestrator.results import Jobs

    session = current()
    orc = session.connect()
    session.show(Jobs([orc.suspend(name) for name in names]))


@command("resume", examples=[("let it run again", "orchestrator jobs resume processor")])
@_names
def resume(names: tuple[str, ...]) -> None:
    """Let JOB start again."""
    from orchestrator.results import Jobs

    session = current()
    orc = session.connect()
    session.show(Jobs([orc.resume(name) for name in names]))


@command(
    "delete",
    examples=[
        ("ask, then delete", "orchestrator jobs delete sender"),
        ("in a script", "orchestrator jobs delete sender receiver --yes"),
    ],
)
@_names
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(names: tuple[str, ...], yes: bool) -> None:
    """Delete JOB and its executions; running ones are stopped. Logs and queues stay."""
    from orchestrator.results import Changes

    session = current()
    orc = session.connect()
    found = [orc.job(name).name for name in names]  # all are there, or none is deleted
    if not yes:
        what = f"{'job' if len(found) == 1 else 'jobs'} {', '.join(found)}"
        ask(f"Delete {what} with all executions (profile {orc.profile.name})?")
    session.show(Changes([orc.delete_job(name) for name in found]))


class NotConfirmed(click.UsageError):
    """Nobody is there to be asked. `hint`: the option that answers beforehand."""

    def __init__(self) -> None:
        super().__init__("This asks before it acts, and standard input is no terminal.")
        self.hint = "Run it again with --yes."


class Declined(click.ClickException):
    """The answer was no."""

    exit_code = 1

    def __init__(self) -> None:
        super().__init__("Nothing was changed.")
        self.hint = "Run it again and answer y, or give --yes."


def ask(question: str) -> None:
    """Ask on stderr. Raises Declined, or NotConfirmed where nobody can answer."""
    if not sys.stdin.isatty():
        raise NotConfirmed
    if not click.confirm(question, err=True):
        raise Declined
