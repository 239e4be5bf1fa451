"""What one call of the command knows: the global options, the connection, where results go."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from orchestrator.client import Orchestrator
    from orchestrator.display.selection import Selection
    from orchestrator.display.views import View
    from orchestrator.records import Records
    from orchestrator.results import Record

FORMATS = ("table", "json", "jsonl", "yaml", "csv", "tsv")


@dataclass
class Session:
    """The global options of this call, and what is made from them.

    `output`: one of FORMATS, None when not given. `selection`: the compiled `--query`.
    """

    output: str | None = None
    selection: Selection | None = None
    profile: str | None = None
    settings: str | None = None
    verbose: int = 0
    no_color: bool = False
    _connected: Orchestrator | None = field(default=None, repr=False)
    _no_project: bool = field(default=False, repr=False)  # connected without an orchestrator.toml

    @property
    def format(self) -> str:
        return self.output or "table"

    @property
    def plain(self) -> bool:
        """True if the result is for people and shown as it comes: no format, no selection."""
        return self.format == "table" and self.selection is None

    def begin(self) -> None:
        """Apply the options that concern the whole process; called once they are known."""
        if self.no_color:
            from orchestrator.display.terminal import disable_colour

            disable_colour()
        if self.verbose:
            from orchestrator.cli.tracing import trace_requests

            trace_requests(self.verbose)

    def connect(self) -> Orchestrator:
        """The library on the chosen profile; nothing is contacted yet."""
        if self._connected is None:
            import orchestrator

            self.begin()
            self._connected = orchestrator.connect(self.profile, settings=self.settings)
            self._no_project = self._connected.settings.path is None
            if self._connected.profile.kind == "azure" and not self.verbose:
                from orchestrator.cli.tracing import tell_failures_alone

                tell_failures_alone()
        return self._connected

    def place(self, error: Exception) -> None:
        """Where nothing runs since this is no project's folder, have the error say that."""
        if not self._no_project:
            return
        from orchestrator.azure.profile import START_HINT
        from orchestrator.errors import OrchestratorError

        if isinstance(error, OrchestratorError) and error.hint == START_HINT:
            error.message = (
                "No local cloud is running here, and there is no orchestrator.toml here or in a "
                "parent folder."
            )
            error.hint = "Go to the folder of your project, or make one: orchestrator init"

    def close(self) -> None:
        """Let go of the connection, if there is one."""
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    # ------------------------------------------------------------------------------- results

    def show(self, result: Records[Any] | Record | View, *, empty: str = "") -> None:
        """Print a result on stdout in the chosen format.

        That there is none is said where a table would be; in a pipe on stderr.
        """
        from orchestrator.display.formats import write
        from orchestrator.display.terminal import is_terminal
        from orchestrator.display.views import View, of_record, of_records
        from orchestrator.records import Records

        if isinstance(result, View):
            view = result
        elif isinstance(result, Records):
            view = of_records(result, empty=empty)
        else:
            view = of_record(result)
        self.begin()
        write(view, sys.stdout, self.format, self.selection)
        sys.stdout.flush()
        if self.plain and not view.cells and view.empty and not is_terminal(sys.stdout):
            self.say(view.empty)

    def show_text(self, text: str, data: Any) -> None:
        """Print what is meant for a file, a shell or another program: the text as it is.

        With a format or a selection, `data` in its place: plain dicts, lists and scalars.
        """
        if not self.plain:
            self.show_data(data)
            return
        self.begin()
        click.echo(text, nl=not text.endswith("\n"))

    def show_data(self, data: Any) -> None:
        """Print plain dicts, lists and scalars in the chosen format."""
        from orchestrator.display.views import of_data

        self.show(of_data(data))

    def tell_missing(self, partial: str) -> None:
        """Say on stderr why an answer is incomplete (the result's `partial`), if it is."""
        if partial:
            self.say(f"The answer is incomplete: {partial}")

    def say(self, text: str) -> None:
        """One line on stderr, always: an outcome."""
        click.echo(text, err=True)

    def note(self, text: str) -> None:
        """One sentence on stderr, always: what was done and was perhaps not meant so."""
        from orchestrator.cli.failures import wrapped
        from orchestrator.display.terminal import colour

        self.begin()
        text = wrapped(text)
        click.echo(click.style(text, fg="yellow") if colour(sys.stderr) else text, err=True)

    def hint(self, text: str) -> None:
        """A dim line on stderr for a person at a terminal; nothing in a pipe."""
        from orchestrator.display.commands import typed
        from orchestrator.display.terminal import colour, is_terminal

        if is_terminal(sys.stderr):
            self.begin()
            text = typed(text)
            click.echo(click.style(text, dim=True) if colour(sys.stderr) else text, err=True)


def current() -> Session:
    """The session of the running command."""
    return click.get_current_context().find_root().ensure_object(Session)
