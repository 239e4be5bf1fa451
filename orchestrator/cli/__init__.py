"""The `orchestrator` command: parse, call the library, display.

One module per noun; none is imported before its command runs, and `orchestrator --help` imports
nothing but click. `app.run` is the one place where failures become sentences and exit statuses.
"""

from __future__ import annotations

import sys


def main() -> None:
    """The entry point of the installed command; always ends with SystemExit."""
    try:
        from orchestrator.cli.app import run

        status = run(sys.argv[1:])
    except KeyboardInterrupt:  # before `run` could catch it: while importing
        status = 130
    _end_by_interrupt()
    sys.exit(status)


def _end_by_interrupt() -> None:
    """From here on Ctrl-C ends the process as it ends any other: all is done but the tidying up,
    where Python would print a traceback and go on.
    """
    try:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_DFL)
    except (KeyboardInterrupt, ValueError):  # pressed just now; not in the main thread
        pass
