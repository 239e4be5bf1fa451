"""`orchestrator local`: the local cloud itself; its clock and its faults have their own modules."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from orchestrator.cli.grammar import Entry, LazyGroup, OneOf, command
from orchestrator.cli.session import Session, current

if TYPE_CHECKING:
    from orchestrator.localcloud.process import CloudConfig, CloudStatus
    from orchestrator.records import Kind

F = TypeVar("F", bound=Callable[..., Any])
_HERE = "local"
SHELLS = ("sh", "fish", "powershell")
# What a server keeps as it was started with. One of an older version does not tell all of it.
KEPT = ("executor", "rbac", "limits", "throttling")


@click.group(
    "local",
    cls=LazyGroup,
    entries={
        "up": Entry(_HERE, "up", "Start it, if it does not run."),
        "down": Entry(_HERE, "down", "Stop it; its state stays."),
        "status": Entry(_HERE, "status", "Whether it runs, where, how, and what it takes."),
        "logs": Entry(_HERE, "logs", "What the server itself says."),
        "env": Entry(_HERE, "env", "Shell exports with which any client reaches it."),
        "clock": Entry("local_clock", "clock", "Its time: move it on, speed it up, stop it."),
        "fault": Entry("local_fault", "fault", "Faults on demand: throttling, cuts, delays."),
        "reset": Entry(_HERE, "reset", "Stop it and remove all its state."),
    },
    examples=[("is it running?", "orchestrator local status")],
)
def local() -> None:
    """The local cloud: a server on this machine that speaks Azure's own protocols."""


def state_option(function: F) -> F:
    """`--state`, for every command about one local cloud."""
    return click.option(
        "--state",
        metavar="DIR",
        type=click.Path(file_okay=False),
        help="Its state folder. [default: the profile's, .orchestrator/local]",
    )(function)


def config_of(
    session: Session,
    state: str | None = None,
    rbac: Literal["off", "enforce"] | None = None,
    throttling: Literal["off", "enforce"] | None = None,
    **ports: int | None,
) -> CloudConfig:
    """Where the chosen profile's local cloud lives. Raises ProfileError if it is on Azure."""
    from orchestrator.errors import ProfileError
    from orchestrator.localcloud.process import CloudConfig

    orc = session.connect()
    profile = orc.profile
    if profile.kind != "local":
        raise ProfileError(
            f"The profile '{profile.name}' is on Azure; there is no local cloud to speak of.",
            'Choose a profile of kind "local" with --profile.',
        )
    assert profile.state is not None
    chosen = {
        name: getattr(profile.spec, name) if ports.get(name) is None else ports[name]
        for name in ("port", "identity_port", "amqp_port", "amqps_port")
    }
    return CloudConfig(
        state=Path(state).resolve() if state else profile.state,
        project=Path(orc.settings.folder).resolve(),
        executor=profile.spec.executor,
        rbac=rbac or profile.spec.rbac,
        limits=profile.spec.limits,
        throttling=throttling or profile.spec.throttling,
        **chosen,
    )


def _port_option(name: str, what: str) -> Callable[[F], F]:
    return click.option(
        f"--{name}", type=click.IntRange(0, 65535), metavar="N", help=f"{what}; 0: any free one."
    )


@command(
    "up",
    examples=[
        ("start it", "orchestrator local up"),
        ("on another port", "orchestrator local up --port 24443"),
        ("find missing role assignments here", "orchestrator local up --rbac enforce"),
    ],
)
@state_option
@_port_option("port", "The port of Resource Manager and Log Analytics (HTTPS)")
@_port_option("identity-port", "The port of the managed-identity endpoint (HTTP)")
@_port_option("amqp-port", "The port of Service Bus without TLS")
@_port_option("amqps-port", "The port of Service Bus")
@click.option(
    "--rbac",
    type=OneOf(("off", "enforce")),
    metavar="WHETHER",
    help="Whether role assignments are obeyed: off or enforce. [default: the profile's, off]",
)
@click.option(
    "--throttling",
    type=OneOf(("off", "enforce")),
    metavar="WHETHER",
    help="Whether callers that ask more often than Azure allows are refused: off or enforce. "
    "[default: the profile's, off]",
)
def up(
    state: str | None,
    port: int | None,
    identity_port: int | None,
    amqp_port: int | None,
    amqps_port: int | None,
    rbac: Literal["off", "enforce"] | None,
    throttling: Literal["off", "enforce"] | None,
) -> None:
    """Start the local cloud in the background, or find it running.

    It listens on this machine only. Ports that are not given are the usual ones, or free ones
    where those are taken; they stay the same from then on.
    """
    from orchestrator.display.progress import Progress
    from orchestrator.localcloud import process

    session = current()
    config = config_of(
        session,
        state,
        rbac,
        throttling,
        port=port,
        identity_port=identity_port,
        amqp_port=amqp_port,
        amqps_port=amqps_port,
    )
    with Progress() as progress:
        progress.begin("starting the local cloud")
        connection = process.up(config)
        progress.clear()
    _as_asked(config, connection, {"rbac": rbac, "throttling": throttling})
    tell_other_settings(session, config, connection)
    show_status(session, config.state)
    session.hint(f"Next: orchestrator up  (pid {connection['pid']} stays in the background)")


