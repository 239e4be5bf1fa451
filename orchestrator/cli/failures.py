"""Failures as people read them: one sentence, then `Next: …`, and a truthful exit status.

Exit statuses: 0 done; 1 it failed; 2 wrong usage, input or settings; 3, 4, 5 the execution failed,
was stopped, exceeded its replica time-out; 124 a `--timeout` ran out while it still ran; 130
interrupted; 141 the reader of stdout went away.

An exception that nobody foresaw is a defect of ours: the user gets one sentence and the name of a
file with the details (readable only by them), not a traceback; with `-v` the traceback as well.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence

import click

INTERRUPTED = 130
BROKEN_PIPE = 141

_ASSIGNMENT = re.compile(r"\A((?:--[\w-]+=)?(?!--)[\w.-]+)=.*\Z", re.DOTALL)


def report(
    sentence: str, hint: str = "", *, details: Sequence[str] = (), error: bool = True
) -> None:
    """Write a failure on stderr: the sentence, details (indented), then `Next: hint`."""
    from orchestrator.display.commands import typed
    from orchestrator.display.terminal import colour

    coloured = colour(sys.stderr)
    sentence = wrapped(sentence.strip())
    if coloured and error:
        sentence = click.style(sentence, fg="red")
    click.echo(sentence, err=True)
    for detail in details:
        for line in detail.splitlines():
            click.echo(f"  {line}", err=True)
    if hint:
        head = click.style("Next:", bold=True) if coloured else "Next:"
        click.echo(f"{head} {typed(hint.strip())}", err=True)


def wrapped(text: str) -> str:
    """A sentence broken between words on a terminal, which would break it anywhere; else as it is.

    What is to be typed (the hint) is left to the terminal: it copies such lines as one.
    """
    from orchestrator.display.terminal import is_terminal, width

    if not is_terminal(sys.stderr) or len(text) <= width():
        return text
    import textwrap

    lines = text.splitlines()
    wrap = textwrap.TextWrapper(width(), break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrap.fill(line) for line in lines)


def end_line() -> None:
    """On a terminal, end the line that the terminal's `^C` stands on."""
    from orchestrator.display.terminal import is_terminal

    if is_terminal(sys.stderr):
        click.echo(err=True)


def notes(error: BaseException) -> list[str]:
    """What was added to an exception on its way up (`add_note`)."""
    return list(getattr(error, "__notes__", ()))


def explain(error: Exception, arguments: Sequence[str], *, verbose: int) -> int:
    """Report an exception that ended the command; the exit status."""
    if isinstance(error, click.ClickException):
        return _usage(error, arguments)
    if hasattr(error, "message") and hasattr(error, "hint"):  # the library's and the local cloud's
        if verbose > 1:
            import traceback

            traceback.print_exception(error)
        hint, details = str(error.hint), _details(error)
        if "\n" in hint:  # the end of a log, say
            hint, details = "", [*details, hint]
        report(str(error.message), hint, details=details)
        return int(getattr(error, "exit_code", 1))
    if isinstance(error, OSError) and error.strerror and not verbose:
        where = f"{error.filename}: " if error.filename else ""
        report(f"{where}{error.strerror}.", _os_hint(error))
        return 1
    return _unforeseen(error, arguments, verbose=verbose)


def _details(error: Exception) -> list[str]:
    problems = [str(p) for p in getattr(error, "problems", ())]
    said = str(getattr(error, "message", ""))
    return [p for p in problems if p not in said] + notes(error)


# click's names of its types, and its ranges, in words.
_NO_NUMBER = re.compile(r"is not a valid (integer|float)(?: range)?|is not in the range (.+?)\.?$")


def _number_words(found: re.Match[str]) -> str:
    if found[1]:
        return "is no whole number" if found[1] == "integer" else "is no number"
    return f"is not possible: {found[2].replace('x', 'N', 1)}."


# click's sentence about words that a command has no place for.
_TOO_MANY = re.compile(r"Got unexpected extra arguments? \((.+)\)$")


