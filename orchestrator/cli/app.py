"""The root of the command, and the one place where a failure becomes an exit status."""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Sequence

import click

from orchestrator.cli.grammar import Entry, LazyGroup
from orchestrator.cli.session import Session

_PROJECT = "Project"
_JOBS = "Jobs"
_LOGS = "Logs"
_QUEUES = "Queues"
_SHELL = "Setup"

ENTRIES = {
    "up": Entry("world", "up", "Make everything real: infrastructure, then jobs.", _PROJECT),
    "down": Entry("world", "down", "Stop the local cloud; keep its state.", _PROJECT),
    "status": Entry(
        "world",
        "status",
        "Jobs, last executions and queues at a glance.",
        _PROJECT,
    ),
    "deploy": Entry("world", "deploy", "Create or update jobs, saying what changed.", _PROJECT),
    "plan": Entry("plan", "plan", "Show what deploy would change, field by field.", _PROJECT),
    "drift": Entry("plan", "drift", "Show where live jobs differ from the settings.", _PROJECT),
    "infra": Entry("infra", "infra", "What the jobs live in, from Bicep: deploy, …", _PROJECT),
    "doctor": Entry("doctor", "doctor", "Why a job does not start, scale, succeed or log.", _JOBS),
    "demo": Entry(
        "demo.command",
        "demo",
        "Sender, processor, receiver, end to end.",
        _PROJECT,
    ),
    "start": Entry("start", "start", "Start an execution of a job.", _JOBS),
    "stop": Entry("start", "stop", "Stop an execution.", _JOBS),
    "jobs": Entry("jobs", "jobs", "List, show, export, suspend, delete jobs.", _JOBS),
    "executions": Entry("executions", "executions", "List, show, wait for executions.", _JOBS),
    "logs": Entry("logs", "logs", "What the jobs wrote, stored or live.", _LOGS),
    "query": Entry("query", "query", "Ask the log workspace in KQL.", _LOGS),
    "metrics": Entry("metrics", "metrics", "What was measured, as table or plot.", _LOGS),
    "alerts": Entry("alerts", "alerts", "Alert rules, and what has fired.", _LOGS),
    "queues": Entry("queues", "queues", "Queues, their messages, dead letters.", _QUEUES),
    "images": Entry("images", "images", "Build, list, push the jobs' images.", _SHELL),
    "init": Entry("init", "init", "Write orchestrator.toml and sample jobs here.", _SHELL),
    "local": Entry("local", "local", "The local cloud: up, down, status, env, …", _SHELL),
    "completion": Entry("completion", "completion", "Print a shell completion script.", _SHELL),
}


@click.group(
    "orchestrator",
    cls=LazyGroup,
    entries=ENTRIES,
    examples=[
        ("from nothing to a running sample", "orchestrator init && orchestrator demo"),
        ("start a job and watch it", "orchestrator start sender --follow"),
    ],
    context_settings={"help_option_names": ["-h", "--help"], "obj": None},
)
def root() -> None:
    """Azure Container Apps jobs: create, start, follow and query them, on Azure or on a local
    cloud on this machine."""


def run(arguments: Sequence[str]) -> int:
    """Run the command line; the exit status. Never raises but for KeyboardInterrupt at start-up."""
    from orchestrator.cli.failures import BROKEN_PIPE, INTERRUPTED, end_line, explain
    from orchestrator.display.terminal import prepare_streams

    prepare_streams()
    # A command ends soon and keeps what it reads: looking for garbage took a third of the time in
    # which 100,000 executions are listed.
    gc.set_threshold(100_000, 50, 100)
    if instruction := os.environ.get("_ORCHESTRATOR_COMPLETE"):
        from click.shell_completion import shell_complete

        from orchestrator.cli import shells

        shells.register()
        try:
            return shell_complete(root, {}, "orchestrator", "_ORCHESTRATOR_COMPLETE", instruction)
        except Exception:  # noqa: BLE001 - nothing may be written into a prompt
            return 1
    session = Session()
    try:
        try:
            with root.make_context("orchestrator", list(arguments), obj=session) as context:
                root.invoke(context)
            status = 0
        except click.exceptions.Exit as end:
            status = end.exit_code
        finally:
            session.close()
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        end_line()
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort, so that nobody meets a traceback
        if isinstance(error, OSError) and _reader_gone(error):
            _silence_stdout()
            return BROKEN_PIPE
        try:
            session.place(error)
            return explain(error, arguments, verbose=session.verbose)
        except OSError:  # stderr is gone too
            return 1
    return status


def _reader_gone(error: OSError) -> bool:
    # Windows answers EINVAL to a write into a pipe whose reader has gone.
    return error.errno == errno.EPIPE or (os.name == "nt" and error.errno == errno.EINVAL)


def _silence_stdout() -> None:
    """Let the interpreter's last flush go nowhere instead of failing again."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        pass
