"""Completion in bash, zsh and fish, where a word is not to each what it is to the others.

bash cuts at `=`, `@` and `:` as well: of `executions show sender@la` it says the words `sender`,
`@`, `la`, and puts a completion in the place of `@la` alone. So the line is read whole, and what
completes it is cut as bash cuts. The `=` after a variable's name is followed by no space.

zsh and fish put a completion in the place of the whole word: of `--queue=re`, which click answers
with `results`, they must hear `--queue=results`. fish's script of click's cuts what a candidate
means at its first comma.
"""

from __future__ import annotations

import os
import re

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

_SOURCE = """\
%(complete_func)s() {
    local IFS=$'\\n'
    local response completion type value

    response=$(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDS="${COMP_WORDS[*]}" \\
        COMP_CWORD=$COMP_CWORD COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete $1)

    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"

        if [[ $type == 'dir' ]]; then
            COMPREPLY=()
            compopt -o dirnames
        elif [[ $type == 'file' ]]; then
            COMPREPLY=()
            compopt -o default
        elif [[ $type == 'plain' ]]; then
            COMPREPLY+=("$value")
            [[ $value == *= ]] && compopt -o nospace
        fi
    done

    return 0
}

%(complete_func)s_setup() {
    complete -o nosort -F %(complete_func)s %(prog_name)s
}

%(complete_func)s_setup;
"""
_SPECIAL = re.compile(r"[^\w@%+=:,./~-]")


class BashLine(BashComplete):
    """The line as it was typed, up to the cursor."""

    source_template = _SOURCE

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._before = ""  # what bash leaves standing of the word that is completed

    @staticmethod
    def _check_version() -> None:
        """An old bash completes nothing rather than to warn at each new shell."""

    def get_completion_args(self) -> tuple[list[str], str]:
        from click.shell_completion import split_arg_string

        line = os.environ.get("COMP_LINE", "")
        if not line:  # a script of an older version, sourced by this shell
            return super().get_completion_args()
        words = split_arg_string(line)
        incomplete = words.pop() if len(words) > 1 and not line[-1:].isspace() else ""
        os.environ["COMP_WORDS"] = "\n".join([*words, incomplete])
        breaks = os.environ.get("COMP_WORDBREAKS", "")
        cuts = [incomplete.rfind(c) + 1 for c in "=:" if c in breaks]
        cuts += [incomplete.rfind("@")] if "@" in breaks else []  # begins a word, unlike the others
        self._before = incomplete[: max(0, *cuts)] if cuts else ""
        return words[1:], incomplete

    def format_completion(self, item: CompletionItem) -> str:
        value = str(item.value).removeprefix(self._before)
        if item.type == "plain":
            value = _SPECIAL.sub(lambda found: f"\\{found[0]}", value)
        return f"{item.type},{value}"


def _option(incomplete: str) -> str:
    """`--queue=` of `--queue=re`; "" of anything else."""
    name, sign, _ = incomplete.partition("=")
    return name + sign if sign and name.startswith("-") else ""


class _WholeWord(ShellComplete):
    """Gives the whole word that is completed, `--option=` and all."""

    _option = ""

    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        self._option = _option(incomplete)
        return args, incomplete

    def format_completion(self, item: CompletionItem) -> str:
        whole = CompletionItem(f"{self._option}{item.value}", item.type, item.help)
        return super().format_completion(whole)


class ZshWord(_WholeWord, ZshComplete):
    """zsh."""


class FishWord(_WholeWord, FishComplete):
    """fish, and what a candidate means with its commas."""

    source_template = FishComplete.source_template.replace(
        'string split ","', 'string split --max 1 ","'
    )


def register() -> None:
    """Let click use them."""
    add_completion_class(BashLine, "bash")
    add_completion_class(ZshWord, "zsh")
    add_completion_class(FishWord, "fish")