def _usage(error: click.ClickException, arguments: Sequence[str]) -> int:
    sentence, hint = error.format_message(), ""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "orchestrator"
    if isinstance(error, click.NoSuchOption):
        sentence = f"'{path}' has no option {error.option_name}."
        if error.possibilities:
            hint = f"Did you mean {' or '.join(sorted(error.possibilities))}?"
    elif isinstance(error, click.MissingParameter):
        sentence = f"'{path}' needs {_parameter(error)}"
        if error.param is not None and isinstance(error.param.type, click.Choice):
            sentence += f": one of {', '.join(map(str, error.param.type.choices))}"
    elif isinstance(error, click.BadParameter):
        said = _NO_NUMBER.sub(_number_words, error.message)
        sentence = f"{_parameter(error)}: {said}" if error.param else said
    elif (found := _TOO_MANY.match(sentence)) and context is not None:
        sentence = f"'{path}' takes no more arguments: {found[1]} is too many."
        hint = _as_variables(context.command, arguments) or _as_option(context, arguments)
    elif meant := getattr(error, "meant", ""):
        hint = f"Did you mean '{meant}'?"
    elif own := getattr(error, "hint", ""):
        hint = own
    report(_sentence(sentence), hint or f"{path} --help", details=notes(error))
    return error.exit_code


def _as_variables(command: click.Command, arguments: Sequence[str]) -> str:
    """What was typed, with `--env` before what looks like a variable; "" where nothing does."""
    import shlex

    if not any("--env" in param.opts for param in command.params):
        return ""
    options = [param for param in command.params if isinstance(param, click.Option)]
    takes_next = {name for it in options if not (it.is_flag or it.count) for name in it.opts}
    takes_next.add("--")
    typed: list[str] = []
    before = ""
    for word in arguments:
        if re.match(r"[A-Za-z_]\w*=", word) and before not in takes_next:
            typed.append("--env")
        typed.append(word)
        before = word
    return shlex.join(["orchestrator", *typed]) if typed != list(arguments) else ""


def _as_option(context: click.Context, arguments: Sequence[str]) -> str:
    """What was typed, with dashes before the word that names an option: `metrics queue results`."""
    import shlex

    names = {name for param in context.command.params for name in param.opts}
    typed = list(arguments)
    behind = len(context.command_path.split()) - 1  # the words of the command itself
    for place, word in enumerate(typed[:-1]):
        if place >= behind and f"--{word}" in names and not typed[place + 1].startswith("-"):
            typed[place] = f"--{word}"
            return shlex.join(["orchestrator", *typed])
    return ""


def _parameter(error: click.BadParameter) -> str:
    """How the user wrote it: the option's long name, or the argument's metavar."""
    if isinstance(error.param, click.Option):
        return max(error.param.opts, key=len)
    if error.param is None:
        return ""
    return (error.param.metavar or (error.param.name or "").upper()).strip("[].…")


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _os_hint(error: OSError) -> str:
    import errno

    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return "Make room on this disk, then run the command again; nothing was lost."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "Choose a place that you may write to, or change its permissions."
    return "Run the command again with -v for the details."


def _unforeseen(error: Exception, arguments: Sequence[str], *, verbose: int) -> int:
    import traceback

    if verbose:
        traceback.print_exception(error)
    place = _write_details(error, arguments)
    told = f"; the details are in {place}" if place else ""
    report(
        f"Something went wrong that should not ({type(error).__name__}){told}.",
        "Run it again with -v, or report it with that file."
        if place
        else "Run it again with -v to see the details.",
    )
    return 1


def _write_details(error: Exception, arguments: Sequence[str]) -> str:
    """Write the traceback to a file that only this user can read; its path, "" if impossible."""
    import shlex
    import tempfile
    import traceback

    from orchestrator.cli.tracing import redact

    command = " ".join(shlex.quote(a) for a in _without_values(arguments))
    text = "".join(traceback.format_exception(error))
    try:
        # mkstemp creates the file with mode 0600 and refuses to follow what is already there.
        handle, path = tempfile.mkstemp(prefix="orchestrator-", suffix=".log", text=True)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(redact(f"orchestrator {command}\nPython {sys.version}\n\n{text}"))
    except OSError:
        return ""
    return path


def _without_values(arguments: Sequence[str]) -> list[str]:
    """The command line without the values of variables and parameters: any may be secret.

    They are NAME=VALUE, by themselves or right behind an option: -e N=V, -eN=V, --env=N=V.
    """
    return [_ASSIGNMENT.sub(r"\1=…", argument) for argument in arguments]
