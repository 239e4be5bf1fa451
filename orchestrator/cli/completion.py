"""`orchestrator completion`: the script that makes the shell complete commands and names."""

from __future__ import annotations

import os

import click

from orchestrator.cli.grammar import OneOf, command
from orchestrator.cli.session import current

_SHELLS = ("bash", "zsh", "fish")


@command(
    "completion",
    examples=[
        ("bash: in ~/.bashrc", 'eval "$(orchestrator completion bash)"'),
        ("zsh: in ~/.zshrc", 'eval "$(orchestrator completion zsh)"'),
        ("fish", "orchestrator completion fish > ~/.config/fish/completions/orchestrator.fish"),
    ],
)
@click.argument("shell", type=OneOf(_SHELLS), metavar="[SHELL]", required=False)
def completion(shell: str | None) -> None:
    """Print the completion script for SHELL (default: the one in $SHELL).

    Commands, options and names complete: jobs, executions, queues, alerts, variables and more.
    """
    from click.shell_completion import get_completion_class

    from orchestrator.cli import shells
    from orchestrator.cli.app import root

    shells.register()
    chosen = shell or os.path.basename(os.environ.get("SHELL", ""))  # noqa: PTH119 - a name
    if chosen not in _SHELLS:
        raise click.UsageError(f"Name a shell: {', '.join(_SHELLS)}.")
    made = get_completion_class(chosen)
    assert made is not None
    script = made(root, {}, "orchestrator", "_ORCHESTRATOR_COMPLETE").source()
    current().show_text(script, {"shell": chosen, "script": script})
