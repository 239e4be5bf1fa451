"""`orchestrator start` and `orchestrator stop`."""

from __future__ import annotations

from datetime import timedelta

import click

from orchestrator.cli.completers import complete_executions, complete_from, complete_variables
from orchestrator.cli.grammar import OUTCOMES, command
from orchestrator.cli.parameters import Variable, job_argument, job_option, timeout_option
from orchestrator.cli.session import current


@command(
    "start",
    statuses={0: "started; with --follow or --wait: succeeded", **OUTCOMES},
    examples=[
        ("start a job and come back at once", "orchestrator start sender"),
        (
            "send more, and watch",
            "orchestrator start sender --env MESSAGE_COUNT=500 --follow",
        ),
        ("run something else in it", "orchestrator start sender --command sh --arg -c --arg env"),
        ("in a script: wait, fail when it fails", "orchestrator start sender --wait --timeout 10m"),
    ],
)
@job_argument
@click.option(
    "-e",
    "--env",
    "variables",
    type=Variable(),
    multiple=True,
    shell_complete=complete_variables,
    help="Set this variable for this execution; the job's others stay. Repeatable.",
)
@click.option(
    "--arg",
    "arguments",
    metavar="ARG",
    multiple=True,
    help="An argument instead of the job's. Repeatable.",
)
@click.option(
    "--command",
    "commands",
    metavar="WORD",
    multiple=True,
    help="A word of the command to run instead of the job's, or of the image's. Repeatable.",
)
@click.option(
    "--image",
    metavar="IMAGE",
    shell_complete=complete_from("images"),
    help="Run this image instead of the job's.",
)
@click.option("-f", "--follow", is_flag=True, help="Print its output until it ends.")
@click.option("-w", "--wait", is_flag=True, help="Wait until it ends.")
@timeout_option
@click.option("-t", "--timestamps", is_flag=True, help="With --follow: the time before each line.")
def start(
    job: str,
    variables: tuple[tuple[str, str], ...],
    arguments: tuple[str, ...],
    commands: tuple[str, ...],
    image: str | None,
    follow: bool,
    wait: bool,
    timeout: timedelta | None,
    timestamps: bool,
) -> None:
    """Start an execution of JOB and print its name.

    --env, --arg, --command and --image change the job's template for this one execution.

    With --follow or --wait the exit status tells the outcome. Ctrl-C detaches; the execution goes
    on.
    """
    if follow and wait:
        raise click.UsageError("--follow waits already; give either --follow or --wait.")
    if timeout is not None and not (follow or wait):
        raise click.UsageError("--timeout needs --wait or --follow.")
    if timestamps and not follow:
        raise click.UsageError("--timestamps needs --follow.")
    from orchestrator.cli import following

    session = current()
    orc = session.connect()
    with following.uncertain(f"{job} was being started", f"orchestrator executions list {job}"):
        run = orc.start(
            job,
            env=dict(variables) or None,
            args=list(arguments) or None,
            command=list(commands) or None,
            image=image,
        )
    for note in run.notes:
        session.note(note)

    if follow:
        session.hint(f"{run.name} started; Ctrl-C detaches, it goes on.")
        status = following.follow(session, run, timeout, timestamps=timestamps)
        click.get_current_context().exit(status)
    if session.plain:
        click.echo(run.name)
    if not wait:
        if not session.plain:
            session.show(run.execution)
        session.hint(f"Next: orchestrator logs --execution {run.name} --follow")
        return
    execution, status = following.wait(run, timeout)
    if execution is not None and not session.plain:
        session.show(execution)
    click.get_current_context().exit(status)


@command(
    "stop",
    examples=[
        ("stop one execution", "orchestrator stop sender-abc1234"),
        ("the newest of a job", "orchestrator stop sender@latest"),
        ("all that run", "orchestrator stop --job sender --all"),
    ],
)
@click.argument("execution", required=False, shell_complete=complete_executions)
@job_option("The job of the execution; with --all: every running execution of this job.")
@click.option("--all", "everything", is_flag=True, help="Stop all running executions of --job.")
def stop(execution: str | None, job: str | None, everything: bool) -> None:
    """Stop EXECUTION: its replicas get SIGTERM, and SIGKILL if they stay.

    EXECUTION is a name, JOB@latest, or @latest with --job. Stopping what has ended changes
    nothing and says so.
    """
    if everything and execution:
        raise click.UsageError("Give either EXECUTION or --job with --all, not both.")
    if everything and not job:
        raise click.UsageError("--all needs --job: which job's executions?")
    if not everything and not execution:
        raise click.UsageError("Name the EXECUTION to stop, or give --job with --all.")
    session = current()
    orc = session.connect()
    if everything:
        assert job is not None
        session.show(orc.stop_all(job), empty=f"No running executions of {job}.")
        return
    assert execution is not None
    before = orc.execution(execution, job)
    if before.finished:
        session.say(f"{before.name} has ended already ({before.status}); nothing to stop.")
        after = before
    else:
        after = orc.stop(before.name, before.job)
    from orchestrator.results import Executions

    session.show(Executions([after]) if session.plain else after)
