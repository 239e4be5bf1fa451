"""`orchestrator alerts apply | list | delete | history`."""

from __future__ import annotations

from datetime import timedelta

import click

from orchestrator.cli.completers import complete_alerts, complete_from
from orchestrator.cli.grammar import Entry, LazyGroup, command
from orchestrator.cli.parameters import Duration
from orchestrator.cli.session import current

_HERE = "alerts"


@click.group(
    "alerts",
    cls=LazyGroup,
    entries={
        "apply": Entry(_HERE, "apply", "Make the alerts of the settings real."),
        "list": Entry(_HERE, "list_", "The alert rules, and which are fired."),
        "delete": Entry(_HERE, "delete", "Delete an alert rule."),
        "history": Entry(_HERE, "history", "What has fired, and when it was over."),
    },
    examples=[
        ("make what [alerts.NAME] says", "orchestrator alerts apply"),
        ("what has fired?", "orchestrator alerts history"),
    ],
)
def alerts() -> None:
    """Alert rules and action groups of Azure Monitor, and the alerts that fired."""


@command(
    "apply",
    examples=[
        ("all of them", "orchestrator alerts apply"),
        ("what would be done?", "orchestrator alerts apply --dry-run"),
        ("and delete what the settings name no more", "orchestrator alerts apply --prune"),
    ],
)
@click.argument("names", nargs=-1, metavar="[NAME]…", shell_complete=complete_from("alerts"))
@click.option("--dry-run", is_flag=True, help="Only say what would be done; send nothing.")
@click.option(
    "--prune", is_flag=True, help="Also delete what this project made and no longer names; asks."
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def apply(names: tuple[str, ...], dry_run: bool, prune: bool, yes: bool) -> None:
    """Create or update the alerts of orchestrator.toml (all, or NAME…) and those they tell.

    What is there and right is left. An address of a webhook is compared, and never shown.
    """
    from orchestrator.cli.world import shown_in
    from orchestrator.display.progress import Progress

    if prune and names:
        raise click.UsageError("--prune looks at all alerts, so none can be named with it.")
    session = current()
    verbs = session.connect().alerts
    if prune and not dry_run and not yes:
        gone = [c for c in verbs.apply(dry_run=True, prune=True) if c.action == "deleted"]
        if gone:
            from orchestrator.cli.jobs import ask

            ask(f"Delete {', '.join(f'{c.kind} {c.name}' for c in gone)}?")
    with Progress() as progress:
        changes = verbs.apply(*names, dry_run=dry_run, prune=prune, progress=shown_in(progress))
    session.show(changes, empty="There are no alerts in the settings.")
    if dry_run:
        session.hint("Nothing was sent.")


@command(
    "list",
    examples=[
        ("the rules", "orchestrator alerts list"),
        ("those that are fired", "orchestrator alerts list --query \"[?state=='fired'].name\""),
    ],
)
def list_() -> None:
    """List the alert rules of the resource group: what they are, and whether they are fired."""
    session = current()
    orc = session.connect()
    written = len(orc.settings.alerts)
    step = f" yet; the settings have {written}: orchestrator alerts apply" if written else "."
    session.show(orc.alerts(), empty=f"No alert rules{step}")


@command(
    "delete",
    examples=[("one", "orchestrator alerts delete sender-failed --yes")],
)
@click.argument("name", shell_complete=complete_alerts)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool) -> None:
    """Delete the alert rule NAME. Who it told is left."""
    session = current()
    if not yes:
        from orchestrator.cli.jobs import ask

        ask(f"Delete the alert rule {name}?")
    session.show(session.connect().alerts.delete(name))


@command(
    "history",
    examples=[
        ("the last day", "orchestrator alerts history"),
        ("of one rule, in a week", "orchestrator alerts history sender-failed --since 7d"),
    ],
)
@click.argument("name", required=False, shell_complete=complete_alerts)
@click.option(
    "--since",
    type=Duration(),
    help="How far back, by the service's clock: up to 1h, 1d, 7d or 30d. [default: 1d]",
)
def history(name: str | None, since: timedelta | None) -> None:
    """Show the alerts that fired, newest first, and when they were resolved."""
    session = current()
    alerts = session.connect().alerts
    found = alerts.history(name, since=since or timedelta(days=1))
    if name is not None and not found:
        alerts.rule(name)  # or there is none of that name
    session.show(found, empty="No alert has fired.")