def _as_asked(
    config: CloudConfig, connection: dict[str, Any], asked: Mapping[str, str | None]
) -> None:
    """Refuse to pass a local cloud that ran before for the one that is asked for."""
    from orchestrator.errors import Conflict
    from orchestrator.localcloud import process

    ports = process.status(config.state).ports
    other = [
        f"on the port {ports[name]} instead of {wanted}"
        for name, wanted in config.pinned.items()
        if wanted and name in ports and ports[name] != wanted
    ]
    other += [
        f'with {name} = "{connection[name]}" instead of "{wanted}"'
        for name, wanted in asked.items()
        if wanted is not None and connection.get(name, wanted) != wanted
    ]
    if other:
        raise Conflict(
            f"The local cloud runs already, {' and '.join(other)}.",
            "Stop it, and start it anew: orchestrator local down",
        )


def tell_other_settings(session: Session, config: CloudConfig, connection: dict[str, Any]) -> None:
    """Say on stderr which of the profile's settings the running local cloud does not have yet."""
    other = [
        f'{key} = "{connection[key]}" instead of "{wanted}"'
        for key in KEPT
        if connection.get(key, wanted := getattr(config, key)) != wanted
    ]
    if other:
        session.say(
            f"The local cloud keeps what it was started with: {', '.join(other)}.\n"
            "Next: Stop it, and start it anew: orchestrator local down"
        )


@command("down", examples=[("stop it", "orchestrator local down")])
@state_option
def down(state: str | None) -> None:
    """Stop the local cloud and the replicas it runs. Resources, messages and logs stay."""
    session = current()
    stop_cloud(session, config_of(session, state).state)


def stop_cloud(session: Session, state: Path) -> None:
    """Stop it, with a spinner, and say what happened."""
    from orchestrator.display.progress import Progress
    from orchestrator.localcloud import process

    with Progress() as progress:
        progress.begin("stopping the local cloud")
        stopped = process.down(state)
    if session.plain:
        session.say(
            "The local cloud has stopped; its state is kept."
            if stopped
            else "The local cloud was not running."
        )
    else:
        show_status(session, state)


@command(
    "status",
    statuses={0: "it runs", 1: "it does not"},
    examples=[
        ("as a table", "orchestrator local status"),
        ("in a script", "orchestrator local status --query state -o tsv"),
    ],
)
@state_option
def status(state: str | None) -> None:
    """Say whether the local cloud runs, where it listens, how it was started, and what it takes."""
    session = current()
    if show_status(session, config_of(session, state).state) != "running":
        click.get_current_context().exit(1)


def show_status(session: Session, state: Path) -> str:
    """Print the server's status; its state: running, starting, stopped, suspended or stale."""
    from orchestrator.display.views import Heading, View
    from orchestrator.localcloud import process
    from orchestrator.records import jsonable

    found = process.status(state)
    rows = _status_rows(found)
    data = {key: jsonable(value) for key, value, _ in rows} | {"ports": found.ports}
    session.show(
        View(
            data=data,
            headings=[Heading(key, key.replace("_", " "), kind) for key, _, kind in rows],
            cells=[[value for _, value, _ in rows]],
            single=True,
        )
    )
    if found.state == "suspended" and found.pid is not None:
        from orchestrator.localcloud.server_process import resumption

        session.say(f"Next: {resumption(found.pid)}")
    return found.state


def _status_rows(found: CloudStatus) -> list[tuple[str, Any, Kind]]:
    """(key, value, kind) of what is known about a server; no secrets."""
    from datetime import timedelta

    rows: list[tuple[str, Any, Kind]] = [("state", found.state, "status")]
    if found.connection is not None and found.state in ("running", "suspended"):
        rows += [
            ("resource_manager", found.connection["resource_manager"], "text"),
            ("service_bus", f"sb://{found.connection['service_bus']['amqps']}", "text"),
            ("identity", found.connection["identity"]["endpoint"], "text"),
            ("subscription", found.connection["subscription"], "text"),
            *((key, found.connection[key], "text") for key in KEPT if key in found.connection),
            ("pid", found.pid, "text"),
            ("uptime", timedelta(seconds=found.uptime or 0.0), "duration"),
            ("memory", found.memory, "bytes"),
        ]
    elif found.pid is not None:
        rows.append(("pid", found.pid, "text"))
    rows += [("folder", str(found.folder), "text"), ("size", found.size, "bytes")]
    return rows


@command(
    "reset",
    examples=[
        ("start afresh", "orchestrator local reset"),
        ("in a script", "orchestrator local reset --yes && orchestrator up"),
    ],
)
@state_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def reset(state: str | None, yes: bool) -> None:
    """Stop the local cloud and remove all its state: resources, messages, logs, keys."""
    from orchestrator.cli.jobs import ask
    from orchestrator.localcloud import process

    session = current()
    folder = config_of(session, state).state
    if not yes:
        ask(f"Remove everything in {folder}: resources, messages, logs?")
    process.reset(folder)
    if session.plain:
        session.say(f"The local cloud's state is gone ({folder}).")
    else:
        show_status(session, folder)


