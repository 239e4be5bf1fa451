"""`orchestrator doctor`: what is wrong, what shows it, what to do."""

from __future__ import annotations

import sys

import click

from orchestrator.cli.completers import complete_jobs
from orchestrator.cli.grammar import command
from orchestrator.cli.session import current


@command(
    "doctor",
    statuses={0: "nothing grave", 1: "there is a problem"},
    examples=[
        ("look at everything", "orchestrator doctor"),
        ("why does this one not run?", "orchestrator doctor receiver"),
        (
            "the problems alone, for a script",
            "orchestrator doctor -o json --query \"[?level=='problem']\"",
        ),
    ],
)
@click.argument("jobs", nargs=-1, metavar="[JOB]…", shell_complete=complete_jobs)
@click.option("-a", "--all", "everything", is_flag=True, help="Also show what is well.")
def doctor(jobs: tuple[str, ...], everything: bool) -> None:
    """Why does a job not start, not scale, fail, or log nothing?

    Looks at state, identity, permissions, image, secrets, scale rules, schedule, queue depths,
    executions, time-outs, the arrival of logs, the clock, and the settings; one line for each
    finding, with what shows it and the next step. Warnings
    and notes are no problems.
    """
    from orchestrator.display.progress import Progress

    session = current()
    orc = session.connect()
    with Progress() as progress:
        found = orc.doctor(*jobs, progress=progress.begin)
    told = found if everything else found.worth_telling
    if session.plain:
        from orchestrator.display.findings import write_findings

        session.begin()
        write_findings(told, len(found), sys.stdout)
    else:
        session.show(told)
    if found.problems:
        raise click.exceptions.Exit(1)
