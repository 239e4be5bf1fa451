"""`orchestrator images build | list | push`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orchestrator.cli.completers import complete_from
from orchestrator.cli.grammar import Entry, LazyGroup, command
from orchestrator.cli.session import Session, current

if TYPE_CHECKING:
    from orchestrator.images import ImageVerbs

_HERE = "images"


@click.group(
    "images",
    cls=LazyGroup,
    entries={
        "build": Entry(_HERE, "build", "Build them on the container engine."),
        "list": Entry(_HERE, "list_", "Which there are, and which are built."),
        "push": Entry(_HERE, "push", "Push them to the registry."),
    },
    examples=[("build all images", "orchestrator images build")],
)
def images() -> None:
    """Build, list and push the images of the jobs, on Docker or Podman."""


def _verbs(session: Session) -> ImageVerbs:
    return session.connect().images


def _say(line: str) -> None:
    click.echo(line, err=True)


@command(
    "build",
    examples=[
        ("all images", "orchestrator images build"),
        ("one, from another base", "orchestrator images build sender --build-arg BASE=python:3.12"),
    ],
)
@click.argument("images", nargs=-1, metavar="[IMAGE]…", shell_complete=complete_from("images"))
@click.option(
    "--build-arg",
    "arguments",
    multiple=True,
    metavar="NAME=VALUE",
    help="A build argument, over those of the file. Repeatable.",
)
@click.option("--network", metavar="NETWORK", help="Network of the build's commands, as in host.")
def build(images: tuple[str, ...], arguments: tuple[str, ...], network: str | None) -> None:
    """Build images of orchestrator.toml: those named, or all that have a build folder."""
    from orchestrator.errors import BadInput

    session = current()
    pairs = {}
    for text in arguments:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise BadInput(f'"{text}" is no build argument.', "Write --build-arg NAME=VALUE")
        pairs[name] = value
    session.show(_verbs(session).build(*images, args=pairs, network=network, say=_say))


@command("list", examples=[("which are built", "orchestrator images list")])
def list_() -> None:
    """List the images of orchestrator.toml, and whether the engine has them."""
    session = current()
    session.show(_verbs(session).every())


@command(
    "push",
    examples=[
        ("all images", "orchestrator images push"),
        ("to Azure's registry", "orchestrator --profile azure images push sender"),
    ],
)
@click.argument("images", nargs=-1, metavar="[IMAGE]…", shell_complete=complete_from("images"))
def push(images: tuple[str, ...]) -> None:
    """Push images to the registry that they name: those named, or all that have a build folder."""
    session = current()
    session.show(_verbs(session).push(*images, say=_say))