@command(
    "logs",
    examples=[
        ("the last lines", "orchestrator local logs"),
        ("as they come", "orchestrator local logs --follow"),
    ],
)
@state_option
@click.option(
    "-n",
    "--tail",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    metavar="N",
    help="Start with the last N lines.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines; Ctrl-C ends it.")
def logs(state: str | None, tail: int, follow: bool) -> None:
    """Print the server's own log. What the jobs wrote is in `orchestrator logs`."""
    session = current()
    file = config_of(session, state).state / "server.log"
    if not file.exists():
        raise NoServerLog(file)
    lines = _lines(file, tail, follow=follow)
    if session.plain:
        for line in lines:
            click.echo(line)
        return
    from orchestrator.cli.following import record_writer
    from orchestrator.display.server_log import ServerLines, parsed

    if not follow:
        session.show(ServerLines(parsed(line) for line in lines))
        return
    write = record_writer(session, ServerLines)
    for line in lines:
        write(parsed(line))


class NoServerLog(click.ClickException):
    """The server has never run here."""

    def __init__(self, file: Path) -> None:
        super().__init__(f"There is no {file}; the local cloud has not run yet.")
        self.hint = "orchestrator local up"


def _lines(file: Path, tail: int, *, follow: bool) -> Iterator[str]:
    """The last `tail` lines, then those that are added; starts over when the log is rotated."""
    opened = file.open(encoding="utf-8", errors="replace")
    try:
        lines = opened.readlines()
        yield from (line.rstrip("\n") for line in lines[max(0, len(lines) - tail) :])
        while follow:
            line = opened.readline()
            if line:
                yield line.rstrip("\n")
                continue
            time.sleep(0.2)
            try:
                rotated = file.stat().st_size < opened.tell()
            except OSError:  # between the renaming and the new file
                continue
            if rotated:
                opened.close()
                opened = file.open(encoding="utf-8", errors="replace")
    finally:
        opened.close()


@command(
    "env",
    examples=[
        ("this shell's clients reach the local cloud", 'eval "$(orchestrator local env)"'),
        ("PowerShell", "orchestrator local env --shell powershell | Invoke-Expression"),
        ("the az command, logged in", 'eval "$(orchestrator local env --az)"'),
        ("one value", "orchestrator local env --query AZURE_SUBSCRIPTION_ID -o tsv"),
    ],
)
@state_option
@click.option(
    "--shell",
    type=OneOf(SHELLS),
    default="sh",
    metavar="SHELL",
    show_default=True,
    help="Whose syntax: sh (also bash, zsh), fish or powershell.",
)
@click.option(
    "--az",
    "for_az",
    is_flag=True,
    help="Also a configuration folder of its own for az: this cloud, logged in.",
)
def env(state: str | None, shell: str, for_az: bool) -> None:
    """Print exports with which any other client (az, an SDK, curl) reaches the local cloud.

    With --az the `az` command needs no other step; your own ~/.azure is left alone. They hold this
    local cloud's own credentials, which are good for nothing else. Authorities that this shell's
    own variables name (REQUESTS_CA_BUNDLE, SSL_CERT_FILE, NODE_EXTRA_CA_CERTS, …) stay trusted.
    """
    import json

    from orchestrator.azure.profile import CONNECTION_FILE, connection
    from orchestrator.cli.shell_exports import exports, hints, variables
    from orchestrator.display.views import of_data

    session = current()
    folder = config_of(session, state).state
    connection(folder)  # raises NotReachable if the file is missing, damaged or of a dead process
    found = json.loads((folder / CONNECTION_FILE).read_text(encoding="utf-8"))
    values = _trusting(session, variables(found), folder)
    if for_az:
        values = _with_az(values, folder, found)
    if not session.plain:
        session.show(of_data(values))
        return
    for line in exports(values, shell):
        click.echo(line)
    for line in () if for_az else hints():
        click.echo(f"# {line}")


def _trusting(session: Session, values: dict[str, str], folder: Path) -> dict[str, str]:
    """The variables, their bundles with the authorities that this shell trusts already."""
    import os

    from orchestrator.cli.authorities import with_own
    from orchestrator.errors import ProfileError

    try:
        return with_own(values, folder, os.environ, session.note)
    except OSError as error:
        raise ProfileError(
            f"The bundle of authorities cannot be written to {folder}: {error.strerror or error}.",
            "Make room there, or let the profile's state folder be another one.",
        ) from error


def _with_az(values: dict[str, str], folder: Path, found: dict[str, Any]) -> dict[str, str]:
    """The variables of `az`: its own folder; the cloud stands in there."""
    from orchestrator import az_configuration
    from orchestrator.errors import ProfileError

    try:
        config = az_configuration.write(folder, found)
    except OSError as error:
        raise ProfileError(
            f"The configuration of az cannot be written to {folder}: {error.strerror or error}.",
            "Make room there, or let the profile's state folder be another one.",
        ) from error
    return {"AZURE_CONFIG_DIR": str(config), **values}
