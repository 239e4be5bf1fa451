"""`orchestrator init`: commented settings, sample jobs, templates, into a folder of one's own."""

from __future__ import annotations

import shlex
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from orchestrator.cli.grammar import command
from orchestrator.cli.session import current

_IGNORED = ".orchestrator/"


@command(
    "init",
    examples=[
        ("here", "orchestrator init"),
        ("in a new folder", "orchestrator init fibonacci && cd fibonacci && orchestrator demo"),
    ],
)
@click.argument("folder", type=click.Path(file_okay=False), default=".")
@click.option("--force", is_flag=True, help="Overwrite files of the same name.")
def init(folder: str, force: bool) -> None:
    """Write orchestrator.toml, sample jobs and templates into FOLDER (default: here).

    Nothing that exists is overwritten without --force; what is there is named, and then nothing
    is written at all.
    """
    session = current()
    target = Path(folder)
    pairs = [(source, target / name) for name, source in sample_files()]
    there = [place for _, place in pairs if place.exists()]
    if there and not force:
        raise Occupied(there)
    for source, place in pairs:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, place)
    ignored = _ignore_state(target / ".gitignore")
    from orchestrator.display.tables import cells_of
    from orchestrator.display.views import Heading

    names = [place.relative_to(target).as_posix() for _, place in pairs]
    if ignored:
        names.append(".gitignore")
    rows = _by_folder(names) if session.plain else [[name, "written"] for name in names]
    session.show(cells_of(rows, Heading("file", "file"), Heading("action", "action", "status")))
    away = "" if target.resolve() == Path.cwd() else f"cd {shlex.quote(folder)} && "
    session.hint(f"Next: {away}orchestrator demo")


def _by_folder(names: list[str]) -> list[list[str]]:
    """For people: what lies in a folder is a number."""
    folders = Counter(name.partition("/")[0] + "/" for name in names if "/" in name)
    files = [[name, "written"] for name in names if "/" not in name]
    return files + [[folder, f"{count} files written"] for folder, count in folders.items()]


class Occupied(click.ClickException):
    """There are files in the way."""

    exit_code = 2

    def __init__(self, there: list[Path]) -> None:
        names = ", ".join(str(place) for place in there[:3])
        more = f" and {len(there) - 3} more" if len(there) > 3 else ""
        super().__init__(f"Already there: {names}{more}; nothing was written.")
        self.hint = "Choose another folder, or overwrite them with --force."


def sample_files() -> Iterator[tuple[str, Path]]:
    """(path in the new folder, file to copy) of the starter settings, the jobs and the templates.

    Raises ClickException if they are not there.
    """
    from orchestrator.shipped import folder

    root = folder()
    if root is None:
        raise click.ClickException("The sample files are missing from this installation.")
    yield "orchestrator.toml", root / "orchestrator.toml"
    for path in sorted([*(root / "jobs").rglob("*"), *(root / "templates").rglob("*")]):
        inner = path.relative_to(root)
        # A .env of the developer's own stays where it is; what keeps it out of images comes along.
        hidden = any(part.startswith((".", "__pycache__")) for part in inner.parts)
        if (
            path.is_file()
            and (not hidden or path.name == ".dockerignore")
            and path.suffix != ".pyc"
        ):
            yield str(inner), path


def _ignore_state(file: Path) -> bool:
    """See that .gitignore names the state folder; True if it had to be written."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    lines = {line.strip().strip("/") for line in text.splitlines()}
    if _IGNORED.strip("/") in lines:
        return False
    if text and not text.endswith("\n"):
        text += "\n"
    file.write_text(f"{text}{_IGNORED}\n", encoding="utf-8", newline="\n")
    return True
